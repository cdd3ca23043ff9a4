/** How every engine must take, give and generate RSA keys. Called once per engine. */

import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Rsa, RsaModulusBits, RsaPrivateKey, RsaPublicKey } from "../../src/engines/engine.ts";
import {
  encodeRsaPkcs8,
  encodeRsaSpki,
  type RsaPrivateFields,
  readRsaPkcs8,
} from "../../src/engines/key-encoding.ts";
import { codeOf, codeOfAsync, expectOwned, flipBit, type MakeEngine, served } from "./engine-support.ts";
import { opensslPair, signables } from "./rsa-support.ts";

const MODULUS_BITS: readonly RsaModulusBits[] = [2048, 3072, 4096];
/** Generation takes as long as luck will have it. */
const SLOW = { timeout: 60_000 };

export function describeRsaKeys(name: string, make: MakeEngine): void {
  describe(`${name} as keeper of RSA keys`, () => {
    const pair = opensslPair(2048);
    let rsa: Rsa;
    let foreign: Rsa;
    let privateKey: RsaPrivateKey;
    let publicKey: RsaPublicKey;
    beforeAll(async () => {
      rsa = served(await make(), "rsa");
      foreign = served(await make(), "rsa");
      privateKey = rsa.importPrivateKey(pair.pkcs8);
      publicKey = rsa.importPublicKey(pair.spki);
    });

    test("keys come back byte for byte, and the public key is the private one's", () => {
      expect(rsa.exportPkcs8(privateKey)).toEqual(pair.pkcs8);
      expect(rsa.exportSpki(publicKey)).toEqual(pair.spki);
      expect(rsa.exportSpki(rsa.publicKey(privateKey))).toEqual(pair.spki);
      expectOwned(rsa.exportPkcs8(privateKey));
      expectOwned(rsa.exportSpki(publicKey));
      expect([privateKey.modulusBits, publicKey.modulusBits]).toEqual([2048, 2048]);
    });

    test("keys of 3072 and 4096 bits, and with exponent 3, are served", SLOW, () => {
      for (const other of [opensslPair(3072), opensslPair(4096), opensslPair(2048, 3)]) {
        const key = rsa.importPrivateKey(other.pkcs8);
        const signature = rsa.signPss(key, signables("SHA-512")[0], { hash: "SHA-512" });
        const pub = rsa.importPublicKey(other.spki);
        expect(pub.modulusBits).toBe(8 * signature.length);
        expect(rsa.verifyPss(pub, signables("SHA-512")[0], signature, { hash: "SHA-512" })).toBe(true);
      }
    });

    test("public keys outside the limits are InvalidKeyMaterial", () => {
      const { n, e } = readRsaPkcs8(pair.pkcs8);
      const even = Uint8Array.from(n);
      even[255] = (even[255] ?? 0) & 0xfe;
      const wrong = [
        encodeRsaSpki({ n: n.subarray(0, 128), e }),
        encodeRsaSpki({ n: n.subarray(1), e }),
        encodeRsaSpki({ n: Uint8Array.from([...n, 1]), e }),
        encodeRsaSpki({ n: Uint8Array.from([0x7f, ...n.subarray(1)]), e }),
        encodeRsaSpki({ n: even, e }),
        ...[[0], [1], [2], [0x10], [1, 0, 0], [1, 0, 0, 0, 1]].map((small) =>
          encodeRsaSpki({ n, e: Uint8Array.from(small) }),
        ),
        pair.spki.subarray(0, -1),
        Uint8Array.from([...pair.spki, 0]),
        new Uint8Array(0),
        new Uint8Array(
          generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({
            format: "der",
            type: "spki",
          }),
        ),
        new Uint8Array(
          generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey.export({
            format: "der",
            type: "spki",
          }),
        ),
        new Uint8Array(pair.publicKey.export({ format: "der", type: "pkcs1" })),
      ];
      for (const spki of wrong) expect(codeOf(() => rsa.importPublicKey(spki))).toBe("InvalidKeyMaterial");
    });

    test("a private key with any number changed, swapped or left out is InvalidKeyMaterial", SLOW, () => {
      const fields = readRsaPkcs8(pair.pkcs8);
      const names: readonly (keyof RsaPrivateFields)[] = ["n", "e", "d", "p", "q", "dP", "dQ", "qInv"];
      const other = readRsaPkcs8(opensslPair(2048).pkcs8);
      const wrong = [
        ...names.map((field) => ({ ...fields, [field]: flipBit(fields[field], 9) })),
        ...names.map((field) => ({
          ...fields,
          [field]: flipBit(fields[field], 8 * fields[field].length - 7),
        })),
        ...names.filter((field) => field !== "e").map((field) => ({ ...fields, [field]: other[field] })),
        ...names.map((field) => ({ ...fields, [field]: Uint8Array.of(0) })),
        { ...fields, p: fields.q, q: fields.p },
        { ...fields, p: fields.q, q: fields.p, dP: fields.dQ, dQ: fields.dP },
        { ...fields, p: Uint8Array.of(1), q: fields.n },
      ];
      for (const key of wrong) {
        expect(codeOf(() => rsa.importPrivateKey(encodeRsaPkcs8(key)))).toBe("InvalidKeyMaterial");
      }
      for (const der of [
        pair.pkcs8.subarray(0, -1),
        Uint8Array.from([...pair.pkcs8, 0]),
        new Uint8Array(0),
        pair.spki,
        opensslPair(1024).pkcs8,
        new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs1" })),
      ]) {
        expect(codeOf(() => rsa.importPrivateKey(der))).toBe("InvalidKeyMaterial");
      }
    });

    test("handles that are destroyed, of another kind or another engine are InvalidParameter", () => {
      const hash = "SHA-256";
      const digest = new Uint8Array(32);
      const destroyed = rsa.importPrivateKey(pair.pkcs8);
      const destroyedPublic = rsa.publicKey(destroyed);
      destroyed.destroy();
      expect(rsa.exportSpki(destroyedPublic)).toEqual(pair.spki);
      destroyedPublic.destroy();
      const wrongPrivate = [foreign.importPrivateKey(pair.pkcs8), destroyed, publicKey] as RsaPrivateKey[];
      for (const key of wrongPrivate) {
        expect(codeOf(() => rsa.signPss(key, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.signPkcs1(key, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.decryptOaep(key, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.exportPkcs8(key))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.publicKey(key))).toBe("InvalidParameter");
      }
      for (const key of [foreign.importPublicKey(pair.spki), destroyedPublic, privateKey] as RsaPublicKey[]) {
        expect(codeOf(() => rsa.verifyPss(key, digest, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.verifyPkcs1(key, digest, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.encryptOaep(key, digest, { hash }))).toBe("InvalidParameter");
        expect(codeOf(() => rsa.exportSpki(key))).toBe("InvalidParameter");
      }
    });

    test("generateKey rejects promptly with the signal's reason", async () => {
      const reason = new Error("enough");
      await expect(rsa.generateKey(4096, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const abort = new AbortController();
      const generation = rsa.generateKey(4096, { signal: abort.signal });
      setTimeout(() => abort.abort(reason), 5);
      const start = performance.now();
      await expect(generation).rejects.toBe(reason);
      expect(performance.now() - start).toBeLessThan(1000);
    });

    test(
      "generateKey makes keys of the asked size that OpenSSL takes, and reports the end",
      SLOW,
      async () => {
        const progress: number[] = [];
        for (const bits of MODULUS_BITS.slice(0, 2)) {
          const made = await rsa.generateKey(bits, { onProgress: (fraction) => progress.push(fraction) });
          expect(made.privateKey.modulusBits).toBe(bits);
          const key = createPrivateKey({
            key: Buffer.from(rsa.exportPkcs8(made.privateKey)),
            format: "der",
            type: "pkcs8",
          });
          expect(key.asymmetricKeyDetails?.modulusLength).toBe(bits);
          expect(key.asymmetricKeyDetails?.publicExponent).toBe(65537n);
          const spki = rsa.exportSpki(made.publicKey);
          expect(createPublicKey(key).export({ format: "der", type: "spki" }).equals(spki)).toBe(true);
        }
        expect(progress.at(-1)).toBe(1);
        for (const bits of [1024, 2047, 8192, "2048", undefined]) {
          expect(await codeOfAsync(() => rsa.generateKey(bits as RsaModulusBits))).toBe("InvalidParameter");
        }
      },
    );

    test("a private exponent that fits one prime alone is InvalidKeyMaterial", () => {
      const fields = readRsaPkcs8(pair.pkcs8);
      const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
      for (const prime of [fields.p, fields.q]) {
        // d changes by p - 1 or q - 1, which only the relation with the other prime notices.
        const sum = number(fields.d) + number(prime) - 1n;
        const d = Uint8Array.from(Buffer.from(sum.toString(16).padStart(512, "0"), "hex"));
        const pkcs8 = encodeRsaPkcs8({ ...fields, d });
        expect(codeOf(() => rsa.importPrivateKey(pkcs8))).toBe("InvalidKeyMaterial");
      }
    });
  });
}
