/** What every engine's hash function must do. Called once per engine. */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.ts";
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

export function describeHash(name: string, make: MakeEngine): void {
  describe(`${name} as hash function`, () => {
    let hash: NonNullable<Engine["hash"]>;
    beforeAll(async () => {
      hash = served(await make(), "hash");
    });

    test.each(HASHES)("%s agrees with node:crypto on any message", (algorithm) => {
      fc.assert(
        fc.property(bytes(), (message) => {
          const digest = hash(algorithm, message);
          expectOwned(digest);
          expect(digest).toEqual(
            new Uint8Array(createHash(OPENSSL_HASH[algorithm]).update(message).digest()),
          );
        }),
      );
    });

    test("an unknown hash and what is not bytes are InvalidParameter", () => {
      for (const algorithm of ["sha256", "SHA-224", "MD5", "", undefined, null, 1, "constructor"]) {
        expect(codeOf(() => hash(algorithm as "SHA-256", new Uint8Array(1)))).toBe("InvalidParameter");
      }
      for (const message of notBytes()) {
        expect(codeOf(() => hash("SHA-256", message as Uint8Array))).toBe("InvalidParameter");
      }
    });
  });
}
