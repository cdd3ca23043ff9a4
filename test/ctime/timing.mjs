/**
 * `npm run ctime:timing [-- --samples=N] [WORD…]`: times the engine on every build that exists, and a control that must
 * be caught. Ends with 1 where a time depends on a secret, stays unclear, or the control is not caught.
 */

import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const SEEDS = [1, 2, 3];

/** Bundles the TypeScript parts and loads them; they find dist/ two folders up, as in test/ctime. */
async function loadParts() {
  const folder = join(HERE, "../../build/ctime");
  const outfile = join(folder, `timing-${process.pid}.mjs`);
  mkdirSync(folder, { recursive: true });
  try {
    await build({
      stdin: {
        contents: ["builds", "scenarios/index", "timing", "welch"]
          .map((name) => `export * from "./${name}.ts";`)
          .join("\n"),
        resolveDir: HERE,
      },
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      logLevel: "warning",
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(outfile, { force: true });
  }
}

const options = process.argv.slice(2);
const words = options.filter((option) => !option.startsWith("--"));
const samples = Number(options.find((option) => option.startsWith("--samples="))?.slice(10) ?? 30_000);
if (!Number.isInteger(samples) || samples < 5000)
  throw new Error("--samples must be a whole number of at least 5000");

const parts = await loadParts();
const { allowRelaxedSimd, BUILDS, SCENARIOS, controlCase, timedCase, timeCase, verdictOf } = parts;
const { mangerCase, mangerControlCase } = parts;
allowRelaxedSimd();

/** Times a case under three seeds, and again with four times the samples if they do not agree. */
function judge(timed, count = samples) {
  let ts = SEEDS.map((seed) => timeCase(timed, count, seed));
  if (verdictOf(ts) === "unclear") ts = SEEDS.map((seed) => timeCase(timed, 4 * count, seed + SEEDS.length));
  return { verdict: verdictOf(ts), ts };
}

function report(build, name, { verdict, ts }, wanted) {
  const values = ts.map((t) => t.toFixed(1).padStart(7)).join("");
  console.log(
    `${verdict === wanted ? "ok    " : "FAILED"} |t| =${values}  ${verdict.padEnd(7)} ${build.padEnd(8)} ${name}`,
  );
  return verdict === wanted ? 0 : 1;
}

console.log(
  `Node ${process.version}, ${samples} samples a seed; clean below 4.5, a leak above 10, two of three seeds`,
);
/** A whole private operation takes a hundred times as long as what else is timed. */
const SLOWER = 20;
const isAsked = ({ name }) => words.every((word) => name.includes(word));
const control = controlCase();
let failed = report("-", control.name, judge(control), "leaks");
for (const { module, name, bytes } of BUILDS) {
  for (const scenario of SCENARIOS[module]) {
    if (scenario.timed !== true || !isAsked(scenario)) continue;
    failed += report(
      name,
      scenario.name,
      judge(timedCase(scenario, SCENARIOS[module], { module, wasm: bytes() })),
      "clean",
    );
  }
  if (module !== "rsa") continue;
  const caught = mangerControlCase(SCENARIOS.rsa, { module, wasm: bytes() });
  failed += report(name, caught.name, judge(caught), "leaks");
  const manger = mangerCase(bytes());
  if (isAsked(manger)) failed += report(name, manger.name, judge(manger, samples / SLOWER), "clean");
}
console.log(failed === 0 ? "no time depends on a secret" : `${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
