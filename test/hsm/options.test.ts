/** What an Hsm can be opened with beyond the defaults: who makes the IVs (F16), session copies of keys, and cancelled calls. */

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Hsm, type HsmKey, type HsmOptions } from "../../src/hsm.ts";
import { requireModule, type TestModule } from "../support/hsm-modules.ts";
import { expectRefusal, openKms } from "../support/kms.ts";
import { hasShim, type Shim, shimOver } from "../support/shim.ts";
import { hsmOptions, missing, newModule, openToken } from "./open.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const reason = missing("softhsm") ?? (hasShim() ? undefined : "the shim is not built");

let base: TestModule;
let used = 0;

/** Another shim over the one token; each counts and spoils calls of its own. */
function newShim(): Shim {
  used += 1;
  return shimOver({ ...base, dispose: () => undefined }, `shim${used}`);
}

beforeAll(async () => {
  if (reason !== undefined) return;
  base = newModule("softhsm");
  await openToken(base);
});

function openedBy(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", key, iv);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-16));
  return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]));
}

/** Cancels an encryption that hangs in the token. */
async function cancelInToken(shim: Shim, hsm: Hsm, key: HsmKey): Promise<void> {
  shim.rule("C_Encrypt", { action: "hang", times: 1 });
  const before = shim.calls("C_Encrypt");
  const controller = new AbortController();
  const call = hsm.encrypt(key, { plaintext: random(4) }, { signal: controller.signal });
  await expect.poll(() => shim.calls("C_Encrypt")).toBe(before + 1);
  controller.abort();
  await expect(call).rejects.toMatchObject({ code: "Cancelled", outcome: "unknown" });
}

