/** Hashes, HMAC, HKDF and key wraps of the wasm engine against node:crypto and the node engine, length by length. */

import { createCipheriv, createHash, createHmac, randomBytes, randomInt } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { HashName } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { codeOf, flipBit, HASHES, OPENSSL_HASH, served } from "../conformance/engine-support.ts";

/** Bytes that pass the arena of the wasm engine at once. */
const CHUNK = 65_536;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

/** Lengths around the edges of blocks and chunks, and a few MiB. */
const EDGES: readonly number[] = [
  ...[1023, 1024, 1025, 4095, 4096, 65_471, 65_472],
  ...[1, 2, 3].flatMap((chunks) =>
    [-129, -128, -65, -64, -17, -1, 0, 1, 55, 63, 64, 65, 111, 127, 128, 129].map(
      (offset) => chunks * CHUNK + offset,
    ),
  ),
  3 * 1024 * 1024 + 7,
];

/** Every length to 300, then as many random ones as make 2,000 cases, then the edges. */
function lengths(): number[] {
  return [
    ...Array.from({ length: 301 }, (_, length) => length),
    ...Array.from({ length: 1700 }, () => randomInt(2000)),
    ...EDGES,
  ];
}

describe.each(["base", "simd", "relaxed"] as const)(
  "across engines, wasm (%s)",
  { timeout: 120_000 },
  (build) => {
    const wasm = createWasmEngine({ build, relaxedSimd: "force" });
    const node = createNodeEngine();

    test.each(HASHES)("%s of any length equals node:crypto", (name: HashName) => {
      const hash = served(wasm, "hash");
      const wrong = lengths().filter((length) => {
        const message = random(length);
        return !same(hash(name, message), createHash(OPENSSL_HASH[name]).update(message).digest());
      });
      expect(wrong).toEqual([]);
    });

    test.each(HASHES)("HMAC-%s of keys and messages of any length equals node:crypto", (name: HashName) => {
      const hmac = served(wasm, "hmac");
      const agree = (keyLength: number, messageLength: number): boolean => {
        const [key, message] = [random(keyLength), random(messageLength)];
        return same(
          hmac.sign(name, key, message),
          createHmac(OPENSSL_HASH[name], key).update(message).digest(),
        );
      };
      const wrong: [number, number][] = [];
      for (const length of lengths()) {
        const other = randomInt(300);
        if (!agree(other, length)) wrong.push([other, length]);
        if (length <= 300 && !agree(length, other)) wrong.push([length, other]);
      }
      for (const [key, message] of [
        [CHUNK - 100, 100],
        [CHUNK - 100, 101],
        [CHUNK, 0],
        [CHUNK, 1],
        [CHUNK + 1, 0],
        [CHUNK + 1, 70_000],
        [3 * CHUNK, 3 * CHUNK],
      ] as const) {
        if (!agree(key, message)) wrong.push([key, message]);
      }
      expect(wrong).toEqual([]);
    });

    test.each(HASHES)("HKDF-%s of any lengths is the same on both", (name: HashName) => {
      const [ours, theirs] = [served(wasm, "hkdf"), served(node, "hkdf")];
      for (let i = 0; i < 300; i++) {
        const [ikm, salt, info] = [random(randomInt(200)), random(randomInt(200)), random(randomInt(200))];
        const length = randomInt(1, 500);
        expect(same(ours(name, ikm, salt, info, length), theirs(name, ikm, salt, info, length))).toBe(true);
      }
      const long = random(CHUNK + 5);
      expect(same(ours(name, long, long, long, 100), theirs(name, long, long, long, 100))).toBe(true);
    });

    const modes = [
      ["aesKw", Array.from({ length: 60 }, (_, i) => 8 * (i + 2)).concat(CHUNK)],
      ["aesKwp", Array.from({ length: 300 }, (_, i) => i + 1).concat(CHUNK - 7, CHUNK - 1, CHUNK)],
    ] as const;

    test.each(modes)(
      "%s of keys of every length unwraps on either and breaks on any changed bit",
      (mode, all) => {
        const [ours, theirs] = [served(wasm, mode), served(node, mode)];
        for (const [n, length] of all.entries()) {
          const [kek, key] = [random([16, 24, 32][n % 3] ?? 32), random(length)];
          const wrapped = ours.wrap(kek, key);
          expect(same(theirs.wrap(kek, key), wrapped)).toBe(true);
          expect(same(ours.unwrap(kek, wrapped), key)).toBe(true);
          if (length < 1000) {
            expect(ours.unwrap(kek, flipBit(wrapped, randomInt(8 * wrapped.length)))).toBeUndefined();
          }
        }
      },
    );

    test("a check that differs in any one bit does not unwrap without padding", () => {
      const kek = random(32);
      const wrapWithCheck = wrapperWithCheck(kek);
      const [check, key] = [new Uint8Array(8).fill(0xa6), random(24)];
      expect(served(wasm, "aesKw").unwrap(kek, wrapWithCheck(check, key))).toEqual(key);
      for (let bit = 0; bit < 64; bit++) {
        expect(served(wasm, "aesKw").unwrap(kek, wrapWithCheck(flipBit(check, bit), key))).toBeUndefined();
      }
    });

    test("padding that is not zero, a length out of range and another constant do not unwrap", () => {
      // AES-KW with the check of AES-KWP in front makes wrapped forms that AES-KWP must refuse. What tells them apart is
      // whether the node engine, an independent judge, refuses too.
      const kek = random(16);
      const [ours, theirs] = [served(wasm, "aesKwp"), served(node, "aesKwp")];
      const wrapWithCheck = wrapperWithCheck(kek);
      const padded = Uint8Array.from({ length: 24 }, (_, i) => (i < 20 ? 0xff : 0));
      const check = (length: number): Uint8Array =>
        Uint8Array.of(0xa6, 0x59, 0x59, 0xa6, 0, 0, length >> 8, length);
      for (let length = 0; length <= 40; length++) {
        const wrapped = wrapWithCheck(check(length), padded);
        const opened = ours.unwrap(kek, wrapped);
        expect(opened !== undefined, `length ${length}`).toBe(length >= 20 && length <= 24);
        expect(opened).toEqual(theirs.unwrap(kek, wrapped));
      }
      for (let at = 17; at < 24; at++) {
        for (const bit of [1, 0x80]) {
          const dirty = Uint8Array.from({ length: 24 }, (_, i) => (i === at ? bit : 0));
          for (let length = 17; length <= 24; length++) {
            const wrapped = wrapWithCheck(check(length), dirty);
            expect(ours.unwrap(kek, wrapped) !== undefined).toBe(at < length);
            expect(theirs.unwrap(kek, wrapped) !== undefined).toBe(at < length);
          }
        }
      }
      for (let bit = 0; bit < 32; bit++) {
        expect(ours.unwrap(kek, wrapWithCheck(flipBit(check(20), bit), padded))).toBeUndefined();
      }
      for (const high of [1, 0x80]) {
        for (const at of [4, 5, 6]) {
          const far = check(20);
          far[at] = high;
          expect(ours.unwrap(kek, wrapWithCheck(far, padded))).toBeUndefined();
        }
      }
    });

    test("a key that does not fit the arena is Rejected.UnsupportedOperation on the wasm engine", () => {
      const kek = random(16);
      for (const mode of ["aesKw", "aesKwp"] as const) {
        const wrap = served(wasm, mode);
        expect(codeOf(() => wrap.wrap(kek, new Uint8Array(CHUNK + 8)))).toBe("Rejected.UnsupportedOperation");
        expect(codeOf(() => wrap.unwrap(kek, new Uint8Array(CHUNK + 16)))).toBe(
          "Rejected.UnsupportedOperation",
        );
        expect(wrap.unwrap(kek, new Uint8Array(CHUNK + 8))).toBeUndefined();
      }
    });
  },
);

/** Makes a wrapping function of RFC 3394 that takes any check in front of the units. */
function wrapperWithCheck(kek: Uint8Array): (check: Uint8Array, units: Uint8Array) => Uint8Array {
  return (check, units) => {
    const result = Uint8Array.of(...check, ...units);
    let a = check;
    for (let step = 1; step <= 6 * (units.length / 8); step++) {
      const at = 8 * (((step - 1) % (units.length / 8)) + 1);
      const cipher = createCipheriv(`aes-${8 * kek.length}-ecb`, kek, null);
      const block = cipher.update(Uint8Array.of(...a, ...result.subarray(at, at + 8)));
      a = new Uint8Array(block.subarray(0, 8));
      a[7] = (a[7] ?? 0) ^ step;
      result.set(block.subarray(8, 16), at);
    }
    result.set(a);
    return result;
  };
}
