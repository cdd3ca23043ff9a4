/** Sums of multiples of public points in pairs, for the verification of signatures in the relaxed build. Everything here is public. */

import { isZero } from "../int/limbs";
import {
  DIGITS_2,
  DIGITS_3,
  DIGITS_4,
  SMALL_COUNT,
  UPPER_WINDOW,
  writeHalfDigits,
  writeWholeDigits,
} from "./digits";
import { fieldIsZeroVartime, Secp256k1 } from "./field";
import { comparePair, finishPair, unpackPair } from "./generated/pair-point";
import { ECC_GENERATOR_PAIRS, ECC_SMALL_TABLES } from "./memory";
import { recode, recodedBits } from "./multiply";
import { leavePair } from "./pair";
import { PAIR_CONSTANTS, PAIR_LENGTH, PAIR_ONE_P256, PAIR_ONE_SECP256K1 } from "./pair-constants";
import {
  doublePair,
  enterSum,
  leaveSum,
  negatePair,
  PICKED_PAIR,
  SUM_PAIR,
  storeLambdaPairs,
  storePairs,
} from "./pair-point";
import { P2, ZZ } from "./pair-state";
import { doublePoint, POINT_LENGTH } from "./point";
import { SIGN_1, SIGN_2 } from "./split";
import { DIGITS, RECODED, S1, S2, SUM } from "./state";
import {
  ENTRY_LENGTH,
  WIDE_BITS,
  WIDE_WINDOWS,
  WINDOW_BITS,
  WINDOW_LENGTH,
  WINDOW_POINTS,
  WINDOWS,
} from "./table";

/** The small table of a public key in pairs, and λ times it. */
const KEY_PAIRS: usize = ECC_SMALL_TABLES + 64 * 16;
const LAMBDA_PAIRS: usize = KEY_PAIRS + PAIR_LENGTH * <usize>SMALL_COUNT;

/** Whether SUM_PAIR is to be taken for infinity. A public fact. */
let infinite: bool = true;

/** Says whether SUM_PAIR is to be taken for infinity. */
export function setInfinite(is: bool): void {
  infinite = is;
}

/** Tells whether SUM_PAIR is to be taken for infinity. */
export function isInfinite(): bool {
  return infinite;
}

/** Multiples of the prime that a difference may be where it is zero are fewer. */
const MOST_MULTIPLES: f64 = 1024;

/** Tells whether the lower lane of P2 may be zero modulo the prime, by its lowest limb. */
function mayBeZero<C>(): bool {
  const limb: f64 = load<f64>(P2);
  const base: f64 = load<f64>(PAIR_CONSTANTS);
  const low: f64 = limb - (limb + base - base);
  // The lowest limb of j times the prime is -j, or -j (2^32 + 977).
  const multiple: f64 = sizeof<C>() === 4 ? low : nearest<f64>(low / 4294968273);
  return abs<f64>(multiple) < MOST_MULTIPLES && (sizeof<C>() === 4 || multiple * 4294968273 === low);
}

/** Finishes an addition whose H may be zero: P2 holds H and R. */
function finishSlowly<C>(eight: bool): void {
  leavePair<C>(S1, P2, 0, 1);
  leavePair<C>(S2, P2, 8, 1);
  if (fieldIsZeroVartime<C>(S1) === 0) {
    finishPair<C>(SUM_PAIR, SUM_PAIR, eight);
  } else if (fieldIsZeroVartime<C>(S2) === 0) {
    infinite = true;
  } else {
    leaveSum<C>(eight);
    doublePoint<C>(SUM, SUM);
    enterSum<C>(eight);
  }
}

/** Adds PICKED_PAIR to SUM_PAIR, whatever they are. */
export function addPickedVartime<C>(eight: bool): void {
  if (infinite) {
    infinite = false;
    memory.copy(SUM_PAIR, PICKED_PAIR, PAIR_LENGTH);
    memory.copy(SUM_PAIR + ZZ, sizeof<C>() === 4 ? PAIR_ONE_P256 : PAIR_ONE_SECP256K1, PAIR_LENGTH);
    return;
  }
  comparePair<C>(SUM_PAIR, PICKED_PAIR);
  if (mayBeZero<C>()) finishSlowly<C>(eight);
  else finishPair<C>(SUM_PAIR, SUM_PAIR, eight);
}

/** Takes an entry of a table of points, negated where asked. */
function takeEntry(entry: usize, negative: bool): void {
  unpackPair(PICKED_PAIR, entry, entry + 32);
  if (negative) negatePair(~(<u64>0));
}

