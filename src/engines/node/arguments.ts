/** Checks of arguments and small helpers that every primitive of the node engine shares. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HashName, Signable } from "../engine.ts";

/** What OpenSSL calls a hash, and its output length in bytes. */
interface HashFacts {
  readonly openssl: string;
  readonly byteLength: number;
}

const HASHES: ReadonlyMap<unknown, HashFacts> = new Map<HashName, HashFacts>([
  ["SHA-1", { openssl: "sha1", byteLength: 20 }],
  ["SHA-256", { openssl: "sha256", byteLength: 32 }],
  ["SHA-384", { openssl: "sha384", byteLength: 48 }],
  ["SHA-512", { openssl: "sha512", byteLength: 64 }],
]);

/** @throws KmsError `InvalidParameter` for anything but the name of a hash */
export function hashFacts(hash: unknown): HashFacts {
  const facts = HASHES.get(hash);
  ensure(facts !== undefined, "InvalidParameter", "hash must be SHA-1, SHA-256, SHA-384 or SHA-512.");
  return facts;
}

/** A signable after its shape was checked. */
export type CheckedSignable =
  | { readonly kind: "digest"; readonly digest: Uint8Array }
  | { readonly kind: "message"; readonly message: Uint8Array; readonly hash: HashName };

/** @throws KmsError `InvalidParameter` unless it is a digest, or a message with the name of a hash */
export function checkSignable(signable: Signable): CheckedSignable {
  if (typeof signable === "object" && signable !== null && "message" in signable) {
    const { message, hash } = signable;
    ensureBytes(message, "message");
    hashFacts(hash);
    return { kind: "message", message, hash };
  }
  ensureBytes(signable, "signable");
  return { kind: "digest", digest: signable };
}

/** Takes a Buffer that OpenSSL filled as a plain array over memory it does not share; a pooled one is moved and wiped. */
export function ownBytes(buffer: Buffer): Uint8Array {
  if (buffer.byteLength === buffer.buffer.byteLength) return new Uint8Array(buffer.buffer);
  const own = new Uint8Array(buffer);
  buffer.fill(0);
  return own;
}

/** Views bytes as the Buffer that key parsers of node:crypto are declared to take. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Refuses what is not an object of options; undefined stands for none. */
export function checkOptions<T extends object>(options: T | undefined): T | Record<string, never> {
  if (options === undefined) return {};
  ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
  return options;
}

/** Refuses what is not an array of objects. */
export function checkItems(items: readonly unknown[]): void {
  ensure(
    Array.isArray(items) && items.every((item) => typeof item === "object" && item !== null),
    "InvalidParameter",
    "items must be an array of objects.",
  );
}
