/** Writes the generated files of the elliptic curves; their output is kept in git, and `{ check: true }` compares instead. */

import { fileURLToPath } from "node:url";
import { constantsFile } from "./ecc-constants.mjs";
import { fieldFile } from "./ecc-field.mjs";
import { pairFile } from "./ecc-pair.mjs";
import { pairPointFile } from "./ecc-pair-point.mjs";
import { keepFiles } from "./keep.mjs";

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
export function generateEcc({ check = false } = {}) {
  return keepFiles(FILES, { check, script: "ecc.mjs" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateEcc();
