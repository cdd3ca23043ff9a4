/** A Kms with a named engine: it serves alone, or not at all. */

import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { type Kms, memoryStore } from "../../src/index.ts";
import { editableStore } from "../support/editable-store.ts";
import { codeOfCall, expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const SPECS = ["Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128"] as const;
const SIZES = [1, 15, 16, 17, 1000, 65_536, 70_001, 1_048_577];
const rootKey = { bytes: patterned(32) };

describe.each(["auto", "node", "wasm"] as const)("engine %s", (engine) => {
  let kms: Kms;
  beforeAll(async () => {
    kms = await openKms({ engine });
  });

  test.each(SPECS)("seals and opens under %s at every size", async (keySpec) => {
    const keyId = await newKey(kms, { keySpec });
    for (const size of SIZES) {
      const plaintext = patterned(size);
      const encryptionContext = { size: String(size) };
      const detached = await kms.encrypt({ keyId, plaintext, encryptionContext });
      const { ciphertextBlob, iv } = detached;
      const opened = await kms.decrypt({ keyId, ciphertextBlob, iv, encryptionContext });
      const blob = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
      const advance = await kms.advanceDecrypt({ ciphertextBlob: blob.ciphertextBlob, encryptionContext });
      for (const bytes of [opened.plaintext, advance.plaintext]) {
        expect(Buffer.compare(bytes, plaintext)).toBe(0);
        expect(bytes.buffer.byteLength).toBe(size);
      }
      ciphertextBlob[size >> 1] = (ciphertextBlob[size >> 1] ?? 0) ^ 1;
      await expectRefusal(
        () => kms.decrypt({ keyId, ciphertextBlob, iv, encryptionContext }),
        "InvalidCiphertext",
      );
    }
  });

  test("serves batches, data keys, rotation and re-encryption", async () => {
    const keyId = await newKey(kms);
    const items = await kms.advanceEncryptBatch(
      [1, 40, 5000].map((size) => ({ keyId, plaintext: patterned(size) })),
    );
    await kms.rotateKey({ keyId });
    for (const [i, item] of items.entries()) {
      if (!item.ok) throw item.error;
      const moved = await kms.reEncrypt({ ciphertextBlob: item.value.ciphertextBlob });
      expect(moved.changed).toBe(true);
      const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob: moved.ciphertextBlob });
      expect(plaintext).toHaveLength([1, 40, 5000][i] ?? 0);
    }
    const made = await kms.advanceGenerateDataKey({ keyId });
    expect((await kms.advanceDecrypt({ ciphertextBlob: made.ciphertextBlob })).plaintext).toEqual(
      made.plaintext,
    );
  });

  test("leaves a store that every other engine opens", async () => {
    for (const other of ["auto", "node", "wasm"] as const) {
      const store = editableStore({ persistent: true });
      const first = await openKms({ engine, store, rootKey });
      const keyId = await newKey(first);
      const { ciphertextBlob } = await first.advanceEncrypt({ keyId, plaintext: patterned(99) });
      await first.close();
      const second = await openKms({ engine: other, store, rootKey });
      expect((await second.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(patterned(99));
      await second.close();
    }
  });
});

describe("engine wasm alone", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Which primitives the wasm engine serves; what it does not must be refused, never done by node. */
  const wasm = createWasmEngine();
  const codeFor = (primitive: "rsa" | "ecdsa" | "hmac"): string =>
    wasm[primitive] === undefined ? "Rejected.UnsupportedOperation" : "none";

  test("never turns to node to make a key that it does not serve", async () => {
    const kms = await openKms({ engine: "wasm" });
    const keyId = await newKey(kms);
    const specs = [
      ["RSA_2048", "rsa"],
      ["EC_P256", "ecdsa"],
      ["EC_P256K", "ecdsa"],
      ["HMAC_SHA_256", "hmac"],
      ["HMAC_SHA_512", "hmac"],
    ] as const;
    let made = 1;
    for (const [keySpec, primitive] of specs) {
      expect([keySpec, await codeOfCall(() => kms.createKey({ keySpec }))]).toEqual([
        keySpec,
        codeFor(primitive),
      ]);
      if (codeFor(primitive) === "none") made += 1;
      if (primitive === "hmac") continue;
      const code = await codeOfCall(() =>
        kms.generateDataKeyPair({ keyId, keyPairSpec: keySpec as "RSA_2048" }),
      );
      expect([keySpec, code]).toEqual([keySpec, codeFor(primitive)]);
    }
    expect((await kms.listKeys()).totalCount).toBe(made);
  });

  test("refuses keys of a store that it cannot serve, and serves the others", async () => {
    const store = editableStore({ persistent: true });
    const full = await openKms({ engine: "node", store, rootKey });
    const aes = await newKey(full);
    const rsa = await newKey(full, { keySpec: "RSA_2048" });
    const rsaEncrypt = await newKey(full, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
    const ec = await newKey(full, { keySpec: "EC_P256" });
    const hmac = await newKey(full, { keySpec: "HMAC_SHA_256" });
    await full.close();

    const kms = await openKms({ engine: "wasm", store, rootKey });
    const message = patterned(9);
    const signature = patterned(64);
    const calls: ["rsa" | "ecdsa" | "hmac", () => Promise<unknown>][] = [
      ["rsa", () => kms.sign({ keyId: rsa, message })],
      ["rsa", () => kms.verify({ keyId: rsa, message, signature })],
      ["rsa", () => kms.encrypt({ keyId: rsaEncrypt, plaintext: message })],
      ["rsa", () => kms.getPublicKey({ keyId: rsa })],
      ["ecdsa", () => kms.sign({ keyId: ec, message })],
      ["ecdsa", () => kms.verify({ keyId: ec, message, signature })],
      ["ecdsa", () => kms.getPublicKey({ keyId: ec })],
      ["hmac", () => kms.generateMac({ keyId: hmac, message })],
      ["hmac", () => kms.verifyMac({ keyId: hmac, message, mac: signature })],
    ];
    for (const [i, [primitive, call]] of calls.entries()) {
      expect([i, await codeOfCall(call)]).toEqual([i, codeFor(primitive)]);
    }
    expect((await kms.encrypt({ keyId: aes, plaintext: message })).keyId).toBe(aes);
    expect((await kms.describeKey({ keyId: rsa })).keyMetadata.keySpec).toBe("RSA_2048");
  });

  test("does its AES-GCM without one call into the node engine's", async () => {
    // The engines are the realm's own, so a spy on the prototype of node's AES-GCM sees every use of it.
    const node = createNodeEngine();
    const methods = Object.getPrototypeOf(node.aesGcm) as Record<string, () => unknown>;
    const names = Object.getOwnPropertyNames(methods).filter(
      (name) => name !== "constructor" && typeof methods[name] === "function",
    );
    node.close();
    const spies = names.map((name) => vi.spyOn(methods, name));
    const use = async (engine: "node" | "wasm"): Promise<number> => {
      const kms = await openKms({ engine });
      const keyId = await newKey(kms);
      for (const size of SIZES) {
        const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: patterned(size) });
        await kms.advanceDecrypt({ ciphertextBlob });
      }
      const calls = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
      for (const spy of spies) spy.mockClear();
      return calls;
    };
    expect(await use("node")).toBeGreaterThan(0);
    expect(await use("wasm")).toBe(0);
  });
});

