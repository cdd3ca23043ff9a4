/** What every engine's AES-GCM must do. Called once per engine. */

import { createCipheriv, randomBytes, randomInt } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { AesGcm, AesKey, Engine } from "../../src/engines/engine.ts";
import { bytes, codeOf, expectOwned, flipBit, notBytes, served } from "./engine-support.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** Seals with OpenSSL, the reference of this suite. */
export function sealWithOpenssl(
  key: Uint8Array,
  iv: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv);
  cipher.setAAD(aad);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/** Keys of all three lengths, IVs of 12 bytes. */
const keyBytes = fc
  .constantFrom(16, 24, 32)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
const ivBytes = fc.uint8Array({ minLength: 12, maxLength: 12 });

/** Lengths around blocks, groups of blocks, and the chunks that engines may cut long messages into. */
const EDGE_LENGTHS = [0, 1, 15, 16, 17, 47, 48, 49, 63, 64, 65, 1000, 16_384, 16_385, 65_535, 65_536, 65_537];
const LONG_LENGTHS = [65_552, 131_071, 131_072, 131_089, 1_048_577, 3_145_728];

export function describeAesGcm(name: string, makeEngine: () => Engine): void {
  describe(`${name} as AES-GCM`, { timeout: 60_000 }, () => {
    let aesGcm: AesGcm;
    let key: AesKey;
    const rawKey = random(32);

    beforeAll(() => {
      aesGcm = served(makeEngine(), "aesGcm");
      key = aesGcm.importKey(rawKey);
    });

    test("seals as OpenSSL does and opens again, in 2,000 random cases over all key lengths", () => {
      for (let i = 0; i < 2000; i++) {
        const raw = random([16, 24, 32][i % 3] ?? 32);
        const [iv, plaintext, aad] = [random(12), random(randomInt(300)), random(randomInt(100))];
        const handle = aesGcm.importKey(raw);
        expect(handle.byteLength).toBe(raw.length);
        const sealed = aesGcm.seal(handle, iv, plaintext, aad);
        expect(sealed).toEqual(sealWithOpenssl(raw, iv, plaintext, aad));
        expect(aesGcm.open(handle, iv, sealed, aad)).toEqual(plaintext);
        handle.destroy();
      }
    });

    test.each([...EDGE_LENGTHS, ...LONG_LENGTHS])("seals and opens %i bytes as OpenSSL does", (length) => {
      const [iv, plaintext, aad] = [random(12), random(length), random(length % 7919)];
      const expected = sealWithOpenssl(rawKey, iv, plaintext, aad);
      expect(equal(aesGcm.seal(key, iv, plaintext, aad), expected)).toBe(true);
      const opened = aesGcm.open(key, iv, expected, aad);
      expect(opened !== undefined && equal(opened, plaintext)).toBe(true);
      const forged = flipBit(expected, randomInt(expected.length * 8));
      expect(aesGcm.open(key, iv, forged, aad)).toBeUndefined();
    });

    test.each([8192, 16_384, 16_385, 16_400, 100_001])("seals and opens under %i bytes of AAD", (length) => {
      const [iv, plaintext, aad] = [random(12), random(40), random(length)];
      const expected = sealWithOpenssl(rawKey, iv, plaintext, aad);
      expect(aesGcm.seal(key, iv, plaintext, aad)).toEqual(expected);
      expect(aesGcm.open(key, iv, expected, aad)).toEqual(plaintext);
      expect(aesGcm.open(key, iv, expected, flipBit(aad, randomInt(length * 8)))).toBeUndefined();
      const empty = sealWithOpenssl(rawKey, iv, new Uint8Array(0), aad);
      expect(aesGcm.open(key, iv, empty, aad)).toEqual(new Uint8Array(0));
    });

    test("open undoes seal, results own their memory, and inputs stay as they were", () => {
      fc.assert(
        fc.property(keyBytes, ivBytes, bytes(), bytes(), (raw, iv, plaintext, aad) => {
          const inputs = [raw, iv, plaintext, aad];
          const before = inputs.map((input) => input.slice());
          const handle = aesGcm.importKey(raw);
          const sealed = aesGcm.seal(handle, iv, plaintext, aad);
          const copy = sealed.slice();
          const opened = aesGcm.open(handle, iv, sealed, aad);
          expect(opened).toEqual(plaintext.slice());
          if (opened !== undefined) expectOwned(opened);
          expectOwned(sealed);
          expect(sealed).toEqual(copy);
          expect(inputs.map((input) => input.slice())).toEqual(before);
          handle.destroy();
        }),
      );
    });

    test("open refuses every single-bit change of ciphertext, tag, IV and AAD", () => {
      const [iv, plaintext, aad] = [random(12), random(37), random(21)];
      const sealed = aesGcm.seal(key, iv, plaintext, aad);
      for (let bit = 0; bit < sealed.length * 8; bit++) {
        expect(aesGcm.open(key, iv, flipBit(sealed, bit), aad)).toBeUndefined();
      }
      for (let bit = 0; bit < iv.length * 8; bit++) {
        expect(aesGcm.open(key, flipBit(iv, bit), sealed, aad)).toBeUndefined();
      }
      for (let bit = 0; bit < aad.length * 8; bit++) {
        expect(aesGcm.open(key, iv, sealed, flipBit(aad, bit))).toBeUndefined();
      }
      expect(aesGcm.open(key, iv, sealed, aad)).toEqual(plaintext);
    });

    test("open refuses a message under another key, a cut one, a longer one, and shifted AAD", () => {
      const [iv, plaintext, aad] = [random(12), random(50), random(20)];
      const sealed = aesGcm.seal(key, iv, plaintext, aad);
      for (let bit = 0; bit < 256; bit += 17) {
        expect(aesGcm.open(aesGcm.importKey(flipBit(rawKey, bit)), iv, sealed, aad)).toBeUndefined();
      }
      for (let length = 0; length < sealed.length; length++) {
        expect(aesGcm.open(key, iv, sealed.subarray(0, length), aad)).toBeUndefined();
        expect(aesGcm.open(key, iv, sealed.subarray(sealed.length - length), aad)).toBeUndefined();
      }
      expect(aesGcm.open(key, iv, Uint8Array.of(...sealed, 0), aad)).toBeUndefined();
      expect(aesGcm.open(key, iv, sealed, Uint8Array.of(...aad, 0))).toBeUndefined();
      expect(aesGcm.open(key, iv, sealed)).toBeUndefined();
    });

    test("absent AAD is empty AAD", () => {
      const iv = random(12);
      const sealed = aesGcm.seal(key, iv, Uint8Array.of(1));
      expect(sealed).toEqual(aesGcm.seal(key, iv, Uint8Array.of(1), new Uint8Array(0)));
      expect(aesGcm.open(key, iv, sealed, new Uint8Array(0))).toEqual(Uint8Array.of(1));
    });

    test.each([0, 5, 64, 65_536, 70_001])("sealInto writes exactly its range for %i bytes", (length) => {
      const [iv, plaintext, aad] = [random(12), random(length), random(9)];
      const out = new Uint8Array(length + 16 + 20).fill(0x5a);
      expect(aesGcm.sealInto(key, iv, plaintext, aad, out, 7)).toBe(length + 16);
      const expected = new Uint8Array(out.length).fill(0x5a);
      expected.set(sealWithOpenssl(rawKey, iv, plaintext, aad), 7);
      expect(equal(out, expected)).toBe(true);
    });

    test.each([0, 5, 64, 65_536, 70_001])(
      "openInto writes or zeroes exactly its range of %i bytes",
      (length) => {
        const [iv, plaintext] = [random(12), random(length)];
        const sealed = sealWithOpenssl(rawKey, iv, plaintext, new Uint8Array(0));
        const out = new Uint8Array(length + 20).fill(0x5a);
        expect(aesGcm.openInto(key, iv, sealed, undefined, out, 7)).toBe(length);
        const expected = new Uint8Array(out.length).fill(0x5a);
        expected.set(plaintext, 7);
        expect(equal(out, expected)).toBe(true);

        out.fill(0x5a);
        expect(aesGcm.openInto(key, iv, flipBit(sealed, 3), undefined, out, 7)).toBeUndefined();
        expect(equal(out, expected.fill(0, 7, 7 + length))).toBe(true);
        out.fill(0x5a);
        expect(aesGcm.openInto(key, iv, sealed.subarray(0, 15), undefined, out, 7)).toBeUndefined();
        expect(equal(out, new Uint8Array(out.length).fill(0x5a))).toBe(true);
      },
    );

    test.each([40, 65_536, 200_003])("works in place and over overlapping ranges of %i bytes", (length) => {
      const [iv, plaintext, aad] = [random(12), random(length), random(30)];
      const expected = sealWithOpenssl(rawKey, iv, plaintext, aad);
      for (const shift of [0, 1, 16, 33]) {
        for (const [from, to] of [
          [shift, 0],
          [0, shift],
        ] as const) {
          const memory = new Uint8Array(length + 16 + 40);
          memory.set(plaintext, from);
          aesGcm.sealInto(key, iv, memory.subarray(from, from + length), aad, memory, to);
          expect(equal(memory.subarray(to, to + length + 16), expected)).toBe(true);

          memory.set(expected, from);
          const sealed = memory.subarray(from, from + length + 16);
          expect(aesGcm.openInto(key, iv, sealed, aad, memory, to)).toBe(length);
          expect(equal(memory.subarray(to, to + length), plaintext)).toBe(true);
        }
      }
    });

    test("takes IV and AAD from the memory it writes to", () => {
      const memory = random(200);
      const [iv, aad] = [memory.slice(10, 22), memory.slice(20, 60)];
      const plaintext = random(100);
      aesGcm.sealInto(key, memory.subarray(10, 22), plaintext, memory.subarray(20, 60), memory, 0);
      expect(memory.slice(0, 116)).toEqual(sealWithOpenssl(rawKey, iv, plaintext, aad));
    });

    test("a batch of any size with mixed keys equals single calls", () => {
      const keys = [key, aesGcm.importKey(random(16)), aesGcm.importKey(random(24)), undefined];
      for (let count = 0; count <= 130; count++) {
        const items = Array.from({ length: count }, (_, i) => {
          const own = keys[(i + count) % keys.length];
          const item = { iv: random(12), plaintext: random((i * 37 + count) % 150) };
          return { ...item, ...(own && { key: own }), ...(i % 3 !== 0 && { aad: random(i % 50) }) };
        });
        const sealed = aesGcm.sealBatch(key, items);
        const singly = items.map((item) => aesGcm.seal(item.key ?? key, item.iv, item.plaintext, item.aad));
        expect(allEqual(sealed, singly)).toBe(true);
        const toOpen = items.map(({ plaintext: _, ...item }, i) => {
          const good = sealed[i] ?? new Uint8Array(0);
          return { ...item, sealed: i % 5 === 4 ? flipBit(good, i) : good };
        });
        const opened = items.map((item, i) => (i % 5 === 4 ? undefined : item.plaintext));
        expect(allEqual(aesGcm.openBatch(key, toOpen), opened)).toBe(true);
        expect(allEqual(aesGcm.openBatch(key, [...toOpen].reverse()), [...opened].reverse())).toBe(true);
      }
    });

    test("packed records equal single calls, and a bad record spoils itself alone", () => {
      for (const count of [0, 1, 2, 3, 17, 64, 130]) {
        for (const [aadLength, plaintextLength] of [
          [0, 0],
          [64, 32],
          [13, 1],
          [5, 100],
        ] as const) {
          const shape = { count, aadLength, plaintextLength };
          const parts = Array.from({ length: count }, () => ({
            iv: random(12),
            aad: random(aadLength),
            plaintext: random(plaintextLength),
          }));
          const sealed = parts.map(({ iv, aad, plaintext }) => aesGcm.seal(key, iv, plaintext, aad));
          const records = join(parts.flatMap(({ iv, aad, plaintext }) => [iv, aad, plaintext]));
          expect(aesGcm.sealPacked(key, records, shape)).toEqual(join(sealed));
          const out = new Uint8Array(count * (plaintextLength + 16));
          aesGcm.sealPacked(key, records, shape, out);
          expect(out).toEqual(join(sealed));

          const bad = count >> 1;
          const toOpen = join(
            parts.flatMap(({ iv, aad }, i) => {
              const good = sealed[i] ?? new Uint8Array(0);
              return [iv, aad, i === bad ? flipBit(good, 9) : good];
            }),
          );
          const expected = join(
            parts.map(({ plaintext }, i) => (i === bad ? new Uint8Array(plaintextLength) : plaintext)),
          );
          const result = aesGcm.openPacked(key, toOpen, shape);
          expect(result.plaintexts).toEqual(expected);
          expect([...result.ok]).toEqual(parts.map((_, i) => (i === bad ? 0 : 1)));
          const room = new Uint8Array(count * plaintextLength).fill(0x5a);
          aesGcm.openPacked(key, toOpen, shape, room);
          expect(room).toEqual(expected);
        }
      }
    });

    test("packed calls refuse shapes that contradict the records, and outputs that are too small", () => {
      const records = new Uint8Array(2 * (12 + 3 + 5));
      const shape = { count: 2, aadLength: 3, plaintextLength: 5 };
      expect(codeOf(() => aesGcm.sealPacked(key, records, shape))).toBe("none");
      for (const change of [
        { count: 1 },
        { count: 3 },
        { count: -2 },
        { count: 1.5 },
        { count: Number.NaN },
        { count: "2" },
        { aadLength: 4 },
        { aadLength: -3, plaintextLength: 11 },
        { plaintextLength: 4 },
        { plaintextLength: undefined },
      ]) {
        const wrong = { ...shape, ...change } as typeof shape;
        expect(codeOf(() => aesGcm.sealPacked(key, records, wrong))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.openPacked(key, records, wrong))).toBe("InvalidParameter");
      }
      expect(codeOf(() => aesGcm.openPacked(key, records, shape))).toBe("InvalidParameter");
      expect(codeOf(() => aesGcm.sealPacked(key, records, shape, new Uint8Array(41)))).toBe(
        "InvalidParameter",
      );
      const sealed = new Uint8Array(2 * (12 + 3 + 5 + 16));
      expect(codeOf(() => aesGcm.openPacked(key, sealed, shape, new Uint8Array(9)))).toBe("InvalidParameter");
      expect(codeOf(() => aesGcm.sealPacked(key, records, undefined as never))).toBe("InvalidParameter");
    });

    test("10,000 live handles serve in any order", () => {
      const raws = Array.from({ length: 10_000 }, (_, i) => random([16, 24, 32][i % 3] ?? 32));
      const handles = raws.map((raw) => aesGcm.importKey(raw));
      const iv = random(12);
      const plaintext = random(16);
      const none = new Uint8Array(0);
      const sealed = handles.map((handle) => aesGcm.seal(handle, iv, plaintext));
      for (let i = 0; i < 10_000; i += 97) {
        expect(sealed[i]).toEqual(sealWithOpenssl(raws[i] ?? none, iv, plaintext, none));
      }
      for (let i = 0; i < 2000; i++) {
        const at = randomInt(10_000);
        expect(aesGcm.open(handles[at] as AesKey, iv, sealed[at] ?? none)).toEqual(plaintext);
      }
      for (const handle of handles) handle.destroy();
    });

    test("a key is copied on import", () => {
      const raw = random(32);
      const handle = aesGcm.importKey(raw);
      const iv = random(12);
      const expected = sealWithOpenssl(raw, iv, new Uint8Array(0), new Uint8Array(0));
      raw.fill(0);
      expect(aesGcm.seal(handle, iv, new Uint8Array(0))).toEqual(expected);
    });

    test("a key of any other length is InvalidKeyMaterial, and no bytes InvalidParameter", () => {
      for (const length of [0, 1, 8, 15, 17, 23, 25, 31, 33, 64]) {
        expect(codeOf(() => aesGcm.importKey(new Uint8Array(length)))).toBe("InvalidKeyMaterial");
      }
      for (const value of notBytes()) {
        expect(codeOf(() => aesGcm.importKey(value as Uint8Array))).toBe("InvalidParameter");
      }
    });

    test("an IV of any other length is InvalidParameter and the message names it", () => {
      const data = new Uint8Array(16);
      const out = new Uint8Array(64);
      for (const length of [0, 1, 8, 11, 13, 16, 32]) {
        const iv = new Uint8Array(length);
        for (const call of [
          () => aesGcm.seal(key, iv, data),
          () => aesGcm.open(key, iv, data),
          () => aesGcm.sealInto(key, iv, data, undefined, out, 0),
          () => aesGcm.openInto(key, iv, data, undefined, out, 0),
          () => aesGcm.sealBatch(key, [{ iv, plaintext: data }]),
          () => aesGcm.openBatch(key, [{ iv, sealed: data }]),
        ]) {
          expect(codeOf(call)).toBe("InvalidParameter");
          expect(call).toThrow(/\biv\b/);
        }
      }
    });

    test("what is not bytes is InvalidParameter in every place", () => {
      const iv = new Uint8Array(12);
      const data = new Uint8Array(16);
      for (const value of notBytes() as Uint8Array[]) {
        expect(codeOf(() => aesGcm.seal(key, value, data))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.seal(key, iv, value))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.open(key, iv, value))).toBe("InvalidParameter");
        expect(
          codeOf(() => aesGcm.sealPacked(key, value, { count: 0, aadLength: 0, plaintextLength: 0 })),
        ).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.sealInto(key, iv, data, undefined, value, 0))).toBe("InvalidParameter");
        if (value !== undefined)
          expect(codeOf(() => aesGcm.seal(key, iv, data, value))).toBe("InvalidParameter");
      }
    });

    test("an output without room is InvalidParameter and stays as it was", () => {
      const iv = new Uint8Array(12);
      const out = new Uint8Array(40).fill(0x5a);
      const sealed = aesGcm.seal(key, iv, new Uint8Array(24));
      for (const offset of [1, 41, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, undefined as never]) {
        const seal = () => aesGcm.sealInto(key, iv, new Uint8Array(24), undefined, out, offset);
        expect(codeOf(seal)).toBe("InvalidParameter");
      }
      expect(codeOf(() => aesGcm.openInto(key, iv, sealed, undefined, out, 17))).toBe("InvalidParameter");
      expect(out.every((byte) => byte === 0x5a)).toBe(true);
      expect(aesGcm.sealInto(key, iv, new Uint8Array(24), undefined, out, 0)).toBe(40);
    });

    test("a destroyed handle, one of another engine and one that is none are InvalidParameter", () => {
      const iv = new Uint8Array(12);
      const destroyed = aesGcm.importKey(rawKey);
      destroyed.destroy();
      destroyed.destroy();
      const foreign = served(makeEngine(), "aesGcm").importKey(rawKey);
      const forged = { byteLength: 32, destroy: () => undefined };
      for (const handle of [destroyed, foreign, forged, Object.create(key), undefined, null, 5] as AesKey[]) {
        expect(codeOf(() => aesGcm.seal(handle, iv, iv))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.open(handle, iv, new Uint8Array(16)))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.sealBatch(handle, [{ iv, plaintext: iv }]))).toBe("InvalidParameter");
      }
      expect(codeOf(() => aesGcm.sealBatch(key, [{ key: destroyed, iv, plaintext: iv }]))).toBe(
        "InvalidParameter",
      );
    });

    test("batches that are no arrays of objects are InvalidParameter", () => {
      for (const items of [undefined, null, {}, "items", [undefined], [null], [7], [{}]] as never[]) {
        expect(codeOf(() => aesGcm.sealBatch(key, items))).toBe("InvalidParameter");
        expect(codeOf(() => aesGcm.openBatch(key, items))).toBe("InvalidParameter");
      }
    });

    test("close wipes the keys and ends the engine", () => {
      const engine = makeEngine();
      const own = served(engine, "aesGcm");
      const handle = own.importKey(rawKey);
      const iv = new Uint8Array(12);
      expect(own.seal(handle, iv, iv).length).toBe(28);
      engine.close();
      expect(codeOf(() => own.seal(handle, iv, iv))).toBe("InvalidParameter");
      expect(codeOf(() => own.importKey(rawKey))).toBe("InvalidParameter");
      expect(codeOf(() => aesGcm.seal(key, iv, iv))).toBe("none");
    });

    test("an engine whose known answer is wrong refuses every call", () => {
      const flags = globalThis as { KEYPLANE_BREAK_SELF_TEST?: string };
      flags.KEYPLANE_BREAK_SELF_TEST = "aes-gcm";
      try {
        const broken = served(makeEngine(), "aesGcm");
        expect(codeOf(() => broken.importKey(rawKey))).toBe("InternalFailure");
        delete flags.KEYPLANE_BREAK_SELF_TEST;
        expect(codeOf(() => broken.importKey(rawKey))).toBe("InternalFailure");
        expect(codeOf(() => broken.seal(key, new Uint8Array(12), rawKey))).toBe("InternalFailure");
      } finally {
        delete flags.KEYPLANE_BREAK_SELF_TEST;
      }
      expect(codeOf(() => served(makeEngine(), "aesGcm").importKey(rawKey))).toBe("none");
    });
  });
}

/** Compares long results; the reporter's diff of a megabyte would take minutes. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Compares results of a batch; the matcher of the runner is slow on thousands of arrays. */
function allEqual(a: readonly (Uint8Array | undefined)[], b: readonly (Uint8Array | undefined)[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i];
      return one === undefined || other === undefined ? one === other : equal(one, other);
    })
  );
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