describe.skipIf(reason !== undefined)("ivMode", () => {
  /** How the shim plays a token of each mode; one with the functions of 3.0 is NSS itself. */
  const MODES = [
    ["token-pIv", { ivMode: 1 }],
    ["token-prefix", { ivMode: 0 }],
  ] as const;

  test.each(MODES)(
    "%s: IVs are the token's, differ, and are what node:crypto opens with",
    async (ivMode, mode) => {
      const shim = newShim();
      shim.set(mode);
      const hsm = await openToken(shim, { ivMode });
      const keyMaterial = random(32);
      const key = await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial });
      const aad = random(9);
      const ivs = new Set<string>();
      for (const result of await hsm.encryptBatch(
        key,
        Array.from({ length: 40 }, (_, length) => ({ plaintext: new Uint8Array(length).fill(5), aad })),
      )) {
        if (!result.ok) throw result.error;
        const { ciphertext, iv = new Uint8Array(0) } = result.value;
        ivs.add(Buffer.from(iv).toString("hex"));
        const plaintext = openedBy(keyMaterial, iv, ciphertext, aad);
        expect(plaintext).toEqual(new Uint8Array(plaintext.length).fill(5));
        expect(await hsm.decrypt(key, { ciphertext, iv, aad })).toEqual(plaintext);
      }
      expect(ivs.size).toBe(40);
      const tampered = await hsm.encrypt(key, { plaintext: random(8) });
      tampered.ciphertext[0] = (tampered.ciphertext[0] ?? 0) ^ 1;
      const opening = hsm.decrypt(key, { ciphertext: tampered.ciphertext, iv: tampered.iv });
      await expect(opening).rejects.toMatchObject({ code: "InvalidCiphertext" });
    },
  );

  test.each(["message", "host-message"] as const)(
    "%s: NSS seals by messages of PKCS #11 3.0",
    async (ivMode) => {
      const why = missing("nss");
      if (why !== undefined) return;
      const hsm = await openToken(newModule("nss"), { ivMode });
      const keyMaterial = random(32);
      const key = await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial });
      const aad = random(5);
      const { ciphertext, iv = new Uint8Array(0) } = await hsm.encrypt(key, { plaintext: random(33), aad });
      expect(await hsm.decrypt(key, { ciphertext, iv, aad })).toEqual(
        openedBy(keyMaterial, iv, ciphertext, aad),
      );
      await hsm.close({ drainMs: 200 });
    },
  );

  test("message is refused at opening where the module lacks the functions", async () => {
    await expect(Hsm.open({ ...hsmOptions(newShim()), ivMode: "message" })).rejects.toMatchObject({
      code: "Unsupported",
    });
    const misspelt = { ...hsmOptions(base), ivMode: "Host" } as unknown as HsmOptions;
    await expect(Hsm.open(misspelt)).rejects.toMatchObject({ code: "InvalidParameter" });
  });

  test("a caller's iv is refused where the token makes them, and a Kms gets no AES key", async () => {
    const shim = newShim();
    shim.set({ ivMode: 1 });
    const hsm = await openToken(shim, { ivMode: "token-pIv" });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    await expect(hsm.encrypt(key, { plaintext: random(4), iv: random(12) })).rejects.toMatchObject({
      code: "Unsupported",
      outcome: "not-sent",
    });
    const kms = await openKms({ hsm });
    await expectRefusal(() => kms.createKey({ protectionLevel: "HSM" }), "Rejected.UnsupportedOperation");
    const { keyId } = await kms.createKey({ protectionLevel: "HSM", keySpec: "EC_P256" });
    expect((await kms.sign({ keyId, message: random(3) })).signature.length).toBeGreaterThan(60);
  });

  test("F16: an IV that comes twice ends the use of the key", async () => {
    const shim = newShim();
    shim.set({ ivMode: 1 });
    const hsm = await openToken(shim, { ivMode: "token-pIv" });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    shim.set({ ivMode: 2 });
    await hsm.encrypt(key, { plaintext: random(8) });
    for (let i = 0; i < 2; i++) {
      await expect(hsm.encrypt(key, { plaintext: random(8) })).rejects.toMatchObject({ code: "KeyRefused" });
    }
  });

  test("F16: a module that keeps the IV it was given seals nothing, whichever handle asks", async () => {
    const host = await openToken(newShim());
    const ids = [random(16), random(16)] as const;
    for (const id of ids) await host.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32), id });
    // SoftHSM uses the bytes it finds in pIv.
    const hsm = await openToken(newShim(), { ivMode: "token-pIv" });
    await expect(hsm.generateKey({ keySpec: "Aliyun_AES_256" })).rejects.toMatchObject({
      code: "KeyRefused",
    });
    const key = await hsm.key({ id: ids[0] });
    const second = await hsm.key({ id: ids[0] });
    for (const handle of [key, key, second]) {
      await expect(hsm.encrypt(handle, { plaintext: random(8) })).rejects.toMatchObject({
        code: "KeyRefused",
      });
    }
    await expect(hsm.key({ id: ids[0] })).rejects.toMatchObject({ code: "KeyRefused" });
    await hsm.key({ id: ids[1] });
  });

  test("F16: a member that makes no IVs is never asked again for the key, and a group of such members refuses at once", async () => {
    const [one, two] = [newShim(), newShim()];
    const members = [
      await openToken(one, { name: "one", ivMode: "token-pIv" }),
      await openToken(two, { name: "two" }),
    ] as const;
    const id = random(16);
    const keyMaterial = random(32);
    await members[1].importKey({ keySpec: "Aliyun_AES_256", keyMaterial, id });
    const group = Hsm.group(members, { policy: "primary-standby" });
    const key = await group.key({ id });
    const { ciphertext, iv = new Uint8Array(0) } = await group.encrypt(key, { plaintext: random(7) });
    openedBy(keyMaterial, iv, ciphertext, new Uint8Array(0));
    expect(iv.some((byte) => byte !== 0)).toBe(true);
    const sealed = one.calls("C_Encrypt");
    const searches = one.calls("C_FindObjectsInit");
    expect(sealed).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 5200));
    for (let i = 0; i < 5; i++) await group.encrypt(key, { plaintext: random(7) });
    expect(one.calls("C_Encrypt")).toBe(sealed);
    expect(one.calls("C_FindObjectsInit")).toBe(searches);

    const alone = Hsm.group([members[0]], { policy: "primary-standby" });
    await expect(alone.key({ id })).rejects.toMatchObject({ code: "KeyRefused" });
    const other = random(16);
    await members[1].importKey({ keySpec: "Aliyun_AES_256", keyMaterial, id: other });
    const opened = await alone.key({ id: other });
    const started = performance.now();
    for (let i = 0; i < 2; i++) {
      await expect(alone.encrypt(opened, { plaintext: random(7) })).rejects.toMatchObject({
        code: "KeyRefused",
      });
    }
    expect(performance.now() - started).toBeLessThan(4000);
    await group.close({ drainMs: 200 });
  }, 30_000);

  test("a call that goes to another member never takes the IV of the first along", async () => {
    const shims = [newShim(), newShim()] as const;
    shims[0].set({ ivMode: 1 });
    const one = await openToken(shims[0], { name: "one", ivMode: "token-pIv" });
    const two = await openToken(shims[1], { name: "two" });
    const keyMaterial = random(32);
    const id = random(16);
    await one.importKey({ keySpec: "Aliyun_AES_256", keyMaterial, id });
    const group = Hsm.group([one, two], { policy: "primary-standby" });
    const key = await group.key({ id });
    shims[0].rule("C_Encrypt", { action: "failAfter", argument: 0x30 });
    const ivs: Uint8Array[] = [];
    for (let i = 0; i < 4; i++) {
      const { ciphertext, iv = new Uint8Array(0) } = await group.encrypt(key, { plaintext: random(7) });
      openedBy(keyMaterial, iv, ciphertext, new Uint8Array(0));
      ivs.push(iv);
    }
    expect(shims[1].calls("C_Encrypt")).toBeGreaterThan(0);
    expect(ivs.some((iv) => iv.every((byte) => byte === 0))).toBe(false);
    expect(new Set(ivs.map((iv) => Buffer.from(iv).toString("hex"))).size).toBe(4);
    await group.close({ drainMs: 200 });
  });
});

