/**
 * The constant-time gate: on every build that ships, an operation on at least a hundred different secrets leaves one and
 * the same trace of branches, addresses and division operands.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { allowRelaxedSimd, BUILDS } from "./builds.ts";
import { coverageOf } from "./coverage.ts";
import { instrument } from "./instrument.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { describeDifference, Tracer } from "./trace.ts";

allowRelaxedSimd();

const OBJDUMP = new URL("../../node_modules/wabt/bin/wasm-objdump", import.meta.url);

/** What the disassembler calls the instructions that have a condition, an address or a dividend. */
const COUNTED =
  /^(if|br_if|br_table|select|(return_)?call_indirect|global\.set|memory\.(copy|fill|init|grow)|\w+\.(load|store)\w*|[if]\d+(x\d)?\.(div(_[su])?|rem_[su]|sqrt))$/;

/** Largest share of the sites that the scenarios may miss. */
const MOST_MISSED = 0.08;

/** Counts the instructions of each kind as the disassembler sees them in the module that ships. */
function countByDisassembler(file: URL): Record<string, number> {
  const listing = execFileSync(process.execPath, [fileURLToPath(OBJDUMP), "-d", fileURLToPath(file)], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const counts: Record<string, number> = {};
  for (const line of listing.split("\n")) {
    const mnemonic = /\| +([a-z][\w.]*)/.exec(line)?.[1] ?? "";
    if (COUNTED.test(mnemonic)) counts[mnemonic] = (counts[mnemonic] ?? 0) + 1;
  }
  return counts;
}

test("every build that the package exports is there to be checked", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const exported = Object.keys(manifest.exports).filter((name) => name.endsWith(".wasm"));
  expect(exported).toContain("./base.wasm");
  expect(BUILDS.map(({ name }) => `./${name}.wasm`)).toEqual(expect.arrayContaining(exported));
});

describe.each(BUILDS)("the $name build", ({ module, bytes, file }) => {
  const scenarios = SCENARIOS[module];
  const instrumented = instrument(bytes());
  test("is hashed at every site that the disassembler counts", () => {
    const counts: Record<string, number> = {};
    for (const { mnemonic } of instrumented.sites) counts[mnemonic] = (counts[mnemonic] ?? 0) + 1;
    expect(counts).toEqual(countByDisassembler(file));
    expect(instrumented.sites.length).toBeGreaterThan(100);
  });

  test("has no function with secrets that no scenario enters, and few places that none reaches", {
    timeout: 300_000,
  }, () => {
    const { missedFunctions, missedShare } = coverageOf(bytes(), scenarios, { engine: module });
    expect(missedFunctions).toEqual([]);
    // What is left refuses bad arguments, which no secret does.
    expect(missedShare).toBeLessThan(MOST_MISSED);
  });

  test.each(scenarios)("leaves one trace for all secrets: $name", (scenario) => {
    expect(scenario.inputs.length).toBeGreaterThanOrEqual(scenario.fewerInputs ?? 100);
    const tracer = new Tracer(instrumented, { engine: module });
    const { trace, difference } = tracer.compare(scenario);
    expect(difference && describeDifference(scenario, difference)).toBeUndefined();
    // A hash of nothing would agree with everything.
    expect(trace.count).toBeGreaterThan(1000n);
    if (scenario.sameTraceAs === undefined) return;
    const twin = scenarios.find(({ name }) => name === scenario.sameTraceAs);
    if (twin === undefined) throw new Error(`there is no scenario "${scenario.sameTraceAs}"`);
    const fromTwin = tracer.compareTwins(scenario, twin);
    expect(fromTwin && describeDifference(twin, fromTwin)).toBeUndefined();
  });
});
