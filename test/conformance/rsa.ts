/** What every engine's RSA signatures and encryption must do. Called once per engine. */

import {
  constants,
  sign as opensslSign,
  verify as opensslVerify,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
} from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { HashName, Rsa, RsaPrivateKey, RsaPublicKey, Signable } from "../../src/engines/engine.ts";
import { readRsaPkcs8 } from "../../src/engines/key-encoding.ts";
import {
  bytes,
  codeOf,
  expectOwned,
  flipBit,
  HASHES,
  type MakeEngine,
  notBytes,
  OPENSSL_HASH,
  served,
  utf8,
} from "./engine-support.ts";
import { message, opensslPair, signables } from "./rsa-support.ts";

/** What an engine may leave out, each of which must then be `Rejected.UnsupportedOperation`. */
export interface RsaServed {
  readonly otherMgfHash: boolean;
  readonly digests: boolean;
  /** PSS verification with a salt of any length. */
  readonly anySalt: boolean;
}

const HASH_LENGTH: Readonly<Record<HashName, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};

/** A search takes as long as luck will have it. */
const SLOW = { timeout: 60_000 };

export function describeRsa(name: string, make: MakeEngine, serves: RsaServed): void {
  describe(`${name} as RSA`, () => {
    const pair = opensslPair(2048);
    let rsa: Rsa;
    let privateKey: RsaPrivateKey;
    let publicKey: RsaPublicKey;
    /** A message and its digest, or the message twice where digests are not signed. */
    const ways = (hash: HashName, text?: Uint8Array): [Signable, Signable] => {
      const [whole, digest] = signables(hash, text);
      return serves.digests ? [whole, digest] : [whole, whole];
    };
    beforeAll(async () => {
      rsa = served(await make(), "rsa");
      privateKey = rsa.importPrivateKey(pair.pkcs8);
      publicKey = rsa.importPublicKey(pair.spki);
    });

    test.each(HASHES)("PSS with %s agrees with OpenSSL both ways, for messages and digests", (hash) => {
      for (const saltLength of [undefined, 0, 1, HASH_LENGTH[hash], 256 - HASH_LENGTH[hash] - 2]) {
        const options = saltLength === undefined ? { hash } : { hash, saltLength };
        const openssl = {
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: saltLength ?? HASH_LENGTH[hash],
        };
        const theirs = opensslSign(OPENSSL_HASH[hash], message, { key: pair.privateKey, ...openssl });
        for (const signable of ways(hash)) {
          const signature = rsa.signPss(privateKey, signable, options);
          expectOwned(signature);
          expect(signature.length).toBe(256);
          const key = { key: pair.publicKey, ...openssl };
          expect(opensslVerify(OPENSSL_HASH[hash], message, key, signature)).toBe(true);
          expect(rsa.verifyPss(publicKey, signable, theirs, options)).toBe(true);
          expect(rsa.verifyPss(publicKey, signable, signature, options)).toBe(true);
          const otherSalt = { hash, saltLength: (openssl.saltLength + 1) % 100 };
          expect(rsa.verifyPss(publicKey, signable, signature, otherSalt)).toBe(false);
        }
      }
    });

    test("PSS signs with a new salt each time, unless it has none", () => {
      for (const signable of ways("SHA-256")) {
        const make = (saltLength: number): Uint8Array =>
          rsa.signPss(privateKey, signable, { hash: "SHA-256", saltLength });
        expect(make(32)).not.toEqual(make(32));
        expect(make(0)).toEqual(make(0));
      }
    });

    test("a digest is signed and verified, or refused as unsupported", () => {
      const [, digest] = signables("SHA-256");
      const options = { hash: "SHA-256" } as const;
      const expected = serves.digests ? "none" : "Rejected.UnsupportedOperation";
      expect(codeOf(() => rsa.signPss(privateKey, digest, options))).toBe(expected);
      expect(codeOf(() => rsa.signPkcs1(privateKey, digest, options))).toBe(expected);
      expect(codeOf(() => rsa.verifyPss(publicKey, digest, digest, options))).toBe(expected);
      expect(codeOf(() => rsa.verifyPkcs1(publicKey, digest, digest, options))).toBe(expected);
    });

    test("PSS takes a salt of any length where asked to, for verification alone", () => {
      const hash = "SHA-256";
      const auto = { hash, saltLength: "auto" } as const;
      if (!serves.anySalt) {
        const verify = () => rsa.verifyPss(publicKey, ways(hash)[0], new Uint8Array(256), auto);
        expect(codeOf(verify)).toBe("Rejected.UnsupportedOperation");
        return;
      }
      for (const saltLength of [0, 1, 20, 32, 222]) {
        const signature = rsa.signPss(privateKey, ways(hash)[1], { hash, saltLength });
        for (const signable of ways(hash)) {
          expect(rsa.verifyPss(publicKey, signable, signature, auto)).toBe(true);
          expect(rsa.verifyPss(publicKey, signable, flipBit(signature, 99), auto)).toBe(false);
          expect(rsa.verifyPss(publicKey, signable, new Uint8Array(256), auto)).toBe(false);
        }
        const [, other] = ways(hash, utf8("another"));
        const items = [ways(hash)[1], other].map((signable) => ({
          key: publicKey,
          signable,
          signature,
        }));
        expect(rsa.verifyPssBatch(items, auto)).toEqual([true, false]);
      }
      const signing = auto as unknown as { hash: HashName; saltLength: number };
      expect(codeOf(() => rsa.signPss(privateKey, ways(hash)[1], signing))).toBe("InvalidParameter");
    });

    test.each(HASHES)("PKCS#1 v1.5 with %s gives OpenSSL's bytes, for messages and digests", (hash) => {
      fc.assert(
        fc.property(bytes(), (text) => {
          const theirs = new Uint8Array(opensslSign(OPENSSL_HASH[hash], text, pair.privateKey));
          for (const signable of ways(hash, text)) {
            const signature = rsa.signPkcs1(privateKey, signable, { hash });
            expectOwned(signature);
            expect(signature).toEqual(theirs);
            expect(rsa.verifyPkcs1(publicKey, signable, theirs, { hash })).toBe(true);
          }
        }),
        { numRuns: 10 },
      );
    });

    test("verify is false for changed bits, other messages and hashes, and bytes of any shape", () => {
      const verifiers = [
        { sign: rsa.signPss.bind(rsa), verify: rsa.verifyPss.bind(rsa) },
        { sign: rsa.signPkcs1.bind(rsa), verify: rsa.verifyPkcs1.bind(rsa) },
      ];
      const options = { hash: "SHA-256" } as const;
      for (const { sign, verify } of verifiers) {
        for (const signable of ways("SHA-256")) {
          const signature = sign(privateKey, signable, options);
          const [otherMessage, otherDigest] = ways("SHA-256", utf8("another"));
          expect(verify(publicKey, otherMessage, signature, options)).toBe(false);
          expect(verify(publicKey, otherDigest, signature, options)).toBe(false);
          const wrong = [
            ...Array.from({ length: 64 }, (_, i) => flipBit(signature, i * 32 + (i % 32))),
            signature.subarray(1),
            Uint8Array.from([0, ...signature]),
            Uint8Array.from([...signature, 0]),
            new Uint8Array(0),
            new Uint8Array(256),
            new Uint8Array(256).fill(0xff),
            pair.spki.subarray(33, 33 + 256),
          ];
          for (const bad of wrong) expect(verify(publicKey, signable, bad, options)).toBe(false);
        }
        const [, sha512] = ways("SHA-512");
        expect(verify(publicKey, sha512, new Uint8Array(256), { hash: "SHA-512" })).toBe(false);
      }
    });

    test("verify is false for well-signed blocks that are not exactly the padding", () => {
      const [signable, digest] = ways("SHA-256");
      const padding = constants.RSA_NO_PADDING;
      const raw = (block: Uint8Array): Uint8Array => privateEncrypt({ key: pair.privateKey, padding }, block);
      const unsign = (signature: Uint8Array): Uint8Array =>
        publicDecrypt({ key: pair.publicKey, padding }, signature);
      const block = unsign(rsa.signPkcs1(privateKey, digest, { hash: "SHA-256" }));
      expect(rsa.verifyPkcs1(publicKey, digest, raw(block), { hash: "SHA-256" })).toBe(true);
      for (const at of [1, 2, 100, 200, 204, 205, 210, 222, 224, 255]) {
        const changed = flipBit(block, at * 8);
        for (const target of [signable, digest]) {
          expect(rsa.verifyPkcs1(publicKey, target, raw(changed), { hash: "SHA-256" })).toBe(false);
        }
      }
      const pss = unsign(rsa.signPss(privateKey, digest, { hash: "SHA-256" }));
      expect(rsa.verifyPss(publicKey, digest, raw(pss), { hash: "SHA-256" })).toBe(true);
      for (const at of [1, 100, 189, 190, 191, 222, 223, 230, 254, 255]) {
        for (const target of [signable, digest]) {
          expect(rsa.verifyPss(publicKey, target, raw(flipBit(pss, at * 8)), { hash: "SHA-256" })).toBe(
            false,
          );
        }
      }
    });

    test.each(HASHES)("OAEP with %s agrees with OpenSSL both ways, with and without a label", (hash) => {
      const most = 256 - 2 * HASH_LENGTH[hash] - 2;
      for (const label of [undefined, new Uint8Array(0), utf8("label")]) {
        const options = label === undefined ? { hash } : { hash, label };
        const openssl = {
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: OPENSSL_HASH[hash],
          ...(label?.length ? { oaepLabel: label } : {}),
        };
        for (const length of [0, 1, 32, most]) {
          const plaintext = Uint8Array.from({ length }, (_, i) => i * 3);
          const ciphertext = rsa.encryptOaep(publicKey, plaintext, options);
          expectOwned(ciphertext);
          const opened = privateDecrypt({ key: pair.privateKey, ...openssl }, ciphertext);
          expect(new Uint8Array(opened)).toEqual(plaintext);
          const theirs = publicEncrypt({ key: pair.publicKey, ...openssl }, plaintext);
          const ours = rsa.decryptOaep(privateKey, theirs, options);
          expect(ours).toEqual(plaintext);
          if (ours) expectOwned(ours);
        }
        expect(codeOf(() => rsa.encryptOaep(publicKey, new Uint8Array(most + 1), options))).toBe(
          "InvalidParameter",
        );
      }
    });

    test("decryptOaep returns undefined for every failure", () => {
      const options = { hash: "SHA-256", label: utf8("label") } as const;
      const ciphertext = rsa.encryptOaep(publicKey, utf8("secret"), options);
      expect(rsa.decryptOaep(privateKey, ciphertext, options)).toEqual(utf8("secret"));
      const calls = [
        () => rsa.decryptOaep(privateKey, ciphertext, { hash: "SHA-256" }),
        () => rsa.decryptOaep(privateKey, ciphertext, { hash: "SHA-256", label: utf8("Label") }),
        () => rsa.decryptOaep(privateKey, ciphertext, { ...options, hash: "SHA-1" }),
        () => rsa.decryptOaep(privateKey, ciphertext.subarray(1), options),
        () => rsa.decryptOaep(privateKey, Uint8Array.from([0, ...ciphertext]), options),
        () => rsa.decryptOaep(privateKey, new Uint8Array(0), options),
        () => rsa.decryptOaep(privateKey, new Uint8Array(256), options),
        () => rsa.decryptOaep(privateKey, new Uint8Array(256).fill(0xff), options),
        ...Array.from(
          { length: 40 },
          (_, i) => () => rsa.decryptOaep(privateKey, flipBit(ciphertext, 51 * i), options),
        ),
      ];
      for (const call of calls) expect(call()).toBeUndefined();
    });

    test("an MGF1 hash of its own is served or refused as a whole", () => {
      const options = { hash: "SHA-256", mgfHash: "SHA-1" } as const;
      const expected = serves.otherMgfHash ? "none" : "Rejected.UnsupportedOperation";
      expect(codeOf(() => rsa.encryptOaep(publicKey, message, options))).toBe(expected);
      expect(codeOf(() => rsa.decryptOaep(privateKey, new Uint8Array(256), options))).toBe(expected);
      expect(codeOf(() => rsa.encryptOaep(publicKey, message, { hash: "SHA-1", mgfHash: "SHA-1" }))).toBe(
        "none",
      );
    });

    test("arguments of the wrong shape are InvalidParameter", () => {
      const digest = new Uint8Array(32);
      const hash = "SHA-256";
      for (const wrong of notBytes() as Uint8Array[]) {
        for (const call of [
          () => rsa.importPrivateKey(wrong),
          () => rsa.importPublicKey(wrong),
          () => rsa.signPss(privateKey, wrong, { hash }),
          () => rsa.signPkcs1(privateKey, { message: wrong, hash }, { hash }),
          () => rsa.verifyPss(publicKey, digest, wrong, { hash }),
          () => rsa.verifyPkcs1(publicKey, digest, wrong, { hash }),
          () => rsa.encryptOaep(publicKey, wrong, { hash }),
          () => rsa.decryptOaep(privateKey, wrong, { hash }),
        ]) {
          expect(codeOf(call)).toBe("InvalidParameter");
        }
      }
      const none = undefined as unknown as { hash: HashName };
      for (const call of [
        () => rsa.signPss(privateKey, digest.subarray(1), { hash }),
        () => rsa.signPkcs1(privateKey, digest, { hash: "SHA-512" }),
        () => rsa.verifyPss(publicKey, new Uint8Array(20), digest, { hash }),
        () => rsa.verifyPkcs1(publicKey, new Uint8Array(0), digest, { hash }),
        () => rsa.signPss(privateKey, { message, hash: "SHA-384" }, { hash }),
        () => rsa.signPss(privateKey, digest, none),
        () => rsa.signPkcs1(privateKey, digest, none),
        () => rsa.encryptOaep(publicKey, digest, none),
        () => rsa.signPss(privateKey, digest, { hash: "sha256" as HashName }),
        ...[-1, -2, 1.5, 223, Number.NaN, "32" as unknown as number].flatMap((saltLength) => [
          () => rsa.signPss(privateKey, digest, { hash, saltLength }),
          () => rsa.verifyPss(publicKey, { message, hash }, new Uint8Array(256), { hash, saltLength }),
        ]),
        () => rsa.encryptOaep(publicKey, digest, { hash, mgfHash: "MD5" as HashName }),
        () => rsa.encryptOaep(publicKey, digest, { hash, label: "text" as unknown as Uint8Array }),
        () => rsa.signPssBatch([null] as unknown as [], { hash }),
      ]) {
        expect(codeOf(call)).toBe("InvalidParameter");
      }
    });

    test("batches give what single calls give, in order", () => {
      const [signable, digest] = ways("SHA-256");
      const options = { hash: "SHA-256" } as const;
      const items = [signable, digest].map((one) => ({ key: privateKey, signable: one }));
      const pkcs1 = rsa.signPkcs1Batch(items, options);
      expect(pkcs1).toEqual(items.map((item) => rsa.signPkcs1(item.key, item.signable, options)));
      const pss = rsa.signPssBatch(items, options);
      const checks = (
        signatures: Uint8Array[],
      ): { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[] =>
        [...signatures, new Uint8Array(3)].map((signature) => ({
          key: publicKey,
          signable: digest,
          signature,
        }));
      expect(rsa.verifyPkcs1Batch(checks(pkcs1), options)).toEqual([true, true, false]);
      expect(rsa.verifyPssBatch(checks(pss), options)).toEqual([true, true, false]);
      expect(rsa.signPssBatch([], options)).toEqual([]);
    });

    test(
      "a signature or ciphertext that lost its leading zero is none, although the number is the same",
      SLOW,
      () => {
        const options = { hash: "SHA-256" } as const;
        const startsWithZero = (make: (round: number) => Uint8Array): Uint8Array => {
          for (let round = 0; ; round++) {
            const bytes = make(round);
            if (bytes[0] === 0) return bytes;
          }
        };
        const ciphertext = startsWithZero(() => rsa.encryptOaep(publicKey, message, options));
        expect(rsa.decryptOaep(privateKey, ciphertext, options)).toEqual(message);
        expect(rsa.decryptOaep(privateKey, ciphertext.subarray(1), options)).toBeUndefined();
        const signature = startsWithZero(() => rsa.signPss(privateKey, ways("SHA-256")[0], options));
        for (const signable of ways("SHA-256")) {
          expect(rsa.verifyPss(publicKey, signable, signature, options)).toBe(true);
          expect(rsa.verifyPss(publicKey, signable, signature.subarray(1), options)).toBe(false);
        }
      },
    );

    test("a PSS block whose unused top bit is set does not verify", () => {
      const padding = constants.RSA_NO_PADDING;
      const [signable, digest] = ways("SHA-256");
      const [modulusTop = 0] = readRsaPkcs8(pair.pkcs8).n;
      let block: Uint8Array;
      do {
        const signature = rsa.signPss(privateKey, digest, { hash: "SHA-256" });
        block = publicDecrypt({ key: pair.publicKey, padding }, signature);
      } while (((block[0] ?? 0) | 0x80) >= modulusTop);
      const signature = privateEncrypt({ key: pair.privateKey, padding }, flipBit(block, 7));
      expect(rsa.verifyPss(publicKey, digest, signature, { hash: "SHA-256" })).toBe(false);
      expect(rsa.verifyPss(publicKey, signable, signature, { hash: "SHA-256" })).toBe(false);
    });
  });
}
