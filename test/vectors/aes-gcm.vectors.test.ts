/**
 * Wycheproof's AES-GCM vectors on every engine. The files are not part of the repository: KEYPLANE_VECTORS names the
 * folder that holds wycheproof/aes_gcm_test.json.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { codeOf, served } from "../conformance/engine-support.ts";

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: "valid" | "invalid" | "acceptable";
}
interface VectorFile {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly ivSize: number;
    readonly tagSize: number;
    readonly tests: readonly Vector[];
  }[];
}

const ENGINES: readonly (readonly [string, () => Engine])[] = [
  ["wasm", createWasmEngine],
  ["node", createNodeEngine],
];

const folder = process.env.KEYPLANE_VECTORS;

if (folder === undefined || folder === "") {
  test.skip("Wycheproof AES-GCM vectors did not run: set KEYPLANE_VECTORS to the folder that holds wycheproof/aes_gcm_test.json", () =>
    undefined);
} else {
  const file = JSON.parse(readFileSync(join(folder, "wycheproof/aes_gcm_test.json"), "utf8")) as VectorFile;
  const vectors = file.testGroups.flatMap(({ ivSize, tagSize, tests }) =>
    tests.map((vector) => ({ ...vector, ivSize, tagSize })),
  );

  describe("Wycheproof AES-GCM vectors", () => {
    test("are all there, with valid and invalid ones of our parameters among them", () => {
      expect(vectors).toHaveLength(file.numberOfTests);
      const ours = vectors.filter(({ ivSize, tagSize }) => ivSize === 96 && tagSize === 128);
      expect(ours.filter(({ result }) => result === "valid").length).toBeGreaterThan(50);
      expect(ours.filter(({ result }) => result === "invalid").length).toBeGreaterThan(20);
    });

    describe.each(ENGINES)("on the %s engine", (_, makeEngine) => {
      const aesGcm = served(makeEngine(), "aesGcm");

      test.each(vectors)("tcId $tcId ($result, IV of $ivSize bits): $comment", (vector) => {
        const [raw, iv, aad, msg, ct, tag] = [
          vector.key,
          vector.iv,
          vector.aad,
          vector.msg,
          vector.ct,
          vector.tag,
        ].map((hex) => Uint8Array.from(Buffer.from(hex, "hex"))) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ];
        const sealed = Uint8Array.of(...ct, ...tag);
        const key = aesGcm.importKey(raw);
        if (vector.ivSize !== 96) {
          expect(codeOf(() => aesGcm.open(key, iv, sealed, aad))).toBe("InvalidParameter");
          expect(codeOf(() => aesGcm.seal(key, iv, msg, aad))).toBe("InvalidParameter");
          return;
        }
        expect(vector.tagSize).toBe(128);
        if (vector.result === "valid") {
          expect(aesGcm.seal(key, iv, msg, aad)).toEqual(sealed);
          expect(aesGcm.open(key, iv, sealed, aad)).toEqual(msg);
        } else {
          expect(aesGcm.open(key, iv, sealed, aad)).toBeUndefined();
        }
      });
    });
  });
}
