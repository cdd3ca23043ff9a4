/** Inner steps of the AES-GCM kernels against independent definitions, in the release and the debug build. */

import { createCipheriv, randomBytes } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type AesGcmProbe, loadProbe, SCALAR_TARGETS } from "./aes-gcm-kernel.ts";

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

/** Computes the S-box from its definition: inverse, then the affine map (FIPS 197, 5.1.1). */
function sBox(value: number): number {
  let inverse = 0;
  for (let candidate = 1; candidate < 256; candidate++) {
    if (multiplyBytes(value, candidate) === 1) inverse = candidate;
  }
  let result = 0x63;
  for (let shift = 0; shift < 5; shift++) result ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xff;
  return result;
}

/** Multiplies in GF(2^128) bit by bit as SP 800-38D, 6.3 writes it. */
function multiplyBlocks(x: bigint, y: bigint): bigint {
  let z = 0n;
  let v = y;
  for (let i = 127n; i >= 0n; i--) {
    if ((x >> i) & 1n) z ^= v;
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n;
  }
  return z;
}

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);

/** Blocks of random bytes, with all zeros, all ones and single bits among them. */
const block = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.constantFrom(new Uint8Array(16), new Uint8Array(16).fill(0xff)),
  fc.nat(127).map((bit) => {
    const single = new Uint8Array(16);
    single[bit >> 3] = 1 << (bit & 7);
    return single;
  }),
);

describe.each(SCALAR_TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let probe: AesGcmProbe;
  let memory: Uint8Array;

  beforeAll(async () => {
    probe = await loadProbe(target);
    memory = new Uint8Array(probe.memory.buffer);
  }, 60_000);

  test("subBytes equals the S-box for all 256 bytes in every one of 64 places", () => {
    const table = Uint8Array.from({ length: 256 }, (_, value) => sBox(value));
    for (let first = 0; first < 256; first++) {
      const input = Uint8Array.from({ length: 64 }, (_, i) => (first + 5 * i) & 0xff);
      memory.set(input, A);
      probe.transpose(A);
      probe.subBytes(A);
      probe.transpose(A);
      expect(memory.slice(A, A + 64)).toEqual(input.map((value) => table[value] ?? 0));
    }
  });

  test("unsliceBlocks undoes sliceBlocks", () => {
    const input = new Uint8Array(randomBytes(64));
    memory.set(input, A);
    probe.sliceBlocks(B, A);
    expect(memory.slice(B, B + 64)).not.toEqual(input);
    probe.unsliceBlocks(C, B);
    expect(memory.slice(C, C + 64)).toEqual(input);
  });

  test.each([16, 24, 32])("encryptFourBlocks equals AES-ECB of OpenSSL for keys of %i bytes", (keyLength) => {
    for (let i = 0; i < 200; i++) {
      const key = i === 0 ? Buffer.alloc(keyLength) : randomBytes(keyLength);
      const blocks = i === 1 ? Buffer.alloc(64) : randomBytes(64);
      memory.set(key, A);
      memory.set(blocks, B);
      probe.expandKey(C, A, keyLength, D);
      probe.encryptFourBlocks(B, C, keyLength / 4 + 6, D);
      const cipher = createCipheriv(`aes-${keyLength * 8}-ecb`, key, null).setAutoPadding(false);
      expect(memory.slice(B, B + 64)).toEqual(new Uint8Array(cipher.update(blocks)));
    }
  });

  test("expandKey leaves no key words and no scratch behind", () => {
    memory.set(randomBytes(32), A);
    memory.fill(0xff, D, D + 64);
    probe.expandKey(C, A, 32, D);
    expect(memory.slice(D, D + 64)).toEqual(new Uint8Array(64));
    expect(memory.slice(0, A).every((byte) => byte === 0)).toBe(true);
  });

  test("absorbBlocks equals GHASH over BigInt", () => {
    fc.assert(
      fc.property(block, block, fc.array(block, { maxLength: 5 }), (h, start, blocks) => {
        memory.set(h, A);
        probe.prepareHashKey(B, A);
        // The accumulator keeps its two words in native order, high word first.
        const view = new DataView(memory.buffer);
        const startWords = new DataView(start.slice().buffer);
        view.setBigUint64(C, startWords.getBigUint64(0), true);
        view.setBigUint64(C + 8, startWords.getBigUint64(8), true);
        memory.set(Buffer.concat(blocks), D);
        probe.absorbBlocks(C, B, D, blocks.length);
        let expected = toBigInt(start);
        for (const each of blocks) expected = multiplyBlocks(expected ^ toBigInt(each), toBigInt(h));
        expect((view.getBigUint64(C, true) << 64n) | view.getBigUint64(C + 8, true)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("equalBit sees every single differing bit and nothing else", () => {
    const bytes = new Uint8Array(randomBytes(16));
    memory.set(bytes, A);
    memory.set(bytes, B);
    expect(probe.equalBit(A, B, 16)).toBe(1);
    expect(probe.equalBit(A, B, 0)).toBe(1);
    for (let bit = 0; bit < 128; bit++) {
      memory[B + (bit >> 3)] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(probe.equalBit(A, B, 16)).toBe(0);
      memory[B + (bit >> 3)] = bytes[bit >> 3] ?? 0;
    }
    memory[B + 16] = (memory[A + 16] ?? 0) ^ 1;
    expect(probe.equalBit(A, B, 16)).toBe(1);
  });
});
