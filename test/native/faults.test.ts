/** Injects the faults that modules and networks have, and holds what the native pool makes of each. */

import { createDecipheriv, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { PoolOptions, ResolvedKey, Template } from "../../src/engines/hsm/addon.ts";
import { EVENT, FLAG, IV_MODE, REASON, RESULT, RING, STATE, STATUS } from "../../src/engines/hsm/record.ts";
import { loadCLoop } from "../support/c-loop.ts";
import { requireModule, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";
import {
  CKA,
  CKM,
  CKO,
  Driver,
  type Outcome,
  P256,
  type Request,
  text,
  yes,
} from "../support/native-pool.ts";
import { hasShim, type Shim, shimOver } from "../support/shim.ts";

const DEVICE_ERROR = 0x30;
const GENERAL_ERROR = 0x5;
const DEVICE_REMOVED = 0x32;
const ONE_THREAD = { sym: { min: 1, max: 1 } };

const KEYS = { first: randomBytes(32), second: randomBytes(32) } as const;
type KeyName = keyof typeof KEYS;

let token: TestModule;
let shim: Shim;
let driver: Driver | undefined;
let shims = 0;

type DriverOptions = Partial<PoolOptions> & { records?: number };

beforeAll(async () => {
  if (whyNot("softhsm") !== undefined || !hasShim()) return;
  token = startModule("softhsm");
  const maker = new Driver(token);
  await maker.pool.open();
  for (const name of Object.keys(KEYS) as KeyName[]) await maker.importAes(name, KEYS[name]);
  await maker.close();
});

beforeEach(({ skip }) => {
  requireModule(skip, "softhsm");
  if (!hasShim()) throw new Error("the shim is not built");
  shim = shimOver(token, `shim-${++shims}`);
});

afterEach(async () => {
  shim?.calm();
  await driver?.close(500);
  driver = undefined;
});

afterAll(() => token?.dispose());

async function open(options: DriverOptions = {}): Promise<Driver> {
  driver = new Driver(shim, options);
  await driver.pool.open();
  return driver;
}

/** Opens a pool and finds a key; warms up, so that threads and sessions are there. */
async function ready(options: DriverOptions = {}, name: KeyName = "first") {
  const opened = await open(options);
  const key = await opened.find(name, CKO.SECRET_KEY);
  await opened.run(Array.from({ length: 8 }, () => opened.encrypt(key, randomBytes(16))));
  return { driver: opened, key };
}

/** Opens with node:crypto what a record sealed; undefined if the key is another one. */
function openWith(name: KeyName, outcome: Outcome): Buffer | undefined {
  const decipher = createDecipheriv("aes-256-gcm", KEYS[name], outcome.iv);
  decipher.setAuthTag(outcome.output.subarray(-16));
  const text = decipher.update(outcome.output.subarray(0, -16));
  try {
    return Buffer.concat([text, decipher.final()]);
  } catch {
    return undefined;
  }
}

function expectSealed(
  outcomes: readonly Outcome[],
  plaintexts: readonly Uint8Array[],
  name: KeyName = "first",
) {
  for (const [i, outcome] of outcomes.entries()) {
    expect(outcome).toMatchObject({ kind: RING.COMPLETED, status: STATUS.DONE, ckr: 0, reason: REASON.NONE });
    expect(openWith(name, outcome)?.equals(plaintexts[i] ?? randomBytes(1))).toBe(true);
  }
}

const texts = (count: number) => Array.from({ length: count }, () => randomBytes(32));

describe("F1: a device error once", () => {
  test.each([
    ["C_EncryptInit", "failBefore"],
    ["C_EncryptInit", "failAfter"],
    ["C_Encrypt", "failBefore"],
    ["C_Encrypt", "failAfter"],
  ] as const)("at %s, %s, is retried on another session", async (name, action) => {
    const { driver, key } = await ready();
    shim.rule(name, { action, argument: DEVICE_ERROR, first: 4, times: 1 });
    const plaintexts = texts(16);
    const requests = plaintexts.map((each) => driver.encrypt(key, each));
    const outcomes = await driver.run(requests);
    expectSealed(outcomes, plaintexts);
    const retried = outcomes.filter((each) => (each.result & RESULT.RETRIED) !== 0);
    expect(retried).toHaveLength(1);
    const index = outcomes.findIndex((each) => (each.result & RESULT.RETRIED) !== 0);
    const fresh = name === "C_Encrypt";
    expect((retried[0]?.result ?? 0) & RESULT.FRESH_IV).toBe(fresh ? RESULT.FRESH_IV : 0);
    expect(Buffer.from(retried[0]?.iv ?? []).equals(requests[index]?.iv ?? randomBytes(1))).toBe(!fresh);
    expect(driver.events).toContainEqual(
      expect.objectContaining({ code: EVENT.SESSION_REPLACED, a: DEVICE_ERROR }),
    );
    expect(driver.stats()[17]).toBe(0);
  });

  test("fails its own record alone if that may not be repeated, and keeps a fixed IV", async () => {
    const { driver, key } = await ready();
    shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, first: 2, times: 1 });
    const once = await driver.run(texts(8).map((each) => driver.encrypt(key, each, { flags: 0 })));
    expect(once.map((each) => each.ckr).filter((ckr) => ckr !== 0)).toEqual([DEVICE_ERROR]);
    shim.calm();
    shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, times: 1 });
    const iv = randomBytes(12);
    const flags = FLAG.RETRY | FLAG.FIXED_IV;
    const fixed = await driver.runOne(driver.encrypt(key, randomBytes(16), { iv, flags }));
    expect(fixed).toMatchObject({ ckr: 0, result: RESULT.RETRIED, iv: Uint8Array.from(iv) });
  });
});

