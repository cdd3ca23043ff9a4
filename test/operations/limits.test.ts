/** Sizes at and just beyond each limit of the data plane. */

import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const MIB = 1024 * 1024;
let kms: Kms;
let strict: Kms;
let keyId: string;
let strictKeyId: string;
let hmacKeyId: string;
let ecKeyId: string;
let rsaKeyId: string;

beforeAll(async () => {
  kms = await openKms();
  strict = await openKms({ limits: "strict" });
  keyId = await newKey(kms);
  strictKeyId = await newKey(strict);
  hmacKeyId = await newKey(kms, { keySpec: "HMAC_SHA_512" });
  ecKeyId = await newKey(kms, { keySpec: "EC_P256" });
  rsaKeyId = await newKey(kms, { keySpec: "RSA_2048" });
});

describe("symmetric plaintext", () => {
  test.each([1, 6145, 3 * MIB])("of %i bytes is sealed and opened", async (length) => {
    const plaintext = patterned(length);
    const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext });
    const blob = (await kms.advanceEncrypt({ keyId, plaintext })).ciphertextBlob;
    expect([ciphertextBlob.length, blob.length]).toEqual([length + 16, length + 52]);
    const opened = [
      (await kms.decrypt({ keyId, ciphertextBlob, iv })).plaintext,
      (await kms.advanceDecrypt({ ciphertextBlob: blob })).plaintext,
      (
        await kms.advanceDecrypt({
          ciphertextBlob: (
            await kms.reEncrypt({ ciphertextBlob: blob, destinationAad: patterned(1) })
          ).ciphertextBlob,
          aad: patterned(1),
        })
      ).plaintext,
    ];
    for (const bytes of opened) expect(Buffer.compare(bytes, plaintext)).toBe(0);
  });

  test("of 3 MiB and a byte is refused", async () => {
    const plaintext = new Uint8Array(3 * MIB + 1);
    for (const call of [
      () => kms.encrypt({ keyId, plaintext }),
      () => kms.advanceEncrypt({ keyId, plaintext }),
    ]) {
      expect((await expectRefusal(call, "InvalidParameter")).message).toBe(
        "plaintext must have at most 3145728 bytes.",
      );
    }
  });

  test("has at most 6144 bytes under strict limits, for sealing alone", async () => {
    const fits = patterned(6144);
    const { ciphertextBlob } = await strict.advanceEncrypt({ keyId: strictKeyId, plaintext: fits });
    expect((await strict.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(fits);
    expect((await strict.encrypt({ keyId: strictKeyId, plaintext: fits })).ciphertextBlob).toHaveLength(6160);
    const plaintext = patterned(6145);
    for (const call of [
      () => strict.encrypt({ keyId: strictKeyId, plaintext }),
      () => strict.advanceEncrypt({ keyId: strictKeyId, plaintext }),
    ]) {
      expect((await expectRefusal(call, "InvalidParameter")).message).toBe(
        "plaintext must have at most 6144 bytes.",
      );
    }
  });

  test("is missing when it is empty", async () => {
    const plaintext = new Uint8Array(0);
    for (const call of [
      () => kms.encrypt({ keyId, plaintext }),
      () => kms.advanceEncrypt({ keyId, plaintext }),
      () => kms.encrypt({ keyId: rsaKeyId, plaintext }),
      () => kms.sign({ keyId: rsaKeyId, message: plaintext }),
      () => kms.verify({ keyId: rsaKeyId, message: plaintext, signature: patterned(256) }),
      () => kms.generateMac({ keyId: hmacKeyId, message: plaintext }),
      () => kms.verifyMac({ keyId: hmacKeyId, message: plaintext, mac: patterned(64) }),
    ]) {
      expect((await expectRefusal(call, "MissingParameter")).message).toMatch(
        /^(plaintext|message) must not be empty\.$/,
      );
    }
  });
});

test("a ciphertextBlob has at most 3 MiB and 1 KiB", async () => {
  const largest = new Uint8Array(3 * MIB + 1024);
  const tooLarge = new Uint8Array(3 * MIB + 1025);
  const iv = patterned(12);
  const calls = [
    (ciphertextBlob: Uint8Array) => kms.decrypt({ keyId, ciphertextBlob, iv }),
    (ciphertextBlob: Uint8Array) => kms.advanceDecrypt({ ciphertextBlob }),
    (ciphertextBlob: Uint8Array) => kms.reEncrypt({ ciphertextBlob }),
    (ciphertextBlob: Uint8Array) => kms.inspect({ ciphertextBlob }),
  ];
  for (const call of calls) {
    await expectRefusal(() => call(largest), "InvalidCiphertext");
    expect((await expectRefusal(() => call(tooLarge), "InvalidParameter")).message).toContain(
      "ciphertextBlob",
    );
  }
});

test.each([0, 1, 11, 13, 16, 24])("an iv of %i bytes is refused", async (length) => {
  const iv = new Uint8Array(length);
  const ciphertextBlob = patterned(40);
  for (const call of [
    () => kms.encrypt({ keyId, plaintext: patterned(1), iv }),
    () => kms.advanceEncrypt({ keyId, plaintext: patterned(1), iv }),
    () => kms.decrypt({ keyId, ciphertextBlob, iv }),
    () => kms.advanceDecrypt({ keyId, ciphertextBlob, iv }),
  ]) {
    expect((await expectRefusal(call, "InvalidParameter")).message).toBe("iv must be 12 bytes.");
  }
});

