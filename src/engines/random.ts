/** The platform's CSPRNG, in fresh arrays and, for IVs, from a pre-filled pool. */

/** Largest request that getRandomValues takes (Web Cryptography, 10.1.1). */
const MAX_REQUEST = 65_536;

/** Fills `length` fresh bytes. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += MAX_REQUEST) {
    crypto.getRandomValues(bytes.subarray(offset, offset + MAX_REQUEST));
  }
  return bytes;
}

const POOL_LENGTH = 6 * 1024;
const IV_LENGTH = 12;

/**
 * Hands out random 96-bit IVs. Each is erased from the pool as it leaves, so none can be handed out twice.
 * A pool belongs to one realm: workers and child processes make their own.
 */
export class IvPool {
  readonly #pool: Uint8Array<ArrayBuffer> = new Uint8Array(POOL_LENGTH);
  #next: number = POOL_LENGTH;

  /** Fills 12 bytes. */
  fill(iv: Uint8Array): void {
    if (this.#next === POOL_LENGTH) {
      crypto.getRandomValues(this.#pool);
      this.#next = 0;
    }
    const pool = this.#pool;
    const start = this.#next;
    for (let i = 0; i < IV_LENGTH; i++) {
      iv[i] = pool[start + i] ?? 0;
      pool[start + i] = 0;
    }
    this.#next = start + IV_LENGTH;
  }

  wipe(): void {
    this.#pool.fill(0);
    this.#next = POOL_LENGTH;
  }
}
