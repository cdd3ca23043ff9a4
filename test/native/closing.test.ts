/** Closes native pools in bad moments: every record and every task settles once, and before the close does. */

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { OP, REASON, RING } from "../../src/engines/hsm/record.ts";
import { loadCLoop } from "../support/c-loop.ts";
import { requireModule, startModule } from "../support/hsm-modules.ts";
import { Driver } from "../support/native-pool.ts";
import { canPreload, playPreloaded } from "../support/preloaded.ts";
import { type Shimmed, shimmedPools } from "../support/shimmed-pool.ts";

const DEVICE_ERROR = 0x30;
const TOKEN_NOT_PRESENT = 0xe0;
const TEXT = new Uint8Array(8);

const pools = shimmedPools();
let left: Shimmed | undefined;

// A pool with a call that hangs leaves the module initialised, which the next one wants to be its own.
afterEach(async () => {
  left?.shim.calm();
  if (left === undefined) return;
  const { driver, shim } = left;
  left = undefined;
  await expect.poll(() => driver.stats()[7]).toBe(0);
  // Nothing tells when a task has gone on to its end; and SoftHSM crashes if it is finalised under a call.
  const calls = () => shim.calls("C_GetMechanismList") + shim.calls("C_GetMechanismInfo");
  for (let before = -1; before !== calls(); await sleep(300)) before = calls();
  loadCLoop().finalize(shim.library);
});

/** Records that take random bytes, all into one place, in an arena of their own. */
function randomArena({ pool }: Driver, records: number): number {
  const { id, buffer } = pool.createArena(records, 64);
  const view = new DataView(buffer);
  for (let i = 0; i < records; i++) {
    view.setUint8(64 * i, OP.RANDOM);
    view.setUint32(64 * i + 40, 64 * records, true);
    view.setUint32(64 * i + 44, 16, true);
  }
  return id;
}

