/** The count of AES-GCM uses: exact at the limit, never reused after a crash, never overspent by concurrent calls. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KmsError } from "../../src/errors.ts";
import type { KeyVersionUsage, Kms } from "../../src/index.ts";
import { GCM_USAGE_LIMIT, UsageCounter } from "../../src/keys/usage-counter.ts";
import { openKms, outcome } from "./support/kms.ts";
import { sleep, TestRows } from "./support/rows.ts";

const plaintext = new Uint8Array(16).fill(4);

/** Returns a version's count, the primary's if none is named. */
async function usage(kms: Kms, keyId: string, keyVersionId?: string): Promise<Partial<KeyVersionUsage>> {
  if (keyVersionId === undefined) {
    const { usageCount, usageLimit, rotationDue } = (await kms.describeKey({ keyId })).keyMetadata;
    return { usageCount, usageLimit, rotationDue } as Partial<KeyVersionUsage>;
  }
  return (await kms.describeKeyVersion({ keyId, keyVersionId })).keyVersion;
}

async function count(kms: Kms, keyId: string): Promise<number | undefined> {
  return (await usage(kms, keyId)).usageCount;
}

describe("the counter", () => {
  test("takes exactly as many uses as the limit, whatever the limit and the blocks", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9000 }), (limit) => {
        const counter = new UsageCounter(0, limit);
        let uses = 0;
        for (let turns = 0; turns <= 3 * limit; turns++) {
          if (counter.take()) {
            uses += 1;
            continue;
          }
          const next = counter.nextReservation();
          if (next === undefined) break;
          if (next <= uses) throw new Error(`${next} does not reserve anything after ${uses} uses`);
          counter.reserved(next);
        }
        expect(uses).toBe(limit);
      }),
    );
  });

  test("reserves 2^20 uses at a time up to 2^32, and a last partial block", () => {
    expect(GCM_USAGE_LIMIT).toBe(4_294_967_296);
    expect(new UsageCounter(0, GCM_USAGE_LIMIT).nextReservation()).toBe(1_048_576);
    expect(new UsageCounter(GCM_USAGE_LIMIT - 5, GCM_USAGE_LIMIT).nextReservation()).toBe(4_294_967_296);
    expect(new UsageCounter(GCM_USAGE_LIMIT, GCM_USAGE_LIMIT).nextReservation()).toBeUndefined();
  });

  test("is due for rotation from 0.9 of the limit", () => {
    const due = (used: number, limit: number): boolean => new UsageCounter(used, limit).rotationDue;
    expect([due(8, 10), due(9, 10)]).toEqual([false, true]);
    expect([due(3_865_470_566, GCM_USAGE_LIMIT), due(3_865_470_567, GCM_USAGE_LIMIT)]).toEqual([false, true]);
  });

  test("gives the unspent rest back once, and takes no use afterwards", () => {
    const counter = new UsageCounter(0, 2 ** 20);
    counter.reserved(256);
    counter.take();
    expect([counter.settle(), counter.settle(), counter.take()]).toEqual([1, undefined, false]);
  });

  test("never counts back when a lower limit is set than was used", () => {
    const counter = new UsageCounter(50, 10);
    expect([counter.take(), counter.nextReservation(), counter.settle()]).toEqual([
      false,
      undefined,
      undefined,
    ]);
  });
});

