/** Shows that timing finds a planted leak, through the same code that times the engine, and leaves clean code alone. */

import { expect, test } from "vitest";
import { BUILDS } from "./builds.ts";
import { fixture, fixtureScenario } from "./fixtures.ts";
import { openRig } from "./rig.ts";
import type { Input } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { controlCase, type TimedCase, timeCase, timedCase } from "./timing.ts";
import { verdictOf } from "./welch.ts";

const SAMPLES = 10_000;
const filled = (byte: number): Input => ({ secret: new Uint8Array(16).fill(byte) });

/** Sets a secret of zeros against one of ones in a function of leaks.wat. */
function fixtureCase(name: string): TimedCase {
  const { run } = fixtureScenario(name);
  const pool = (byte: number): Input[] => Array.from({ length: 32 }, () => filled(byte));
  return {
    name,
    classes: [pool(0x00), pool(0xff)],
    run,
    rig: openRig(fixture("leaks.wat"), { engine: false }),
  };
}

const verdict = (timed: TimedCase) => verdictOf([1, 2, 3].map((seed) => timeCase(timed, SAMPLES, seed)));

test("a loop of secret length shows", () => {
  expect(verdict(fixtureCase("loopLength"))).toBe("leaks");
});

test("a clean function does not show", () => {
  expect(verdict(fixtureCase("cleanLoop"))).not.toBe("leaks");
});

test("both classes of every case have as many inputs, of the same lengths", () => {
  const cases = BUILDS.filter(({ name }) => /^(\w+-)?base$/.test(name)).flatMap(({ module, bytes }) =>
    SCENARIOS[module]
      .filter((scenario) => scenario.timed)
      .map((one) => timedCase(one, SCENARIOS[module], { module, wasm: bytes() })),
  );
  expect(cases.length).toBeGreaterThan(3);
  for (const { classes } of [controlCase(), ...cases]) {
    const [first, second] = classes.map((pool) =>
      pool.map((input) => Object.entries(input).map(([name, bytes]) => [name, bytes.length])),
    );
    expect(second).toEqual(first);
    expect(classes[0]).not.toEqual(classes[1]);
  }
});