describe("F2: a token that restarted", () => {
  test.each(["C_EncryptInit", "C_Encrypt"] as const)(
    "under load, seen by %s, costs no record that may be repeated",
    async (name) => {
      const { driver, key } = await ready({ limits: { sym: { min: 4, max: 4 } } });
      shim.rule(name, { action: "kill", first: 20, times: 1 });
      const plaintexts = texts(128);
      expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
      const stats = driver.stats();
      expect(stats[1]).toBe(2);
      expect(stats[17]).toBe(1);
      // One login to open, one for all that needed it.
      expect(stats[18]).toBe(2);
      expect(driver.events.filter((each) => each.code === EVENT.PIN_NEEDED)).toHaveLength(2);
      expect(driver.sawEvent(EVENT.RECOVERED)).toBe(true);
    },
  );
});

describe("F3: a login that was lost", () => {
  test("is made anew, and the keys are found again", async () => {
    const { driver, key } = await ready({ limits: { sym: { min: 2, max: 2 } } });
    shim.rule("C_EncryptInit", { action: "logout", first: 10, times: 1 });
    const plaintexts = texts(64);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    expect(driver.stats()[1]).toBe(2);
    expect(driver.stats()[18]).toBe(2);
  });
});

describe("F4: handles that were dealt anew", () => {
  test("never lead to another key", async () => {
    const opened = await open({ limits: { sym: { min: 3, max: 3 } } });
    const first = await opened.find("first", CKO.SECRET_KEY);
    const second = await opened.find("second", CKO.SECRET_KEY);
    opened.pool.releaseKey(first.ref);
    // Now the second comes first when keys are found again, and takes the number of the other one.
    const again = await opened.find("first", CKO.SECRET_KEY);
    for (let round = 0; round < 4; round++) {
      shim.calm();
      shim.rule("C_EncryptInit", { action: "reinitialize", first: 7, times: 1 });
      const plaintexts = texts(60);
      const keys = plaintexts.map((_, i) => (i % 2 === 0 ? again : second));
      const outcomes = await opened.run(plaintexts.map((each, i) => opened.encrypt(keys[i] ?? second, each)));
      for (const [i, outcome] of outcomes.entries()) {
        expect(outcome.ckr).toBe(0);
        const opener = i % 2 === 0 ? "first" : "second";
        expect(openWith(opener, outcome)?.equals(plaintexts[i] ?? randomBytes(1))).toBe(true);
      }
    }
    expect(opened.stats()[1]).toBe(5);
  });
});

