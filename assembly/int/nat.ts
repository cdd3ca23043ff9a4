/**
 * Natural numbers of any length, little-endian words of 32 bits in memory: what importing, checking and generating RSA keys
 * computes with, and what stands around the Montgomery products. Everything takes a time that depends on lengths alone.
 */

import { maskOf, zeroBit32 } from "../ct";
import { NAT_WORK } from "../rsa/memory";

/** Reads `length` big-endian bytes, at most 4 · words, into words; the rest becomes zero. Time: depends on lengths alone. */
export function natFromBytes(out: usize, words: u32, bytes: usize, length: u32): void {
  assert(length <= 4 * words);
  memory.fill(out, 0, 4 * <usize>words);
  const last = bytes + length - 1;
  for (let i: usize = 0; i < <usize>length; ++i) store<u8>(out + i, load<u8>(last - i));
}

/** Writes the lowest `length` bytes of a number big-endian; `bytes` must not overlap a. Time: depends on lengths alone. */
export function natToBytes(bytes: usize, length: u32, a: usize, words: u32): void {
  const known: u32 = min<u32>(length, 4 * words);
  memory.fill(bytes, 0, length - known);
  const last = bytes + length - 1;
  for (let i: usize = 0; i < <usize>known; ++i) store<u8>(last - i, load<u8>(a + i));
}

/** Sets out ← a + (b and mask) and returns the carry; out may be a or b. Time: depends on words alone. */
export function natAddMasked(out: usize, a: usize, b: usize, mask: u32, words: u32): u32 {
  let carry: u64 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    carry += <u64>load<u32>(a + i) + <u64>(load<u32>(b + i) & mask);
    store<u32>(out + i, <u32>carry);
    carry >>= 32;
  }
  return <u32>carry;
}

/** Sets out ← a - (b and mask) and returns the borrow; out may be a or b. Time: depends on words alone. */
export function natSubtractMasked(out: usize, a: usize, b: usize, mask: u32, words: u32): u32 {
  let borrow: u64 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    const difference: u64 = <u64>load<u32>(a + i) - <u64>(load<u32>(b + i) & mask) - borrow;
    store<u32>(out + i, <u32>difference);
    borrow = difference >> 63;
  }
  return <u32>borrow;
}

/** Sets out ← a + b and returns the carry; out may be a or b. Time: depends on words alone. */
export function natAdd(out: usize, a: usize, b: usize, words: u32): u32 {
  return natAddMasked(out, a, b, 0xffffffff, words);
}

/** Sets out ← a - b and returns the borrow; out may be a or b. Time: depends on words alone. */
export function natSubtract(out: usize, a: usize, b: usize, words: u32): u32 {
  return natSubtractMasked(out, a, b, 0xffffffff, words);
}

/** Sets out ← a + small and returns the carry; out may be a. Time: depends on words alone. */
export function natAddSmall(out: usize, a: usize, small: u32, words: u32): u32 {
  let carry: u64 = small;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    carry += <u64>load<u32>(a + i);
    store<u32>(out + i, <u32>carry);
    carry >>= 32;
  }
  return <u32>carry;
}

/** Sets out ← a - small and returns the borrow; out may be a. Time: depends on words alone. */
export function natSubtractSmall(out: usize, a: usize, small: u32, words: u32): u32 {
  let borrow: u64 = small;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    const difference: u64 = <u64>load<u32>(a + i) - borrow;
    store<u32>(out + i, <u32>difference);
    borrow = difference >> 63;
  }
  return <u32>borrow;
}

/** Multiplies: out ← a · b of wordsA + wordsB words, which overlap neither. Time: depends on lengths alone. */
export function natMultiply(out: usize, a: usize, wordsA: u32, b: usize, wordsB: u32): void {
  memory.fill(out, 0, 4 * <usize>(wordsA + wordsB));
  for (let i: usize = 0; i < 4 * <usize>wordsA; i += 4) {
    const factor: u64 = load<u32>(a + i);
    let carry: u64 = 0;
    let to = out + i;
    for (let j: usize = 0; j < 4 * <usize>wordsB; j += 4) {
      carry += factor * <u64>load<u32>(b + j) + <u64>load<u32>(to);
      store<u32>(to, <u32>carry);
      carry >>= 32;
      to += 4;
    }
    store<u32>(to, <u32>carry);
  }
}

/** Tells whether a < b, as all ones or zero. Time: depends on words alone. */
export function natLessMask(a: usize, b: usize, words: u32): u32 {
  let borrow: u64 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    borrow = (<u64>load<u32>(a + i) - <u64>load<u32>(b + i) - borrow) >> 63;
  }
  return <u32>maskOf(borrow);
}

/** Tells whether a = b, as all ones or zero. Time: depends on words alone. */
export function natEqualMask(a: usize, b: usize, words: u32): u32 {
  let difference: u32 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) difference |= load<u32>(a + i) ^ load<u32>(b + i);
  return <u32>maskOf(zeroBit32(difference));
}