describe("a key version with a limit of 10", () => {
  test("seals ten times, says so at nine, then refuses with the way out", async () => {
    const kms = await openKms({ usageLimit: 10 });
    const { keyId, keyMetadata } = await kms.createKey();
    expect(keyMetadata).toMatchObject({ usageCount: 0, usageLimit: 10, rotationDue: false });
    for (let uses = 1; uses <= 10; uses++) {
      await kms.encrypt({ keyId, plaintext });
      expect(await usage(kms, keyId)).toEqual({ usageCount: uses, usageLimit: 10, rotationDue: uses >= 9 });
    }
    const refused = await kms.encrypt({ keyId, plaintext }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(KmsError);
    expect(refused).toMatchObject({ code: "Rejected.KeyExhausted", httpStatus: 409 });
    expect((refused as KmsError).message).toContain("advanceEncrypt");
    expect(await count(kms, keyId)).toBe(10);
  });

  test("still opens what it sealed once it is exhausted", async () => {
    const kms = await openKms({ usageLimit: 1 });
    const { keyId } = await kms.createKey();
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    expect(await outcome(() => kms.advanceEncrypt({ keyId, plaintext }))).toBe("Rejected.KeyExhausted");
    expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
  });

  test("is relieved by rotation for advance* calls; encrypt and generateDataKey stay exhausted", async () => {
    const kms = await openKms({ usageLimit: 10 });
    const { keyId, keyMetadata } = await kms.createKey();
    for (let uses = 0; uses < 10; uses++) await kms.advanceEncrypt({ keyId, plaintext });
    expect(await outcome(() => kms.advanceGenerateDataKey({ keyId }))).toBe("Rejected.KeyExhausted");
    const { keyVersionId } = await kms.rotateKey({ keyId });
    for (let uses = 0; uses < 10; uses++) {
      const sealed = await (uses % 2 === 0
        ? kms.advanceEncrypt({ keyId, plaintext })
        : kms.advanceGenerateDataKey({ keyId }));
      expect(sealed.keyVersionId).toBe(keyVersionId);
    }
    expect(await usage(kms, keyId, keyVersionId)).toMatchObject({ usageCount: 10, rotationDue: true });
    const initial = keyMetadata.primaryKeyVersion;
    expect(await usage(kms, keyId, initial)).toMatchObject({ usageCount: 10, rotationDue: true });
    for (const call of [
      () => kms.encrypt({ keyId, plaintext }),
      () => kms.encryptSync({ keyId, plaintext }),
      () => kms.generateDataKey({ keyId }),
      () => kms.advanceEncrypt({ keyId, plaintext }),
    ]) {
      expect(await outcome(call)).toBe("Rejected.KeyExhausted");
    }
  });

  test("counts one use for every kind of call that seals, and none for the others", async () => {
    const kms = await openKms({ usageLimit: 1000 });
    const { keyId } = await kms.createKey();
    const { keyId: other } = await kms.createKey();
    const { keyId: rsa } = await kms.createKey({ keySpec: "RSA_2048" });
    const { publicKeyDer: publicKeyBlob } = await kms.getPublicKey({ keyId: rsa });
    const wrapping = { wrappingKeySpec: "RSA_2048", wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as const;
    const pair = { keyId, keyPairSpec: "EC_P256", keyFormat: "DER" } as const;
    const blob = (await kms.advanceEncrypt({ keyId: other, plaintext })).ciphertextBlob;
    const own = (await kms.advanceEncrypt({ keyId, plaintext })).ciphertextBlob;
    const detached = await kms.encrypt({ keyId, plaintext });
    const iv = detached.iv as Uint8Array;
    const calls: [number, () => unknown][] = [
      [1, () => kms.encrypt({ keyId, plaintext })],
      [1, () => kms.encryptSync({ keyId, plaintext })],
      [1, () => kms.advanceEncrypt({ keyId, plaintext })],
      [1, () => kms.advanceEncryptSync({ keyId, plaintext })],
      [1, () => kms.encrypt({ keyId, plaintext, iv: new Uint8Array(12) })],
      [1, () => kms.generateDataKey({ keyId })],
      [1, () => kms.generateDataKeySync({ keyId })],
      [1, () => kms.generateDataKeyWithoutPlaintext({ keyId })],
      [1, () => kms.advanceGenerateDataKey({ keyId })],
      [1, () => kms.advanceGenerateDataKeyWithoutPlaintext({ keyId })],
      [1, () => kms.generateDataKeyPair(pair)],
      [1, () => kms.advanceGenerateDataKeyPairWithoutPlaintext(pair)],
      [1, () => kms.generateAndExportDataKey({ keyId, publicKeyBlob, ...wrapping })],
      [1, () => kms.reEncrypt({ ciphertextBlob: blob, destinationKeyId: keyId })],
      [1, () => kms.reEncrypt({ ciphertextBlob: own, destinationAad: Uint8Array.of(1) })],
      [3, () => kms.encryptBatch([1, 2, 3].map(() => ({ keyId, plaintext })))],
      [2, () => kms.advanceEncryptBatch([1, 2].map(() => ({ keyId, plaintext })))],
      [2, () => kms.generateDataKeyBatch([{ keyId }, { keyId }])],
      [1, () => kms.reEncryptBatch([{ ciphertextBlob: blob, destinationKeyId: keyId }])],
      [0, () => kms.reEncrypt({ ciphertextBlob: own })],
      [0, () => kms.advanceDecrypt({ ciphertextBlob: own })],
      [0, () => kms.decrypt({ keyId, ciphertextBlob: detached.ciphertextBlob, iv })],
      [0, () => kms.exportDataKey({ ciphertextBlob: own, publicKeyBlob, ...wrapping })],
      [0, () => kms.describeKey({ keyId })],
    ];
    for (const [uses, call] of calls) {
      const before = (await count(kms, keyId)) ?? 0;
      await call();
      expect((await count(kms, keyId)) ?? 0, String(call)).toBe(before + uses);
    }
  });

  test("stops a batch at the limit, item by item", async () => {
    const kms = await openKms({ usageLimit: 10 });
    const { keyId } = await kms.createKey();
    const items = await kms.encryptBatch(Array.from({ length: 12 }, () => ({ keyId, plaintext })));
    expect(items.map((item) => (item.ok ? "ok" : item.error.code))).toEqual([
      ...Array.from({ length: 10 }, () => "ok"),
      "Rejected.KeyExhausted",
      "Rejected.KeyExhausted",
    ]);
  });
});

describe("keys that do not seal with AES-GCM", () => {
  test.each(["EC_P256", "HMAC_SHA_256"] as const)("have no count: %s", async (keySpec) => {
    const kms = await openKms({ usageLimit: 1 });
    const { keyId, keyMetadata } = await kms.createKey({ keySpec });
    expect(keyMetadata).not.toHaveProperty("usageCount");
    const version = await usage(kms, keyId, keyMetadata.primaryKeyVersion);
    expect(version).not.toHaveProperty("usageCount");
  });
});

test.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN, "10", null])("refuses a usageLimit of %s", async (limit) => {
  expect(await outcome(() => openKms({ usageLimit: limit as number }))).toBe("InvalidParameter");
});

