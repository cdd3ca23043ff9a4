/** What every engine's ECDSA must do, keys and their encodings included. Called once per engine. */

import { createHash, generateKeyPairSync } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { CurveName, Ecdsa, EcPrivateKey, EcPublicKey } from "../../src/engines/engine.ts";
import { fromHex } from "../../src/engines/self-test-vectors.ts";
import {
  bytes,
  codeOf,
  codeOfAsync,
  expectOwned,
  flipBit,
  HASHES,
  type MakeEngine,
  notBytes,
  OPENSSL_HASH,
  served,
  utf8,
} from "./engine-support.ts";

/** What an engine may leave out, each of which must then be `Rejected.UnsupportedOperation`. */
export interface EcdsaServed {
  readonly digests: boolean;
  readonly recoverable: boolean;
  /** All if absent. */
  readonly curves?: readonly CurveName[];
}

export interface CurveFacts {
  readonly curve: CurveName;
  readonly noble: typeof p256;
  readonly opensslName: string;
  readonly otherOid: string;
}

export const CURVES: readonly CurveFacts[] = [
  { curve: "P-256", noble: p256, opensslName: "prime256v1", otherOid: "secp256k1" },
  { curve: "secp256k1", noble: secp256k1, opensslName: "secp256k1", otherOid: "prime256v1" },
];

/** Writes a number as 32 bytes. */
function scalarBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0"));
}

/** Private scalars with the ends of the range among them. */
export function scalars(order: bigint): fc.Arbitrary<Uint8Array> {
  return fc
    .oneof(
      fc.constantFrom(1n, 2n, 255n, 256n, order / 2n, order - 2n, order - 1n),
      fc.bigInt({ min: 1n, max: order - 1n }),
    )
    .map(scalarBytes);
}

const message = utf8("a message of no importance");
const signable = { message, hash: "SHA-256" } as const;

