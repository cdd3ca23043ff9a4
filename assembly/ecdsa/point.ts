/**
 * Points of the curves y² = x³ + ax + b with a = -3 (P-256) and a = 0 (secp256k1), in Jacobian coordinates: X, Y and Z
 * are three elements in a row and stand for (X / Z², Y / Z³). Affine points are x, y. What is stored is always reduced.
 */

import { maskOf } from "../ct";
import { addLimbs, copyElement, selectElement } from "../int/limbs";
import {
  constants,
  fieldHalfTriple,
  fieldIsZero,
  fieldIsZeroVartime,
  fieldMultiply,
  fieldSquare,
  fieldSubtract,
} from "./field";
import { FIELD_ONE } from "./generated/constants";
import { T0, T1, T2, T3, T4, T5, T6, TWICE } from "./state";

/** Offsets of the coordinates. */
export const Y: usize = 80;
export const Z: usize = 160;
export const POINT_LENGTH: usize = 240;

/** Copies a point. Time: constant. */
export function copyPoint(out: usize, a: usize): void {
  copyElement(out, a);
  copyElement(out + Y, a + Y);
  copyElement(out + Z, a + Z);
}

/**
 * Doubles: out ← 2a. Twice the point at infinity, which has Z = 0, has Z = 0; no point has the order 2.
 *
 * @param out a point; may be a
 * @param a a point, secret
 *
 * Works in T0 to T3. Time: constant. Source: the doubling with 3/2 in place of 3, which halves Z; Hankerson, Menezes and
 * Vanstone, algorithm 3.21.
 */
export function doublePoint<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) {
    fieldSquare<C>(T0, a + Z);
    fieldSubtract<C>(T1, a, T0);
    addLimbs(T0, a, T0);
    fieldMultiply<C>(T1, T1, T0);
  } else {
    fieldSquare<C>(T1, a);
  }
  // The slope T1 is 3/2 (x² + a Z⁴ / 3), and T3 is X Y².
  fieldHalfTriple<C>(T1, T1);
  fieldMultiply<C>(out + Z, a + Y, a + Z);
  fieldSquare<C>(T2, a + Y);
  fieldMultiply<C>(T3, a, T2);
  fieldSquare<C>(T0, T1);
  fieldSubtract<C>(T0, T0, T3);
  fieldSubtract<C>(out, T0, T3);
  fieldSubtract<C>(T3, T3, out);
  fieldMultiply<C>(T3, T3, T1);
  fieldSquare<C>(T2, T2);
  fieldSubtract<C>(out + Y, T3, T2);
}

/**
 * Adds an affine point, up to the last steps: T5 ← x Z² - X and T6 ← y Z³ - Y, which are both zero for equal points. Works in T1.
 */
function compare<C>(a: usize, b: usize): void {
  fieldSquare<C>(T1, a + Z);
  fieldMultiply<C>(T5, b, T1);
  fieldSubtract<C>(T5, T5, a);
  fieldMultiply<C>(T1, T1, a + Z);
  fieldMultiply<C>(T6, b + Y, T1);
  fieldSubtract<C>(T6, T6, a + Y);
}

/** Finishes the addition of two points that differ in x from T5 and T6. Works in T1 to T4. */
function finishAddition<C>(out: usize, a: usize): void {
  fieldSquare<C>(T1, T5);
  fieldMultiply<C>(T2, a, T1);
  fieldMultiply<C>(T1, T1, T5);
  fieldMultiply<C>(out + Z, a + Z, T5);
  fieldMultiply<C>(T4, a + Y, T1);
  fieldSquare<C>(T3, T6);
  addLimbs(T1, T1, T2);
  addLimbs(T1, T1, T2);
  fieldSubtract<C>(out, T3, T1);
  fieldSubtract<C>(T2, T2, out);
  fieldMultiply<C>(T2, T2, T6);
  fieldSubtract<C>(out + Y, T2, T4);
}

/**
 * Adds an affine point: out ← a + b, where a is neither infinity nor b nor -b.
 *
 * @param out a point; may be a
 * @param a a point, secret
 * @param b an affine point, secret
 *
 * Works in T1 to T6. Time: constant. Source: Hankerson, Menezes and Vanstone, algorithm 3.22.
 */
export function addMixed<C>(out: usize, a: usize, b: usize): void {
  compare<C>(a, b);
  finishAddition<C>(out, a);
}

/** Adds an affine point as `addMixed` does, where a may be b as well. Works in TWICE and T0 to T6. Time: constant. */
export function addMixedOrDouble<C>(out: usize, a: usize, b: usize): void {
  compare<C>(a, b);
  const same: u64 = maskOf(fieldIsZero<C>(T5));
  doublePoint<C>(TWICE, a);
  finishAddition<C>(out, a);
  selectElement(out, same, TWICE, out);
  selectElement(out + Y, same, TWICE + Y, out + Y);
  selectElement(out + Z, same, TWICE + Z, out + Z);
}

/**
 * Adds public points, whatever they are: out ← a + b. Infinity has Z = 0.
 *
 * @param out a point; may be a
 * @param a a point, public
 * @param b an affine point, public
 *
 * Works in T0 to T6.
 */
export function addMixedVartime<C>(out: usize, a: usize, b: usize): void {
  if (fieldIsZeroVartime<C>(a + Z) !== 0) {
    copyElement(out, b);
    copyElement(out + Y, b + Y);
    copyElement(out + Z, constants<C>() + FIELD_ONE);
    return;
  }
  compare<C>(a, b);
  if (fieldIsZeroVartime<C>(T5) === 0) {
    finishAddition<C>(out, a);
  } else if (fieldIsZeroVartime<C>(T6) !== 0) {
    doublePoint<C>(out, a);
  } else {
    memory.fill(out, 0, POINT_LENGTH);
  }
}