describe("a restart", () => {
  test("after a clean close keeps the exact count of every version", async () => {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle() });
    const { keyId, keyMetadata } = await kms.createKey();
    for (let i = 0; i < 5; i++) await kms.encrypt({ keyId, plaintext });
    const { keyVersionId } = await kms.rotateKey({ keyId });
    for (let i = 0; i < 3; i++) await kms.advanceEncrypt({ keyId, plaintext });
    await kms.close();
    const later = await openKms({ store: rows.handle() });
    expect(await usage(later, keyId, keyMetadata.primaryKeyVersion)).toMatchObject({ usageCount: 5 });
    expect(await usage(later, keyId, keyVersionId)).toMatchObject({ usageCount: 3 });
  });

  test("after a crash counts the whole reserved block, so that no number is used twice", async () => {
    const limit = 2 ** 16;
    const block = 16;
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle(), usageLimit: limit });
    const { keyId } = await kms.createKey();
    let spent = 0;
    for (const uses of [1, block, 3 * block + 5]) {
      for (let i = 0; i < uses; i++) await kms.encrypt({ keyId, plaintext });
      spent += uses;
      const survivor = await openKms({ store: rows.copy().handle(), usageLimit: limit });
      const after = (await count(survivor, keyId)) ?? 0;
      expect(after).toBe(Math.ceil(spent / block) * block);
      await survivor.encrypt({ keyId, plaintext });
      expect(await count(survivor, keyId)).toBe(after + 1);
    }
  });

  test("in a row of crashes never passes the limit", async () => {
    const limit = 2 * 4096;
    const rows = new TestRows();
    let kms = await openKms({ store: rows.handle(), usageLimit: limit });
    const { keyId } = await kms.createKey();
    let uses = 0;
    for (let crashes = 0; crashes <= limit; crashes++) {
      if ((await outcome(() => kms.encrypt({ keyId, plaintext }))) !== "ok") break;
      uses += 1;
      if (crashes < 200) {
        kms = await openKms({ store: rows.handle(), usageLimit: limit });
      }
    }
    // Each crash lost the other use of its block of two.
    expect(uses).toBe(limit - 200);
    expect(await count(kms, keyId)).toBe(limit);
  }, 60_000);
});

