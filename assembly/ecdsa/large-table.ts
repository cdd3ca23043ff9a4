/**
 * Builds large and wide tables of public points: windows of odd multiples, all affine. From the first m multiples of a
 * window's point B and 2m B the next m come by one affine addition each, and the inversions of a level are shared over
 * several windows.
 */

import { addLimbs, copyElement, unpack } from "../int/limbs";
import {
  constants,
  fieldInvertVartime,
  fieldMultiply,
  fieldSquare,
  fieldSubtract,
  P256,
  Secp256k1,
} from "./field";
import { FIELD_ONE, PRIME } from "./generated/constants";
import { copyPoint, doublePoint, Y, Z } from "./point";
import { PICKED, T1, T2, T3, T4, TABLE_BASE, TABLE_INVERSE, TABLE_POINTS, TABLE_STEP } from "./state";
import {
  ENTRY_LENGTH,
  loadEntry,
  placeOf,
  storeAffine,
  storeModulo,
  WIDE_BITS,
  WIDE_POINTS,
  WIDE_WINDOWS,
  WINDOW_BITS,
  WINDOW_POINTS,
  WINDOWS,
} from "./table";

/** Most denominators that are inverted together; before each the product of those before it is kept. */
const MOST_AT_ONCE: u32 = 264;
/** The step of each window of a group, 2m B, as x, y; behind the products. */
const STEPS: usize = TABLE_POINTS + 80 * 264;
const STEP_LENGTH: usize = 160;

const DENOMINATOR: usize = T1;
const INVERSE: usize = T2;
const SLOPE: usize = T3;
const NEW_X: usize = T4;

/** Whether the points are on P-256; one copy of what follows does for both curves. A public fact. */
let onP256: bool = false;

function multiply(out: usize, a: usize, b: usize): void {
  if (onP256) fieldMultiply<P256>(out, a, b);
  else fieldMultiply<Secp256k1>(out, a, b);
}

function square(out: usize, a: usize): void {
  if (onP256) fieldSquare<P256>(out, a);
  else fieldSquare<Secp256k1>(out, a);
}

function subtract(out: usize, a: usize, b: usize): void {
  if (onP256) fieldSubtract<P256>(out, a, b);
  else fieldSubtract<Secp256k1>(out, a, b);
}

function invert(out: usize, a: usize): void {
  if (onP256) fieldInvertVartime<P256>(out, a);
  else fieldInvertVartime<Secp256k1>(out, a);
}

function curveConstants(): usize {
  return onP256 ? constants<P256>() : constants<Secp256k1>();
}

/** Multiplies TABLE_INVERSE by DENOMINATOR and keeps what it was. */
function note(index: u32): void {
  copyElement(TABLE_POINTS + 80 * <usize>index, TABLE_INVERSE);
  multiply(TABLE_INVERSE, TABLE_INVERSE, DENOMINATOR);
}

/** Takes the inverse of DENOMINATOR, the last one noted and not taken, to INVERSE. */
function take(index: u32): void {
  multiply(INVERSE, TABLE_POINTS + 80 * <usize>index, TABLE_INVERSE);
  multiply(TABLE_INVERSE, TABLE_INVERSE, DENOMINATOR);
}

/** Finishes a sum of a and b by SLOPE: out ← the affine point. a may be b, and out either of them. */
function finishSum(out: usize, a: usize, b: usize): void {
  square(NEW_X, SLOPE);
  subtract(NEW_X, NEW_X, a);
  subtract(NEW_X, NEW_X, b);
  subtract(INVERSE, a, NEW_X);
  multiply(INVERSE, INVERSE, SLOPE);
  subtract(out + Y, INVERSE, a + Y);
  copyElement(out, NEW_X);
}

/** Doubles a step with half of its slope's denominator in INVERSE. */
function doubleStep(step: usize): void {
  square(SLOPE, step);
  if (onP256) subtract(SLOPE, SLOPE, curveConstants() + FIELD_ONE);
  addLimbs(NEW_X, SLOPE, SLOPE);
  addLimbs(SLOPE, NEW_X, SLOPE);
  multiply(SLOPE, SLOPE, INVERSE);
  finishSum(step, step, step);
}

