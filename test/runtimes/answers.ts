/** Answers of OpenSSL (node:crypto) and, for RFC 6979 nonces, of @noble/curves, over inputs that differ in every run. */

import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
} from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import type { Answers } from "./guest/protocol.ts";

const HASHES = { "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" } as const;
const CURVES = { "P-256": "prime256v1", secp256k1: "secp256k1" } as const;
const NOBLE = { "P-256": p256, secp256k1 } as const;
const LENGTHS: readonly number[] = [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 70_000];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const pkcs8 = (key: KeyObject): string => hex(key.export({ type: "pkcs8", format: "der" }));
const spki = (key: KeyObject): string => hex(createPublicKey(key).export({ type: "spki", format: "der" }));

function aesGcm(): Answers["aesGcm"] {
  const answers: Answers["aesGcm"][number][] = [];
  for (const keyLength of [16, 24, 32]) {
    for (const length of [0, 1, 16, 31, 256, 1000, 4096, 20_000]) {
      const [key, iv, aad] = [randomBytes(keyLength), randomBytes(12), randomBytes(length % 41)];
      const plaintext = randomBytes(length);
      const cipher = createCipheriv(`aes-${keyLength * 8}-gcm` as "aes-256-gcm", key, iv).setAAD(aad);
      const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      answers.push({
        key: hex(key),
        iv: hex(iv),
        aad: hex(aad),
        plaintext: hex(plaintext),
        sealed: hex(sealed),
      });
    }
  }
  return answers;
}

function keyWrap(cipherName: string, iv: string, lengths: readonly number[]): Answers["aesKw"] {
  return [16, 24, 32].flatMap((kekLength) =>
    lengths.map((length) => {
      const [kek, key] = [randomBytes(kekLength), randomBytes(length)];
      const cipher = createCipheriv(
        cipherName.replace("BITS", String(kekLength * 8)),
        kek,
        Buffer.from(iv, "hex"),
      );
      return {
        kek: hex(kek),
        key: hex(key),
        wrapped: hex(Buffer.concat([cipher.update(key), cipher.final()])),
      };
    }),
  );
}

function ecdsa(): Answers["ecdsa"] {
  return (["P-256", "secp256k1"] as const).flatMap((curve) =>
    (["SHA-256", "SHA-384", "SHA-512"] as const).map((hash) => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: CURVES[curve] });
      const scalar = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
      const message = randomBytes(100);
      // @noble/curves makes the nonce with the hash of the curve: only SHA-256 is RFC 6979 to the letter there.
      const deterministic = hash === "SHA-256";
      const signature = deterministic
        ? NOBLE[curve].sign(message, scalar, { lowS: false })
        : sign(HASHES[hash], message, { key: privateKey, dsaEncoding: "ieee-p1363" });
      return {
        curve,
        hash,
        pkcs8: pkcs8(privateKey),
        spki: spki(privateKey),
        message: hex(message),
        signature: hex(signature),
        deterministic,
      };
    }),
  );
}

function ecdh(): Answers["ecdh"] {
  return (["P-256", "secp256k1"] as const).map((curve) => {
    const own = generateKeyPairSync("ec", { namedCurve: CURVES[curve] });
    const peer = generateKeyPairSync("ec", { namedCurve: CURVES[curve] });
    const shared = diffieHellman({ privateKey: own.privateKey, publicKey: peer.publicKey });
    return { curve, pkcs8: pkcs8(own.privateKey), spki: spki(peer.privateKey), shared: hex(shared) };
  });
}

function rsa(): Answers["rsa"] {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const message = randomBytes(200);
  const plaintext = randomBytes(32);
  const pss = sign("sha256", message, { key: privateKey, padding: 6, saltLength: 32 });
  const pkcs1 = sign(
    "sha256",
    message,
    createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })),
  );
  const oaep = publicEncrypt({ key: createPublicKey(privateKey), padding: 4, oaepHash: "sha256" }, plaintext);
  return [
    {
      pkcs8: pkcs8(privateKey),
      spki: spki(privateKey),
      message: hex(message),
      pss: hex(pss),
      pkcs1: hex(pkcs1),
      plaintext: hex(plaintext),
      oaep: hex(oaep),
    },
  ];
}

/** Computes one set of answers for every primitive. */
export function makeAnswers(): Answers {
  const hashes = Object.entries(HASHES);
  return {
    hash: hashes.flatMap(([hash, name]) =>
      LENGTHS.map((length) => {
        const message = randomBytes(length);
        return { hash, message: hex(message), digest: createHash(name).update(message).digest("hex") };
      }),
    ),
    hmac: hashes.flatMap(([hash, name]) =>
      [1, 20, 64, 128, 129, 300].map((length) => {
        const [key, message] = [randomBytes(length), randomBytes(length * 3)];
        return {
          hash,
          key: hex(key),
          message: hex(message),
          mac: createHmac(name, key).update(message).digest("hex"),
        };
      }),
    ),
    hkdf: hashes.flatMap(([hash, name]) =>
      [1, 32, 100].map((length) => {
        const [ikm, salt, info] = [randomBytes(32), randomBytes(length), randomBytes(10)];
        const okm = hex(new Uint8Array(hkdfSync(name, ikm, salt, info, length)));
        return { hash, ikm: hex(ikm), salt: hex(salt), info: hex(info), okm };
      }),
    ),
    aesGcm: aesGcm(),
    aesKw: keyWrap("aesBITS-wrap", "a6a6a6a6a6a6a6a6", [16, 24, 32, 40]),
    aesKwp: keyWrap("id-aesBITS-wrap-pad", "a65959a6", [1, 7, 8, 20, 33]),
    ecdsa: ecdsa(),
    ecdh: ecdh(),
    rsa: rsa(),
  };
}