describe("F6: sessions that run out", () => {
  test("make the pool as small as the token allows", async () => {
    shim.set({ sessionCap: 4, finalUs: 2000 });
    const { driver, key } = await ready({ limits: { sym: { min: 16, max: 16 } } });
    const plaintexts = texts(128);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    // One of the four is the anchor.
    expect(driver.stats()[8]).toBe(3);
    expect(driver.events).toContainEqual({ code: EVENT.SESSION_LIMIT, a: 3, b: 0 });
    expect(shim.sessions()).toBe(4);
    expect(driver.stats()[12]).toBe(0);
  });

  test("by one that was closed cost that session alone", async () => {
    const { driver, key } = await ready();
    shim.rule("C_EncryptInit", { action: "closeThis", first: 5, times: 1 });
    const plaintexts = texts(32);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    expect(driver.stats()[1]).toBe(1);
    expect(driver.stats()[17]).toBe(0);
    expect(driver.events.filter((each) => each.code === EVENT.SESSION_REPLACED)).toHaveLength(1);
  });
});

describe("F7: a call that hangs", () => {
  test("costs its own record, and neither the others nor the event loop", async () => {
    const { driver, key } = await ready();
    shim.rule("C_Encrypt", { action: "hang", first: 3, times: 1 });
    const deadline = driver.pool.now() + 5000;
    const plaintexts = texts(32);
    const warmUp = driver.settled.reduce((a, b) => a + b);
    const running = driver.submit(plaintexts.map((each) => driver.encrypt(key, each, { deadline })));
    const started = performance.now();
    await readFile(import.meta.filename);
    expect(performance.now() - started).toBeLessThan(150);
    // The others long before the deadline, those that one thread had done just before it hung too.
    await expect.poll(() => driver.settled.reduce((a, b) => a + b) - warmUp, { timeout: 3000 }).toBe(31);
    expect(driver.pool.now()).toBeLessThan(deadline);
    const outcomes = await Promise.all(running);
    const lost = outcomes.filter((each) => each.kind === RING.TIMED_OUT);
    expect(lost).toHaveLength(1);
    expect(outcomes.filter((each) => each.status === STATUS.DONE && each.ckr === 0)).toHaveLength(31);
    expect(driver.stats()[5]).toBe(1);
    expect(driver.sawEvent(EVENT.ZOMBIE)).toBe(true);
    shim.release();
    await expect.poll(() => driver.stats()[5]).toBe(0);
    await expect.poll(() => driver.released.reduce((a, b) => a + b)).toBe(1);
    expect(driver.sawEvent(EVENT.ZOMBIE_RETURNED)).toBe(true);
  });

  test("in all sessions ends every record by its deadline, and the bound of zombies holds", async () => {
    const { driver, key } = await ready({
      maxSessions: 2,
      maxZombies: 2,
      limits: { sym: { min: 2, max: 2 } },
    });
    shim.rule("C_Encrypt", { action: "hang" });
    const deadline = driver.pool.now() + 150;
    const outcomes = await driver.run(texts(16).map((each) => driver.encrypt(key, each, { deadline })));
    expect(outcomes.filter((each) => each.kind === RING.TIMED_OUT).length).toBeLessThanOrEqual(4);
    expect(
      outcomes.every(
        (each) =>
          each.kind === RING.TIMED_OUT ||
          (each.status === STATUS.NOT_SENT && each.reason === REASON.DEADLINE),
      ),
    ).toBe(true);
    const more = await driver.run(
      texts(8).map((each) => driver.encrypt(key, each, { deadline: driver.pool.now() + 100 })),
    );
    expect(more.every((each) => each.kind === RING.TIMED_OUT || each.status === STATUS.NOT_SENT)).toBe(true);
    await expect.poll(() => driver.stats()[7]).toBeLessThanOrEqual(4);
    expect(driver.sawEvent(EVENT.ZOMBIE_LIMIT)).toBe(true);
    shim.calm();
    await expect.poll(() => driver.stats()[5]).toBe(0);
    expect((await driver.runOne(driver.encrypt(key, randomBytes(8)))).ckr).toBe(0);
  });

  test("in C_Login ends the attempt to open", async () => {
    shim.rule("C_Login", { action: "hang" });
    const started = performance.now();
    await expect(open({ recoveryMs: 300 })).rejects.toMatchObject({ reason: "timeout" });
    expect(performance.now() - started).toBeLessThan(2000);
    expect(driver?.pool.state()).toBe(STATE.LOST);
  });

  test("in C_OpenSession ends records by their deadline, before they are sent", async () => {
    const opened = await open({ minSessions: 0 });
    const key = await opened.find("first", CKO.SECRET_KEY);
    shim.rule("C_OpenSession", { action: "hang" });
    const deadline = opened.pool.now() + 150;
    const outcome = await opened.runOne(opened.encrypt(key, randomBytes(8), { deadline }));
    expect(outcome).toMatchObject({ status: STATUS.NOT_SENT, reason: REASON.DEADLINE });
    shim.calm();
    expect((await opened.runOne(opened.encrypt(key, randomBytes(8)))).ckr).toBe(0);
  });

  test("can be given up before its deadline", async () => {
    // No second thread, which would take the second record once the first one hangs.
    const { driver, key } = await ready({ limits: ONE_THREAD, maxSessions: 1 });
    shim.rule("C_Encrypt", { action: "hang", times: 1 });
    const slot = driver.nextSlot;
    const [running, queued] = driver.submit([
      driver.encrypt(key, randomBytes(8)),
      driver.encrypt(key, randomBytes(8)),
    ]);
    await expect.poll(() => shim.calls("C_Encrypt")).toBe(9);
    expect(driver.pool.cancel(driver.arena.id, slot + 1)).toBe(1);
    expect(await queued).toMatchObject({ status: STATUS.NOT_SENT, reason: REASON.CANCELLED });
    expect(driver.pool.cancel(driver.arena.id, slot)).toBe(2);
    expect((await running)?.kind).toBe(RING.TIMED_OUT);
    expect(driver.pool.cancel(driver.arena.id, slot)).toBe(0);
    shim.release();
    await expect.poll(() => driver.released[slot]).toBe(1);
  });
});

