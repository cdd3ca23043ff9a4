/** Forces what two threads of the native pool seldom do at the same time, and what its clock does after 49 days. */

import { createDecipheriv, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { ResolvedKey } from "../../src/engines/hsm/addon.ts";
import { EVENT, FLAG, IV_MODE, OP, REASON, RING, STATUS } from "../../src/engines/hsm/record.ts";
import { requireModule, startModule } from "../support/hsm-modules.ts";
import { CKA, CKM, CKO, Driver, type Outcome, P256, text, yes } from "../support/native-pool.ts";
import { canPreload, playPreloaded } from "../support/preloaded.ts";
import { isDone, type ReadyPool, shimmedPools } from "../support/shimmed-pool.ts";

const DEVICE_ERROR = 0x30;

const pools = shimmedPools();

describe("a thread that cannot have a session", () => {
  const TWO_THREADS = { maxSessions: 2, limits: { sym: { min: 2, max: 2 } } };
  const cannotOpen = (times: number) => ({ action: "failBefore", argument: DEVICE_ERROR, times }) as const;

  /** Makes so many records last so long that each of the threads takes one. */
  const runAtOnce = async ({ driver, shim, key }: ReadyPool, records: number, flags: number = FLAG.RETRY) => {
    shim.set({ finalUs: 20_000 });
    const requests = Array.from({ length: records }, () => driver.encrypt(key, randomBytes(8), { flags }));
    const outcomes = await driver.run(requests);
    shim.set({ finalUs: 0 });
    // Until all of them rest.
    await sleep(50);
    return outcomes;
  };

  test("leaves its record to one that waits", async ({ skip }) => {
    const pool = await pools.ready(skip, TWO_THREADS);
    const { driver, shim, key } = pool;
    // Neither has one in order then, so neither is woken before the other one ends. On a busy machine one of them may take
    // both records, for which it opens a session in between.
    let opened = 1;
    for (let attempt = 0; attempt < 8 && opened > 0; attempt++) {
      await runAtOnce(pool, 16);
      const before = shim.calls("C_OpenSession");
      shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, times: 2 });
      const failed = await runAtOnce(pool, 2, 0);
      expect(failed.map(({ ckr }) => ckr)).toEqual([DEVICE_ERROR, DEVICE_ERROR]);
      opened = shim.calls("C_OpenSession") - before;
    }
    const refused = shim.rule("C_OpenSession", cannotOpen(1));
    const outcome = await driver.runOne(
      driver.encrypt(key, randomBytes(8), { deadline: driver.pool.now() + 3000 }),
    );
    expect(refused()).toBe(1);
    expect(isDone(outcome)).toBe(true);
  });

  test("and hangs over it leaves its record at once to one that has a session", async ({ skip }) => {
    const pool = await pools.ready(skip, TWO_THREADS);
    const { driver, shim, key } = pool;
    await runAtOnce(pool, 16);
    // The thread that ran last is the first to be woken.
    shim.rule("C_Encrypt", { action: "failAfter", argument: DEVICE_ERROR, times: 1 });
    const failed = await driver.runOne(driver.encrypt(key, randomBytes(8), { flags: 0 }));
    expect(failed.ckr).toBe(DEVICE_ERROR);
    const hanging = shim.rule("C_OpenSession", { action: "hang", times: 1 });
    // Before the two seconds are over after which it is given up.
    const outcome = await driver.runOne(
      driver.encrypt(key, randomBytes(8), { deadline: driver.pool.now() + 1500 }),
    );
    expect(isDone(outcome)).toBe(true);
    // The other one may have been quicker.
    await expect.poll(hanging).toBe(1);
  });

  describe("where all others hang", () => {
    const hangOne = async ({ driver, shim, key }: ReadyPool) => {
      shim.rule("C_Encrypt", { action: "hang", times: 1 });
      const deadline = driver.pool.now() + 50;
      const hanging = await driver.runOne(driver.encrypt(key, randomBytes(8), { deadline }));
      expect(hanging.kind).toBe(RING.TIMED_OUT);
      expect(driver.stats()[5]).toBe(1);
    };

    test("tries three times and then says so", async ({ skip }) => {
      const pool = await pools.ready(skip, { ...TWO_THREADS, warmUp: 1 });
      const { driver, shim, key } = pool;
      await hangOne(pool);
      const refused = shim.rule("C_OpenSession", cannotOpen(0));
      const outcome = await driver.runOne(
        driver.encrypt(key, randomBytes(8), { deadline: driver.pool.now() + 3000 }),
      );
      expect(outcome).toMatchObject({
        status: STATUS.NOT_SENT,
        reason: REASON.SESSION,
        ckr: DEVICE_ERROR,
      });
      expect(refused()).toBe(3);
    });

    test("is followed by another one at once, though a session was refused just now", async ({ skip }) => {
      const pool = await pools.ready(skip, { ...TWO_THREADS, warmUp: 1 });
      const { driver, shim, key } = pool;
      const refused = shim.rule("C_OpenSession", cannotOpen(1));
      expect((await runAtOnce(pool, 2)).every(isDone)).toBe(true);
      expect(refused()).toBe(1);
      await hangOne(pool);
      // Before the second is over in which no more sessions are asked for.
      const outcome = await driver.runOne(
        driver.encrypt(key, randomBytes(8), { deadline: driver.pool.now() + 600 }),
      );
      expect(isDone(outcome)).toBe(true);
    });
  });
});

