/**
 * The prime field and the constants of a curve, chosen when the kernels are compiled: a curve is a type argument, so that
 * what both curves share is written once and costs no branch.
 */

import { invertWords, invertWordsVartime } from "../int/inverse";
import { copyElement, isZero, LIMB_MASK, pack, reduceFully, unpack } from "../int/limbs";
import * as p256 from "../p256/generated/field";
import * as secp256k1 from "../secp256k1/generated/field";
import {
  ENTER_FIELD,
  FIELD_ONE,
  INVERT_FIELD,
  P256_CONSTANTS,
  PRIME,
  PRIME_30,
  PRIME_INVERSE_30,
  SECP256K1_CONSTANTS,
} from "./generated/constants";
import { T0, WORDS } from "./state";

/** Type arguments that stand for the curves; their sizes tell them apart. */
export type P256 = u32;
export type Secp256k1 = u64;

/** Returns the block of constants of a curve. */
export function constants<C>(): usize {
  return sizeof<C>() === 4 ? P256_CONSTANTS : SECP256K1_CONSTANTS;
}

/** Multiplies elements as `multiply` of the field does. */
export function fieldMultiply<C>(out: usize, a: usize, b: usize): void {
  if (sizeof<C>() === 4) p256.multiply(out, a, b);
  else secp256k1.multiply(out, a, b);
}

/** Squares an element as `square` of the field does. */
export function fieldSquare<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) p256.square(out, a);
  else secp256k1.square(out, a);
}

/** Subtracts elements as `subtract` of the field does. */
export function fieldSubtract<C>(out: usize, a: usize, b: usize): void {
  if (sizeof<C>() === 4) p256.subtract(out, a, b);
  else secp256k1.subtract(out, a, b);
}

/** Takes one and a half times an element as `halfTriple` of the field does. */
export function fieldHalfTriple<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) p256.halfTriple(out, a);
  else secp256k1.halfTriple(out, a);
}

/** Reduces a sum of reduced elements completely. Time: constant. */
export function fieldReduce<C>(out: usize, a: usize): void {
  reduceFully(out, a, constants<C>() + PRIME);
}

/** Tells whether a reduced element is zero: 1 or 0. Works in T0. Time: constant. */
export function fieldIsZero<C>(a: usize): u64 {
  fieldReduce<C>(T0, a);
  return isZero(T0);
}

/** Tells whether a public reduced element is zero: 1 or 0, mostly by its lowest limb alone. Works in T0. */
export function fieldIsZeroVartime<C>(a: usize): u64 {
  const low: u64 = load<u64>(a) & LIMB_MASK;
  if (low !== 0 && low !== load<u64>(constants<C>() + PRIME)) return 0;
  return fieldIsZero<C>(a);
}

/** Turns a number below the prime, without carries, into a field element. Time: constant. */
export function enterField<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) fieldMultiply<C>(out, a, constants<C>() + ENTER_FIELD);
  else copyElement(out, a);
}

/** Turns a field element into a number below the prime, without carries. Works in T0. Time: constant. */
export function leaveField<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) {
    memory.fill(T0, 0, 72);
    store<u64>(T0, 1);
    fieldMultiply<C>(T0, a, T0);
    fieldReduce<C>(out, T0);
  } else {
    fieldReduce<C>(out, a);
  }
}

/** Inverts a reduced element, and leaves 0 for 0. Works in T0 and WORDS. Time: constant. */
export function fieldInvert<C>(out: usize, a: usize): void {
  const curve: usize = constants<C>();
  fieldReduce<C>(T0, a);
  pack(WORDS, T0);
  invertWords(WORDS, WORDS, curve + PRIME_30, load<i64>(curve + PRIME_INVERSE_30));
  unpack(out, WORDS);
  if (sizeof<C>() === 4) fieldMultiply<C>(out, out, curve + INVERT_FIELD);
}

/** Inverts a public element as `fieldInvert` does, in a time that depends on it. */
export function fieldInvertVartime<C>(out: usize, a: usize): void {
  const curve: usize = constants<C>();
  fieldReduce<C>(T0, a);
  pack(WORDS, T0);
  invertWordsVartime(WORDS, WORDS, curve + PRIME_30, load<i64>(curve + PRIME_INVERSE_30));
  unpack(out, WORDS);
  if (sizeof<C>() === 4) fieldMultiply<C>(out, out, curve + INVERT_FIELD);
}

/**
 * Raises a public element to a public exponent.
 *
 * @param out one element; must not be a
 * @param exponent four words
 */
export function fieldPowerVartime<C>(out: usize, a: usize, exponent: usize): void {
  copyElement(out, constants<C>() + FIELD_ONE);
  for (let bit: i32 = 255; bit >= 0; --bit) {
    fieldSquare<C>(out, out);
    if ((load<u64>(exponent + ((<usize>(bit >> 6)) << 3)) >> <u64>(bit & 63)) & 1)
      fieldMultiply<C>(out, out, a);
  }
}
