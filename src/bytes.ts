/** Helpers for byte arrays that every ring uses. Nothing here is for secret comparison. */

import { ensure, KmsError } from "./errors.ts";

/** Returns a getter of all typed arrays: an array's own property or its class can lie about what it answers. */
function typedArrayGetter<T>(name: string | symbol): (this: unknown) => T {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => T;
}

const TYPED_ARRAY_TAG: (this: unknown) => string | undefined = typedArrayGetter(Symbol.toStringTag);
const LENGTH: (this: unknown) => number = typedArrayGetter("length");
const BYTE_LENGTH: (this: unknown) => number = typedArrayGetter("byteLength");
const BUFFER: (this: unknown) => ArrayBufferLike = typedArrayGetter("buffer");

/**
 * Returns how many bytes an array of a caller really has. Its property may say something else, or run code of the caller
 * in the middle of an operation.
 */
export function lengthOf(bytes: Uint8Array): number {
  return LENGTH.call(bytes);
}

/** Returns how many bytes a typed array of a caller really has; 0 for everything else. */
export function byteLengthOf(value: unknown): number {
  return TYPED_ARRAY_TAG.call(value) === undefined ? 0 : BYTE_LENGTH.call(value);
}

/**
 * Checks that a value is a Uint8Array (of any realm) over memory nobody else can change or has taken away.
 *
 * @param name the field's name, for the message
 * @throws KmsError `InvalidParameter` for other types, SharedArrayBuffer memory and detached buffers
 */
export function ensureBytes(value: unknown, name: string): asserts value is Uint8Array {
  // The tag is read from the array itself, so neither a proxy nor a prototype can lie about it. No message is built yet.
  if (TYPED_ARRAY_TAG.call(value) !== "Uint8Array") {
    throw new KmsError("InvalidParameter", `${name} must be a Uint8Array.`);
  }
  const buffer = BUFFER.call(value);
  const length = LENGTH.call(value);
  if (length !== 0 && buffer instanceof ArrayBuffer) return;
  ensure(
    Object.prototype.toString.call(buffer) === "[object ArrayBuffer]",
    "InvalidParameter",
    `${name} must not be backed by a SharedArrayBuffer.`,
  );
  ensure(length !== 0 || !isDetached(buffer), "InvalidParameter", `${name} must not be detached.`);
}

/** Tells whether a buffer was transferred away. Node 20 has no `detached`, but a view on such a buffer cannot be made. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).byteLength < 0;
  } catch {
    return true;
  }
}

/** Joins byte arrays into a fresh one that owns its buffer. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Copies into a fresh array that owns its buffer; `slice` of a Buffer would share memory. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

const SET: (this: Uint8Array, source: ArrayLike<number>, offset: number) => void = Uint8Array.prototype.set;

/**
 * Copies an array into another. An own method of the target, which may be a caller's, would be shown the memory behind a view
 * of the kernels'; and V8 11 looks methods up at every call.
 */
export function setBytes(target: Uint8Array, source: Uint8Array, offset: number): void {
  SET.call(target, source, offset);
}

/** Copies a few bytes between arrays that do not overlap; below about 20 this beats `setBytes`. */
export function copyShort(
  source: Uint8Array,
  sourceStart: number,
  target: Uint8Array,
  targetStart: number,
  length: number,
): void {
  for (let i = 0; i < length; i++) target[targetStart + i] = source[sourceStart + i] as number;
}

/** Writes public bytes as lower-case hexadecimal. Never for keys: a string cannot be wiped. */
export function publicToHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads an even number of hexadecimal digits, which the caller has checked. */
export function hexToBytes(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** Compares public bytes. Time depends on the contents. */
export function equalBytesVartime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