describe.skipIf(reason !== undefined)("sessionCopy", () => {
  test("works with copies that are the same keys, and finds them again after a lost login", async () => {
    const shim = newShim();
    const hsm = await openToken(shim, { sessionCopy: true });
    const keyMaterial = random(32);
    const key = await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial });
    expect(shim.calls("C_CopyObject")).toBeGreaterThan(0);
    const copies = shim.calls("C_CopyObject");
    const iv = random(12);
    const cipher = createCipheriv("aes-256-gcm", keyMaterial, iv);
    const expected = Buffer.concat([cipher.update("copied"), cipher.final(), cipher.getAuthTag()]);
    const plaintext = new TextEncoder().encode("copied");
    expect((await hsm.encrypt(key, { plaintext, iv })).ciphertext).toEqual(new Uint8Array(expected));
    shim.rule("C_EncryptInit", { action: "kill", times: 1 });
    expect((await hsm.encrypt(key, { plaintext, iv })).ciphertext).toEqual(new Uint8Array(expected));
    expect(shim.calls("C_CopyObject")).toBeGreaterThan(copies);
    expect((await hsm.listKeys()).filter(({ id }) => Buffer.from(id).equals(key.id))).toHaveLength(1);
    await hsm.destroyKey(key);
    await expect(hsm.key({ id: key.id })).rejects.toMatchObject({ code: "KeyNotFound" });
  });
});

