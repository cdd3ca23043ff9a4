/** Writes the generated file of RSA; its output is kept in git, and `{ check: true }` compares instead. */

import { fileURLToPath } from "node:url";
import { keepFiles } from "./keep.mjs";
import { rsaFp51 } from "./rsa-fp51.mjs";

const FILES = { "rsa/generated/fp51.ts": rsaFp51 };

/**
 * Writes the generated file, or compares it.
 *
 * @param {{ check?: boolean }} [options]
 * @returns {Promise<string | undefined>} what differs where `check` is set
 */
export function generateRsa({ check = false } = {}) {
  return keepFiles(FILES, { check, script: "rsa.mjs" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateRsa();