test("options that are unknown or wrong are refused by name", async () => {
  const bad: Record<string, unknown>[] = [
    { engine: "webassembly" },
    { engine: null },
    { relaxedSimd: "on" },
    { limits: "none" },
    { region: 7 },
    { region: "" },
    { accountId: 0 },
    { usageLimit: 0 },
    { usageLimit: 2 ** 32 + 1 },
    { usageLimit: "7" },
    { aadFraming: "raw" },
    { contextEncoding: "json" },
    { clock: 7 },
    { store: {} },
    { rootkey: rootKey },
  ];
  for (const options of bad) {
    const [name = ""] = Object.keys(options);
    const refused = openKms(options as object).then(
      () => "opened",
      (error: { code: string; message: string }) => error,
    );
    expect(await refused).toMatchObject({ message: expect.stringContaining(name) });
    expect((await refused) as object).toMatchObject({
      code: expect.stringMatching(/^(InvalidParameter|MissingParameter)$/),
    });
  }
});

test.each(["auto", "off", "force"] as const)(
  "relaxedSimd %s opens what the other builds sealed",
  async (relaxedSimd) => {
    const store = memoryStore();
    const first = await openKms({ store, rootKey, engine: "node" });
    const { keyId } = await first.createKey();
    const plaintext = patterned(500);
    const { ciphertextBlob } = await first.advanceEncrypt({ keyId, plaintext });
    await first.close();

    const second = await openKms({ store, rootKey, engine: "wasm", relaxedSimd });
    expect((await second.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
    await second.close();
  },
);