describe.skipIf(reason !== undefined)("signal", () => {
  let shim: Shim;
  beforeEach(({ skip }) => {
    requireModule(skip, "softhsm");
    shim = newShim();
  });

  test("takes back calls that wait, as not sent, and leaves the others alone", async () => {
    const hsm = await openToken(shim, { limits: { sym: { min: 1, max: 1 } } });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    shim.set({ finalUs: 20_000 });
    const before = shim.calls("C_Encrypt");
    const controller = new AbortController();
    const requests = Array.from({ length: 20 }, (_, i) => ({ plaintext: Uint8Array.of(i) }));
    const kept = hsm.encryptBatch(key, requests.slice(0, 10));
    const cancelled = hsm.encryptBatch(key, requests.slice(10), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 5);
    for (const result of await cancelled) {
      expect(result).toMatchObject({
        ok: false,
        error: { code: "Cancelled", outcome: "not-sent", retryable: false, cause: { message: "enough" } },
      });
    }
    expect((await kept).every(({ ok }) => ok)).toBe(true);
    expect(shim.calls("C_Encrypt") - before).toBe(10);
    expect(hsm.stats().members[0]?.outstanding).toBe(0);
  });

  test("ends the wait for a call in the token, of which nobody knows what became", async () => {
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    await cancelInToken(shim, hsm, key);
    // It keeps its thread: a call that nobody waits for is not yet one that hangs.
    expect(hsm.stats().members[0]).toMatchObject({ zombies: 0, running: 1 });
    shim.release();
    await expect.poll(() => hsm.stats().members[0]?.running).toBe(0);
    expect(await hsm.generateRandom(4)).toHaveLength(4);
  });

  test("gives up a cancelled call that hangs at the deadline it had", async () => {
    const hsm = await openToken(shim, { deadlineMs: 1500 });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    await cancelInToken(shim, hsm, key);
    await expect.poll(() => hsm.stats().members[0]?.zombies, { timeout: 5000 }).toBe(1);
    expect(await hsm.generateRandom(4)).toHaveLength(4);
    shim.release();
    await expect.poll(() => hsm.stats().members[0]?.zombies).toBe(0);
  });

  test("costs no sessions, however many calls are cancelled one after another", async () => {
    const hsm = await openToken(shim, { sessions: { max: 1 } });
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    await hsm.encrypt(key, { plaintext: random(4) });
    const sessions = shim.calls("C_OpenSession");
    shim.set({ finalUs: 30_000 });
    for (let i = 0; i < 12; i++) {
      const controller = new AbortController();
      const call = hsm.encrypt(key, { plaintext: random(4) }, { signal: controller.signal });
      await expect.poll(() => hsm.stats().members[0]?.running, { interval: 2 }).toBe(1);
      controller.abort();
      await expect(call).rejects.toMatchObject({ code: "Cancelled" });
    }
    expect(await hsm.encrypt(key, { plaintext: random(4) })).toHaveProperty("ciphertext");
    expect(hsm.stats().members[0]).toMatchObject({ zombies: 0, maxSessions: 1 });
    // One that is cancelled between C_EncryptInit and C_Encrypt spoils its session.
    expect(shim.calls("C_OpenSession") - sessions).toBeLessThanOrEqual(12);
  });

  test("says nothing of a ciphertext that nobody proved", async () => {
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    const sealed = await hsm.encrypt(key, { plaintext: random(4) });
    shim.rule("C_Decrypt", { action: "failAfter", argument: 0x5 });
    const before = shim.calls("C_Decrypt");
    const controller = new AbortController();
    const call = hsm.decrypt(key, sealed, { signal: controller.signal });
    const refused = expect(call).rejects.toMatchObject({ code: "Cancelled", outcome: "failed" });
    // Its answer is there before the loop learns of it.
    for (let i = 0; i < 20; i++) await undefined;
    while (shim.calls("C_Decrypt") === before);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    controller.abort();
    await refused;
  });

  test("ends the wait for a look at the key after a login", async () => {
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    await hsm.recover();
    shim.rule("C_Encrypt", { action: "hang", times: 1 });
    const before = shim.calls("C_Encrypt");
    const controller = new AbortController();
    const call = hsm.encrypt(key, { plaintext: random(4) }, { signal: controller.signal });
    await expect.poll(() => shim.calls("C_Encrypt")).toBe(before + 1);
    const started = performance.now();
    controller.abort(new Error("enough"));
    await expect(call).rejects.toMatchObject({
      code: "Cancelled",
      outcome: "not-sent",
      cause: { message: "enough" },
    });
    expect(performance.now() - started).toBeLessThan(3000);
    shim.release();
    expect(await hsm.encrypt(key, { plaintext: random(4) })).toHaveProperty("iv");
  });

  test("that was aborted before sends nothing; one that is aborted after changes nothing", async () => {
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "EC_P256" });
    const before = shim.calls("C_Sign");
    const digest = random(32);
    const request = { digest, scheme: { scheme: "ecdsa" } } as const;
    const aborted = hsm.sign(key, request, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: "Cancelled", outcome: "not-sent" });
    expect(shim.calls("C_Sign")).toBe(before);
    const controller = new AbortController();
    expect(await hsm.sign(key, request, { signal: controller.signal })).toHaveLength(64);
    controller.abort();
    const misspelt = { signal: {} as AbortSignal };
    await expect(hsm.sign(key, request, misspelt)).rejects.toMatchObject({ code: "InvalidParameter" });
  });

  test("ends the wait for a lost token", async () => {
    const hsm = await openToken(shim);
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256" });
    for (const name of ["C_EncryptInit", "C_OpenSession", "C_GetTokenInfo", "C_GetSessionInfo"] as const)
      shim.rule(name, { action: "failBefore", argument: 0x32 });
    const controller = new AbortController();
    const started = performance.now();
    const call = hsm.encrypt(key, { plaintext: random(4) }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 300);
    await expect(call).rejects.toMatchObject({ code: "Cancelled" });
    expect(performance.now() - started).toBeLessThan(8000);
    shim.calm();
  });
});
