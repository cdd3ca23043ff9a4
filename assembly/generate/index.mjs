/**
 * Writes the generated kernels below assembly/aes-gcm/generated/. Their output is kept in git; `generate({ check: true })`
 * compares instead of writing.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { aesBitsliced } from "./aes-bitsliced.mjs";
import { aesPermute } from "./aes-permute.mjs";
import { fileHead } from "./emit.mjs";
import { ghashKaratsuba } from "./ghash-karatsuba.mjs";
import { ghashPermute } from "./ghash-permute.mjs";
import { permuteTables } from "./permute-tables.mjs";

const OUTPUT = join(dirname(fileURLToPath(import.meta.url)), "../aes-gcm/generated");

function tablesFile({ tables }) {
  const names = Object.keys(tables);
  const bytes = names.flatMap((name) => tables[name]);
  const rows = [];
  for (let i = 0; i < bytes.length; i += 16) rows.push(`  ${bytes.slice(i, i + 16).join(", ")},`);
  return `${fileHead("Public constant tables of the vector-permute kernels, and the offset of each.")}
export const TABLES: usize = memory.data<u8>([
${rows.join("\n")}
], 16);

${names.map((name, index) => `export const ${name}: usize = ${16 * index};`).join("\n")}
`;
}

/** Returns the text of every generated file by its name. */
export function generatedFiles() {
  const derived = permuteTables();
  return {
    "tables.ts": tablesFile(derived),
    "aes-permute.ts": aesPermute(derived),
    "aes-bitsliced.ts": aesBitsliced(),
    "ghash-permute.ts": ghashPermute(),
    "ghash-karatsuba.ts": ghashKaratsuba(),
  };
}

/**
 * Writes the generated files, or compares them.
 *
 * @param {{ check?: boolean }} [options]
 * @returns {Promise<string | undefined>} what differs where `check` is set
 */
export async function generate({ check = false } = {}) {
  const different = [];
  await mkdir(OUTPUT, { recursive: true });
  for (const [name, text] of Object.entries(generatedFiles())) {
    const path = join(OUTPUT, name);
    const old = await readFile(path, "utf8").catch(() => undefined);
    if (old === text) continue;
    if (check) different.push(name);
    else await writeFile(path, text);
  }
  return different.length === 0
    ? undefined
    : `not what assembly/generate writes: ${different.join(", ")}; run node assembly/generate/index.mjs`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generate();
