/** What holds for every answer: sync twins agree with the async calls, request ids differ, buffers are owned, a closed Kms refuses. */

import { beforeAll, describe, expect, test } from "vitest";
import { Kms, KmsError, memoryStore } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const TWINS = [
  "encrypt",
  "decrypt",
  "advanceEncrypt",
  "advanceDecrypt",
  "generateDataKey",
  "advanceGenerateDataKey",
] as const;
type Call = (request: unknown) => unknown;

let kms: Kms;
let aes: string;
let rsa: string;
let ec: string;
let hmac: string;
let disabled: string;
beforeAll(async () => {
  kms = await openKms();
  aes = await newKey(kms);
  rsa = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
  ec = await newKey(kms, { keySpec: "EC_P256" });
  hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
  disabled = await newKey(kms);
  await kms.disableKey({ keyId: disabled });
});

const methodsOf = (of: Kms): Record<string, Call> => of as unknown as Record<string, Call>;
const call = async (name: string, request: unknown): Promise<unknown> =>
  methodsOf(kms)[name]?.call(kms, request);

/** Makes a call and describes its outcome without what is random. */
async function outcomeOf(name: string, request: unknown): Promise<object> {
  try {
    const answer = (await call(name, request)) as Record<string, unknown>;
    expect(answer.requestId).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
    const shape = Object.entries(answer).map(([field, value]) => {
      if (value instanceof Uint8Array) return [field, `${value.constructor.name} of ${value.length}`];
      return [field, field === "requestId" ? "" : value];
    });
    return Object.fromEntries(shape);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(error.requestId).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
    return { code: error.code, message: error.message, httpStatus: error.httpStatus };
  }
}

describe("sync twins", () => {
  test("exist for exactly the calls of hot loops", () => {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(Kms.prototype));
    expect(names.filter((name) => name.endsWith("Sync")).sort()).toEqual(
      TWINS.map((name) => `${name}Sync`).sort(),
    );
  });

  test.each(TWINS)("of %s answer and refuse as the async call does", async (name) => {
    const plaintext = patterned(33);
    const detached = await kms.encrypt({ keyId: aes, plaintext });
    const oaep = await kms.encrypt({ keyId: rsa, plaintext });
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId: aes, plaintext, aad: patterned(3) });
    const keyIds = [aes, rsa, ec, hmac, disabled, "key-00000000000000000000", "", undefined, 7];
    const requests: unknown[] = [
      undefined,
      null,
      {},
      { keyId: aes, extra: 1 },
      { keyId: aes, plaintext: "text" },
    ];
    for (const keyId of keyIds) {
      requests.push(
        { keyId },
        { keyId, plaintext },
        { keyId, numberOfBytes: 7 },
        { keyId, plaintext, iv: patterned(12), aad: patterned(9) },
      );
      requests.push({ keyId, ciphertextBlob: detached.ciphertextBlob, iv: detached.iv });
      requests.push(
        { keyId, ciphertextBlob: oaep.ciphertextBlob },
        { keyId, ciphertextBlob, aad: patterned(3) },
        { keyId, ciphertextBlob },
      );
      requests.push(
        { keyId, plaintext, encryptionContext: { a: 1 } },
        { keyId, plaintext: new Uint8Array(0) },
      );
    }
    let answered = 0;
    for (const request of requests) {
      const [later, now] = [await outcomeOf(name, request), await outcomeOf(`${name}Sync`, request)];
      expect(now).toEqual(later);
      if (!("code" in now)) answered += 1;
    }
    expect(answered).toBeGreaterThan(0);
  });

  test("throw, and do not reject", () => {
    expect(() => kms.encryptSync({ keyId: "key-00000000000000000000", plaintext: patterned(1) })).toThrow(
      KmsError,
    );
    const sealed = kms.advanceEncryptSync({ keyId: aes, plaintext: patterned(5) });
    expect(kms.advanceDecryptSync({ ciphertextBlob: sealed.ciphertextBlob }).plaintext).toEqual(patterned(5));
    const detached = kms.encryptSync({ keyId: aes, plaintext: patterned(5) });
    const { ciphertextBlob, iv } = detached;
    expect(kms.decryptSync({ keyId: aes, ciphertextBlob, iv }).plaintext).toEqual(patterned(5));
    expect(kms.generateDataKeySync({ keyId: aes }).plaintext).toHaveLength(32);
    expect(kms.advanceGenerateDataKeySync({ keyId: aes, keySpec: "AES_128" }).plaintext).toHaveLength(16);
  });

  test("say so when the store has to be waited for, and work once uses are reserved", async () => {
    const inner = memoryStore();
    const store = {
      persistent: false,
      open: () => inner.open(),
      commit: async (changes: Parameters<typeof inner.commit>[0]) => inner.commit(changes),
      purge: () => inner.purge(),
      close: () => inner.close(),
    };
    const slow = await openKms({ store });
    const keyId = await newKey(slow);
    const request = { keyId, plaintext: patterned(4) };
    const refusal = await expectRefusal(() => slow.encryptSync(request), "Rejected.UnsupportedOperation");
    expect(refusal.requestId).not.toBe("");
    await slow.encrypt(request);
    // A refused call spends no use: the key has been used once.
    expect((await slow.describeKey({ keyId })).keyMetadata.usageCount).toBe(1);
    const { ciphertextBlob, iv } = slow.encryptSync(request);
    expect(slow.decryptSync({ keyId, ciphertextBlob, iv }).plaintext).toEqual(patterned(4));
  });

  test("of a store that is waited for, arguments may be changed after the call", async () => {
    const inner = memoryStore();
    const store = {
      persistent: false,
      open: () => inner.open(),
      commit: async (changes: Parameters<typeof inner.commit>[0]) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        await inner.commit(changes);
      },
      purge: () => inner.purge(),
      close: () => inner.close(),
    };
    const slow = await openKms({ store });
    const keyId = await newKey(slow);
    const [plaintext, aad, iv] = [patterned(20), patterned(6), patterned(12)];
    const pending = slow.advanceEncrypt({ keyId, plaintext, aad, iv });
    for (const bytes of [plaintext, aad, iv]) bytes.fill(0xee);
    const { ciphertextBlob } = await pending;
    expect((await slow.advanceDecrypt({ ciphertextBlob, aad: patterned(6) })).plaintext).toEqual(
      patterned(20),
    );
    expect(ciphertextBlob.subarray(24, 36)).toEqual(patterned(12));
  });
});

