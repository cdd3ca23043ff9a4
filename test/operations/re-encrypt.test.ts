/** ReEncrypt, ExportDataKey, GenerateAndExportDataKey and Inspect. */

import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { expectRefusal, hex, newKey, openKms, patterned } from "../support/kms.ts";

const plaintext = patterned(40);
const encryptionContext = { tenant: "7" };
let kms: Kms;
let keyId: string;
let otherKeyId: string;
beforeAll(async () => {
  kms = await openKms();
  keyId = await newKey(kms);
  otherKeyId = await newKey(kms);
});

describe("reEncrypt", () => {
  test("answers the same bytes when key, version and binding are current already", async () => {
    const { ciphertextBlob, keyVersionId } = await kms.advanceEncrypt({
      keyId,
      plaintext,
      encryptionContext,
    });
    const before = (await kms.describeKeyVersion({ keyId, keyVersionId })).keyVersion.usageCount;
    const kept = Uint8Array.from(ciphertextBlob);
    for (const more of [
      {},
      { destinationKeyId: keyId },
      { destinationEncryptionContext: { ...encryptionContext } },
    ]) {
      const answer = await kms.reEncrypt({
        ciphertextBlob,
        sourceEncryptionContext: encryptionContext,
        ...more,
      });
      expect(answer).toMatchObject({
        changed: false,
        keyId,
        keyVersionId,
        destinationKeyId: keyId,
        destinationKeyVersionId: keyVersionId,
      });
      expect(answer.ciphertextBlob).toEqual(kept);
      expect(answer.ciphertextBlob.buffer).not.toBe(ciphertextBlob.buffer);
    }
    expect((await kms.describeKeyVersion({ keyId, keyVersionId })).keyVersion.usageCount).toBe(before);
  });

  test("authenticates a current blob all the same", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
    await expectRefusal(() => kms.reEncrypt({ ciphertextBlob }), "InvalidCiphertext");
    await expectRefusal(
      () => kms.reEncrypt({ ciphertextBlob, sourceEncryptionContext: {}, destinationEncryptionContext: {} }),
      "InvalidCiphertext",
    );
  });

  test("moves a blob to the newest version and keeps its context", async () => {
    const rotating = await newKey(kms);
    const old = await kms.advanceEncrypt({ keyId: rotating, plaintext, encryptionContext });
    const { keyVersionId } = await kms.rotateKey({ keyId: rotating });
    const { ciphertextBlob } = old;
    const moved = await kms.reEncrypt({ ciphertextBlob, sourceEncryptionContext: encryptionContext });
    expect(moved).toMatchObject({
      changed: true,
      keyId: rotating,
      keyVersionId: old.keyVersionId,
      destinationKeyId: rotating,
      destinationKeyVersionId: keyVersionId,
    });
    const opened = await kms.advanceDecrypt({ ciphertextBlob: moved.ciphertextBlob, encryptionContext });
    expect([opened.plaintext, opened.keyVersionId]).toEqual([plaintext, keyVersionId]);
    const again = await kms.reEncrypt({
      ciphertextBlob: moved.ciphertextBlob,
      sourceEncryptionContext: encryptionContext,
    });
    expect(again.changed).toBe(false);
  });

  test("changes, keeps or drops the binding as asked", async () => {
    const aad = patterned(11);
    const sources = [{}, { sourceAad: aad }, { sourceEncryptionContext: encryptionContext }];
    const bindingOf = (source: {
      sourceAad?: Uint8Array;
      sourceEncryptionContext?: Record<string, string>;
    }): object => ({
      ...(source.sourceAad === undefined ? {} : { aad: source.sourceAad }),
      ...(source.sourceEncryptionContext === undefined
        ? {}
        : { encryptionContext: source.sourceEncryptionContext }),
    });
    for (const source of sources) {
      const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, ...bindingOf(source) });
      const destinations: [object, object][] = [
        [{}, bindingOf(source)],
        [{ destinationAad: undefined, destinationEncryptionContext: undefined }, bindingOf(source)],
        [{ destinationAad: null }, {}],
        [{ destinationEncryptionContext: null }, {}],
        [{ destinationAad: patterned(3) }, { aad: patterned(3) }],
        [{ destinationEncryptionContext: { a: "1" } }, { encryptionContext: { a: "1" } }],
        [{ destinationEncryptionContext: {} }, { encryptionContext: {} }],
      ];
      for (const [destination, binding] of destinations) {
        for (const destinationKeyId of [undefined, keyId, otherKeyId]) {
          const moved = await kms.reEncrypt({ ciphertextBlob, ...source, ...destination, destinationKeyId });
          const opened = await kms.advanceDecrypt({ ciphertextBlob: moved.ciphertextBlob, ...binding });
          expect(opened.plaintext).toEqual(plaintext);
          expect(opened.keyId).toBe(destinationKeyId ?? keyId);
          expect([moved.keyId, moved.destinationKeyId]).toEqual([keyId, destinationKeyId ?? keyId]);
        }
      }
    }
  });

  test("wants both keys enabled and the destination known", async () => {
    const source = await newKey(kms);
    const destination = await newKey(kms);
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId: source, plaintext });
    const move = () => kms.reEncrypt({ ciphertextBlob, destinationKeyId: destination });
    await kms.disableKey({ keyId: destination });
    await expectRefusal(move, "Rejected.Disabled");
    await kms.enableKey({ keyId: destination });
    await kms.disableKey({ keyId: source });
    await expectRefusal(move, "Rejected.Disabled");
    await expectRefusal(() => kms.reEncrypt({ ciphertextBlob }), "Rejected.Disabled");
    await kms.enableKey({ keyId: source });
    expect((await move()).changed).toBe(true);
    const unknown = { ciphertextBlob, destinationKeyId: "key-00000000000000000000" };
    await expectRefusal(() => kms.reEncrypt(unknown), "Forbidden.KeyNotFound");
  });

  test("takes blobs only, not detached ciphertext", async () => {
    const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext });
    await expectRefusal(() => kms.reEncrypt({ ciphertextBlob }), "InvalidCiphertext");
  });
});

