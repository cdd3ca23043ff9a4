/**
 * NIST CAVP vectors of AES-GCM, AES-KW and AES-KWP on every engine. The files come with Debian's
 * python3-cryptography-vectors and are no part of the repository.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";

const FOLDER = "/usr/lib/python3/dist-packages/cryptography_vectors";
const GCM_FOLDER = join(FOLDER, "ciphers/AES/GCM");
const KW_FOLDER = join(FOLDER, "keywrap/kwtestvectors");
/** Key wrap files hold tens of thousands of vectors; each of these many is run. */
const KW_STRIDE = 8;

interface Vector {
  /** Fields of the section, such as IVlen. */
  readonly section: Readonly<Record<string, string>>;
  /** Fields of the vector in hex; FAIL is "" where the answer is a failure. */
  readonly fields: Readonly<Record<string, string>>;
}

/** Reads a response file: sections in brackets, then blocks of `NAME = value`. */
function readVectors(file: string): Vector[] {
  const vectors: Vector[] = [];
  let section: Record<string, string> = {};
  let fields: Record<string, string> = {};
  let inSection = false;
  const flush = (): void => {
    if (Object.keys(fields).length > 0) vectors.push({ section, fields });
    fields = {};
  };
  for (const line of readFileSync(file, "utf8").split(/\r?\n/)) {
    const [, bracketed, name = "", value = ""] = /^(\[?)([A-Za-z ]+?)(?: = ?([^\]]*))?\]?$/.exec(line) ?? [];
    if (line === "") flush();
    if (line === "" || line.startsWith("#")) continue;
    if (bracketed === "[") {
      section = { ...(inSection ? section : {}), [name]: value };
      inSection = true;
      continue;
    }
    inSection = false;
    fields[name] = value;
  }
  flush();
  return vectors;
}

function bytes(fields: Vector["fields"], name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(fields[name] ?? "", "hex"));
}

function served<T>(primitive: T | undefined): T {
  if (primitive === undefined) throw new Error("the engine does not serve this primitive");
  return primitive;
}

const ENGINES: readonly (readonly [string, () => Engine])[] = [
  ["wasm base", () => createWasmEngine({ build: "base" })],
  ["wasm simd", () => createWasmEngine({ build: "simd" })],
  ["wasm relaxed", () => createWasmEngine({ build: "relaxed", relaxedSimd: "force" })],
  ["node", createNodeEngine],
];

const isPresent = existsSync(GCM_FOLDER) && existsSync(KW_FOLDER);
if (!isPresent && process.env.CI !== "true") {
  test.skip("CAVP vectors did not run: install Debian's python3-cryptography-vectors", () => undefined);
} else {
  describe.each(ENGINES)("CAVP on %s", (_name, make) => {
    const engine = make();
    afterAll(() => engine.close());

    test.each(readdirSync(GCM_FOLDER).filter((name) => name.endsWith(".rsp")))("agrees with %s", (name) => {
      const aesGcm = served(engine.aesGcm);
      let run = 0;
      for (const { section, fields } of readVectors(join(GCM_FOLDER, name))) {
        if (section.IVlen !== "96" || section.Taglen !== "128") continue;
        const key = aesGcm.importKey(bytes(fields, "Key"));
        const [iv, aad, plaintext] = [bytes(fields, "IV"), bytes(fields, "AAD"), bytes(fields, "PT")];
        const sealed = Buffer.concat([bytes(fields, "CT"), bytes(fields, "Tag")]);
        const opened = aesGcm.open(key, iv, sealed, aad);
        const expected = fields.FAIL === undefined ? Buffer.from(plaintext) : undefined;
        expect(opened === undefined ? undefined : Buffer.from(opened), `Count ${fields.Count}`).toEqual(
          expected,
        );
        if (name.startsWith("gcmEncrypt")) {
          expect(Buffer.compare(aesGcm.seal(key, iv, plaintext, aad), sealed), `Count ${fields.Count}`).toBe(
            0,
          );
        }
        key.destroy();
        run += 1;
      }
      expect(run).toBeGreaterThan(300);
    });

    test.each(readdirSync(KW_FOLDER).filter((name) => /^KWP?_A[DE]_\d+\.txt$/.test(name)))(
      "agrees with %s",
      (name) => {
        const wrapping = served(name.startsWith("KWP") ? engine.aesKwp : engine.aesKw);
        let run = 0;
        for (const [index, { fields }] of readVectors(join(KW_FOLDER, name)).entries()) {
          if (index % KW_STRIDE !== 0) continue;
          const [kek, wrapped] = [bytes(fields, "K"), bytes(fields, "C")];
          const expected = fields.FAIL === undefined ? Buffer.from(bytes(fields, "P")) : undefined;
          const unwrapped = wrapping.unwrap(kek, wrapped);
          expect(
            unwrapped === undefined ? undefined : Buffer.from(unwrapped),
            `COUNT ${fields.COUNT}`,
          ).toEqual(expected);
          if (expected !== undefined) {
            expect(Buffer.compare(wrapping.wrap(kek, expected), wrapped), `COUNT ${fields.COUNT}`).toBe(0);
          }
          run += 1;
        }
        expect(run).toBeGreaterThan(60);
      },
    );
  });
}
