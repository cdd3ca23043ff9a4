/** Hardware keys over restarts, deletions and exchanges of tokens, on SoftHSM2. docs/hsm.md, [HSM-1] to [HSM-8]. */

import {
  createCipheriv,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  verify as verifyWithOpenssl,
} from "node:crypto";
import { describe, expect, test } from "vitest";
import { decodeReference, encodeReference } from "../../src/engines/hardware-keys.ts";
import type { Hsm } from "../../src/hsm.ts";
import { Kms, type KmsOptions } from "../../src/index.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { DAY, TestClock } from "../keys/support/kms.ts";
import { expectRefusal, hex, openKms, utf8 } from "../support/kms.ts";
import { missing, newModule, openToken } from "./open.ts";

const reason = missing("softhsm");
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const rootKey = { bytes: new Uint8Array(32).fill(3) };

/** A store that outlives the Kms that uses it. */
function keptStore(): NonNullable<KmsOptions["store"]> {
  const rows = new Map<string, { kind: string; id: string; bytes: Uint8Array }>();
  const store = memoryStore();
  return {
    ...store,
    persistent: true,
    open: async () => [...rows.values()] as never,
    commit: (changes) => {
      for (const change of changes) {
        const name = `${change.kind} ${change.id}`;
        if (change.action === "delete") rows.delete(name);
        else rows.set(name, { kind: change.kind, id: change.id, bytes: change.bytes });
      }
    },
    purge: async () => undefined,
    close: async () => undefined,
  };
}

test("[HSM-4] a reference reads back as it was written, and a newer one is refused", () => {
  for (const reference of [
    { id: random(16), checkValue: random(8), spki: new Uint8Array(0) },
    { id: random(16), checkValue: new Uint8Array(0), spki: random(91) },
  ]) {
    const bytes = encodeReference(reference);
    expect(bytes.subarray(0, 2)).toEqual(Uint8Array.of(1, 16));
    expect(decodeReference(bytes)).toEqual(reference);
    bytes[0] = 2;
    expect(() => decodeReference(bytes)).toThrow("format");
  }
});

