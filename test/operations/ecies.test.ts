/** Encrypt and decrypt with EC keys: the facade's rules, and exchange with a process that knows nothing of Keyplane. */

import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { fileURLToPath } from "node:url";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { editableStore } from "../support/editable-store.ts";
import { codeOfCall, expectRefusal, newKey, openKms, patterned, refusalOf } from "../support/kms.ts";
import { KNOWN_ROOT_KEY, storeOfKnownKeys } from "../support/known-keys.ts";

const ALGORITHM = "ECIES_DH_SHA_1_XOR_HMAC";
const ENCRYPT = "ENCRYPT/DECRYPT";
const SPECS = ["EC_P256", "EC_P256K"] as const;
type Spec = (typeof SPECS)[number];
const ORACLE = fileURLToPath(new URL("../support/ecies-oracle.mjs", import.meta.url));

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Runs jobs in a process of their own over node:crypto alone. */
function inAnotherProcess(jobs: readonly object[]): (Uint8Array | null)[] {
  const answers = execFileSync(process.execPath, [ORACLE], { input: JSON.stringify(jobs) });
  return (JSON.parse(answers.toString()) as (string | null)[]).map((answer) =>
    answer === null ? null : new Uint8Array(Buffer.from(answer, "base64")),
  );
}

const pairs = {
  EC_P256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EC_P256K: generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
};

/** Opens a Kms that has keys of both curves whose private halves the test knows, `key-<spec>`. */
async function openKnown(engine: "auto" | "wasm" | "node"): Promise<Kms> {
  const store = await storeOfKnownKeys(
    SPECS.map((spec) => ({
      keyId: `key-${spec}`,
      spec,
      usage: ENCRYPT,
      material: new Uint8Array(pairs[spec].privateKey.export({ format: "der", type: "pkcs8" })),
    })),
  );
  return openKms({ store, rootKey: { bytes: Uint8Array.from(KNOWN_ROOT_KEY) }, engine });
}

