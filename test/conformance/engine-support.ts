/** What the conformance suites of the engines share. */

import fc from "fast-check";
import { expect } from "vitest";
import type { Engine, HashName } from "../../src/engines/engine.ts";
import { KmsError } from "../../src/errors.ts";

/** Makes a fresh engine under test. */
export type MakeEngine = () => Engine | Promise<Engine>;

export const HASHES: readonly HashName[] = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

/** What node:crypto calls each hash. */
export const OPENSSL_HASH: Readonly<Record<HashName, string>> = {
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

/** Gives a primitive that the engine must serve. */
export function served<Name extends keyof Engine>(engine: Engine, name: Name): NonNullable<Engine[Name]> {
  const primitive = engine[name];
  if (primitive === undefined) throw new Error(`the engine does not serve ${name}`);
  return primitive;
}

/** Gives the code of the KmsError that a call throws, or "none". Anything else thrown is a failure of the test. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
  return "none";
}

/** Gives the code of the KmsError that a promise rejects with, or "none". */
export async function codeOfAsync(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
  return "none";
}

/** Byte arrays from empty to a few blocks of any hash, often at an offset of a larger buffer. */
export function bytes(maxLength = 300): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.uint8Array({ maxLength }), fc.nat(5)).map(([content, lead]) => {
    const memory = new Uint8Array(content.length + lead);
    memory.set(content, lead);
    return memory.subarray(lead);
  });
}

/** Fails unless a result is a plain Uint8Array whose buffer holds nothing else. */
export function expectOwned(result: Uint8Array): void {
  expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
  expect(result.buffer.byteLength).toBe(result.byteLength);
}

/** Copies with one bit changed. */
export function flipBit(original: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(original);
  const at = (bit >> 3) % flipped.length;
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
  return flipped;
}

/** Encodes text. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Values that are no Uint8Array, or one over memory that is not the caller's alone. */
export function notBytes(): unknown[] {
  const detached = new Uint8Array(4);
  structuredClone(detached, { transfer: [detached.buffer] });
  return [
    undefined,
    null,
    "text",
    7,
    [1, 2],
    new Uint16Array(2),
    new Uint8Array(new SharedArrayBuffer(4)),
    detached,
  ];
}
