/**
 * Pairs of numbers in radix 2^51: digits of both lanes side by side, floating-point integers from -2^50 to 2^50 or little
 * beyond, the topmost whatever is left. Numbers lie between minus one and one modulus.
 */

import { natMultiply } from "../int/nat";
import { assertDigits } from "./fp51-bounds";
import { DOWN, FP51, HIGH, UNIT } from "./fp51-constants";
import { fp51Multiply, fp51Reduce, fp51Square } from "./generated/fp51";
import { signScaled } from "./lanes";
import { FP51_STARTS, PAIR_BITS, PAIR_COLUMNS, PAIR_PRODUCT } from "./memory";

const BITS_OF_HIGH: u64 = 0x4668000000000000;
const BITS_OF_LOW: u64 = 0x4338000000000000;
const BITS_OF_UNIT: i64 = 0x4338000000000000;
const DIGIT_MASK: u64 = 0x7ffffffffffff;
const HALF_DIGIT: i64 = 0x4000000000000;
/** Bytes from the table of one number of limbs to that of one limb more. */
const START_STRIDE: usize = 208;

/** Returns the number of digits of a modulus of so many bits, 1024, 1536, 2048, 3072 or 4096. */
export function fp51Limbs(size: u32): u32 {
  return ((size * 20) >> 10) + 1;
}

/** Returns the exponent of the Montgomery factor. */
export function fp51Shift(size: u32): u32 {
  return 51 * fp51Limbs(size);
}

/** Returns the bytes from one number of a table to the next. */
export function fp51Stride(size: u32): usize {
  return 16 * <usize>fp51Limbs(size);
}

// Division of a context, from the moduli on: moduli, scaled moduli plus one over 2^51, factors.

/** Returns the bytes of the moduli and what belongs to them. */
export function fp51ModulusLength(size: u32): usize {
  return 32 * <usize>fp51Limbs(size) + 16;
}

function startOf(n: usize): usize {
  return FP51_STARTS + (n - 21) * START_STRIDE;
}

/** Takes the constants of one product out of the start of its two columns. */
function take(start: usize, column: usize): void {
  const at = start + 16 * column;
  store<u64>(at, load<u64>(at) - BITS_OF_LOW);
  store<u64>(at, load<u64>(at, 16) - BITS_OF_HIGH, 16);
}

/**
 * Writes the values that columns start from: minus the constants that the bit patterns of products bring, 2^62 to make every
 * column positive, half a digit for rounding, and minus the 2^11 that the carry of the column below has in excess.
 */
function writeStart(start: usize, n: usize, squares: bool): void {
  memory.fill(start, 0, 32 * n + 32);
  for (let i: usize = 0; i < n; ++i) {
    for (let j: usize = squares ? i : 0; j < n; ++j) take(start, i + j);
    // Quotient digit i and the scaled moduli, or the last one and the moduli themselves.
    for (let j: usize = 0; j < n; ++j) take(start, i < n - 1 ? i + j + 1 : i + j);
  }
  for (let column: usize = 0; column < 2 * n; ++column) {
    const at = start + 16 * column;
    const value = load<u64>(at) + 0x4004000000000000 - (column > 0 && column < n ? 0x800 : 0);
    store<u64>(at, value);
    store<u64>(at, value, 8);
  }
}

/** Writes the start values of all sizes. Time: constant. */
export function fp51Prepare(): void {
  for (let i: usize = 0; i < 5; ++i) {
    const n: usize = i < 3 ? 21 + 10 * i : 20 * i + 1;
    writeStart(startOf(n), n, false);
    writeStart(startOf(n) + 32 * n + 32, n, true);
  }
}

/** Tells whether multiply-adds round once: 1 or 0. Time: constant. */
export function fp51IsFused(): u32 {
  // (2^27 + 1)^2 = 2^54 + 2^28 + 1 does not fit a float; read from memory, so that no compiler computes it beforehand.
  store<f64>(PAIR_COLUMNS, 134217729);
  store<f64>(PAIR_COLUMNS, -18014398777917440, 8);
  const a = v128.load64_splat(PAIR_COLUMNS);
  const c = v128.load64_splat(PAIR_COLUMNS, 8);
  const result = f64x2.relaxed_madd(a, a, c);
  const fused = f64x2.extract_lane(result, 0) === 1 && f64x2.extract_lane(result, 1) === 1;
  return fused ? 1 : 0;
}

/** Sets out ← x · y / 2^(51 n); out may be an operand. Time: depends on n. */
export function fp51MultiplyMod(out: usize, x: usize, y: usize, modulus: usize, n: usize): void {
  if (!ASC_NO_ASSERT) {
    assertDigits(x, n);
    assertDigits(y, n);
  }
  fp51Multiply(PAIR_COLUMNS, x, y, startOf(n), n);
  fp51Reduce(out, PAIR_COLUMNS, modulus, n);
  if (!ASC_NO_ASSERT) assertDigits(out, n);
}

