/** What callers do to their own arrays and objects while or right after a call must not change what the call does. */

import { describe, expect, test } from "vitest";
import { loadEngine } from "../../src/engine.ts";
import { ContextCache, encodeContext } from "../../src/envelope/encryption-context.ts";
import { FrameScratch } from "../../src/envelope/frame-scratch.ts";
import { Kms, memoryStore } from "../../src/index.ts";

const refused = (code: string) => expect.objectContaining({ code });

async function aesGcm(name: "wasm" | "node") {
  const { aesGcm: gcm } = await loadEngine(name);
  if (gcm === undefined) throw new Error(`the ${name} engine has no AES-GCM`);
  return gcm;
}

describe("a root key", () => {
  test.each(["bytes", "passphrase"] as const)(
    "given as %s may be wiped once Kms.open has returned its promise",
    async (kind) => {
      const store = memoryStore();
      const secret = new Uint8Array(32).fill(0x61);
      const opening = Kms.open({ store, rootKey: { [kind]: secret } as { bytes: Uint8Array } });
      secret.fill(0);
      await (await opening).close();
      const zeros = { [kind]: new Uint8Array(32) } as { bytes: Uint8Array };
      await expect(Kms.open({ store, rootKey: zeros })).rejects.toEqual(refused("InvalidRootKey"));
      const right = { [kind]: new Uint8Array(32).fill(0x61) } as { bytes: Uint8Array };
      await (await Kms.open({ store, rootKey: right })).close();
    },
  );

  test("with a lone surrogate in its passphrase is refused", async () => {
    await expect(Kms.open({ rootKey: { passphrase: "a\ud800" } })).rejects.toEqual(
      refused("InvalidParameter"),
    );
  });
});

describe.each(["wasm", "node"] as const)("the %s engine", (name) => {
  test("seals nothing under a key that is destroyed while a batch is read", async () => {
    const gcm = await aesGcm(name);
    const [key, other] = [
      gcm.importKey(new Uint8Array(16).fill(1)),
      gcm.importKey(new Uint8Array(16).fill(2)),
    ];
    const iv = new Uint8Array(12);
    const plaintext = new Uint8Array(20);
    const destroying = {
      key: other,
      iv,
      get plaintext(): Uint8Array {
        key.destroy();
        return plaintext;
      },
    };
    let sealed: Uint8Array[] = [];
    try {
      sealed = gcm.sealBatch(undefined, [{ key, iv, plaintext }, destroying]);
    } catch (error) {
      expect(error).toEqual(refused("InvalidParameter"));
    }
    const zeroKey = gcm.importKey(new Uint8Array(16));
    for (const each of sealed) expect(gcm.open(zeroKey, iv, each)).toBeUndefined();
  });

  test("refuses an aad that was transferred away since its last use", async () => {
    const gcm = await aesGcm(name);
    const key = gcm.importKey(new Uint8Array(32));
    const iv = new Uint8Array(12);
    const aad = new Uint8Array(100);
    gcm.seal(key, iv, new Uint8Array(10), aad);
    structuredClone(aad, { transfer: [aad.buffer] });
    for (const length of [10, 100_000]) {
      expect(() => gcm.seal(key, iv, new Uint8Array(length), aad)).toThrow(refused("InvalidParameter"));
    }
  });

  test("opens a long message as the bytes it is, whatever its class answers", async () => {
    const gcm = await aesGcm(name);
    const key = gcm.importKey(new Uint8Array(32));
    const iv = new Uint8Array(12);
    const plaintext = new Uint8Array(200_000).fill(7);
    const sealed = gcm.seal(key, iv, plaintext);
    let calls = 0;
    class Changing extends Uint8Array<ArrayBuffer> {
      override subarray(start?: number, end?: number): Uint8Array<ArrayBuffer> {
        calls += 1;
        const piece = new Uint8Array(this.buffer).slice(start, end);
        if (calls > 4 && piece.length > 0) piece[0] = (piece[0] ?? 0) ^ 1;
        return piece;
      }
    }
    const opened = gcm.open(key, iv, new Changing(Uint8Array.from(sealed).buffer), undefined);
    if (opened !== undefined) expect(Buffer.compare(opened, plaintext)).toBe(0);
  });
});

test("a frame that could not be written is not reused", () => {
  const scratch = new FrameScratch();
  const header = new Uint8Array(24).fill(1);
  const constant = new Uint8Array(40).fill(2);
  const expected = new Uint8Array(scratch.frame("advance", header, constant, true).bytes);
  const detached = new Uint8Array(100);
  const view = new Proxy(detached, {});
  expect(() => scratch.frame("advance", header, view, false)).toThrow();
  expect(scratch.frame("advance", header, constant, true).bytes).toEqual(expected);
});

test("a context that encodes another one while it is read keeps its own encoding", () => {
  const cache = new ContextCache();
  cache.encode({ x: "1", y: "2" }, "c");
  const reentrant = {
    get x(): string {
      cache.encode({ x: "9", y: "2" }, "c");
      return "1";
    },
    y: "2",
  };
  expect(cache.encode(reentrant, "c")).toEqual(encodeContext({ x: "1", y: "2" }, "c"));
});

describe.each(["wasm", "node"] as const)("arrays whose length runs code of the caller (%s)", (engine) => {
  test.each(["plaintext", "aad"] as const)(
    "as %s change neither the iv nor what is authenticated",
    async (field) => {
      const kms = await Kms.open({ engine });
      const { keyId } = await kms.createKey();
      const own = new Uint8Array(40).fill(1);
      const inner: Uint8Array[] = [];
      class Odd extends Uint8Array {
        override get length(): number {
          if (inner.length < 40) {
            const nested = { keyId, plaintext: own.subarray(0, 32), aad: own.subarray(0, 30) };
            inner.push(kms.advanceEncryptSync(nested).iv, (kms.encryptSync(nested).iv ?? own).slice());
          }
          return 40;
        }
      }
      const odd = new Odd(own.slice().buffer);
      const request = { keyId, plaintext: own, aad: own, [field]: odd };
      const sealed = kms.advanceEncryptSync(request);
      const detached = kms.encryptSync(request);
      const batch = await kms.advanceEncryptBatch([request, request]);
      const ivs = [sealed.iv, detached.iv, ...inner].map((iv) => Buffer.from(iv ?? []).toString("hex"));
      expect(new Set(ivs).size).toBe(ivs.length);
      const blobs = batch.map((item) => (item.ok ? item.value.ciphertextBlob : own));
      for (const ciphertextBlob of [sealed.ciphertextBlob, ...blobs]) {
        expect(kms.advanceDecryptSync({ ciphertextBlob, aad: own }).plaintext).toEqual(own);
      }
      const { ciphertextBlob, iv } = detached;
      expect(kms.decryptSync({ keyId, ciphertextBlob, iv, aad: own }).plaintext).toEqual(own);
      await kms.close();
    },
  );

  test("cannot claim another length than they have", async () => {
    const kms = await Kms.open({ engine });
    const { keyId } = await kms.createKey();
    const long = new Uint8Array(3000).fill(7);
    const plaintext = Object.defineProperty(long.slice(), "length", { value: 100 });
    const { ciphertextBlob } = kms.advanceEncryptSync({ keyId, plaintext });
    expect(kms.advanceDecryptSync({ ciphertextBlob }).plaintext).toEqual(long);
    await kms.close();
  });
});
