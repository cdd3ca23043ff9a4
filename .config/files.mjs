/** Small file helpers of the scripts in this folder: what the inputs of a step are and whether they changed. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Lists the files below paths of the project, sorted; generated and hidden ones left out. */
export function filesBelow(paths) {
  const found = [];
  const visit = (path) => {
    const absolute = join(ROOT, path);
    if (!existsSync(absolute)) return;
    if (!statSync(absolute).isDirectory()) {
      found.push(path);
      return;
    }
    for (const name of readdirSync(absolute).sort()) {
      const below = join(path, name);
      if (name !== "node_modules" && below !== join("src", "engines", "wasm", "bytes")) visit(below);
    }
  };
  for (const path of paths) visit(path);
  return found;
}

/** Digests the names and contents of files, and what else the result depends on. */
export function digestOf(paths, ...extra) {
  const hash = createHash("sha256");
  for (const file of filesBelow(paths))
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update("\0");
  for (const text of extra) hash.update(String(text)).update("\0");
  return hash.digest("hex");
}

/** Runs a step unless its digest is the one a stamp file remembers and its outputs are there. */
export async function whenChanged({ name, stamp, digest, outputs, run }) {
  const path = join(ROOT, stamp);
  const known = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (known === digest && outputs.every((output) => existsSync(join(ROOT, output)))) return;
  const started = performance.now();
  const remember = await run();
  if (remember !== false) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, digest);
  }
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Names the C++ compiler that native builds will use; undefined where there is none. */
export function findCompiler() {
  const names = [process.env.CXX, "g++", "clang++", "c++"].filter(
    (name) => name !== undefined && name !== "",
  );
  return names.find((name) => spawnSync(name, ["--version"]).status === 0);
}
