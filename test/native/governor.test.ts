/** Holds the governor to the number of threads that is best, on devices made up and in a time made up. */

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";

interface Governor {
  add(operations: number, wallNs: number, cpuNs: number): void;
  tick(nowMs: number, saturated: boolean): boolean;
  readonly limit: number;
}

const { Governor } = createRequire(import.meta.url)(resolve("build/Release/governor_lab.node")) as {
  Governor: new (cores: number, min: number, max: number) => Governor;
};

/** What a device makes of so many threads: operations a millisecond, milliseconds of one, and how much of that on a core. */
type Device = (threads: number) => { rate: number; ms: number; cpuShare: number };

/** Answers after a while, to so many at the same time. */
const distant =
  (latencyMs: number, atOnce = 1000): Device =>
  (threads) => ({
    rate: Math.min(threads, atOnce) / latencyMs,
    ms: latencyMs * Math.max(1, threads / atOnce),
    cpuShare: 0.01,
  });

/** Computes on the cores of this machine. */
const computing =
  (ms: number, cores: number): Device =>
  (threads) => ({
    rate: Math.min(threads, cores) / ms,
    ms: ms * Math.max(1, threads / cores),
    cpuShare: Math.min(1, cores / threads),
  });

/** Computes on the cores of this machine, of which others take their part. */
const crowded =
  (ms: number, cores: number, part: number): Device =>
  (threads) => {
    const alone = computing(ms, cores)(threads);
    return { rate: alone.rate * part, ms: alone.ms / part, cpuShare: alone.cpuShare * part };
  };

/** Answers after a while, part of which this machine computes. */
const sharing =
  (latencyMs: number, part: number, cores: number): Device =>
  (threads) => {
    const rate = Math.min(threads / latencyMs, cores / (latencyMs * part));
    return { rate, ms: threads / rate, cpuShare: (rate * latencyMs * part) / threads };
  };

/** Has one lock around everything: a second thread is in the way. */
const locking =
  (ms: number): Device =>
  (threads) => {
    const rate = (threads === 1 ? 1 : 0.6) / ms;
    return { rate, ms: threads / rate, cpuShare: 1 / threads };
  };

const TICK_MS = 5;

/** Runs a governor under load. What a device does is seen one service time late, and by chance more or less of it. */
class Load {
  readonly governor: Governor;
  readonly limits: number[] = [];
  done = 0;
  best = 0;
  #now = 1;
  #carry = 0;
  #seed = 12345;
  readonly #noise: number;

  constructor({ cores = 2, min = 1, max = 64, noise = 0.15 } = {}) {
    this.governor = new Governor(cores, min, max);
    this.#noise = noise;
  }

