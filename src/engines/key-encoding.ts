/**
 * Reads and writes SPKI (RFC 5280, RFC 5480, RFC 8017), PKCS#8 (RFC 5208), ECPrivateKey (RFC 5915) and
 * RSAPrivateKey (RFC 8017). Each reader takes one encoding of each key: named curves, uncompressed points in SPKI,
 * NULL parameters for RSA, two primes, PKCS#8 version 0 without attributes or public key. Fields are views.
 */

import { KmsError } from "../errors.ts";
import {
  type DerElement,
  DerError,
  DerReader,
  DerTag,
  der,
  derBitString,
  derUnsigned,
  encodeDer,
} from "./der.ts";
import { SCALAR_LENGTH } from "./ec-scalar.ts";
import type { CurveName } from "./engine.ts";

/** Bytes of an uncompressed and of a compressed SEC 1 point. */
export const POINT_LENGTH: number = 1 + 2 * SCALAR_LENGTH;
export const COMPRESSED_POINT_LENGTH: number = 1 + SCALAR_LENGTH;

/** An RSA public key: big-endian magnitudes without leading zeros. */
export interface RsaPublicFields {
  readonly n: Uint8Array;
  readonly e: Uint8Array;
}

/** A two-prime RSA private key, every field but n and e secret. */
export interface RsaPrivateFields extends RsaPublicFields {
  readonly d: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dP: Uint8Array;
  readonly dQ: Uint8Array;
  readonly qInv: Uint8Array;
}

/** An EC private key: d as 32 bytes, the uncompressed public point and the curve's name where the encoding has them. */
export interface EcPrivateFields {
  readonly scalar: Uint8Array;
  readonly point?: Uint8Array | undefined;
  /** Tells that ECPrivateKey itself repeats the curve; inside PKCS#8 the canonical form leaves it out. */
  readonly namesCurve?: boolean;
}

// Object identifiers and algorithm identifiers with their DER headers.
const OID_EC_PUBLIC_KEY = Uint8Array.of(0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);
const OID_CURVE: Readonly<Record<CurveName, Uint8Array>> = {
  "P-256": Uint8Array.of(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  secp256k1: Uint8Array.of(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a),
};
/** rsaEncryption with NULL, the parameters RFC 8017, A.1 demands. */
const RSA_ALGORITHM = Uint8Array.of(
  0x30,
  0x0d,
  0x06,
  0x09,
  0x2a,
  0x86,
  0x48,
  0x86,
  0xf7,
  0x0d,
  0x01,
  0x01,
  0x01,
  0x05,
  0x00,
);
const VERSION_0 = Uint8Array.of(0x02, 0x01, 0x00);
const VERSION_1 = Uint8Array.of(0x02, 0x01, 0x01);

/** Runs a reader over the whole input and turns its refusal into `InvalidKeyMaterial`. */
function readKey<T>(bytes: Uint8Array, what: string, read: (reader: DerReader) => T): T {
  try {
    const reader = new DerReader(bytes);
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (error instanceof DerError) {
      throw new KmsError("InvalidKeyMaterial", `The key is not a valid ${what}.`);
    }
    throw error;
  }
}

/** Reads the inside of an element to its end. */
function inside<T>(reader: DerReader, read: (reader: DerReader) => T): T {
  const value = read(reader);
  reader.end();
  return value;
}

function expectEcAlgorithm(reader: DerReader, curve: CurveName): void {
  inside(reader.enter(DerTag.sequence), (algorithm) => {
    algorithm.expect(OID_EC_PUBLIC_KEY);
    algorithm.expect(OID_CURVE[curve]);
  });
}

function ecAlgorithm(curve: CurveName): DerElement {
  return der(DerTag.sequence, OID_EC_PUBLIC_KEY, OID_CURVE[curve]);
}

function uncompressedPoint(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== POINT_LENGTH || bytes[0] !== 0x04) throw new DerError("not an uncompressed point");
  return bytes;
}

/**
 * Reads an EC SPKI down to its point, which is yet to be checked to lie on the curve.
 *
 * @throws KmsError `InvalidKeyMaterial`: not this curve by name, a compressed point, or not DER
 */
export function readEcSpki(curve: CurveName, spki: Uint8Array): Uint8Array {
  return readKey(spki, `${curve} SubjectPublicKeyInfo`, (reader) =>
    inside(reader.enter(DerTag.sequence), (info) => {
      expectEcAlgorithm(info, curve);
      return uncompressedPoint(info.bitString());
    }),
  );
}

/** Writes an EC SPKI around an uncompressed point. */
export function encodeEcSpki(curve: CurveName, point: Uint8Array): Uint8Array {
  return encodeDer(der(DerTag.sequence, ecAlgorithm(curve), derBitString(point)));
}

function readEcPrivateFields(reader: DerReader, curve: CurveName): EcPrivateFields {
  return inside(reader.enter(DerTag.sequence), (key) => {
    key.expect(VERSION_1);
    const scalar = key.read(DerTag.octetString);
    if (scalar.length !== SCALAR_LENGTH) throw new DerError("scalar length");
    const namesCurve = key.isNext(DerTag.context0);
    if (namesCurve) inside(key.enter(DerTag.context0), (parameters) => parameters.expect(OID_CURVE[curve]));
    const point = key.isNext(DerTag.context1)
      ? inside(key.enter(DerTag.context1), (publicKey) => uncompressedPoint(publicKey.bitString()))
      : undefined;
    return { scalar, point, namesCurve };
  });
}

