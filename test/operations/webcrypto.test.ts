/** A Kms over WebCrypto: every call that it serves, what it refuses, and that waits for the engine change nothing. */

import { createPublicKey, verify as opensslVerify } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { type Kms, memoryStore } from "../../src/index.ts";
import { decryptStream, encryptStream } from "../../src/stream.ts";
import { codeOfCall, expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const rootKey = { bytes: patterned(32) };

describe("engine webcrypto", () => {
  let kms: Kms;
  beforeAll(async () => {
    kms = await openKms({ engine: "webcrypto" });
  });

  test("says that it runs", async () => {
    expect(kms.engine).toBe("webcrypto");
    expect((await openKms({ engine: "wasm" })).engine).toBe("wasm");
    expect((await openKms({ engine: "node" })).engine).toBe("node");
  });

  test.each(["Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128"] as const)(
    "seals and opens under %s at every size",
    async (keySpec) => {
      const keyId = await newKey(kms, { keySpec });
      for (const size of [1, 16, 1000, 70_001]) {
        const plaintext = patterned(size);
        const aad = patterned(20);
        const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext, aad });
        expect((await kms.decrypt({ keyId, ciphertextBlob, iv, aad })).plaintext).toEqual(plaintext);
        const blob = await kms.advanceEncrypt({ keyId, plaintext, aad });
        const opened = await kms.advanceDecrypt({ ciphertextBlob: blob.ciphertextBlob, aad });
        expect(opened.plaintext).toEqual(plaintext);
        expect(opened.plaintext.buffer.byteLength).toBe(size);
        await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob, iv }), "InvalidCiphertext");
      }
    },
  );

  test("a batch keeps its order, and a bad item spoils itself alone", async () => {
    const keyIds = await Promise.all([newKey(kms), newKey(kms), newKey(kms, { keySpec: "Aliyun_AES_128" })]);
    const requests = Array.from({ length: 200 }, (_, i) => ({
      keyId: i % 7 === 3 ? "key-none" : (keyIds[i % 3] ?? ""),
      plaintext: patterned(1 + (i % 50)),
      encryptionContext: { n: String(i % 5) },
    }));
    const sealed = await kms.advanceEncryptBatch(requests);
    expect(sealed.map(({ ok }) => ok)).toEqual(requests.map((_, i) => i % 7 !== 3));
    const opened = await kms.advanceDecryptBatch(
      sealed.map((item, i) => ({
        ciphertextBlob: item.ok ? item.value.ciphertextBlob : new Uint8Array(3),
        encryptionContext: { n: String(i % 5) },
      })),
    );
    opened.forEach((item, i) => {
      expect(item.ok ? item.value.plaintext : undefined).toEqual(
        i % 7 === 3 ? undefined : requests[i]?.plaintext,
      );
    });
  });

  test("signs with RSA and P-256 what OpenSSL verifies", async () => {
    const message = patterned(100);
    for (const keySpec of ["EC_P256", "RSA_2048"] as const) {
      const keyId = await newKey(kms, { keySpec, keyUsage: "SIGN/VERIFY" });
      const [first, second] = await Promise.all([
        kms.sign({ keyId, message, ...(keySpec === "RSA_2048" && { algorithm: "RSA_PKCS1_SHA_256" }) }),
        kms.sign({ keyId, message }),
      ]);
      const { publicKey } = await kms.getPublicKey({ keyId });
      expect(opensslVerify("sha256", message, createPublicKey(publicKey), first.signature)).toBe(true);
      const { signature } = second;
      expect((await kms.verify({ keyId, message, signature })).value).toBe(true);
      expect((await kms.verify({ keyId, message: patterned(99), signature })).value).toBe(false);
    }
  });

  test("encrypts to RSA, makes macs, pairs and data keys, re-encrypts and exports", async () => {
    const rsa = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
    const sealed = await kms.encrypt({ keyId: rsa, plaintext: patterned(50) });
    const opened = await kms.decrypt({ keyId: rsa, ciphertextBlob: sealed.ciphertextBlob });
    expect(opened.plaintext).toEqual(patterned(50));

    const hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
    const { mac } = await kms.generateMac({ keyId: hmac, message: patterned(9) });
    expect((await kms.verifyMac({ keyId: hmac, message: patterned(9), mac })).value).toBe(true);
    expect((await kms.verifyMac({ keyId: hmac, message: patterned(8), mac })).value).toBe(false);

    const keyId = await newKey(kms);
    const pair = await kms.advanceGenerateDataKeyPair({ keyId, keyPairSpec: "EC_P256", keyFormat: "DER" });
    const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob: pair.privateKeyCiphertextBlob });
    expect(plaintext).toEqual(pair.privateKeyPlaintext);

    const dataKey = await kms.advanceGenerateDataKey({ keyId });
    await kms.rotateKey({ keyId });
    const moved = await kms.reEncrypt({ ciphertextBlob: dataKey.ciphertextBlob });
    expect(moved.changed).toBe(true);
    expect((await kms.reEncrypt({ ciphertextBlob: moved.ciphertextBlob })).changed).toBe(false);
    const { publicKeyDer } = await kms.getPublicKey({ keyId: rsa });
    const exported = await kms.exportDataKey({
      ciphertextBlob: moved.ciphertextBlob,
      publicKeyBlob: publicKeyDer,
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    });
    const unwrapped = await kms.decrypt({ keyId: rsa, ciphertextBlob: exported.exportedDataKey });
    expect(unwrapped.plaintext).toEqual(dataKey.plaintext);
  });

  test("refuses secp256k1, digests, ECIES and synchronous calls as unsupported", async () => {
    const keyId = await newKey(kms);
    const ec = await newKey(kms, { keySpec: "EC_P256" });
    const encrypting = await newKey(kms, { keySpec: "EC_P256", keyUsage: "ENCRYPT/DECRYPT" });
    const unsupported = [
      () => kms.createKey({ keySpec: "EC_P256K" }),
      () => kms.sign({ keyId: ec, message: patterned(32), messageType: "DIGEST" }),
      () => kms.encrypt({ keyId: encrypting, plaintext: patterned(1) }),
      () => kms.advanceEncryptSync({ keyId, plaintext: patterned(1) }),
      () => kms.advanceDecryptSync({ ciphertextBlob: patterned(80) }),
      () => kms.generateDataKeySync({ keyId }),
    ];
    for (const call of unsupported) await expectRefusal(call, "Rejected.UnsupportedOperation");
  });

  test("reads its arguments before it answers, the first use of a key included", async () => {
    const keyId = await newKey(kms);
    for (let use = 0; use < 2; use++) {
      const plaintext = patterned(64);
      const aad = patterned(30);
      const pending = kms.advanceEncrypt({ keyId, plaintext, aad });
      plaintext.fill(0);
      aad.fill(0);
      const { ciphertextBlob } = await pending;
      const opening = kms.advanceDecrypt({ ciphertextBlob, aad: patterned(30) });
      ciphertextBlob.fill(0);
      expect((await opening).plaintext).toEqual(patterned(64));
    }
  });

  test("a key deleted or a Kms closed while its engine takes the key in is not used", async () => {
    let now = Date.now();
    const own = await openKms({ engine: "webcrypto", clock: () => now });
    const keyId = await newKey(own);
    await own.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
    await own.cancelKeyDeletion({ keyId });
    await own.enableKey({ keyId });
    const pending = codeOfCall(() => own.advanceEncrypt({ keyId, plaintext: patterned(1) }));
    await own.disableKey({ keyId });
    expect(["Rejected.Disabled", "none"]).toContain(await pending);
    await own.enableKey({ keyId });
    const closing = codeOfCall(() => own.advanceEncrypt({ keyId, plaintext: patterned(1) }));
    now += 1;
    await own.close();
    expect(["Rejected.Closed", "none"]).toContain(await closing);
  });

  test("opens what other engines stored and sealed, and they what it did", async () => {
    const store = memoryStore();
    const message = patterned(40);
    const first = await openKms({ store, rootKey, engine: "node" });
    const aes = await newKey(first);
    const ec = await newKey(first, { keySpec: "EC_P256" });
    const { ciphertextBlob } = await first.advanceEncrypt({ keyId: aes, plaintext: message });
    const { signature } = await first.sign({ keyId: ec, message });
    await first.close();
    const second = await openKms({ store, rootKey, engine: "webcrypto" });
    expect((await second.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(message);
    expect((await second.verify({ keyId: ec, message, signature })).value).toBe(true);
    const own = await newKey(second, { keySpec: "EC_P256" });
    const theirs = await second.sign({ keyId: own, message });
    const blob = await second.advanceEncrypt({ keyId: aes, plaintext: message });
    await second.close();
    const third = await openKms({ store, rootKey, engine: "wasm" });
    expect((await third.verify({ keyId: own, message, signature: theirs.signature })).value).toBe(true);
    expect((await third.advanceDecrypt({ ciphertextBlob: blob.ciphertextBlob })).plaintext).toEqual(message);
    await third.close();
    await expectRefusal(
      () => openKms({ store, rootKey: { bytes: patterned(32).reverse() }, engine: "webcrypto" }),
      "InvalidRootKey",
    );
  });

  test("streams with frames in their order, which the other engines read [STR-5]", async () => {
    const keyId = await newKey(kms);
    const plaintext = patterned(300_001);
    const file = await collect(encryptStream(kms, { keyId }), plaintext);
    expect(Buffer.compare(await collect(decryptStream(kms, {}), file), plaintext)).toBe(0);
    file[200_000] = (file[200_000] ?? 0) ^ 1;
    await expectRefusal(() => collect(decryptStream(kms, {}), file), "InvalidCiphertext");
  });
});

async function collect(
  stream: TransformStream<Uint8Array, Uint8Array>,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const body = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(stream as ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>);
  return new Uint8Array(await new Response(body).arrayBuffer());
}
