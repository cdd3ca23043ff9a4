/** Which consumer opens which producer's ciphertext, and which key version each producer uses. */

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { codeOfCall, newKey, openKms, patterned, toHex } from "../support/kms.ts";

interface Produced {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly ciphertextBlob: Uint8Array;
  readonly iv: Uint8Array;
  readonly plaintext: Uint8Array;
}
interface Binding {
  readonly aad?: Uint8Array;
  readonly encryptionContext?: Record<string, string>;
}
type Produce = (kms: Kms, keyId: string, binding: Binding, plaintext: Uint8Array) => Promise<Produced>;

const PRODUCERS: Readonly<Record<string, Produce>> = {
  encrypt: async (kms, keyId, binding, plaintext) => {
    const { iv = new Uint8Array(0), ...sealed } = await kms.encrypt({ keyId, plaintext, ...binding });
    return { ...sealed, iv, plaintext };
  },
  generateDataKey: (kms, keyId, binding, plaintext) =>
    kms.generateDataKey({ keyId, numberOfBytes: plaintext.length, ...binding }),
  advanceEncrypt: async (kms, keyId, binding, plaintext) => ({
    ...(await kms.advanceEncrypt({ keyId, plaintext, ...binding })),
    plaintext,
  }),
  advanceGenerateDataKey: (kms, keyId, binding, plaintext) =>
    kms.advanceGenerateDataKey({ keyId, numberOfBytes: plaintext.length, ...binding }),
};
const DETACHED = ["encrypt", "generateDataKey"];

const binding: fc.Arbitrary<Binding> = fc.oneof(
  fc.constant({}),
  fc.uint8Array({ maxLength: 40 }).map((aad) => ({ aad })),
  fc
    .dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), {
      maxKeys: 3,
      noNullPrototype: true,
    })
    .map((encryptionContext) => ({ encryptionContext })),
);
/** From one byte to what a data key may have, around the sizes of blocks. */
const plaintexts = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 70 }),
  fc.constantFrom(1, 15, 16, 17, 255, 256, 1024).map((length) => new Uint8Array(length)),
);

/** Opens with both consumers, as a caller that kept everything would. */
async function consume(kms: Kms, produced: Produced, bound: Binding): Promise<Record<string, string>> {
  const { keyId, ciphertextBlob, iv, plaintext } = produced;
  const detached = iv !== undefined;
  expect(detached).toBe(true);
  const tryOpen = async (open: () => Promise<{ plaintext: Uint8Array; keyVersionId: string }>) => {
    const code = await codeOfCall(async () => {
      const opened = await open();
      expect(toHex(opened.plaintext)).toBe(toHex(plaintext));
      expect(opened.keyVersionId).toBe(produced.keyVersionId);
    });
    return code === "none" ? "opened" : code;
  };
  return {
    decrypt: await tryOpen(() => kms.decrypt({ keyId, ciphertextBlob, iv, ...bound })),
    advanceDecrypt: await tryOpen(() => kms.advanceDecrypt({ ciphertextBlob, ...bound })),
    advanceDecryptDetached: await tryOpen(() => kms.advanceDecrypt({ keyId, ciphertextBlob, iv, ...bound })),
  };
}

