/** Builds frames for AES-GCM in one buffer over and over, and keeps of the last one what the next one shares. */

import { type FrameMode, frameLength, IV_LENGTH, writeFrame } from "./ciphertext-blob.ts";

/** Room for the frame of the longest aad a caller may give; only contexts beyond ASCII come longer. */
const BUFFER_LENGTH = 8256;
const IV_WORDS = 3;
const NO_IV: Uint8Array = new Uint8Array(IV_LENGTH);

export class FrameScratch {
  readonly #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER_LENGTH);
  #view: Uint8Array<ArrayBuffer> = this.#buffer.subarray(0, 0);
  #iv: Int32Array<ArrayBuffer> = new Int32Array(IV_WORDS);
  #mode: FrameMode | undefined;
  #header: Uint8Array | undefined;
  #aad: Uint8Array | undefined;

  /** The iv at the end of the last frame, as words over its memory: for the caller to fill. */
  get iv(): Int32Array {
    return this.#iv;
  }

  /**
   * Returns the frame, with an iv of any content for the caller to fill. The next call overwrites it: an engine that
   * answers later must copy it first.
   *
   * @param header never written to, so that its identity tells its contents
   * @param isConstant says the same of `aad`, which is true of no array that a caller can reach
   */
  frame(mode: FrameMode, header: Uint8Array, aad: Uint8Array, isConstant: boolean): Uint8Array {
    if (this.#aad === aad && this.#header === header && this.#mode === mode) return this.#view;
    // Forgotten first: should the writing fail, the frame before is no more.
    this.#aad = undefined;
    const length = frameLength(aad.length);
    if (this.#view.length !== length) {
      this.#view = length > BUFFER_LENGTH ? new Uint8Array(length) : this.#buffer.subarray(0, length);
      this.#iv = new Int32Array(this.#view.buffer, length - IV_LENGTH, IV_WORDS);
    }
    writeFrame(this.#view, mode, header, NO_IV, aad);
    this.#mode = mode;
    this.#header = header;
    this.#aad = isConstant ? aad : undefined;
    return this.#view;
  }
}
