/**
 * The taint gate: under valgrind memcheck, on every build that ships, no jump, address or division operand depends on a
 * secret, but at the declassify points. Shown to find planted leaks first.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { allowRelaxedSimd, BUILDS } from "./builds.ts";
import { DECLASSIFY_POINTS, MOST_POINTS } from "./declassify.ts";
import { CLEAN, fixture, fixtureScenario, LEAKS } from "./fixtures.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { checkTaint, findingsOf, missingTools, type TaintReport } from "./taint.ts";

allowRelaxedSimd();

const missing = missingTools();

test("the tools of the taint check are there", ({ skip }) => {
  // Someone without them may go on; CI may not.
  if (missing !== undefined && process.env.CI !== "true") skip(missing);
  expect(missing).toBeUndefined();
});

test("there are few declassify points, each with a reason", () => {
  expect(DECLASSIFY_POINTS.length).toBeLessThanOrEqual(MOST_POINTS);
  for (const { reason } of DECLASSIFY_POINTS) expect(reason.length).toBeGreaterThan(20);
});

describe.runIf(missing === undefined)("following secrets", () => {
  const leaks = [...LEAKS.map(([name]) => name), "secretResult"];
  let report: TaintReport;

  beforeAll(() => {
    const scenarios = [...leaks, ...CLEAN].map(fixtureScenario);
    report = checkTaint(fixture("leaks.wat"), scenarios, [], { engine: false });
  }, 120_000);

  test.each(leaks)("finds the leak of %s", (name) => {
    expect(report.errors[name]).toBeGreaterThan(0);
  });

  test.each(CLEAN)("passes the clean function %s", (name) => {
    expect(report.errors[name]).toBeUndefined();
  });

  test("names the instruction whose operand is secret", () => {
    expect(report.operands.map(({ mnemonic }) => mnemonic)).toEqual(
      expect.arrayContaining(["i32.div_u", "i64.rem_u", "f64.div", "f32.sqrt", "select", "global.set"]),
    );
  });

  test("follows secrets through relaxed instructions", { timeout: 120_000 }, () => {
    const names = ["cleanRelaxed", "leakThroughSwizzle", "leakThroughMadd"];
    const scenarios = names.map(fixtureScenario);
    const { errors } = checkTaint(fixture("relaxed.wat"), scenarios, [], { engine: false });
    expect(Object.keys(errors)).toEqual(["leakThroughSwizzle", "leakThroughMadd"]);
  });

  test("finds the verdict where no point makes it public, and a point that is out of date", {
    timeout: 120_000,
  }, () => {
    const base = BUILDS.find(({ name }) => name === "base");
    const [point] = DECLASSIFY_POINTS;
    if (base === undefined || point === undefined) throw new Error("there is no build or no point");
    const points = [{ ...point, after: ["i32.const 123456789", "i32.sub"], places: { base: 1 } }] as const;
    const forged = SCENARIOS.main.filter(({ name }) => name.includes("whose last byte is wrong")).slice(0, 1);
    const findings = findingsOf(
      checkTaint(base.bytes(), forged, points, { engine: "main" }),
      points,
      base.name,
    );
    expect(findings).toEqual([
      expect.stringContaining("whose last byte is wrong"),
      expect.stringContaining("0 places, not 1"),
      expect.stringContaining("never reached by a secret"),
      expect.stringContaining("depends on uninitialised value"),
    ]);
  });

  test.each(BUILDS)("finds nothing on the $name build", { timeout: 300_000 }, ({ module, name, bytes }) => {
    const result = checkTaint(bytes(), SCENARIOS[module], DECLASSIFY_POINTS, { engine: module });
    expect(findingsOf(result, DECLASSIFY_POINTS, name)).toEqual([]);
    expect(result.scenarios).toBe(SCENARIOS[module].length);
  });
});
