/**
 * Points in pairs, for the relaxed build: both lanes work on one point, so that single operations profit as well. What the
 * functions of multiply.ts and verify.ts do on elements these do on pairs.
 *
 * Numbers of P-256 are in Montgomery form with R = 2^258 here and with R = 2^261 elsewhere, eight times as high. Adding
 * works on points whose X and Y stand eight times as high (`eight`), so points of large tables are taken as they are;
 * doubling does not, so small tables are brought down.
 */

import { maskOf } from "../ct";
import { pack, reduceToWords } from "../int/limbs";
import { constants, Secp256k1 } from "./field";
import { BETA, PRIME } from "./generated/constants";
import { comparePair, doublePair, finishPair, unpackPair } from "./generated/pair-point";
import { leavePair, multiplyPair, squarePair } from "./pair";
import { EIGHTH, PAIR_CONSTANTS, PAIR_LENGTH } from "./pair-constants";
import { P0, P1, PICKED_PAIR, SUM_PAIR, ZZ } from "./pair-state";
import { Y, Z } from "./point";
import { scanEntries, scanPairs } from "./scan";
import { BLIND, SUM, T0, WORDS } from "./state";

export { doublePair, PICKED_PAIR, SUM_PAIR };

/** Negates the y of PICKED_PAIR by a mask of all ones or zeros. Time: constant. */
export function negatePair(negative: u64): void {
  const sign: v128 = i64x2.replace_lane(i64x2.splat(0), 1, <i64>(negative & 0x8000000000000000));
  for (let i: usize = 0; i < PAIR_LENGTH; i += 16) {
    v128.store(PICKED_PAIR + i, v128.xor(v128.load(PICKED_PAIR + i), sign));
  }
}

/** Adds PICKED_PAIR to SUM_PAIR, where SUM_PAIR is neither infinity nor that point nor its opposite. Time: constant. */
export function addPicked<C>(eight: bool): void {
  comparePair<C>(SUM_PAIR, PICKED_PAIR);
  finishPair<C>(SUM_PAIR, SUM_PAIR, eight);
}

/** Begins SUM_PAIR with PICKED_PAIR, its coordinates scaled by BLIND. Works in WORDS, P0 and P1. Time: constant. */
export function beginPair<C>(): void {
  pack(WORDS, BLIND);
  unpackPair(SUM_PAIR + ZZ, WORDS, WORDS);
  squarePair<C>(P0, SUM_PAIR + ZZ);
  multiplyPair<C>(P1, P0, SUM_PAIR + ZZ);
  for (let i: usize = 0; i < PAIR_LENGTH; i += 16) store<f64>(P0 + i, load<f64>(P1 + i, 8), 8);
  multiplyPair<C>(SUM_PAIR, PICKED_PAIR, P0);
}

/** Brings SUM_PAIR to SUM. @param eight whether X and Y stand eight times as high as Z (P-256). Time: constant. */
export function leaveSum<C>(eight: bool): void {
  const scale: f64 = sizeof<C>() === 4 && !eight ? 8 : 1;
  leavePair<C>(SUM, SUM_PAIR, 0, scale);
  leavePair<C>(SUM + Y, SUM_PAIR, 8, scale);
  leavePair<C>(SUM + Z, SUM_PAIR + ZZ, 0, sizeof<C>() === 4 ? 8 : 1);
}

/**
 * Takes a digit's point from a window of a large table as `pick` does, to PICKED_PAIR.
 *
 * Reads every entry. Time: depends on bitCount alone.
 */
export function pickPair(window: usize, bits: u64, bitCount: u64): void {
  const positive: u64 = maskOf(bits >> (bitCount - 1));
  const count: u64 = (<u64>1) << (bitCount - 1);
  scanEntries(WORDS, window, (bits ^ ~positive) & (count - 1), count);
  unpackPair(PICKED_PAIR, WORDS, WORDS + 32);
  negatePair(~positive);
}

/**
 * Takes a digit's point from a table of pairs as `pick` does, to PICKED_PAIR, negated by a mask. Reads every entry. Time:
 * depends on bitCount alone.
 */
export function pickFromPairs(table: usize, bits: u64, bitCount: u64, negative: u64): void {
  const positive: u64 = maskOf(bits >> (bitCount - 1));
  const count: u64 = (<u64>1) << (bitCount - 1);
  scanPairs(PICKED_PAIR, table, (bits ^ ~positive) & (count - 1), count);
  negatePair(~positive ^ negative);
}

/**
 * Brings SUM to SUM_PAIR, as `leaveSum` leaves it. @param eight whether X and Y are to stand eight times as high as Z. Works in
 * T0 and WORDS.
 */
export function enterSum<C>(eight: bool): void {
  const prime: usize = constants<C>() + PRIME;
  reduceToWords(T0, SUM, prime);
  pack(WORDS, T0);
  reduceToWords(T0, SUM + Y, prime);
  pack(WORDS + 32, T0);
  unpackPair(SUM_PAIR, WORDS, WORDS + 32);
  reduceToWords(T0, SUM + Z, prime);
  pack(WORDS, T0);
  unpackPair(SUM_PAIR + ZZ, WORDS, WORDS);
  if (sizeof<C>() === 4) {
    multiplyPair<C>(SUM_PAIR + ZZ, SUM_PAIR + ZZ, PAIR_CONSTANTS + EIGHTH);
    if (!eight) multiplyPair<C>(SUM_PAIR, SUM_PAIR, PAIR_CONSTANTS + EIGHTH);
  }
}

/** Writes the points of a table as pairs, P-256's at the height of their Z, one: `to` holds count pairs. Time: count alone. */
export function storePairs<C>(to: usize, table: usize, count: u32): void {
  for (let i: u32 = 0; i < count; ++i) {
    const entry: usize = table + 64 * <usize>i;
    const pair: usize = to + PAIR_LENGTH * <usize>i;
    unpackPair(pair, entry, entry + 32);
    if (sizeof<C>() === 4) multiplyPair<C>(pair, pair, PAIR_CONSTANTS + EIGHTH);
  }
}

/** Writes λ times the points of a table of pairs: their x times β. Works in P0 and WORDS. Time: count alone. */
export function storeLambdaPairs(to: usize, from: usize, count: u32): void {
  pack(WORDS, constants<Secp256k1>() + BETA);
  memory.fill(WORDS + 32, 0, 32);
  store<u64>(WORDS + 32, 1);
  unpackPair(P0, WORDS, WORDS + 32);
  for (let i: usize = 0; i < PAIR_LENGTH * <usize>count; i += PAIR_LENGTH) {
    multiplyPair<Secp256k1>(to + i, from + i, P0);
  }
}