describe.each(["Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128"] as const)("under %s", (keySpec) => {
  let kms: Kms;
  let keyId: string;
  let firstVersion: string;
  let primary: string;
  beforeAll(async () => {
    kms = await openKms();
    keyId = await newKey(kms, { keySpec });
    firstVersion = (await kms.describeKey({ keyId })).keyMetadata.primaryKeyVersion;
    primary = firstVersion;
  });

  const sixOfEight = async (bound: Binding, plaintext: Uint8Array): Promise<void> => {
    let opened = 0;
    for (const [name, produce] of Object.entries(PRODUCERS)) {
      const produced = await produce(kms, keyId, bound, plaintext);
      const isDetached = DETACHED.includes(name);
      expect(produced.keyVersionId).toBe(isDetached ? firstVersion : primary);
      const outcome = await consume(kms, produced, bound);
      expect({ name, ...outcome }).toEqual({
        name,
        decrypt: isDetached ? "opened" : "InvalidCiphertext",
        advanceDecrypt: isDetached ? "InvalidCiphertext" : "opened",
        advanceDecryptDetached: isDetached ? "opened" : "InvalidCiphertext",
      });
      if (outcome.decrypt === "opened") opened += 1;
      if (outcome.advanceDecrypt === "opened" || outcome.advanceDecryptDetached === "opened") opened += 1;
    }
    expect(opened).toBe(6);
  };

  test("exactly six of the eight pairs of producer and consumer succeed", async () => {
    await fc.assert(fc.asyncProperty(binding, plaintexts, sixOfEight), { numRuns: 40 });
  });

  test("the same six succeed after rotations, and what was sealed before still opens", async () => {
    const before = await Promise.all(
      Object.values(PRODUCERS).map((produce) => produce(kms, keyId, { aad: patterned(9) }, patterned(33))),
    );
    for (let i = 0; i < 2; i++) primary = (await kms.rotateKey({ keyId })).keyVersionId;
    expect(primary).not.toBe(firstVersion);
    await fc.assert(fc.asyncProperty(binding, plaintexts, sixOfEight), { numRuns: 20 });

    for (const produced of before) {
      const outcome = await consume(kms, produced, { aad: patterned(9) });
      expect(Object.values(outcome).filter((result) => result === "opened").length).toBeGreaterThan(0);
      expect(produced.keyVersionId).toBe(firstVersion);
    }
  });
});

describe("key references", () => {
  test("may be an id, an alias or an ARN everywhere, and answers name the id", async () => {
    const kms = await openKms({ region: "cn-test", accountId: "42" });
    const keyId = await newKey(kms);
    await kms.createAlias({ keyId, aliasName: "alias/app" });
    const references = [keyId, "alias/app", `acs:kms:cn-test:42:key/${keyId}`];
    for (const reference of references) {
      const plaintext = patterned(20);
      const sealed = await kms.encrypt({ keyId: reference, plaintext });
      const blob = await kms.advanceEncrypt({ keyId: reference, plaintext });
      expect([sealed.keyId, blob.keyId]).toEqual([keyId, keyId]);
      for (const other of references) {
        const { ciphertextBlob, iv } = sealed;
        const opened = await kms.decrypt({ keyId: other, ciphertextBlob, iv });
        const advance = await kms.advanceDecrypt({ keyId: other, ciphertextBlob: blob.ciphertextBlob });
        expect([opened.keyId, advance.keyId]).toEqual([keyId, keyId]);
        expect([opened.plaintext, advance.plaintext]).toEqual([plaintext, plaintext]);
      }
    }
    for (const foreign of [
      `acs:kms:cn-other:42:key/${keyId}`,
      `acs:kms:cn-test:43:key/${keyId}`,
      `${keyId}x`,
      "alias/other",
    ]) {
      expect(await codeOfCall(() => kms.encrypt({ keyId: foreign, plaintext: patterned(1) }))).toBe(
        "Forbidden.KeyNotFound",
      );
    }
  });

  test("a caller's own iv is used and answered", async () => {
    const kms = await openKms();
    const keyId = await newKey(kms);
    const iv = patterned(12);
    const sealed = await kms.encrypt({ keyId, plaintext: patterned(5), iv });
    const blob = await kms.advanceEncrypt({ keyId, plaintext: patterned(5), iv });
    expect([sealed.iv, blob.iv, blob.ciphertextBlob.subarray(24, 36)]).toEqual([iv, iv, iv]);
    expect((await kms.encrypt({ keyId, plaintext: patterned(5), iv })).ciphertextBlob).toEqual(
      sealed.ciphertextBlob,
    );
  });

  test("random ivs, data keys and request ids do not repeat", async () => {
    const kms = await openKms();
    const keyId = await newKey(kms);
    const answers = await Promise.all(Array.from({ length: 1200 }, () => kms.generateDataKey({ keyId })));
    for (const field of ["iv", "plaintext"] as const) {
      expect(new Set(answers.map((answer) => toHex(answer[field]))).size).toBe(1200);
    }
    expect(new Set(answers.map((answer) => answer.requestId)).size).toBe(1200);
  });
});
