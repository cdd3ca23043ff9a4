/**
 * Keeps a token under load while faults of every kind come at random moments: each call settles once, with an answer of
 * its own key or an error of the device, and memory stays. KEYPLANE_SOAK_SECONDS sets how long; 30 if absent.
 */

import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  randomBytes,
  randomInt,
  verify,
} from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { type Hsm, HsmError, type HsmKey } from "../../src/hsm.ts";
import { hasShim, type Shim, type ShimFunction, type ShimRule, shimOver } from "../support/shim.ts";
import { missing, newModule, openToken } from "./open.ts";

const SECONDS = Number(process.env["KEYPLANE_SOAK_SECONDS"] ?? 30);
const KEYS = 8;
const CALLERS = 24;
const DEADLINE_MS = 4000;
const MAX_GROWTH_MB = 48;

/** What may be at fault here is the device alone; never the key, the login or the ciphertext. */
const DEVICE_FAULTS = new Set(["Timeout", "TokenLost", "DeviceError", "Throttled", "Busy"]);

const FAULTS: readonly (() => [ShimFunction, ShimRule])[] = [
  () => ["C_EncryptInit", { action: "failBefore", argument: 0x30, times: randomInt(1, 6) }],
  () => ["C_Encrypt", { action: "failAfter", argument: 0x30, times: randomInt(1, 6) }],
  () => ["C_SignInit", { action: "failBefore", argument: 0x90, times: randomInt(1, 20) }],
  () => ["C_Sign", { action: "failAfter", argument: 0x5, times: randomInt(1, 6) }],
  () => ["C_Decrypt", { action: "failBefore", argument: 0x32, times: 1 }],
  () => ["C_EncryptInit", { action: "closeThis", times: 1 }],
  () => ["C_EncryptInit", { action: "kill", times: 1 }],
  () => ["C_DecryptInit", { action: "logout", times: 1 }],
  () => ["C_SignInit", { action: "reinitialize", times: 1 }],
  () => ["C_Encrypt", { action: "sleep", argument: randomInt(1000, 100_000), times: randomInt(1, 10) }],
  () => ["C_Sign", { action: "sleep", argument: (DEADLINE_MS + 500) * 1000, times: 1 }],
  () => ["C_Encrypt", { action: "length", argument: randomInt(0, 1 << 20), times: 1 }],
];

interface AesKey {
  readonly key: HsmKey;
  readonly material: Uint8Array;
  readonly sealed: {
    readonly iv: Uint8Array;
    readonly ciphertext: Uint8Array;
    readonly plaintext: Uint8Array;
  };
}

const reason = missing("softhsm") ?? (hasShim() ? undefined : "the shim is not built");
let shim: Shim;
let hsm: Hsm;
const aesKeys: AesKey[] = [];
const ecKeys: HsmKey[] = [];

beforeAll(async () => {
  if (reason !== undefined) return;
  shim = shimOver(newModule("softhsm"));
  hsm = await openToken(shim, { deadlineMs: DEADLINE_MS, sessions: { max: 12 }, maxZombies: 16 });
  for (let i = 0; i < KEYS; i++) {
    const material = new Uint8Array(randomBytes(32));
    const key = await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: material });
    const iv = new Uint8Array(randomBytes(12));
    const plaintext = new Uint8Array(randomBytes(randomInt(1, 200)));
    const cipher = createCipheriv("aes-256-gcm", material, iv);
    const body = [cipher.update(plaintext), cipher.final()];
    const ciphertext = new Uint8Array(Buffer.concat([...body, cipher.getAuthTag()]));
    aesKeys.push({ key, material, sealed: { iv, ciphertext, plaintext } });
    ecKeys.push(await hsm.generateKey({ keySpec: "EC_P256" }));
  }
}, 120_000);