/** Adds a multiple of the point of a large or a wide table, as `addByTable` does. */
function addTable<C>(scalar: usize, table: usize, bits: u32, windows: u32): void {
  if (isZero(scalar) !== 0) return;
  recode<C>(scalar, windows * bits);
  const half: u64 = (<u64>1) << (<u64>(bits - 1));
  for (let window: u32 = 0; window < windows; ++window) {
    const digit: u64 = recodedBits(RECODED, bits * window, bits);
    const negative: bool = digit < half;
    const index: u64 = negative ? half - 1 - digit : digit - half;
    takeEntry(table + ENTRY_LENGTH * (<usize>half * <usize>window + <usize>index), negative);
    addPickedVartime<C>(true);
  }
}

/** Brings SUM_PAIR, or infinity, to SUM. */
function leave<C>(eight: bool): void {
  if (infinite) memory.fill(SUM, 0, POINT_LENGTH);
  else leaveSum<C>(eight);
}

/** Computes SUM ← u P + v G from the large table of P and the wide one of G. @param u, v elements below n, without carries */
export function addTablePairs<C>(u: usize, table: usize, v: usize, wideTable: usize): void {
  infinite = true;
  addTable<C>(u, table, WINDOW_BITS, WINDOWS);
  addTable<C>(v, wideTable, WIDE_BITS, WIDE_WINDOWS);
  leave<C>(true);
}

/** Adds a digit's multiple from a table of pairs. */
function addDigitOfPairs<C>(digits: usize, place: i32, table: usize, negative: bool): void {
  const digit: i32 = <i32>load<i8>(digits + <usize>place);
  if (digit === 0) return;
  memory.copy(PICKED_PAIR, table + PAIR_LENGTH * <usize>(abs<i32>(digit) >> 1), PAIR_LENGTH);
  if (digit < 0 !== negative) negatePair(~(<u64>0));
  addPickedVartime<C>(false);
}

/** Adds a digit's multiple from a table of points (secp256k1, whose pairs stand no higher). */
function addDigitOfPoints(digits: usize, place: i32, table: usize): void {
  const digit: i32 = <i32>load<i8>(digits + <usize>place);
  if (digit === 0) return;
  takeEntry(table + ENTRY_LENGTH * <usize>(abs<i32>(digit) >> 1), digit < 0);
  addPickedVartime<Secp256k1>(false);
}

/** Writes the first window of P-256's generator as pairs. */
export function storeGeneratorPairs<C>(generatorTable: usize): void {
  if (sizeof<C>() === 4) storePairs<C>(ECC_GENERATOR_PAIRS, generatorTable, WINDOW_POINTS);
}

/** Computes SUM ← u G + v P from the small table of P, as `multiplyBoth` does. */
export function addBothPairs<C>(u: usize, v: usize, generatorTable: usize): void {
  storePairs<C>(KEY_PAIRS, ECC_SMALL_TABLES, SMALL_COUNT);
  infinite = true;
  if (sizeof<C>() === 4) {
    for (let i: i32 = <i32>writeWholeDigits(u, v) - 1; i >= 0; --i) {
      if (!infinite) doublePair<C>(SUM_PAIR, SUM_PAIR);
      addDigitOfPairs<C>(DIGITS, i, ECC_GENERATOR_PAIRS, false);
      addDigitOfPairs<C>(DIGITS_2, i, KEY_PAIRS, false);
    }
  } else {
    storeLambdaPairs(LAMBDA_PAIRS, KEY_PAIRS, SMALL_COUNT);
    const length: i32 = <i32>writeHalfDigits(u, v);
    const negative: bool = load<u64>(SIGN_1) !== 0;
    const otherNegative: bool = load<u64>(SIGN_2) !== 0;
    const upperTable: usize = generatorTable + WINDOW_LENGTH * <usize>UPPER_WINDOW;
    for (let i: i32 = length - 1; i >= 0; --i) {
      if (!infinite) doublePair<C>(SUM_PAIR, SUM_PAIR);
      addDigitOfPoints(DIGITS, i, generatorTable);
      addDigitOfPoints(DIGITS_2, i, upperTable);
      addDigitOfPairs<C>(DIGITS_3, i, KEY_PAIRS, negative);
      addDigitOfPairs<C>(DIGITS_4, i, LAMBDA_PAIRS, otherNegative);
    }
  }
  leave<C>(false);
}
