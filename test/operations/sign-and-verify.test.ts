/** Sign and Verify against node:crypto and @noble/curves, in both directions. */

import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  verify as nodeVerify,
  webcrypto,
} from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms, SignatureAlgorithm } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

const HASHES = [
  ["SHA_256", "sha256", 32],
  ["SHA_384", "sha384", 48],
  ["SHA_512", "sha512", 64],
] as const;
const message = patterned(77);
let kms: Kms;
beforeAll(async () => {
  kms = await openKms();
});

async function publicKeyOf(keyId: string): Promise<KeyObject> {
  const { publicKey, publicKeyDer } = await kms.getPublicKey({ keyId });
  const fromDer = createPublicKey({ key: Buffer.from(publicKeyDer), format: "der", type: "spki" });
  expect(createPublicKey(publicKey).equals(fromDer)).toBe(true);
  expect(publicKey).toBe(fromDer.export({ format: "pem", type: "spki" }));
  return fromDer;
}

/** Verifies with node:crypto alone. */
function verifiesOutside(
  key: KeyObject,
  scheme: string,
  hash: string,
  saltLength: number,
  signature: Uint8Array,
): boolean {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  const padding = scheme === "PSS" ? pss : { padding: constants.RSA_PKCS1_PADDING };
  return nodeVerify(hash, message, { key, ...padding }, signature);
}

/** Runs every scheme, hash and message type on one RSA key. */
async function checkRsa(keyId: string, modulusBytes: number): Promise<void> {
  const publicKey = await publicKeyOf(keyId);
  expect(publicKey.asymmetricKeyDetails?.modulusLength).toBe(modulusBytes * 8);
  for (const scheme of ["PSS", "PKCS1"] as const) {
    for (const [name, hash, length] of HASHES) {
      const algorithm: SignatureAlgorithm = `RSA_${scheme}_${name}`;
      const digest = new Uint8Array(createHash(hash).update(message).digest());
      const raw = { keyId, algorithm, message, messageType: "RAW" } as const;
      const digested = { keyId, algorithm, message: digest, messageType: "DIGEST" } as const;
      for (const request of [raw, digested]) {
        const answer = await kms.sign(request);
        expect(answer.signature).toHaveLength(modulusBytes);
        expect(answer).toMatchObject({ keyId, algorithm, messageType: request.messageType });
        expect(verifiesOutside(publicKey, scheme, hash, length, answer.signature)).toBe(true);
        for (const check of [raw, digested]) {
          expect((await kms.verify({ ...check, signature: answer.signature })).value).toBe(true);
        }
      }
    }
  }
}

describe("RSA_2048", () => {
  let keyId: string;
  beforeAll(async () => {
    keyId = await newKey(kms, { keySpec: "RSA_2048" });
  });

  test("signs with every scheme and hash, raw or digest, as node:crypto verifies", async () => {
    await checkRsa(keyId, 256);
  });

  test("takes PSS with SHA-256 and a raw message unless told otherwise", async () => {
    const answer = await kms.sign({ keyId, message });
    expect(answer).toMatchObject({ algorithm: "RSA_PSS_SHA_256", messageType: "RAW" });
    expect((await kms.verify({ keyId, message, signature: answer.signature })).value).toBe(true);
  });

  test("PSS is randomised and PKCS #1 is not", async () => {
    const signatures = await Promise.all([1, 2].map(() => kms.sign({ keyId, message })));
    expect(signatures[0]?.signature).not.toEqual(signatures[1]?.signature);
    const algorithm = "RSA_PKCS1_SHA_256";
    const repeated = await Promise.all([1, 2].map(() => kms.sign({ keyId, message, algorithm })));
    expect(repeated[0]?.signature).toEqual(repeated[1]?.signature);
  });

  test("a digest passed as a raw message is hashed again", async () => {
    const digest = new Uint8Array(createHash("sha256").update(message).digest());
    const { signature } = await kms.sign({ keyId, message: digest });
    expect((await kms.verify({ keyId, message, signature })).value).toBe(false);
  });

  test("answers false for signatures that are wrong in any way", async () => {
    for (const algorithm of ["RSA_PSS_SHA_256", "RSA_PKCS1_SHA_384"] as const) {
      const { signature } = await kms.sign({ keyId, message, algorithm });
      const other = await newKey(kms, { keySpec: "RSA_2048" });
      const foreign = (await kms.sign({ keyId: other, message, algorithm })).signature;
      const bad = [
        new Uint8Array(0),
        new Uint8Array(1),
        new Uint8Array(256),
        new Uint8Array(256).fill(255),
        signature.slice(1),
        Uint8Array.from([...signature, 0]),
        Uint8Array.from([0, ...signature]),
        new Uint8Array(5000),
        foreign,
        ...[0, 1, 1000, 2047].map((bit) => flipBit(signature, bit)),
      ];
      for (const wrong of bad) {
        expect((await kms.verify({ keyId, message, algorithm, signature: wrong })).value).toBe(false);
      }
      expect((await kms.verify({ keyId, message: flipBit(message, 3), algorithm, signature })).value).toBe(
        false,
      );
      for (const confused of ["RSA_PSS_SHA_384", "RSA_PKCS1_SHA_256", "RSA_PSS_SHA_512"] as const) {
        expect((await kms.verify({ keyId, message, algorithm: confused, signature })).value).toBe(false);
      }
    }
  });

  test("refuses options of ECDSA and algorithms that are not its own", async () => {
    for (const option of [
      { signatureFormat: "DER" },
      { signatureFormat: "P1363" },
      { lowS: true },
      { lowS: false },
    ] as const) {
      const refusal = await expectRefusal(() => kms.sign({ keyId, message, ...option }), "InvalidParameter");
      expect(refusal.message).toContain(Object.keys(option)[0]);
    }
    for (const algorithm of [
      "ECDSA_SHA_256",
      "RSAES_OAEP_SHA_256",
      "AES_GCM",
      "rsa_pss_sha_256",
      "__proto__",
      "constructor",
    ]) {
      const request = { keyId, message, algorithm: algorithm as SignatureAlgorithm };
      await expectRefusal(() => kms.sign(request), "InvalidParameter");
      await expectRefusal(() => kms.verify({ ...request, signature: patterned(256) }), "InvalidParameter");
    }
  });
});