/** Makes one call and tells whether the answer is that of its key. */
async function callOne(): Promise<boolean> {
  const index = randomInt(KEYS);
  const aes = aesKeys[index];
  const ec = ecKeys[index];
  if (aes === undefined || ec === undefined) throw new Error("no key");
  const kind = randomInt(5);
  if (kind < 2) {
    const plaintext = new Uint8Array(randomBytes(randomInt(1, 300)));
    const { ciphertext, iv = new Uint8Array(0) } = await hsm.encrypt(aes.key, { plaintext });
    const decipher = createDecipheriv("aes-256-gcm", aes.material, iv);
    decipher.setAuthTag(ciphertext.subarray(-16));
    try {
      return Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]).equals(
        plaintext,
      );
    } catch {
      return false;
    }
  }
  if (kind < 4) {
    const { iv, ciphertext, plaintext } = aes.sealed;
    return Buffer.from(await hsm.decrypt(aes.key, { ciphertext, iv })).equals(plaintext);
  }
  const message = randomBytes(20);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", message));
  const signature = await hsm.sign(ec, { digest, scheme: { scheme: "ecdsa" } });
  const key = createPublicKey({ key: Buffer.from(ec.publicKey ?? []), format: "der", type: "spki" });
  return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
}

test.skipIf(reason !== undefined)(
  `for ${SECONDS} s of faults every call settles once, no wrong key is used, and memory stays`,
  async () => {
    const failures = new Map<string, number>();
    let started = 0;
    let settled = 0;
    let right = 0;
    let wrong = 0;
    const end = performance.now() + SECONDS * 1000;
    const caller = async (): Promise<void> => {
      while (performance.now() < end) {
        started += 1;
        let settlements = 0;
        await callOne().then(
          (isRight) => {
            settlements += 1;
            if (isRight) right += 1;
            else wrong += 1;
          },
          (error: unknown) => {
            settlements += 1;
            const code = error instanceof HsmError ? error.code : String(error);
            failures.set(code, (failures.get(code) ?? 0) + 1);
          },
        );
        settled += settlements;
      }
    };
    let faults = 0;
    const inject = async (): Promise<void> => {
      // The last seconds are calm, so that the end can be looked at.
      while (performance.now() < end - 3000) {
        await new Promise((resolve) => setTimeout(resolve, randomInt(100, 500)));
        shim.calm();
        const [name, rule] = (FAULTS[randomInt(FAULTS.length)] ?? FAULTS[0])?.() ?? [];
        if (name === undefined || rule === undefined) throw new Error("no fault");
        shim.rule(name, rule);
        faults += 1;
      }
      shim.calm();
    };
    const megabytes: number[] = [];
    const sampler = setInterval(() => megabytes.push(process.memoryUsage().rss / 1e6), (SECONDS * 1000) / 20);
    await Promise.all([inject(), ...Array.from({ length: CALLERS }, caller)]);
    clearInterval(sampler);

    const stats = hsm.stats().members[0];
    const text = [...failures].map(([code, count]) => `${count} ${code}`).join(", ");
    const highest = (from: number, to: number): number => Math.max(...megabytes.slice(from, to));
    const growth = highest(10, 20) - highest(4, 10);
    console.log(
      `${started} calls, ${faults} faults: ${right} right, ${wrong} wrong, failed: ${text || "none"}; ` +
        `${stats?.recoveries} recoveries, ${stats?.sessionsReplaced} sessions replaced; memory ${growth.toFixed(0)} MB`,
    );
    expect(wrong).toBe(0);
    expect(settled).toBe(started);
    expect([...failures.keys()].filter((code) => !DEVICE_FAULTS.has(code))).toEqual([]);
    expect(faults).toBeGreaterThan(SECONDS / 2);
    expect(right).toBeGreaterThan(started / 2);
    expect(growth).toBeLessThan(MAX_GROWTH_MB);
    await expect.poll(() => hsm.stats().members[0]?.zombies, { timeout: 20_000 }).toBe(0);
    const after = hsm.stats().members[0];
    expect(after).toMatchObject({ outstanding: 0, queued: 0, running: 0, state: "ready" });
    expect(after?.completed).toBe(after?.submitted);
    // All are well again.
    for (let i = 0; i < 100; i++) expect(await callOne()).toBe(true);
  },
);
