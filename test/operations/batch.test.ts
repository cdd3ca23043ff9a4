/** Batches: order, independence of items, limits, ownership of arguments, cancellation and the event loop. */

import { runInNewContext } from "node:vm";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type BatchItem, type Kms, KmsError, memoryStore } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned, utf8 } from "../support/kms.ts";

let kms: Kms;
let aes: string;
let aes128: string;
let rsaEncrypt: string;
let rsaSign: string;
let ec: string;
let hmac: string;
beforeAll(async () => {
  kms = await openKms();
  aes = await newKey(kms);
  aes128 = await newKey(kms, { keySpec: "Aliyun_AES_128" });
  rsaEncrypt = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
  rsaSign = await newKey(kms, { keySpec: "RSA_2048" });
  ec = await newKey(kms, { keySpec: "EC_P256" });
  hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Makes every batch of the test yield to the event loop before every item. */
function makeBatchesLong(): void {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 1000;
    return now;
  });
}

/** Gives the values of a batch in which no item may fail. */
function valuesOf<T>(items: readonly BatchItem<T>[]): T[] {
  return items.map((item) => {
    if (!item.ok) throw item.error;
    return item.value;
  });
}

const summary = (items: readonly BatchItem<unknown>[]): string[] =>
  items.map((item) => (item.ok ? "ok" : item.error.code));

