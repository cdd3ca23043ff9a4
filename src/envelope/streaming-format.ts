/**
 * The bytes of a streamed file: its header, its frames and their nonces. Pure; sealing is the stream's work.
 * The layout is docs/streaming-format.md, [STR-1] to [STR-8].
 *
 *     0       4 5 6 7 8    10             10+n
 *     | KSTR  |v|a|e|0| n  | data key blob | frame 0 | frame 1 | …
 *       magic  | | |   blob length (2)
 *              | | frame length exponent
 *              | algorithm
 *              format version
 */

import { IV_LENGTH } from "./ciphertext-blob.ts";

const MAGIC: readonly number[] = [0x4b, 0x53, 0x54, 0x52];
/** Version of the format that this code writes, and the only one it reads. */
export const STREAM_FORMAT_VERSION = 1;
/** AES-256-GCM frames with counter nonces. */
const ALGORITHM_FRAMED_AES_256_GCM = 1;

/** Bytes before the data key blob. */
export const STREAM_PREFIX_LENGTH = 10;
/** Longest data key blob, in bytes. */
export const MAX_DATA_KEY_BLOB_LENGTH = 1024;
/** Bytes of the key that a data key blob opens to. */
export const STREAM_KEY_LENGTH = 32;

/** Frames of 64 KiB: an overhead of 1/4096, and a buffer that every platform affords. */
export const DEFAULT_FRAME_EXPONENT = 16;
export const MIN_FRAME_EXPONENT = 12;
export const MAX_FRAME_EXPONENT = 20;
/** A file has at most 2^44 bytes of plaintext, [STR-8]. */
const MAX_PLAINTEXT_EXPONENT = 44;

/**
 * Builds a header, which every frame authenticates as it is, [STR-5]. `frameExponent` and the blob's length are the
 * writer's own and in range.
 */
export function encodeStreamHeader(frameExponent: number, dataKeyBlob: Uint8Array): Uint8Array {
  const header = new Uint8Array(STREAM_PREFIX_LENGTH + dataKeyBlob.length);
  header.set(MAGIC, 0);
  header[4] = STREAM_FORMAT_VERSION;
  header[5] = ALGORITHM_FRAMED_AES_256_GCM;
  header[6] = frameExponent;
  header[8] = dataKeyBlob.length >>> 8;
  header[9] = dataKeyBlob.length & 0xff;
  header.set(dataKeyBlob, STREAM_PREFIX_LENGTH);
  return header;
}

/** What the first ten bytes say; attacker-controlled until a frame has been opened. */
export interface StreamPrefix {
  /** Base-2 logarithm of a frame's plaintext length. */
  readonly frameExponent: number;
  readonly dataKeyBlobLength: number;
}

/** Tells whether bytes begin like a streamed file, whatever its version. */
export function isStreamStart(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads the first ten bytes; undefined for every prefix that this version does not write.
 *
 * @param bytes at least STREAM_PREFIX_LENGTH of them; fewer are no prefix
 */
export function parseStreamPrefix(bytes: Uint8Array): StreamPrefix | undefined {
  const [frameExponent = 0, reserved, high = 0, low = 0] = bytes.subarray(6, STREAM_PREFIX_LENGTH);
  const dataKeyBlobLength = (high << 8) | low;
  const isOurs =
    bytes.length >= STREAM_PREFIX_LENGTH &&
    isStreamStart(bytes) &&
    bytes[4] === STREAM_FORMAT_VERSION &&
    bytes[5] === ALGORITHM_FRAMED_AES_256_GCM &&
    frameExponent >= MIN_FRAME_EXPONENT &&
    frameExponent <= MAX_FRAME_EXPONENT &&
    reserved === 0 &&
    dataKeyBlobLength >= 1 &&
    dataKeyBlobLength <= MAX_DATA_KEY_BLOB_LENGTH;
  return isOurs ? { frameExponent, dataKeyBlobLength } : undefined;
}

/** Returns the bytes of plaintext in every frame but the last. */
export function frameLength(frameExponent: number): number {
  return 2 ** frameExponent;
}

/** Returns the most frames a file may have, [STR-8]; at most 2^32. */
export function maxFrames(frameExponent: number): number {
  return 2 ** (MAX_PLAINTEXT_EXPONENT - frameExponent);
}

const COUNTER_OFFSET = 7;
const LAST_OFFSET = 11;

/**
 * Builds the nonce of a frame: zeros (7) ‖ counter (4) ‖ last (1).
 *
 * @param index below `maxFrames`: a larger one would wrap and repeat a nonce
 */
export function frameNonce(index: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(IV_LENGTH);
  new DataView(nonce.buffer).setUint32(COUNTER_OFFSET, index);
  nonce[LAST_OFFSET] = isLast ? 1 : 0;
  return nonce;
}

/**
 * Cuts bytes that arrive in pieces into frames of one length. The newest full frame is kept back until it is known
 * whether more follows, because the last frame is sealed otherwise than the rest.
 */
export class FrameCutter {
  readonly #frame: Uint8Array;
  #used = 0;

  /** @param length bytes of a frame as it arrives: of plaintext, or of ciphertext and tag */
  constructor(length: number) {
    this.#frame = new Uint8Array(length);
  }

  /** Takes more bytes and hands out each frame that bytes follow. The frame is a view, valid during the call only. */
  push(bytes: Uint8Array, emit: (frame: Uint8Array) => void): void {
    const length = this.#frame.length;
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#used === length) {
        emit(this.#frame);
        this.#used = 0;
      }
      while (this.#used === 0 && bytes.length - offset > length) {
        emit(bytes.subarray(offset, offset + length));
        offset += length;
      }
      const taken = Math.min(length - this.#used, bytes.length - offset);
      this.#frame.set(bytes.subarray(offset, offset + taken), this.#used);
      this.#used += taken;
      offset += taken;
    }
  }

  /** Returns a view of the bytes kept back: the last frame, once nothing more comes. */
  rest(): Uint8Array {
    return this.#frame.subarray(0, this.#used);
  }

  wipe(): void {
    this.#frame.fill(0);
    this.#used = 0;
  }
}
