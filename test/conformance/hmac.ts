/** What every engine's HMAC must do. Called once per engine. */

import { createHmac } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Hmac } from "../../src/engines/engine.ts";
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

export function describeHmac(name: string, make: MakeEngine): void {
  describe(`${name} as HMAC`, () => {
    let hmac: Hmac;
    beforeAll(async () => {
      hmac = served(await make(), "hmac");
    });

    test.each(HASHES)("%s agrees with node:crypto for any key and message", (algorithm) => {
      fc.assert(
        fc.property(bytes(), bytes(), (key, message) => {
          const mac = hmac.sign(algorithm, key, message);
          expectOwned(mac);
          expect(mac).toEqual(
            new Uint8Array(createHmac(OPENSSL_HASH[algorithm], key).update(message).digest()),
          );
        }),
      );
    });

    test("an unknown hash and what is not bytes are InvalidParameter", () => {
      const data = new Uint8Array(1);
      for (const algorithm of ["sha256", "SHA-224", "", undefined, null]) {
        expect(codeOf(() => hmac.sign(algorithm as "SHA-256", data, data))).toBe("InvalidParameter");
      }
      for (const wrong of notBytes() as Uint8Array[]) {
        expect(codeOf(() => hmac.sign("SHA-256", wrong, data))).toBe("InvalidParameter");
        expect(codeOf(() => hmac.sign("SHA-256", data, wrong))).toBe("InvalidParameter");
      }
    });
  });
}
