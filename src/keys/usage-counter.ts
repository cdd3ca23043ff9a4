/**
 * Counts how often a key version has sealed under random IVs and says when to stop (SP 800-38D, 8.3: at most 2^32).
 * Uses are reserved in blocks: the store learns of a block before its first use, so a crash loses numbers, never reuses them.
 */

/** SP 800-38D, 8.3: invocations of GCM with random 96-bit IVs under one key. */
export const GCM_USAGE_LIMIT: number = 2 ** 32;

/** Uses reserved at a time under the full limit; a smaller limit gets proportionally smaller blocks. */
const RESERVATION_BLOCK = 2 ** 20;

/** Share of the limit after which a version is due for rotation. */
const ROTATION_SHARE = 0.9;

export class UsageCounter {
  readonly limit: number;
  #used: number;
  #reserved: number;

  /**
   * @param reserved uses the store already counts as gone, 0..limit
   * @param limit most uses ever, 1..2^32
   */
  constructor(reserved: number, limit: number) {
    this.limit = limit;
    this.#reserved = Math.min(reserved, limit);
    this.#used = this.#reserved;
  }

  /** Uses spent, counting those that a crash lost. */
  get used(): number {
    return this.#used;
  }

  get rotationDue(): boolean {
    return this.#used >= ROTATION_SHARE * this.limit;
  }

  /** Spends one use; false when the reservation is empty and `nextReservation` has to be stored first. */
  take(): boolean {
    if (this.#used >= this.#reserved) return false;
    this.#used += 1;
    return true;
  }

  /** Returns the count to store next, or undefined at the limit. */
  nextReservation(): number | undefined {
    if (this.#reserved >= this.limit) return undefined;
    const block = Math.max(1, Math.floor((RESERVATION_BLOCK * this.limit) / GCM_USAGE_LIMIT));
    return Math.min(this.limit, this.#reserved + block);
  }

  /** Makes a stored reservation available. */
  reserved(count: number): void {
    this.#reserved = Math.max(this.#reserved, Math.min(count, this.limit));
  }

  /** Gives up the unspent rest of the reservation and returns the exact count, for a clean close; undefined if nothing changed. */
  settle(): number | undefined {
    if (this.#reserved === this.#used) return undefined;
    this.#reserved = this.#used;
    return this.#used;
  }
}
