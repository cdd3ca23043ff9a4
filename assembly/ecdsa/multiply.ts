/**
 * Multiples of points by secret scalars, in constant time: of the generators from their large tables, of a peer's point
 * by fixed windows. Every window holds an odd digit, so nothing is ever added that is not a point.
 */

import { maskOf } from "../ct";
import { addLimbs, carryLimbs, clearElement, copyElement, selectElement, unpack } from "../int/limbs";
import { constants, fieldMultiply, fieldSquare, fieldSubtract, Secp256k1 } from "./field";
import { BETA, ORDER } from "./generated/constants";
import { ECC_SMALL_TABLES } from "./memory";
import {
  addPicked,
  beginPair,
  doublePair,
  leaveSum,
  pickFromPairs,
  pickPair,
  SUM_PAIR,
  storeLambdaPairs,
  storePairs,
} from "./pair-point";
import { addMixed, addMixedOrDouble, doublePoint, Y, Z } from "./point";
import { scanEntries } from "./scan";
import { HALF_1, HALF_2, SIGN_1, SIGN_2, splitScalar } from "./split";
import { BLIND, PICKED, RECODED, RECODED_2, SUM, T0, T1, TWICE, WORDS } from "./state";
import { loadEntry, WINDOW_BITS, WINDOW_LENGTH, WINDOWS } from "./table";

/**
 * Recodes an odd number k below 2^bits: out ← (k + 2^bits - 1) / 2. Bit j of it stands for 2^j if it is set and for -2^j if not.
 *
 * @param out one element; may be odd
 * @param odd one element that need not be carried, secret
 * @param bits 130..=260, public
 *
 * Time: depends on bits alone. Source: docs/ecc-kernels.md.
 */
function recodeOdd(out: usize, odd: usize, bits: u32): void {
  let above: u32 = bits;
  for (let i: usize = 0; i < 72; i += 8) {
    const count: u32 = min<u32>(above, 29);
    store<u64>(out + i, load<u64>(odd + i) + (((<u64>1) << (<u64>count)) - 1));
    above -= count;
  }
  carryLimbs(out);
  for (let i: usize = 0; i < 64; i += 8) {
    store<u64>(out + i, (load<u64>(out + i) >> 1) | ((load<u64>(out + i, 8) & 1) << 28));
  }
  store<u64>(out, load<u64>(out, 64) >> 1, 64);
}

/**
 * Recodes a scalar to RECODED: the odd one of k and k + n.
 *
 * @param scalar one element below n, without carries, secret
 * @param bits 258..=260, public
 *
 * Works in T0. Time: depends on bits alone.
 */
export function recode<C>(scalar: usize, bits: u32): void {
  clearElement(T0);
  selectElement(T0, maskOf(load<u64>(scalar) & 1), T0, constants<C>() + ORDER);
  addLimbs(RECODED, scalar, T0);
  recodeOdd(RECODED, RECODED, bits);
}