describe("a thread that hangs while it asks after its session", () => {
  test("keeps nothing back that was finished before", async ({ skip }) => {
    const { driver, shim, key } = await pools.ready(skip, {
      maxSessions: 1,
      limits: { sym: { min: 1, max: 1 } },
    });
    shim.rule("C_Encrypt", { action: "failBefore", argument: 0xb3, first: 6, times: 1 });
    shim.rule("C_GetSessionInfo", { action: "hang", times: 1 });
    const deadline = driver.pool.now() + 1000;
    const outcomes = driver.submit(
      Array.from({ length: 12 }, () => driver.encrypt(key, randomBytes(8), { deadline })),
    );
    const first = await Promise.race([Promise.all(outcomes.slice(0, 5)), sleep(3000)]);
    expect(first?.every(isDone)).toBe(true);
    shim.calm();
    await Promise.all(outcomes);
  });
});

describe("a record that was given up", () => {
  test("is told of before its slot is released, also when its call returns just then", async ({ skip }) => {
    const threads = 48;
    const { driver, shim, key } = await pools.ready(skip, {
      maxSessions: 64,
      maxZombies: 64,
      limits: { sym: { min: threads, max: threads } },
    });
    // Calls end at any time around the deadline of all of them.
    shim.set({ finalUs: 2000, jitterUs: 8000 });
    let given = 0;
    for (let round = 0; round < 150; round++) {
      const deadline = driver.pool.now() + 8;
      const outcomes = await driver.run(
        Array.from({ length: threads }, () => driver.encrypt(key, randomBytes(8), { deadline })),
      );
      given += outcomes.filter(({ kind }) => kind === RING.TIMED_OUT).length;
      await expect.poll(() => driver.free, { interval: 1 }).toBe(256);
    }
    shim.set({ finalUs: 0, jitterUs: 0 });
    expect(given).toBeGreaterThan(100);
    expect(driver.early).toEqual([]);
  }, 60_000);
});

