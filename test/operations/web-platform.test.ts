/** The Kms of browsers, here in Node: what it loads when, and which engine serves what. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { type Kms, type KmsOptions, memoryStore } from "../../src/web.ts";
import { patterned } from "../support/kms.ts";

const toClose: Kms[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const kms of toClose.splice(0)) await kms.close();
});

/** Opens a Kms of a page that has loaded nothing yet. */
async function freshKms(options: KmsOptions = {}): Promise<Kms> {
  vi.resetModules();
  const { Kms: Fresh } = await import("../../src/web.ts");
  const kms = await Fresh.open(options);
  toClose.push(kms);
  return kms;
}

/** Names the modules of kernels that the page has loaded. */
async function loaded(): Promise<string[]> {
  const { mainLoader } = await import("../../src/engines/wasm/load-kernel.ts");
  const { ecLoader } = await import("../../src/engines/wasm/load-ec-kernel.ts");
  const { rsaLoader } = await import("../../src/engines/wasm/load-rsa-kernel.ts");
  const loaders = { main: mainLoader, ecc: ecLoader, rsa: rsaLoader };
  return Object.entries(loaders).flatMap(([name, loader]) => (loader.hasSources() ? [name] : []));
}

describe("a Kms in a page", () => {
  test("loads one build of the main module when it is opened, and no other kernels to seal", async () => {
    const kms = await freshKms();
    const { keyId } = await kms.createKey();
    await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
    expect(await loaded()).toEqual(["main"]);
  });

  test("loads the kernels of curves and of RSA with the first keys that need them", async () => {
    const kms = await freshKms();
    const ec = [0, 1, 2].map(() => kms.createKey({ keySpec: "EC_P256", keyUsage: "SIGN/VERIFY" }));
    await Promise.all(ec);
    expect(await loaded()).toEqual(["main", "ecc"]);
    await kms.createKey({ keySpec: "RSA_2048", keyUsage: "SIGN/VERIFY" });
    await kms.createKey({ keySpec: "EC_P256K", keyUsage: "SIGN/VERIFY" });
    expect(await loaded()).toEqual(["main", "ecc", "rsa"]);
  });

  test("loads them for keys that a store had", async () => {
    const store = memoryStore();
    const first = await freshKms({ store, rootKey: { bytes: patterned(32) } });
    const { keyId } = await first.createKey({ keySpec: "EC_P256", keyUsage: "SIGN/VERIFY" });
    await first.close();
    const kms = await freshKms({ store, rootKey: { bytes: patterned(32) } });
    expect(await loaded()).toEqual(["main"]);
    const message = patterned(100);
    const calls = [0, 1].map(() => kms.sign({ keyId, message }));
    // The call has read its message.
    message.fill(0);
    for (const { signature } of await Promise.all(calls)) {
      expect((await kms.verify({ keyId, message: patterned(100), signature })).value).toBe(true);
    }
    expect(await loaded()).toEqual(["main", "ecc"]);
  });

  test("has read a foreign public key before it loads what uses it", async () => {
    const kms = await freshKms();
    const pair = await crypto.subtle.generateKey(
      { name: "RSA-OAEP", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
      true,
      ["encrypt", "decrypt"],
    );
    const publicKeyBlob = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
    const { keyId } = await kms.createKey();
    const { plaintext, ciphertextBlob } = await kms.advanceGenerateDataKey({ keyId });
    const exporting = kms.exportDataKey({
      ciphertextBlob,
      publicKeyBlob,
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    });
    publicKeyBlob.fill(0);
    const { exportedDataKey } = await exporting;
    const opened = await crypto.subtle.decrypt(
      "RSA-OAEP",
      pair.privateKey,
      exportedDataKey as Uint8Array<ArrayBuffer>,
    );
    expect(new Uint8Array(opened)).toEqual(plaintext);
    expect(await loaded()).toEqual(["main", "rsa"]);
  });

  test("seals up to the border with wasm and above it with WebCrypto, once that is ready", async () => {
    const kms = await freshKms();
    const { keyId } = await kms.createKey();
    const encrypt = vi.spyOn(crypto.subtle, "encrypt");
    const sealsWithWebCrypto = async (byteLength: number): Promise<boolean> => {
      encrypt.mockClear();
      const plaintext = patterned(byteLength);
      const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
      const calls = encrypt.mock.calls.length;
      expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
      return calls > 0;
    };
    // What is above it has WebCrypto made ready, and does not wait for it.
    expect(await sealsWithWebCrypto(2048)).toBe(false);
    await kms.advanceEncrypt({ keyId, plaintext: patterned(2049) });
    await vi.waitFor(async () => expect(await sealsWithWebCrypto(2049)).toBe(true));
    expect(await sealsWithWebCrypto(2048)).toBe(false);
    expect(await sealsWithWebCrypto(100_000)).toBe(true);
  });

  test("does not ask WebCrypto for anything before a long message comes", async () => {
    const [importKey, encrypt] = [vi.spyOn(crypto.subtle, "importKey"), vi.spyOn(crypto.subtle, "encrypt")];
    const kms = await freshKms();
    const { keyId } = await kms.createKey();
    await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
    expect(encrypt).not.toHaveBeenCalled();
    // Deriving the record key is the only one.
    expect(importKey.mock.calls.map(([, , algorithm]) => algorithm)).toEqual(["HKDF"]);
  });
});
