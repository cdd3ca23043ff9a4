/**
 * Hands out memory for ciphertext from blocks of 8 KiB: an ArrayBuffer per blob costs as much as sealing it. Ciphertext
 * only, never plaintext or keys: a view shows its neighbours to whoever looks at its buffer.
 */

const BLOCK_LENGTH = 8192;
/** A longer blob gets its own buffer. */
const MAX_SLICE = 1024;

/** Makes a block that cannot be transferred away; undefined where the platform cannot promise that. */
export type BlockSource = (byteLength: number) => ArrayBuffer | undefined;

export class BlobSlab {
  readonly #newBlock: BlockSource;
  #block: ArrayBuffer | undefined;
  #next: number = BLOCK_LENGTH;

  constructor(newBlock: BlockSource) {
    this.#newBlock = newBlock;
  }

  /** Returns zeroed memory that is handed out to nobody else. */
  take(byteLength: number): Uint8Array {
    if (byteLength > MAX_SLICE) return new Uint8Array(byteLength);
    // A detached block has no bytes left: somebody found a way to transfer it all the same.
    if (this.#next + byteLength > BLOCK_LENGTH || this.#block?.byteLength !== BLOCK_LENGTH) {
      this.#block = this.#newBlock(BLOCK_LENGTH);
      this.#next = 0;
    }
    if (this.#block === undefined) return new Uint8Array(byteLength);
    const slice = new Uint8Array(this.#block, this.#next, byteLength);
    this.#next += byteLength;
    return slice;
  }
}
