/** What every engine's HKDF must do (RFC 5869). Called once per engine. */

import { hkdfSync } from "node:crypto";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { HashName, Hkdf } from "../../src/engines/engine.ts";
import {
  bytes,
  codeOf,
  expectOwned,
  HASHES,
  type MakeEngine,
  notBytes,
  OPENSSL_HASH,
  served,
} from "./engine-support.ts";

const NOBLE = { "SHA-1": sha1, "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 };
const HASH_LENGTH: Readonly<Record<HashName, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};

export function describeHkdf(name: string, make: MakeEngine): void {
  describe(`${name} as HKDF`, () => {
    let hkdf: Hkdf;
    beforeAll(async () => {
      hkdf = served(await make(), "hkdf");
    });

    test.each(HASHES)("%s agrees with node:crypto and noble for any input", (hash) => {
      fc.assert(
        fc.property(
          bytes(),
          bytes(),
          bytes(),
          fc.integer({ min: 1, max: 300 }),
          (ikm, salt, info, length) => {
            const okm = hkdf(hash, ikm, salt, info, length);
            expectOwned(okm);
            expect(okm).toEqual(new Uint8Array(hkdfSync(OPENSSL_HASH[hash], ikm, salt, info, length)));
            expect(okm).toEqual(nobleHkdf(NOBLE[hash], ikm, salt, info, length));
          },
        ),
        { numRuns: 50 },
      );
    });

    test("an info beyond the 1,024 bytes that node:crypto takes is served", () => {
      const data = Uint8Array.from({ length: 5000 }, (_, i) => i);
      expect(hkdf("SHA-256", data, data, data, 77)).toEqual(nobleHkdf(sha256, data, data, data, 77));
    });

    test.each(HASHES)("%s gives at most 255 blocks and at least one byte", (hash) => {
      const data = new Uint8Array(4);
      const most = 255 * HASH_LENGTH[hash];
      expect(hkdf(hash, data, data, data, most)).toEqual(nobleHkdf(NOBLE[hash], data, data, data, most));
      for (const length of [most + 1, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "8", undefined]) {
        expect(codeOf(() => hkdf(hash, data, data, data, length as number))).toBe("InvalidParameter");
      }
    });

    test("an unknown hash and what is not bytes are InvalidParameter", () => {
      const data = new Uint8Array(1);
      expect(codeOf(() => hkdf("sha256" as HashName, data, data, data, 1))).toBe("InvalidParameter");
      for (const wrong of notBytes() as Uint8Array[]) {
        expect(codeOf(() => hkdf("SHA-256", wrong, data, data, 1))).toBe("InvalidParameter");
        expect(codeOf(() => hkdf("SHA-256", data, wrong, data, 1))).toBe("InvalidParameter");
        expect(codeOf(() => hkdf("SHA-256", data, data, wrong, 1))).toBe("InvalidParameter");
      }
    });
  });
}
