/** Inner steps of the key wrap kernel against independent definitions, in both builds. */

import { createDecipheriv, randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { type HashKwProbe, loadProbe, TARGETS } from "./hash-kw-kernel.ts";

const A = 0x20000;
const B = 0x21000;
const C = 0x22000;
const D = 0x23000;

/** Multiplies in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2). */
function multiplyBytes(a: number, b: number): number {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
    if ((b >> i) & 1) product ^= a;
  }
  return product;
}

/** Computes the inverse S-box as the table that undoes the S-box's definition (FIPS 197, 5.1.1 and 5.3.2). */
function inverseSBox(): Uint8Array {
  const table = new Uint8Array(256);
  for (let value = 0; value < 256; value++) {
    let inverse = 0;
    for (let candidate = 1; candidate < 256; candidate++) {
      if (multiplyBytes(value, candidate) === 1) inverse = candidate;
    }
    let substitute = 0x63;
    for (let shift = 0; shift < 5; shift++) {
      substitute ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xff;
    }
    table[substitute] = value;
  }
  return table;
}

describe.each(TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let probe: HashKwProbe;
  let memory: Uint8Array;

  beforeAll(async () => {
    probe = await loadProbe(target);
    memory = new Uint8Array(probe.memory.buffer);
  }, 60_000);

  test("inverseSubBytes equals the inverse S-box for all 256 bytes in every one of 64 places", () => {
    const table = inverseSBox();
    for (let first = 0; first < 256; first++) {
      const input = Uint8Array.from({ length: 64 }, (_, i) => (first + 5 * i) & 0xff);
      memory.set(input, A);
      probe.transpose(A);
      probe.inverseSubBytes(A);
      probe.transpose(A);
      expect(memory.slice(A, A + 64)).toEqual(input.map((value) => table[value] ?? 0));
    }
  });

  test.each([16, 24, 32])("decryptFourBlocks equals AES-ECB of OpenSSL for keys of %i bytes", (keyLength) => {
    for (let i = 0; i < 200; i++) {
      const key = i === 0 ? Buffer.alloc(keyLength) : randomBytes(keyLength);
      const blocks = i === 1 ? Buffer.alloc(64) : randomBytes(64);
      memory.set(key, A);
      memory.set(blocks, B);
      probe.expandKey(C, A, keyLength, D);
      probe.decryptFourBlocks(B, C, keyLength / 4 + 6, D);
      const cipher = createDecipheriv(`aes-${keyLength * 8}-ecb`, key, null).setAutoPadding(false);
      expect(memory.slice(B, B + 64)).toEqual(new Uint8Array(cipher.update(blocks)));
      probe.encryptFourBlocks(B, C, keyLength / 4 + 6, D);
      expect(memory.slice(B, B + 64)).toEqual(new Uint8Array(blocks));
    }
  });

  test("zeroBit32 and lessMask32 decide as their names say", () => {
    expect(probe.zeroBit32(0)).toBe(1);
    for (let bit = 0; bit < 32; bit++) expect(probe.zeroBit32(1 << bit)).toBe(0);
    expect(probe.zeroBit32(-1)).toBe(0);
    const values = [0, 1, 2, 6, 7, 8, 2 ** 31 - 2, 2 ** 31 - 1];
    for (const a of values) for (const b of values) expect(probe.lessMask32(a, b)).toBe(a < b ? -1 : 0);
  });
});
