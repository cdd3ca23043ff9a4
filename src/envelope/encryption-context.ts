/**
 * Turns an encryption context into the bytes that AES-GCM authenticates. Two contexts give the same bytes exactly
 * when they hold the same pairs; order does not matter. The layout is docs/ciphertext-blob.md, [CTX-1] to [CTX-7].
 */

import { concatBytes, copyShort, setBytes } from "../bytes.ts";
import { KmsError } from "../errors.ts";

/** A map from string to string; `{}` and `{ "": "" }` are contexts of their own, unlike an absent one. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** The pairs of a context: `values[i]` belongs to `names[i]`. */
interface Pairs {
  readonly names: readonly string[];
  readonly values: string[];
}

/** First byte of an encoded context. */
const ENCODING_VERSION = 1;
/** Where the pairs begin, behind the version and their number. */
const FIRST_PAIR_OFFSET = 3;
const MAX_JSON_LENGTH = 8192;
/** A code unit grows to at most six characters of JSON (\uXXXX). */
const MAX_JSON_EXPANSION = 6;
const TOO_LONG = "must have at most 8192 characters as JSON.";
const LONE_SURROGATE = /\p{Surrogate}/u;
const encoder = new TextEncoder();
const HAS_OWN: (this: object, key: string) => boolean = Object.prototype.hasOwnProperty;

/**
 * Checks a context and lists its pairs.
 *
 * @throws KmsError `InvalidParameter` unless it is a plain object of strings whose JSON has at most 8192 characters
 */
function readPairs(context: unknown, name: string): Pairs {
  if (!isPlainObject(context)) return refuse(name, "must be a plain object of strings.");
  const names = Object.keys(context);
  const values: string[] = [];
  let units = 0;
  for (let i = 0; i < names.length; i++) {
    const key = names[i] as string;
    const value = context[key];
    if (typeof value !== "string") return refuse(name, "must have string values only.");
    units += key.length + value.length;
    if (units > MAX_JSON_LENGTH) refuse(name, TOO_LONG);
    values.push(value);
  }
  const pairs = { names, values };
  const punctuation = 6 * names.length + 2;
  if (units * MAX_JSON_EXPANSION + punctuation <= MAX_JSON_LENGTH) return pairs;
  if (JSON.stringify(Object.fromEntries(entriesOf(pairs))).length > MAX_JSON_LENGTH) refuse(name, TOO_LONG);
  return pairs;
}

function entriesOf({ names, values }: Pairs): [string, string][] {
  return names.map((key, i) => [key, values[i] as string]);
}

function refuse(name: string, fault: string): never {
  throw new KmsError("InvalidParameter", `${name} ${fault}`);
}

/** Tells objects made as `{}` or without a prototype, in any realm, from arrays and instances of classes. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype) return true;
  // Another realm's Object.prototype is as plain as ours: it has no prototype, but methods of its own.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** Tells plain objects of this realm. */
function isPlainHere(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  // Having read a property, V8 knows the shape, and with it the prototype, which it would have to ask for else.
  void value.constructor;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || prototype === Object.prototype;
}

/** Orders byte strings as memcmp does, the shorter one first among equals. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Sorts pairs by the UTF-8 of their keys. @throws KmsError `InvalidParameter`: a lone surrogate has no UTF-8 of its own */
function sortedByKeyBytes(pairs: Pairs, name: string): (readonly [Uint8Array, string, string])[] {
  const entries = entriesOf(pairs);
  for (const [key, value] of entries) {
    if (LONE_SURROGATE.test(key) || LONE_SURROGATE.test(value))
      refuse(name, "must not hold lone surrogates.");
  }
  return entries
    .map(([key, value]) => [encoder.encode(key), key, value] as const)
    .sort(([a], [b]) => compareBytes(a, b));
}

/**
 * Encodes a context: version (1) ‖ number of pairs (2) ‖ for each pair, sorted by the UTF-8 bytes of its key,
 * key length (2) ‖ key ‖ value length (2) ‖ value; big-endian.
 *
 * @throws KmsError `InvalidParameter` naming `name`
 */
export function encodeContext(context: unknown, name: string): Uint8Array {
  return encodePairs(readPairs(context, name), name);
}

function encodePairs(pairs: Pairs, name: string): Uint8Array {
  return encodeAscii(pairs) ?? encodeUtf8(pairs, name);
}

/** Encodes pairs of ASCII strings, whose code units are their bytes; undefined when there are others. */
function encodeAscii({ names, values }: Pairs): Uint8Array | undefined {
  let length = FIRST_PAIR_OFFSET;
  for (let i = 0; i < names.length; i++) {
    length += 4 + (names[i] as string).length + (values[i] as string).length;
  }
  const order = isInOrder(names) ? undefined : sortedOrder(names);
  const bytes = new Uint8Array(length);
  bytes[0] = ENCODING_VERSION;
  bytes[1] = names.length >>> 8;
  bytes[2] = names.length & 0xff;
  let offset = FIRST_PAIR_OFFSET;
  for (let i = 0; i < names.length; i++) {
    const index = order === undefined ? i : (order[i] as number);
    offset = writeAscii(bytes, offset, names[index] as string);
    if (offset !== 0) offset = writeAscii(bytes, offset, values[index] as string);
    if (offset === 0) return undefined;
  }
  return bytes;
}