describe.skipIf(reason !== undefined)(`hardware keys${reason === undefined ? "" : `: ${reason}`}`, () => {
  const module = reason === undefined ? newModule() : undefined;
  const open = (): Promise<Hsm> => {
    if (module === undefined) throw new Error("there is no module");
    return openToken(module);
  };

  test("[HSM-3] a key is found again by its id after a restart of store and token", async () => {
    const store = keptStore();
    let hsm = await open();
    let kms = await Kms.open({ store, rootKey, hsm });
    const { keyId } = await kms.createKey({ protectionLevel: "HSM" });
    const pair = await kms.createKey({ protectionLevel: "HSM", keySpec: "EC_P256" });
    const plaintext = random(20);
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    await kms.close();
    await hsm.close();

    hsm = await open();
    kms = await Kms.open({ store, rootKey, hsm });
    expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
    const message = utf8("after the restart");
    const { signature } = await kms.sign({ keyId: pair.keyId, message });
    expect((await kms.verify({ keyId: pair.keyId, message, signature })).value).toBe(true);
    await kms.close();

    const without = await Kms.open({ store, rootKey });
    await expectRefusal(() => without.advanceDecrypt({ ciphertextBlob }), "ServiceUnavailableTemporary");
    expect((await without.verify({ keyId: pair.keyId, message, signature })).value).toBe(true);
    await without.close();
    await hsm.close();
  });

  test("[HSM-1] [HSM-2] objects have the id of the version, say whose they are and stay inside", async () => {
    const hsm = await open();
    const kms = await openKms({ hsm });
    const { keyId, keyMetadata } = await kms.createKey({ protectionLevel: "HSM", keySpec: "RSA_2048" });
    const version = keyMetadata.primaryKeyVersion;
    const key = await hsm.key({ id: hex(version.replaceAll("-", "")) });
    expect(key).toMatchObject({
      label: `keyplane ${keyId} ${version}`,
      keySpec: "RSA_2048",
      extractable: false,
    });
    // It is for signing, so the token does not decrypt with it.
    const call = hsm.decrypt(key, { ciphertext: random(256), algorithm: "RSAES_OAEP_SHA_1" });
    await expect(call).rejects.toMatchObject({ name: "HsmError", code: "Unsupported" });
  });

  test("[HSM-5] the check value is the one of docs/hsm.md", async () => {
    const hsm = await open();
    const keyMaterial = random(32);
    const key = await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial });
    const cipher = createCipheriv("aes-256-ecb", keyMaterial, null).setAutoPadding(false);
    const block = Buffer.concat([cipher.update("keyplanecheck v1"), cipher.final()]);
    const digest = createHash("sha256").update("keyplane check value 1").update(block).digest();
    expect(Buffer.from(key.checkValue ?? [])).toEqual(digest.subarray(0, 8));
  });

  test.each([
    ["Aliyun_AES_256", 32],
    ["Aliyun_AES_192", 24],
    ["Aliyun_AES_128", 16],
  ] as const)("[HSM-8] an imported %s seals as OpenSSL does, in random batches", async (keySpec, length) => {
    const hsm = await open();
    const keyMaterial = random(length);
    const key = await hsm.importKey({ keySpec, keyMaterial });
    expect(key).toMatchObject({ keySpec, extractable: false });
    const requests = Array.from({ length: 200 }, (_, i) => ({
      plaintext: random(i % 70),
      aad: random(i % 33),
      iv: random(12),
    }));
    const sealed = await hsm.encryptBatch(key, requests);
    sealed.forEach((item, i) => {
      const { plaintext, aad, iv } = requests[i] ?? { plaintext: random(0), aad: random(0), iv: random(12) };
      const cipher = createCipheriv(`aes-${length * 8}-gcm` as "aes-256-gcm", keyMaterial, iv).setAAD(aad);
      const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      expect(item.ok && Buffer.from(item.value.ciphertext)).toEqual(expected);
    });
  });

  test.each([
    ["RSA_2048", () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
    ["EC_P256", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
    ["EC_P256K", () => generateKeyPairSync("ec", { namedCurve: "secp256k1" })],
  ] as const)("[HSM-8] an imported %s signs for its public key", async (keySpec, generate) => {
    const hsm = await open();
    const pair = generate();
    const keyMaterial = new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" }));
    const key = await hsm.importKey({ keySpec, keyMaterial });
    expect(Buffer.from(key.publicKey ?? [])).toEqual(pair.publicKey.export({ format: "der", type: "spki" }));
    const message = random(30);
    const digest = new Uint8Array(createHash("sha256").update(message).digest());
    const scheme =
      keySpec === "RSA_2048"
        ? ({ scheme: "pkcs1", hash: "SHA-256" } as const)
        : ({ scheme: "ecdsa" } as const);
    const signature = await hsm.sign(key, { digest, scheme });
    const publicKey = createPublicKey({ key: Buffer.from(key.publicKey ?? []), format: "der", type: "spki" });
    expect(
      verifyWithOpenssl("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature),
    ).toBe(true);
  });

  test("material that is no key of the spec is refused and leaves nothing behind", async () => {
    const hsm = await open();
    const before = (await hsm.listKeys()).length;
    for (const [keySpec, length] of [
      ["Aliyun_AES_256", 31],
      ["RSA_2048", 300],
    ] as const) {
      const call = hsm.importKey({ keySpec, keyMaterial: random(length) });
      await expect(call).rejects.toMatchObject({ code: "InvalidArgument" });
    }
    expect((await hsm.listKeys()).length).toBe(before);
  });

  test("[HSM-6] F23: another key under the same id is refused, before it is used", async () => {
    const store = keptStore();
    const hsm = await open();
    const kms = await Kms.open({ store, rootKey, hsm });
    const { keyId, keyMetadata } = await kms.createKey({ protectionLevel: "HSM" });
    await kms.encrypt({ keyId, plaintext: random(4) });
    await kms.close();

    const id = hex(keyMetadata.primaryKeyVersion.replaceAll("-", ""));
    await hsm.destroyKey(await hsm.key({ id }));
    await hsm.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: random(32), id });
    const again = await Kms.open({ store, rootKey, hsm });
    const refusal = await expectRefusal(
      () => again.encrypt({ keyId, plaintext: random(4) }),
      "Rejected.RecordCorrupt",
    );
    expect(refusal.cause).toMatchObject({ name: "HsmError", code: "WrongKey" });
    await again.close();
  });

  test("[HSM-7] a deleted key takes its objects with it when the window is over", async () => {
    const clock = new TestClock();
    const hsm = await open();
    const kms = await Kms.open({ hsm, clock: clock.read });
    const { keyId, keyMetadata } = await kms.createKey({ protectionLevel: "HSM", keySpec: "EC_P256" });
    const id = hex(keyMetadata.primaryKeyVersion.replaceAll("-", ""));
    await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
    clock.advance(7 * DAY);
    await expectRefusal(() => kms.sign({ keyId, message: random(3) }), "Forbidden.KeyNotFound");
    await kms.close();
    await expect(hsm.key({ id })).rejects.toMatchObject({ code: "KeyNotFound" });
    await hsm.close();
  });

  test("[HSM-7] a Kms without the HSM leaves a due key to the next one that has it", async () => {
    const clock = new TestClock();
    const store = keptStore();
    const hsm = await open();
    const kms = await Kms.open({ store, rootKey, hsm, clock: clock.read });
    const { keyId, keyMetadata } = await kms.createKey({ protectionLevel: "HSM" });
    const id = hex(keyMetadata.primaryKeyVersion.replaceAll("-", ""));
    await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
    await kms.close();
    clock.advance(8 * DAY);
    await (await Kms.open({ store, rootKey, clock: clock.read })).close();
    expect(await hsm.key({ id })).toMatchObject({ keySpec: "Aliyun_AES_256" });
    await (await Kms.open({ store, rootKey, hsm, clock: clock.read })).close();
    await expect(hsm.key({ id })).rejects.toMatchObject({ code: "KeyNotFound" });
  });

  test("strict limits refuse advance* and rotation of hardware keys, and nothing else", async () => {
    const hsm = await open();
    const kms = await openKms({ hsm, limits: "strict" });
    const { keyId } = await kms.createKey({ protectionLevel: "HSM" });
    const plaintext = random(16);
    const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext });
    expect((await kms.decrypt({ keyId, ciphertextBlob, iv })).plaintext).toEqual(plaintext);
    for (const call of [
      () => kms.advanceEncrypt({ keyId, plaintext }),
      () => kms.advanceDecrypt({ keyId, ciphertextBlob, iv }),
      () => kms.advanceGenerateDataKey({ keyId }),
      () => kms.rotateKey({ keyId }),
    ]) {
      await expectRefusal(call, "Rejected.UnsupportedOperation");
    }
  });

  test("a Kms without an HSM makes no hardware keys, and takes nothing else for one", async () => {
    const kms = await openKms();
    await expectRefusal(() => kms.createKey({ protectionLevel: "HSM" }), "Unsupported.ProtectionLevel");
    await expectRefusal(() => Kms.open({ hsm: {} as never }), "InvalidParameter");
  });

  test("[ROOT-8] software keys are sealed under a key of the token, and open with no other", async () => {
    const store = keptStore();
    const hsm = await open();
    const kms = await Kms.open({ store, rootKey: { hsm, label: "store key" } });
    const { keyId } = await kms.createKey();
    const plaintext = random(9);
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    await kms.close();
    expect(await hsm.key({ label: "store key" })).toMatchObject({
      keySpec: "Aliyun_AES_256",
      extractable: false,
    });

    const again = await Kms.open({ store, rootKey: { hsm, label: "store key" } });
    expect((await again.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
    await again.close();
    for (const wrong of [{ hsm, label: "another" }, rootKey, { passphrase: "guess" }]) {
      await expectRefusal(() => Kms.open({ store, rootKey: wrong }), "InvalidRootKey");
    }
    await hsm.destroyKey(await hsm.key({ label: "store key" }));
    await expectRefusal(() => Kms.open({ store, rootKey: { hsm, label: "store key" } }), "InvalidRootKey");
  });
});