/** Calls every kind of operation once and gives the answers. */
async function answersOf(of: Kms): Promise<Record<string, unknown>[]> {
  const keyId = await newKey(of);
  const pairId = await newKey(of, { keySpec: "EC_P256K" });
  const macId = await newKey(of, { keySpec: "HMAC_SHA_384" });
  const wrapId = await newKey(of, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
  const plaintext = patterned(48);
  const detached = await of.encrypt({ keyId, plaintext });
  const blob = await of.advanceEncrypt({ keyId, plaintext });
  const { ciphertextBlob } = blob;
  const oaep = await of.encrypt({ keyId: wrapId, plaintext });
  const publicKey = await of.getPublicKey({ keyId: wrapId });
  const wrapping = {
    publicKeyBlob: publicKey.publicKeyDer,
    wrappingKeySpec: "RSA_2048",
    wrappingAlgorithm: "RSAES_OAEP_SHA_1",
  } as const;
  const signed = await of.sign({ keyId: pairId, message: plaintext });
  const answers: object[] = [
    detached,
    blob,
    oaep,
    publicKey,
    signed,
    await of.decrypt({ keyId, ciphertextBlob: detached.ciphertextBlob, iv: detached.iv }),
    await of.decrypt({ keyId: wrapId, ciphertextBlob: oaep.ciphertextBlob }),
    await of.advanceDecrypt({ ciphertextBlob }),
    await of.generateDataKey({ keyId }),
    await of.generateDataKeyWithoutPlaintext({ keyId }),
    await of.advanceGenerateDataKey({ keyId }),
    await of.advanceGenerateDataKeyWithoutPlaintext({ keyId }),
    await of.generateDataKeyPair({ keyId, keyPairSpec: "EC_P256", keyFormat: "DER" }),
    await of.generateDataKeyPair({ keyId, keyPairSpec: "EC_P256", keyFormat: "PEM" }),
    await of.advanceGenerateDataKeyPair({ keyId, keyPairSpec: "EC_P256K" }),
    await of.reEncrypt({ ciphertextBlob }),
    await of.reEncrypt({ ciphertextBlob, destinationAad: patterned(1) }),
    await of.generateAndExportDataKey({ keyId, ...wrapping }),
    await of.exportDataKey({ ciphertextBlob, ...wrapping }),
    await of.verify({ keyId: pairId, message: plaintext, signature: signed.signature }),
    await of.generateMac({ keyId: macId, message: plaintext }),
    await of.generateRandom({ length: 40 }),
    await of.inspect({ ciphertextBlob }),
  ];
  return answers as Record<string, unknown>[];
}

/** Ciphertext may lie in a block with other ciphertext, and the iv of a blob in the blob. */
const MAY_BE_VIEWS: readonly string[] = ["ciphertextBlob", "privateKeyCiphertextBlob", "iv"];

test("answers have request ids of their own, and all but ciphertext owns its buffer", async () => {
  const answers = await answersOf(kms);
  expect(new Set(answers.map((answer) => answer.requestId)).size).toBe(answers.length);
  for (const answer of answers) {
    for (const [field, value] of Object.entries(answer)) {
      if (!(value instanceof Uint8Array)) continue;
      expect(Object.getPrototypeOf(value), field).toBe(Uint8Array.prototype);
      if (MAY_BE_VIEWS.includes(field)) continue;
      expect(value.byteOffset, field).toBe(0);
      expect(value.buffer.byteLength, field).toBe(value.length);
    }
  }
});

test("what an answer holds may be changed without an effect on later calls", async () => {
  const first = await kms.advanceEncrypt({ keyId: aes, plaintext: patterned(8) });
  const kept = Uint8Array.from(first.ciphertextBlob);
  const opened = await kms.advanceDecrypt({ ciphertextBlob: first.ciphertextBlob });
  opened.plaintext.fill(0);
  first.ciphertextBlob.fill(0);
  first.iv.fill(0);
  expect((await kms.advanceDecrypt({ ciphertextBlob: kept })).plaintext).toEqual(patterned(8));
  const der = (await kms.getPublicKey({ keyId: ec })).publicKeyDer;
  der.fill(0);
  expect((await kms.getPublicKey({ keyId: ec })).publicKeyDer[0]).toBe(0x30);
});

test("two Kms share no request ids", async () => {
  const other = await openKms();
  const [a, b] = [await kms.generateRandom({ length: 1 }), await other.generateRandom({ length: 1 })];
  expect(a.requestId.slice(0, 16)).not.toBe(b.requestId.slice(0, 16));
});

describe("a closed Kms", () => {
  test("refuses every call, sync and in batches too, with Rejected.Closed", async () => {
    const closed = await Kms.open();
    await closed.close();
    await closed.close();
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(Kms.prototype)).filter(
      (name) => name !== "constructor" && name !== "close" && name !== "engine",
    );
    expect(names.length).toBeGreaterThan(50);
    for (const name of names) {
      const refusal = await expectRefusal(
        async () => methodsOf(closed)[name]?.call(closed, name.endsWith("Batch") ? [] : {}),
        "Rejected.Closed",
      );
      expect([refusal.httpStatus, refusal.requestId.length > 0]).toEqual([409, true]);
    }
  });

  test("refuses calls made while it closes", async () => {
    const closing = await Kms.open();
    const keyId = await newKey(closing);
    const done = closing.close();
    await expectRefusal(() => closing.encrypt({ keyId, plaintext: patterned(1) }), "Rejected.Closed");
    await done;
  });

  test("is what disposal leaves behind", async () => {
    const disposed = await Kms.open();
    await disposed[Symbol.asyncDispose]();
    await expectRefusal(() => disposed.listKeys(), "Rejected.Closed");
  });
});

test("an aborted signal stops a call before it starts", async () => {
  const reason = { why: "test" };
  await expect(
    kms.encrypt({ keyId: aes, plaintext: patterned(1) }, { signal: AbortSignal.abort(reason) }),
  ).rejects.toBe(reason);
});

test("ciphertexts of one block neither overlap nor can be transferred away", async () => {
  const blobs = await Promise.all(
    Array.from({ length: 200 }, () => kms.advanceEncrypt({ keyId: aes, plaintext: patterned(8) })),
  );
  const ranges = blobs.map(({ ciphertextBlob: { buffer, byteOffset, byteLength } }) => ({
    buffer,
    start: byteOffset,
    end: byteOffset + byteLength,
  }));
  for (const [i, a] of ranges.entries()) {
    for (const b of ranges.slice(i + 1)) {
      expect(a.buffer !== b.buffer || a.end <= b.start || b.end <= a.start).toBe(true);
    }
  }
  const { buffer } = blobs[0]?.ciphertextBlob ?? new Uint8Array(0);
  try {
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  } catch {
    // Newer Nodes refuse; older ones clone instead. Either way the bytes stay.
  }
  expect(buffer.byteLength).toBeGreaterThan(0);
});