/** Tells whether a = 0, as all ones or zero. Time: depends on words alone. */
export function natZeroMask(a: usize, words: u32): u32 {
  let bits: u32 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) bits |= load<u32>(a + i);
  return <u32>maskOf(zeroBit32(bits));
}

/** Sets out ← mask ? a : b; out may be either. Time: depends on words alone. */
export function natSelect(out: usize, mask: u32, a: usize, b: usize, words: u32): void {
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    const other = load<u32>(b + i);
    store<u32>(out + i, other ^ (mask & (load<u32>(a + i) ^ other)));
  }
}

/** Shifts right by 1 to 31 bits, public, where the mask is all ones. Time: depends on words alone. */
function shiftRightMasked(a: usize, count: u32, mask: u32, words: u32): void {
  let low = load<u32>(a);
  for (let i: usize = 4; i < 4 * <usize>words; i += 4) {
    const next = load<u32>(a + i);
    const shifted = (low >> count) | (next << (32 - count));
    store<u32>(a + i - 4, low ^ (mask & (low ^ shifted)));
    low = next;
  }
  store<u32>(a + 4 * <usize>words - 4, low ^ (mask & (low ^ (low >> count))));
}

/** Shifts right in place by 1 to 31 bits, public. Time: depends on words alone. */
export function natShiftRight(a: usize, count: u32, words: u32): void {
  shiftRightMasked(a, count, 0xffffffff, words);
}

/**
 * Divides bit by bit: a = quotient · m + remainder.
 *
 * @param quotient wordsA words; may be a
 * @param remainder wordsM words; overlaps nothing
 * @param a wordsA words, secret
 * @param m wordsM words, not zero, secret
 *
 * Time: depends on lengths alone, and grows with wordsA · wordsM. Leaves secrets in NAT_WORK.
 */
export function natDivide(
  quotient: usize,
  remainder: usize,
  a: usize,
  wordsA: u32,
  m: usize,
  wordsM: u32,
): void {
  memory.fill(remainder, 0, 4 * <usize>wordsM);
  for (let word: i32 = <i32>wordsA - 1; word >= 0; --word) {
    const at: usize = 4 * <usize>word;
    const bits: u32 = load<u32>(a + at);
    let result: u32 = 0;
    for (let bit: i32 = 31; bit >= 0; --bit) {
      // NAT_WORK ← 2 · remainder + bit - m, with the bit that leaves the remainder above it.
      let carry: u32 = (bits >> bit) & 1;
      let borrow: u64 = 0;
      for (let i: usize = 0; i < 4 * <usize>wordsM; i += 4) {
        const old = load<u32>(remainder + i);
        const twice = (old << 1) | carry;
        carry = old >> 31;
        store<u32>(remainder + i, twice);
        const difference: u64 = <u64>twice - <u64>load<u32>(m + i) - borrow;
        store<u32>(NAT_WORK + i, <u32>difference);
        borrow = difference >> 63;
      }
      const fits: u32 = carry | (<u32>borrow ^ 1);
      natSelect(remainder, <u32>maskOf(fits), NAT_WORK, remainder, wordsM);
      result = (result << 1) | fits;
    }
    store<u32>(quotient + at, result);
  }
}

/**
 * Computes the greatest common divisor; that of 0 and a number is the number.
 *
 * @param out words; may be a or b
 * @param a words, secret
 * @param b words, secret
 * @param words at most 128, public
 *
 * Time: depends on words alone. Leaves secrets in NAT_WORK. Source: Stein's algorithm with masks for branches.
 */
export function natGcd(out: usize, a: usize, b: usize, words: u32): void {
  assert(words <= 128);
  const u = NAT_WORK;
  const v = NAT_WORK + 0x200;
  memory.copy(u, a, 4 * <usize>words);
  memory.copy(v, b, 4 * <usize>words);
  let twos: u32 = 0;
  // Every round halves at least one of the two, or both are what they stay.
  for (let round: u32 = 0; round < 64 * words; ++round) {
    const bothOdd = <u32>maskOf(load<u32>(u) & load<u32>(v) & 1);
    const less = natLessMask(u, v, words);
    natSubtractMasked(u, u, v, bothOdd & ~less, words);
    natSubtractMasked(v, v, u, bothOdd & less, words);
    const halveU: u32 = (load<u32>(u) & 1) ^ 1;
    const halveV: u32 = (load<u32>(v) & 1) ^ 1;
    shiftRightMasked(u, 1, <u32>maskOf(halveU), words);
    shiftRightMasked(v, 1, <u32>maskOf(halveV), words);
    // Zeros stay even for good, and only one of the two is zero before that is so.
    twos += halveU & halveV;
  }
  for (let i: usize = 0; i < 4 * <usize>words; i += 4)
    store<u32>(out + i, load<u32>(u + i) | load<u32>(v + i));
  shiftLeftSecret(out, twos, words);
}

