/** Arithmetic modulo the order of a curve. Elements in Montgomery form stand for themselves times 2^261. */

import { invertWords, invertWordsVartime } from "../int/inverse";
import { isZero, notBelow, pack, reduceFully, unpack, wordsOfBytes } from "../int/limbs";
import { montgomeryMultiply } from "../int/montgomery";
import { constants } from "./field";
import { ORDER, ORDER_30, ORDER_INVERSE_29, ORDER_INVERSE_30, ORDER_R2 } from "./generated/constants";
import { T0, WORDS } from "./state";

/**
 * Multiplies modulo the order of the curve with these constants: out ← a · b / 2^261, below 1.01 n, with limbs of 29 bits.
 * Time: constant.
 */
export function multiplyModuloOrder(curve: usize, out: usize, a: usize, b: usize): void {
  montgomeryMultiply(out, a, b, curve + ORDER, load<u64>(curve + ORDER_INVERSE_29));
}

/** Multiplies as `multiplyModuloOrder` does. Time: constant. */
export function orderMultiply<C>(out: usize, a: usize, b: usize): void {
  multiplyModuloOrder(constants<C>(), out, a, b);
}

/** Brings a scalar into Montgomery form. Time: constant. */
export function enterOrder<C>(out: usize, a: usize): void {
  orderMultiply<C>(out, a, constants<C>() + ORDER_R2);
}

/** Reduces a number below 2^261 completely. Time: constant. */
export function orderReduce<C>(out: usize, a: usize): void {
  reduceFully(out, a, constants<C>() + ORDER);
}

/** Tells whether an element without carries is in 1..n-1: 1 or 0. Time: constant. */
export function isScalar<C>(a: usize): u64 {
  return (isZero(a) | notBelow(a, constants<C>() + ORDER)) ^ 1;
}

/** Reads 32 big-endian bytes as they are. Works in WORDS. Time: constant. */
export function elementOfBytes(out: usize, bytes: usize): void {
  wordsOfBytes(WORDS, bytes);
  unpack(out, WORDS);
}

/** Writes an element without carries as 32 big-endian bytes. Works in WORDS. Time: constant. */
export function bytesOfElement(bytes: usize, a: usize): void {
  pack(WORDS, a);
  // Reversing twice is the same in both directions.
  wordsOfBytes(WORDS, WORDS);
  for (let i: usize = 0; i < 32; i += 8) store<u64>(bytes + i, load<u64>(WORDS + i));
}

/** Inverts an element in Montgomery form, and leaves 0 for 0. Works in T0 and WORDS. Time: constant. */
export function orderInvert<C>(out: usize, a: usize): void {
  invertWith<C>(out, a, false);
}

/** Inverts a public element as `orderInvert` does, in a time that depends on it. */
export function orderInvertVartime<C>(out: usize, a: usize): void {
  invertWith<C>(out, a, true);
}

function invertWith<C>(out: usize, a: usize, vartime: bool): void {
  const curve: usize = constants<C>();
  memory.fill(T0, 0, 72);
  store<u64>(T0, 1);
  orderMultiply<C>(T0, a, T0);
  orderReduce<C>(T0, T0);
  pack(WORDS, T0);
  const inverse: i64 = load<i64>(curve + ORDER_INVERSE_30);
  if (vartime) invertWordsVartime(WORDS, WORDS, curve + ORDER_30, inverse);
  else invertWords(WORDS, WORDS, curve + ORDER_30, inverse);
  unpack(out, WORDS);
  enterOrder<C>(out, out);
}
