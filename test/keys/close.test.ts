/** Close: what is under way ends cleanly, what comes later is refused, and nothing is half done. */

import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Rsa } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { KmsError } from "../../src/errors.ts";
import { openKms, outcome } from "./support/kms.ts";
import { sleep, TestRows } from "./support/rows.ts";

const plaintext = new Uint8Array(16).fill(5);

test("later calls of every kind are Rejected.Closed, and closing again is no error", async () => {
  const kms = await openKms();
  const { keyId } = await kms.createKey();
  await Promise.all([kms.close(), kms.close()]);
  await kms.close();
  const calls = [
    () => kms.createKey(),
    () => kms.listKeys(),
    () => kms.describeKey({ keyId }),
    () => kms.encrypt({ keyId, plaintext }),
    () => kms.encryptSync({ keyId, plaintext }),
    () => kms.encryptBatch([{ keyId, plaintext }]),
    () => kms.generateRandom({ length: 1 }),
    () => kms.rotateKey({ keyId }),
    () => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 }),
  ];
  for (const call of calls) expect(await outcome(call)).toBe("Rejected.Closed");
});

test("await using closes", async () => {
  const rows = new TestRows();
  const kms = await openKms({ store: rows.handle() });
  await kms[Symbol.asyncDispose]();
  expect(await outcome(() => kms.listKeys())).toBe("Rejected.Closed");
});

describe("a close in the middle of a batch", () => {
  test.each(["decryptBatch", "advanceDecryptBatch", "encryptBatch", "signBatch"] as const)(
    "lets items of %s end well or with Rejected.Closed",
    async (method) => {
      const kms = await openKms();
      const { keyId } = await kms.createKey();
      const { keyId: ec } = await kms.createKey({ keySpec: "EC_P256" });
      const size = 4096;
      const text = new Uint8Array(size);
      const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext: text });
      const { ciphertextBlob: blob } = await kms.advanceEncrypt({ keyId, plaintext: text });
      const many = <T>(request: T): T[] => Array.from({ length: 8000 }, () => request);
      const batches = {
        decryptBatch: () => kms.decryptBatch(many({ keyId, ciphertextBlob, iv: iv as Uint8Array })),
        advanceDecryptBatch: () => kms.advanceDecryptBatch(many({ ciphertextBlob: blob })),
        encryptBatch: () => kms.encryptBatch(many({ keyId, plaintext: text })),
        signBatch: () => kms.signBatch(many({ keyId: ec, message: plaintext })),
      };
      const batch = batches[method]();
      await new Promise((resolve) => setImmediate(resolve));
      await kms.close();
      const codes = (await batch).map((item) => (item.ok ? "ok" : item.error.code));
      expect(codes).toHaveLength(8000);
      expect(codes[0]).toBe("ok");
      expect(new Set(codes)).toEqual(new Set(["ok", "Rejected.Closed"]));
    },
  );
});

test("a close during the generation of a key refuses it, stores nothing of it and wipes the material", async () => {
  const exports = vi.spyOn(Object.getPrototypeOf(createNodeEngine().rsa) as Rsa, "exportPkcs8");
  onTestFinished(() => exports.mockRestore());
  const rows = new TestRows();
  const kms = await openKms({ store: rows.handle() });
  const created = outcome(() => kms.createKey({ keySpec: "RSA_3072" }));
  await kms.close();
  expect(await created).toBe("Rejected.Closed");
  expect([rows.count("key"), rows.count("version")]).toEqual([0, 0]);
  const materials = exports.mock.results.map((result) => result.value as Uint8Array);
  expect(materials).toHaveLength(1);
  for (const material of materials) expect(material.every((byte) => byte === 0)).toBe(true);
});

test("a close waits for changes of keys that were asked for before it", async () => {
  const rows = new TestRows();
  const kms = await openKms({ store: rows.handle() });
  const { keyId } = await kms.createKey();
  rows.hooks.commit = () => sleep(5);
  const changes = [
    outcome(() => kms.rotateKey({ keyId })),
    outcome(() => kms.createAlias({ aliasName: "alias/a", keyId })),
    outcome(() => kms.disableKey({ keyId })),
  ];
  await kms.close();
  expect(await Promise.all(changes)).toEqual(["ok", "ok", "ok"]);
  delete rows.hooks.commit;
  const later = await openKms({ store: rows.handle() });
  const { keyMetadata } = await later.describeKey({ keyId: "alias/a" });
  expect(keyMetadata.keyState).toBe("Disabled");
  expect((await later.listKeyVersions({ keyId })).totalCount).toBe(2);
});

test("a close that cannot store the counts says so; the reservation stands", async () => {
  const rows = new TestRows();
  const usageLimit = 4096 * 8;
  const kms = await openKms({ store: rows.handle(), usageLimit });
  const { keyId } = await kms.createKey();
  await kms.encrypt({ keyId, plaintext });
  rows.hooks.commit = () => {
    throw new KmsError("ServiceUnavailableTemporary", "The store is away.");
  };
  expect(await outcome(() => kms.close())).toBe("ServiceUnavailableTemporary");
  delete rows.hooks.commit;
  const later = await openKms({ store: rows.handle(), usageLimit });
  expect((await later.describeKey({ keyId })).keyMetadata.usageCount).toBe(8);
});