describe("exported data keys", () => {
  const ALGORITHMS = [
    ["RSAES_OAEP_SHA_256", "sha256", 32],
    ["RSAES_OAEP_SHA_1", "sha1", 20],
  ] as const;
  const SPECS = [
    ["RSA_2048", 256],
    ["RSA_3072", 384],
    ["RSA_4096", 512],
  ] as const;
  const pairs = new Map(
    SPECS.map(([spec, bytes]) => [spec, generateKeyPairSync("rsa", { modulusLength: bytes * 8 })]),
  );
  const spkiOf = (spec: (typeof SPECS)[number][0]): Uint8Array =>
    new Uint8Array(pairs.get(spec)?.publicKey.export({ format: "der", type: "spki" }) ?? []);
  const unwrap = (spec: (typeof SPECS)[number][0], oaepHash: string, wrapped: Uint8Array): Uint8Array => {
    const key = pairs.get(spec)?.privateKey;
    if (key === undefined) throw new Error("no such pair");
    return new Uint8Array(
      privateDecrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, wrapped),
    );
  };

  test.each(SPECS)(
    "are opened by node:crypto with the private half of %s",
    async (wrappingKeySpec, modulusBytes) => {
      for (const [wrappingAlgorithm, hash, hashBytes] of ALGORITHMS) {
        const wrapping = { publicKeyBlob: spkiOf(wrappingKeySpec), wrappingKeySpec, wrappingAlgorithm };
        const max = modulusBytes - 2 * hashBytes - 2;
        for (const numberOfBytes of [1, 32, max]) {
          const made = await kms.generateAndExportDataKey({
            keyId,
            numberOfBytes,
            encryptionContext,
            ...wrapping,
          });
          const dataKey = unwrap(wrappingKeySpec, hash, made.exportedDataKey);
          const { ciphertextBlob } = made;
          const opened = await kms.advanceDecrypt({ ciphertextBlob, encryptionContext });
          expect(dataKey).toHaveLength(numberOfBytes);
          expect(opened.plaintext).toEqual(dataKey);
          expect([made.keyId, made.keyVersionId]).toEqual([opened.keyId, opened.keyVersionId]);
          expect(made.iv).toEqual(ciphertextBlob.slice(24, 36));
          expect(made).not.toHaveProperty("plaintext");

          const exported = await kms.exportDataKey({ ciphertextBlob, encryptionContext, ...wrapping });
          expect(unwrap(wrappingKeySpec, hash, exported.exportedDataKey)).toEqual(dataKey);
          expect([exported.keyId, exported.keyVersionId]).toEqual([opened.keyId, opened.keyVersionId]);
        }
        const tooLong = await expectRefusal(
          () => kms.generateAndExportDataKey({ keyId, numberOfBytes: max + 1, ...wrapping }),
          "InvalidParameter",
        );
        expect(tooLong.message).toContain("numberOfBytes");
        const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: patterned(max + 1) });
        await expectRefusal(() => kms.exportDataKey({ ciphertextBlob, ...wrapping }), "InvalidParameter");
      }
    },
  );

  test("need a public key of the spec they name, as DER", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    const pem = new TextEncoder().encode(
      String(pairs.get("RSA_2048")?.publicKey.export({ format: "pem", type: "spki" })),
    );
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
    const bad: [Uint8Array, "RSA_2048" | "RSA_3072"][] = [
      [spkiOf("RSA_2048"), "RSA_3072"],
      [spkiOf("RSA_4096"), "RSA_2048"],
      [pem, "RSA_2048"],
      [new Uint8Array(0), "RSA_2048"],
      [spkiOf("RSA_2048").slice(0, -1), "RSA_2048"],
      [Uint8Array.from([...spkiOf("RSA_2048"), 0]), "RSA_2048"],
      [new Uint8Array(ec.export({ format: "der", type: "spki" })), "RSA_2048"],
      [
        new Uint8Array(pairs.get("RSA_2048")?.publicKey.export({ format: "der", type: "pkcs1" }) ?? []),
        "RSA_2048",
      ],
    ];
    for (const [publicKeyBlob, wrappingKeySpec] of bad) {
      const wrapping = { publicKeyBlob, wrappingKeySpec, wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as const;
      for (const call of [
        () => kms.exportDataKey({ ciphertextBlob, ...wrapping }),
        () => kms.generateAndExportDataKey({ keyId, ...wrapping }),
      ]) {
        expect((await expectRefusal(call, "InvalidParameter")).message).toContain("publicKeyBlob");
      }
    }
  });

  test("follow the primary version, and 32 bytes are the default", async () => {
    const rotating = await newKey(kms);
    const { keyVersionId } = await kms.rotateKey({ keyId: rotating });
    const wrapping = {
      publicKeyBlob: spkiOf("RSA_2048"),
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    } as const;
    const made = await kms.generateAndExportDataKey({ keyId: rotating, ...wrapping });
    expect(made.keyVersionId).toBe(keyVersionId);
    expect(unwrap("RSA_2048", "sha256", made.exportedDataKey)).toHaveLength(32);
  });
});

describe("inspect", () => {
  test("reads a blob of a known key without opening it", async () => {
    const made = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
    const told = await kms.inspect({ ciphertextBlob: made.ciphertextBlob });
    expect({ ...told, requestId: "" }).toEqual({
      keyId,
      keyVersionId: made.keyVersionId,
      algorithm: "AES_GCM",
      formatVersion: 1,
      authenticated: false,
      requestId: "",
    });
  });

  test("leaves keyId out for a version that is not here and refuses what is no blob [BLOB-8]", async () => {
    const made = await kms.advanceEncrypt({ keyId, plaintext });
    const foreign = Uint8Array.from(made.ciphertextBlob);
    foreign.set(hex("00112233445566778899aabbccddeeff"), 8);
    const told = await kms.inspect({ ciphertextBlob: foreign });
    expect(told).not.toHaveProperty("keyId");
    expect(told.keyVersionId).toBe("00112233-4455-6677-8899-aabbccddeeff");
    for (const ciphertextBlob of [new Uint8Array(0), patterned(100), foreign.slice(0, 52)]) {
      await expectRefusal(() => kms.inspect({ ciphertextBlob }), "InvalidCiphertext");
    }
  });
});
