/** Everything that can be judged without running the program: style, types, rings, dead code, wasm bytes, API, package. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compileKernel } from "./build-wasm.mjs";
import { ROOT } from "./files.mjs";

const bin = (name) => join(ROOT, "node_modules/.bin", name);

function runs(command, ...args) {
  return () => {
    const result = spawnSync(command, args, {
      cwd: ROOT,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    return result.status === 0 ? undefined : `${result.stdout}${result.stderr}`;
  };
}

/** Compiles the kernels anew and compares them with those in dist/ and with the digest that git keeps. */
async function wasmIsReproducible() {
  const wasm = await compileKernel();
  const sha256 = createHash("sha256").update(wasm).digest("hex");
  const { base } = JSON.parse(readFileSync(join(ROOT, "dist/wasm.json"), "utf8"));
  const recorded = readFileSync(join(ROOT, "assembly/SHA256SUMS"), "utf8").trim();
  if (base.sha256 !== sha256) return `dist/base.wasm is ${base.sha256}, a second build ${sha256}`;
  return recorded === `${sha256}  base.wasm`
    ? undefined
    : `assembly/SHA256SUMS has ${recorded}, the build ${sha256}`;
}

/** Rewrites the API reports in a temporary folder and compares. */
async function apiReportIsCurrent() {
  const { apiReports } = await import("./api-report.mjs");
  return apiReports({ write: false });
}

const steps = [
  ["biome", runs(bin("biome"), "check", "--error-on-warnings", ".")],
  ["types of the tests and benches", runs(bin("tsc"), "--project", "test/tsconfig.json")],
  ["types of the web entry", runs(bin("tsc"), "--project", "test/types/web.tsconfig.json")],
  ["rings", runs(bin("depcruise"), "--config", ".config/dependency-cruiser.cjs", "src")],
  ["dead code", runs(bin("knip"), "--config", ".config/knip.json")],
  ["reproducible wasm", wasmIsReproducible],
  ["API report", apiReportIsCurrent],
  ["package", runs(bin("publint"), "--strict")],
];

let failed = 0;
for (const [name, step] of steps) {
  const started = performance.now();
  const problem = await step();
  console.log(
    `${problem === undefined ? "ok    " : "FAILED"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
  if (problem !== undefined) {
    console.log(problem);
    failed += 1;
  }
}
process.exitCode = failed > 0 ? 1 : 0;
