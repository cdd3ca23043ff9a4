/** Recoveries of the native pool in bad moments: beside threads that are in the module, behind tasks that hang, with late PINs. */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { EVENT, RING, STATE } from "../../src/engines/hsm/record.ts";
import { isDone, type ReadyPool, shimmedPools } from "../support/shimmed-pool.ts";

const DEVICE_ERROR = 0x30;
const SESSION_HANDLE_INVALID = 0xb3;
const TOKEN_NOT_PRESENT = 0xe0;
const USER_NOT_LOGGED_IN = 0x101;

const pools = shimmedPools();

/** Makes the next recovery initialise the module anew: the anchor is gone, and at the first look the token too. */
function hideToken({ shim }: Pick<ReadyPool, "shim">, slots: number, sessionCalls: number): void {
  shim.rule("C_GetSessionInfo", {
    action: "failBefore",
    argument: SESSION_HANDLE_INVALID,
    times: sessionCalls,
  });
  shim.rule("C_GetTokenInfo", { action: "failBefore", argument: TOKEN_NOT_PRESENT, times: slots });
}

describe("a recovery that initialises the module anew", () => {
  test("waits for a thread that is opening a session", async ({ skip }) => {
    const pool = await pools.ready(skip, { maxSessions: 1 });
    const { driver, shim, key } = pool;
    const slots = shim.calls("C_GetTokenInfo");
    // The next record needs a new session.
    shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, times: 1 });
    await driver.runOne(driver.encrypt(key, randomBytes(8), { flags: 0 }));
    const hanging = shim.rule("C_OpenSession", { action: "hang", times: 1 });
    const running = driver.runOne(driver.encrypt(key, randomBytes(8)));
    await expect.poll(hanging).toBe(1);
    // The thread asks after its new session once.
    hideToken(pool, slots, 2);
    const recovered = driver.pool.recover();
    await sleep(300);
    expect(shim.calls("C_Finalize")).toBe(0);
    shim.release();
    await recovered;
    expect(shim.calls("C_Finalize")).toBe(1);
    expect(isDone(await running)).toBe(true);
  });

  test("does not so while a thread that hung before is closing its session", async ({ skip }) => {
    const pool = await pools.ready(skip, { maxSessions: 1 });
    const { driver, shim, key } = pool;
    shim.rule("C_Encrypt", { action: "hang", times: 1 });
    const deadline = driver.pool.now() + 50;
    expect((await driver.runOne(driver.encrypt(key, randomBytes(8), { deadline }))).kind).toBe(
      RING.TIMED_OUT,
    );
    // Another thread takes the place of the one that hangs, which is one too many when it comes back.
    expect(isDone(await driver.runOne(driver.encrypt(key, randomBytes(8))))).toBe(true);
    const slots = shim.calls("C_GetTokenInfo");
    const looking = shim.rule("C_GetSessionInfo", {
      action: "failLate",
      argument: SESSION_HANDLE_INVALID,
      times: 1,
    });
    shim.rule("C_GetTokenInfo", { action: "failBefore", argument: TOKEN_NOT_PRESENT, times: slots });
    const closing = shim.rule("C_CloseSession", { action: "sleep", argument: 1_500_000, times: 1 });
    const recovered = driver.pool.recover().catch(({ reason }) => reason);
    await expect.poll(looking).toBe(1);
    shim.release();
    await expect.poll(closing).toBe(1);
    await expect(recovered).resolves.toBe("token-not-found");
    expect(shim.calls("C_Finalize")).toBe(0);
    shim.calm();
    await driver.pool.recover();
    expect(isDone(await driver.runOne(driver.encrypt(key, randomBytes(8))))).toBe(true);
  });

  test("does not so while an earlier one hangs in the module", async ({ skip }) => {
    const pool = await pools.ready(skip, { recoveryMs: 300 });
    const { driver, shim, key } = pool;
    const slots = shim.calls("C_GetTokenInfo");
    shim.rule("C_GetSessionInfo", { action: "logout", times: 1 });
    const hanging = shim.rule("C_Login", { action: "hang", times: 1 });
    await expect(driver.pool.recover()).rejects.toMatchObject({ reason: "timeout" });
    expect(hanging()).toBe(1);
    hideToken(pool, slots, 1);
    await expect(driver.pool.recover()).rejects.toMatchObject({ reason: "token-not-found" });
    expect(shim.calls("C_Finalize")).toBe(0);
    shim.calm();
    await driver.pool.recover();
    expect(isDone(await driver.runOne(driver.encrypt(key, randomBytes(8))))).toBe(true);
  });
});

test("recoveries that hang are no more than threads may be", async ({ skip }) => {
  const { driver, shim, key } = await pools.ready(skip, { recoveryMs: 100, maxZombies: 1 });
  shim.rule("C_GetSessionInfo", { action: "hang" });
  const reasons: string[] = [];
  for (let i = 0; i < 4; i++) reasons.push(await driver.pool.recover().catch(({ reason }) => reason));
  expect(reasons).toEqual(["timeout", "timeout", "busy", "busy"]);
  shim.calm();
  await expect.poll(() => driver.pool.recover().then(() => "none")).toBe("none");
  expect(isDone(await driver.runOne(driver.encrypt(key, randomBytes(8))))).toBe(true);
});

describe("a recovery that is wanted while a task hangs", () => {
  test("comes when the task is given up", async ({ skip }) => {
    const { driver, shim, key } = await pools.ready(skip, { taskMs: 300 });
    const hanging = shim.rule("C_GetMechanismList", { action: "hang", times: 1 });
    const task = expect(driver.pool.mechanisms()).rejects.toMatchObject({ reason: "timeout" });
    await expect.poll(hanging).toBe(1);
    shim.rule("C_EncryptInit", { action: "failBefore", argument: USER_NOT_LOGGED_IN, times: 1 });
    const outcome = await driver.runOne(
      driver.encrypt(key, randomBytes(8), { deadline: driver.pool.now() + 5000 }),
    );
    await task;
    expect(isDone(outcome)).toBe(true);
    expect(driver.stats()[17]).toBe(1);
  });
});

describe("a PIN that takes longer than a recovery may", () => {
  /** Opens a pool whose PIN comes after 700 ms, where a recovery may take 300. */
  const openLate = async (skip: (reason: string) => void, hangs: boolean) => {
    const { driver, shim } = pools.make(skip, {
      recoveryMs: 300,
      onEvent: (code) => {
        if (code === EVENT.PIN_NEEDED) setTimeout(() => driver.pool.providePin(shim.pin()), 700);
      },
    });
    if (hangs) shim.rule("C_Login", { action: "hang" });
    await driver.pool.open();
    return driver;
  };

  test("is no hanging call", async ({ skip }) => {
    expect((await openLate(skip, false)).pool.state()).toBe(STATE.READY);
  });

  test("hides none behind it", async ({ skip }) => {
    const begun = performance.now();
    await expect(openLate(skip, true)).rejects.toMatchObject({ reason: "timeout" });
    expect(performance.now() - begun).toBeLessThan(3000);
  });
});