  #chance(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return 1 + this.#noise * ((2 * this.#seed) / 2 ** 32 - 1);
  }

  /** Runs for so many seconds, and returns the limits of that time. */
  run(device: Device, seconds: number): number[] {
    const begun = this.limits.length;
    const best = Math.max(...[1, 2, 4, 8, 16, 32, 64].map((threads) => device(threads).rate));
    for (let tick = 0; tick < (seconds * 1000) / TICK_MS; tick++) {
      const late = Math.floor(device(this.governor.limit).ms / TICK_MS);
      const threads = this.limits[this.limits.length - 1 - late] ?? 1;
      const { rate, ms, cpuShare } = device(threads);
      this.#carry += rate * TICK_MS * this.#chance();
      const done = Math.floor(this.#carry);
      this.#carry -= done;
      this.done += done;
      this.best += best * TICK_MS;
      const chunks = Math.min(done, 4);
      for (let chunk = 0; chunk < chunks; chunk++) {
        const operations = Math.floor(done / chunks);
        const wallNs = operations * ms * 1e6 * this.#chance();
        this.governor.add(operations, wallNs, wallNs * cpuShare);
      }
      this.#now += TICK_MS;
      this.governor.tick(this.#now, true);
      this.limits.push(this.governor.limit);
    }
    return this.limits.slice(begun);
  }
}

/** The limit that was there most of the time. */
function usual(limits: readonly number[]): { limit: number; share: number } {
  const counts = new Map<number, number>();
  for (const limit of limits) counts.set(limit, (counts.get(limit) ?? 0) + 1);
  const [limit = 0, count = 0] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
  return { limit, share: count / limits.length };
}

const DEVICES: readonly (readonly [string, Device, readonly number[]])[] = [
  ["with a lock around everything", locking(0.006), [1]],
  ["that computes on two cores", computing(0.5, 2), [2]],
  ["0.05 ms away", distant(0.05), [64]],
  ["0.19 ms away", distant(0.19), [64]],
  ["0.2 ms away", distant(0.2), [64]],
  ["0.21 ms away", distant(0.21), [64]],
  ["0.2 ms away whose calls take a core for two fifths of it", sharing(0.2, 0.4, 2), [4, 8]],
  ["0.2 ms away whose calls take a core for half of it", sharing(0.2, 0.5, 2), [4]],
  ["2 ms away whose calls take a core for three fifths of it", sharing(2, 0.6, 2), [3, 4]],
  ["0.2 ms away whose calls take a core for seven tenths of it", sharing(0.2, 0.7, 2), [3, 4]],
  ["that computes on two cores of which it gets two thirds", crowded(0.5, 2, 0.67), [2]],
  ["2 ms away", distant(2), [64]],
  ["50 ms away", distant(50), [64]],
  ["2 ms away that takes four calls at once", distant(2, 4), [4]],
  ["20 ms away that takes twenty calls at once", distant(20, 20), [16, 32]],
];

describe("F9: the limit on a device", () => {
  test.each(DEVICES)("%s is found within three seconds", (_name, device, wanted) => {
    const load = new Load();
    load.run(device, 3);
    expect(wanted).toContain(usual(load.run(device, 2)).limit);
  });

  test.each(DEVICES)("%s stays where it is for five minutes", (_name, device, wanted) => {
    const load = new Load();
    load.run(device, 5);
    const { limit, share } = usual(load.run(device, 300));
    expect(wanted).toContain(limit);
    expect(share).toBeGreaterThan(0.97);
  });

  test.each([0.006, 0.5])(
    "that was slow for a minute and needs %s ms now is found within three seconds",
    (ms) => {
      for (const device of [locking(ms), computing(ms, 2)]) {
        const load = new Load();
        expect(usual(load.run(distant(20), 60)).limit).toBe(64);
        load.run(device, 3);
        const { limit } = usual(load.run(device, 5));
        expect(device(limit).rate).toBe(Math.max(device(1).rate, device(2).rate));
        expect(limit).toBeLessThanOrEqual(2);
      }
    },
  );

  test("that was fast for a minute and is far away now is found within three seconds", () => {
    for (const device of [locking(0.006), computing(0.5, 2)]) {
      const load = new Load();
      load.run(device, 60);
      load.run(distant(20), 3);
      expect(usual(load.run(distant(20), 5)).limit).toBe(64);
    }
  });

  test("that is served by many threads loses none of them for looking busy, unless fewer do as well", () => {
    const load = new Load();
    load.run(distant(20), 10);
    // Twice what is left to calls that wait.
    const polls: Device = (threads) => ({ ...distant(2)(threads), cpuShare: 0.8 });
    load.run(polls, 3);
    const { limit, share } = usual(load.run(polls, 300));
    expect(limit).toBe(64);
    expect(share).toBeGreaterThan(0.9);
    const computes: Device = (threads) => ({ ...computing(2, 2)(threads), cpuShare: 0.8 });
    load.run(computes, 3);
    expect(usual(load.run(computes, 60)).limit).toBe(2);
  });

  test("that changes all the time costs little more than the changes", () => {
    const load = new Load();
    for (let i = 0; i < 20; i++) {
      load.run(distant(20), 10);
      load.run(distant(2), 10);
    }
    expect(load.done / load.best).toBeGreaterThan(0.9);
  });

  test("that computes on sixteen cores is as many threads as there are cores", () => {
    const load = new Load({ cores: 16 });
    load.run(computing(0.5, 16), 3);
    expect(usual(load.run(computing(0.5, 16), 5)).limit).toBe(16);
  });

  test("keeps to the bounds it was given", () => {
    const load = new Load({ min: 3, max: 12 });
    const limits = [distant(20), locking(0.006), distant(2)].flatMap((device) => load.run(device, 20));
    expect(Math.min(...limits)).toBe(3);
    expect(Math.max(...limits)).toBe(12);
  });
});
