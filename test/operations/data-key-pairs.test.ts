/** Data key pairs: what is returned, what is sealed, and that both halves belong together. */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { GenerateDataKeyPairResponse, Kms } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned, refusalOf, toHex } from "../support/kms.ts";

const MAKERS = [
  "generateDataKeyPair",
  "generateDataKeyPairWithoutPlaintext",
  "advanceGenerateDataKeyPair",
  "advanceGenerateDataKeyPairWithoutPlaintext",
] as const;
const FORMATS = ["PEM", "DER"] as const;
const SHAPES = {
  RSA_2048: { asymmetricKeyType: "rsa", modulusLength: 2048 },
  RSA_3072: { asymmetricKeyType: "rsa", modulusLength: 3072 },
  RSA_4096: { asymmetricKeyType: "rsa", modulusLength: 4096 },
  EC_P256: { asymmetricKeyType: "ec", namedCurve: "prime256v1" },
  EC_P256K: { asymmetricKeyType: "ec", namedCurve: "secp256k1" },
} as const;
type Spec = keyof typeof SHAPES;

let kms: Kms;
let keyId: string;
let initial: string;
let primary: string;
beforeAll(async () => {
  kms = await openKms();
  keyId = await newKey(kms);
  initial = (await kms.describeKey({ keyId })).keyMetadata.primaryKeyVersion;
  primary = (await kms.rotateKey({ keyId })).keyVersionId;
});

function readPrivate(bytes: Uint8Array, format: "PEM" | "DER"): KeyObject {
  const key = Buffer.from(bytes);
  return format === "PEM" ? createPrivateKey(key) : createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function readPublic(bytes: Uint8Array, format: "PEM" | "DER"): KeyObject {
  const key = Buffer.from(bytes);
  return format === "PEM" ? createPublicKey(key) : createPublicKey({ key, format: "der", type: "spki" });
}

async function check(
  maker: (typeof MAKERS)[number],
  keyPairSpec: Spec,
  keyFormat: "PEM" | "DER",
): Promise<void> {
  const encryptionContext = { purpose: maker };
  const pair = await kms[maker]({ keyId, keyPairSpec, keyFormat, encryptionContext });
  const advance = maker.startsWith("advance");
  expect(pair).toMatchObject({
    keyId,
    keyPairSpec,
    algorithm: "AES_GCM",
    keyVersionId: advance ? primary : initial,
  });
  expect(pair.iv).toHaveLength(12);

  const ciphertextBlob = pair.privateKeyCiphertextBlob;
  const request = advance
    ? { ciphertextBlob, encryptionContext }
    : { keyId, iv: pair.iv, ciphertextBlob, encryptionContext };
  const { plaintext } = await kms.advanceDecrypt(request);
  if (!advance)
    expect((await kms.decrypt({ keyId, iv: pair.iv, ciphertextBlob, encryptionContext })).plaintext).toEqual(
      plaintext,
    );
  await expectRefusal(() => kms.advanceDecrypt({ ...request, encryptionContext: {} }), "InvalidCiphertext");

  if (maker.endsWith("WithoutPlaintext")) {
    expect(Object.keys(pair)).not.toContain("privateKeyPlaintext");
  } else {
    const clear = (pair as GenerateDataKeyPairResponse).privateKeyPlaintext;
    expect(toHex(clear)).toBe(toHex(plaintext));
    expect(clear.buffer.byteLength).toBe(clear.length);
  }
  const [privateKey, publicKey] = [readPrivate(plaintext, keyFormat), readPublic(pair.publicKey, keyFormat)];
  const { asymmetricKeyType, ...details } = SHAPES[keyPairSpec];
  expect(privateKey.asymmetricKeyType).toBe(asymmetricKeyType);
  expect(privateKey.asymmetricKeyDetails).toMatchObject(details);
  expect(createPublicKey(privateKey).equals(publicKey)).toBe(true);
  expect(verify("sha256", patterned(9), publicKey, sign("sha256", patterned(9), privateKey))).toBe(true);
  // The canonical encodings, not merely readable ones.
  if (keyFormat === "PEM")
    expect(publicKey.export({ format: "pem", type: "spki" })).toBe(new TextDecoder().decode(pair.publicKey));
  else expect(publicKey.export({ format: "der", type: "spki" })).toEqual(Buffer.from(pair.publicKey));
}

describe.each(MAKERS)("%s", (maker) => {
  test("seals the private half of EC pairs in both formats", async () => {
    for (const spec of ["EC_P256", "EC_P256K"] as const)
      for (const format of FORMATS) await check(maker, spec, format);
  });

  test("seals the private half of RSA_2048 pairs in both formats", { timeout: 60_000 }, async () => {
    await Promise.all(FORMATS.map((format) => check(maker, "RSA_2048", format)));
  });
});

test("larger RSA pairs are served alike", { timeout: 120_000 }, async () => {
  await Promise.all([
    check("generateDataKeyPair", "RSA_3072", "PEM"),
    check("advanceGenerateDataKeyPairWithoutPlaintext", "RSA_4096", "DER"),
  ]);
});

test("PEM is the format unless told otherwise", async () => {
  const { publicKey } = await kms.generateDataKeyPair({ keyId, keyPairSpec: "EC_P256" });
  expect(new TextDecoder().decode(publicKey)).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
});

test("specs that are no key pairs are refused", async () => {
  for (const keyPairSpec of ["Aliyun_AES_256", "HMAC_SHA_256", "EC_SM2", "RSA_1024"]) {
    await expectRefusal(
      () => kms.generateDataKeyPair({ keyId, keyPairSpec: keyPairSpec as Spec }),
      "InvalidParameter",
    );
  }
});

test("a key that is disabled while the pair is made refuses it, and nothing of it is answered", async () => {
  const busy = await newKey(kms);
  const refusal = refusalOf(() => kms.generateDataKeyPair({ keyId: busy, keyPairSpec: "RSA_2048" }));
  await kms.disableKey({ keyId: busy });
  expect((await refusal).code).toBe("Rejected.Disabled");
});

test("an aborted generation rejects with the signal's reason", async () => {
  const reason = new Error("changed my mind");
  const request = { keyId, keyPairSpec: "RSA_4096" } as const;
  await expect(kms.generateDataKeyPair(request, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const pending = kms.generateDataKeyPair(request, { signal: controller.signal });
  controller.abort(reason);
  await expect(pending).rejects.toBe(reason);
});

test("progress is reported up to 1", async () => {
  const fractions: number[] = [];
  const onProgress = (fraction: number): void => void fractions.push(fraction);
  await kms.generateDataKeyPair({ keyId, keyPairSpec: "EC_P256" }, { onProgress });
  expect(fractions.at(-1)).toBe(1);
  for (const fraction of fractions) expect(fraction >= 0 && fraction <= 1).toBe(true);
});

test("changing the aad after the call has no effect", async () => {
  const aad = patterned(16);
  const pending = kms.advanceGenerateDataKeyPair({ keyId, keyPairSpec: "EC_P256", aad });
  aad.fill(0);
  const { privateKeyCiphertextBlob } = await pending;
  const opened = await kms.advanceDecrypt({ ciphertextBlob: privateKeyCiphertextBlob, aad: patterned(16) });
  expect(opened.plaintext.length).toBeGreaterThan(100);
});
