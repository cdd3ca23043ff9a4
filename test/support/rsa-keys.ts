/** RSA keys for tests: the same ones on every run, made of primes from a seed. */

import {
  checkPrimeSync,
  createHash,
  createPrivateKey,
  createPublicKey,
  generatePrimeSync,
  type KeyObject,
} from "node:crypto";
import { encodeRsaPkcs8, encodeRsaSpki } from "../../src/engines/key-encoding.ts";

export interface RsaNumbers {
  readonly bits: number;
  readonly n: bigint;
  readonly e: bigint;
  readonly d: bigint;
  readonly p: bigint;
  readonly q: bigint;
  readonly dP: bigint;
  readonly dQ: bigint;
  readonly qInv: bigint;
}

/** Fills a number from a seed. */
export function seededNumber(seed: string, bits: number): bigint {
  let hex = "";
  for (let block = 0; hex.length < bits / 4; block++) {
    hex += createHash("sha512").update(`${seed} ${block}`).digest("hex");
  }
  return BigInt(`0x${hex.slice(0, bits / 4)}`);
}

/** Finds the first prime from a number of the seed on, whose two top bits are set. */
export function seededPrime(seed: string, bits: number): bigint {
  let candidate = seededNumber(seed, bits) | (3n << BigInt(bits - 2)) | 1n;
  while (!checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

/** Inverts modulo a number it has no divisor in common with. */
export function inverseOf(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [((value % modulus) + modulus) % modulus, modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

export function rsaNumbers(p: bigint, q: bigint, e: bigint = 65537n): RsaNumbers {
  const n = p * q;
  return {
    bits: n.toString(2).length,
    n,
    e,
    d: inverseOf(e, (p - 1n) * (q - 1n)),
    p,
    q,
    dP: inverseOf(e, p - 1n),
    dQ: inverseOf(e, q - 1n),
    qInv: inverseOf(q, p),
  };
}

/** Makes `count` keys of as few primes as pairs allow. */
export function seededKeys(seed: string, bits: number, count: number): RsaNumbers[] {
  const primes: bigint[] = [];
  const keys: RsaNumbers[] = [];
  while (keys.length < count) {
    const prime = seededPrime(`${seed} ${primes.length}`, bits / 2);
    if (prime % 65537n === 1n) continue;
    for (const other of primes) if (keys.length < count) keys.push(rsaNumbers(prime, other));
    primes.push(prime);
  }
  return keys;
}

/** Makes `count` keys of new primes, as few as pairs allow. */
export function randomKeys(bits: number, count: number): RsaNumbers[] {
  const primes: bigint[] = [];
  const keys: RsaNumbers[] = [];
  while (keys.length < count) {
    const prime = generatePrimeSync(bits / 2, { bigint: true });
    if (prime % 65537n === 1n) continue;
    for (const other of primes) {
      const key = rsaNumbers(prime, other);
      if (keys.length < count && key.bits === bits) keys.push(key);
    }
    primes.push(prime);
  }
  return keys;
}

export function toBytes(value: bigint, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

export const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);

/** Gives the numbers as bytes, as keys are imported. */
export function partsOf(key: RsaNumbers): Record<"n" | "e" | "p" | "q" | "dP" | "dQ" | "qInv", Uint8Array> {
  const half = key.bits / 16;
  return {
    n: toBytes(key.n, key.bits / 8),
    e: toBytes(key.e, 32),
    p: toBytes(key.p, half),
    q: toBytes(key.q, half),
    dP: toBytes(key.dP, half),
    dQ: toBytes(key.dQ, half),
    qInv: toBytes(key.qInv, half),
  };
}

/** Gives the key to node:crypto. */
export function keyObjectOf(key: RsaNumbers): KeyObject {
  const text = (value: bigint): string =>
    Buffer.from(toBytes(value, Math.ceil(value.toString(16).length / 2))).toString("base64url");
  const { n, e, d, p, q, dP, dQ, qInv } = key;
  return createPrivateKey({
    format: "jwk",
    key: {
      kty: "RSA",
      n: text(n),
      e: text(e),
      d: text(d),
      p: text(p),
      q: text(q),
      dp: text(dP),
      dq: text(dQ),
      qi: text(qInv),
    },
  });
}

/** Gives the key in the encodings that engines take, and to node:crypto. */
export function encodedKeyOf(key: RsaNumbers): {
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
} {
  const fields = { ...partsOf(key), d: toBytes(key.d, key.bits / 8) };
  const privateKey = keyObjectOf(key);
  return {
    pkcs8: encodeRsaPkcs8(fields),
    spki: encodeRsaSpki(fields),
    privateKey,
    publicKey: createPublicKey(privateKey),
  };
}