describe("a thread that was given up", () => {
  test("on its way into the module keeps nothing of what it had done before", async ({ skip }) => {
    const { driver, shim, key } = await pools.ready(skip, { limits: { sym: { min: 1, max: 1 } } });
    // On a busy machine the time of record 4 may be up before it begins, or its thread the first to have a session.
    let outcomes: Outcome[] = [];
    const isForced = () => outcomes[4]?.kind === RING.TIMED_OUT && driver.stats()[5] === 1;
    for (let attempt = 0; attempt < 8 && !isForced(); attempt++) {
      shim.calm();
      await sleep(50);
      // A thread that replaces a second session within 20 ms waits first, outside of the module. Meanwhile it is given up and
      // another thread opens a session for the rest; then its own hangs, the third. Record 2 fails first, then record 4 (a
      // rule does not count what an earlier one took), which has little time.
      shim.rule("C_Encrypt", { action: "failBefore", argument: DEVICE_ERROR, first: 3, times: 1 });
      shim.rule("C_Encrypt", { action: "failBefore", argument: DEVICE_ERROR, first: 5, times: 1 });
      shim.rule("C_OpenSession", { action: "hang", first: 3, times: 1 });
      const deadline = driver.pool.now() + 10;
      const running = driver.submit(
        Array.from({ length: 8 }, (_, i) => driver.encrypt(key, randomBytes(8), i === 4 ? { deadline } : {})),
      );
      outcomes = await Promise.race([Promise.all(running), sleep(3000, [])]);
      expect(outcomes.filter(isDone).length).toBeGreaterThanOrEqual(7);
    }
    expect(isForced()).toBe(true);
  });

  test.runIf(canPreload)(
    "and could not be replaced is replaced when a thread can be had",
    async ({ skip }) => {
      const { shim } = pools.make(skip);
      shim.rule("C_GenerateRandom", { action: "hang", times: 1 });
      expect(await playPreloaded(shim, "threadsAgain")).toEqual({
        told: [[RING.TIMED_OUT], [RING.COMPLETED]],
        isEarly: true,
      });
    },
  );

  test.runIf(canPreload)("begins no other record, whose deadline nobody would see to", async ({ skip }) => {
    const play = () => {
      const { shim } = pools.make(skip);
      // After those with which the child begins; what one rule takes the other one does not count.
      shim.rule("C_GenerateRandom", { action: "sleep", argument: 6000, first: 961, times: 1 });
      shim.rule("C_GenerateRandom", { action: "hang", first: 961, times: 1 });
      return playPreloaded(shim, "nextRecord");
    };
    const given: Awaited<ReturnType<typeof play>>[] = [];
    // The first record may end before it is given up, and who comes first then is chance all the same.
    for (let attempt = 0; attempt < 10 && given.length < 2; attempt++) {
      const outcome = await play();
      if (outcome.told[0]?.[0] === RING.TIMED_OUT) given.push(outcome);
    }
    const expected = { told: [[RING.TIMED_OUT, RING.RELEASED], [RING.TIMED_OUT]], wasLate: true };
    expect(given).toEqual([expected, expected]);
  });
});

describe("calls that hang", () => {
  test("leave the last thread to others, however many of them wait", async ({ skip }) => {
    // One at a time, but for those that hang: the governor would allow three where calls take long.
    const limits = { sym: { min: 1, max: 1 } };
    const { driver, shim, key } = await pools.ready(skip, { maxSessions: 3, limits });
    const before = shim.calls("C_Encrypt");
    shim.rule("C_Encrypt", { action: "hang" });
    const hanging = driver.submit(Array.from({ length: 12 }, () => driver.encrypt(key, randomBytes(8))));
    await expect.poll(() => shim.calls("C_Encrypt") - before, { timeout: 5000 }).toBe(2);
    // As long again as it took the second one to begin.
    await sleep(600);
    expect(shim.calls("C_Encrypt") - before).toBe(2);
    const outcome = await driver.runOne({
      op: OP.RANDOM,
      capacity: 16,
      deadline: driver.pool.now() + 2000,
    });
    expect(outcome).toMatchObject({ status: STATUS.DONE, ckr: 0 });
    shim.calm();
    expect((await Promise.all(hanging)).every(isDone)).toBe(true);
  });
});

describe("a PIN that two threads ask for", () => {
  test("is asked for once, and both go on with it", async ({ skip }) => {
    let questions = 0;
    let holds = false;
    const { driver: opened, shim: over } = pools.make(skip, {
      limits: { ec: { min: 2, max: 2 } },
      onEvent: (code) => {
        if (code !== EVENT.PIN_NEEDED) return;
        questions++;
        if (!holds) opened.pool.providePin(over.pin());
      },
    });
    await opened.pool.open();
    const names = [[CKA.TOKEN, yes()] as const, [CKA.ID, text("careful")] as const];
    await opened.pool.generateKeyPair(
      CKM.EC_KEY_PAIR_GEN,
      [...names, [CKA.EC_PARAMS, P256]],
      [...names, [CKA.PRIVATE, yes()], [CKA.SIGN, yes()], [CKA.ALWAYS_AUTHENTICATE, yes()]],
    );
    const key = await opened.pool.resolveKey({ id: text("careful"), class: CKO.PRIVATE_KEY }, []);
    holds = true;
    const before = { questions, calls: over.calls("C_SignInit"), logins: over.calls("C_Login") };
    const deadline = opened.pool.now() + 5000;
    const running = opened.submit(
      Array.from({ length: 2 }, () => ({ ...opened.signEcdsa(key, randomBytes(32)), deadline })),
    );
    await expect.poll(() => over.calls("C_SignInit") - before.calls).toBe(2);
    await sleep(50);
    expect(questions - before.questions).toBe(1);
    opened.pool.providePin(over.pin());
    expect((await Promise.all(running)).every(isDone)).toBe(true);
    expect(questions - before.questions).toBe(1);
    expect(over.calls("C_Login") - before.logins).toBe(2);
  });
});

