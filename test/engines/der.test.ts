/**
 * Holds the DER reader and writer, and the key and signature encodings made of them, against @peculiar/asn1 and OpenSSL.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { ECDSASigValue, ECPrivateKey } from "@peculiar/asn1-ecc";
import { PrivateKeyInfo } from "@peculiar/asn1-pkcs8";
import { RSAPrivateKey, RSAPublicKey } from "@peculiar/asn1-rsa";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import { SubjectPublicKeyInfo } from "@peculiar/asn1-x509";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DerError,
  DerReader,
  DerTag,
  der,
  derBitString,
  derUnsigned,
  encodeDer,
} from "../../src/engines/der.ts";
import {
  encodeDerSignature,
  readDerSignature,
  readP1363Signature,
} from "../../src/engines/ecdsa-signature.ts";
import type { CurveName } from "../../src/engines/engine.ts";
import * as keys from "../../src/engines/key-encoding.ts";
import { fromHex } from "../../src/engines/self-test-vectors.ts";
import { codeOf } from "../conformance/engine-support.ts";

const CURVES: readonly CurveName[] = ["P-256", "secp256k1"];
const OPENSSL_CURVE = { "P-256": "prime256v1", secp256k1: "secp256k1" } as const;

/** Magnitudes with leading zeros, sign bits and zero itself among them. */
const magnitude = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc
    .tuple(fc.nat(3), fc.uint8Array({ minLength: 1, maxLength: 300 }))
    .map(([zeros, tail]) => Uint8Array.from([...new Uint8Array(zeros), ...tail])),
);

/** Drops leading zeros but the last byte. */
function minimal(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start < 0 ? Uint8Array.of(0) : bytes.slice(start);
}

/** Reads an INTEGER's value, as @peculiar/asn1 keeps it, as a magnitude. */
function fromPeculiar(value: ArrayBuffer): Uint8Array {
  return minimal(new Uint8Array(value));
}

function read(hex: string): DerReader {
  return new DerReader(fromHex(hex));
}

describe("the DER reader", () => {
  test.each([
    ["an indefinite length", "30800000"],
    ["a long length below 128", "30810100"],
    ["a length with a leading zero", `308200ff${"00".repeat(255)}`],
    ["a reserved length", "30ff00"],
    ["a length of four bytes", "308400000001ff"],
    ["content that is cut short", "300201"],
    ["a missing length", "30"],
    ["another tag", "3100"],
    ["nothing at all", ""],
  ])("refuses %s", (_, hex) => {
    expect(() => read(hex).enter(DerTag.sequence)).toThrow(DerError);
  });

  test.each([
    ["an empty one", "0200"],
    ["a negative one", "020180"],
    ["a leading zero without need", "0202007f"],
    ["two leading zeros", "0203000080"],
  ])("refuses an INTEGER that is %s", (_, hex) => {
    expect(() => read(hex).unsigned()).toThrow(DerError);
  });

  test.each([
    ["unused bits", "03020180"],
    ["no count of unused bits", "0300"],
  ])("refuses a BIT STRING with %s", (_, hex) => {
    expect(() => read(hex).bitString()).toThrow(DerError);
  });

  test("refuses to end before the end", () => {
    const reader = read("050000");
    reader.read(DerTag.null);
    expect(() => reader.end()).toThrow(DerError);
  });

  test("takes every length the writer makes, at the borders of the length forms too", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536, 70000]) {
      const content = new Uint8Array(length).fill(7);
      const written = encodeDer(der(DerTag.octetString, content));
      const reader = new DerReader(written);
      expect(reader.read(DerTag.octetString)).toEqual(content);
      reader.end();
      expect(AsnConvert.parse(written, OctetString).byteLength).toBe(length);
    }
  });

  test("returns views of its input, not copies", () => {
    const input = encodeDer(
      der(DerTag.sequence, derUnsigned(Uint8Array.of(0x80, 1)), derBitString(Uint8Array.of(5))),
    );
    const sequence = new DerReader(input).enter(DerTag.sequence);
    expect(sequence.unsigned().buffer).toBe(input.buffer);
    expect(sequence.bitString().buffer).toBe(input.buffer);
  });

  test("reads back the magnitude of any INTEGER, without leading zeros", () => {
    fc.assert(
      fc.property(magnitude, (bytes) => {
        const reader = new DerReader(encodeDer(derUnsigned(bytes)));
        expect(reader.unsigned()).toEqual(minimal(bytes));
        reader.end();
      }),
    );
  });
});