describe("F8: a reply after the deadline", () => {
  test("settles nothing twice, and its slot stays taken until then", async () => {
    const { driver, key } = await ready({ limits: ONE_THREAD });
    const settled = driver.settled.reduce((a, b) => a + b);
    shim.rule("C_Encrypt", { action: "sleep", argument: 300_000, times: 1 });
    const slot = driver.nextSlot;
    const deadline = driver.pool.now() + 100;
    const outcome = await driver.runOne(driver.encrypt(key, randomBytes(8), { deadline }));
    expect(outcome.kind).toBe(RING.TIMED_OUT);
    expect(driver.released[slot]).toBe(0);
    expect(driver.pool.submit(driver.arena.id, slot, 1)).toBe(5);
    await expect.poll(() => driver.released[slot]).toBe(1);
    expect(driver.settled.reduce((a, b) => a + b)).toBe(settled + 1);
    expect(driver.stats()[13]).toBe(1);
    expect(driver.stats()[14]).toBe(1);
    expect((await driver.runOne(driver.encrypt(key, randomBytes(8)))).ckr).toBe(0);
  });
});

describe("F9: a device that was slow and is fast again", () => {
  test("is served by few threads soon after, and by many while it is slow", async () => {
    const { driver, key } = await ready({ maxSessions: 64, records: 1024 });
    const limit = () => driver.stats()[24] ?? 0;
    let stop = false;
    const load = async () => {
      while (!stop) await driver.run(texts(120).map((each) => driver.encrypt(key, each)));
    };
    shim.set({ finalUs: 20_000 });
    const running = Promise.all([load(), load(), load(), load()]);
    try {
      await expect.poll(limit, { timeout: 30_000 }).toBeGreaterThan(16);
      shim.set({ finalUs: 0 });
      await expect.poll(limit, { timeout: 30_000 }).toBeLessThanOrEqual(2);
    } finally {
      stop = true;
      await running;
    }
  }, 90_000);
});

describe("F11: a session with an operation left active", () => {
  test("is replaced, and the record that met it is not lost", async () => {
    const { driver, key } = await ready({ limits: ONE_THREAD });
    // Not passed on, so the operation stays active behind the pool's back.
    shim.rule("C_Encrypt", { action: "failBefore", argument: GENERAL_ERROR, times: 1 });
    const [failed] = await driver.run([driver.encrypt(key, randomBytes(8), { flags: 0 })]);
    expect(failed?.ckr).toBe(GENERAL_ERROR);
    const plaintexts = texts(8);
    const outcomes = await driver.run(plaintexts.map((each) => driver.encrypt(key, each, { flags: 0 })));
    expectSealed(outcomes, plaintexts);
    expect(driver.events).toContainEqual(expect.objectContaining({ code: EVENT.SESSION_REPLACED, a: 0x90 }));
  });
});