/** Sets out ← x² / 2^(51 n); out may be x. Time: depends on n. */
export function fp51SquareMod(out: usize, x: usize, modulus: usize, n: usize): void {
  if (!ASC_NO_ASSERT) assertDigits(x, n);
  fp51Square(PAIR_COLUMNS, x, startOf(n) + 32 * n + 32, n);
  fp51Reduce(out, PAIR_COLUMNS, modulus, n);
  if (!ASC_NO_ASSERT) assertDigits(out, n);
}

/** Sets out ← x + y and carries; out may be an operand. Time: depends on n. */
export function fp51Add(out: usize, x: usize, y: usize, n: usize): void {
  const high = v128.load(FP51, HIGH);
  const down = v128.load(FP51, DOWN);
  let carry = f64x2.splat(0);
  for (let i: usize = 0; i < 16 * n - 16; i += 16) {
    const sum = f64x2.add(v128.load(x + i), v128.load(y + i));
    // The multiple of 2^51 that is nearest.
    const above = f64x2.sub(f64x2.add(sum, high), high);
    v128.store(out + i, f64x2.add(f64x2.sub(sum, above), carry));
    carry = f64x2.mul(above, down);
  }
  const last: usize = 16 * n - 16;
  v128.store(out + last, f64x2.add(f64x2.add(v128.load(x + last), v128.load(y + last)), carry));
}

/** Reads 51 bits of words from bit 51 · i on. Time: constant. */
function bitsOf(words: usize, i: usize): u64 {
  const position: usize = 51 * i;
  return (load<u64>(words + (position >> 3)) >> <u64>(position & 7)) & DIGIT_MASK;
}

/** Writes one lane of a number from PAIR_BITS. Time: depends on n. */
function setLane(out: usize, lane: usize, n: usize): void {
  let carry: i64 = 0;
  for (let i: usize = 0; i < n; ++i) {
    const digit: i64 = <i64>bitsOf(PAIR_BITS, i) + carry;
    carry = (digit + HALF_DIGIT) >> 51;
    store<f64>(out + 16 * i + 8 * lane, <f64>(digit - (carry << 51)));
  }
}

/** Writes one lane, 0 or 1, of a number from words below 2^size. Time: depends on n and size. */
export function fp51Set(out: usize, lane: usize, words: usize, size: u32): void {
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  memory.copy(PAIR_BITS, words, size >> 3);
  setLane(out, lane, fp51Limbs(size));
}

/** Reads a digit as an integer. Time: constant. */
function integerAt(x: usize): i64 {
  return reinterpret<i64>(load<f64>(x) + load<f64>(FP51, UNIT)) - BITS_OF_UNIT;
}

/** Writes the words of one lane, from 0 to the modulus less one. Time: depends on n and size. */
export function fp51Get(words: usize, lane: usize, x: usize, modulus: usize, size: u32): void {
  const n: usize = fp51Limbs(size);
  let carry: i64 = 0;
  for (let i: usize = 8 * lane; i < 16 * n; i += 16) carry = (integerAt(x + i) + carry) >> 51;
  const negative = carry >> 63;
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  carry = 0;
  for (let i: usize = 0; i < n; ++i) {
    const at: usize = 16 * i + 8 * lane;
    carry += integerAt(x + at) + (integerAt(modulus + at) & negative);
    const position: usize = 51 * i;
    const to = PAIR_BITS + (position >> 3);
    store<u64>(to, load<u64>(to) | ((<u64>carry & DIGIT_MASK) << (<u64>(position & 7))));
    carry >>= 51;
  }
  memory.copy(words, PAIR_BITS, size >> 3);
}

/** Writes one lane of the moduli, and what belongs to it, from words. Time: depends on n and size. */
export function fp51SetModulus(modulus: usize, lane: usize, words: usize, size: u32): void {
  const n: usize = fp51Limbs(size);
  fp51Set(modulus, lane, words, size);
  // The factor is -1/N modulo 2^51, nearest to zero.
  const low = load<u64>(words);
  let inverse: u64 = low;
  for (let i: u32 = 0; i < 5; ++i) inverse *= 2 - low * inverse;
  const factor: i64 = <i64>((0 - inverse) << 13) >> 13;
  const sign: i64 = factor >> 63;
  store<f64>(modulus + 32 * n + 8 * lane, <f64>factor);
  // Its size times the modulus is one more or one less than a multiple of 2^51.
  store<i64>(PAIR_PRODUCT, (factor ^ sign) - sign);
  natMultiply(PAIR_BITS, words, size >> 5, PAIR_PRODUCT, 2);
  memory.fill(PAIR_BITS + <usize>(size >> 3) + 8, 0, 24);
  for (let i: usize = 0; i < <usize>(size >> 3); i += 4) {
    const shifted = load<u64>(PAIR_BITS + i + 6) >> 3;
    store<u32>(PAIR_BITS + i, <u32>shifted);
  }
  memory.fill(PAIR_BITS + <usize>(size >> 3), 0, 32);
  const scaled = modulus + 16 * n;
  setLane(scaled, lane, n);
  signScaled(scaled, lane, n, <i32>sign);
}