/** Shifts left in place by a secret count below 32 · words. Time: depends on words alone. */
function shiftLeftSecret(a: usize, count: u32, words: u32): void {
  for (let stage: u32 = 0; 1 << stage < 32 * words; ++stage) {
    const mask = <u32>maskOf((count >> stage) & 1);
    const by: u32 = 1 << stage;
    const whole: i32 = <i32>(by >> 5);
    const part: u32 = by & 31;
    for (let i: i32 = <i32>words - 1; i >= 0; --i) {
      const from = a + 4 * <usize>(i - whole);
      let shifted: u32 = i >= whole ? load<u32>(from) << part : 0;
      if (part > 0 && i > whole) shifted |= load<u32>(from - 4) >> (32 - part);
      const old = load<u32>(a + 4 * <usize>i);
      store<u32>(a + 4 * <usize>i, old ^ (mask & (old ^ shifted)));
    }
  }
}

/** Returns -d^-1 mod 2^32 of an odd number. Time: constant. */
export function negativeInverse32(d: u32): u32 {
  let inverse: u32 = d;
  for (let i: u32 = 0; i < 4; ++i) inverse *= 2 - d * inverse;
  return 0 - inverse;
}

/**
 * Returns a number below the divisor, or the divisor itself, that is a secret number / 2^(32 words) modulo a divisor as that
 * of `natResidue`: a multiple of the same factors of it. Time: depends on words alone.
 */
export function natResidueScaled(a: usize, words: u32, divisor: u32): u32 {
  const inverse = negativeInverse32(divisor);
  let rest: u64 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    rest += <u64>load<u32>(a + i);
    rest = (rest + <u64>(<u32>rest * inverse) * <u64>divisor) >> 32;
  }
  // rest is at most divisor + 1.
  const reduced: u32 = <u32>rest - divisor;
  return reduced + (divisor & <u32>maskOf(reduced >> 31));
}

/** Tells whether an odd public divisor, 3 to 2^31 - 1, divides a secret number: 1 or 0. Time: depends on words alone. */
export function natResidueZero(a: usize, words: u32, divisor: u32): u32 {
  return zeroBit32(natResidueScaled(a, words, divisor));
}

/** Returns a secret number modulo an odd public divisor, 3 to 2^31 - 1. Time: depends on words and the divisor. */
export function natResidue(a: usize, words: u32, divisor: u32): u32 {
  const modulus: u64 = divisor;
  // 2^(32 (words + 1)) undoes the scaling and the step that follows.
  let power: u64 = 1;
  for (let bit: i32 = 31 - <i32>clz<u32>(words + 1); bit >= 0; --bit) {
    power = (power * power) % modulus;
    if ((((words + 1) >> bit) & 1) !== 0) power = (power * (0x100000000 % modulus)) % modulus;
  }
  const product: u64 = <u64>natResidueScaled(a, words, divisor) * power;
  const rest: u64 = (product + <u64>(<u32>product * negativeInverse32(divisor)) * modulus) >> 32;
  const reduced: u64 = rest - modulus;
  return <u32>(reduced + (modulus & maskOf(reduced >> 63)));
}

/** Returns a^-1 mod m in the low half, the greatest common divisor in the high. @param m odd, public. Time: constant. */
function inverseSmall(a: u32, m: u32): u64 {
  let x: u64 = a;
  let y: u64 = m;
  let u: u64 = 1;
  let v: u64 = 0;
  const modulus: u64 = m;
  for (let round: u32 = 0; round < 62; ++round) {
    const odd = maskOf(x & 1);
    const swap = odd & maskOf((x - y) >> 63);
    const xy = (x ^ y) & swap;
    x ^= xy;
    y ^= xy;
    const uv = (u ^ v) & swap;
    u ^= uv;
    v ^= uv;
    x -= y & odd;
    u -= v & odd;
    u += modulus & maskOf(u >> 63);
    x >>= 1;
    u += modulus & maskOf(u & 1);
    u >>= 1;
  }
  return (y << 32) | v;
}

/**
 * Inverts a small public number modulo a secret one: out ← e^-1 mod m.
 *
 * @param out words; overlaps nothing
 * @param m words, above 1, secret
 * @param words at most 255, public
 * @param e odd, 3 to 2^31 - 1, public
 * @returns 1, or 0 where e and m have a common divisor
 *
 * Time: depends on words and e. Leaves secrets in NAT_WORK.
 */
export function natInverseSmall(out: usize, m: usize, words: u32, e: u32): u32 {
  const found = inverseSmall(natResidue(m, words, e), e);
  // 1 + k m is a multiple of e for k = -m^-1 mod e, and the quotient is the inverse.
  const factor: u64 = <u64>e - (found & 0xffffffff);
  const exact: u32 = 0 - negativeInverse32(e);
  let sum: u64 = 1;
  let borrow: u64 = 0;
  for (let i: usize = 0; i < 4 * <usize>words; i += 4) {
    sum += factor * <u64>load<u32>(m + i);
    // The lowest word of what is left, divided by e from below.
    const rest: u64 = (sum & 0xffffffff) - borrow;
    const digit: u32 = <u32>rest * exact;
    store<u32>(out + i, digit);
    borrow = ((<u64>digit * <u64>e) >> 32) + (rest >> 63);
    sum >>= 32;
  }
  return zeroBit32(<u32>(found >> 32) ^ 1);
}