describe("ECDSA signatures in DER", () => {
  const scalar = fc.uint8Array({ minLength: 32, maxLength: 32 });

  test("what is written, @peculiar/asn1 reads with the same values, and the reader takes back", () => {
    fc.assert(
      fc.property(scalar, scalar, fc.constantFrom(...CURVES), (r, s, curve) => {
        const pair = Uint8Array.from([...r, ...s]);
        const written = encodeDerSignature(pair);
        const theirs = AsnConvert.parse(written, ECDSASigValue);
        expect(fromPeculiar(theirs.r)).toEqual(minimal(r));
        expect(fromPeculiar(theirs.s)).toEqual(minimal(s));
        const taken = readDerSignature(curve, written);
        if (taken !== undefined) expect(taken).toEqual(pair);
      }),
    );
  });

  test.each([
    ["P-256", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"],
    ["secp256k1", "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"],
  ] as const)("r and s on %s are read from 1 to n - 1 and nowhere else", (curve, order) => {
    const n = fromHex(order);
    const below = Uint8Array.from([...n.subarray(0, 31), (n[31] ?? 0) - 1]);
    const one = Uint8Array.from([...new Uint8Array(31), 1]);
    const inRange = (r: Uint8Array, s: Uint8Array): boolean[] => {
      const pair = Uint8Array.from([...r, ...s]);
      const read = [readP1363Signature(curve, pair), readDerSignature(curve, encodeDerSignature(pair))];
      return read.map((taken) => taken !== undefined);
    };
    expect(inRange(one, below)).toEqual([true, true]);
    expect(inRange(below, one)).toEqual([true, true]);
    for (const outside of [new Uint8Array(32), n, new Uint8Array(32).fill(0xff)]) {
      expect(inRange(outside, one)).toEqual([false, false]);
      expect(inRange(one, outside)).toEqual([false, false]);
    }
  });
});

describe.each(CURVES)("EC keys on %s", (curve) => {
  const made = (): { pkcs8: Uint8Array; spki: Uint8Array; sec1: Uint8Array } => {
    const pair = generateKeyPairSync("ec", { namedCurve: OPENSSL_CURVE[curve] });
    return {
      pkcs8: new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" })),
      sec1: new Uint8Array(pair.privateKey.export({ format: "der", type: "sec1" })),
      spki: new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })),
    };
  };

  test("OpenSSL's encodings are taken, agree with @peculiar/asn1 and are written byte for byte", () => {
    for (let i = 0; i < 20; i++) {
      const { pkcs8, sec1, spki } = made();
      const fields = keys.readEcPkcs8(curve, pkcs8);
      const info = AsnConvert.parse(pkcs8, PrivateKeyInfo);
      const theirs = AsnConvert.parse(info.privateKey.buffer, ECPrivateKey);
      expect(new Uint8Array(theirs.privateKey.buffer)).toEqual(fields.scalar);
      expect(new Uint8Array(theirs.publicKey ?? new ArrayBuffer(0))).toEqual(fields.point);
      expect(keys.encodeEcPkcs8(curve, fields)).toEqual(pkcs8);

      const bare = keys.readSec1(curve, sec1);
      expect(bare.namesCurve).toBe(true);
      expect(bare.scalar).toEqual(fields.scalar);
      expect(keys.encodeSec1(curve, bare)).toEqual(sec1);

      const point = keys.readEcSpki(curve, spki);
      expect(point).toEqual(fields.point);
      expect(new Uint8Array(AsnConvert.parse(spki, SubjectPublicKeyInfo).subjectPublicKey)).toEqual(point);
      expect(keys.encodeEcSpki(curve, point)).toEqual(spki);
    }
  });

  test("every form that is written OpenSSL reads as the same key", () => {
    const { pkcs8, spki } = made();
    const { scalar, point } = keys.readEcPkcs8(curve, pkcs8);
    for (const fields of [
      { scalar },
      { scalar, point },
      { scalar, namesCurve: true },
      { scalar, point, namesCurve: true },
    ]) {
      const written = Buffer.from(keys.encodeEcPkcs8(curve, fields));
      const key = createPrivateKey({ key: written, format: "der", type: "pkcs8" });
      expect(createPublicKey(key).export({ format: "der", type: "spki" }).equals(spki)).toBe(true);
    }
  });

  test("other encodings of the same key are InvalidKeyMaterial", () => {
    const { pkcs8, spki } = made();
    const { scalar, point = new Uint8Array(0) } = keys.readEcPkcs8(curve, pkcs8);
    const compressed = Uint8Array.from([2 | ((point[64] ?? 0) & 1), ...point.subarray(1, 33)]);
    const algorithm = spki.subarray(2, 2 + 2 + (spki[3] ?? 0));
    const version0 = Uint8Array.of(2, 1, 0);
    const version1 = Uint8Array.of(2, 1, 1);
    const inner = der(DerTag.octetString, keys.encodeSec1(curve, { scalar, point }));
    const wrap = (...content: Parameters<typeof der>[1][]): Uint8Array =>
      encodeDer(der(DerTag.sequence, ...content));
    expect(wrap(version0, algorithm, inner)).toEqual(pkcs8);
    const privateKeys = [
      wrap(version1, algorithm, inner),
      wrap(version1, algorithm, inner, der(0x81, point)),
      wrap(version0, algorithm, inner, der(DerTag.context0)),
      wrap(
        version0,
        algorithm,
        der(DerTag.octetString, keys.encodeSec1(curve, { scalar: scalar.subarray(1) })),
      ),
      wrap(
        version0,
        algorithm,
        der(DerTag.octetString, keys.encodeSec1(curve, { scalar, point: compressed })),
      ),
    ];
    for (const key of privateKeys)
      expect(codeOf(() => keys.readEcPkcs8(curve, key))).toBe("InvalidKeyMaterial");
    const publicKeys = [
      keys.encodeEcSpki(curve, compressed),
      keys.encodeEcSpki(curve, Uint8Array.of(0)),
      keys.encodeEcSpki(curve, Uint8Array.from([6 | ((point[64] ?? 0) & 1), ...point.subarray(1)])),
      encodeDer(der(DerTag.sequence, algorithm, der(DerTag.bitString, Uint8Array.of(1), point))),
    ];
    for (const key of publicKeys)
      expect(codeOf(() => keys.readEcSpki(curve, key))).toBe("InvalidKeyMaterial");
    const other = curve === "P-256" ? "secp256k1" : "P-256";
    expect(codeOf(() => keys.readEcSpki(other, spki))).toBe("InvalidKeyMaterial");
    expect(codeOf(() => keys.readEcPkcs8(other, pkcs8))).toBe("InvalidKeyMaterial");
  });
});

