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
  #block: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #buffer: ArrayBuffer = this.#block.buffer;
  #next: number = BLOCK_LENGTH;

  constructor(newBlock: BlockSource) {
    this.#newBlock = newBlock;
  }

  /** The block that the last `reserve` took memory from. */
  get block(): Uint8Array {
    return this.#block;
  }

  /**
   * Returns where in `block` zeroed memory lies that is handed out to nobody else; undefined where the bytes should have a
   * buffer of their own.
   */
  reserve(byteLength: number): number | undefined {
    if (byteLength > MAX_SLICE) return undefined;
    // A detached block has no bytes left: somebody found a way to transfer it all the same.
    if (this.#next + byteLength > BLOCK_LENGTH || this.#block.length !== BLOCK_LENGTH) {
      const buffer = this.#newBlock(BLOCK_LENGTH);
      if (buffer === undefined) return undefined;
      this.#buffer = buffer;
      this.#block = new Uint8Array(buffer);
      this.#next = 0;
    }
    const start = this.#next;
    this.#next = start + byteLength;
    return start;
  }

  /** Returns a view of memory that `reserve` gave, before it is called again. */
  view(start: number, byteLength: number): Uint8Array {
    return new Uint8Array(this.#buffer, start, byteLength);
  }

  /** Returns zeroed memory that is handed out to nobody else. */
  take(byteLength: number): Uint8Array {
    const start = this.reserve(byteLength);
    return start === undefined ? new Uint8Array(byteLength) : this.view(start, byteLength);
  }
}
