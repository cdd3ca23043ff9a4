/** Writes the generated files of RSA; their output is kept in git, and `{ check: true }` compares instead. */

import { fileURLToPath } from "node:url";
import { keepFiles } from "./keep.mjs";
import { rsaFp24 } from "./rsa-fp24.mjs";
import { rsaFp51 } from "./rsa-fp51.mjs";

const FILES = { "rsa/generated/fp24.ts": rsaFp24, "rsa/generated/fp51.ts": rsaFp51 };

/**
 * Writes the generated files, or compares them.
 *
 * @param {{ check?: boolean }} [options]
 * @returns {Promise<string | undefined>} what differs where `check` is set
 */
export function generateRsa({ check = false } = {}) {
  return keepFiles(FILES, { check, script: "rsa.mjs" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateRsa();