describe("RSA keys", () => {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pkcs8 = new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" }));
  const pkcs1 = new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs1" }));
  const spki = new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));

  test("OpenSSL's encodings are taken, agree with @peculiar/asn1 and are written byte for byte", () => {
    const fields = keys.readRsaPkcs8(pkcs8);
    expect(keys.readRsaPrivateKey(pkcs1)).toEqual(fields);
    const theirs = AsnConvert.parse(AsnConvert.parse(pkcs8, PrivateKeyInfo).privateKey.buffer, RSAPrivateKey);
    expect(fromPeculiar(theirs.modulus)).toEqual(fields.n);
    expect(fromPeculiar(theirs.publicExponent)).toEqual(fields.e);
    expect(fromPeculiar(theirs.privateExponent)).toEqual(fields.d);
    expect(fromPeculiar(theirs.prime1)).toEqual(fields.p);
    expect(fromPeculiar(theirs.prime2)).toEqual(fields.q);
    expect(fromPeculiar(theirs.exponent1)).toEqual(fields.dP);
    expect(fromPeculiar(theirs.exponent2)).toEqual(fields.dQ);
    expect(fromPeculiar(theirs.coefficient)).toEqual(fields.qInv);
    expect(keys.encodeRsaPkcs8(fields)).toEqual(pkcs8);
    expect(keys.encodeRsaPrivateKey(fields)).toEqual(pkcs1);

    const info = AsnConvert.parse(spki, SubjectPublicKeyInfo);
    const publicKey = AsnConvert.parse(info.subjectPublicKey, RSAPublicKey);
    expect(keys.readRsaSpki(spki)).toEqual({
      n: fromPeculiar(publicKey.modulus),
      e: fromPeculiar(publicKey.publicExponent),
    });
    expect(keys.encodeRsaSpki(fields)).toEqual(spki);
  });

  test("any numbers survive writing and reading, and @peculiar/asn1 finds the same", () => {
    fc.assert(
      fc.property(fc.array(magnitude, { minLength: 8, maxLength: 8 }), (numbers) => {
        const [n, e, d, p, q, dP, dQ, qInv] = numbers.map(minimal) as [Uint8Array, ...Uint8Array[]];
        const none = new Uint8Array(0);
        const fields = {
          n,
          e: e ?? none,
          d: d ?? none,
          p: p ?? none,
          q: q ?? none,
          dP: dP ?? none,
          dQ: dQ ?? none,
          qInv: qInv ?? none,
        };
        const written = keys.encodeRsaPkcs8(fields);
        expect(keys.readRsaPkcs8(written)).toEqual(fields);
        const inner = AsnConvert.parse(written, PrivateKeyInfo).privateKey.buffer;
        expect(fromPeculiar(AsnConvert.parse(inner, RSAPrivateKey).coefficient)).toEqual(fields.qInv);
        expect(keys.readRsaSpki(keys.encodeRsaSpki(fields))).toEqual({ n: fields.n, e: fields.e });
      }),
    );
  });

  test("parameters that are not NULL, other versions and third primes are InvalidKeyMaterial", () => {
    const algorithm = spki.subarray(4, 19);
    const oidOnly = algorithm.subarray(2, 13);
    const version1 = Uint8Array.of(2, 1, 1);
    const bits = derBitString(
      new DerReader(spki).enter(DerTag.sequence).read(DerTag.sequence).subarray(0, 0),
    );
    const withAlgorithm = (inside: Uint8Array): Uint8Array => {
      const info = new DerReader(spki).enter(DerTag.sequence);
      info.read(DerTag.sequence);
      return encodeDer(der(DerTag.sequence, der(DerTag.sequence, inside), derBitString(info.bitString())));
    };
    expect(withAlgorithm(algorithm.subarray(2))).toEqual(spki);
    const publicKeys = [
      withAlgorithm(oidOnly),
      withAlgorithm(Uint8Array.from([...oidOnly, 0x30, 0])),
      encodeDer(der(DerTag.sequence, algorithm, bits)),
    ];
    for (const key of publicKeys) expect(codeOf(() => keys.readRsaSpki(key))).toBe("InvalidKeyMaterial");
    const body = new DerReader(pkcs1).read(DerTag.sequence);
    const multiPrime = encodeDer(der(DerTag.sequence, version1, body.subarray(3), der(DerTag.sequence)));
    for (const key of [multiPrime, encodeDer(der(DerTag.sequence, body, der(DerTag.sequence)))]) {
      expect(codeOf(() => keys.readRsaPrivateKey(key))).toBe("InvalidKeyMaterial");
    }
  });
});
