/** Batches of Sign and Verify, which go to an engine many at a time: every item is answered as a single call is. */

import { createPublicKey, verify as nodeVerify, randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Together } from "../../src/engines/together.ts";
import { RandomPool } from "../../src/engines/wasm/ec-kernel.ts";
import { WasmEcdsa } from "../../src/engines/wasm/ecdsa.ts";
import { WasmRsa } from "../../src/engines/wasm/rsa.ts";
import { type BatchItem, type Kms, KmsError, type SignRequest, type VerifyRequest } from "../../src/index.ts";
import { SignatureStage } from "../../src/operations/signature-stage.ts";
import { newKey, openKms, patterned } from "../support/kms.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What an item or a single call came to, without what differs between any two calls. */
type Outcome = Record<string, unknown>;

const bare = (answer: object): Outcome => ({ ...answer, requestId: undefined });

async function outcomeOf(call: () => Promise<object>): Promise<Outcome> {
  try {
    return bare(await call());
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
}

const outcomes = (items: readonly BatchItem<object>[]): Outcome[] =>
  items.map((item) => (item.ok ? bare(item.value) : { code: item.error.code, message: item.error.message }));

/** Makes every random byte that the kernels are given the same, so that hedged nonces come again. */
function fixRandom(): void {
  vi.spyOn(RandomPool.prototype, "writeTo").mockImplementation((out, offset, length) => {
    out.fill(0x5a, offset, offset + length);
  });
}

const OPTIONS = [
  { engine: "auto" },
  { engine: "wasm", relaxedSimd: "off" },
  { engine: "wasm", relaxedSimd: "force" },
  { engine: "node" },
] as const;

describe.each(OPTIONS)("with %o", (options) => {
  let kms: Kms;
  let keys: string[];
  let rsa: string;
  beforeAll(async () => {
    kms = await openKms(options);
    keys = [];
    for (const keySpec of ["EC_P256", "EC_P256K", "EC_P256"] as const)
      keys.push(await newKey(kms, { keySpec }));
    rsa = await newKey(kms, { keySpec: "RSA_2048" });
    keys.push(rsa, "key-00000000000000000000");
    await kms.disableKey({ keyId: keys[2] ?? "" });
  });

  /** Requests to sign, good ones and bad ones of every kind. */
  const request = (): fc.Arbitrary<SignRequest> =>
    fc.record(
      {
        keyId: fc.integer({ min: 0, max: 5 }).map((i) => keys[i] ?? keys[0] ?? ""),
        message: fc.oneof(
          fc.uint8Array({ minLength: 32, maxLength: 32 }),
          fc.uint8Array({ minLength: 0, maxLength: 200 }),
        ),
        algorithm: fc.constantFrom(undefined, "ECDSA_SHA_256", "RSA_PKCS1_SHA_256"),
        messageType: fc.constantFrom(undefined, "RAW", "DIGEST"),
        signatureFormat: fc.constantFrom(undefined, undefined, "DER", "P1363"),
        lowS: fc.constantFrom(undefined, true, false),
      },
      { requiredKeys: ["keyId", "message"] },
    ) as fc.Arbitrary<SignRequest>;

  test("signatures and errors are those of single calls", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(request(), { minLength: 1, maxLength: 70 }), async (requests) => {
        const fixed = requests.filter(({ keyId, algorithm }) => keyId !== rsa || algorithm !== undefined);
        if (options.engine !== "node") fixRandom();
        const batch = outcomes(await kms.signBatch(fixed));
        const single: Outcome[] = [];
        for (const one of fixed) single.push(await outcomeOf(() => kms.sign(one)));
        vi.restoreAllMocks();
        if (options.engine === "node") for (const all of [batch, single]) dropSignatures(all);
        expect(batch).toEqual(single);
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });

  test("verdicts and errors are those of single calls", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(request(), fc.nat(99), fc.nat()), { minLength: 1, maxLength: 40 }),
        async (cases) => {
          const requests: VerifyRequest[] = [];
          for (const [one, kind, where] of cases) {
            const made = await kms.sign(one).catch(() => undefined);
            const signature = made?.signature ?? patterned(64);
            if (kind < 30)
              signature[where % signature.length] = (signature[where % signature.length] ?? 0) ^ 1;
            requests.push({ ...one, signature: kind < 40 ? signature.subarray(0, kind * 3) : signature });
          }
          const batch = outcomes(await kms.verifyBatch(requests));
          const single: Outcome[] = [];
          for (const one of requests) single.push(await outcomeOf(() => kms.verify(one)));
          expect(batch).toEqual(single);
        },
      ),
      { numRuns: 8, endOnFailure: true },
    );
  });

  test("each signature is that of its own message and key", async () => {
    const requests = Array.from({ length: 150 }, (_, i) => ({
      keyId: keys[i % 2] ?? "",
      message: randomBytes(1 + (i % 90)),
      lowS: i % 3 === 0,
    }));
    const items = await kms.signBatch(requests);
    const publicKeys = await Promise.all(
      keys.slice(0, 2).map(async (keyId) => createPublicKey((await kms.getPublicKey({ keyId })).publicKey)),
    );
    const verdicts = items.map((item, i) => {
      const key = publicKeys[i % 2];
      if (!item.ok || key === undefined) return false;
      return nodeVerify("sha256", requests[i]?.message ?? patterned(1), key, item.value.signature);
    });
    expect(verdicts).toEqual(requests.map(() => true));
  });

  test("each signature has a nonce of its own, though message and key be the same", async () => {
    const [keyId = ""] = keys;
    const same = { keyId, message: patterned(9), signatureFormat: "P1363" } as const;
    const items = await kms.signBatch(Array.from({ length: 4 }, () => same));
    const halves = items.map((item) =>
      item.ok ? Buffer.from(item.value.signature).toString("hex", 0, 32) : "",
    );
    expect(new Set(halves).size).toBe(4);
  });

  test("arguments count as they are when their item is read", async () => {
    const [keyId = ""] = keys;
    let reads = 0;
    const message = patterned(32);
    const messageType = options.engine === "node" ? "RAW" : "DIGEST";
    const requests = [
      { keyId, message, messageType } as const,
      {
        keyId,
        get message(): Uint8Array {
          // The first to read it is who counts the bytes of the batch.
          reads += 1;
          if (reads > 1) message.fill(0xee);
          return patterned(5);
        },
      },
    ];
    const [signed] = await kms.signBatch(requests);
    if (signed?.ok !== true) throw new Error("not signed");
    const { signature } = signed.value;
    const own = { keyId, message: patterned(32), messageType } as const;
    expect((await kms.verify({ ...own, signature })).value).toBe(true);
    const changed = signature.slice();
    reads = 0;
    const items = await kms.verifyBatch([
      { ...own, signature: changed },
      {
        ...own,
        get signature(): Uint8Array {
          reads += 1;
          if (reads > 1) changed.fill(0xee);
          return signature;
        },
      },
    ]);
    expect(outcomes(items).map(({ value }) => value)).toEqual([true, true]);
    expect([message[0], changed[0]]).toEqual([0xee, 0xee]);
  });
});

