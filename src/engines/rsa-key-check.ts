/**
 * Checks that the numbers of an RSA key fit together (SP 800-56B, 6.4.1): public limits and, for private keys, every
 * CRT relation, with arithmetic whose time depends on lengths alone and whose working memory is wiped.
 */

import { ensure } from "../errors.ts";
import type { RsaPrivateFields, RsaPublicFields } from "./key-encoding.ts";

const MODULUS_LENGTHS: readonly number[] = [256, 384, 512];
/** Longest public exponent in bytes: e is odd, 3 <= e < 2^32. */
const MAX_EXPONENT_LENGTH = 4;

function isOdd(number: Uint8Array): boolean {
  return ((number[number.length - 1] ?? 0) & 1) === 1;
}

function hasTopBit(number: Uint8Array): boolean {
  return (number[0] ?? 0) >= 0x80;
}

/**
 * Checks a public key: modulus odd and of exactly 2048, 3072 or 4096 bits; exponent odd, 3 <= e < 2^32.
 *
 * @returns the bits of the modulus
 * @throws KmsError `InvalidKeyMaterial`
 */
export function checkRsaPublicKey({ n, e }: RsaPublicFields): number {
  ensure(
    MODULUS_LENGTHS.includes(n.length) && hasTopBit(n) && isOdd(n),
    "InvalidKeyMaterial",
    "The RSA modulus must be odd and have 2048, 3072 or 4096 bits.",
  );
  ensure(
    e.length <= MAX_EXPONENT_LENGTH && isOdd(e) && !(e.length === 1 && e[0] === 1),
    "InvalidKeyMaterial",
    "The RSA public exponent must be odd, at least 3 and below 2^32.",
  );
  return n.length * 8;
}

/**
 * Checks a private key: the public limits, two odd primes of at least a quarter of the modulus' bytes each (equal
 * lengths are usual, but other libraries make and take others), d of more than half of them, n = p q, e dP = 1 and
 * dP = d mod p - 1, the same for q, and q qInv = 1 mod p. That p and q are prime is not tested.
 *
 * @returns the bits of the modulus
 * @throws KmsError `InvalidKeyMaterial`
 */
export function checkRsaPrivateKey(key: RsaPrivateFields): number {
  const modulusBits = checkRsaPublicKey(key);
  const { n, d, p, q, dP, dQ, qInv } = key;
  const shaped = [p, q].every((prime) => 4 * prime.length >= n.length && isOdd(prime));
  const bounded =
    p.length + q.length <= n.length + 1 &&
    d.length <= n.length &&
    2 * d.length > n.length &&
    dP.length <= p.length &&
    dQ.length <= q.length &&
    qInv.length <= p.length;
  ensure(
    shaped && bounded && crtRelationsHold(key),
    "InvalidKeyMaterial",
    "The numbers of the RSA key do not fit together.",
  );
  return modulusBits;
}

/** Evaluates every relation, then combines the verdicts: only the conjunction is public. */
function crtRelationsHold({ n, e, d, p, q, dP, dQ, qInv }: RsaPrivateFields): boolean {
  const one = Uint8Array.of(1);
  const pMinus1 = withoutLastBit(p);
  const qMinus1 = withoutLastBit(q);
  let differences = differenceOf(product(p, q), n);
  differences |= differenceOf(remainder(product(e, dP), pMinus1), one);
  differences |= differenceOf(remainder(product(e, dQ), qMinus1), one);
  differences |= differenceOf(remainder(new Uint8Array(d), pMinus1), dP);
  differences |= differenceOf(remainder(new Uint8Array(d), qMinus1), dQ);
  differences |= differenceOf(remainder(product(q, qInv), p), one);
  // The relations above hold for qInv + p as well, which no other reader takes.
  differences |= differenceOf(remainder(new Uint8Array(qInv), p), qInv);
  pMinus1.fill(0);
  qMinus1.fill(0);
  return differences === 0;
}

/** Copies an odd number less one. */
function withoutLastBit(odd: Uint8Array): Uint8Array {
  const even = new Uint8Array(odd);
  even[even.length - 1] = (even[even.length - 1] ?? 0) & 0xfe;
  return even;
}

/** Multiplies by schoolbook: bytes, big-endian. */
function product(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  for (let i = a.length - 1; i >= 0; i--) {
    let carry = 0;
    for (let j = b.length - 1; j >= 0; j--) {
      const sum = (out[i + j + 1] ?? 0) + (a[i] ?? 0) * (b[j] ?? 0) + carry;
      out[i + j + 1] = sum & 0xff;
      carry = sum >>> 8;
    }
    out[i] = carry;
  }
  return out;
}

/** Bits in a limb of `remainder`; the top two stay free for the doubling. */
const LIMB_BITS = 24;
const LIMB_MASK = 0xffffff;
const LIMB_BYTES = 3;

function toLimbs(bytes: Uint8Array, count: number): Int32Array {
  const limbs = new Int32Array(count);
  for (let i = 0; i < bytes.length; i++) {
    const fromEnd = bytes.length - 1 - i;
    const at = Math.trunc(fromEnd / LIMB_BYTES);
    limbs[at] = (limbs[at] ?? 0) | ((bytes[i] ?? 0) << (8 * (fromEnd % LIMB_BYTES)));
  }
  return limbs;
}

/**
 * Computes x mod m bit by bit, x being wiped: r <- 2r + bit, then r - m unless that is negative.
 *
 * Time: depends on the lengths alone. Source: HAC 14.20 in base 2.
 */
function remainder(x: Uint8Array, m: Uint8Array): Uint8Array {
  const count = Math.ceil((8 * m.length + 1) / LIMB_BITS);
  const modulus = toLimbs(m, count);
  const rest = new Int32Array(count);
  const reduced = new Int32Array(count);
  for (let bit = 0; bit < 8 * x.length; bit++) {
    let carry = ((x[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;
    let borrow = 0;
    for (let i = 0; i < count; i++) {
      const doubled = ((rest[i] ?? 0) << 1) | carry;
      carry = doubled >> LIMB_BITS;
      const limb = doubled & LIMB_MASK;
      const difference = limb - (modulus[i] ?? 0) - borrow;
      borrow = (difference >> 31) & 1;
      rest[i] = limb;
      reduced[i] = difference & LIMB_MASK;
    }
    const keep = -borrow;
    for (let i = 0; i < count; i++) rest[i] = ((rest[i] ?? 0) & keep) | ((reduced[i] ?? 0) & ~keep);
  }
  const out = new Uint8Array(m.length);
  for (let i = 0; i < out.length; i++) {
    out[out.length - 1 - i] = ((rest[Math.trunc(i / LIMB_BYTES)] ?? 0) >> (8 * (i % LIMB_BYTES))) & 0xff;
  }
  for (const limbs of [modulus, rest, reduced]) limbs.fill(0);
  x.fill(0);
  return out;
}

/** Gathers the differing bits of two numbers, leading zeros aside, and wipes the first. */
function differenceOf(computed: Uint8Array, expected: Uint8Array): number {
  const length = Math.max(computed.length, expected.length);
  let difference = 0;
  for (let i = 1; i <= length; i++) {
    difference |= (computed[computed.length - i] ?? 0) ^ (expected[expected.length - i] ?? 0);
  }
  computed.fill(0);
  return difference;
}
