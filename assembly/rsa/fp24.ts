/**
 * Pairs of numbers in radix 2^24, or 2^23 above 1024 bits, for vectors without fused multiply-adds: digits of both lanes side by
 * side, integers in doubles from minus half the radix to half or little beyond, the topmost whatever is left. Numbers lie
 * between minus one and one modulus.
 */

import { natMultiply } from "../int/nat";
import { assertDigits } from "./fp24-bounds";
import { BITS_OF_UNIT, FP24, RADIX23, RADIX24, UNIT } from "./fp24-constants";
import { fp24Multiply, fp24Reduce, fp24Square } from "./generated/fp24";
import { signScaled } from "./lanes";
import { PAIR_BITS, PAIR_COLUMNS, PAIR_PRODUCT } from "./memory";

/** Twice as large as any digit, and the bits of the range from minus that to that. */
const FAR: i64 = 1 << 25;
const FAR_BITS: u64 = 26;

/** Returns the bits of a digit: a column of two products of 43 digits of 24 bits is exact, one of more digits is not. */
function bitsOfDigit(size: u32): u32 {
  return size === 1024 ? 24 : 23;
}

/** Returns the digits of a modulus of so many bits, 1024, 1536, 2048, 3072 or 4096: three more than a multiple of four. */
export function fp24Limbs(size: u32): u32 {
  return size === 1024 ? 43 : ((size + 22) / 23) | 3;
}

/** Returns the exponent of the Montgomery factor. */
export function fp24Shift(size: u32): u32 {
  return bitsOfDigit(size) * fp24Limbs(size);
}

/** Returns the bytes from one number of a table to the next. */
export function fp24Stride(size: u32): usize {
  return 16 * <usize>fp24Limbs(size);
}

// Division of a context, from the moduli on: moduli, scaled moduli plus one over the radix, factors.

/** Returns the bytes of the moduli and what belongs to them. */
export function fp24ModulusLength(size: u32): usize {
  return 32 * <usize>fp24Limbs(size) + 16;
}

function radixOf(size: u32): usize {
  return FP24 + (size === 1024 ? RADIX24 : RADIX23);
}

/** Sets out ← x · y / 2^shift; out may be an operand. Time: depends on the size. */
export function fp24MultiplyMod(out: usize, x: usize, y: usize, modulus: usize, size: u32): void {
  const n: usize = fp24Limbs(size);
  if (!ASC_NO_ASSERT) {
    assertDigits(x, n, bitsOfDigit(size));
    assertDigits(y, n, bitsOfDigit(size));
  }
  fp24Multiply(PAIR_COLUMNS, x, y, n);
  fp24Reduce(out, PAIR_COLUMNS, modulus, radixOf(size), n);
  if (!ASC_NO_ASSERT) assertDigits(out, n, bitsOfDigit(size));
}

/** Sets out ← x² / 2^shift; out may be x. Time: depends on the size. */
export function fp24SquareMod(out: usize, x: usize, modulus: usize, size: u32): void {
  const n: usize = fp24Limbs(size);
  if (!ASC_NO_ASSERT) assertDigits(x, n, bitsOfDigit(size));
  fp24Square(PAIR_COLUMNS, x, n);
  fp24Reduce(out, PAIR_COLUMNS, modulus, radixOf(size), n);
  if (!ASC_NO_ASSERT) assertDigits(out, n, bitsOfDigit(size));
}

/** Sets out ← x + y and carries; out may be an operand. Time: depends on the size. */
export function fp24Add(out: usize, x: usize, y: usize, size: u32): void {
  const round = v128.load(radixOf(size));
  const down = v128.load(radixOf(size), 16);
  const last = fp24Stride(size) - 16;
  let carry = f64x2.splat(0);
  for (let i: usize = 0; i < last; i += 16) {
    const sum = f64x2.add(v128.load(x + i), v128.load(y + i));
    const above = f64x2.sub(f64x2.add(sum, round), round);
    v128.store(out + i, f64x2.add(f64x2.sub(sum, above), carry));
    carry = f64x2.mul(above, down);
  }
  v128.store(out + last, f64x2.add(f64x2.add(v128.load(x + last), v128.load(y + last)), carry));
}

