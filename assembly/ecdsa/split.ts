/**
 * Decomposition of a scalar of secp256k1 into two of half its length: k = k1 + k2 · λ mod n, where λ times a point is the
 * point with x multiplied by β (Gallant, Lambert and Vanstone, "Faster point multiplication with efficient endomorphisms").
 */

import { maskOf } from "../ct";
import { addLimbs, carryLimbs, clearElement, LIMB_MASK, notBelow, selectElement } from "../int/limbs";
import { constants, Secp256k1 } from "./field";
import { ORDER, SPLIT_B1, SPLIT_B2, SPLIT_G1, SPLIT_G2, SPLIT_LAMBDA } from "./generated/constants";
import { orderMultiply, orderReduce } from "./scalar";
import { HALVES, S2, S3 } from "./state";

/** The halves and, behind them, a word each that is 1 where the half is negative. */
export const HALF_1: usize = HALVES;
export const HALF_2: usize = HALVES + 80;
export const SIGN_1: usize = HALVES + 160;
export const SIGN_2: usize = HALVES + 168;

/** Multiplies and scales: out ← a · b / 2^384, rounded. Both below 2^256, without carries. Time: constant. */
function scaledProduct(out: usize, a: usize, b: usize): void {
  clearElement(out);
  let column: u64 = 0;
  for (let k: usize = 0; k < 18; ++k) {
    if (k === 13) column += 1 << 6;
    const first: usize = k > 8 ? k - 8 : 0;
    const last: usize = k > 8 ? 8 : k;
    for (let i: usize = first; i <= last; ++i) {
      column += load<u64>(a + (i << 3)) * load<u64>(b + ((k - i) << 3));
    }
    // Digit 13 + i holds bit 384 of the product 7 bits up.
    const digit: u64 = column & LIMB_MASK;
    if (k > 13) {
      const below: usize = out + ((k - 14) << 3);
      store<u64>(below, load<u64>(below) | ((digit & 0x7f) << 22));
    }
    if (k >= 13) store<u64>(out + ((k - 13) << 3), digit >> 7);
    column >>= 29;
  }
}

/** Replaces a half above n / 2 by what it lacks to n, and notes that. Works in S3. Time: constant. */
function takeSign(half: usize, sign: usize): void {
  const order: usize = constants<Secp256k1>() + ORDER;
  for (let i: usize = 0; i < 72; i += 8) store<u64>(S3 + i, load<u64>(order + i) - load<u64>(half + i));
  carryLimbs(S3);
  const negative: u64 = notBelow(half, S3);
  store<u64>(sign, negative);
  selectElement(half, maskOf(negative), S3, half);
}

/**
 * Splits a scalar: HALF_1 and HALF_2 ← numbers below 2^128.1, with their signs.
 *
 * @param scalar one element below n, without carries, secret
 *
 * Works in S2 and S3. Time: constant.
 */
export function splitScalar(scalar: usize): void {
  const curve: usize = constants<Secp256k1>();
  scaledProduct(S2, scalar, curve + SPLIT_G1);
  orderMultiply<Secp256k1>(HALF_2, S2, curve + SPLIT_B1);
  scaledProduct(S2, scalar, curve + SPLIT_G2);
  orderMultiply<Secp256k1>(S2, S2, curve + SPLIT_B2);
  addLimbs(HALF_2, HALF_2, S2);
  orderReduce<Secp256k1>(HALF_2, HALF_2);
  orderMultiply<Secp256k1>(HALF_1, HALF_2, curve + SPLIT_LAMBDA);
  addLimbs(HALF_1, HALF_1, scalar);
  orderReduce<Secp256k1>(HALF_1, HALF_1);
  takeSign(HALF_1, SIGN_1);
  takeSign(HALF_2, SIGN_2);
}