describe.each([
  ["a short batch", () => undefined],
  ["a batch that yields", makeBatchesLong],
])("%s", (_, prepare) => {
  test("keeps the order of items over mixed keys, specs and sizes", async () => {
    prepare();
    const plaintexts = Array.from({ length: 60 }, (_, i) => patterned(1 + ((i * 37) % 180)));
    const keys = [aes, aes128, rsaEncrypt];
    const sealed = valuesOf(
      await kms.encryptBatch(plaintexts.map((plaintext, i) => ({ keyId: keys[i % 3] ?? "", plaintext }))),
    );
    expect(sealed.map(({ keyId }) => keyId)).toEqual(plaintexts.map((_, i) => keys[i % 3]));
    const opened = valuesOf(
      await kms.decryptBatch(sealed.map(({ keyId, ciphertextBlob, iv }) => ({ keyId, ciphertextBlob, iv }))),
    );
    expect(opened.map(({ plaintext }) => plaintext)).toEqual(plaintexts);

    const blobs = valuesOf(
      await kms.advanceEncryptBatch(
        plaintexts.map((plaintext, i) => ({ keyId: keys[i % 2] ?? "", plaintext })),
      ),
    );
    const moved = valuesOf(
      await kms.reEncryptBatch(
        blobs.map(({ ciphertextBlob }) => ({ ciphertextBlob, destinationKeyId: aes })),
      ),
    );
    const back = valuesOf(
      await kms.advanceDecryptBatch(moved.map(({ ciphertextBlob }) => ({ ciphertextBlob }))),
    );
    expect(back.map(({ plaintext }) => plaintext)).toEqual(plaintexts);
    expect(
      new Set([...sealed, ...opened, ...blobs, ...moved, ...back].map((answer) => answer.requestId)).size,
    ).toBe(300);
  });

  test("signs and authenticates in order", async () => {
    prepare();
    const messages = Array.from({ length: 20 }, (_, i) => patterned(i + 1));
    const keys = [rsaSign, ec];
    const requests = messages.map((message, i) => ({ keyId: keys[i % 2] ?? "", message }));
    const signatures = valuesOf(await kms.signBatch(requests));
    const right = requests.map((request, i) => ({
      ...request,
      signature: signatures[i]?.signature ?? patterned(1),
    }));
    const shifted = requests.map((request, i) => ({
      ...request,
      signature: signatures[(i + 2) % 20]?.signature ?? patterned(1),
    }));
    expect(valuesOf(await kms.verifyBatch(right)).every(({ value }) => value)).toBe(true);
    expect(valuesOf(await kms.verifyBatch(shifted)).some(({ value }) => value)).toBe(false);

    const macs = valuesOf(await kms.generateMacBatch(messages.map((message) => ({ keyId: hmac, message }))));
    const checks = messages.map((message, i) => ({
      keyId: hmac,
      message,
      mac: macs[i]?.mac ?? patterned(1),
    }));
    expect(valuesOf(await kms.verifyMacBatch(checks)).every(({ value }) => value)).toBe(true);
  });

  test("gives each item its own result: bad ones do not spoil the others", async () => {
    prepare();
    const good = { keyId: aes, plaintext: patterned(5) };
    const detached = patterned(4);
    structuredClone(detached, { transfer: [detached.buffer] });
    const requests = [
      good,
      { ...good, keyId: "key-00000000000000000000" },
      null,
      good,
      { ...good, plaintext: "text" },
      { ...good, plaintext: new Uint8Array(0) },
      { ...good, aads: patterned(1) },
      { ...good, keyId: ec },
      { ...good, plaintext: new Uint8Array(new SharedArrayBuffer(4)) },
      { ...good, plaintext: detached },
      { ...good, encryptionContext: { a: 1 } },
      undefined,
      [],
      good,
    ];
    const items = await kms.encryptBatch(requests as (typeof good)[]);
    const bad = "InvalidParameter";
    expect(summary(items)).toEqual([
      "ok",
      "Forbidden.KeyNotFound",
      bad,
      "ok",
      bad,
      "MissingParameter",
      bad,
      "Rejected.UnsupportedOperation",
      bad,
      bad,
      bad,
      bad,
      bad,
      "ok",
    ]);
    const ids = items.map((item) => (item.ok ? item.value.requestId : item.error.requestId));
    expect(ids.every((id) => id.length > 0) && new Set(ids).size === ids.length).toBe(true);
    const sparse = await kms.encryptBatch(new Array(2));
    expect(summary(sparse)).toEqual([bad, bad]);
  });

  test("opens what is good among what is not", async () => {
    prepare();
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId: aes, plaintext: patterned(5) });
    const items = await kms.advanceDecryptBatch([
      { ciphertextBlob },
      { ciphertextBlob: ciphertextBlob.slice(1) },
      { ciphertextBlob: new Uint8Array(0) },
      { ciphertextBlob, keyId: aes128 },
      { ciphertextBlob },
    ]);
    expect(summary(items)).toEqual([
      "ok",
      "InvalidCiphertext",
      "InvalidCiphertext",
      "InvalidCiphertext",
      "ok",
    ]);
  });

  test("sees arguments as they are when the call is made", async () => {
    prepare();
    const aad = patterned(8);
    const bare: Record<string, string> = Object.assign(Object.create(null), { a: "1" });
    const foreign = runInNewContext("({ a: '1' })") as Record<string, string>;
    const contexts = [{ a: "1" }, bare, foreign];
    const foreignBytes = runInNewContext("new Uint8Array(30)") as Uint8Array;
    foreignBytes.set(patterned(30));
    const plaintexts = [...Array.from({ length: 11 }, () => patterned(30)), foreignBytes];
    const requests = plaintexts.map((plaintext, i) => ({
      keyId: aes,
      plaintext,
      ...(i % 4 === 3 ? { aad } : { encryptionContext: contexts[i % 4] ?? {} }),
    }));
    const pending = kms.advanceEncryptBatch(requests);
    for (const bytes of [aad, ...plaintexts]) bytes.fill(0xee);
    for (const context of contexts) context.a = "2";
    for (const request of requests) Object.assign(request, { keyId: "key-00000000000000000000" });
    requests.splice(2);

    const sealed = valuesOf(await pending);
    expect(sealed).toHaveLength(12);
    for (const [i, { ciphertextBlob }] of sealed.entries()) {
      const binding = i % 4 === 3 ? { aad: patterned(8) } : { encryptionContext: { a: "1" } };
      expect((await kms.advanceDecrypt({ ciphertextBlob, ...binding })).plaintext).toEqual(patterned(30));
    }
  });

  test("treats unusual requests as single calls treat them", async () => {
    prepare();
    const plaintext = patterned(3);
    const hostile = { keyId: aes, plaintext };
    Object.defineProperty(hostile, "__proto__", { value: { aad: patterned(1) }, enumerable: true });
    class Request {
      readonly plaintext: Uint8Array = plaintext;
      get keyId(): string {
        return aes;
      }
    }
    const requests = [
      hostile,
      new Request(),
      Object.assign(Object.create({ keyId: aes }), { plaintext }),
      Object.assign(Object.create({ extra: 1 }), { keyId: aes, plaintext }),
      Object.assign(Object.create(null), { keyId: aes, plaintext }),
    ];
    const single = await Promise.all(
      requests.map(async (request) =>
        kms.encrypt(request).then(
          () => "ok",
          (error: KmsError) => error.code,
        ),
      ),
    );
    expect(single).toEqual(["InvalidParameter", "ok", "ok", "InvalidParameter", "ok"]);
    // The first item is never copied; the others are when the batch yields.
    const items = await kms.encryptBatch([{ keyId: aes, plaintext }, ...requests]);
    expect(summary(items)).toEqual(["ok", ...single]);
  });

  test("answers bytes that own their buffers", async () => {
    prepare();
    const blobs = valuesOf(
      await kms.advanceEncryptBatch([1, 2, 3].map(() => ({ keyId: aes, plaintext: patterned(40) }))),
    );
    const opened = valuesOf(
      await kms.advanceDecryptBatch(blobs.map(({ ciphertextBlob }) => ({ ciphertextBlob }))),
    );
    const keys = valuesOf(await kms.generateDataKeyBatch([1, 2, 3].map(() => ({ keyId: aes }))));
    for (const { plaintext } of [...opened, ...keys])
      expect(plaintext.buffer.byteLength).toBe(plaintext.length);
  });
});

