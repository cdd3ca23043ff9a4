/** Writes the generated files of the elliptic curves; their output is kept in git, and `{ check: true }` compares instead. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { constantsFile } from "./ecc-constants.mjs";
import { fieldFile } from "./ecc-field.mjs";
import { pairFile } from "./ecc-pair.mjs";
import { pairPointFile } from "./ecc-pair-point.mjs";

const ASSEMBLY = join(dirname(fileURLToPath(import.meta.url)), "..");

const FILES = {
  "p256/generated/field.ts": () => fieldFile("p256"),
  "secp256k1/generated/field.ts": () => fieldFile("secp256k1"),
  "p256/generated/pair.ts": () => pairFile("p256"),
  "secp256k1/generated/pair.ts": () => pairFile("secp256k1"),
  "ecdsa/generated/constants.ts": constantsFile,
  "ecdsa/generated/pair-point.ts": pairPointFile,
};

/**
 * Writes the generated files, or compares them.
 *
 * @param {{ check?: boolean }} [options]
 * @returns {Promise<string | undefined>} what differs where `check` is set
 */
export async function generateEcc({ check = false } = {}) {
  const different = [];
  for (const [name, make] of Object.entries(FILES)) {
    const path = join(ASSEMBLY, name);
    const text = make();
    if ((await readFile(path, "utf8").catch(() => undefined)) === text) continue;
    if (check) {
      different.push(name);
    } else {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
  }
  return different.length === 0
    ? undefined
    : `not what assembly/generate writes: ${different.join(", ")}; run node assembly/generate/ecc.mjs`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateEcc();