/** Returns `count` bits of a recoded scalar from `position` on, both public. Time: constant. */
export function recodedBits(recoded: usize, position: u32, count: u32): u64 {
  const limb: u32 = position / 29;
  const shift: u32 = position - 29 * limb;
  const at: usize = recoded + ((<usize>limb) << 3);
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
function pick<C>(window: usize, bits: u64, bitCount: u64): void {
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
  recode<C>(scalar, WINDOWS * WINDOW_BITS);
  if (ASC_FEATURE_RELAXED_SIMD) {
    addPairsOfTable<C>(table);
    return;
  }
  pick<C>(table, recodedBits(RECODED, 0, WINDOW_BITS), <u64>WINDOW_BITS);
  beginSum<C>();
  for (let window: u32 = 1; window < WINDOWS; ++window) {
    const entries: usize = table + WINDOW_LENGTH * <usize>window;
    pick<C>(entries, recodedBits(RECODED, WINDOW_BITS * window, WINDOW_BITS), <u64>WINDOW_BITS);
    if (window < WINDOWS - 1) addMixed<C>(SUM, SUM, PICKED);
    else addMixedOrDouble<C>(SUM, SUM, PICKED);
  }
}

/** Adds what RECODED wants of a large table in pairs, but for the last window, where points may be equal. Time: constant. */
function addPairsOfTable<C>(table: usize): void {
  pickPair(table, recodedBits(RECODED, 0, WINDOW_BITS), <u64>WINDOW_BITS);
  beginPair<C>();
  let entries: usize = table;
  for (let window: u32 = 1; window < WINDOWS - 1; ++window) {
    entries += WINDOW_LENGTH;
    pickPair(entries, recodedBits(RECODED, WINDOW_BITS * window, WINDOW_BITS), <u64>WINDOW_BITS);
    addPicked<C>(true);
  }
  leaveSum<C>(true);
  const last: u64 = recodedBits(RECODED, WINDOW_BITS * (WINDOWS - 1), WINDOW_BITS);
  pick<C>(entries + WINDOW_LENGTH, last, <u64>WINDOW_BITS);
  addMixedOrDouble<C>(SUM, SUM, PICKED);
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
  recode<C>(scalar, PEER_WINDOWS * PEER_BITS);
  if (ASC_FEATURE_RELAXED_SIMD) {
    addPairsByWindows<C>(table);
    return;
  }
  pick<C>(table, recodedBits(RECODED, (PEER_WINDOWS - 1) * PEER_BITS, PEER_BITS), <u64>PEER_BITS);
  beginSum<C>();
  for (let window: u32 = PEER_WINDOWS - 1; window > 0; --window) {
    for (let i: u32 = 0; i < PEER_BITS; ++i) doublePoint<C>(SUM, SUM);
    pick<C>(table, recodedBits(RECODED, (window - 1) * PEER_BITS, PEER_BITS), <u64>PEER_BITS);
    if (window > 1) addMixed<C>(SUM, SUM, PICKED);
    else addMixedOrDouble<C>(SUM, SUM, PICKED);
  }
}

/** Where the points of a peer's table are in pairs, and λ times them. */
const PEER_PAIRS: usize = ECC_SMALL_TABLES + 64 * <usize>PEER_POINTS;
const LAMBDA_PAIRS: usize = PEER_PAIRS + 96 * <usize>PEER_POINTS;

/** Takes a digit of a recoded scalar from a table of pairs, negated by a mask. Time: constant. */
function pickPeer(table: usize, recoded: usize, window: u32, negative: u64): void {
  pickFromPairs(table, recodedBits(recoded, window * PEER_BITS, PEER_BITS), <u64>PEER_BITS, negative);
}

/** Does in pairs what `multiplyByWindows` does once RECODED is there. Time: constant. */
function addPairsByWindows<C>(table: usize): void {
  storePairs<C>(PEER_PAIRS, table, PEER_POINTS);
  pickPeer(PEER_PAIRS, RECODED, PEER_WINDOWS - 1, 0);
  beginPair<C>();
  for (let window: u32 = PEER_WINDOWS - 2; window > 0; --window) {
    for (let i: u32 = 0; i < PEER_BITS; ++i) doublePair<C>(SUM_PAIR, SUM_PAIR);
    pickPeer(PEER_PAIRS, RECODED, window, 0);
    addPicked<C>(false);
  }
  for (let i: u32 = 0; i < PEER_BITS; ++i) doublePair<C>(SUM_PAIR, SUM_PAIR);
  leaveSum<C>(false);
  pick<C>(table, recodedBits(RECODED, 0, PEER_BITS), <u64>PEER_BITS);
  addMixedOrDouble<C>(SUM, SUM, PICKED);
}

/** Digits of a half of a scalar of secp256k1. */
const HALF_WINDOWS: u32 = 26;

/** Recodes a half of a scalar to `out`: itself or, if it is even, the number above it, which is to be made up for. Time: constant. */
function recodeHalf(out: usize, half: usize): void {
  copyElement(out, half);
  store<u64>(out, load<u64>(half) | 1);
  recodeOdd(out, out, HALF_WINDOWS * PEER_BITS);
}

/**
 * Takes a digit's point for a half: PICKED ← ± the odd multiple, or λ times it.
 *
 * @param recoded the recoded half, secret
 * @param sign a word that is 1 where the half is negative, secret
 * @param place number of the window, public
 * @param lambda whether the half counts λ, public
 *
 * Works in T0. Time: constant.
 */
function pickHalf(recoded: usize, sign: usize, place: u32, lambda: bool, table: usize): void {
  pick<Secp256k1>(table, recodedBits(recoded, place * PEER_BITS, PEER_BITS), <u64>PEER_BITS);
  adjustHalf(maskOf(load<u64>(sign)), lambda);
}

/** Multiplies PICKED by λ where asked, and by -1 by a mask. Works in T0. Time: constant. */
function adjustHalf(negative: u64, lambda: bool): void {
  if (lambda) fieldMultiply<Secp256k1>(PICKED, PICKED, constants<Secp256k1>() + BETA);
  clearElement(T0);
  fieldSubtract<Secp256k1>(T0, T0, PICKED + Y);
  selectElement(PICKED + Y, negative, T0, PICKED + Y);
}

/** Takes one ± P, or λ P, off SUM where its half was even. Works in TWICE. Time: constant. */
function makeUp(half: usize, sign: usize, lambda: bool, table: usize): void {
  loadEntry(PICKED, table);
  adjustHalf(maskOf(load<u64>(sign) ^ 1), lambda);
  addMixed<Secp256k1>(TWICE, SUM, PICKED);
  const odd: u64 = maskOf(load<u64>(half) & 1);
  selectElement(SUM, odd, SUM, TWICE);
  selectElement(SUM + Y, odd, SUM + Y, TWICE + Y);
  selectElement(SUM + Z, odd, SUM + Z, TWICE + Z);
}

/**
 * Multiplies a public point of secp256k1 as `multiplyByWindows` does, by halves of the scalar with half the doublings.
 *
 * No two points that meet in an addition are equal or opposite: docs/ecc-kernels.md shows why. Time: constant.
 */
export function multiplyByHalves(scalar: usize, table: usize): void {
  splitScalar(scalar);
  recodeHalf(RECODED, HALF_1);
  recodeHalf(RECODED_2, HALF_2);
  if (ASC_FEATURE_RELAXED_SIMD) addPairsByHalves(table);
  else addHalves(table);
  makeUp(HALF_1, SIGN_1, false, table);
  makeUp(HALF_2, SIGN_2, true, table);
}

/** Does in pairs what `addHalves` does. Time: constant. */
function addPairsByHalves(table: usize): void {
  storePairs<Secp256k1>(PEER_PAIRS, table, PEER_POINTS);
  storeLambdaPairs(LAMBDA_PAIRS, PEER_PAIRS, PEER_POINTS);
  const negative: u64 = maskOf(load<u64>(SIGN_1));
  const otherNegative: u64 = maskOf(load<u64>(SIGN_2));
  pickPeer(PEER_PAIRS, RECODED, HALF_WINDOWS - 1, negative);
  beginPair<Secp256k1>();
  pickPeer(LAMBDA_PAIRS, RECODED_2, HALF_WINDOWS - 1, otherNegative);
  addPicked<Secp256k1>(false);
  for (let window: u32 = HALF_WINDOWS - 1; window > 0; --window) {
    for (let i: u32 = 0; i < PEER_BITS; ++i) doublePair<Secp256k1>(SUM_PAIR, SUM_PAIR);
    pickPeer(PEER_PAIRS, RECODED, window - 1, negative);
    addPicked<Secp256k1>(false);
    pickPeer(LAMBDA_PAIRS, RECODED_2, window - 1, otherNegative);
    addPicked<Secp256k1>(false);
  }
  leaveSum<Secp256k1>(false);
}

/** Adds what both recoded halves want of the table to SUM. Time: constant. */
function addHalves(table: usize): void {
  pickHalf(RECODED, SIGN_1, HALF_WINDOWS - 1, false, table);
  beginSum<Secp256k1>();
  pickHalf(RECODED_2, SIGN_2, HALF_WINDOWS - 1, true, table);
  addMixed<Secp256k1>(SUM, SUM, PICKED);
  for (let window: u32 = HALF_WINDOWS - 1; window > 0; --window) {
    for (let i: u32 = 0; i < PEER_BITS; ++i) doublePoint<Secp256k1>(SUM, SUM);
    pickHalf(RECODED, SIGN_1, window - 1, false, table);
    addMixed<Secp256k1>(SUM, SUM, PICKED);
    pickHalf(RECODED_2, SIGN_2, window - 1, true, table);
    addMixed<Secp256k1>(SUM, SUM, PICKED);
  }
}
