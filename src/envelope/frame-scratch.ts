/** Builds frames for AES-GCM in one buffer over and over, and keeps of the last one what the next one shares. */

import { copyShort } from "../bytes.ts";
import { type FrameMode, frameLength, IV_LENGTH, writeFrame } from "./ciphertext-blob.ts";

/** Longer frames get a buffer of their own. */
const BUFFER_LENGTH = 4096;

export class FrameScratch {
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_LENGTH);
  #view: Uint8Array = this.#buffer.subarray(0, 0);
  #mode: FrameMode | undefined;
  #header: Uint8Array | undefined;
  #aad: Uint8Array | undefined;

  /**
   * Returns the frame, which the next call overwrites: an engine that answers later must copy it first.
   *
   * @param header never written to, so that its identity tells its contents
   * @param isConstant says the same of `aad`, which is true of no array that a caller can reach
   */
  frame(
    mode: FrameMode,
    header: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    isConstant: boolean,
  ): Uint8Array {
    if (this.#aad === aad && this.#header === header && this.#mode === mode) {
      copyShort(iv, 0, this.#view, this.#view.length - IV_LENGTH, IV_LENGTH);
      return this.#view;
    }
    const length = frameLength(aad.length);
    if (length > BUFFER_LENGTH) {
      const frame = new Uint8Array(length);
      writeFrame(frame, mode, header, iv, aad);
      return frame;
    }
    // Forgotten first: should the writing fail, the frame before is no more.
    this.#aad = undefined;
    if (this.#view.length !== length) this.#view = this.#buffer.subarray(0, length);
    writeFrame(this.#view, mode, header, iv, aad);
    this.#mode = mode;
    this.#header = header;
    this.#aad = isConstant ? aad : undefined;
    return this.#view;
  }
}
