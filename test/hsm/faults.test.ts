/**
 * Faults of modules as callers of `keyplane/hsm` and of the facade meet them, injected by the shim: F5, F9, F10, F12, F13, F14
 * and F22, and a member of a group that dies under load (A13).
 */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Hsm, HsmEvents } from "../../src/hsm.ts";
import { Hsm as Hsms } from "../../src/hsm.ts";
import type { TestModule } from "../support/hsm-modules.ts";
import { expectRefusal, openKms } from "../support/kms.ts";
import { hasShim, type Shim, shimOver } from "../support/shim.ts";
import { hsmOptions, missing, newModule, openToken } from "./open.ts";

const CKR = {
  functionFailed: 0x6,
  deviceError: 0x30,
  deviceRemoved: 0x32,
  keyHandleInvalid: 0x60,
  operationActive: 0x90,
  pinIncorrect: 0xa0,
  pinExpired: 0xa3,
  pinLocked: 0xa4,
  userAlreadyLoggedIn: 0x100,
} as const;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const reason =
  missing("softhsm") ?? (hasShim() ? undefined : "the shim is not built: run node .config/build-addon.mjs");
const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const TOKENS = 32;
let base: TestModule;
let used = 0;

/** A token of its own behind a shim of its own. Copies of SoftHSM2 share their state, so all tokens are in one module. */
function newShim(): Shim {
  used += 1;
  if (used > TOKENS) throw new Error("there are no more tokens");
  return shimOver({ ...base, tokenLabel: `token ${used}`, dispose: () => undefined }, `shim${used}`);
}

beforeAll(async () => {
  if (reason !== undefined) return;
  base = newModule("softhsm");
  base.use();
  for (let i = 1; i <= TOKENS; i++) {
    const pins = ["--pin", new TextDecoder().decode(base.pin()), "--so-pin", "5678"];
    execFileSync("softhsm2-util", ["--init-token", "--free", "--label", `token ${i}`, ...pins], {
      stdio: "pipe",
    });
  }
  // Keeps the module initialised while the tests come and go.
  await openToken(base);
});

/** Two tokens with one AES key in both, as a group. */
async function newGroup(
  policy: "least-outstanding" | "round-robin" | "primary-standby",
  deadlineMs = 5000,
): Promise<{ shims: [Shim, Shim]; group: Hsm; members: [Hsm, Hsm] }> {
  const shims: [Shim, Shim] = [newShim(), newShim()];
  const members: [Hsm, Hsm] = [
    await openToken(shims[0], { name: "one", deadlineMs, sessions: { max: 8 } }),
    await openToken(shims[1], { name: "two", deadlineMs, sessions: { max: 8 } }),
  ];
  return { shims, members, group: Hsms.group(members, { policy }) };
}

/** Collects what an Hsm tells. */
function watch<Name extends keyof HsmEvents>(hsm: Hsm, name: Name): HsmEvents[Name][] {
  const events: HsmEvents[Name][] = [];
  hsm.on(name, (event) => events.push(event));
  return events;
}

