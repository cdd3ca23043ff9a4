/** Private and public operations of every build against BigInt and node:crypto, and what they refuse. */

import { constants, privateDecrypt, randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { RawRsa } from "../../src/engines/wasm/rsa-raw.ts";
import {
  keyObjectOf,
  partsOf,
  power,
  type RsaNumbers,
  rsaNumbers,
  seededKeys,
  seededNumber,
  seededPrime,
  toBytes,
  toNumber,
} from "../support/rsa-keys.ts";
import { makeKernel, TARGETS } from "./rsa-module.ts";

const SIZES = [2048, 3072, 4096] as const;
const owner = {};
/** Keys of each size: fifty, or as many as asked for, such as 500 in nightly runs (.github/CONTRIBUTING.md). */
const COUNT = Number(process.env.KEYPLANE_RSA_KEYS ?? 50);
const keysOf = new Map<number, RsaNumbers[]>(
  SIZES.map((bits) => [bits, seededKeys(`kernel ${bits}`, bits, COUNT)]),
);

describe.each(TARGETS)("the %s build", async (target) => {
  const kernel = await makeKernel(target);
  const raw = new RawRsa(kernel);
  const slow = target.endsWith("debug");
  afterEach(() => {
    raw.destroyAll(owner);
  });

  const input = (value: bigint, bits: number, index = 0): void => {
    kernel.input.set(toBytes(value, bits / 8), 0x200 * index);
  };
  const output = (bits: number, index = 0): bigint =>
    toNumber(kernel.output.subarray(0x200 * index, 0x200 * index + bits / 8));

  test.each(SIZES)("private operations with many keys of %s bits are those of node:crypto", (bits) => {
    for (const key of (keysOf.get(bits) ?? []).slice(0, slow ? 2 : COUNT)) {
      const raws = raw.importPrivate(partsOf(key), owner);
      const keyObject = keyObjectOf(key);
      const values = [toNumber(randomBytes(bits / 8)) % key.n];
      if (key === keysOf.get(bits)?.[0]) values.push(0n, 1n, key.n - 1n, key.p, key.q * 5n, key.n >> 1n);
      for (const value of values) {
        input(value, bits);
        expect(raw.privateOperation(raws)).toBe(true);
        const theirs = privateDecrypt(
          { key: keyObject, padding: constants.RSA_NO_PADDING },
          toBytes(value, bits / 8),
        );
        expect(output(bits)).toBe(toNumber(theirs));
      }
      raw.destroy(raws);
    }
  });

  test.each(SIZES)("public operations of %s bits are powers, alone and in pairs", (bits) => {
    const [first, second] = keysOf.get(bits) ?? [];
    if (first === undefined || second === undefined) throw new Error("there are no keys");
    const cube = { ...second, e: 3n };
    const long = { ...second, e: (1n << 255n) + 12345n };
    const keys = [first, second, cube, long].map((key) => ({
      key,
      raw: raw.importPublic(partsOf(key), owner),
    }));
    for (const value of [0n, 1n, 2n, second.p, seededNumber("value", bits - 8)]) {
      for (const { key, raw: mine } of keys) {
        input(key.n - 1n - value, bits);
        expect(raw.publicOperation(mine)).toBe(true);
        expect(output(bits)).toBe(power(key.n - 1n - value, key.e, key.n));
        for (const { key: otherKey, raw: other } of keys) {
          input(value, bits);
          input(otherKey.n - 1n - value, bits, 1);
          expect(raw.publicPair(mine, other)).toEqual([true, true]);
          expect(output(bits)).toBe(power(value, key.e, key.n));
          expect(output(bits, 1)).toBe(power(otherKey.n - 1n - value, otherKey.e, otherKey.n));
        }
      }
    }
  });

  test("numbers from the modulus on are refused, in a pair each by itself", () => {
    const [key] = keysOf.get(2048) ?? [];
    if (key === undefined) throw new Error("there is no key");
    const mine = raw.importPrivate(partsOf(key), owner);
    const open = raw.importPublic(partsOf(key), owner);
    kernel.output.fill(0xaa);
    for (const value of [key.n, key.n + 1n, (1n << 2048n) - 1n]) {
      input(value, 2048);
      input(2n, 2048, 1);
      expect(raw.privateOperation(mine)).toBe(false);
      expect(output(2048)).toBe(0n);
      expect(raw.publicOperation(open)).toBe(false);
      expect(output(2048)).toBe(0n);
      expect(raw.publicPair(open, open)).toEqual([false, true]);
      expect([output(2048), output(2048, 1)]).toEqual([0n, power(2n, key.e, key.n)]);
    }
    input(2n, 2048);
    input(key.n, 2048, 1);
    expect(raw.publicPair(open, open)).toEqual([true, false]);
    expect([output(2048), output(2048, 1)]).toEqual([power(2n, key.e, key.n), 0n]);
  });

  test.each([3n, 17n, 65539n, (1n << 200n) + 235n])("private keys with the public exponent %s serve", (e) => {
    let key: RsaNumbers | undefined;
    for (let i = 0; key === undefined; i++) {
      const [p, q] = [seededPrime(`e p ${e} ${i}`, 1024), seededPrime(`e q ${e} ${i}`, 1024)];
      const bad = [p - 1n, q - 1n].some(
        (order) => order % 3n === 0n || order % e === 0n || order % 17n === 0n,
      );
      if (!bad) key = rsaNumbers(p, q, e);
      if (key !== undefined && (key.d * e) % ((p - 1n) * (q - 1n)) !== 1n) key = undefined;
    }
    const mine = raw.importPrivate(partsOf(key), owner);
    for (const seed of ["one", "two"]) {
      const value = seededNumber(seed, 2040);
      input(value, 2048);
      expect(raw.privateOperation(mine)).toBe(true);
      expect(power(output(2048), e, key.n)).toBe(value);
    }
  });

  test("a blinding is renewed after its uses, and results stay right", () => {
    const [key] = keysOf.get(2048) ?? [];
    if (key === undefined) throw new Error("there is no key");
    const mine = raw.importPrivate(partsOf(key), owner);
    const value = seededNumber("renewed", 2040);
    const expected = power(value, key.d, key.n);
    for (let i = 0; i < (slow ? 3 : 140); i++) {
      input(value, 2048);
      expect(raw.privateOperation(mine)).toBe(true);
      expect(output(2048)).toBe(expected);
    }
  });

  test("ten thousand private keys may live at a time, and one call wipes them all", () => {
    const [key] = keysOf.get(2048) ?? [];
    if (key === undefined) throw new Error("there is no key");
    const parts = partsOf(key);
    const live = Array.from({ length: slow ? 50 : 10_000 }, () => raw.importPrivate(parts, owner));
    for (const each of live.filter((_, i) => i % (slow ? 20 : 400) === 0)) {
      input(5n, 2048);
      expect(raw.privateOperation(each)).toBe(true);
      expect(power(output(2048), key.e, key.n)).toBe(5n);
    }
    raw.destroyAll(owner);
    expect(live.every(({ bytes, destroyed }) => destroyed && bytes.every((byte) => byte === 0))).toBe(true);
    expect(kernel.memory.subarray(0x30000, 0x70000).every((byte) => byte === 0)).toBe(true);
  });

  test("keys beyond the slots take turns", () => {
    const keys = (keysOf.get(2048) ?? []).slice(0, slow ? 2 : 40);
    const mine = keys.map((key) => raw.importPrivate(partsOf(key), owner));
    for (const [i, key] of keys.entries()) {
      input(5n, 2048);
      const handle = mine[i];
      if (handle === undefined) throw new Error("there is no handle");
      expect(raw.privateOperation(handle)).toBe(true);
      expect(power(output(2048), key.e, key.n)).toBe(5n);
    }
  });
});