describe("F15: a length that can't be", () => {
  test.each([
    ["unavailable", 0xffff_ffff_ffff_ffffn],
    ["longer than the buffer", 49n],
    ["nothing", 0n],
    ["one too few", 47n],
  ])("%s is an error, and nothing of the output is given out", async (_what, length) => {
    const { driver, key } = await ready({ limits: ONE_THREAD });
    shim.rule("C_Encrypt", { action: "length", argument: length, times: 1 });
    const slot = driver.nextSlot;
    const outcome = await driver.runOne(driver.encrypt(key, randomBytes(32), { flags: 0 }));
    expect(outcome).toMatchObject({ status: STATUS.DONE, reason: REASON.BAD_ANSWER });
    expect(outcome.output).toHaveLength(0);
    const view = new DataView(driver.arena.buffer, slot * 64, 64);
    const output = driver.bytes.subarray(view.getUint32(40, true), view.getUint32(40, true) + 48);
    expect(output.every((byte) => byte === 0)).toBe(true);
    expect(driver.sawEvent(EVENT.SESSION_REPLACED)).toBe(true);
  });

  test("a buffer that is too small, once, is retried", async () => {
    const { driver, key } = await ready({ limits: ONE_THREAD });
    shim.rule("C_Encrypt", { action: "failBefore", argument: 0x150, times: 1 });
    const plaintexts = texts(4);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
  });
});

describe("F16: a token that makes the IV", () => {
  test("gets zeros, and what it writes is the IV", async () => {
    shim.set({ ivMode: 1 });
    const opened = await open();
    const key = await opened.find("first", CKO.SECRET_KEY);
    const plaintexts = texts(16);
    const outcomes = await opened.run(
      plaintexts.map((each) => opened.encrypt(key, each, { ivMode: IV_MODE.TOKEN_PIV })),
    );
    expectSealed(outcomes, plaintexts);
    expect(new Set(outcomes.map((each) => Buffer.from(each.iv).toString("hex"))).size).toBe(16);
    // It refuses an IV of the host's.
    const refused = await opened.runOne(opened.encrypt(key, randomBytes(8)));
    expect(refused.ckr).toBe(0x71);
  });

  test("may put it in front of the ciphertext", async () => {
    const { driver, key } = await ready();
    const prefix = { mechanism: 0x80001087, ivMode: IV_MODE.TOKEN_PREFIX };
    const plaintexts = texts(8);
    const sealed = await driver.run(
      plaintexts.map((each) => driver.encrypt(key, each, { ...prefix, iv: new Uint8Array(12) })),
    );
    expectSealed(sealed, plaintexts);
    const opened = await driver.run(sealed.map((each) => driver.decrypt(key, each.iv, each.output, prefix)));
    expect(opened.map((each) => Buffer.from(each.output))).toEqual(plaintexts);
  });

  test("twice the same ends the use of the key", async () => {
    shim.set({ ivMode: 2 });
    const opened = await open({ limits: ONE_THREAD });
    const key = await opened.find("first", CKO.SECRET_KEY);
    const seal = () => opened.runOne(opened.encrypt(key, randomBytes(8), { ivMode: IV_MODE.TOKEN_PIV }));
    expect((await seal()).reason).toBe(REASON.NONE);
    const second = await seal();
    expect(second.reason).toBe(REASON.DUPLICATE_IV);
    expect(second.output).toHaveLength(0);
    expect(opened.events).toContainEqual({ code: EVENT.DUPLICATE_IV, a: key.ref, b: 0 });
    expect(await seal()).toMatchObject({ status: STATUS.REJECTED, reason: REASON.DUPLICATE_IV });
  });

  test("none, or the same to a second handle, ends the use of the key", async () => {
    const { driver, key } = await ready();
    const seal = (of: typeof key) =>
      driver.runOne(driver.encrypt(of, randomBytes(8), { ivMode: IV_MODE.TOKEN_PIV }));
    // SoftHSM uses what it finds.
    const refused = await seal(key);
    expect(refused).toMatchObject({ ckr: 0, reason: REASON.DUPLICATE_IV });
    expect(refused.output).toHaveLength(0);
    const again = await driver.find("first", CKO.SECRET_KEY);
    expect(await seal(again)).toMatchObject({ status: STATUS.REJECTED, reason: REASON.DUPLICATE_IV });
    shim.set({ ivMode: 2 });
    const second = await driver.importAes("iv maker", randomBytes(32));
    expect((await seal(second)).reason).toBe(REASON.NONE);
    expect((await seal(await driver.find("iv maker", CKO.SECRET_KEY))).reason).toBe(REASON.DUPLICATE_IV);
  });

  test("of an old library, whose parameters lack ulIvBits, is served", async () => {
    shim.set({ ivMode: 3 });
    const opened = await open({ limits: ONE_THREAD });
    const key = await opened.find("first", CKO.SECRET_KEY);
    const plaintexts = texts(8);
    expectSealed(await opened.run(plaintexts.map((each) => opened.encrypt(key, each))), plaintexts);
    // Learnt once.
    expect(shim.calls("C_EncryptInit")).toBe(9);
  });
});