describe("data keys", () => {
  const makers = [
    "generateDataKey",
    "generateDataKeyWithoutPlaintext",
    "advanceGenerateDataKey",
    "advanceGenerateDataKeyWithoutPlaintext",
  ] as const;

  test.each(makers)("of %s have the length asked for", async (maker) => {
    const overhead = maker.startsWith("advance") ? 52 : 16;
    const lengths: [object, number][] = [
      [{}, 32],
      [{ keySpec: "AES_256" }, 32],
      [{ keySpec: "AES_128" }, 16],
      [{ numberOfBytes: 1 }, 1],
      [{ numberOfBytes: 33 }, 33],
      [{ numberOfBytes: 1024 }, 1024],
      [{ numberOfBytes: 64, keySpec: "AES_128" }, 64],
      [{ numberOfBytes: undefined, keySpec: undefined }, 32],
    ];
    for (const [fields, length] of lengths) {
      const made = await kms[maker]({ keyId, ...fields });
      expect(made.ciphertextBlob).toHaveLength(length + overhead);
      const request = {
        keyId,
        ciphertextBlob: made.ciphertextBlob,
        ...(maker.startsWith("advance") ? {} : { iv: made.iv }),
      };
      const { plaintext } = await kms.advanceDecrypt(request);
      expect(plaintext).toHaveLength(length);
      if (maker.endsWith("WithoutPlaintext")) expect(made).not.toHaveProperty("plaintext");
      else expect(made).toHaveProperty("plaintext", plaintext);
    }
  });

  test.each(makers)("of %s refuse every other length", async (maker) => {
    for (const value of [
      0,
      -1,
      1025,
      1.5,
      "32",
      Number.NaN,
      Number.POSITIVE_INFINITY,
      null,
      32n,
      [32],
      new Number(32),
    ]) {
      const refusal = await expectRefusal(
        () => kms[maker]({ keyId, numberOfBytes: value as number }),
        "InvalidParameter",
      );
      expect(refusal.message).toBe("numberOfBytes must be an integer from 1 to 1024.");
    }
    for (const value of ["AES_192", "aes_256", "", null, 256, ["AES_256"]]) {
      const refusal = await expectRefusal(
        () => kms[maker]({ keyId, keySpec: value as "AES_256" }),
        "InvalidParameter",
      );
      expect(refusal.message).toBe("keySpec must be one of AES_256, AES_128.");
    }
  });
});

describe("random bytes", () => {
  test("come in every length from 1 to 1024", async () => {
    for (const length of [1, 2, 255, 1023, 1024]) {
      const { random } = await kms.generateRandom({ length });
      expect(random).toHaveLength(length);
      expect(random.buffer.byteLength).toBe(length);
    }
    const [a, b] = [await kms.generateRandom({ length: 1024 }), await kms.generateRandom({ length: 1024 })];
    expect(a.random).not.toEqual(b.random);
    expect(new Set(a.random).size).toBeGreaterThan(200);
  });

  test("come in no other length", async () => {
    for (const value of [0, -1, 1025, 1.5, "8", Number.NaN, null, 8n]) {
      const refusal = await expectRefusal(
        () => kms.generateRandom({ length: value as number }),
        "InvalidParameter",
      );
      expect(refusal.message).toBe("length must be an integer from 1 to 1024.");
    }
    expect(
      (await expectRefusal(() => kms.generateRandom({} as { length: number }), "MissingParameter")).message,
    ).toContain("length");
  });
});

describe("messages", () => {
  test("of 3 MiB are signed and authenticated, a byte more is refused", async () => {
    const message = patterned(3 * MIB);
    for (const id of [ecKeyId, rsaKeyId]) {
      const { signature } = await kms.sign({ keyId: id, message });
      expect((await kms.verify({ keyId: id, message, signature })).value).toBe(true);
    }
    const { mac } = await kms.generateMac({ keyId: hmacKeyId, message });
    expect((await kms.verifyMac({ keyId: hmacKeyId, message, mac })).value).toBe(true);

    const tooLong = new Uint8Array(3 * MIB + 1);
    for (const call of [
      () => kms.sign({ keyId: ecKeyId, message: tooLong }),
      () => kms.verify({ keyId: ecKeyId, message: tooLong, signature: patterned(70) }),
      () => kms.generateMac({ keyId: hmacKeyId, message: tooLong }),
      () => kms.verifyMac({ keyId: hmacKeyId, message: tooLong, mac }),
    ]) {
      expect((await expectRefusal(call, "InvalidParameter")).message).toBe(
        "message must have at most 3145728 bytes.",
      );
    }
  });

  test("that are digests have exactly the length of the hash", async () => {
    const lengths = { SHA_256: 32, SHA_384: 48, SHA_512: 64 } as const;
    for (const scheme of ["RSA_PSS", "RSA_PKCS1"] as const) {
      for (const [hash, length] of Object.entries(lengths) as ["SHA_256", number][]) {
        const request = { keyId: rsaKeyId, algorithm: `${scheme}_${hash}`, messageType: "DIGEST" } as const;
        const { signature } = await kms.sign({ ...request, message: patterned(length) });
        expect((await kms.verify({ ...request, message: patterned(length), signature })).value).toBe(true);
        for (const other of [1, 20, length - 1, length + 1, 128]) {
          const message = patterned(other);
          const refused = await expectRefusal(() => kms.sign({ ...request, message }), "InvalidParameter");
          expect(refused.message).toBe(
            `message must be a digest of ${length} bytes for ${request.algorithm}.`,
          );
          await expectRefusal(() => kms.verify({ ...request, message, signature }), "InvalidParameter");
        }
      }
    }
  });
});
