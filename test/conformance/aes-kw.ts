/** What every engine's AES key wraps must do (RFC 3394 and RFC 5649). Called once per engine. */

import { aeskw, aeskwp } from "@noble/ciphers/aes.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { KeyWrap } from "../../src/engines/engine.ts";
import { codeOf, expectOwned, flipBit, type MakeEngine, notBytes, served } from "./engine-support.ts";

const kek = fc
  .constantFrom(16, 24, 32)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));

interface Mode {
  readonly primitive: "aesKw" | "aesKwp";
  readonly noble: typeof aeskw | typeof aeskwp;
  /** Key lengths that wrap; one block and one more byte among them. */
  readonly keyLength: fc.Arbitrary<number>;
  readonly refusedLengths: readonly number[];
}

const MODES: readonly Mode[] = [
  {
    primitive: "aesKw",
    noble: aeskw,
    keyLength: fc.integer({ min: 2, max: 40 }).map((blocks) => 8 * blocks),
    refusedLengths: [0, 1, 8, 15, 17, 20, 33],
  },
  { primitive: "aesKwp", noble: aeskwp, keyLength: fc.integer({ min: 1, max: 300 }), refusedLengths: [0] },
];

/** @param primitives what modes the engine has */
export function describeAesKeyWrap(
  name: string,
  make: MakeEngine,
  primitives: readonly Mode["primitive"][] = ["aesKw", "aesKwp"],
): void {
  const modes = MODES.filter(({ primitive }) => primitives.includes(primitive));
  describe.each(modes)(`${name} as $primitive`, ({ primitive, noble, keyLength, refusedLengths }) => {
    const key = keyLength.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
    let wrap: KeyWrap;
    beforeAll(async () => {
      wrap = served(await make(), primitive);
    });

    test("wraps as noble does and unwraps what it wrapped", () => {
      fc.assert(
        fc.property(kek, key, (kekBytes, keyBytes) => {
          const wrapped = wrap.wrap(kekBytes, keyBytes);
          expectOwned(wrapped);
          expect(wrapped).toEqual(noble(kekBytes).encrypt(keyBytes));
          const unwrapped = wrap.unwrap(kekBytes, wrapped);
          expect(unwrapped).toEqual(keyBytes);
          if (unwrapped) expectOwned(unwrapped);
        }),
      );
    });

    test("unwrap returns undefined for any changed bit, another key and a cut", () => {
      fc.assert(
        fc.property(kek, key, fc.nat(), (kekBytes, keyBytes, bit) => {
          const wrapped = wrap.wrap(kekBytes, keyBytes);
          expect(wrap.unwrap(kekBytes, flipBit(wrapped, bit))).toBeUndefined();
          expect(wrap.unwrap(flipBit(kekBytes, bit), wrapped)).toBeUndefined();
          expect(wrap.unwrap(kekBytes, wrapped.subarray(0, bit % wrapped.length))).toBeUndefined();
        }),
      );
    });

    test("unwrap returns undefined for random bytes of any length", () => {
      fc.assert(
        fc.property(kek, fc.uint8Array({ maxLength: 64 }), (kekBytes, wrapped) => {
          expect(wrap.unwrap(kekBytes, wrapped)).toBeUndefined();
        }),
      );
    });

    test("a key of a length the mode cannot wrap is InvalidParameter", () => {
      for (const length of refusedLengths) {
        expect(codeOf(() => wrap.wrap(new Uint8Array(16), new Uint8Array(length)))).toBe("InvalidParameter");
      }
    });

    test("a key encryption key of another length is InvalidKeyMaterial", () => {
      for (const length of [0, 8, 15, 17, 31, 33, 64]) {
        expect(codeOf(() => wrap.wrap(new Uint8Array(length), new Uint8Array(16)))).toBe(
          "InvalidKeyMaterial",
        );
        expect(codeOf(() => wrap.unwrap(new Uint8Array(length), new Uint8Array(24)))).toBe(
          "InvalidKeyMaterial",
        );
      }
    });

    test("what is not bytes is InvalidParameter", () => {
      const data = new Uint8Array(16);
      for (const wrong of notBytes() as Uint8Array[]) {
        for (const call of [wrap.wrap, wrap.unwrap]) {
          expect(codeOf(() => call.call(wrap, wrong, data))).toBe("InvalidParameter");
          expect(codeOf(() => call.call(wrap, data, wrong))).toBe("InvalidParameter");
        }
      }
    });
  });
}