describe("a session copy", () => {
  const destructions = async (copy: ResolvedKey, { pool }: Driver): Promise<number> => {
    const before = shim.calls("C_DestroyObject");
    pool.releaseKey(copy.ref);
    // The lane does one thing after another.
    await pool.mechanisms();
    return shim.calls("C_DestroyObject") - before;
  };

  test("is destroyed with its handle, unless it went with its key or the handle is another object's", async () => {
    const opened = await open();
    expect(await destructions(await opened.find("first", CKO.SECRET_KEY, true), opened)).toBe(1);

    const unlike = await opened.find("first", CKO.SECRET_KEY, true);
    expect(unlike.sessionCopy).toBe(true);
    shim.rule("C_GetAttributeValue", { action: "failBefore", argument: 0x82, times: 1 });
    expect(await destructions(unlike, opened)).toBe(0);
    expect(opened.pool.state()).toBe(STATE.READY);

    await opened.importAes("gone", randomBytes(32));
    const gone = await opened.find("gone", CKO.SECRET_KEY, true);
    const reads = shim.calls("C_GetAttributeValue");
    expect(await opened.pool.destroyObjects([[0x102, new TextEncoder().encode("gone")]])).toBe(2);
    expect(await destructions(gone, opened)).toBe(0);
    // Its handle is not even asked after.
    expect(shim.calls("C_GetAttributeValue")).toBe(reads);
  });
});

describe("F17: a message operation that is used up", () => {
  test("is set up again before it is", async ({ skip }) => {
    requireModule(skip, "nss");
    const nss = startModule("nss");
    driver = new Driver(nss, { records: 1024, limits: ONE_THREAD });
    await driver.pool.open();
    const key = await driver.importAes("many", randomBytes(32));
    const plaintext = randomBytes(16);
    for (let done = 0; done < 67_000; done += 1000) {
      const request = driver.encrypt(key, plaintext, {
        ivMode: IV_MODE.MESSAGE,
        iv: new Uint8Array(12),
        flags: 0,
      });
      const outcomes = await driver.run(Array.from({ length: 1000 }, () => request));
      const wrong = outcomes.filter((each) => each.ckr !== 0 || each.reason !== 0);
      expect(wrong).toEqual([]);
    }
    await driver.close();
    nss.dispose();
  });
});

describe("F18: a module that is initialised otherwise", () => {
  test("without locks (CKR_CANT_LOCK) gets one call at a time", async () => {
    const refused = shim.rule("C_Initialize", { action: "failBefore", argument: 0xa, times: 1 });
    shim.set({ finalUs: 200 });
    const { driver, key } = await ready({ limits: { sym: { min: 4, max: 4 } } });
    expect(refused()).toBe(1);
    expect(shim.calls("C_Initialize")).toBe(2);
    const plaintexts = texts(64);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    expect(shim.mostInside()).toBe(1);
  });

  test("by someone else (CKR_CRYPTOKI_ALREADY_INITIALIZED) is never finalised", async () => {
    shim.rule("C_Initialize", { action: "failAfter", argument: 0x191, times: 1 });
    const { driver, key } = await ready();
    expect((await driver.runOne(driver.encrypt(key, randomBytes(8)))).ckr).toBe(0);
    await driver.close();
    expect(shim.calls("C_Finalize")).toBe(0);
    // Shims share the module, and the next test wants to initialise it.
    expect(loadCLoop().finalize(shim.library)).toBe(0);
  });

  test("not at all, it seems (CKR_CRYPTOKI_NOT_INITIALIZED), is initialised and served", async () => {
    const { driver, key } = await ready();
    shim.rule("C_EncryptInit", { action: "failBefore", argument: 0x190, first: 3, times: 1 });
    const plaintexts = texts(32);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
  });

  test("only with threads of the caller (CKR_NEED_TO_CREATE_THREADS) is refused with its code", async () => {
    shim.rule("C_Initialize", { action: "failBefore", argument: 0x9 });
    await expect(open()).rejects.toMatchObject({ ckr: 0x9, fn: "C_Initialize" });
  });
});

