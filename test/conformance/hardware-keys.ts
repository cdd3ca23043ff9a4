/**
 * What keys in every token must do through the facade. Called once per module; what a module lacks is listed, and that it
 * is refused, and by which error, is tested like all else. Public halves are checked with node:crypto.
 */

import {
  constants,
  createPublicKey,
  publicEncrypt,
  randomBytes,
  verify as verifyWithOpenssl,
} from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hsm } from "../../src/hsm.ts";
import { type KeySpec, Kms, type SignatureAlgorithm } from "../../src/index.ts";
import { newModule, openToken } from "../hsm/open.ts";
import type { ModuleName } from "../support/hsm-modules.ts";
import { codeOfCall, expectRefusal } from "../support/kms.ts";

type SymmetricSpec = Extract<KeySpec, `Aliyun_AES_${string}`>;

const AES_SPECS: readonly SymmetricSpec[] = ["Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128"];
const BLOCK_ALGORITHMS = ["AES_CBC", "AES_ECB"] as const;
const OAEP_ALGORITHMS = ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"] as const;
const RSA_SIGNATURES: readonly SignatureAlgorithm[] = [
  "RSA_PSS_SHA_256",
  "RSA_PSS_SHA_384",
  "RSA_PSS_SHA_512",
  "RSA_PKCS1_SHA_256",
  "RSA_PKCS1_SHA_384",
  "RSA_PKCS1_SHA_512",
];
const ECDSA_SIGNATURES: readonly SignatureAlgorithm[] = ["ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512"];

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const hashOf = (algorithm: string): string => `sha${algorithm.slice(-3)}`;

/** Verifies with OpenSSL, the reference of this suite. */
function verifies(
  algorithm: SignatureAlgorithm,
  publicKeyDer: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  dsaEncoding: "der" | "ieee-p1363" = "der",
): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKeyDer), format: "der", type: "spki" });
  const isPss = algorithm.startsWith("RSA_PSS");
  const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const options = {
    key,
    dsaEncoding,
    padding,
    ...(isPss ? { saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}),
  };
  return verifyWithOpenssl(hashOf(algorithm), message, options, signature);
}