describe("an asynchronous store", () => {
  /** Opens a Kms whose commits take a few milliseconds; every `failing`-th one fails. */
  async function slow(usageLimit: number, failing = 0): Promise<{ kms: Kms; keyId: string; rows: TestRows }> {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle(), usageLimit });
    const { keyId } = await kms.createKey();
    let commits = 0;
    rows.hooks.commit = async () => {
      commits += 1;
      const fails = failing !== 0 && commits % failing === 0;
      await sleep(commits % 3);
      if (fails) throw new KmsError("ServiceUnavailableTemporary", "The store is away.");
    };
    return { kms, keyId, rows };
  }

  test("is not overspent by concurrent calls", async () => {
    const { kms, keyId } = await slow(40);
    const calls = Array.from({ length: 60 }, (_, i) =>
      outcome(() => (i % 2 === 0 ? kms.encrypt({ keyId, plaintext }) : kms.generateDataKey({ keyId }))),
    );
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter((code) => code === "ok")).toHaveLength(40);
    expect(outcomes.filter((code) => code === "Rejected.KeyExhausted")).toHaveLength(20);
    expect(await count(kms, keyId)).toBe(40);
  });

  test("is not overspent with blocks of several uses, nor reused after a crash", async () => {
    const { kms, keyId, rows } = await slow(4096 * 7);
    await Promise.all(Array.from({ length: 50 }, () => kms.encrypt({ keyId, plaintext })));
    expect(await count(kms, keyId)).toBe(50);
    const survivor = await openKms({ store: rows.copy().handle(), usageLimit: 4096 * 7 });
    expect(await count(survivor, keyId)).toBe(56);
  });

  test("has a block before its first use: no call ends while the commit is under way", async () => {
    const { kms, keyId, rows } = await slow(4096 * 7);
    let release: () => void = () => undefined;
    rows.hooks.commit = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    let ended = 0;
    const calls = Array.from({ length: 5 }, async () => {
      await kms.encrypt({ keyId, plaintext });
      ended += 1;
    });
    await sleep(5);
    const endedEarly = ended;
    delete rows.hooks.commit;
    release();
    await Promise.all(calls);
    expect([endedEarly, ended]).toEqual([0, 5]);
  });

  test("asks again about the key once the wait is over", async () => {
    const { kms, keyId, rows } = await slow(4096 * 7);
    let release: () => void = () => undefined;
    rows.hooks.commit = (changes) =>
      changes.some(({ kind }) => kind === "usage")
        ? new Promise((resolve) => {
            release = resolve;
          })
        : undefined;
    const waiting = outcome(() => kms.encrypt({ keyId, plaintext }));
    await sleep(1);
    await kms.disableKey({ keyId });
    delete rows.hooks.commit;
    release();
    expect(await waiting).toBe("Rejected.Disabled");
  });

  test("that fails refuses the calls that waited for it, spends nothing, and serves the next ones", async () => {
    const { kms, keyId } = await slow(1000, 4);
    let sealed = 0;
    let failed = 0;
    for (let round = 0; round < 12; round++) {
      const outcomes = await Promise.all(
        Array.from({ length: 5 }, () => outcome(() => kms.advanceEncrypt({ keyId, plaintext }))),
      );
      sealed += outcomes.filter((code) => code === "ok").length;
      failed += outcomes.filter((code) => code === "ServiceUnavailableTemporary").length;
    }
    expect(sealed + failed).toBe(60);
    expect(failed).toBeGreaterThan(0);
    expect(await count(kms, keyId)).toBe(sealed);
  });

  test("that fails shows in the items of a batch and spoils no others", async () => {
    const { kms, keyId, rows } = await slow(1000);
    const { keyId: other } = await kms.createKey();
    const rejected = rows.hooks.commit as () => Promise<void>;
    let calls = 0;
    rows.hooks.commit = async () => {
      await rejected();
      calls += 1;
      if (calls === 2) throw new Error("odd failure");
    };
    const items = await kms.encryptBatch([
      { keyId, plaintext },
      { keyId: other, plaintext },
    ]);
    const codes = items.map((item) => (item.ok ? "ok" : item.error.code)).sort();
    expect(codes).toEqual(["InternalFailure", "ok"]);
  });

  test("makes sync twins refuse while a reservation is under way, and serve from one that is there", async () => {
    const { kms, keyId } = await slow(4096 * 3);
    expect(await outcome(() => kms.encryptSync({ keyId, plaintext }))).toBe("Rejected.UnsupportedOperation");
    await sleep(20);
    // The refused call reserved a block of three and spent nothing of it.
    expect(await count(kms, keyId)).toBe(0);
    expect(await outcome(() => kms.encryptSync({ keyId, plaintext }))).toBe("ok");
    expect(await outcome(() => kms.encryptSync({ keyId, plaintext }))).toBe("ok");
    expect(await outcome(() => kms.advanceEncryptSync({ keyId, plaintext }))).toBe("ok");
    expect(await count(kms, keyId)).toBe(3);
  });

  test("lets close wait for what is under way, or refuses it", async () => {
    const { kms, keyId, rows } = await slow(4096 * 5);
    const calls = Array.from({ length: 30 }, () => outcome(() => kms.encrypt({ keyId, plaintext })));
    const rotation = outcome(() => kms.rotateKey({ keyId }));
    await kms.close();
    const outcomes = await Promise.all(calls);
    const sealed = outcomes.filter((code) => code === "ok").length;
    expect(new Set(outcomes)).toEqual(new Set(["ok", "Rejected.Closed"]));
    expect(await rotation).toBe("ok");
    delete rows.hooks.commit;
    const later = await openKms({ store: rows.handle(), usageLimit: 4096 * 5 });
    const { keyVersions } = await later.listKeyVersions({ keyId });
    expect(keyVersions).toHaveLength(2);
    const initial = keyVersions[0]?.keyVersionId;
    // A call that was refused after it was counted lost its number.
    expect((await usage(later, keyId, initial)).usageCount).toBeGreaterThanOrEqual(sealed);
  });
});