describe("a pool that is closed", () => {
  test("has told of each record by then, of more than the ring holds too", async ({ skip }) => {
    const records = 9000;
    const settled = new Uint8Array(records);
    const made = pools.make(skip, {
      maxSessions: 1,
      onDrain: (count) => {
        const { ring } = made.driver.pool;
        for (let i = 0; i < count; i++) {
          const first = ring[3 * i + 1] ?? 0;
          const tail = ring[3 * i + 2] ?? 0;
          if (tail >>> 24 === RING.RELEASED) continue;
          for (let record = first; record < first + (tail & 0xffffff); record++) {
            settled[record] = (settled[record] ?? 0) + 1;
          }
        }
      },
    });
    left = made;
    const { driver, shim } = made;
    await driver.pool.open();
    const arena = randomArena(driver, records);
    shim.rule("C_GenerateRandom", { action: "hang" });
    // Downwards, so that no two of them make one range.
    for (let record = records - 1; record >= 0; record--) {
      expect(driver.pool.submit(arena, record, 1)).toBe(0);
    }
    const closed = driver.close(0);
    // Meanwhile all of it comes, and so does the end.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
    await closed;
    expect(settled.filter((times) => times !== 1)).toHaveLength(0);
  });

  test("ends the task that hangs, and those behind it", async ({ skip }) => {
    const made = await pools.ready(skip);
    left = made;
    const { driver, shim } = made;
    const before = shim.calls("C_GetMechanismList");
    shim.rule("C_GetMechanismList", { action: "hang" });
    const tasks = [driver.pool.mechanisms(), driver.pool.sessionState(), driver.pool.tokenInfo()];
    const ended = Promise.allSettled(tasks);
    await expect.poll(() => shim.calls("C_GetMechanismList") - before).toBe(1);
    await driver.close(0);
    const late = new Promise<never>((_, reject) => {
      setTimeout(reject, 1000, new Error("a task is left"));
    });
    for (const outcome of await Promise.race([ended, late])) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "closed" } });
    }
  });

  /** Closes a pool that may drain for 3 s, and tells how long that took and what it ended in. */
  const drain = async ({ pool }: Driver) => {
    const begun = performance.now();
    const reason = await pool.close(3000).then(
      () => "none",
      (error) => error.reason,
    );
    return { reason, isEarly: performance.now() - begun < 2000 };
  };

  test.runIf(process.platform === "linux")(
    "leaves its module in memory, for the last words of threads that were in it",
    async ({ skip }) => {
      requireModule(skip, "nss");
      const nss = startModule("nss");
      const isLoaded = () => readFileSync("/proc/self/maps", "utf8").includes("libsoftokn3.so");
      expect(isLoaded()).toBe(false);
      try {
        const driver = new Driver(nss);
        await driver.pool.open();
        await driver.close(0);
        expect(isLoaded()).toBe(true);
      } finally {
        nss.dispose();
      }
    },
  );

  test("waits no longer than for its tasks", async ({ skip }) => {
    const { driver, shim } = await pools.ready(skip);
    const begun = shim.rule("C_GetMechanismList", { action: "sleep", argument: 200_000 });
    const task = driver.pool.mechanisms();
    await expect.poll(begun).toBe(1);
    expect(await drain(driver)).toEqual({ reason: "none", isEarly: true });
    await task;
  });

  test("waits no longer than until its last record is too late", async ({ skip }) => {
    const made = await pools.ready(skip, { maxSessions: 1, maxZombies: 0 });
    left = made;
    const { driver, shim, key } = made;
    shim.rule("C_Encrypt", { action: "hang" });
    const in100ms = driver.runOne(driver.encrypt(key, TEXT, { deadline: driver.pool.now() + 100 }));
    await sleep(20);
    const in300ms = driver.runOne(driver.encrypt(key, TEXT, { deadline: driver.pool.now() + 300 }));
    expect(await drain(driver)).toEqual({ reason: "none", isEarly: true });
    expect((await in100ms).kind).toBe(RING.TIMED_OUT);
    expect((await in300ms).reason).toBe(REASON.DEADLINE);
  });

  test("asks a device in trouble three times for a session, and no more", async ({ skip }) => {
    const { driver, shim, key } = await pools.ready(skip, { maxSessions: 1 });
    // The next record needs a new session.
    shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, times: 1 });
    await driver.runOne(driver.encrypt(key, TEXT, { flags: 0 }));
    // The first is refused when the pool is being closed.
    const late = shim.rule("C_OpenSession", { action: "failLate", argument: TOKEN_NOT_PRESENT, times: 1 });
    const refused = shim.rule("C_OpenSession", { action: "failBefore", argument: TOKEN_NOT_PRESENT });
    const running = driver.runOne(driver.encrypt(key, TEXT));
    await expect.poll(late).toBe(1);
    expect(await drain(driver)).toEqual({ reason: "none", isEarly: true });
    expect(refused()).toBe(2);
    expect((await running).reason).toBe(REASON.SESSION);
  });

  test("does not wait for a module that hangs when it is finalised, and says so", async ({ skip }) => {
    const made = await pools.ready(skip);
    left = made;
    const { driver, shim } = made;
    const hanging = shim.rule("C_Finalize", { action: "hang", times: 1 });
    const ended = Promise.race([driver.pool.close(0).catch(({ reason }) => reason), sleep(8000, "late")]);
    expect(await ended).toBe("timeout");
    expect(hanging()).toBe(1);
    await driver.pool.close(0);
  });

  test.runIf(canPreload)(
    "needs no thread that the system may refuse; opening does, and says so",
    async ({ skip }) => {
      const { shim } = pools.make(skip);
      shim.rule("C_GenerateRandom", { action: "hang" });
      expect(await playPreloaded(shim, "noThreads")).toEqual({
        closed: "none",
        settled: 64,
        again: "none",
        refused: "busy",
        neverOpen: "none",
      });
    },
  );
});