describe("F19: C_Finalize by other code of the process", () => {
  test("is mended: the module is initialised again, and records go on", async () => {
    const { driver, key } = await ready();
    expect(loadCLoop().finalize(shim.library)).toBe(0);
    const plaintexts = texts(32);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    expect(driver.stats()[1]).toBe(2);
    expect(shim.calls("C_Initialize")).toBeGreaterThanOrEqual(2);
  });
});

describe("F24: records of which some fail at random", () => {
  test("settle exactly once each, the failed ones with their own code", async () => {
    const { driver, key } = await ready({ limits: { sym: { min: 3, max: 3 } } });
    const codes = [GENERAL_ERROR, 0x6, 0x21];
    for (const argument of codes) {
      shim.rule("C_Encrypt", { action: "failAfter", argument, perMille: 100 });
    }
    const before = driver.settled.reduce((a, b) => a + b);
    let failed = 0;
    for (let round = 0; round < 4; round++) {
      const plaintexts = texts(200);
      const outcomes = await driver.run(plaintexts.map((each) => driver.encrypt(key, each)));
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.ckr === 0) {
          expect(openWith("first", outcome)?.equals(plaintexts[i] ?? randomBytes(1))).toBe(true);
          continue;
        }
        failed++;
        expect(outcome).toMatchObject({ status: STATUS.DONE, output: new Uint8Array(0) });
        expect(codes).toContain(outcome.ckr);
      }
    }
    expect(failed).toBeGreaterThan(50);
    expect(driver.settled.reduce((a, b) => a + b)).toBe(before + 800);
    expect(driver.stats()[11]).toBe(failed);
  });
});

describe("a token that is gone", () => {
  test("fails what waits at once, and serves again after recover()", async () => {
    const { driver, key } = await ready({ limits: ONE_THREAD });
    shim.rule("C_EncryptInit", { action: "failBefore", argument: DEVICE_REMOVED });
    shim.rule("C_GetTokenInfo", { action: "failBefore", argument: DEVICE_REMOVED });
    const outcomes = await driver.run(texts(8).map((each) => driver.encrypt(key, each)));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: STATUS.NOT_SENT, reason: REASON.LOST, ckr: DEVICE_REMOVED });
    }
    expect(driver.pool.state()).toBe(STATE.LOST);
    const started = performance.now();
    expect(await driver.runOne(driver.encrypt(key, randomBytes(8)))).toMatchObject({ reason: REASON.LOST });
    expect(performance.now() - started).toBeLessThan(100);
    await expect(driver.pool.recover()).rejects.toMatchObject({ ckr: DEVICE_REMOVED, reason: "lost" });
    shim.calm();
    await driver.pool.recover();
    const plaintexts = texts(8);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
  });
});

describe("a PIN that is refused", () => {
  test("is tried once, until recover() is called", async () => {
    shim.rule("C_Login", { action: "failBefore", argument: 0xa0 });
    await expect(open()).rejects.toMatchObject({ ckr: 0xa0, ckrName: "CKR_PIN_INCORRECT" });
    expect(driver?.pool.state()).toBe(STATE.LOCKED);
    await sleep(100);
    expect(shim.calls("C_Login")).toBe(1);
    await expect(driver?.pool.recover()).rejects.toMatchObject({ ckr: 0xa0 });
    expect(shim.calls("C_Login")).toBe(2);
    shim.calm();
    await driver?.pool.recover();
    expect(driver?.pool.state()).toBe(STATE.READY);
  });

  test("is no error when the token is logged in already", async () => {
    shim.rule("C_Login", { action: "failAfter", argument: 0x100, times: 1 });
    const { driver, key } = await ready();
    expect((await driver.runOne(driver.encrypt(key, randomBytes(8)))).ckr).toBe(0);
  });
});

