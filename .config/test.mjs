/** Runs the tests and closes with one plain line, so that a run that tested nothing cannot look green. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./files.mjs";

const args = process.argv.slice(2);
const kind = ["slow", "runtimes"].find((name) => args.includes(`--${name}`));
const filters = args.filter((arg) => arg !== `--${kind}`);
const folder = mkdtempSync(join(tmpdir(), "keyplane-test-"));
const report = join(folder, "report.json");

const vitest = spawnSync(
  process.execPath,
  [
    join(ROOT, "node_modules/vitest/vitest.mjs"),
    "run",
    "--config=.config/vitest.config.mjs",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...filters,
  ],
  {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...(kind === undefined ? {} : { [`KEYPLANE_${kind.toUpperCase()}`]: "1" }) },
  },
);

let passed = 0;
let failed = 0;
let skipped = 0;
if (existsSync(report)) {
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  passed = numPassedTests;
  failed = numFailedTests;
  skipped = numPendingTests;
  // A file that does not load has no failed test to count.
  failed += testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  for (const file of testResults) {
    for (const test of file.assertionResults) {
      if (test.status === "pending" || test.status === "skipped") console.log(`skipped: ${test.fullName}`);
    }
  }
}
rmSync(folder, { recursive: true, force: true });
if (passed + failed === 0 || (failed === 0 && vitest.status !== 0)) failed += 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : 0;
