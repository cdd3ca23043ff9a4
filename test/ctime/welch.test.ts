/** Shows that the statistics of the timing test see a small difference and do not invent one. */

import { expect, test } from "vitest";
import { seededBytes } from "./scenario.ts";
import { largestT, verdictOf } from "./welch.ts";

const SAMPLES = 30_000;

/** Makes times around 1000 with outliers; class 1 takes `extra` longer. */
function timesWith(extra: number, seed: string): { times: Float64Array; classes: Uint8Array } {
  const bytes = seededBytes(seed, 4 * SAMPLES);
  const times = new Float64Array(SAMPLES);
  const classes = new Uint8Array(SAMPLES);
  for (let i = 0; i < SAMPLES; i++) {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(4 * i, 4 * i + 4);
    const which = a & 1;
    const outlier = b < 3 ? 100 * c : 0;
    classes[i] = which;
    times[i] = 1000 + (c + d) / 16 + outlier + which * extra;
  }
  return { times, classes };
}

test("times of one distribution show no difference", () => {
  for (const seed of ["a", "b", "c"]) {
    const { times, classes } = timesWith(0, seed);
    expect(largestT(times, classes)).toBeLessThan(4.5);
  }
});

test("a difference of a thousandth shows in spite of outliers", () => {
  const { times, classes } = timesWith(1, "d");
  expect(largestT(times, classes)).toBeGreaterThan(10);
});

test("constant times differ only if they are unequal", () => {
  const { classes } = timesWith(0, "e");
  expect(largestT(new Float64Array(SAMPLES).fill(5), classes)).toBe(0);
  expect(largestT(Float64Array.from(classes), classes)).toBe(Number.POSITIVE_INFINITY);
});

test("two of three seeds decide", () => {
  expect(verdictOf([1, 2, 31.9])).toBe("clean");
  expect(verdictOf([12, 11, 1])).toBe("leaks");
  expect(verdictOf([1, 6, 12])).toBe("unclear");
  expect(verdictOf([5, 6, 7])).toBe("unclear");
});
