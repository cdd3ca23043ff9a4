/**
 * Tables of odd multiples of public points: affine, two times four words a point, coordinates as field elements below 2^256.
 * A large table holds 37 windows of 64 points, (2j + 1) · 2^(7i) · P, and gives every multiple of P without a doubling.
 */

import { copyElement, pack, reduceToWords, unpack } from "../int/limbs";
import { constants, fieldInvertVartime, fieldMultiply, fieldSquare } from "./field";
import { FIELD_ONE, PRIME } from "./generated/constants";
import { addMixed, doublePoint, POINT_LENGTH, Y, Z } from "./point";
import { T0, TABLE_AFFINE, TABLE_BASE, TABLE_INVERSE, TABLE_POINTS, TABLE_SCALE, TABLE_STEP } from "./state";

/** Bytes of a point in a table. */
export const ENTRY_LENGTH: usize = 64;

/** Windows of a large table, points in each, and bits that a window covers. */
export const WINDOWS: u32 = 37;
export const WINDOW_POINTS: u32 = 64;
export const WINDOW_BITS: u32 = 7;
export const WINDOW_LENGTH: usize = 4096;

// A point on its way into a table, and behind it the product of the Z of all points before it.
const PREFIX: usize = POINT_LENGTH;
const PLACE_LENGTH: usize = POINT_LENGTH + 80;

/** Returns where a point is kept while a table is built. */
export function placeOf(index: u32): usize {
  return TABLE_POINTS + PLACE_LENGTH * <usize>index;
}

/** Brings a point to affine coordinates: out ← x, y from the inverse of its Z. Works in TABLE_SCALE. */
function scaleDown<C>(out: usize, point: usize, inverse: usize): void {
  fieldSquare<C>(TABLE_SCALE, inverse);
  fieldMultiply<C>(out, point, TABLE_SCALE);
  fieldMultiply<C>(TABLE_SCALE, TABLE_SCALE, inverse);
  fieldMultiply<C>(out + Y, point + Y, TABLE_SCALE);
}

/** Writes an affine point to a table. Works in T0. */
export function storeEntry<C>(entry: usize, affine: usize): void {
  storeModulo(entry, affine, constants<C>() + PRIME);
}

/** Writes an affine point, modulo this prime, to a table. Works in T0. */
export function storeModulo(entry: usize, affine: usize, prime: usize): void {
  for (let i: usize = 0; i < 2; ++i) {
    reduceToWords(T0, affine + Y * i, prime);
    pack(entry + 32 * i, T0);
  }
}

/** Reads a point of a table: out ← x, y. Time: constant. */
export function loadEntry(out: usize, entry: usize): void {
  unpack(out, entry);
  unpack(out + Y, entry + 32);
}

/**
 * Writes the points at places 0 to count - 1 to a table. None is infinity; each Z lacks the factor that is the Z of TABLE_STEP.
 *
 * @param stride bytes from one entry to the next
 */
export function storeAffine<C>(table: usize, count: u32, stride: usize): void {
  copyElement(TABLE_INVERSE, placeOf(0) + Z);
  for (let i: u32 = 1; i < count; ++i) {
    copyElement(placeOf(i) + PREFIX, TABLE_INVERSE);
    fieldMultiply<C>(TABLE_INVERSE, TABLE_INVERSE, placeOf(i) + Z);
  }
  // Once in the product, the common scale is in the inverse of every Z.
  fieldMultiply<C>(TABLE_INVERSE, TABLE_INVERSE, TABLE_STEP + Z);
  fieldInvertVartime<C>(TABLE_INVERSE, TABLE_INVERSE);
  for (let i: u32 = count - 1; i > 0; --i) {
    const place: usize = placeOf(i);
    fieldMultiply<C>(place + PREFIX, place + PREFIX, TABLE_INVERSE);
    fieldMultiply<C>(TABLE_INVERSE, TABLE_INVERSE, place + Z);
    scaleDown<C>(TABLE_AFFINE, place, place + PREFIX);
    storeEntry<C>(table + stride * <usize>i, TABLE_AFFINE);
  }
  scaleDown<C>(TABLE_AFFINE, placeOf(0), TABLE_INVERSE);
  storeEntry<C>(table, TABLE_AFFINE);
}

/**
 * Writes the odd multiples of the affine point B in TABLE_BASE: (2j + 1) · B for j below count.
 *
 * @param table count entries, out
 * @param count 2..=64, public
 */
export function storeOddMultiples<C>(table: usize, count: u32): void {
  const first: usize = placeOf(0);
  copyElement(first, TABLE_BASE);
  copyElement(first + Y, TABLE_BASE + Y);
  copyElement(first + Z, constants<C>() + FIELD_ONE);
  doublePoint<C>(TABLE_STEP, first);
  // With coordinates scaled by the Z of 2B, 2B is affine; adding needs no constant of the curve, so it works there as well.
  const scale: usize = TABLE_STEP + Z;
  fieldSquare<C>(TABLE_SCALE, scale);
  fieldMultiply<C>(first, first, TABLE_SCALE);
  fieldMultiply<C>(TABLE_SCALE, TABLE_SCALE, scale);
  fieldMultiply<C>(first + Y, first + Y, TABLE_SCALE);
  for (let i: u32 = 1; i < count; ++i) addMixed<C>(placeOf(i), placeOf(i - 1), TABLE_STEP);
  storeAffine<C>(table, count, ENTRY_LENGTH);
}

/** Windows of a wide table, points in each, and bits that a window covers. */
export const WIDE_WINDOWS: u32 = 26;
export const WIDE_POINTS: u32 = 512;
export const WIDE_BITS: u32 = 10;
