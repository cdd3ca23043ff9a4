/**
 * Numbers of 256 bits in the three shapes the elliptic curves use: nine limbs of 29 bits in words of 64 (an element),
 * four words of 64 bits, and 32 big-endian bytes.
 */

import { select64 } from "../ct";

/** Largest value of a limb that carries nothing. */
export const LIMB_MASK: u64 = 0x1fffffff;

/** Bytes from one element to the next; 72 are in use. */
export const ELEMENT_LENGTH: usize = 80;
const LIMBS_LENGTH: usize = 72;

/** Returns the largest of the lower eight limbs. Debug builds alone. */
function largestLimb(a: usize): u64 {
  let largest: u64 = 0;
  for (let i: usize = 0; i < 64; i += 8) largest = max<u64>(largest, load<u64>(a + i));
  return largest;
}

/** Asserts that the columns of a product fit 64 bits. Debug builds alone. */
export function assertProduct(a: usize, b: usize): void {
  const factor: u64 = largestLimb(a);
  const other: u64 = largestLimb(b);
  assert(factor < 0x100000000 && other < 0x100000000);
  // 9 · 1.6 · 2^60 leaves room for what the reduction adds.
  assert(factor * other <= 1844674407370955161);
  assert(load<u64>(a, 64) < 0x8000000 && load<u64>(b, 64) < 0x8000000);
}

/** Asserts that an element is a sum of at most two reduced ones. Debug builds alone. */
export function assertSum(a: usize): void {
  assert(largestLimb(a) < 0x48000000 && load<u64>(a, 64) < 0x4000000);
}

/** Asserts that an element may be subtracted. Debug builds alone. */
export function assertSubtrahend(a: usize): void {
  assert(largestLimb(a) < 0x70000000 && load<u64>(a, 64) < 0x6000000);
}

/** Copies an element. Time: constant. */
export function copyElement(out: usize, a: usize): void {
  for (let i: usize = 0; i < LIMBS_LENGTH; i += 8) store<u64>(out + i, load<u64>(a + i));
}

/** Sets an element to zero. Time: constant. */
export function clearElement(out: usize): void {
  memory.fill(out, 0, LIMBS_LENGTH);
}

/** Sets out ← a + b without carrying. Time: constant. */
export function addLimbs(out: usize, a: usize, b: usize): void {
  store<u64>(out, load<u64>(a) + load<u64>(b));
  store<u64>(out, load<u64>(a, 8) + load<u64>(b, 8), 8);
  store<u64>(out, load<u64>(a, 16) + load<u64>(b, 16), 16);
  store<u64>(out, load<u64>(a, 24) + load<u64>(b, 24), 24);
  store<u64>(out, load<u64>(a, 32) + load<u64>(b, 32), 32);
  store<u64>(out, load<u64>(a, 40) + load<u64>(b, 40), 40);
  store<u64>(out, load<u64>(a, 48) + load<u64>(b, 48), 48);
  store<u64>(out, load<u64>(a, 56) + load<u64>(b, 56), 56);
  store<u64>(out, load<u64>(a, 64) + load<u64>(b, 64), 64);
}

/** Sets out ← mask ? a : b for a mask of all ones or zeros, secret. Time: constant. */
export function selectElement(out: usize, mask: u64, a: usize, b: usize): void {
  for (let i: usize = 0; i < LIMBS_LENGTH; i += 8) {
    store<u64>(out + i, select64(mask, load<u64>(a + i), load<u64>(b + i)));
  }
}

/** Splits four words into an element. Time: constant. */
export function unpack(out: usize, words: usize): void {
  const w0: u64 = load<u64>(words);
  const w1: u64 = load<u64>(words, 8);
  const w2: u64 = load<u64>(words, 16);
  const w3: u64 = load<u64>(words, 24);
  store<u64>(out, w0 & LIMB_MASK);
  store<u64>(out, (w0 >> 29) & LIMB_MASK, 8);
  store<u64>(out, ((w0 >> 58) | (w1 << 6)) & LIMB_MASK, 16);
  store<u64>(out, (w1 >> 23) & LIMB_MASK, 24);
  store<u64>(out, ((w1 >> 52) | (w2 << 12)) & LIMB_MASK, 32);
  store<u64>(out, (w2 >> 17) & LIMB_MASK, 40);
  store<u64>(out, ((w2 >> 46) | (w3 << 18)) & LIMB_MASK, 48);
  store<u64>(out, (w3 >> 11) & LIMB_MASK, 56);
  store<u64>(out, w3 >> 40, 64);
}