describe("a key that is destroyed under the pool", () => {
  test("is reported as lost, and the others serve on", async () => {
    const { driver, key } = await ready();
    const doomed = await driver.importAes("doomed", randomBytes(32));
    await driver.pool.destroyObjects([[0x102, new TextEncoder().encode("doomed")]]);
    const lost = await driver.runOne(driver.encrypt(doomed, randomBytes(8)));
    expect(lost).toMatchObject({ status: STATUS.NOT_SENT, reason: REASON.KEY_NOT_FOUND });
    expect(driver.events).toContainEqual({ code: EVENT.KEY_LOST, a: doomed.ref, b: 0 });
    const plaintexts = texts(4);
    expectSealed(await driver.run(plaintexts.map((each) => driver.encrypt(key, each))), plaintexts);
    // It knows now, and asks the token no more.
    const before = driver.stats()[17];
    await driver.runOne(driver.encrypt(doomed, randomBytes(8)));
    expect(driver.stats()[17]).toBe(before);
  });
});

describe("F13: a key that wants a login for each operation (CKA_ALWAYS_AUTHENTICATE)", () => {
  const PIN_INCORRECT = 0xa0;
  let key: ResolvedKey;

  beforeEach(async () => {
    const { pool } = await open();
    const names: Template = [
      [CKA.TOKEN, yes()],
      [CKA.ID, text(`careful ${shims}`)],
    ];
    await pool.generateKeyPair(
      CKM.EC_KEY_PAIR_GEN,
      [...names, [CKA.EC_PARAMS, P256]],
      [...names, [CKA.PRIVATE, yes()], [CKA.SIGN, yes()], [CKA.ALWAYS_AUTHENTICATE, yes()]],
    );
    key = await pool.resolveKey({ id: text(`careful ${shims}`), class: CKO.PRIVATE_KEY }, []);
  });

  test("gets one for each", async () => {
    const logins = shim.calls("C_Login");
    const outcomes = (await driver?.run(texts(5).map((digest) => sign(digest)))) ?? [];
    expect(outcomes.map(({ status, ckr, output }) => ({ status, ckr, length: output.length }))).toEqual(
      Array.from({ length: 5 }, () => ({ status: STATUS.DONE, ckr: 0, length: 64 })),
    );
    expect(shim.calls("C_Login") - logins).toBe(5);
  });

  test("whose login is refused fails with its code, after one attempt, and the next operation is served", async () => {
    const logins = shim.calls("C_Login");
    shim.rule("C_Login", { action: "failBefore", argument: PIN_INCORRECT, times: 1 });
    expect(await driver?.runOne(sign(randomBytes(32)))).toMatchObject({ ckr: PIN_INCORRECT });
    expect(shim.calls("C_Login") - logins).toBe(1);
    expect(await driver?.runOne(sign(randomBytes(32)))).toMatchObject({ status: STATUS.DONE, ckr: 0 });
  });

  const sign = (digest: Uint8Array): Request => {
    if (driver === undefined) throw new Error("no pool is open");
    return driver.signEcdsa(key, digest);
  };
});

describe("a queue that is full", () => {
  test("refuses a batch as a whole, by records and by bytes", async () => {
    shim.set({ finalUs: 5000 });
    const { driver, key } = await ready({ queueRecords: 16, queueBytes: 65_536, limits: ONE_THREAD });
    const running = driver.submit(texts(12).map((each) => driver.encrypt(key, each)));
    expect(() => driver.submit(texts(8).map((each) => driver.encrypt(key, each)))).toThrow("answered 1");
    expect(() =>
      driver.submit(Array.from({ length: 4 }, () => driver.encrypt(key, randomBytes(9_000)))),
    ).toThrow("answered 2");
    const outcomes = await Promise.all(running);
    expect(outcomes.every((each) => each.ckr === 0)).toBe(true);
    expect((await driver.runOne(driver.encrypt(key, randomBytes(9_000)))).ckr).toBe(0);
  });
});

describe("F25: a library that is no module", () => {
  test.each([
    ["does not exist", () => join(token.folder, "absent.so"), "absent.so"],
    ["is a text", () => import.meta.filename, "faults.test.ts"],
    ["is a folder", () => token.folder, "is not a file"],
  ])("is refused by a pool if it %s", async (_what, library, message) => {
    driver = new Driver({ ...shim, library: library() });
    await expect(driver.pool.open()).rejects.toThrow(message);
    await driver.close();
    driver = undefined;
  });

  test("is refused by label and serial if no token has them", async () => {
    driver = new Driver({ ...shim, tokenLabel: "somebody else's" }, { discoverMs: 100 });
    await expect(driver.pool.open()).rejects.toMatchObject({ reason: "token-not-found" });
  });
});
