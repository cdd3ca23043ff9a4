/**
 * Makes a bare clone ready: dependencies, wasm, addon, dist. Idempotent, and quick when nothing changed.
 * Needs npm and a registry the first time; a C++ compiler only for what can be done without.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf, findCompiler, ROOT, whenChanged } from "./files.mjs";

const MIN_NODE = [20, 19];

function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}

/** Runs a command quietly; what it printed is shown when it fails. */
function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  return {
    ok: result.status === 0,
    output: `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}`,
  };
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  fail(`Node ${MIN_NODE.join(".")} or newer is needed; this is ${process.versions.node}.`);
}

/** node:sqlite is built in, without a flag, from 22.13. */
const HAS_NODE_SQLITE = major > 22 || (major === 22 && minor >= 13);

const compiler = findCompiler();

function buildBetterSqlite() {
  if (HAS_NODE_SQLITE || !existsSync(join(ROOT, "node_modules/better-sqlite3"))) return;
  if (run(process.execPath, ["-e", "new (require('better-sqlite3'))(':memory:').close()"]).ok) return;
  if (compiler === undefined) {
    console.log(
      "better-sqlite3: skipped, there is no C++ compiler; the SQLite store is not available on this Node.",
    );
    return;
  }
  console.log("better-sqlite3: building (about two minutes, once)");
  const built = run("npm", ["rebuild", "better-sqlite3"]);
  if (!built.ok)
    console.log(`better-sqlite3: skipped, its build failed: ${built.output.trim().split("\n").at(-1)}`);
}

await whenChanged({
  name: "dependencies",
  stamp: "node_modules/.keyplane-stamp",
  digest: digestOf(
    ["package-lock.json"],
    process.versions.modules,
    process.platform,
    process.arch,
    compiler ?? "",
  ),
  outputs: ["node_modules/typescript", "node_modules/assemblyscript"],
  run: () => {
    const installed = run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    if (!installed.ok) fail(`npm ci failed:\n${installed.output}`);
    buildBetterSqlite();
  },
});

const { build } = await import("./build.mjs");
await build({ compiler });

if (!process.argv.includes("--quiet")) {
  const builds = JSON.parse(readFileSync(join(ROOT, "dist/wasm.json"), "utf8"));
  console.log("ready: dist/ is built");
  for (const [name, { bytes, sha256 }] of Object.entries(builds)) {
    console.log(`  ${name}.wasm  ${bytes} bytes, SHA-256 ${sha256}`);
  }
}