test("larger RSA keys sign with every scheme and hash too", { timeout: 120_000 }, async () => {
  const sizes = [
    ["RSA_3072", 384],
    ["RSA_4096", 512],
  ] as const;
  await Promise.all(sizes.map(async ([keySpec, bytes]) => checkRsa(await newKey(kms, { keySpec }), bytes)));
});

describe.each([
  ["EC_P256", p256, "P-256"],
  ["EC_P256K", secp256k1, undefined],
] as const)("%s", (keySpec, curve, webName) => {
  let keyId: string;
  let publicKey: KeyObject;
  let point: Uint8Array;
  const order = curve.Point.Fn.ORDER;
  beforeAll(async () => {
    keyId = await newKey(kms, { keySpec });
    publicKey = await publicKeyOf(keyId);
    point = new Uint8Array(publicKey.export({ format: "der", type: "spki" })).slice(-65);
  });
  const sOf = (p1363: Uint8Array): bigint => BigInt(`0x${Buffer.from(p1363.subarray(32)).toString("hex")}`);

  test("signs raw messages with every hash, format and lowS, as node:crypto and noble verify", async () => {
    for (const [name, hash] of HASHES) {
      const algorithm = `ECDSA_${name}` as const;
      const digest = new Uint8Array(createHash(hash).update(message).digest());
      for (const lowS of [undefined, false, true]) {
        for (let round = 0; round < 6; round++) {
          const request = { keyId, message, algorithm, lowS };
          const der = (await kms.sign(request)).signature;
          const p1363 = (await kms.sign({ ...request, signatureFormat: "P1363" })).signature;
          expect(p1363).toHaveLength(64);
          expect(nodeVerify(hash, message, publicKey, der)).toBe(true);
          expect(nodeVerify(hash, message, { key: publicKey, dsaEncoding: "ieee-p1363" }, p1363)).toBe(true);
          const options = { prehash: false, lowS: lowS ?? false } as const;
          expect(curve.verify(p1363, digest, point, { ...options, format: "compact" })).toBe(true);
          expect(curve.verify(der, digest, point, { ...options, format: "der" })).toBe(true);
          if (lowS === true) expect(sOf(p1363) <= order / 2n).toBe(true);
          expect((await kms.verify({ ...request, signature: der })).value).toBe(true);
          expect((await kms.verify({ ...request, signature: p1363, signatureFormat: "P1363" })).value).toBe(
            true,
          );
        }
      }
    }
  });

  test("accepts the high s of a signature unless lowS is asked for", async () => {
    const low = (await kms.sign({ keyId, message, signatureFormat: "P1363", lowS: true })).signature;
    const high = Uint8Array.from(low);
    high.set(Buffer.from((order - sOf(low)).toString(16).padStart(64, "0"), "hex"), 32);
    const verify = async (signature: Uint8Array, lowS?: boolean): Promise<boolean> =>
      (await kms.verify({ keyId, message, signature, signatureFormat: "P1363", lowS })).value;
    expect([
      await verify(low),
      await verify(low, true),
      await verify(high),
      await verify(high, false),
      await verify(high, true),
    ]).toEqual([true, true, true, true, false]);
  });

  test("takes ECDSA with SHA-256, DER and a raw message unless told otherwise", async () => {
    const answer = await kms.sign({ keyId, message });
    expect(answer).toMatchObject({ algorithm: "ECDSA_SHA_256", messageType: "RAW" });
    expect(answer.signature[0]).toBe(0x30);
  });

  test("answers false for signatures that are wrong in any way", async () => {
    const der = (await kms.sign({ keyId, message })).signature;
    const p1363 = (await kms.sign({ keyId, message, signatureFormat: "P1363" })).signature;
    const orderBytes = Buffer.from(order.toString(16), "hex");
    const half = (part: Uint8Array, at: number): Uint8Array => {
      const changed = Uint8Array.from(p1363);
      changed.set(part, at);
      return changed;
    };
    const longLength = Uint8Array.from([0x30, 0x81, der[1] ?? 0, ...der.subarray(2)]);
    const asDer = [
      new Uint8Array(0),
      new Uint8Array(1),
      p1363,
      longLength,
      der.slice(0, -1),
      Uint8Array.from([...der, 0]),
      new Uint8Array(4000),
      ...Array.from({ length: der.length }, (_, i) => flipBit(der, i * 8 + (i % 8))),
    ];
    const asP1363 = [
      new Uint8Array(0),
      der,
      new Uint8Array(64),
      new Uint8Array(64).fill(255),
      p1363.slice(1),
      Uint8Array.from([...p1363, 0]),
      half(new Uint8Array(32), 0),
      half(new Uint8Array(32), 32),
      half(orderBytes, 0),
      half(orderBytes, 32),
      ...[0, 255, 256, 511].map((bit) => flipBit(p1363, bit)),
    ];
    for (const signature of asDer)
      expect((await kms.verify({ keyId, message, signature })).value).toBe(false);
    for (const signature of asP1363) {
      expect((await kms.verify({ keyId, message, signature, signatureFormat: "P1363" })).value).toBe(false);
    }
    expect((await kms.verify({ keyId, message: flipBit(message, 9), signature: der })).value).toBe(false);
    expect((await kms.verify({ keyId, message, signature: der, algorithm: "ECDSA_SHA_384" })).value).toBe(
      false,
    );
    const other = await newKey(kms, { keySpec });
    expect((await kms.verify({ keyId: other, message, signature: der })).value).toBe(false);
  });

  test("refuses RSA's algorithms", async () => {
    for (const algorithm of ["RSA_PSS_SHA_256", "RSA_PKCS1_SHA_512"] as const) {
      await expectRefusal(() => kms.sign({ keyId, message, algorithm }), "InvalidParameter");
    }
  });

  test("signs a digest of the algorithm's hash as it signs the message, and verifies it", async () => {
    const digest = new Uint8Array(createHash("sha256").update(message).digest());
    const request = { keyId, message: digest, messageType: "DIGEST" } as const;
    const { signature } = await kms.sign(request);
    expect((await kms.verify({ ...request, signature })).value).toBe(true);
    expect((await kms.verify({ keyId, message, signature })).value).toBe(true);
    expect((await kms.verify({ ...request, message: patterned(32), signature })).value).toBe(false);
    await expectRefusal(() => kms.sign({ ...request, message: patterned(31) }), "InvalidParameter");
  });

  test("refuses digests where node:crypto is forced, which cannot sign one", async () => {
    const forced = await openKms({ engine: "node" });
    const request = {
      keyId: await newKey(forced, { keySpec }),
      message: patterned(32),
      messageType: "DIGEST",
    } as const;
    await expectRefusal(() => forced.sign(request), "Rejected.UnsupportedOperation");
    await expectRefusal(
      () => forced.verify({ ...request, signature: patterned(70) }),
      "Rejected.UnsupportedOperation",
    );
  });

  test.runIf(webName !== undefined)("is verified by Web Cryptography", async () => {
    const { publicKeyDer } = await kms.getPublicKey({ keyId });
    const parameters = { name: "ECDSA", namedCurve: webName ?? "" };
    const key = await webcrypto.subtle.importKey("spki", publicKeyDer, parameters, false, ["verify"]);
    const { signature } = await kms.sign({ keyId, message, signatureFormat: "P1363" });
    expect(await webcrypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, message)).toBe(
      true,
    );
  });
});