/** Joins an element below 2^256 without carries into four words. Time: constant. */
export function pack(words: usize, a: usize): void {
  const a2: u64 = load<u64>(a, 16);
  const a4: u64 = load<u64>(a, 32);
  const a6: u64 = load<u64>(a, 48);
  assert(load<u64>(a, 64) <= 0xffffff);
  store<u64>(words, load<u64>(a) | (load<u64>(a, 8) << 29) | (a2 << 58));
  store<u64>(words, (a2 >> 6) | (load<u64>(a, 24) << 23) | (a4 << 52), 8);
  store<u64>(words, (a4 >> 12) | (load<u64>(a, 40) << 17) | (a6 << 46), 16);
  store<u64>(words, (a6 >> 18) | (load<u64>(a, 56) << 11) | (load<u64>(a, 64) << 40), 24);
}

/** Reads 32 big-endian bytes into four words; they may be the same memory. Time: constant. */
export function wordsOfBytes(words: usize, bytes: usize): void {
  const w0: u64 = bswap<u64>(load<u64>(bytes, 24));
  const w1: u64 = bswap<u64>(load<u64>(bytes, 16));
  const w2: u64 = bswap<u64>(load<u64>(bytes, 8));
  store<u64>(words, bswap<u64>(load<u64>(bytes)), 24);
  store<u64>(words, w0);
  store<u64>(words, w1, 8);
  store<u64>(words, w2, 16);
}

/** Returns `count` bits of four words from `position` on, both public, position + count at most 256. Time: constant. */
export function bitsAt(words: usize, position: u32, count: u32): u64 {
  const at: usize = words + ((<usize>(position >> 6)) << 3);
  const shift: u64 = <u64>(position & 63);
  let bits: u64 = load<u64>(at) >> shift;
  if ((position & 63) + count > 64) bits |= load<u64>(at, 8) << (64 - shift);
  return bits & (((<u64>1) << (<u64>count)) - 1);
}

/**
 * Carries through an element whose limbs may be negative.
 *
 * @param a one element whose value is not negative, secret; limbs 0 to 7 become those of 29 bits
 *
 * Time: constant.
 */
export function carryLimbs(a: usize): void {
  let carry: i64 = 0;
  for (let i: usize = 0; i < 64; i += 8) {
    carry += load<i64>(a + i);
    store<u64>(a + i, <u64>carry & LIMB_MASK);
    carry >>= 29;
  }
  store<i64>(a, load<i64>(a, 64) + carry, 64);
}

/** Sets a ← a - times · modulus and carries; the result must not be negative. Time: constant. */
function subtractMultiple(a: usize, times: u64, modulus: usize): void {
  for (let i: usize = 0; i < LIMBS_LENGTH; i += 8) {
    store<u64>(a + i, load<u64>(a + i) - times * load<u64>(modulus + i));
  }
  carryLimbs(a);
}

/**
 * Reduces completely: out ← a mod modulus.
 *
 * @param out one element; may be a
 * @param a one element, limbs below 2^32, value below 2^261, secret
 * @param modulus one element, 2^256 - 2^225 < modulus < 2^256, public
 *
 * Time: constant.
 */
export function reduceFully(out: usize, a: usize, modulus: usize): void {
  copyElement(out, a);
  carryLimbs(out);
  // The quotient by 2^256 is at most the one by the modulus, and misses it by less than 1 the second time.
  subtractMultiple(out, load<u64>(out, 64) >> 24, modulus);
  subtractMultiple(out, load<u64>(out, 64) >> 24, modulus);
  reduceOnce(out, modulus);
}

/**
 * Brings a reduced element below 2^256, where it need not be below the modulus: out ← a or a - modulus, without carries.
 *
 * @param out one element; may be a
 * @param a one element below 2^256 + modulus, secret
 * @param modulus one element, 2^256 - 2^225 < modulus < 2^256, public
 *
 * Time: constant.
 */
export function reduceToWords(out: usize, a: usize, modulus: usize): void {
  copyElement(out, a);
  carryLimbs(out);
  subtractMultiple(out, load<u64>(out, 64) >> 24, modulus);
}

/** Sets a ← a - modulus if a is at least the modulus; a has no carries and is below 2^256, secret. Time: constant. */
export function reduceOnce(a: usize, modulus: usize): void {
  subtractMultiple(a, notBelow(a, modulus), modulus);
}

/** Tells whether a is at least b, both without carries and secret: 1 or 0. Time: constant. */
export function notBelow(a: usize, b: usize): u64 {
  let borrow: i64 = 0;
  for (let i: usize = 0; i < LIMBS_LENGTH; i += 8) {
    borrow = (load<i64>(a + i) - load<i64>(b + i) + borrow) >> 63;
  }
  return <u64>(borrow + 1);
}

/** Tells whether an element without carries is zero: 1 or 0. Time: constant. */
export function isZero(a: usize): u64 {
  let all: u64 = 0;
  for (let i: usize = 0; i < LIMBS_LENGTH; i += 8) all |= load<u64>(a + i);
  return ((all | (0 - all)) >> 63) ^ 1;
}