describe("a message operation that stays set up", () => {
  test("serves no later key whose memory is that of its own", async ({ skip }) => {
    requireModule(skip, "nss");
    const nss = startModule("nss");
    const opened = new Driver(nss, { limits: { sym: { min: 1, max: 1 } } });
    try {
      await opened.pool.open();
      for (const name of ["one", "two"]) await opened.aesKey(name);
      const input = randomBytes(24);
      const iv = randomBytes(12);
      const seal = async (key: ResolvedKey): Promise<Buffer> => {
        const sealed = await opened.runOne(
          opened.encrypt(key, input, { iv, ivMode: IV_MODE.MESSAGE_HOST_IV }),
        );
        expect(isDone(sealed)).toBe(true);
        return Buffer.from(sealed.output);
      };
      for (let round = 0; round < 30; round++) {
        const first = await opened.find("one", CKO.SECRET_KEY);
        const one = await seal(first);
        opened.pool.releaseKey(first.ref);
        // With the last record in flight goes what released keys took; the next key is likely to get the same place.
        await opened.runOne({ op: OP.RANDOM, capacity: 16 });
        const second = await opened.find("two", CKO.SECRET_KEY);
        expect((await seal(second)).equals(one)).toBe(false);
        opened.pool.releaseKey(second.ref);
      }
    } finally {
      await opened.close();
      nss.dispose();
    }
  });
});

describe("the clock of records, which comes round after 49 days", () => {
  test("ends no record early and none late", async ({ skip }) => {
    const { driver, shim, key } = await pools.ready(skip, { clockStartMs: 2 ** 32 - 1500, maxSessions: 4 });
    const begun = driver.pool.now();
    expect(begun).toBeLessThan(2 ** 32);
    // Beyond the end, in which time it is done; and just beyond it, when it hangs.
    const done = await driver.run(
      Array.from({ length: 16 }, () => driver.encrypt(key, randomBytes(8), { deadline: begun + 5000 })),
    );
    expect(done.every(isDone)).toBe(true);
    shim.rule("C_Encrypt", { action: "hang" });
    const hanging = driver.submit([
      driver.encrypt(key, randomBytes(8), { deadline: 2 ** 32 + 200 }),
      ...Array.from({ length: 12 }, () => driver.encrypt(key, randomBytes(8), { deadline: 2 ** 32 + 500 })),
    ]);
    const outcomes = await Promise.all(hanging);
    const ended = driver.pool.now();
    expect(ended).toBeGreaterThanOrEqual(2 ** 32 + 500);
    expect(ended).toBeLessThan(2 ** 32 + 3000);
    for (const { kind, status, reason } of outcomes) {
      const isLate = kind === RING.TIMED_OUT || (status === STATUS.NOT_SENT && reason === REASON.DEADLINE);
      expect(isLate).toBe(true);
    }
    shim.calm();
    const plain = randomBytes(20);
    const later = await driver.runOne(driver.encrypt(key, plain, { deadline: driver.pool.now() + 5000 }));
    expect(isDone(later)).toBe(true);
    const decipher = createDecipheriv("aes-256-gcm", pools.material, later.iv);
    decipher.setAuthTag(later.output.subarray(-16));
    expect(Buffer.concat([decipher.update(later.output.subarray(0, -16)), decipher.final()])).toEqual(plain);
  });
});
