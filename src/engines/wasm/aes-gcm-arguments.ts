/** Checks of what callers hand to AES-GCM, before any of it is copied into the arena. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { PackedShape } from "../engine.ts";

export const IV_LENGTH = 12;
export const TAG_LENGTH = 16;

/** Most bytes of one message (SP 800-38D, 5.2.1.1). */
const MESSAGE_LIMIT: number = 2 ** 36 - 32;

/** Stands for absent AAD, which GCM does not tell from empty AAD. */
const NO_AAD: Uint8Array = new Uint8Array(0);

/**
 * The AAD that passed last. Whether its memory is shared cannot change, asking costs more than a copy, and the same AAD
 * comes again and again.
 */
let lastAad: Uint8Array = NO_AAD;

/** Checks IV, data and AAD of one message; returns the AAD. */
export function checkMessage(
  iv: Uint8Array,
  data: Uint8Array,
  dataName: "plaintext" | "sealed",
  aad: Uint8Array | undefined,
): Uint8Array {
  ensureBytes(iv, "iv");
  ensure(iv.length === IV_LENGTH, "InvalidParameter", "iv must have 12 bytes.");
  ensureBytes(data, dataName);
  ensure(data.length <= MESSAGE_LIMIT, "InvalidParameter", `${dataName} is longer than AES-GCM allows.`);
  if (aad === undefined) return NO_AAD;
  // A known array needs no second look but for one thing: it may have been transferred away since.
  if (aad !== lastAad || aad.length === 0) {
    ensureBytes(aad, "aad");
    lastAad = aad;
  }
  return aad;
}

/** Checks that a result of `length` bytes fits into `out` at `offset`. */
export function checkRoom(out: Uint8Array, offset: number, length: number): void {
  ensureBytes(out, "out");
  ensure(
    Number.isSafeInteger(offset) && offset >= 0 && offset + length <= out.length,
    "InvalidParameter",
    "out has no room for the result at this offset.",
  );
}

/** Where the parts of packed records lie, in bytes. */
export interface PackedLayout {
  readonly count: number;
  readonly aadEnd: number;
  readonly recordLength: number;
  /** Bytes of one result. */
  readonly resultLength: number;
}

/** Checks a shape and that the records are exactly as long as it says. */
export function checkPacked(
  records: Uint8Array,
  shape: PackedShape,
  direction: "seal" | "open",
): PackedLayout {
  ensureBytes(records, "records");
  ensure(typeof shape === "object" && shape !== null, "InvalidParameter", "shape must be an object.");
  const { count, aadLength, plaintextLength } = shape;
  for (const part of [count, aadLength, plaintextLength]) {
    ensure(
      Number.isSafeInteger(part) && part >= 0,
      "InvalidParameter",
      "count, aadLength and plaintextLength of shape must be non-negative integers.",
    );
  }
  const sealedLength = plaintextLength + TAG_LENGTH;
  const aadEnd = IV_LENGTH + aadLength;
  const recordLength = aadEnd + (direction === "seal" ? plaintextLength : sealedLength);
  ensure(
    records.length === count * recordLength,
    "InvalidParameter",
    "records must be exactly as long as shape says.",
  );
  return { count, aadEnd, recordLength, resultLength: direction === "seal" ? sealedLength : plaintextLength };
}

/** Tells whether writing `length` bytes at `offset` of `out` touches bytes of `input`. */
export function overlaps(input: Uint8Array, out: Uint8Array, offset: number, length: number): boolean {
  const start = out.byteOffset + offset;
  return (
    input.buffer === out.buffer &&
    start < input.byteOffset + input.length &&
    input.byteOffset < start + length
  );
}
