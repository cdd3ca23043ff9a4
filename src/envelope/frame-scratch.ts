/** Builds frames for AES-GCM in one buffer over and over, and keeps of the last one what the next one shares. */

import { lengthOf, setBytes } from "../bytes.ts";
import { type FrameMode, frameLength, IV_LENGTH, writeFrame } from "./ciphertext-blob.ts";

/** Room for the frame of the longest aad a caller may give; only contexts beyond ASCII come longer. */
const BUFFER_LENGTH = 8256;
const IV_WORDS = 3;
const NO_IV: Uint8Array = new Uint8Array(IV_LENGTH);

/** An `AadFrame` of the engines. */
export class FrameScratch {
  readonly #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER_LENGTH);
  bytes: Uint8Array<ArrayBuffer> = this.#buffer.subarray(0, 0);
  /** For the caller to fill. */
  iv: Int32Array<ArrayBuffer> = new Int32Array(IV_WORDS);
  ivBytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.iv.buffer);
  revision = 0;
  #mode: FrameMode | undefined;
  #header: Uint8Array | undefined;
  #aad: Uint8Array | undefined;
  #aadLength = 0;

  /**
   * Writes a frame, with an iv of any content for the caller to fill, and returns itself. The next call overwrites it: an
   * engine that answers later must copy it first.
   *
   * @param header never written to, so that its identity tells its contents
   * @param isConstant says the same of `aad`, which is true of no array that a caller can reach
   */
  frame(mode: FrameMode, header: Uint8Array, aad: Uint8Array, isConstant: boolean): this {
    const isAround = this.#header === header && this.#mode === mode;
    if (this.#aad === aad && isAround) return this;
    // Forgotten first: should the writing fail, the frame before is no more.
    this.#aad = undefined;
    this.#header = undefined;
    const length = lengthOf(aad);
    if (isAround && length === this.#aadLength) {
      setBytes(this.bytes, aad, 0);
    } else {
      this.#write(mode, header, aad, length);
    }
    this.#mode = mode;
    this.#header = header;
    this.#aad = isConstant ? aad : undefined;
    this.#aadLength = length;
    // Last: should the writing fail, no engine may take what is there for the frame before or after.
    this.revision += 1;
    return this;
  }

  #write(mode: FrameMode, header: Uint8Array, aad: Uint8Array, aadLength: number): void {
    const length = frameLength(aadLength);
    if (this.bytes.length !== length) {
      this.bytes = length > BUFFER_LENGTH ? new Uint8Array(length) : this.#buffer.subarray(0, length);
      this.iv = new Int32Array(this.bytes.buffer, length - IV_LENGTH, IV_WORDS);
      this.ivBytes = this.bytes.subarray(length - IV_LENGTH);
    }
    writeFrame(this.bytes, mode, header, NO_IV, aad);
  }
}
