/** RSA-OAEP through encrypt and decrypt, and the MAC calls, against node:crypto. */

import { constants, createHmac, createPublicKey, publicEncrypt } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

let kms: Kms;
beforeAll(async () => {
  kms = await openKms();
});

const OAEP = [
  ["RSAES_OAEP_SHA_256", "sha256", 32],
  ["RSAES_OAEP_SHA_1", "sha1", 20],
] as const;

/** Checks round trips, the limit of each hash, and ciphertext that node:crypto made. */
async function checkOaep(keySpec: "RSA_2048" | "RSA_3072" | "RSA_4096", modulusBytes: number): Promise<void> {
  const keyId = await newKey(kms, { keySpec, keyUsage: "ENCRYPT/DECRYPT" });
  const publicKey = createPublicKey((await kms.getPublicKey({ keyId })).publicKey);
  for (const [algorithm, oaepHash, hashBytes] of OAEP) {
    const max = modulusBytes - 2 * hashBytes - 2;
    for (const length of [1, 32, max]) {
      const plaintext = patterned(length);
      const sealed = await kms.encrypt({ keyId, plaintext, algorithm });
      expect(sealed).toMatchObject({ keyId, algorithm });
      expect(sealed).not.toHaveProperty("iv");
      expect(sealed.ciphertextBlob).toHaveLength(modulusBytes);
      const opened = await kms.decrypt({ keyId, ciphertextBlob: sealed.ciphertextBlob, algorithm });
      expect(opened.plaintext).toEqual(plaintext);
      const outside = publicEncrypt(
        { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash },
        plaintext,
      );
      expect((await kms.decrypt({ keyId, ciphertextBlob: outside, algorithm })).plaintext).toEqual(plaintext);
    }
    const refusal = await expectRefusal(
      () => kms.encrypt({ keyId, plaintext: patterned(max + 1), algorithm }),
      "InvalidParameter",
    );
    expect(refusal.message).toBe(`plaintext must have at most ${max} bytes for ${algorithm}.`);
  }
  const byDefault = await kms.encrypt({ keyId, plaintext: patterned(3) });
  expect(byDefault.algorithm).toBe("RSAES_OAEP_SHA_256");
  expect((await kms.decrypt({ keyId, ciphertextBlob: byDefault.ciphertextBlob })).plaintext).toEqual(
    patterned(3),
  );
}

test("RSA_2048 encrypts up to 190 and 214 bytes", () => checkOaep("RSA_2048", 256));

test("RSA_3072 and RSA_4096 encrypt up to 318, 342, 446 and 470 bytes", { timeout: 120_000 }, async () => {
  await Promise.all([checkOaep("RSA_3072", 384), checkOaep("RSA_4096", 512)]);
});

describe.each([
  ["HMAC_SHA_256", 32],
  ["HMAC_SHA_384", 48],
  ["HMAC_SHA_512", 64],
] as const)("%s", (keySpec, length) => {
  test("makes macs that verify, and nothing else does", async () => {
    const keyId = await newKey(kms, { keySpec });
    const message = patterned(50);
    const { mac, algorithm } = await kms.generateMac({ keyId, message });
    expect([mac.length, algorithm]).toEqual([length, keySpec]);
    expect((await kms.generateMac({ keyId, message, algorithm: keySpec })).mac).toEqual(mac);
    const value = async (change: object): Promise<boolean> =>
      (await kms.verifyMac({ keyId, message, mac, ...change })).value;
    expect(await value({})).toBe(true);
    expect(await value({ message: flipBit(message, 5) })).toBe(false);
    expect(await value({ keyId: await newKey(kms, { keySpec }) })).toBe(false);
    for (let bit = 0; bit < length * 8; bit++) expect(await value({ mac: flipBit(mac, bit) })).toBe(false);
    for (const wrong of [
      new Uint8Array(0),
      mac.slice(1),
      mac.slice(0, -1),
      Uint8Array.from([...mac, 0]),
      new Uint8Array(4000),
    ]) {
      expect(await value({ mac: wrong })).toBe(false);
    }
    const guess = createHmac(keySpec.slice(5).replace("_", "").toLowerCase(), new Uint8Array(length))
      .update(message)
      .digest();
    expect(await value({ mac: new Uint8Array(guess) })).toBe(false);
    for (const other of [
      "HMAC_SHA_224",
      "ECDSA_SHA_256",
      keySpec === "HMAC_SHA_256" ? "HMAC_SHA_512" : "HMAC_SHA_256",
    ]) {
      await expectRefusal(
        () => kms.generateMac({ keyId, message, algorithm: other as typeof keySpec }),
        "InvalidParameter",
      );
    }
  });
});
