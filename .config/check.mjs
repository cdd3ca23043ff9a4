/** Everything that can be judged without running the program: style, types, rings, dead code, wasm bytes, API, package. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWasm } from "./build-wasm.mjs";
import { ROOT } from "./files.mjs";
import { sizes } from "./sizes.mjs";

const SUMS = join(ROOT, "assembly/SHA256SUMS");

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

/** Builds the kernels anew elsewhere and compares each with the one in dist/ and with the digests that git keeps. */
async function wasmIsReproducible() {
  const folder = mkdtempSync(join(tmpdir(), "keyplane-wasm-"));
  try {
    await buildWasm({ outDir: folder, bytesDir: folder });
    const files = readdirSync(folder)
      .filter((name) => name.endsWith(".wasm"))
      .sort();
    const sums = files.map((name) => `${digest(join(folder, name))}  ${name}\n`).join("");
    const inDist = files.map((name) => `${digest(join(ROOT, "dist", name))}  ${name}\n`).join("");
    if (sums !== inDist) return `dist/ has\n${inDist}a second build has\n${sums}`;
    const recorded = existsSync(SUMS) ? readFileSync(SUMS, "utf8") : "";
    if (process.argv.includes("--record")) writeFileSync(SUMS, sums);
    else if (recorded !== sums)
      return `assembly/SHA256SUMS has\n${recorded}the build has\n${sums}(npm run check -- --record)`;
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function digest(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** Generates the kernels anew and wants no difference. */
async function generatedIsCurrent() {
  const { generate } = await import("../assembly/generate/index.mjs");
  const { generateEcc } = await import("../assembly/generate/ecc.mjs");
  const { generateRsa } = await import("../assembly/generate/rsa.mjs");
  const differences = [
    await generate({ check: true }),
    await generateEcc({ check: true }),
    await generateRsa({ check: true }),
  ];
  const stale = differences.filter((difference) => difference !== undefined);
  return stale.length === 0 ? undefined : stale.join("\n");
}

/** Rewrites the API reports in a temporary folder and compares. */
async function apiReportIsCurrent() {
  const { apiReports } = await import("./api-report.mjs");
  return apiReports({ write: false });
}

/** Entries without types: what they are depends on who imports them. */
const { exports: entries } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const wasmFiles = Object.keys(entries).filter((name) => name.endsWith(".wasm"));

const steps = [
  ["biome", runs(bin("biome"), "check", "--error-on-warnings", ".")],
  ["types of the tests and benches", runs(bin("tsc"), "--project", "test/tsconfig.json")],
  ["types of the web entry", runs(bin("tsc"), "--project", "test/types/web.tsconfig.json")],
  ["rings", runs(bin("depcruise"), "--config", ".config/dependency-cruiser.cjs", "src")],
  ["dead code", runs(bin("knip"), "--config", ".config/knip.json")],
  ["generated kernels", generatedIsCurrent],
  ["reproducible wasm", wasmIsReproducible],
  ["API report", apiReportIsCurrent],
  ["package", runs(bin("publint"), "--strict")],
  [
    "types of the package",
    runs(bin("attw"), "--pack", ".", "--profile", "esm-only", "--exclude-entrypoints", ...wasmFiles),
  ],
  ["sizes", async () => (await sizes()).problem],
];

let failed = 0;
for (const [name, step] of steps) {
  const started = performance.now();
  const problem = await Promise.resolve()
    .then(step)
    .catch((error) => error.stack);
  console.log(
    `${problem === undefined ? "ok    " : "FAILED"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
  if (problem !== undefined) {
    console.log(problem);
    failed += 1;
  }
}
process.exitCode = failed > 0 ? 1 : 0;
