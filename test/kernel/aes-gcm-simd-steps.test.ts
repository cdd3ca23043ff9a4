/** Inner steps of the vector kernels against independent definitions, in the plain and the relaxed build. */

import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  CONTEXT,
  DATA,
  encryptWithOpenssl,
  ghash,
  IV,
  KEY,
  KEYSTREAM,
  loadSimdProbe,
  PLANES,
  SET,
  type SimdProbe,
  STATE,
  VECTOR_TARGETS,
} from "./aes-gcm-simd-kernel.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** The S-box read off OpenSSL: with the key zero the last round of a block shows it, but here from its definition. */
function sBox(value: number): number {
  let inverse = 0;
  for (let candidate = 1; candidate < 256; candidate++) {
    let product = 0;
    for (let i = 7; i >= 0; i--) {
      product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
      if ((candidate >> i) & 1) product ^= value;
    }
    if (product === 1) inverse = candidate;
  }
  let result = 0x63;
  for (let shift = 0; shift < 5; shift++) result ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xff;
  return result;
}

const S_BOX = Uint8Array.from({ length: 256 }, (_, value) => sBox(value));

describe.each(VECTOR_TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let probe: SimdProbe;
  let memory: Uint8Array;

  beforeAll(async () => {
    probe = await loadSimdProbe(target);
    memory = new Uint8Array(probe.memory.buffer);
  }, 120_000);

  const take = (address: number, length: number): Uint8Array => memory.slice(address, address + length);

  function loadKey(key: Uint8Array): void {
    memory.set(key, KEY);
    probe.loadKey(CONTEXT, key.length);
  }

  test("the vector-permute S-box equals the definition for all 256 bytes in every place of a word", () => {
    for (let value = 0; value < 256; value++) {
      const bytes = [value, value ^ 0x55, 255 - value, (value * 7) & 0xff];
      const word = bytes.reduce((sum, byte, i) => sum | (byte << (8 * i)), 0);
      const result = probe.substituteWord(word);
      expect(bytes.map((_, i) => (result >>> (8 * i)) & 0xff)).toEqual(bytes.map((byte) => S_BOX[byte]));
    }
  });

  test("the bitsliced S-box equals the definition, but for 0x63, for all 256 bytes", () => {
    for (const first of [0, 256]) {
      const input = Uint8Array.from({ length: 512 }, (_, i) => (i + first / 16) & 0xff);
      memory.set(input, DATA);
      probe.transposePlanes(DATA);
      probe.subPlanes(DATA);
      probe.transposePlanes(DATA);
      expect(take(DATA, 512)).toEqual(input.map((value) => (S_BOX[value] ?? 0) ^ 0x63));
    }
  });

  test("the transposition is its own inverse and moves bit i of vector j to bit j of vector i", () => {
    const input = random(512);
    memory.set(input, DATA);
    probe.transposePlanes(DATA);
    const planes = new DataView(take(DATA, 512).buffer);
    const blocks = new DataView(input.buffer);
    for (let i = 0; i < 32; i++) {
      for (let j = 0; j < 32; j++) {
        for (let lane = 0; lane < 16; lane += 4) {
          const moved = (planes.getUint32(16 * i + lane, true) >>> j) & 1;
          expect(moved).toBe((blocks.getUint32(16 * j + lane, true) >>> i) & 1);
        }
      }
    }
    probe.transposePlanes(DATA);
    expect(take(DATA, 512)).toEqual(input);
  });

  test.each([16, 24, 32])("groups of 4, 16 and 32 blocks equal OpenSSL for keys of %i bytes", (keyLength) => {
    const rounds = keyLength / 4 + 6;
    for (let i = 0; i < 60; i++) {
      const key = i === 0 ? new Uint8Array(keyLength) : random(keyLength);
      const blocks = i === 1 ? new Uint8Array(512).fill(0xff) : random(512);
      const expected = encryptWithOpenssl(key, blocks);
      loadKey(key);
      memory.set(blocks, DATA);
      probe.encryptBlocks4(DATA + 512, CONTEXT, rounds, DATA);
      expect(take(DATA + 512, 64)).toEqual(expected.slice(0, 64));
      probe.encryptBlocks16(DATA + 512, CONTEXT, rounds, DATA);
      expect(take(DATA + 512, 256)).toEqual(expected.slice(0, 256));
      probe.expandKeyBitsliced(PLANES, CONTEXT, rounds);
      probe.encryptBlocks32(DATA, PLANES, rounds);
      expect(take(DATA, 512)).toEqual(expected);
    }
  });

  test("keystream equals encrypted counter blocks for every count, with and without tables, and where the counter wraps a byte", () => {
    const key = random(32);
    loadKey(key);
    probe.loadBulkOf(SET, CONTEXT, 32);
    const iv = random(12);
    memory.set(iv, IV);
    for (const [count, start] of [
      ...Array.from({ length: 128 }, (_, i) => [i + 1, 1] as const),
      [128, 0xf8],
      [128, 0xfff0],
      [100, 0xfffff0],
      [20, 0xfffffff0],
    ] as const) {
      const blocks = new Uint8Array(16 * count);
      for (let i = 0; i < count; i++) {
        blocks.set(iv, 16 * i);
        new DataView(blocks.buffer).setUint32(16 * i + 12, (start + i) >>> 0);
      }
      const expected = encryptWithOpenssl(key, blocks);
      for (const set of [0, SET]) {
        memory.fill(0, KEYSTREAM, KEYSTREAM + 0x2200);
        probe.useKey(CONTEXT, 32, set);
        probe.makeKeystream(IV, start | 0, count);
        expect(Buffer.compare(take(KEYSTREAM, 16 * count), expected)).toBe(0);
      }
    }
  });

  test("the hash equals GHASH over BigInt for 0 to 110 blocks, in one stream and in eight", () => {
    const key = random(16);
    const h = encryptWithOpenssl(key, new Uint8Array(16));
    loadKey(key);
    probe.loadBulkOf(SET, CONTEXT, 16);
    for (let count = 0; count <= 110; count++) {
      const blocks = count % 9 === 8 ? new Uint8Array(16 * count).fill(0xff) : random(16 * count);
      const expected = ghash(h, blocks);
      for (const set of [0, SET]) {
        memory.set(blocks, DATA);
        memory.fill(0, STATE, STATE + 16);
        probe.useKey(CONTEXT, 16, set);
        probe.absorb(DATA, count);
        expect(take(STATE, 16)).toEqual(expected);
      }
    }
  });

  test("a single bit anywhere in a block hashes to the right power of H", () => {
    const key = random(32);
    const h = encryptWithOpenssl(key, new Uint8Array(16));
    loadKey(key);
    probe.useKey(CONTEXT, 32, 0);
    for (let count = 1; count <= 8; count++) {
      for (let bit = 0; bit < 128; bit += count === 1 ? 1 : 11) {
        const blocks = new Uint8Array(16 * count);
        blocks[bit >> 3] = 0x80 >> (bit & 7);
        memory.set(blocks, DATA);
        memory.fill(0, STATE, STATE + 16);
        probe.absorb(DATA, count);
        expect(take(STATE, 16)).toEqual(ghash(h, blocks));
      }
    }
  });

  test("eight messages hashed at once equal eight hashed singly", () => {
    const key = random(32);
    const h = encryptWithOpenssl(key, new Uint8Array(16));
    loadKey(key);
    probe.loadBulkOf(SET, CONTEXT, 32);
    for (let count = 1; count <= 8; count++) {
      for (let round = 0; round < 4; round++) {
        const messages = Array.from({ length: 8 }, () => random(16 * count));
        messages.forEach((message, i) => {
          memory.set(message, DATA + 256 * i);
        });
        const starts = new DataView(probe.memory.buffer, probe.STARTS.value, 32);
        for (let i = 0; i < 8; i++) starts.setUint32(4 * i, DATA + 256 * i, true);
        probe.hashEight(SET, count);
        messages.forEach((message, i) => {
          expect(take(probe.LANES.value + 16 * i, 16)).toEqual(ghash(h, message));
        });
      }
    }
  });
});