/**
 * Writes the multiples m to 2m - 1 of each window of a group, and doubles the steps. At m = 0 it only makes the first steps.
 *
 * @param table the first entry of the group's first window
 * @param windows how many windows the group has
 * @param points entries of a window
 */
function doubleWindows(table: usize, windows: u32, points: u32, m: u32): void {
  const doubling: bool = m << 1 < points;
  let index: u32 = 0;
  copyElement(TABLE_INVERSE, curveConstants() + FIELD_ONE);
  for (let window: u32 = 0; window < windows; ++window) {
    const step: usize = STEPS + STEP_LENGTH * <usize>window;
    const entries: usize = table + ENTRY_LENGTH * <usize>(points * window);
    if (doubling) {
      addLimbs(DENOMINATOR, step + Y, step + Y);
      note(index++);
    }
    for (let j: u32 = 0; j < m; ++j) {
      unpack(PICKED, entries + ENTRY_LENGTH * <usize>j);
      subtract(DENOMINATOR, step, PICKED);
      note(index++);
    }
  }
  invert(TABLE_INVERSE, TABLE_INVERSE);
  for (let window: u32 = windows; window > 0; --window) {
    const step: usize = STEPS + STEP_LENGTH * <usize>(window - 1);
    const entries: usize = table + ENTRY_LENGTH * <usize>(points * (window - 1));
    for (let j: u32 = m; j > 0; --j) {
      const entry: usize = entries + ENTRY_LENGTH * <usize>(j - 1);
      loadEntry(PICKED, entry);
      subtract(DENOMINATOR, step, PICKED);
      take(--index);
      subtract(SLOPE, step + Y, PICKED + Y);
      multiply(SLOPE, SLOPE, INVERSE);
      finishSum(PICKED, PICKED, step);
      storeModulo(entry + ENTRY_LENGTH * <usize>m, PICKED, curveConstants() + PRIME);
    }
    if (doubling) {
      addLimbs(DENOMINATOR, step + Y, step + Y);
      take(--index);
      doubleStep(step);
    }
  }
}

/** Writes 2^(bits · i) B, for the affine point B in TABLE_BASE, to the first entry of every window. */
function storeFirsts<C>(table: usize, windows: u32, points: u32, bits: u32): void {
  copyElement(placeOf(0), TABLE_BASE);
  copyElement(placeOf(0) + Y, TABLE_BASE + Y);
  copyElement(placeOf(0) + Z, constants<C>() + FIELD_ONE);
  for (let window: u32 = 1; window < windows; ++window) {
    const place: usize = placeOf(window);
    copyPoint(place, placeOf(window - 1));
    for (let bit: u32 = 0; bit < bits; ++bit) doublePoint<C>(place, place);
  }
  copyElement(TABLE_STEP + Z, constants<C>() + FIELD_ONE);
  storeAffine<C>(table, windows, ENTRY_LENGTH * <usize>points);
}

/** Fills the windows of a table whose first entries are there. */
function fillWindows(table: usize, windows: u32, points: u32): void {
  const most: u32 = MOST_AT_ONCE / ((points >> 1) + 1);
  for (let start: u32 = 0; start < windows; start += most) {
    const first: usize = table + ENTRY_LENGTH * <usize>(points * start);
    const count: u32 = min<u32>(most, windows - start);
    for (let window: u32 = 0; window < count; ++window) {
      loadEntry(STEPS + STEP_LENGTH * <usize>window, first + ENTRY_LENGTH * <usize>(points * window));
    }
    doubleWindows(first, count, points, 0);
    for (let m: u32 = 1; m < points; m <<= 1) doubleWindows(first, count, points, m);
  }
}

/** Writes the large table of the affine point in TABLE_BASE, which is public and of the curve's order. */
export function storeLargeTable<C>(table: usize): void {
  onP256 = sizeof<C>() === 4;
  storeFirsts<C>(table, WINDOWS, WINDOW_POINTS, WINDOW_BITS);
  fillWindows(table, WINDOWS, WINDOW_POINTS);
}

/** Writes the wide table of the affine point in TABLE_BASE, as `storeLargeTable` does. */
export function storeWideTable<C>(table: usize): void {
  onP256 = sizeof<C>() === 4;
  storeFirsts<C>(table, WIDE_WINDOWS, WIDE_POINTS, WIDE_BITS);
  fillWindows(table, WIDE_WINDOWS, WIDE_POINTS);
}