/** Writes one lane of a number from PAIR_BITS. Time: depends on the size. */
function setLane(out: usize, lane: usize, size: u32): void {
  const n: usize = fp24Limbs(size);
  const bits = bitsOfDigit(size);
  const mask: u64 = (1 << bits) - 1;
  const half: i64 = 1 << (bits - 1);
  let carry: i64 = 0;
  for (let i: usize = 0; i < n; ++i) {
    const position: usize = <usize>bits * i;
    const digit: i64 = <i64>((load<u64>(PAIR_BITS + (position >> 3)) >> <u64>(position & 7)) & mask) + carry;
    carry = (digit + half) >> bits;
    store<f64>(out + 16 * i + 8 * lane, <f64>(digit - (carry << bits)));
  }
}

/** Writes one lane, 0 or 1, of a number from words below 2^size. Time: depends on the size. */
export function fp24Set(out: usize, lane: usize, words: usize, size: u32): void {
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  memory.copy(PAIR_BITS, words, size >> 3);
  setLane(out, lane, size);
}

/** Reads a digit as an integer. Time: constant. */
function integerAt(x: usize): i64 {
  return reinterpret<i64>(load<f64>(x) + load<f64>(FP24, UNIT)) - <i64>BITS_OF_UNIT;
}

/**
 * Writes the words of one lane, from 0 to the modulus less one.
 *
 * @returns 0, or something else where digits are none, as after a fault: what is no number, or infinite, makes all it meets so,
 *   and two such things must not pass for equal
 *
 * Time: depends on the size.
 */
export function fp24Get(words: usize, lane: usize, x: usize, modulus: usize, size: u32): u64 {
  const n: usize = fp24Limbs(size);
  const bits: i64 = bitsOfDigit(size);
  const mask: u64 = (1 << bits) - 1;
  let carry: i64 = 0;
  let strange: u64 = 0;
  for (let i: usize = 8 * lane; i < 16 * n; i += 16) {
    const digit = integerAt(x + i);
    strange |= <u64>(digit + FAR) >> FAR_BITS;
    carry = (digit + carry) >> bits;
  }
  const negative = carry >> 63;
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  carry = 0;
  for (let i: usize = 0; i < n; ++i) {
    const at: usize = 16 * i + 8 * lane;
    carry += integerAt(x + at) + (integerAt(modulus + at) & negative);
    const position: usize = <usize>bits * i;
    const to = PAIR_BITS + (position >> 3);
    store<u64>(to, load<u64>(to) | ((<u64>carry & mask) << (<u64>(position & 7))));
    carry >>= bits;
  }
  memory.copy(words, PAIR_BITS, size >> 3);
  return strange;
}

/** Writes one lane of the moduli, and what belongs to it, from words. Time: depends on the size. */
export function fp24SetModulus(modulus: usize, lane: usize, words: usize, size: u32): void {
  const n: usize = fp24Limbs(size);
  const bits = bitsOfDigit(size);
  fp24Set(modulus, lane, words, size);
  // The factor is -1/N modulo the radix, nearest to zero.
  const low = load<u32>(words);
  let inverse: u32 = low;
  for (let i: u32 = 0; i < 4; ++i) inverse *= 2 - low * inverse;
  const factor: i32 = <i32>((0 - inverse) << (32 - bits)) >> (32 - bits);
  const sign: i32 = factor >> 31;
  store<f64>(modulus + 32 * n + 8 * lane, <f64>factor);
  // Its size times the modulus is one more or one less than a multiple of the radix.
  store<i32>(PAIR_PRODUCT, (factor ^ sign) - sign);
  natMultiply(PAIR_BITS, words, size >> 5, PAIR_PRODUCT, 1);
  memory.fill(PAIR_BITS + <usize>(size >> 3) + 4, 0, 28);
  for (let i: usize = 0; i < <usize>(size >> 3); i += 4) {
    const shifted = load<u64>(PAIR_BITS + i + 2) >> <u64>(bits - 16);
    store<u32>(PAIR_BITS + i, <u32>shifted);
  }
  memory.fill(PAIR_BITS + <usize>(size >> 3), 0, 32);
  const scaled = modulus + 16 * n;
  setLane(scaled, lane, size);
  signScaled(scaled, lane, n, sign);
}