/** @param exceptions key specs and `spec algorithm` pairs that the module lacks */
export function describeHardwareKeys(name: ModuleName, exceptions: ReadonlySet<string>): void {
  let hsm: Hsm;
  let kms: Kms;
  const served = (what: string): boolean => !exceptions.has(what);

  beforeAll(async () => {
    hsm = await openToken(newModule(name));
    kms = await Kms.open({ hsm });
  });
  afterAll(() => kms?.close());

  const create = async (keySpec: KeySpec, keyUsage?: "ENCRYPT/DECRYPT" | "SIGN/VERIFY"): Promise<string> =>
    (await kms.createKey({ protectionLevel: "HSM", keySpec, keyUsage })).keyId;

  describe.each(AES_SPECS)("%s", (spec) => {
    let keyId: string;
    beforeAll(async () => {
      keyId = await create(spec);
    });

    test("the key says where it lives, and the token holds it sensitive and without a way out", async () => {
      const { keyMetadata } = await kms.describeKey({ keyId });
      expect(keyMetadata).toMatchObject({ protectionLevel: "HSM", keySpec: spec, keyState: "Enabled" });
      const found = (await hsm.listKeys()).find((key) => key.label.includes(keyId));
      expect(found).toMatchObject({ keySpec: spec, extractable: false });
      expect(found?.checkValue).toHaveLength(8);
      expect(found?.id).toHaveLength(16);
    });

    test("encrypt and decrypt, advanceEncrypt and advanceDecrypt undo each other in random cases", async () => {
      const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
      const lengths = fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(1000, 4096, 65_537));
      await fc.assert(
        fc.asyncProperty(lengths, fc.uint8Array({ maxLength: 100 }), async (length, aad) => {
          const plaintext = random(length);
          const sealed = await kms.encrypt({ keyId, plaintext, aad });
          expect(sealed.ciphertextBlob).toHaveLength(length + 16);
          const { ciphertextBlob, iv } = sealed;
          expect(same((await kms.decrypt({ keyId, ciphertextBlob, iv, aad })).plaintext, plaintext)).toBe(
            true,
          );
          const blob = await kms.advanceEncrypt({ keyId, plaintext, aad });
          expect(
            same(
              (await kms.advanceDecrypt({ ciphertextBlob: blob.ciphertextBlob, aad })).plaintext,
              plaintext,
            ),
          ).toBe(true);
          expect(
            same((await kms.advanceDecrypt({ keyId, ciphertextBlob, iv, aad })).plaintext, plaintext),
          ).toBe(true);
        }),
        { numRuns: 25 },
      );
    });

    test("every change of ciphertext, iv or aad is InvalidCiphertext, whatever the module calls it", async () => {
      const [plaintext, aad] = [random(20), random(10)];
      const { ciphertextBlob, iv = random(12) } = await kms.encrypt({ keyId, plaintext, aad });
      const tampered = [
        { keyId, ciphertextBlob: ciphertextBlob.map((byte, i) => (i === 3 ? byte ^ 1 : byte)), iv, aad },
        { keyId, ciphertextBlob: ciphertextBlob.map((byte, i) => (i === 30 ? byte ^ 1 : byte)), iv, aad },
        { keyId, ciphertextBlob: ciphertextBlob.subarray(0, 20), iv, aad },
        { keyId, ciphertextBlob, iv: iv.map((byte) => byte ^ 1), aad },
        { keyId, ciphertextBlob, iv, aad: random(10) },
        { keyId, ciphertextBlob, iv },
        { keyId, ciphertextBlob: new Uint8Array(0), iv, aad },
      ];
      for (const request of tampered) await expectRefusal(() => kms.decrypt(request), "InvalidCiphertext");
      expect((await kms.decrypt({ keyId, ciphertextBlob, iv, aad })).plaintext).toEqual(plaintext);
    });

    test("data keys come out sealed under the key", async () => {
      const made = await kms.generateDataKey({ keyId, numberOfBytes: 24 });
      const { ciphertextBlob, iv } = made;
      expect((await kms.decrypt({ keyId, ciphertextBlob, iv })).plaintext).toEqual(made.plaintext);
      const advance = await kms.advanceGenerateDataKey({ keyId });
      expect((await kms.advanceDecrypt({ ciphertextBlob: advance.ciphertextBlob })).plaintext).toEqual(
        advance.plaintext,
      );
    });

    test("a rotated key seals under the new version and opens both", async () => {
      const before = await kms.advanceEncrypt({ keyId, plaintext: random(5) });
      await kms.rotateKey({ keyId });
      const after = await kms.advanceEncrypt({ keyId, plaintext: random(5) });
      expect(after.keyVersionId).not.toBe(before.keyVersionId);
      for (const { ciphertextBlob } of [before, after]) await kms.advanceDecrypt({ ciphertextBlob });
      const moved = await kms.reEncrypt({ ciphertextBlob: before.ciphertextBlob });
      expect(moved).toMatchObject({ changed: true, destinationKeyVersionId: after.keyVersionId });
    });

    describe.each(BLOCK_ALGORITHMS)("%s", (algorithm) => {
      test.each(["PKCS7_PADDING", "NO_PADDING"] as const)(
        "%s undoes itself and refuses what cannot be",
        async (paddingMode) => {
          for (const length of [1, 15, 16, 17, 32, 1000]) {
            const plaintext = random(length);
            const call = (): ReturnType<Kms["encrypt"]> =>
              kms.encrypt({ keyId, algorithm, paddingMode, plaintext });
            if (paddingMode === "NO_PADDING" && length % 16 !== 0) {
              await expectRefusal(call, "InvalidParameter");
              continue;
            }
            const { ciphertextBlob, iv } = await call();
            expect(iv?.length).toBe(algorithm === "AES_CBC" ? 16 : undefined);
            const opened = await kms.decrypt({ keyId, algorithm, paddingMode, ciphertextBlob, iv });
            expect(opened.plaintext).toEqual(plaintext);
            const cut = { keyId, algorithm, paddingMode, ciphertextBlob: ciphertextBlob.subarray(1), iv };
            await expectRefusal(() => kms.decrypt(cut), "InvalidCiphertext");
          }
        },
      );
    });
  });

  test("AES_CBC and AES_ECB are for hardware keys, and take no aad", async () => {
    const { keyId: software } = await kms.createKey();
    const plaintext = random(16);
    const request = { algorithm: "AES_CBC", plaintext } as const;
    await expectRefusal(() => kms.encrypt({ keyId: software, ...request }), "InvalidParameter");
    const keyId = await create("Aliyun_AES_256");
    await expectRefusal(() => kms.encrypt({ keyId, ...request, aad: random(3) }), "InvalidParameter");
    await expectRefusal(
      () => kms.encrypt({ keyId, plaintext, paddingMode: "NO_PADDING" }),
      "InvalidParameter",
    );
  });

  describe.each(["RSA_2048", "RSA_3072", "RSA_4096"] as const)("%s", (spec) => {
    test("signs as OpenSSL verifies, over messages and digests", async () => {
      const keyId = await create(spec, "SIGN/VERIFY");
      const { publicKeyDer } = await kms.getPublicKey({ keyId });
      for (const algorithm of RSA_SIGNATURES) {
        const message = random(50);
        const call = (): ReturnType<Kms["sign"]> => kms.sign({ keyId, algorithm, message });
        if (!served(`${spec} ${algorithm}`)) {
          await expectRefusal(call, "Rejected.UnsupportedOperation");
          continue;
        }
        const { signature } = await call();
        expect(verifies(algorithm, publicKeyDer, message, signature), algorithm).toBe(true);
        expect((await kms.verify({ keyId, algorithm, message, signature })).value).toBe(true);
        expect((await kms.verify({ keyId, algorithm, message: random(50), signature })).value).toBe(false);
      }
    });

    test("opens what OpenSSL and the facade encrypt to it, and nothing else", async () => {
      const keyId = await create(spec, "ENCRYPT/DECRYPT");
      const { publicKeyDer } = await kms.getPublicKey({ keyId });
      const key = createPublicKey({ key: Buffer.from(publicKeyDer), format: "der", type: "spki" });
      for (const algorithm of OAEP_ALGORITHMS) {
        const plaintext = random(30);
        if (!served(`${spec} ${algorithm}`)) {
          await expectRefusal(
            () => kms.encrypt({ keyId, algorithm, plaintext }),
            "Rejected.UnsupportedOperation",
          );
          const ciphertextBlob = random(key.asymmetricKeyDetails?.modulusLength ?? 0).subarray(0, 256);
          await expectRefusal(
            () => kms.decrypt({ keyId, algorithm, ciphertextBlob }),
            "Rejected.UnsupportedOperation",
          );
          continue;
        }
        const oaepHash = algorithm === "RSAES_OAEP_SHA_256" ? "sha256" : "sha1";
        const foreign = publicEncrypt(
          { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash },
          plaintext,
        );
        const { ciphertextBlob } = await kms.encrypt({ keyId, algorithm, plaintext });
        for (const ciphertext of [new Uint8Array(foreign), ciphertextBlob]) {
          const opened = await kms.decrypt({ keyId, algorithm, ciphertextBlob: ciphertext });
          expect(opened.plaintext).toEqual(plaintext);
        }
        const tampered = ciphertextBlob.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
        for (const bad of [
          tampered,
          ciphertextBlob.subarray(1),
          random(ciphertextBlob.length).fill(0, 0, 1),
        ]) {
          await expectRefusal(
            () => kms.decrypt({ keyId, algorithm, ciphertextBlob: bad }),
            "InvalidCiphertext",
          );
        }
      }
    });
  });

  describe.each(["EC_P256", "EC_P256K"] as const)("%s", (spec) => {
    test("signs as OpenSSL verifies, in both formats and with low s on demand", async () => {
      if (!served(spec)) {
        await expectRefusal(() => create(spec), "Rejected.UnsupportedOperation");
        return;
      }
      const keyId = await create(spec);
      const { publicKeyDer } = await kms.getPublicKey({ keyId });
      for (const algorithm of ECDSA_SIGNATURES) {
        const message = random(40);
        const { signature } = await kms.sign({ keyId, algorithm, message });
        expect(verifies(algorithm, publicKeyDer, message, signature), algorithm).toBe(true);
        const flat = await kms.sign({ keyId, algorithm, message, signatureFormat: "P1363", lowS: true });
        expect(flat.signature).toHaveLength(64);
        expect(flat.signature[32]).toBeLessThan(0x80);
        expect(verifies(algorithm, publicKeyDer, message, flat.signature, "ieee-p1363")).toBe(true);
        expect((await kms.verify({ keyId, algorithm, message, signature })).value).toBe(true);
      }
    });

    test("does not take ECIES", async () => {
      await expectRefusal(() => create(spec, "ENCRYPT/DECRYPT"), "Rejected.UnsupportedOperation");
    });
  });

  test("a batch of random items over software and hardware keys gives what single calls give", async () => {
    const [soft, hard] = [(await kms.createKey()).keyId, await create("Aliyun_AES_128")];
    const item = fc.record({
      keyId: fc.constantFrom(soft, hard, "key-00000000000000000000"),
      plaintext: fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.uint8Array({ minLength: 900, maxLength: 5000 }),
      ),
      aad: fc.uint8Array({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(item, { maxLength: 100 }), async (requests) => {
        const results = await kms.encryptBatch(requests);
        expect(results).toHaveLength(requests.length);
        const sealed = results.map((result, i) => ({ result, request: requests[i] }));
        for (const { result, request } of sealed) {
          if (request === undefined) throw new Error("a result without a request");
          const expected =
            request.plaintext.length === 0
              ? "MissingParameter"
              : request.keyId.startsWith("key-000")
                ? "Forbidden.KeyNotFound"
                : "none";
          expect(result.ok ? "none" : result.error.code).toBe(expected);
        }
        const good = sealed.flatMap(({ result, request }) =>
          result.ok && request ? [{ ...request, ...result.value }] : [],
        );
        const opened = await kms.decryptBatch(
          good.map(({ keyId, ciphertextBlob, iv, aad }) => ({ keyId, ciphertextBlob, iv, aad })),
        );
        expect(opened.map((each) => (each.ok ? each.value.plaintext : each.error))).toEqual(
          good.map(({ plaintext }) => plaintext),
        );
      }),
      { numRuns: 15 },
    );
  });

  test("sync twins refuse hardware keys before the token is asked", async () => {
    const keyId = await create("Aliyun_AES_256");
    const plaintext = random(8);
    const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext });
    const blob = await kms.advanceEncrypt({ keyId, plaintext });
    const submitted = (): number => hsm.stats().members[0]?.submitted ?? 0;
    const before = submitted();
    for (const call of [
      () => kms.encryptSync({ keyId, plaintext }),
      () => kms.decryptSync({ keyId, ciphertextBlob, iv }),
      () => kms.advanceEncryptSync({ keyId, plaintext }),
      () => kms.advanceDecryptSync({ ciphertextBlob: blob.ciphertextBlob }),
      () => kms.generateDataKeySync({ keyId }),
      () => kms.encryptSync({ keyId, plaintext, algorithm: "AES_ECB" }),
    ]) {
      expect(await codeOfCall(call)).toBe("Rejected.UnsupportedOperation");
    }
    expect(submitted()).toBe(before);
  });

  test("HMAC keys are not made in hardware", async () => {
    await expectRefusal(() => create("HMAC_SHA_256"), "Rejected.UnsupportedOperation");
  });
}