function dropSignatures(all: readonly Outcome[]): void {
  for (const outcome of all) if (outcome.signature !== undefined) outcome.signature = "made";
}

/** Spies on what the wasm engine is asked for, one by one and many at once. */
function spies<Names extends readonly string[]>(prototype: object, ...names: Names) {
  return names.map((name) => vi.spyOn(prototype as Record<string, () => unknown>, name));
}

const sizes = (spy: { readonly mock: { readonly calls: readonly unknown[][] } } | undefined): number[] =>
  spy?.mock.calls.map(([items]) => (items as unknown[]).length) ?? [];

describe("the wasm engine", () => {
  test("signs and verifies up to 64 items of a batch in one call for each curve and format", async () => {
    const kms = await openKms({ engine: "wasm" });
    const [first, second] = [
      await newKey(kms, { keySpec: "EC_P256" }),
      await newKey(kms, { keySpec: "EC_P256" }),
    ];
    const koblitz = await newKey(kms, { keySpec: "EC_P256K" });
    await kms.signBatch([first, second, koblitz].map((keyId) => ({ keyId, message: patterned(4) })));
    const [one, many, verifyOne, verifyMany] = spies(
      WasmEcdsa.prototype,
      "sign",
      "signBatch",
      "verify",
      "verifyBatch",
    );
    const requests = Array.from({ length: 70 }, (_, i) => ({
      keyId: i % 10 === 9 ? koblitz : i % 2 === 0 ? first : second,
      message: patterned(i + 1),
    }));
    // A batch that takes long is done in parts.
    vi.spyOn(performance, "now").mockReturnValue(0);
    const signed = await kms.signBatch(requests);
    const checks = requests.map((request, i) => {
      const item = signed[i];
      return { ...request, signature: item?.ok === true ? item.value.signature : patterned(1) };
    });
    expect((await kms.verifyBatch(checks)).every((item) => item.ok && item.value.value)).toBe(true);
    for (const spy of [many, verifyMany]) {
      expect(sizes(spy).every((size) => size <= 64)).toBe(true);
      expect(sizes(spy).reduce((sum, size) => sum + size, 0)).toBe(70);
      expect(sizes(spy).length).toBeLessThan(7);
    }
    expect([one?.mock.calls.length, verifyOne?.mock.calls.length]).toEqual([0, 0]);
  });

  test("verifies RSA batches of 16 and more where it has relaxed SIMD, and node:crypto the smaller ones", async () => {
    const kms = await openKms({ engine: "auto", relaxedSimd: "force" });
    const keyId = await newKey(kms, { keySpec: "RSA_2048" });
    const { signature } = await kms.sign({ keyId, message: patterned(9) });
    const check = { keyId, message: patterned(9), signature };
    const [many] = spies(WasmRsa.prototype, "verifyPssBatch");
    // A batch that takes long, as the first of a key may, is done in parts.
    vi.spyOn(performance, "now").mockReturnValue(0);
    for (const count of [15, 16]) {
      const requests = Array.from({ length: count }, () => check);
      expect((await kms.verifyBatch(requests)).every((item) => item.ok && item.value.value)).toBe(true);
    }
    expect(sizes(many)).toEqual([16]);
    const plain = await openKms({ engine: "node" });
    const other = await newKey(plain, { keySpec: "RSA_2048" });
    await plain.verifyBatch(Array.from({ length: 20 }, () => ({ ...check, keyId: other })));
    expect(sizes(many)).toEqual([16]);
  });

  test("tells the items of a refused call apart", async () => {
    const kms = await openKms({ engine: "wasm" });
    const [good, bad] = [
      await newKey(kms, { keySpec: "EC_P256" }),
      await newKey(kms, { keySpec: "EC_P256" }),
    ];
    const message = patterned(7);
    await kms.signBatch([good, bad].map((keyId) => ({ keyId, message })));
    const refusal = new KmsError("InvalidParameter", "The key handle is destroyed or not of this engine.");
    const [many, one] = spies(WasmEcdsa.prototype, "signBatch", "sign");
    many?.mockImplementationOnce(() => {
      throw refusal;
    });
    one?.mockImplementationOnce(() => {
      throw refusal;
    });
    const [first, second] = await kms.signBatch([bad, good].map((keyId) => ({ keyId, message })));
    expect(first?.ok === false && [first.error.code, first.error.requestId !== ""]).toEqual([
      "InvalidParameter",
      true,
    ]);
    expect(
      second?.ok === true &&
        (await kms.verify({ keyId: good, message, signature: second.value.signature })).value,
    ).toBe(true);
    many?.mockImplementationOnce(() => {
      throw new Error("broken");
    });
    await expect(kms.signBatch([{ keyId: good, message }])).rejects.toThrow("broken");
  });

  test("has made nothing that was still to come when a batch is aborted", async () => {
    const kms = await openKms({ engine: "wasm" });
    const keyId = await newKey(kms, { keySpec: "EC_P256" });
    await kms.sign({ keyId, message: patterned(1) });
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => {
      now += 1000;
      return now;
    });
    const [one, many] = spies(WasmEcdsa.prototype, "sign", "signBatch");
    const controller = new AbortController();
    const reason = new Error("enough");
    setImmediate(() => controller.abort(reason));
    const requests = Array.from({ length: 50 }, () => ({ keyId, message: patterned(8) }));
    await expect(kms.signBatch(requests, { signal: controller.signal })).rejects.toBe(reason);
    const made = sizes(many).reduce((sum, size) => sum + size, 0);
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(50);
    expect(one?.mock.calls.length).toBe(0);
  });

  test("serves a batch whose keys still have to be opened", async () => {
    const cryptoKey = await crypto.subtle.importKey("raw", new Uint8Array(patterned(32)), "HKDF", false, [
      "deriveBits",
    ]);
    const kms = await openKms({ rootKey: { cryptoKey }, engine: "wasm" });
    const keyId = await newKey(kms, { keySpec: "EC_P256K" });
    const requests = Array.from({ length: 5 }, (_, i) => ({ keyId, message: patterned(i + 1) }));
    for (let round = 0; round < 2; round++) {
      const pending = kms.signBatch(requests.map(({ message }) => ({ keyId, message: message.slice() })));
      const checks = (await pending).map((item, i) => ({
        keyId,
        message: patterned(i + 1),
        signature: item.ok ? item.value.signature : patterned(1),
      }));
      expect(outcomes(await kms.verifyBatch(checks)).map(({ value }) => value)).toEqual(
        checks.map(() => true),
      );
    }
  });
});

