/** Keys whose material both sides have: what node:crypto and @noble make, a Kms accepts, and the other way round. */

import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign as nodeSign,
  verify as nodeVerify,
  privateDecrypt,
} from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { expectRefusal, openKms, patterned } from "../support/kms.ts";
import { KNOWN_ROOT_KEY, storeOfKnownKeys } from "../support/known-keys.ts";

const message = patterned(123);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = {
  EC_P256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EC_P256K: generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
} as const;
const pkcs8 = (pair: typeof rsa): Uint8Array =>
  new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" }));
const hmacKeys = {
  HMAC_SHA_256: patterned(32),
  HMAC_SHA_384: patterned(48),
  HMAC_SHA_512: patterned(64),
} as const;

let kms: Kms;
beforeAll(async () => {
  const store = await storeOfKnownKeys([
    { keyId: "key-rsasign", spec: "RSA_2048", usage: "SIGN/VERIFY", material: pkcs8(rsa) },
    { keyId: "key-rsaencrypt", spec: "RSA_2048", usage: "ENCRYPT/DECRYPT", material: pkcs8(rsa) },
    { keyId: "key-EC_P256", spec: "EC_P256", usage: "SIGN/VERIFY", material: pkcs8(ec.EC_P256) },
    { keyId: "key-EC_P256K", spec: "EC_P256K", usage: "SIGN/VERIFY", material: pkcs8(ec.EC_P256K) },
    { keyId: "key-twin1", spec: "Aliyun_AES_256", usage: "ENCRYPT/DECRYPT", material: patterned(32) },
    { keyId: "key-twin2", spec: "Aliyun_AES_256", usage: "ENCRYPT/DECRYPT", material: patterned(32) },
    ...(["HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"] as const).map((spec) => ({
      keyId: `key-${spec}`,
      spec,
      usage: "GENERATE_VERIFY_MAC" as const,
      material: hmacKeys[spec],
    })),
  ]);
  kms = await openKms({ store, rootKey: { bytes: KNOWN_ROOT_KEY } });
});

describe("signatures of node:crypto and noble", () => {
  test("by RSA verify for each scheme and hash", async () => {
    for (const hash of ["256", "384", "512"] as const) {
      const saltLength = Number(hash) / 8;
      const pss = nodeSign(`sha${hash}`, message, {
        key: rsa.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength,
      });
      const pkcs1 = nodeSign(`sha${hash}`, message, rsa.privateKey);
      const verify = async (scheme: "PSS" | "PKCS1", signature: Uint8Array): Promise<boolean> =>
        (
          await kms.verify({
            keyId: "key-rsasign",
            message,
            algorithm: `RSA_${scheme}_SHA_${hash}`,
            signature,
          })
        ).value;
      expect([await verify("PSS", pss), await verify("PKCS1", pkcs1)]).toEqual([true, true]);
      expect([await verify("PKCS1", pss), await verify("PSS", pkcs1)]).toEqual([false, false]);
      const shortSalt = nodeSign(`sha${hash}`, message, {
        key: rsa.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: saltLength - 1,
      });
      expect(await verify("PSS", shortSalt)).toBe(false);
      const { signature } = await kms.sign({
        keyId: "key-rsasign",
        message,
        algorithm: `RSA_PKCS1_SHA_${hash}`,
      });
      expect(Buffer.from(signature).equals(pkcs1)).toBe(true);
    }
  });

  test.each([
    ["EC_P256", p256],
    ["EC_P256K", secp256k1],
  ] as const)("by %s verify in both formats", async (keySpec, curve) => {
    const { privateKey } = ec[keySpec];
    const keyId = `key-${keySpec}`;
    const jwk = privateKey.export({ format: "jwk" });
    const scalar = new Uint8Array(Buffer.from(jwk.d ?? "", "base64url"));
    const verify = async (signatureFormat: "DER" | "P1363", signature: Uint8Array): Promise<boolean> =>
      (await kms.verify({ keyId, message, signature, signatureFormat })).value;
    for (let round = 0; round < 8; round++) {
      expect(await verify("DER", nodeSign("sha256", message, privateKey))).toBe(true);
      const p1363 = nodeSign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
      expect(await verify("P1363", p1363)).toBe(true);
    }
    const digest = sha256(message);
    for (const lowS of [true, false]) {
      const noble = curve.sign(digest, scalar, { prehash: false, lowS });
      expect(await verify("P1363", noble)).toBe(true);
    }
  });
});

test("OAEP ciphertext of a Kms opens with node:crypto's private key", async () => {
  for (const [algorithm, oaepHash] of [
    ["RSAES_OAEP_SHA_256", "sha256"],
    ["RSAES_OAEP_SHA_1", "sha1"],
  ] as const) {
    const plaintext = patterned(60);
    const { ciphertextBlob } = await kms.encrypt({ keyId: "key-rsaencrypt", plaintext, algorithm });
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const opened = privateDecrypt({ key: rsa.privateKey, padding, oaepHash }, ciphertextBlob);
    expect(new Uint8Array(opened)).toEqual(plaintext);
  }
});

test("public keys are those of the private ones", async () => {
  for (const [keyId, pair] of [
    ["key-rsasign", rsa],
    ["key-EC_P256", ec.EC_P256],
    ["key-EC_P256K", ec.EC_P256K],
  ] as const) {
    const { publicKey } = await kms.getPublicKey({ keyId });
    expect(createPublicKey(publicKey).equals(pair.publicKey)).toBe(true);
    const { signature } = await kms.sign({ keyId, message });
    const key = { key: pair.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(nodeVerify("sha256", message, keyId === "key-rsasign" ? key : pair.publicKey, signature)).toBe(
      true,
    );
  }
});

test("macs equal those of node:crypto", async () => {
  for (const [spec, key] of Object.entries(hmacKeys)) {
    const hash = `sha${spec.slice(-3)}`;
    const { mac } = await kms.generateMac({ keyId: `key-${spec}`, message });
    expect(Buffer.from(mac).equals(createHmac(hash, key).update(message).digest())).toBe(true);
  }
});

test("the same bytes under two keys do not open each other's ciphertext, detached or advance [AAD-1] [AAD-4]", async () => {
  const plaintext = patterned(20);
  const { ciphertextBlob, iv } = await kms.encrypt({ keyId: "key-twin1", plaintext });
  const detached = { keyId: "key-twin2", ciphertextBlob, iv };
  await expectRefusal(() => kms.decrypt(detached), "InvalidCiphertext");
  await expectRefusal(() => kms.advanceDecrypt(detached), "InvalidCiphertext");
  const first = await kms.advanceEncrypt({ keyId: "key-twin1", plaintext });
  const second = await kms.advanceEncrypt({ keyId: "key-twin2", plaintext });
  const forged = Uint8Array.from(first.ciphertextBlob);
  forged.set(second.ciphertextBlob.subarray(0, 24), 0);
  await expectRefusal(() => kms.advanceDecrypt({ ciphertextBlob: forged }), "InvalidCiphertext");
});