export function describeEcdsa(name: string, make: MakeEngine, serves: EcdsaServed): void {
  const curves = CURVES.filter((facts) => serves.curves?.includes(facts.curve) ?? true);
  describe.each(curves)(`${name} as ECDSA on $curve`, ({ curve, noble, opensslName, otherOid }) => {
    const order = noble.Point.CURVE().n;
    let ecdsa: Ecdsa;
    let foreign: Ecdsa;
    let privateKey: EcPrivateKey;
    let publicKey: EcPublicKey;
    let point: Uint8Array;
    beforeAll(async () => {
      ecdsa = served(await make(), "ecdsa");
      foreign = served(await make(), "ecdsa");
      ({ privateKey, publicKey } = await ecdsa.generateKey(curve));
      point = ecdsa.exportPoint(publicKey);
    });

    test.each(HASHES)("what it signs with %s noble verifies, and the other way round", (hash) => {
      fc.assert(
        fc.property(scalars(order), bytes(), fc.boolean(), (scalar, text, lowS) => {
          const key = ecdsa.importPrivateKey(curve, scalar);
          const digest = new Uint8Array(createHash(OPENSSL_HASH[hash]).update(text).digest());
          const pub = noble.getPublicKey(scalar, false);
          const loose = { prehash: false, lowS };
          const der = ecdsa.sign(key, { message: text, hash }, { lowS });
          const pair = ecdsa.sign(key, { message: text, hash }, { lowS, format: "p1363" });
          expectOwned(der);
          expectOwned(pair);
          expect(noble.verify(der, digest, pub, { ...loose, format: "der" })).toBe(true);
          expect(noble.verify(pair, digest, pub, { ...loose, format: "compact" })).toBe(true);
          const theirs = noble.sign(digest, scalar, loose);
          const verifier = ecdsa.importPublicKey(curve, pub);
          expect(ecdsa.verify(verifier, { message: text, hash }, theirs, { format: "p1363", lowS })).toBe(
            true,
          );
          expect(ecdsa.verify(verifier, { message: text, hash }, der, { lowS })).toBe(true);
        }),
        { numRuns: 15 },
      );
    });

    test("lowS signs with s at most n/2 and refuses any other s, which is else accepted", () => {
      for (let i = 0; i < 20; i++) {
        const pair = ecdsa.sign(privateKey, signable, { format: "p1363", lowS: true });
        const s = BigInt(`0x${Buffer.from(pair.subarray(32)).toString("hex")}`);
        expect(s <= order / 2n).toBe(true);
        const high = Uint8Array.from([...pair.subarray(0, 32), ...scalarBytes(order - s)]);
        expect(ecdsa.verify(publicKey, signable, high, { format: "p1363" })).toBe(true);
        expect(ecdsa.verify(publicKey, signable, high, { format: "p1363", lowS: true })).toBe(false);
        expect(ecdsa.verify(publicKey, signable, pair, { format: "p1363", lowS: true })).toBe(true);
      }
    });

    test("verify is false for every single-bit change of a signature", () => {
      for (const format of ["der", "p1363"] as const) {
        const signature = ecdsa.sign(privateKey, signable, { format });
        expect(ecdsa.verify(publicKey, signable, signature, { format })).toBe(true);
        for (let bit = 0; bit < signature.length * 8; bit++) {
          expect(ecdsa.verify(publicKey, signable, flipBit(signature, bit), { format })).toBe(false);
        }
      }
    });

    test("verify is false for another message, hash, key and format", async () => {
      const signature = ecdsa.sign(privateKey, signable);
      const other = await ecdsa.generateKey(curve);
      expect(ecdsa.verify(publicKey, { message: utf8("another"), hash: "SHA-256" }, signature)).toBe(false);
      expect(ecdsa.verify(publicKey, { message, hash: "SHA-384" }, signature)).toBe(false);
      expect(ecdsa.verify(other.publicKey, signable, signature)).toBe(false);
      expect(ecdsa.verify(publicKey, signable, signature, { format: "p1363" })).toBe(false);
    });

    test("verify is false, and no error, for bytes of any shape", () => {
      fc.assert(
        fc.property(bytes(100), fc.constantFrom("der", "p1363" as const), (junk, format) => {
          expect(ecdsa.verify(publicKey, signable, junk, { format })).toBe(false);
        }),
      );
    });

    test("verify is false for r or s of zero, n and above, in both formats", () => {
      const edges = [0n, order, order + 1n, (1n << 256n) - 1n].map(scalarBytes);
      const good = ecdsa.sign(privateKey, signable, { format: "p1363" });
      for (const edge of edges) {
        for (const at of [0, 32]) {
          const pair = Uint8Array.from(good);
          pair.set(edge, at);
          expect(ecdsa.verify(publicKey, signable, pair, { format: "p1363" })).toBe(false);
        }
      }
      expect(ecdsa.verify(publicKey, signable, Uint8Array.of(0x30, 6, 2, 1, 0, 2, 1, 0))).toBe(false);
      expect(ecdsa.verify(publicKey, signable, Uint8Array.of(0x30, 6, 2, 1, 0xff, 2, 1, 1))).toBe(false);
    });

    test("verify is false for a right signature in BER that is not DER", () => {
      const der = [...ecdsa.sign(privateKey, signable, { lowS: true })];
      const body = der.slice(2);
      const [, rLength = 0] = body;
      const r = body.slice(2, 2 + rLength);
      const rest = body.slice(2 + rLength);
      const variants = [
        [...der, 0],
        [0x30, 0x81, body.length, ...body],
        [0x30, 0x82, 0, body.length, ...body],
        [0x30, 0x80, ...body, 0, 0],
        [0x30, body.length + 1, 2, rLength + 1, 0, ...r, ...rest],
        [0x30, body.length + 1, 2, 0x81, rLength, ...r, ...rest],
        [0x30, body.length + 2, ...body, 5, 0],
        [0x31, body.length, ...body],
      ];
      expect(ecdsa.verify(publicKey, signable, Uint8Array.from([0x30, body.length, ...body]))).toBe(true);
      for (const variant of variants) {
        expect(ecdsa.verify(publicKey, signable, Uint8Array.from(variant))).toBe(false);
      }
    });

    test("a private key survives scalar, PKCS#8 and back", () => {
      fc.assert(
        fc.property(scalars(order), (scalar) => {
          const key = ecdsa.importPrivateKey(curve, scalar);
          const pkcs8 = ecdsa.exportPkcs8(key);
          expectOwned(pkcs8);
          const again = ecdsa.importPrivateKey(curve, pkcs8);
          expect(ecdsa.exportPkcs8(again)).toEqual(pkcs8);
          const pub = ecdsa.publicKey(again);
          expect(ecdsa.exportPoint(pub)).toEqual(noble.getPublicKey(scalar, false));
          expect(ecdsa.exportPoint(pub, { compressed: true })).toEqual(noble.getPublicKey(scalar, true));
        }),
        { numRuns: 30 },
      );
    });

    test("a public key survives SPKI and both forms of point", () => {
      const spki = ecdsa.exportSpki(publicKey);
      expectOwned(spki);
      const compressed = ecdsa.exportPoint(publicKey, { compressed: true });
      expect([point.length, compressed.length]).toEqual([65, 33]);
      for (const form of [spki, point, compressed, Buffer.from(spki)]) {
        const key = ecdsa.importPublicKey(curve, form);
        expect(key.curve).toBe(curve);
        expect(ecdsa.exportSpki(key)).toEqual(spki);
        expect(ecdsa.verify(key, signable, ecdsa.sign(privateKey, signable))).toBe(true);
      }
    });

    test("keys made by OpenSSL are taken and come back byte for byte", () => {
      const pair = generateKeyPairSync("ec", { namedCurve: opensslName });
      const pkcs8 = new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" }));
      const spki = new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));
      const key = ecdsa.importPrivateKey(curve, pkcs8);
      expect(ecdsa.exportPkcs8(key)).toEqual(pkcs8);
      expect(ecdsa.exportSpki(ecdsa.publicKey(key))).toEqual(spki);
    });

    test("private keys that are none are InvalidKeyMaterial", () => {
      const pkcs8 = ecdsa.exportPkcs8(privateKey);
      const wrongPoint = flipBit(pkcs8, pkcs8.length * 8 - 1);
      const other = generateKeyPairSync("ec", { namedCurve: otherOid });
      const wrong = [
        ...[0n, order, order + 1n, (1n << 256n) - 1n].map(scalarBytes),
        new Uint8Array(0),
        scalarBytes(5n).subarray(1),
        Uint8Array.from([0, ...scalarBytes(5n)]),
        pkcs8.subarray(0, -1),
        Uint8Array.from([...pkcs8, 0]),
        wrongPoint,
        new Uint8Array(other.privateKey.export({ format: "der", type: "pkcs8" })),
        ecdsa.exportSpki(publicKey),
      ];
      for (const key of wrong) {
        expect(codeOf(() => ecdsa.importPrivateKey(curve, key))).toBe("InvalidKeyMaterial");
      }
    });

    test("public keys that are none are InvalidKeyMaterial", () => {
      const other = generateKeyPairSync("ec", { namedCurve: otherOid });
      const explicit = generateKeyPairSync("ec", { namedCurve: opensslName, paramEncoding: "explicit" });
      const spki = ecdsa.exportSpki(publicKey);
      const wrong = [
        new Uint8Array(0),
        Uint8Array.of(0),
        new Uint8Array(65),
        Uint8Array.from([4, ...new Uint8Array(64)]),
        Uint8Array.from([6 | ((point[64] ?? 0) & 1), ...point.subarray(1)]),
        flipBit(point, 20 * 8),
        Uint8Array.from([2, ...new Uint8Array(32).fill(0xff)]),
        point.subarray(1),
        spki.subarray(0, -1),
        Uint8Array.from([...spki, 0]),
        flipBit(spki, spki.length * 8 - 1),
        new Uint8Array(other.publicKey.export({ format: "der", type: "spki" })),
        new Uint8Array(explicit.publicKey.export({ format: "der", type: "spki" })),
        ecdsa.exportPkcs8(privateKey),
      ];
      for (const key of wrong) {
        expect(codeOf(() => ecdsa.importPublicKey(curve, key))).toBe("InvalidKeyMaterial");
      }
    });

    test("a bare digest is signed and verified where digests are served, and refused elsewhere", () => {
      const digest = new Uint8Array(createHash("sha256").update(message).digest());
      const signature = ecdsa.sign(privateKey, signable);
      const expected = serves.digests ? "none" : "Rejected.UnsupportedOperation";
      expect(codeOf(() => ecdsa.sign(privateKey, digest))).toBe(expected);
      expect(codeOf(() => ecdsa.verify(publicKey, digest, signature))).toBe(expected);
      if (!serves.digests) return;
      expect(ecdsa.verify(publicKey, digest, signature)).toBe(true);
      expect(ecdsa.verify(publicKey, signable, ecdsa.sign(privateKey, digest))).toBe(true);
    });

    test("a recoverable signature is made where served, and refused elsewhere", () => {
      const expected = serves.recoverable ? "none" : "Rejected.UnsupportedOperation";
      expect(codeOf(() => ecdsa.sign(privateKey, signable, { format: "recoverable" }))).toBe(expected);
    });

    test("arguments of the wrong shape are InvalidParameter", () => {
      const signature = ecdsa.sign(privateKey, signable);
      for (const wrong of notBytes() as Uint8Array[]) {
        for (const call of [
          () => ecdsa.importPrivateKey(curve, wrong),
          () => ecdsa.importPublicKey(curve, wrong),
          () => ecdsa.sign(privateKey, wrong),
          () => ecdsa.sign(privateKey, { message: wrong, hash: "SHA-256" }),
          () => ecdsa.verify(publicKey, signable, wrong),
          () => ecdsa.verify(publicKey, { message: wrong, hash: "SHA-256" }, signature),
        ]) {
          expect(codeOf(call)).toBe("InvalidParameter");
        }
      }
      for (const call of [
        () => ecdsa.importPrivateKey("P-384" as CurveName, scalarBytes(5n)),
        () => ecdsa.importPublicKey("p256" as CurveName, point),
        () => ecdsa.sign(privateKey, { message, hash: "sha256" as "SHA-256" }),
        () => ecdsa.sign(privateKey, signable, { format: "asn1" as "der" }),
        () => ecdsa.sign(privateKey, signable, { lowS: 1 as unknown as boolean }),
        () => ecdsa.verify(publicKey, signable, signature, { format: "recoverable" as "der" }),
        () => ecdsa.verify(publicKey, signable, signature, { lowS: "no" as unknown as boolean }),
        () => ecdsa.signBatch("items" as unknown as []),
        () => ecdsa.verifyBatch([null] as unknown as []),
      ]) {
        expect(codeOf(call)).toBe("InvalidParameter");
      }
    });

    test("handles that are destroyed, of another kind or another engine are InvalidParameter", () => {
      const theirs = foreign.importPrivateKey(curve, scalarBytes(7n));
      const destroyed = ecdsa.importPrivateKey(curve, scalarBytes(7n));
      const destroyedPublic = ecdsa.publicKey(destroyed);
      destroyed.destroy();
      destroyed.destroy();
      expect(codeOf(() => ecdsa.exportSpki(destroyedPublic))).toBe("none");
      destroyedPublic.destroy();
      for (const key of [theirs, destroyed, publicKey, {}, null] as EcPrivateKey[]) {
        expect(codeOf(() => ecdsa.sign(key, signable))).toBe("InvalidParameter");
        expect(codeOf(() => ecdsa.publicKey(key))).toBe("InvalidParameter");
        expect(codeOf(() => ecdsa.exportPkcs8(key))).toBe("InvalidParameter");
      }
      for (const key of [foreign.publicKey(theirs), destroyedPublic, privateKey] as EcPublicKey[]) {
        expect(codeOf(() => ecdsa.verify(key, signable, new Uint8Array(64)))).toBe("InvalidParameter");
        expect(codeOf(() => ecdsa.exportSpki(key))).toBe("InvalidParameter");
        expect(codeOf(() => ecdsa.exportPoint(key))).toBe("InvalidParameter");
      }
    });

    test("batches give what single calls give, in order", async () => {
      const other = await ecdsa.generateKey(curve);
      const items = [privateKey, other.privateKey, privateKey].map((key, i) => ({
        key,
        signable: { message: utf8(`message ${i}`), hash: "SHA-256" } as const,
      }));
      const signatures = ecdsa.signBatch(items, { format: "p1363", lowS: true });
      const verifications = items.map(({ key, signable }, i) => ({
        key: ecdsa.publicKey(key),
        signable,
        signature: signatures[i === 1 ? 0 : i] ?? new Uint8Array(0),
      }));
      expect(ecdsa.verifyBatch(verifications, { format: "p1363", lowS: true })).toEqual([true, false, true]);
      expect(ecdsa.signBatch([])).toEqual([]);
    });

    test("generateKey reports the end and makes a new key each time", async () => {
      const progress: number[] = [];
      const pair = await ecdsa.generateKey(curve, { onProgress: (fraction) => progress.push(fraction) });
      expect(progress.at(-1)).toBe(1);
      expect(ecdsa.exportPoint(pair.publicKey)).not.toEqual(point);
      expect(ecdsa.exportPoint(ecdsa.publicKey(pair.privateKey))).toEqual(ecdsa.exportPoint(pair.publicKey));
    });

    test("generateKey rejects with the signal's reason, aborted before or meanwhile", async () => {
      const reason = new Error("enough");
      await expect(ecdsa.generateKey(curve, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const abort = new AbortController();
      const generation = ecdsa.generateKey(curve, { signal: abort.signal });
      abort.abort(reason);
      await expect(generation).rejects.toBe(reason);
      expect(await codeOfAsync(() => ecdsa.generateKey("P-521" as CurveName))).toBe("InvalidParameter");
    });
  });
}