describe("a stage", () => {
  const item = () => ({ signable: patterned(32) });
  type Item = ReturnType<typeof item>;
  const work = (together: Together<Item, number>["together"]): Together<Item, number> => ({
    kind: "work",
    hash: () => patterned(32),
    together,
    alone: () => 1,
  });

  test("wipes digests once they are used, and when they never are", () => {
    const stage = new SignatureStage(3);
    const [used, dropped] = [item(), item()];
    const seen: number[] = [];
    const counting = work((items) => items.map(({ signable }) => signable[1] ?? 0));
    stage.add(counting, used, {}, (result) => seen.push(result));
    expect(seen).toEqual([]);
    stage.flush();
    expect(seen).toEqual([patterned(2)[1]]);
    stage.add(counting, dropped, {}, (result) => seen.push(result));
    stage.release();
    stage.flush();
    expect(seen).toHaveLength(1);
    for (const { signable } of [used, dropped]) expect(signable).toEqual(new Uint8Array(32));
  });

  test("does what it has when there are 64", () => {
    const stage = new SignatureStage(65);
    const sizes: number[] = [];
    const counting = work((items) => {
      sizes.push(items.length);
      return items.map(() => 0);
    });
    for (let i = 0; i < 65; i++) stage.add(counting, item(), {}, () => undefined);
    expect(sizes).toEqual([64]);
    stage.flush();
    expect(sizes).toEqual([64, 1]);
  });
});