describe("every kind of batch", () => {
  test("answers [] for [] and refuses what is no array", async () => {
    const methods = kms as unknown as Record<string, (requests: unknown) => Promise<unknown>>;
    const batches = Object.getOwnPropertyNames(Object.getPrototypeOf(Object.getPrototypeOf(kms))).filter(
      (name) => name.endsWith("Batch"),
    );
    expect(batches.sort()).toEqual(
      [
        "encrypt",
        "decrypt",
        "advanceEncrypt",
        "advanceDecrypt",
        "generateDataKey",
        "generateDataKeyWithoutPlaintext",
        "advanceGenerateDataKey",
        "advanceGenerateDataKeyWithoutPlaintext",
        "reEncrypt",
        "sign",
        "verify",
        "generateMac",
        "verifyMac",
      ]
        .map((name) => `${name}Batch`)
        .sort(),
    );
    for (const name of batches) {
      expect(await methods[name]?.([])).toEqual([]);
      for (const wrong of [undefined, null, {}, "x", { length: 1, 0: {} }, new Set()]) {
        const refusal = await expectRefusal(() => methods[name]?.(wrong), "InvalidParameter");
        expect(refusal.message).toContain("requests");
        expect(refusal.requestId).not.toBe("");
      }
    }
  });
});

describe("limits of a batch", () => {
  test("are 10,000 items", async () => {
    const item = { keyId: aes, plaintext: patterned(16) };
    const sealed = valuesOf(await kms.advanceEncryptBatch(new Array(10_000).fill(item)));
    expect(new Set(sealed.map(({ iv }) => Buffer.from(iv).toString("hex"))).size).toBe(10_000);
    const refusal = await expectRefusal(
      () => kms.advanceEncryptBatch(new Array(10_001).fill(item)),
      "Rejected.LimitExceeded",
    );
    expect(refusal.message).toContain("10000");
  });

  test("are 64 MiB over all byte fields", async () => {
    // One array in many items: the sum counts, not the memory.
    const mac = new Uint8Array(1024 * 1024);
    const item = { keyId: hmac, message: patterned(1), mac };
    const fits = Array.from({ length: 63 }, () => item);
    expect(valuesOf(await kms.verifyMacBatch(fits)).every(({ value }) => !value)).toBe(true);
    const last = { ...item, message: patterned(1024 * 1024 - 63), mac: new Uint8Array(0) };
    expect(valuesOf(await kms.verifyMacBatch([...fits, last]))).toHaveLength(64);
    const tooMuch = { ...last, message: patterned(1024 * 1024 - 62) };
    await expectRefusal(() => kms.verifyMacBatch([...fits, tooMuch]), "Rejected.LimitExceeded");
  });
});