function isInOrder(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++) {
    if ((names[i - 1] as string) > (names[i] as string)) return false;
  }
  return true;
}

/** Orders indices by name. The order of code units is that of bytes where all of them are ASCII. */
function sortedOrder(names: readonly string[]): number[] {
  return names.map((_, i) => i).sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1));
}

/** Writes length (2) ‖ text and returns the offset behind it, or 0 when a character is not ASCII. */
function writeAscii(bytes: Uint8Array, start: number, text: string): number {
  const { length } = text;
  bytes[start] = length >>> 8;
  bytes[start + 1] = length & 0xff;
  const offset = start + 2;
  let units = 0;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    units |= unit;
    bytes[offset + i] = unit;
  }
  return units < 0x80 ? offset + length : 0;
}

function encodeUtf8(pairs: Pairs, name: string): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(ENCODING_VERSION), uint16(pairs.names.length)];
  for (const [key, , text] of sortedByKeyBytes(pairs, name)) {
    const value = encoder.encode(text);
    parts.push(uint16(key.length), key, uint16(value.length), value);
  }
  return concatBytes(...parts);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/**
 * Builds the text the vendor's transfer SDKs hash into the AAD: `k=v` pairs sorted by key bytes, joined by `&`.
 * It is ambiguous ({ a: "1&b=2" } and { a: "1", b: "2" } agree) and serves migration only.
 *
 * @throws KmsError `InvalidParameter` naming `name`
 */
export function transferContextText(context: unknown, name: string): Uint8Array {
  const text = sortedByKeyBytes(readPairs(context, name), name)
    .map(([, key, value]) => `${key}=${value}`)
    .join("&");
  return encoder.encode(text);
}

/**
 * Remembers the last context and its encoding. A hit is decided by reading every own key and value again and comparing,
 * so that neither a changed object nor another object with the same pairs is taken for something else.
 */
export class ContextCache {
  #names: readonly string[] = [];
  #values: string[] = [];
  #bytes: Uint8Array | undefined;
  /** The encoding has the pairs as they are listed, and a byte for each character. */
  #isPlain = false;

  /** The last encoding; no caller ever gets hold of it. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  /** Encodes like `encodeContext`. @throws KmsError `InvalidParameter` naming `name` */
  encode(context: unknown, name: string): Uint8Array {
    // Held here, since reading the context may run code of the caller that encodes another one meanwhile.
    const last = this.#bytes;
    if (last === undefined || !isPlainHere(context)) return this.#encodeAnew(context, name);
    const names = this.#names;
    const values = this.#values;
    let i = 0;
    let changed = -1;
    let value = "";
    // Quicker than listing the keys first.
    for (const key in context) {
      // Somebody may have tampered with the root. In a loop like this the question costs nothing.
      if (key !== names[i] || !HAS_OWN.call(context, key)) return this.#encodeAnew(context, name);
      const own = context[key];
      if (own !== values[i]) {
        if (changed >= 0 || typeof own !== "string") return this.#encodeAnew(context, name);
        changed = i;
        value = own;
      }
      i += 1;
    }
    if (i !== names.length || this.#bytes !== last) return this.#encodeAnew(context, name);
    return changed < 0 ? last : (this.#replace(last, changed, value) ?? this.#encodeAnew(context, name));
  }

  /** Encodes the last context with one value changed, which costs a third; undefined where that takes more than copying. */
  #replace(last: Uint8Array, changed: number, value: string): Uint8Array | undefined {
    const names = this.#names;
    const values = this.#values;
    let start = FIRST_PAIR_OFFSET;
    for (let i = 0; i <= changed; i++) {
      start += 2 + (names[i] as string).length;
      if (i < changed) start += 2 + (values[i] as string).length;
    }
    const oldLength = (values[changed] as string).length;
    const { length } = value;
    // Nothing shorter can be too long.
    if (!this.#isPlain || last.length - oldLength + length > MAX_JSON_LENGTH / MAX_JSON_EXPANSION)
      return undefined;
    const bytes = new Uint8Array(last.length - oldLength + length);
    // What is behind the value as well, where it stays in its place.
    if (length === oldLength) setBytes(bytes, last, 0);
    else copyShort(last, 0, bytes, 0, start);
    const end = writeAscii(bytes, start, value);
    if (end === 0) return undefined;
    if (length !== oldLength) copyShort(last, start + 2 + oldLength, bytes, end, bytes.length - end);
    values[changed] = value;
    this.#bytes = bytes;
    return bytes;
  }

  #encodeAnew(context: unknown, name: string): Uint8Array {
    const pairs = readPairs(context, name);
    const ascii = encodeAscii(pairs);
    const bytes = ascii ?? encodeUtf8(pairs, name);
    this.#isPlain = ascii !== undefined && isInOrder(pairs.names);
    this.#names = pairs.names;
    this.#values = pairs.values;
    this.#bytes = bytes;
    return bytes;
  }
}