describe.each(["auto", "wasm", "node"] as const)("engine %s", (engine) => {
  let kms: Kms;
  beforeAll(async () => {
    kms = await openKnown(engine);
  });

  describe.each(SPECS)("%s", (spec) => {
    const keyId = `key-${spec}`;

    test("exchanges ciphertext with another process, both ways [ECIES-1] [ECIES-4] [ECIES-5] [ECIES-6] [ECIES-7] [ECIES-8]", async () => {
      const lengths = [1, 19, 20, 21, 32, 45, 1000];
      const texts = lengths.map((length) => patterned(length));
      const { publicKey } = await kms.getPublicKey({ keyId });
      const privateKey = pairs[spec].privateKey.export({ format: "pem", type: "pkcs8" });
      const ours = await Promise.all(texts.map((plaintext) => kms.encrypt({ keyId, plaintext })));
      const theirs = inAnotherProcess(texts.map((text) => ({ publicKey, plaintext: base64(text) })));
      expect(
        inAnotherProcess(
          ours.map(({ ciphertextBlob }) => ({ privateKey, ciphertext: base64(ciphertextBlob) })),
        ),
      ).toEqual(texts);
      for (const [i, text] of texts.entries()) {
        const ciphertextBlob = theirs[i] ?? new Uint8Array(0);
        expect(ciphertextBlob).toHaveLength(text.length + 85);
        expect((await kms.decrypt({ keyId, ciphertextBlob })).plaintext).toEqual(text);
      }
    });

    test("answers with the algorithm and its first version, and two ciphertexts share nothing [ECIES-3] [ECIES-12]", async () => {
      const plaintext = patterned(32);
      const first = await kms.encrypt({ keyId, plaintext });
      const second = await kms.encrypt({ keyId, plaintext, algorithm: ALGORITHM });
      const { keyMetadata } = await kms.describeKey({ keyId });
      const keyVersionId = keyMetadata.primaryKeyVersion;
      expect(Object.keys(first).sort()).toEqual([
        "algorithm",
        "ciphertextBlob",
        "keyId",
        "keyVersionId",
        "requestId",
      ]);
      expect(first).toMatchObject({ keyId, keyVersionId, algorithm: ALGORITHM });
      expect(first.ciphertextBlob.subarray(0, 33)).not.toEqual(second.ciphertextBlob.subarray(0, 33));
      const opened = await kms.decrypt({
        keyId,
        ciphertextBlob: first.ciphertextBlob,
        algorithm: ALGORITHM,
      });
      expect(opened).toMatchObject({ keyId, keyVersionId, algorithm: ALGORITHM, plaintext });
      expect(opened.plaintext.buffer.byteLength).toBe(32);
    });

    test("has synchronous twins and batches with a result an item", async () => {
      const plaintext = patterned(50);
      const { ciphertextBlob } = kms.encryptSync({ keyId, plaintext });
      expect(kms.decryptSync({ keyId, ciphertextBlob }).plaintext).toEqual(plaintext);
      const sealed = await kms.encryptBatch([
        { keyId, plaintext },
        { keyId, plaintext: new Uint8Array(0) },
        { keyId, plaintext: patterned(3) },
        { keyId: "alias/none", plaintext },
      ]);
      expect(sealed.map((item) => (item.ok ? "ok" : item.error.code))).toEqual([
        "ok",
        "MissingParameter",
        "ok",
        "Forbidden.KeyNotFound",
      ]);
      const blobs = sealed.flatMap((item) => (item.ok ? [item.value.ciphertextBlob] : []));
      const opened = await kms.decryptBatch(
        [...blobs, flipBit(blobs[0] ?? plaintext, 700)].map((blob) => ({ keyId, ciphertextBlob: blob })),
      );
      expect(opened.map((item) => (item.ok ? item.value.plaintext : item.error.code))).toEqual([
        plaintext,
        patterned(3),
        "InvalidCiphertext",
      ]);
    });

    test("refuses what is not its ciphertext with the one error [ECIES-2] [ECIES-9]", async () => {
      const plaintext = patterned(2);
      const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext });
      const other = (await kms.encrypt({ keyId: `key-${SPECS.find((each) => each !== spec)}`, plaintext }))
        .ciphertextBlob;
      const curve = spec === "EC_P256" ? p256 : secp256k1;
      const compressed = curve.Point.fromBytes(ciphertextBlob.subarray(0, 65)).toBytes(true);
      const wrong: Uint8Array[] = [
        other,
        new Uint8Array(0),
        new Uint8Array(85),
        new Uint8Array(200),
        Uint8Array.from([...compressed, ...ciphertextBlob.subarray(65)]),
        Uint8Array.from([...ciphertextBlob, 0]),
        Uint8Array.from([...ciphertextBlob.subarray(0, 65), ...ciphertextBlob.subarray(67)]),
      ];
      for (let at = 0; at < ciphertextBlob.length; at++) {
        wrong.push(ciphertextBlob.subarray(0, at), flipBit(ciphertextBlob, 8 * at + (at % 8)));
      }
      for (const blob of wrong) {
        const refusal = await refusalOf(() => kms.decrypt({ keyId, ciphertextBlob: blob }));
        expect({ ...refusal.toJSON(), requestId: "" }).toEqual({
          code: "InvalidCiphertext",
          httpStatus: 400,
          message: "The ciphertext cannot be opened.",
          requestId: "",
        });
        expect(refusal.cause).toBeUndefined();
      }
    });

    test("takes neither aad nor context, iv, padding or another algorithm [ECIES-12]", async () => {
      const plaintext = patterned(32);
      const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext });
      for (const extra of [
        { aad: patterned(1) },
        { encryptionContext: {} },
        { iv: patterned(12) },
        { paddingMode: "PKCS7_PADDING" },
        ...["AES_GCM", "RSAES_OAEP_SHA_256", "SM2PKE", "ecies_dh_sha_1_xor_hmac"].map((algorithm) => ({
          algorithm: algorithm as "AES_GCM",
        })),
      ]) {
        await expectRefusal(() => kms.encrypt({ keyId, plaintext, ...extra }), "InvalidParameter");
        await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob, ...extra }), "InvalidParameter");
      }
    });
  });
});

test("plaintexts have 1 byte to 3 MiB, or to 6 KiB under strict limits [ECIES-11]", async () => {
  const kms = await openKms();
  const strict = await openKms({ limits: "strict" });
  for (const [at, max] of [
    [kms, 3 * 1024 * 1024],
    [strict, 6 * 1024],
  ] as const) {
    const keyId = await newKey(at, { keySpec: "EC_P256K", keyUsage: ENCRYPT });
    const plaintext = patterned(max);
    const { ciphertextBlob } = await at.encrypt({ keyId, plaintext });
    const opened = await at.decrypt({ keyId, ciphertextBlob });
    expect(Buffer.compare(opened.plaintext, plaintext)).toBe(0);
    const refusal = await expectRefusal(
      () => at.encrypt({ keyId, plaintext: patterned(max + 1) }),
      "InvalidParameter",
    );
    expect(refusal.message).toBe(`plaintext must have at most ${max} bytes.`);
    await expectRefusal(() => at.encrypt({ keyId, plaintext: new Uint8Array(0) }), "MissingParameter");
  }
});

