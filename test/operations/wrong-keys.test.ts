/** Calls on keys of another kind, usage or version than they need. */

import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const message = patterned(77);
let kms: Kms;
beforeAll(async () => {
  kms = await openKms();
});

describe("keys of another kind", () => {
  test("are refused by usage, kind and call as documented", async () => {
    const aes = await newKey(kms);
    const hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
    const ec = await newKey(kms, { keySpec: "EC_P256" });
    const rsaSign = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "SIGN/VERIFY" });
    const rsaEncrypt = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
    const plaintext = patterned(8);
    const [ciphertextBlob, signature, iv] = [patterned(60), patterned(64), patterned(12)];
    const blob = (await kms.advanceEncrypt({ keyId: aes, plaintext })).ciphertextBlob;
    const wrapping = {
      publicKeyBlob: (await kms.getPublicKey({ keyId: ec })).publicKeyDer,
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    } as const;
    const rsaWrapping = {
      ...wrapping,
      publicKeyBlob: (await kms.getPublicKey({ keyId: rsaSign })).publicKeyDer,
    };

    const unsupported = "Rejected.UnsupportedOperation";
    const onlySymmetric = "Forbidden.OnlySymmetricKeySupported";
    const cases: [string, string[], (keyId: string) => unknown][] = [
      [unsupported, [hmac, ec, rsaSign], (keyId) => kms.encrypt({ keyId, plaintext })],
      [unsupported, [hmac, ec, rsaSign], (keyId) => kms.decrypt({ keyId, ciphertextBlob, iv })],
      [unsupported, [aes, hmac, rsaEncrypt], (keyId) => kms.sign({ keyId, message })],
      [unsupported, [aes, hmac, rsaEncrypt], (keyId) => kms.verify({ keyId, message, signature })],
      [unsupported, [aes, ec, rsaSign, rsaEncrypt], (keyId) => kms.generateMac({ keyId, message })],
      [
        unsupported,
        [aes, ec, rsaSign, rsaEncrypt],
        (keyId) => kms.verifyMac({ keyId, message, mac: signature }),
      ],
      [unsupported, [aes, hmac], (keyId) => kms.getPublicKey({ keyId })],
      [unsupported, [hmac, ec, rsaSign], (keyId) => kms.rotateKey({ keyId })],
    ];
    const symmetricOnly: ((keyId: string) => unknown)[] = [
      (keyId) => kms.advanceEncrypt({ keyId, plaintext }),
      (keyId) => kms.advanceDecrypt({ keyId, ciphertextBlob, iv }),
      (keyId) => kms.generateDataKey({ keyId }),
      (keyId) => kms.generateDataKeyWithoutPlaintext({ keyId }),
      (keyId) => kms.advanceGenerateDataKey({ keyId }),
      (keyId) => kms.advanceGenerateDataKeyWithoutPlaintext({ keyId }),
      (keyId) => kms.generateDataKeyPair({ keyId, keyPairSpec: "RSA_4096" }),
      (keyId) => kms.reEncrypt({ ciphertextBlob: blob, destinationKeyId: keyId }),
      (keyId) => kms.generateAndExportDataKey({ keyId, ...rsaWrapping }),
    ];
    for (const call of symmetricOnly)
      cases.push([onlySymmetric, [ec, rsaSign, rsaEncrypt], call], [unsupported, [hmac], call]);
    for (const [code, keyIds, call] of cases) {
      for (const keyId of keyIds) await expectRefusal(() => call(keyId), code);
    }
    await expectRefusal(() => kms.generateAndExportDataKey({ keyId: aes, ...wrapping }), "InvalidParameter");
    for (const algorithm of ["RSAES_OAEP_SHA_256", "AES_CBC", "ECDSA_SHA_256"]) {
      await expectRefusal(
        () => kms.encrypt({ keyId: aes, plaintext, algorithm: algorithm as "AES_GCM" }),
        "InvalidParameter",
      );
      await expectRefusal(
        () => kms.advanceEncrypt({ keyId: aes, plaintext, algorithm: algorithm as "AES_GCM" }),
        "InvalidParameter",
      );
      await expectRefusal(
        () => kms.advanceDecrypt({ ciphertextBlob: blob, algorithm: algorithm as "AES_GCM" }),
        "InvalidParameter",
      );
    }
    await expectRefusal(
      () => kms.encrypt({ keyId: rsaEncrypt, plaintext, algorithm: "AES_GCM" }),
      "InvalidParameter",
    );
    for (const extra of [{ aad: patterned(1) }, { encryptionContext: {} }, { iv }]) {
      const first = await expectRefusal(
        () => kms.encrypt({ keyId: rsaEncrypt, plaintext, ...extra }),
        "InvalidParameter",
      );
      const second = await expectRefusal(
        () => kms.decrypt({ keyId: rsaEncrypt, ciphertextBlob, ...extra }),
        "InvalidParameter",
      );
      for (const refusal of [first, second]) expect(refusal.message).toContain(Object.keys(extra)[0]);
    }
  });

  test("getPublicKey finds a version by its id only", async () => {
    const keyId = await newKey(kms, { keySpec: "EC_P256" });
    const { keyVersionId } = await kms.getPublicKey({ keyId });
    expect((await kms.getPublicKey({ keyId, keyVersionId })).keyVersionId).toBe(keyVersionId);
    const other = (await kms.getPublicKey({ keyId: await newKey(kms, { keySpec: "EC_P256" }) })).keyVersionId;
    for (const wrong of [other, "x"]) {
      await expectRefusal(
        () => kms.getPublicKey({ keyId, keyVersionId: wrong }),
        "Forbidden.KeyVersionNotFound",
      );
    }
  });
});
