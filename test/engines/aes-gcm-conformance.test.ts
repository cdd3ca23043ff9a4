/** Runs the AES-GCM conformance suite over every engine, and opens with each what another sealed. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aesGcmKnownAnswers } from "../../src/engines/aes-gcm-vectors.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeAesGcm, sealWithOpenssl } from "../conformance/aes-gcm.ts";
import { bytes, served } from "../conformance/engine-support.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

const BUILDS = ["base", "simd", "relaxed"] as const;

for (const build of BUILDS) {
  describeAesGcm(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeAesGcm("node", createNodeEngine);
describeAesGcm("webcrypto", createSyncWebCryptoEngine);

describe("AES-GCM across engines", { timeout: 60_000 }, () => {
  const engines = [
    ...BUILDS.map((build) => createWasmEngine({ build, relaxedSimd: "force" })),
    createNodeEngine(),
    createSyncWebCryptoEngine(),
  ].map((engine) => served(engine, "aesGcm"));

  test("what one engine seals, every other opens", () => {
    const inputs = fc.tuple(
      fc.constantFrom(16, 24, 32).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      bytes(2000),
      bytes(200),
    );
    fc.assert(
      fc.property(inputs, ([raw, iv, plaintext, aad]) => {
        const keys = engines.map((engine) => engine.importKey(raw));
        engines.forEach((sealer, i) => {
          const sealed = sealer.seal(keys[i] as never, iv, plaintext, aad);
          engines.forEach((opener, j) => {
            expect(opener.open(keys[j] as never, iv, sealed, aad)).toEqual(plaintext.slice());
          });
        });
        for (const key of keys) key.destroy();
      }),
    );
  });

  test("the known answers of the self-test are those of OpenSSL", () => {
    for (const { key, iv, plaintext, aad, sealed } of aesGcmKnownAnswers()) {
      expect(sealWithOpenssl(key, iv, plaintext, aad)).toEqual(sealed);
    }
    expect(aesGcmKnownAnswers().map(({ key }) => key.length)).toEqual([16, 24, 32]);
  });
});
