/**
 * Multiples of points by secret scalars, in constant time: of the generators from their large tables, of a peer's point
 * by fixed windows. Every window holds an odd digit, so nothing is ever added that is not a point.
 */

import { maskOf } from "../ct";
import {
  addLimbs,
  carryLimbs,
  clearElement,
  copyElement,
  LIMB_MASK,
  selectElement,
  unpack,
} from "../int/limbs";
import { constants, fieldMultiply, fieldSquare, fieldSubtract } from "./field";
import { ORDER } from "./generated/constants";
import { addMixed, addMixedOrDouble, doublePoint, Y, Z } from "./point";
import { scanEntries } from "./scan";
import { BLIND, PICKED, RECODED, SUM, T0, T1, WORDS } from "./state";
import { WINDOW_BITS, WINDOW_LENGTH, WINDOWS } from "./table";

/**
 * Recodes a scalar k: RECODED ← (k' + 2^bits - 1) / 2 where k' is the odd one of k and k + n. Bit j of it stands for
 * 2^j if it is set and for -2^j if not.
 *
 * @param scalar one element below n, without carries, secret
 * @param bits 258..=260, public
 *
 * Works in T0. Time: constant. Source: docs/ecc-kernels.md.
 */
export function recode<C>(scalar: usize, bits: u64): void {
  clearElement(T0);
  selectElement(T0, maskOf(load<u64>(scalar) & 1), T0, constants<C>() + ORDER);
  addLimbs(RECODED, scalar, T0);
  for (let i: usize = 0; i < 64; i += 8) store<u64>(RECODED + i, load<u64>(RECODED + i) + LIMB_MASK);
  store<u64>(RECODED, load<u64>(RECODED, 64) + (((<u64>1) << (bits - 232)) - 1), 64);
  carryLimbs(RECODED);
  for (let i: usize = 0; i < 64; i += 8) {
    store<u64>(RECODED + i, (load<u64>(RECODED + i) >> 1) | ((load<u64>(RECODED + i, 8) & 1) << 28));
  }
  store<u64>(RECODED, load<u64>(RECODED, 64) >> 1, 64);
}

/** Returns `count` bits of RECODED from `position` on, both public. Time: constant. */
export function recodedBits(position: u32, count: u32): u64 {
  const limb: u32 = position / 29;
  const shift: u32 = position - 29 * limb;
  const at: usize = RECODED + ((<usize>limb) << 3);
  let bits: u64 = load<u64>(at) >> <u64>shift;
  if (limb < 8) bits |= load<u64>(at, 8) << (<u64>(29 - shift));
  return bits & (((<u64>1) << (<u64>count)) - 1);
}

/**
 * Takes a digit's point from a window: PICKED ← the odd multiple that the window's bits stand for.
 *
 * @param window entries of a table, public
 * @param bits a digit as recoded, secret
 * @param bitCount bits in a digit: the window has 2^(bitCount - 1) entries, public
 *
 * Reads every entry. Works in T0. Time: depends on bitCount alone.
 */
export function pick<C>(window: usize, bits: u64, bitCount: u64): void {
  const positive: u64 = maskOf(bits >> (bitCount - 1));
  const count: u64 = (<u64>1) << (bitCount - 1);
  const index: u64 = (bits ^ ~positive) & (count - 1);
  scanEntries(WORDS, window, index, count);
  unpack(PICKED, WORDS);
  unpack(PICKED + Y, WORDS + 32);
  clearElement(T0);
  fieldSubtract<C>(T0, T0, PICKED + Y);
  selectElement(PICKED + Y, positive, PICKED + Y, T0);
}

/** Begins a sum with the point in PICKED, its coordinates scaled by BLIND. Works in T1. Time: constant. */
function beginSum<C>(): void {
  copyElement(SUM + Z, BLIND);
  fieldSquare<C>(T1, BLIND);
  fieldMultiply<C>(SUM, PICKED, T1);
  fieldMultiply<C>(T1, T1, BLIND);
  fieldMultiply<C>(SUM + Y, PICKED + Y, T1);
}

/**
 * Multiplies the point of a large table: SUM ← k · P. Time: constant.
 *
 * @param scalar one element without carries, 1 <= k < n, secret
 * @param table the large table of P, public
 *
 * BLIND holds a random element that is not zero. Two partial sums can only meet in the last window.
 */
export function multiplyByTable<C>(scalar: usize, table: usize): void {
  recode<C>(scalar, <u64>(WINDOWS * WINDOW_BITS));
  pick<C>(table, recodedBits(0, WINDOW_BITS), <u64>WINDOW_BITS);
  beginSum<C>();
  for (let window: u32 = 1; window < WINDOWS; ++window) {
    const entries: usize = table + WINDOW_LENGTH * <usize>window;
    pick<C>(entries, recodedBits(WINDOW_BITS * window, WINDOW_BITS), <u64>WINDOW_BITS);
    if (window < WINDOWS - 1) addMixed<C>(SUM, SUM, PICKED);
    else addMixedOrDouble<C>(SUM, SUM, PICKED);
  }
}

/** Bits of a digit, and digits, where a point of any peer is multiplied; its table has the odd multiples up to 31. */
export const PEER_BITS: u32 = 5;
export const PEER_POINTS: u32 = 16;
const PEER_WINDOWS: u32 = 52;

/**
 * Multiplies a public point: SUM ← k · P. The arguments are those of `multiplyByTable`, with the table of the 16 odd
 * multiples of P. Time: constant.
 */
export function multiplyByWindows<C>(scalar: usize, table: usize): void {
  recode<C>(scalar, <u64>(PEER_WINDOWS * PEER_BITS));
  pick<C>(table, recodedBits((PEER_WINDOWS - 1) * PEER_BITS, PEER_BITS), <u64>PEER_BITS);
  beginSum<C>();
  for (let window: u32 = PEER_WINDOWS - 1; window > 0; --window) {
    for (let i: u32 = 0; i < PEER_BITS; ++i) doublePoint<C>(SUM, SUM);
    pick<C>(table, recodedBits((window - 1) * PEER_BITS, PEER_BITS), <u64>PEER_BITS);
    if (window > 1) addMixed<C>(SUM, SUM, PICKED);
    else addMixedOrDouble<C>(SUM, SUM, PICKED);
  }
}
