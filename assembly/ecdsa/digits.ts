/** Public scalars as signed digits for sums of multiples, and where their tables lie. */

import { bitsAt, pack } from "../int/limbs";
import { ECC_SMALL_TABLES } from "./memory";
import { HALF_1, HALF_2, splitScalar } from "./split";
import { DIGITS, DIGITS_LENGTH, WORDS } from "./state";

/** Odd multiples of a public key in a small table: 1 to 15, for digits of five bits and a sign. */
export const SMALL_COUNT: u32 = 8;
const DIGIT_BITS: u32 = 5;
export const LAMBDA_TABLE: usize = ECC_SMALL_TABLES + 64 * 16;

/** Digits of the generator's scalar: a window of its large table has the odd multiples up to 127. */
const GENERATOR_BITS: u32 = 8;
/** Where that scalar is cut in two, so that half the doublings do; and the window of the upper part. */
const UPPER_BIT: u32 = 126;
export const UPPER_WINDOW: u32 = 18;

export const DIGITS_2: usize = DIGITS + DIGITS_LENGTH;
export const DIGITS_3: usize = DIGITS + 2 * DIGITS_LENGTH;
export const DIGITS_4: usize = DIGITS + 3 * DIGITS_LENGTH;

/**
 * Writes the digits of a part of a scalar: odd and below 2^(width - 1) in magnitude, or zero, of which at least width - 1
 * follow every other.
 *
 * @param digits DIGITS_LENGTH bytes, out; one digit a bit, from the lowest
 * @param scalar one element without carries, below 2^256
 * @param start first bit of the part
 * @param end bit behind the part, at most 256
 * @param width 2..=8
 * @returns how many digits there are up to the last that is not zero
 */
function writeDigits(digits: usize, scalar: usize, start: u32, end: u32, width: u32): u32 {
  pack(WORDS, scalar);
  memory.fill(digits, 0, DIGITS_LENGTH);
  let carry: u64 = 0;
  let position: u32 = start;
  let length: u32 = 0;
  while (position < end) {
    if (bitsAt(WORDS, position, 1) === carry) {
      position += 1;
      continue;
    }
    const count: u32 = min<u32>(width, end - position);
    const digit: u64 = bitsAt(WORDS, position, count) + carry;
    carry = (digit >> (<u64>width - 1)) & 1;
    store<u8>(digits + <usize>(position - start), <u8>(digit - (carry << (<u64>width))));
    length = position - start + 1;
    position += count;
  }
  if (carry !== 0) {
    store<u8>(digits + <usize>(end - start), 1);
    length = end - start + 1;
  }
  return length;
}

/** Writes the digits of u to DIGITS and of v to DIGITS_2, at full length (P-256). Returns the most digits of one. */
export function writeWholeDigits(u: usize, v: usize): u32 {
  const length: u32 = writeDigits(DIGITS, u, 0, 256, GENERATOR_BITS);
  return max<u32>(length, writeDigits(DIGITS_2, v, 0, 256, DIGIT_BITS));
}

/** Writes the digits of both parts of u to DIGITS and DIGITS_2, of the halves of v to DIGITS_3 and DIGITS_4 (secp256k1). */
export function writeHalfDigits(u: usize, v: usize): u32 {
  splitScalar(v);
  let length: u32 = writeDigits(DIGITS, u, 0, UPPER_BIT, GENERATOR_BITS);
  length = max<u32>(length, writeDigits(DIGITS_2, u, UPPER_BIT, 256, GENERATOR_BITS));
  length = max<u32>(length, writeDigits(DIGITS_3, HALF_1, 0, 256, DIGIT_BITS));
  return max<u32>(length, writeDigits(DIGITS_4, HALF_2, 0, 256, DIGIT_BITS));
}
