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

/** 6 KiB: filling more at once would be felt as a pause. */
const POOL_WORDS = 1536;
const IV_WORDS = 3;

/**
 * Hands out random 96-bit IVs. Each is erased from the pool as it leaves, so none can be handed out twice.
 * A pool belongs to one realm: workers and child processes make their own.
 */
export class IvPool {
  readonly #pool: Int32Array<ArrayBuffer> = new Int32Array(POOL_WORDS);
  #next: number = POOL_WORDS;

  /** Fills 12 bytes, as three words: that costs a quarter of what bytes cost. */
  fill(iv: Int32Array): void {
    if (this.#next === POOL_WORDS) {
      crypto.getRandomValues(this.#pool);
      this.#next = 0;
    }
    const pool = this.#pool;
    const start = this.#next;
    for (let i = 0; i < IV_WORDS; i++) {
      iv[i] = pool[start + i] as number;
      pool[start + i] = 0;
    }
    this.#next = start + IV_WORDS;
  }

  wipe(): void {
    this.#pool.fill(0);
    this.#next = POOL_WORDS;
  }
}