describe("a long batch", () => {
  test("stops between items when its signal is aborted, with the signal's reason", async () => {
    const reason = new Error("enough");
    const requests = Array.from({ length: 50 }, () => ({ keyId: aes, plaintext: patterned(8) }));
    await expect(kms.encryptBatch(requests, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    makeBatchesLong();
    const controller = new AbortController();
    const { keyVersionId } = await kms.encrypt({ keyId: aes, plaintext: patterned(1) });
    const before = (await kms.describeKeyVersion({ keyId: aes, keyVersionId })).keyVersion.usageCount ?? 0;
    setImmediate(() => controller.abort(reason));
    await expect(kms.encryptBatch(requests, { signal: controller.signal })).rejects.toBe(reason);
    const after = (await kms.describeKeyVersion({ keyId: aes, keyVersionId })).keyVersion.usageCount ?? 0;
    expect(after - before).toBeLessThan(50);
  });

  test("lets the event loop run", async () => {
    const requests = Array.from({ length: 600 }, () => ({ keyId: rsaSign, message: patterned(64) }));
    let longest = 0;
    let turns = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      turns += 1;
    }, 1);
    const started = performance.now();
    const items = await kms.signBatch(requests);
    const took = performance.now() - started;
    clearInterval(beat);
    expect(valuesOf(items)).toHaveLength(600);
    expect(turns).toBeGreaterThan(took / 100);
    // Generous, for machines that are busy: without slices the batch holds the loop for all of its time.
    expect(longest).toBeLessThan(Math.max(60, took / 3));
  });

  test("ends its remaining items with Rejected.Closed when the Kms is closed under it", async () => {
    const closing = await openKms();
    const keyId = await newKey(closing);
    const signing = await newKey(closing, { keySpec: "EC_P256" });
    const { ciphertextBlob } = await closing.advanceEncrypt({ keyId, plaintext: patterned(9) });
    makeBatchesLong();
    const opening = closing.advanceDecryptBatch(Array.from({ length: 200 }, () => ({ ciphertextBlob })));
    const signatures = closing.signBatch(
      Array.from({ length: 200 }, () => ({ keyId: signing, message: patterned(9) })),
    );
    await closing.close();
    for (const items of [await opening, await signatures]) {
      const codes = summary(items as BatchItem<unknown>[]);
      expect(codes).toHaveLength(200);
      expect(codes.at(-1)).toBe("Rejected.Closed");
      expect(new Set(codes)).toEqual(
        new Set(["ok", "Rejected.Closed"].filter((code) => codes.includes(code))),
      );
    }
  });

  test("does not leave a failure of the store unhandled", async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", listener);
    try {
      const inner = memoryStore();
      let failing = false;
      const store = {
        persistent: false,
        open: () => inner.open(),
        purge: () => inner.purge(),
        close: () => inner.close(),
        commit: async (changes: Parameters<typeof inner.commit>[0]) => {
          if (failing) throw new KmsError("ServiceUnavailableTemporary", "The disk is full.");
          await inner.commit(changes);
        },
      };
      const slow = await openKms({ store });
      const keyId = await newKey(slow);
      const requests = Array.from({ length: 10 }, () => ({ keyId, plaintext: patterned(4) }));
      failing = true;
      makeBatchesLong();
      expect(new Set(summary(await slow.encryptBatch(requests)))).toEqual(
        new Set(["ServiceUnavailableTemporary"]),
      );
      failing = false;
      expect(summary(await slow.encryptBatch(requests))).toEqual(new Array(10).fill("ok"));
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", listener);
    }
  });
});

test("text of contexts is measured per item, not per batch", async () => {
  const encryptionContext = { a: "x".repeat(8000) };
  const items = await kms.advanceEncryptBatch(
    Array.from({ length: 20 }, () => ({ keyId: aes, plaintext: utf8("x"), encryptionContext })),
  );
  expect(summary(items)).toEqual(new Array(20).fill("ok"));
});
