/**
 * Plants the defects of list.mjs, one at a time, in a copy of the project and demands that the named tests notice.
 * The real tree is only read. Exit status 1 if a defect survives, no longer applies, or the tests fail without it. Tests that
 * draw their cases at random, or wait for other programs, may miss once: what is not as it should be is run a second time,
 * and the output says so.
 *
 *     npm run test:mutation              all defects
 *     npm run test:mutation -- counter   those whose name holds "counter"
 *
 * A new defect is a new entry in list.mjs; the fields are described there.
 */

import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { BUILD_NAMES, BYTES_FOLDER } from "../../.config/build-wasm.mjs";
import { DEFECTS } from "./list.mjs";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
/** dist/ comes along for the tests that start other processes and threads, or read the kernels there. */
const COPIED = ["src", "test", "assembly", "docs", "dist", ".config", "package.json", "tsconfig.json"];
/** The kernels, as they are bundled and as files. */
const BUILT_FILES = BUILD_NAMES.flatMap((name) => [`${BYTES_FOLDER}/${name}.ts`, `dist/${name}.wasm`]);
/** Folders whose files are in one module alone, so that no other is built. */
const MODULE_OF_FOLDER = { "assembly/rsa/": "rsa", "assembly/ecdsa/": "ecc", "assembly/aes-gcm/": "main" };
/** Defects under test at a time, each in a copy of its own. */
const WORKERS = 2;
/** A run longer than this has no verdict; a defect that makes the tests hang needs other tests. */
const TIMEOUT_MS = 240_000;
/** The run without defects has all the files to do. */
const CLEAN_TIMEOUT_MS = 1_200_000;

const KILLED = "killed";

const filter = process.argv[2] ?? "";
const defects = DEFECTS.filter((defect) => defect.name.includes(filter));
const scratch = mkdtempSync(join(tmpdir(), "keyplane-mutation-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

function makeCopy(name) {
  const copy = join(scratch, name);
  mkdirSync(copy);
  for (const path of COPIED) {
    if (existsSync(join(ROOT, path))) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Runs a script of Node in a copy; undefined when it took too long. */
function node(copy, timeoutMs, ...args) {
  return new Promise((done) => {
    const env = { ...process.env, KEYPLANE_MUTATION: "1" };
    const child = spawn(process.execPath, args, { cwd: copy, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("close", (status) => {
      clearTimeout(timer);
      done(late ? undefined : { status, output });
    });
  });
}

/**
 * Runs test files.
 *
 * @returns for each file "passed", "failed" (a test of it did) or "broken" (it did not even load); undefined without a verdict
 */
async function runTests(copy, files, timeoutMs = TIMEOUT_MS) {
  const report = join(copy, "report.json");
  rmSync(report, { force: true });
  const run = await node(
    copy,
    timeoutMs,
    "node_modules/vitest/vitest.mjs",
    "run",
    "--config=.config/vitest.config.mjs",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...files,
  );
  if (run === undefined || !existsSync(report)) return undefined;
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  return files.map((file) => {
    const result = testResults.find((candidate) => candidate.name.endsWith(file));
    if (result === undefined || result.assertionResults.length === 0) return "broken";
    return result.assertionResults.some((test) => test.status === "failed") ? "failed" : "passed";
  });
}

/** @returns how the tests end with a defect in the copy */
async function endOf(copy, tests) {
  const verdicts = await runTests(copy, tests);
  if (verdicts === undefined) return "NO VERDICT: the tests did not end";
  const broken = tests.filter((_, i) => verdicts[i] === "broken");
  if (broken.length > 0) return `BROKEN: ${broken.join(", ")} did not load`;
  const passed = tests.filter((_, i) => verdicts[i] === "passed");
  return passed.length > 0 ? `SURVIVED: ${passed.join(", ")}` : KILLED;
}

/** @returns what became of the defect; what begins with KILLED is the only good end */
async function judge(copy, { file, find, replace, tests }) {
  const path = join(copy, file);
  const original = existsSync(path) ? readFileSync(path, "utf8") : "";
  const occurrences = original.split(find).length - 1;
  if (occurrences !== 1) return `STALE: found ${occurrences} times in ${file}`;
  const isKernel = file.startsWith("assembly/");
  const readBuilt = () => BUILT_FILES.map((builtFile) => readFileSync(join(copy, builtFile)));
  const built = readBuilt();
  writeFileSync(
    path,
    original.replace(find, () => replace),
  );
  try {
    if (isKernel) {
      const [, ...module] =
        Object.entries(MODULE_OF_FOLDER).find(([folder]) => file.startsWith(folder)) ?? [];
      const build = await node(copy, TIMEOUT_MS, ".config/build-wasm.mjs", ...module);
      if (build?.status !== 0) return "BROKEN: the kernels do not build";
      if (readBuilt().every((bytes, i) => bytes.equals(built[i]))) return "STALE: the kernels are the same";
    }
    const first = await endOf(copy, tests);
    return first === KILLED ? KILLED : `${await endOf(copy, tests)} (before: ${first})`;
  } finally {
    writeFileSync(path, original);
    if (isKernel) {
      for (const [i, file] of BUILT_FILES.entries()) writeFileSync(join(copy, file), built[i]);
    }
  }
}

const files = [...new Set(defects.flatMap((defect) => defect.tests))];
const copies = Array.from({ length: WORKERS }, (_, i) => makeCopy(`copy-${i}`));
let failures = 0;

if (defects.length === 0) {
  console.log(`No defect's name holds "${filter}".`);
  process.exit(1);
}

/** @returns the files that do not pass in a copy without defects */
async function unsoundOf(candidates) {
  const clean = await runTests(copies[0], candidates, CLEAN_TIMEOUT_MS);
  const unsound = candidates.filter((_, i) => clean?.[i] !== "passed");
  for (const file of unsound) console.log(`Without any defect ${file} should pass.`);
  return unsound;
}

// Without this a test that fails anyway would seem to kill every defect.
const unsound = await unsoundOf(files);
if (unsound.length > 0 && (await unsoundOf(unsound)).length > 0) process.exit(1);

const width = Math.max(...defects.map((defect) => defect.name.length));
const queue = [...defects];
await Promise.all(
  copies.map(async (copy) => {
    for (let defect = queue.shift(); defect !== undefined; defect = queue.shift()) {
      const started = performance.now();
      const end = await judge(copy, defect);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      if (!end.startsWith(KILLED)) failures += 1;
      console.log(`${defect.name.padEnd(width)}  ${seconds.padStart(6)} s  ${end}`);
    }
  }),
);
console.log(`${defects.length} defects planted, ${defects.length - failures} killed`);
process.exitCode = failures > 0 ? 1 : 0;
