/**
 * A strict DER reader and writer (X.690, 10 and 11) for the few shapes that keys and signatures take. Callers walk
 * a fixed schema, so nesting is as deep as the schema and never as deep as the input asks for.
 */

/** Tags of the types in use: universal ones, and the context-specific constructed [0] and [1]. */
export const DerTag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  sequence: 0x30,
  context0: 0xa0,
  context1: 0xa1,
} as const;

/** Says that bytes are not the DER a reader wants. Never leaves the engines: keys map it to `InvalidKeyMaterial`. */
export class DerError extends Error {}

/** Longest length of a length that is read: 3 bytes, 16 MiB; no key comes near. */
const MAX_LENGTH_BYTES = 3;

/** Walks DER in place. What it returns are views of the input, so no copy of a key is left behind. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Tells whether the next element has this tag; false at the end. */
  isNext(tag: number): boolean {
    return this.#offset < this.#bytes.length && this.#bytes[this.#offset] === tag;
  }

  /**
   * Reads one element's content.
   *
   * @throws DerError for another tag, a length that is indefinite, not minimal (X.690, 10.1) or beyond the input
   */
  read(tag: number): Uint8Array {
    if (this.#byte() !== tag) throw new DerError("unexpected tag");
    const length = this.#length();
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw new DerError("truncated");
    this.#offset = start + length;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Enters a constructed element. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag));
  }

  /**
   * Reads a non-negative INTEGER as its magnitude: big-endian, without sign octet, `[0]` for zero.
   *
   * @throws DerError for a negative or not minimal one (X.690, 8.3.2)
   */
  unsigned(): Uint8Array {
    const content = this.read(DerTag.integer);
    const first = content[0];
    if (first === undefined || first >= 0x80) throw new DerError("not a non-negative integer");
    if (first !== 0 || content.length === 1) return content;
    if ((content[1] ?? 0) < 0x80) throw new DerError("integer not minimal");
    return content.subarray(1);
  }

  /** Reads a BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const content = this.read(DerTag.bitString);
    if (content[0] !== 0) throw new DerError("bit string with unused bits");
    return content.subarray(1);
  }

  /** Skips bytes that must be exactly these, such as an object identifier with its header. */
  expect(bytes: Uint8Array): void {
    for (const byte of bytes) if (this.#byte() !== byte) throw new DerError("unexpected value");
  }

  /** @throws DerError unless everything has been read */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw new DerError("trailing bytes");
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new DerError("truncated");
    this.#offset++;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > MAX_LENGTH_BYTES) throw new DerError("unsupported length");
    let length = 0;
    for (let i = 0; i < count; i++) length = (length << 8) | this.#byte();
    if (length < 0x80 || length >>> (8 * (count - 1)) === 0) throw new DerError("length not minimal");
    return length;
  }
}

/** An element to write: raw content bytes and nested elements, end to end. */
export interface DerElement {
  readonly tag: number;
  readonly content: readonly (DerElement | Uint8Array)[];
}

const ZERO_OCTET: Uint8Array = new Uint8Array(1);

/** Describes an element. */
export function der(tag: number, ...content: readonly (DerElement | Uint8Array)[]): DerElement {
  return { tag, content };
}

/** Describes an INTEGER from a big-endian magnitude, which may have leading zeros. */
export function derUnsigned(magnitude: Uint8Array): DerElement {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const minimal = magnitude.subarray(start);
  if (minimal.length === 0) return der(DerTag.integer, ZERO_OCTET);
  return (minimal[0] ?? 0) >= 0x80 ? der(DerTag.integer, ZERO_OCTET, minimal) : der(DerTag.integer, minimal);
}

/** Describes a BIT STRING of whole bytes. */
export function derBitString(...content: readonly (DerElement | Uint8Array)[]): DerElement {
  return der(DerTag.bitString, ZERO_OCTET, ...content);
}

/** Writes an element into a fresh array; key bytes go nowhere else. */
export function encodeDer(element: DerElement): Uint8Array {
  const out = new Uint8Array(encodedLength(element));
  write(element, out, 0);
  return out;
}

/** Tells elements from bytes, which may be of another realm. */
function isElement(part: DerElement | Uint8Array): part is DerElement {
  return "content" in part;
}

function contentLength(element: DerElement): number {
  let length = 0;
  for (const part of element.content) length += isElement(part) ? encodedLength(part) : part.length;
  return length;
}

function encodedLength(element: DerElement): number {
  const length = contentLength(element);
  return 2 + lengthBytes(length) + length;
}

/** Counts the bytes after the first one of a length. */
function lengthBytes(length: number): number {
  if (length < 0x80) return 0;
  return length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
}

function write(element: DerElement, out: Uint8Array, start: number): number {
  const length = contentLength(element);
  const count = lengthBytes(length);
  let offset = start;
  out[offset++] = element.tag;
  out[offset++] = count === 0 ? length : 0x80 | count;
  for (let i = count - 1; i >= 0; i--) out[offset++] = (length >>> (8 * i)) & 0xff;
  for (const part of element.content) {
    if (isElement(part)) {
      offset = write(part, out, offset);
    } else {
      out.set(part, offset);
      offset += part.length;
    }
  }
  return offset;
}
