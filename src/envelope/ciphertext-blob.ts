/**
 * The self-describing ciphertext of advance* and the AAD that binds it. The layout is docs/ciphertext-blob.md,
 * [BLOB-1] to [BLOB-9] and [AAD-1] to [AAD-5].
 *
 *     0    2 3 4 5     8                24        36
 *     | KP |v|a|p| 000 | key version id | iv (12) | ciphertext ‖ tag (16) |
 *      magic | | padding mode             (16 bytes, UUID)
 *            | algorithm
 *            format version
 */

import { concatBytes, copyShort, lengthOf } from "../bytes.ts";

export const BLOB_HEADER_LENGTH = 24;
export const IV_LENGTH = 12;
export const TAG_LENGTH = 16;
/** Bytes a blob has beyond its plaintext. */
export const BLOB_OVERHEAD: number = BLOB_HEADER_LENGTH + IV_LENGTH + TAG_LENGTH;

/** Version of the layout that this code writes, and the only one it reads. */
export const BLOB_FORMAT_VERSION = 1;
const MAGIC_0 = 0x4b;
const MAGIC_1 = 0x50;
/** The vendor's own number for AES_GCM, so that blobs can be re-laid out without a table. */
export const ALGORITHM_AES_GCM = 2;
/** Where a blob has its key version id. */
export const KEY_VERSION_ID_OFFSET = 8;
/** Where a blob has its ciphertext. */
export const SEALED_OFFSET: number = BLOB_HEADER_LENGTH + IV_LENGTH;

/**
 * Builds the header that names algorithm and key version; a pure function of them.
 *
 * @param keyVersionId 16 bytes
 */
export function blobHeader(keyVersionId: Uint8Array): Uint8Array {
  const header = new Uint8Array(BLOB_HEADER_LENGTH);
  header[0] = MAGIC_0;
  header[1] = MAGIC_1;
  header[2] = BLOB_FORMAT_VERSION;
  header[3] = ALGORITHM_AES_GCM;
  header.set(keyVersionId, KEY_VERSION_ID_OFFSET);
  return header;
}

/** Joins header ‖ iv ‖ sealed. */
export function encodeBlob(header: Uint8Array, iv: Uint8Array, sealed: Uint8Array): Uint8Array {
  return concatBytes(header, iv, sealed);
}

/** Views of a blob's parts; they share its memory. */
export interface BlobParts {
  /** 16 bytes; attacker-controlled until the tag has been checked. */
  readonly keyVersionId: Uint8Array;
  readonly iv: Uint8Array;
  /** Ciphertext ‖ tag, at least 17 bytes. */
  readonly sealed: Uint8Array;
}

/** Tells whether bytes begin like a blob, whatever its version. */
export function isBlobStart(bytes: Uint8Array): boolean {
  return bytes[0] === MAGIC_0 && bytes[1] === MAGIC_1;
}

/** Tells whether bytes can be a blob: everything but the tag is judged. */
export function isBlob(blob: Uint8Array): boolean {
  return (
    lengthOf(blob) > BLOB_OVERHEAD &&
    isBlobStart(blob) &&
    blob[2] === BLOB_FORMAT_VERSION &&
    blob[3] === ALGORITHM_AES_GCM &&
    blob[4] === 0 &&
    blob[5] === 0 &&
    blob[6] === 0 &&
    blob[7] === 0
  );
}

/** Splits a blob; undefined for every byte string that `encodeBlob` cannot have made. */
export function parseBlob(blob: Uint8Array): BlobParts | undefined {
  if (!isBlob(blob)) return undefined;
  return {
    keyVersionId: blob.subarray(KEY_VERSION_ID_OFFSET, BLOB_HEADER_LENGTH),
    iv: blob.subarray(BLOB_HEADER_LENGTH, BLOB_HEADER_LENGTH + IV_LENGTH),
    sealed: blob.subarray(BLOB_HEADER_LENGTH + IV_LENGTH),
  };
}

/** Says which of the two ciphertext forms a text belongs to, so that neither passes for the other. */
export type FrameMode = "detached" | "advance";

const MODE_BYTES: Readonly<Record<FrameMode, number>> = { detached: 1, advance: 2 };

/** Returns how long the frame around an aad is. */
export function frameLength(aadLength: number): number {
  return (aadLength + 1 + BLOB_HEADER_LENGTH + IV_LENGTH + 15) & ~15;
}

/**
 * Writes what AES-GCM authenticates: aad ‖ mode byte ‖ zeros ‖ header ‖ iv, of a length divisible by 16.
 * The mode byte is not zero, so the zeros can be told from the aad and the frame is injective.
 *
 * @param frame exactly `frameLength(aad.length)` bytes, of any content
 */
export function writeFrame(
  frame: Uint8Array,
  mode: FrameMode,
  header: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
): void {
  const headerStart = frame.length - BLOB_HEADER_LENGTH - IV_LENGTH;
  const aadLength = lengthOf(aad);
  frame.set(aad, 0);
  frame[aadLength] = MODE_BYTES[mode];
  for (let i = aadLength + 1; i < headerStart; i++) frame[i] = 0;
  copyShort(header, 0, frame, headerStart, BLOB_HEADER_LENGTH);
  copyShort(iv, 0, frame, frame.length - IV_LENGTH, IV_LENGTH);
}