describe.skipIf(reason !== undefined)(`faults${reason === undefined ? "" : `: ${reason}`}`, () => {
  test("F5: a removed token opens the breaker, the other member takes over, and the token comes back", async () => {
    const { shims, group } = await newGroup("primary-standby");
    const key = await group.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32) });
    const breaker = watch(group, "breaker");
    const failovers = watch(group, "failover");
    const plaintext = random(20);
    const roundTrip = async (): Promise<void> => {
      const { ciphertext, iv } = await group.encrypt(key, { plaintext });
      expect(await group.decrypt(key, { ciphertext, iv })).toEqual(plaintext);
    };
    await roundTrip();
    for (const name of [
      "C_Encrypt",
      "C_Decrypt",
      "C_EncryptInit",
      "C_DecryptInit",
      "C_GenerateRandom",
      "C_OpenSession",
      "C_GetTokenInfo",
      "C_GetSessionInfo",
    ] as const) {
      shims[0].rule(name, { action: "failBefore", argument: CKR.deviceRemoved });
    }
    for (let i = 0; i < 20; i++) await roundTrip();
    expect(failovers.length).toBeGreaterThan(0);
    expect(failovers[0]).toMatchObject({ from: "one", to: "two" });
    await expect
      .poll(() => breaker.map(({ member, state }) => `${member} ${state}`), { timeout: 8000 })
      .toContain("one open");
    expect(group.stats().members.map(({ breaker: state }) => state)).toContain("closed");

    shims[0].calm();
    await expect.poll(() => group.stats().members[0]?.breaker, { timeout: 10_000 }).toBe("closed");
    const before = group.stats().members[0]?.completed ?? 0;
    await roundTrip();
    expect(group.stats().members[0]?.completed).toBeGreaterThan(before);
    await group.close({ drainMs: 200 });
  });

  test("F5: without another member a lost token is ServiceUnavailableTemporary within the deadline, never software", async () => {
    const shim = newShim();
    const hsm = await openToken(shim, { deadlineMs: 600 });
    const kms = await openKms({ hsm });
    const { keyId } = await kms.createKey({ protectionLevel: "HSM" });
    await kms.encrypt({ keyId, plaintext: random(3) });
    for (const name of [
      "C_Encrypt",
      "C_EncryptInit",
      "C_OpenSession",
      "C_GetTokenInfo",
      "C_GetSessionInfo",
    ] as const) {
      shim.rule(name, { action: "failBefore", argument: CKR.deviceRemoved });
    }
    const started = performance.now();
    const refusal = await expectRefusal(
      () => kms.encrypt({ keyId, plaintext: random(3) }),
      "ServiceUnavailableTemporary",
    );
    expect(performance.now() - started).toBeLessThan(5000);
    expect(refusal.cause).toMatchObject({ name: "HsmError", retryable: true });
    shim.calm();
    await expect
      .poll(
        () =>
          kms.encrypt({ keyId, plaintext: random(3) }).then(
            () => "ok",
            (error: Error) => error.message,
          ),
        { timeout: 10_000 },
      )
      .toBe("ok");
  });

  test("F9: under a latency that grows and a bound on concurrency the queue holds, and refuses as Busy what is too much", async () => {
    const shim = newShim();
    const hsm = await openToken(shim, { queue: { records: 200 }, deadlineMs: 20_000 });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    shim.set({ concurrencyCap: 4 });
    for (const finalUs of [500, 5000, 20_000]) {
      shim.set({ finalUs });
      const results = await hsm.encryptBatch(
        key,
        Array.from({ length: 400 }, () => ({ plaintext: random(16) })),
      );
      const codes = new Map<string, number>();
      for (const result of results) {
        const code = result.ok ? "ok" : result.error.code;
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      expect([...codes.keys()].sort()).toEqual(["Busy", "ok"]);
      expect(codes.get("ok")).toBe(200);
      expect(hsm.stats().members[0]?.outstanding).toBe(0);
    }
    expect(shim.mostInside()).toBeGreaterThan(1);
    const kms = await openKms({ hsm });
    const { keyId } = await kms.createKey({ protectionLevel: "HSM" });
    const items = await kms.encryptBatch(
      Array.from({ length: 400 }, () => ({ keyId, plaintext: random(8) })),
    );
    expect(new Set(items.map((item) => (item.ok ? "ok" : item.error.code)))).toEqual(
      new Set(["ok", "Rejected.Throttling"]),
    );
  });

  test.each([
    ["CKR_FUNCTION_FAILED", CKR.functionFailed],
    ["CKR_OPERATION_ACTIVE", CKR.operationActive],
  ] as const)("F10: a burst of %s is waited out, without a storm of sessions", async (_name, argument) => {
    const shim = newShim();
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    const sessions = shim.calls("C_OpenSession");
    shim.rule("C_EncryptInit", { action: "failBefore", argument, times: 30 });
    const results = await hsm.encryptBatch(
      key,
      Array.from({ length: 64 }, () => ({ plaintext: random(16) })),
    );
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(shim.calls("C_OpenSession") - sessions).toBeLessThan(60);
  });

  test.each([
    ["PIN_INCORRECT", CKR.pinIncorrect],
    ["PIN_LOCKED", CKR.pinLocked],
    ["PIN_EXPIRED", CKR.pinExpired],
  ] as const)("F12: CKR_%s is one attempt and a clear refusal", async (name, argument) => {
    const shim = newShim();
    shim.rule("C_Login", { action: "failBefore", argument });
    let asked = 0;
    const pin = async (): Promise<Uint8Array> => {
      asked += 1;
      return shim.pin();
    };
    await expect(Hsms.open({ ...hsmOptions(shim), pin })).rejects.toMatchObject({
      name: "HsmError",
      code: "LoginFailed",
      ckrName: `CKR_${name}`,
      fn: "C_Login",
    });
    expect(asked).toBe(1);
    expect(shim.calls("C_Login")).toBe(1);
  });

  test("F12: a wrong PIN is not tried again by calls that come later, and USER_ALREADY_LOGGED_IN is fine", async () => {
    const shim = newShim();
    await expect(Hsms.open({ ...hsmOptions(shim), pin: async () => random(6) })).rejects.toMatchObject({
      code: "LoginFailed",
    });
    expect(shim.calls("C_Login")).toBe(1);
    shim.rule("C_Login", { action: "failAfter", argument: CKR.userAlreadyLoggedIn });
    const hsm = await openToken(shim);
    expect(await hsm.generateRandom(8)).toHaveLength(8);
  });

  test("F13: a key destroyed under us is KeyNotFound, and one put in its place afterwards is refused", async () => {
    const shim = newShim();
    const hsm = await openToken(shim);
    const id = random(16);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256", id });
    const other = await hsm.key({ id });
    await hsm.destroyKey(other);
    await expect(hsm.encrypt(key, { plaintext: random(4) })).rejects.toMatchObject({ code: "KeyNotFound" });

    await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32), id });
    await hsm.recover();
    await expect(hsm.encrypt(key, { plaintext: random(4) })).rejects.toMatchObject({ code: "WrongKey" });
  });

  test.each([
    ["whose handle the token forgets", undefined],
    ["before a lost login", "kill"],
  ] as const)(
    "F13: a key swapped under us %s is never used, not by the calls that notice it",
    async (_when, action) => {
      const shim = newShim();
      const hsm = await openToken(shim);
      const id = random(16);
      const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256", id });
      await hsm.destroyKey(await hsm.key({ id }));
      await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32), id });
      if (action !== undefined) shim.rule("C_EncryptInit", { action, times: 1 });
      const sealed = shim.calls("C_Encrypt");
      const results = await hsm.encryptBatch(
        key,
        Array.from({ length: 40 }, () => ({ plaintext: random(4) })),
      );
      expect(new Set(results.map((result) => (result.ok ? "ok" : result.error.code)))).toEqual(
        new Set(["WrongKey"]),
      );
      // The check value alone.
      expect(shim.calls("C_Encrypt") - sealed).toBeLessThan(10);
      await expect(hsm.encrypt(key, { plaintext: random(4) })).rejects.toMatchObject({ code: "WrongKey" });
    },
  );

  test("F13: an object that is found and cannot be used is KeyNotFound after one recovery, and no fault of its member", async () => {
    const { shims, group } = await newGroup("primary-standby");
    const key = await group.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32) });
    const { ciphertext, iv } = await group.encrypt(key, { plaintext: random(9) });
    const breaker = watch(group, "breaker");
    const before = group.stats().members[0]?.recoveries ?? 0;
    shims[0].rule("C_DecryptInit", { action: "failBefore", argument: CKR.keyHandleInvalid });
    for (let i = 0; i < 4; i++) expect(await group.decrypt(key, { ciphertext, iv })).toHaveLength(9);
    expect((group.stats().members[0]?.recoveries ?? 0) - before).toBeLessThanOrEqual(2);
    expect(breaker).toEqual([]);
    await group.close({ drainMs: 200 });

    const shim = newShim();
    const hsm = await openToken(shim);
    const alone = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    const sealed = await hsm.encrypt(alone, { plaintext: random(9) });
    shim.rule("C_DecryptInit", { action: "failBefore", argument: CKR.keyHandleInvalid });
    for (let i = 0; i < 3; i++) {
      await expect(hsm.decrypt(alone, sealed)).rejects.toMatchObject({ code: "KeyNotFound" });
    }
    expect(hsm.stats().members[0]?.recoveries).toBeLessThanOrEqual(2);
  });

  test("F14: thousands of forged ciphertexts are InvalidCiphertext and leave the breaker closed", async () => {
    const { group } = await newGroup("least-outstanding", 20_000);
    const key = await group.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32) });
    const breaker = watch(group, "breaker");
    const { ciphertext, iv } = await group.encrypt(key, { plaintext: random(40) });
    for (let round = 0; round < 4; round++) {
      const requests = Array.from({ length: 500 }, (_, i) => {
        const forged = ciphertext.slice();
        forged[i % forged.length] = (forged[i % forged.length] ?? 0) ^ (1 << (i % 8));
        return { ciphertext: i % 10 === 0 ? ciphertext : forged, iv };
      });
      const results = await group.decryptBatch(key, requests);
      results.forEach((result, i) => {
        expect(result.ok ? "ok" : result.error.code).toBe(i % 10 === 0 ? "ok" : "InvalidCiphertext");
      });
    }
    expect(breaker).toEqual([]);
    expect(group.stats().failovers).toBe(0);
    await group.close({ drainMs: 200 });
  });

  test("F14: a broken device is told from forged ciphertexts by a ciphertext that is good", async () => {
    const shim = newShim();
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    const { ciphertext, iv } = await hsm.encrypt(key, { plaintext: random(8) });
    shim.rule("C_Decrypt", { action: "failAfter", argument: 0x5 });
    await expect(hsm.decrypt(key, { ciphertext, iv })).rejects.toMatchObject({
      code: "DeviceError",
      ckrName: "CKR_GENERAL_ERROR",
    });
    shim.calm();
    expect(await hsm.decrypt(key, { ciphertext, iv })).toHaveLength(8);
  });

  test("F22: what is listed and not served is refused with a name, when the key is opened", async () => {
    const hsm = await openToken(newModule());
    const kms = await openKms({ hsm });
    expect(hsm.capabilities.mechanisms).toContain(0x9);
    const { keyId } = await kms.createKey({
      protectionLevel: "HSM",
      keySpec: "RSA_2048",
      keyUsage: "ENCRYPT/DECRYPT",
    });
    expect(hsm.capabilities.algorithms.RSA_2048).toEqual(["RSAES_OAEP_SHA_1"]);
    const refusal = await expectRefusal(
      () => kms.encrypt({ keyId, plaintext: random(4) }),
      "Rejected.UnsupportedOperation",
    );
    expect(refusal.message).toContain("RSAES_OAEP_SHA_256");
    expect(refusal.cause).toMatchObject({ name: "HsmError", code: "Unsupported" });
  });

  test("F23: a member with another key under the same id is refused by the check value", async () => {
    const { members, group } = await newGroup("round-robin");
    const id = random(16);
    const material = random(32);
    await members[0].importKey({ keySpec: "Aliyun_AES_256", keyMaterial: material, id });
    await members[1].importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32), id });
    const refused = watch(group, "keyRefused");
    const key = await group.key({ id });
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatchObject({ member: "two", error: { code: "WrongKey" } });
    const before = members[1].stats().members[0]?.bytesIn;
    for (let i = 0; i < 20; i++) {
      const { ciphertext, iv } = await group.encrypt(key, { plaintext: random(9) });
      await group.decrypt(key, { ciphertext, iv });
    }
    expect(members[1].stats().members[0]?.bytesIn).toBe(before);
    await group.close({ drainMs: 200 });
  });

  test("A13: of two members one dies under load: no call fails, and the load comes back with it", async () => {
    const { shims, group } = await newGroup("least-outstanding");
    const key = await group.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32) });
    for (const shim of shims) shim.set({ finalUs: 2000 });
    let done = 0;
    let failed = 0;
    let isOver = false;
    const caller = async (): Promise<void> => {
      while (!isOver) {
        await group.encrypt(key, { plaintext: new Uint8Array(32) }).then(
          () => {
            done += 1;
          },
          () => {
            failed += 1;
          },
        );
      }
    };
    const callers = Array.from({ length: 64 }, caller);
    /** Counts what is done in a while; how quickly is a matter of the bench. */
    const doneIn = async (milliseconds: number): Promise<number> => {
      const from = done;
      await sleep(milliseconds);
      return done - from;
    };
    expect(await doneIn(1000)).toBeGreaterThan(0);
    for (const name of [
      "C_EncryptInit",
      "C_Encrypt",
      "C_GenerateRandom",
      "C_OpenSession",
      "C_GetTokenInfo",
      "C_GetSessionInfo",
    ] as const) {
      shims[0].rule(name, { action: "failBefore", argument: CKR.deviceRemoved });
    }
    await sleep(1000);
    expect(await doneIn(1000)).toBeGreaterThan(0);
    shims[0].calm();
    await expect
      .poll(async () => (await group.health()).members.every(({ healthy }) => healthy), { timeout: 20_000 })
      .toBe(true);
    expect(await doneIn(1000)).toBeGreaterThan(0);
    isOver = true;
    await Promise.all(callers);
    expect(failed).toBe(0);
    await group.close({ drainMs: 200 });
  }, 60_000);
});
