/** Shows that comparing traces finds every planted leak, names its place, and leaves clean code alone. */

import { describe, expect, test } from "vitest";
import { allowRelaxedSimd } from "./builds.ts";
import { CLEAN, fixture, fixtureScenario, LEAKS } from "./fixtures.ts";
import { instrument } from "./instrument.ts";
import { describeDifference, Tracer } from "./trace.ts";
import { toWasm } from "./wat.ts";

allowRelaxedSimd();

const instrumented = instrument(fixture("leaks.wat"));
const compare = (name: string) =>
  new Tracer(instrumented, { engine: false }).compare(fixtureScenario(name)).difference;

describe("comparing traces", () => {
  test.each(LEAKS)("finds the leak of %s at its %s", (name, mnemonic) => {
    const difference = compare(name);
    expect(difference?.site).toMatchObject({ functionName: name, mnemonic });
    expect(difference?.values[0]).not.toBe(difference?.values[1]);
    expect(difference && describeDifference(fixtureScenario(name), difference)).toContain(`function ${name}`);
  });

  test.each(CLEAN)("passes the clean function %s", (name) => {
    expect(compare(name)).toBeUndefined();
  });

  test("follows relaxed instructions", () => {
    const relaxed = instrument(fixture("relaxed.wat"));
    const differenceOf = (name: string) =>
      new Tracer(relaxed, { engine: false }).compare(fixtureScenario(name)).difference;
    expect(differenceOf("cleanRelaxed")).toBeUndefined();
    expect(differenceOf("leakThroughSwizzle")?.site.mnemonic).toBe("i32.load8_u");
    expect(differenceOf("leakThroughMadd")?.site.mnemonic).toBe("i32.load8_u");
  });

  test("finds a wrong answer of the module", () => {
    const wrong = { ...fixtureScenario("cleanMask"), expected: () => 1 };
    expect(() => new Tracer(instrumented, { engine: false }).compare(wrong)).toThrow("wrong answer");
  });

  test("refuses a module with instructions whose operands it would miss", () => {
    const table = toWasm(`(module (memory (export "memory") 1) (table 1 funcref)
      (func (param i32) (drop (table.get 0 (local.get 0)))))`);
    expect(() => instrument(table)).toThrow("table.get");
  });
});
