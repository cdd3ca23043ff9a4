/** Writes generated files, or compares them with what is kept in git. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ASSEMBLY = join(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * @param {Readonly<Record<string, () => string>>} files what makes the text of each file, by its path below assembly/
 * @param {{ check: boolean, script: string }} options `check` compares only; `script` is what to run where files differ
 * @returns {Promise<string | undefined>} what differs where `check` is set
 */
export async function keepFiles(files, { check, script }) {
  const different = [];
  for (const [name, make] of Object.entries(files)) {
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
    : `not what assembly/generate writes: ${different.join(", ")}; run node assembly/generate/${script}`;
}