function ecPrivateKey(curve: CurveName, fields: EcPrivateFields): DerElement {
  const content: (DerElement | Uint8Array)[] = [VERSION_1, der(DerTag.octetString, fields.scalar)];
  if (fields.namesCurve === true) content.push(der(DerTag.context0, OID_CURVE[curve]));
  if (fields.point !== undefined) content.push(der(DerTag.context1, derBitString(fields.point)));
  return der(DerTag.sequence, ...content);
}

/**
 * Reads a bare ECPrivateKey (SEC 1, C.4; RFC 5915). The scalar's range and the point are yet to be checked.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readSec1(curve: CurveName, sec1: Uint8Array): EcPrivateFields {
  return readKey(sec1, `${curve} ECPrivateKey`, (reader) => readEcPrivateFields(reader, curve));
}

/** Writes a bare ECPrivateKey. */
export function encodeSec1(curve: CurveName, fields: EcPrivateFields): Uint8Array {
  return encodeDer(ecPrivateKey(curve, fields));
}

/**
 * Reads an EC PKCS#8 key. The scalar's range and the point are yet to be checked.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readEcPkcs8(curve: CurveName, pkcs8: Uint8Array): EcPrivateFields {
  return readKey(pkcs8, `${curve} PKCS#8 key`, (reader) =>
    inside(reader.enter(DerTag.sequence), (info) => {
      info.expect(VERSION_0);
      expectEcAlgorithm(info, curve);
      return inside(info.enter(DerTag.octetString), (key) => readEcPrivateFields(key, curve));
    }),
  );
}

/** Writes an EC PKCS#8 key. */
export function encodeEcPkcs8(curve: CurveName, fields: EcPrivateFields): Uint8Array {
  return encodeDer(
    der(DerTag.sequence, VERSION_0, ecAlgorithm(curve), der(DerTag.octetString, ecPrivateKey(curve, fields))),
  );
}

/**
 * Reads an RSA SPKI. The numbers are yet to be checked.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readRsaSpki(spki: Uint8Array): RsaPublicFields {
  return readKey(spki, "RSA SubjectPublicKeyInfo", (reader) =>
    inside(reader.enter(DerTag.sequence), (info) => {
      info.expect(RSA_ALGORITHM);
      return inside(new DerReader(info.bitString()), (key) =>
        inside(key.enter(DerTag.sequence), (fields) => ({ n: fields.unsigned(), e: fields.unsigned() })),
      );
    }),
  );
}

/** Writes an RSA SPKI. */
export function encodeRsaSpki(key: RsaPublicFields): Uint8Array {
  const publicKey = der(DerTag.sequence, derUnsigned(key.n), derUnsigned(key.e));
  return encodeDer(der(DerTag.sequence, RSA_ALGORITHM, derBitString(publicKey)));
}

function readRsaPrivateFields(reader: DerReader): RsaPrivateFields {
  return inside(reader.enter(DerTag.sequence), (key) => {
    key.expect(VERSION_0);
    return {
      n: key.unsigned(),
      e: key.unsigned(),
      d: key.unsigned(),
      p: key.unsigned(),
      q: key.unsigned(),
      dP: key.unsigned(),
      dQ: key.unsigned(),
      qInv: key.unsigned(),
    };
  });
}

function rsaPrivateKey(key: RsaPrivateFields): DerElement {
  const numbers = [key.n, key.e, key.d, key.p, key.q, key.dP, key.dQ, key.qInv];
  return der(DerTag.sequence, VERSION_0, ...numbers.map(derUnsigned));
}

/**
 * Reads a bare RSAPrivateKey (RFC 8017, A.1.2, version 0). The numbers are yet to be checked.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readRsaPrivateKey(pkcs1: Uint8Array): RsaPrivateFields {
  return readKey(pkcs1, "RSAPrivateKey", readRsaPrivateFields);
}

/** Writes a bare RSAPrivateKey. */
export function encodeRsaPrivateKey(key: RsaPrivateFields): Uint8Array {
  return encodeDer(rsaPrivateKey(key));
}

/**
 * Reads an RSA PKCS#8 key. The numbers are yet to be checked.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readRsaPkcs8(pkcs8: Uint8Array): RsaPrivateFields {
  return readKey(pkcs8, "RSA PKCS#8 key", (reader) =>
    inside(reader.enter(DerTag.sequence), (info) => {
      info.expect(VERSION_0);
      info.expect(RSA_ALGORITHM);
      return inside(info.enter(DerTag.octetString), readRsaPrivateFields);
    }),
  );
}

/** Writes an RSA PKCS#8 key. */
export function encodeRsaPkcs8(key: RsaPrivateFields): Uint8Array {
  return encodeDer(
    der(DerTag.sequence, VERSION_0, RSA_ALGORITHM, der(DerTag.octetString, rsaPrivateKey(key))),
  );
}