describe("what an EC key of one usage refuses", () => {
  test.each(SPECS)("%s: the other usage, symmetric calls and rotation", async (keySpec) => {
    const kms = await openKms();
    const signing = await newKey(kms, { keySpec });
    const encrypting = await newKey(kms, { keySpec, keyUsage: ENCRYPT });
    const plaintext = patterned(32);
    const { ciphertextBlob } = await kms.encrypt({ keyId: encrypting, plaintext });
    const codes = async (keyId: string): Promise<Record<string, string>> => ({
      encrypt: await codeOfCall(() => kms.encrypt({ keyId, plaintext })),
      encryptSync: await codeOfCall(() => kms.encryptSync({ keyId, plaintext })),
      decrypt: await codeOfCall(() => kms.decrypt({ keyId, ciphertextBlob })),
      sign: await codeOfCall(() => kms.sign({ keyId, message: plaintext })),
      verify: await codeOfCall(() => kms.verify({ keyId, message: plaintext, signature: plaintext })),
      advanceEncrypt: await codeOfCall(() => kms.advanceEncrypt({ keyId, plaintext })),
      advanceDecrypt: await codeOfCall(() => kms.advanceDecrypt({ keyId, ciphertextBlob })),
      generateDataKey: await codeOfCall(() => kms.generateDataKey({ keyId })),
      rotateKey: await codeOfCall(() => kms.rotateKey({ keyId })),
      getPublicKey: await codeOfCall(() => kms.getPublicKey({ keyId })),
    });
    const unsupported = "Rejected.UnsupportedOperation";
    const symmetric = {
      advanceEncrypt: "Forbidden.OnlySymmetricKeySupported",
      advanceDecrypt: "InvalidCiphertext",
      generateDataKey: "Forbidden.OnlySymmetricKeySupported",
      rotateKey: unsupported,
      getPublicKey: "none",
    };
    expect(await codes(signing)).toEqual({
      ...symmetric,
      encrypt: unsupported,
      encryptSync: unsupported,
      decrypt: unsupported,
      sign: "none",
      verify: "none",
    });
    expect(await codes(encrypting)).toEqual({
      ...symmetric,
      encrypt: "none",
      encryptSync: "none",
      decrypt: "none",
      sign: unsupported,
      verify: unsupported,
    });
  });
});

describe("the life of an encrypting key", () => {
  test("its state decides before the ciphertext does, and what it encrypted opens after a restart", async () => {
    const store = editableStore({ persistent: true });
    const rootKey = (): { bytes: Uint8Array } => ({ bytes: patterned(32) });
    const first = await openKms({ store, rootKey: rootKey() });
    const keyId = await newKey(first, { keySpec: "EC_P256", keyUsage: ENCRYPT });
    await first.createAlias({ aliasName: "alias/letters", keyId });
    const plaintext = patterned(40);
    const { ciphertextBlob } = await first.encrypt({ keyId: "alias/letters", plaintext });
    const before = await first.getPublicKey({ keyId });
    await first.close();
    await expectRefusal(() => first.encrypt({ keyId, plaintext }), "Rejected.Closed");

    const kms = await openKms({ store, rootKey: rootKey() });
    expect((await kms.decrypt({ keyId: "alias/letters", ciphertextBlob })).plaintext).toEqual(plaintext);
    const after = await kms.getPublicKey({ keyId, keyVersionId: before.keyVersionId });
    expect(after.publicKeyDer).toEqual(before.publicKeyDer);
    const odd = patterned(5);
    for (const [change, code] of [
      [() => kms.disableKey({ keyId }), "Rejected.Disabled"],
      [() => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 }), "Rejected.PendingDeletion"],
    ] as const) {
      await change();
      await expectRefusal(() => kms.encrypt({ keyId, plaintext }), code);
      await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob }), code);
      await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob: odd }), code);
      await expectRefusal(() => kms.getPublicKey({ keyId }), code);
    }
    await kms.cancelKeyDeletion({ keyId });
    expect((await kms.decrypt({ keyId, ciphertextBlob })).plaintext).toEqual(plaintext);
  });

  test("a deleted key opens nothing", async () => {
    let now = Date.parse("2030-01-01T00:00:00Z");
    const kms = await openKms({ clock: () => now });
    const keyId = await newKey(kms, { keySpec: "EC_P256K", keyUsage: ENCRYPT });
    const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext: patterned(9) });
    await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
    now += 8 * 86_400_000;
    await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob }), "Forbidden.KeyNotFound");
  });
});

test("the published spec of an encrypting key is the point of its material", async () => {
  const kms = await openKnown("auto");
  for (const spec of SPECS satisfies readonly Spec[]) {
    const { publicKeyDer } = await kms.getPublicKey({ keyId: `key-${spec}` });
    const expected = pairs[spec].publicKey.export({ format: "der", type: "spki" });
    expect(Buffer.compare(publicKeyDer, expected)).toBe(0);
  }
});
