/** Verification of ECDSA signatures (FIPS 186-5, 6.4.4), in batches that share the inversion modulo n. Everything here is public. */

import { addLimbs, carryLimbs, copyElement, isZero, notBelow } from "../int/limbs";
import {
  DIGITS_2,
  DIGITS_3,
  DIGITS_4,
  LAMBDA_TABLE,
  SMALL_COUNT,
  UPPER_WINDOW,
  writeHalfDigits,
  writeWholeDigits,
} from "./digits";
import {
  constants,
  enterField,
  fieldIsZeroVartime,
  fieldMultiply,
  fieldSquare,
  fieldSubtract,
  Secp256k1,
} from "./field";
import { BETA, ORDER, PRIME } from "./generated/constants";
import {
  ITEM_DIGEST,
  ITEM_FACTOR,
  ITEM_FACTORS,
  ITEM_KEY,
  ITEM_RESULT,
  ITEM_SIGNATURE,
  ITEM_TABLE,
  itemAt,
} from "./items";
import { ECC_SMALL_TABLES } from "./memory";
import { recode, recodedBits } from "./multiply";
import { addBothPairs, addTablePairs } from "./pair-verify";
import { addMixedVartime, doublePoint, POINT_LENGTH, Y, Z } from "./point";
import {
  elementOfBytes,
  enterOrder,
  isScalar,
  orderInvertVartime,
  orderMultiply,
  orderReduce,
} from "./scalar";
import { SIGN_1, SIGN_2 } from "./split";
import { DIGEST, DIGITS, PICKED, RECODED, RUNNING, S0, S1, S2, SUM, T0, TABLE_BASE } from "./state";
import {
  ENTRY_LENGTH,
  loadEntry,
  storeEntry,
  storeOddMultiples,
  WIDE_BITS,
  WIDE_WINDOWS,
  WINDOW_BITS,
  WINDOW_LENGTH,
  WINDOWS,
} from "./table";

/** Negates the y of the point in PICKED. Works in T0. */
function negatePicked<C>(): void {
  memory.fill(T0, 0, 72);
  fieldSubtract<C>(PICKED + Y, T0, PICKED + Y);
}

/**
 * Adds a multiple of the point of a large or a wide table to SUM.
 *
 * @param scalar one element below n, without carries
 * @param bits bits of a window
 * @param windows how many there are
 */
function addByTable<C>(scalar: usize, table: usize, bits: u32, windows: u32): void {
  if (isZero(scalar) !== 0) return;
  recode<C>(scalar, windows * bits);
  const half: u64 = (<u64>1) << (<u64>(bits - 1));
  for (let window: u32 = 0; window < windows; ++window) {
    const digit: u64 = recodedBits(RECODED, bits * window, bits);
    const negative: bool = digit < half;
    const index: u64 = negative ? half - 1 - digit : digit - half;
    loadEntry(PICKED, table + ENTRY_LENGTH * (<usize>half * <usize>window + <usize>index));
    if (negative) negatePicked<C>();
    addMixedVartime<C>(SUM, SUM, PICKED);
  }
}

/** Adds a digit's multiple from a table of odd multiples to SUM. */
function addDigit<C>(digits: usize, place: i32, table: usize, negative: bool): void {
  const digit: i32 = <i32>load<i8>(digits + <usize>place);
  if (digit === 0) return;
  loadEntry(PICKED, table + ENTRY_LENGTH * <usize>(abs<i32>(digit) >> 1));
  if (digit < 0 !== negative) negatePicked<C>();
  addMixedVartime<C>(SUM, SUM, PICKED);
}

/** Writes the small table of λ times the points of the one of TABLE_BASE: their x times β (secp256k1 alone). */
function storeLambdaTable(): void {
  for (let entry: usize = 0; entry < ENTRY_LENGTH * <usize>SMALL_COUNT; entry += ENTRY_LENGTH) {
    loadEntry(PICKED, ECC_SMALL_TABLES + entry);
    fieldMultiply<Secp256k1>(PICKED, PICKED, constants<Secp256k1>() + BETA);
    storeEntry<Secp256k1>(LAMBDA_TABLE + entry, PICKED);
  }
}

/**
 * Computes SUM ← u G + v P for the generator G and the point P in TABLE_BASE.
 *
 * @param u one element below n, without carries
 * @param v one element below n, without carries
 * @param generatorTable the large table of G, whose windows hold the odd multiples of 2^(7 i) G
 */
function multiplyBoth<C>(u: usize, v: usize, generatorTable: usize): void {
  storeOddMultiples<C>(ECC_SMALL_TABLES, SMALL_COUNT);
  if (ASC_FEATURE_RELAXED_SIMD) {
    addBothPairs<C>(u, v, generatorTable);
    return;
  }
  memory.fill(SUM, 0, POINT_LENGTH);
  if (sizeof<C>() === 4) {
    const length: u32 = writeWholeDigits(u, v);
    for (let i: i32 = <i32>length - 1; i >= 0; --i) {
      doublePoint<C>(SUM, SUM);
      addDigit<C>(DIGITS, i, generatorTable, false);
      addDigit<C>(DIGITS_2, i, ECC_SMALL_TABLES, false);
    }
    return;
  }
  storeLambdaTable();
  const length: u32 = writeHalfDigits(u, v);
  const negative: bool = load<u64>(SIGN_1) !== 0;
  const otherNegative: bool = load<u64>(SIGN_2) !== 0;
  const upperTable: usize = generatorTable + WINDOW_LENGTH * <usize>UPPER_WINDOW;
  for (let i: i32 = <i32>length - 1; i >= 0; --i) {
    doublePoint<C>(SUM, SUM);
    addDigit<C>(DIGITS, i, generatorTable, false);
    addDigit<C>(DIGITS_2, i, upperTable, false);
    addDigit<C>(DIGITS_3, i, ECC_SMALL_TABLES, negative);
    addDigit<C>(DIGITS_4, i, LAMBDA_TABLE, otherNegative);
  }
}

/** Reads r and s: 1 if both are in 1..n-1; then the factor of the item is s in Montgomery form, else 1. */
function readSignature<C>(item: usize): u64 {
  elementOfBytes(S0, item + ITEM_SIGNATURE);
  elementOfBytes(S1, item + ITEM_SIGNATURE + 32);
  const valid: u64 = isScalar<C>(S0) & isScalar<C>(S1);
  if (valid === 0) {
    memory.fill(S1, 0, 72);
    store<u64>(S1, 1);
  }
  enterOrder<C>(item + ITEM_FACTOR, S1);
  return valid;
}

/** Tells whether x of SUM is r modulo n: 1 or 0. @param r one element in 1..n-1, without carries */
function hasX<C>(r: usize): u32 {
  const curve: usize = constants<C>();
  if (fieldIsZeroVartime<C>(SUM + Z) !== 0) return 0;
  fieldSquare<C>(S2, SUM + Z);
  enterField<C>(S1, r);
  fieldMultiply<C>(S1, S1, S2);
  fieldSubtract<C>(S1, S1, SUM);
  if (fieldIsZeroVartime<C>(S1) !== 0) return 1;
  // x may have been above n.
  addLimbs(S1, r, curve + ORDER);
  carryLimbs(S1);
  if (notBelow(S1, curve + PRIME) !== 0) return 0;
  enterField<C>(S1, S1);
  fieldMultiply<C>(S1, S1, S2);
  fieldSubtract<C>(S1, S1, SUM);
  return <u32>fieldIsZeroVartime<C>(S1);
}

/** Verifies an item with the inverse of its s, in Montgomery form. */
function verifyItem<C>(
  item: usize,
  inverse: usize,
  generatorTable: usize,
  wideTable: usize,
  keyTables: usize,
  tableLength: usize,
): void {
  elementOfBytes(DIGEST, item + ITEM_DIGEST);
  orderMultiply<C>(DIGEST, DIGEST, inverse);
  orderReduce<C>(DIGEST, DIGEST);
  elementOfBytes(S0, item + ITEM_SIGNATURE);
  orderMultiply<C>(S1, S0, inverse);
  orderReduce<C>(S1, S1);
  const tableNumber: u32 = load<u32>(item + ITEM_TABLE);
  if (tableNumber !== 0) {
    const table: usize = keyTables + tableLength * <usize>(tableNumber - 1);
    if (ASC_FEATURE_RELAXED_SIMD) {
      addTablePairs<C>(S1, table, DIGEST, wideTable);
    } else {
      memory.fill(SUM, 0, POINT_LENGTH);
      addByTable<C>(S1, table, WINDOW_BITS, WINDOWS);
      addByTable<C>(DIGEST, wideTable, WIDE_BITS, WIDE_WINDOWS);
    }
  } else {
    loadPublicKey<C>(item);
    multiplyBoth<C>(DIGEST, S1, generatorTable);
  }
  elementOfBytes(S0, item + ITEM_SIGNATURE);
  store<u32>(item + ITEM_RESULT, load<u32>(item + ITEM_RESULT) & hasX<C>(S0));
}

/** Reads the point of an item, which was checked to be on the curve: TABLE_BASE ← x, y. */
export function loadPublicKey<C>(item: usize): void {
  elementOfBytes(TABLE_BASE, item + ITEM_KEY);
  elementOfBytes(TABLE_BASE + Y, item + ITEM_KEY + 32);
  enterField<C>(TABLE_BASE, TABLE_BASE);
  enterField<C>(TABLE_BASE + Y, TABLE_BASE + Y);
}

/**
 * Verifies the first items of ECC_ITEMS, whose points are on the curve.
 *
 * @param generatorTable the large table of the generator
 * @param wideTable the wide table of the generator, there if a public key has a large one
 * @param keyTables where the large tables of public keys begin
 * @param tableLength bytes from one to the next
 * @param count 1..=ECC_ITEM_COUNT
 */
export function verifyItems<C>(
  generatorTable: usize,
  wideTable: usize,
  keyTables: usize,
  tableLength: usize,
  count: u32,
): void {
  for (let i: u32 = 0; i < count; ++i) {
    const item: usize = itemAt(i);
    store<u32>(item + ITEM_RESULT, <u32>readSignature<C>(item));
    if (i === 0) copyElement(item + ITEM_FACTORS, item + ITEM_FACTOR);
    else orderMultiply<C>(item + ITEM_FACTORS, itemAt(i - 1) + ITEM_FACTORS, item + ITEM_FACTOR);
  }
  orderInvertVartime<C>(RUNNING, itemAt(count - 1) + ITEM_FACTORS);
  for (let i: u32 = count - 1; i > 0; --i) {
    const item: usize = itemAt(i);
    orderMultiply<C>(item + ITEM_FACTORS, itemAt(i - 1) + ITEM_FACTORS, RUNNING);
    orderMultiply<C>(RUNNING, RUNNING, item + ITEM_FACTOR);
    verifyItem<C>(item, item + ITEM_FACTORS, generatorTable, wideTable, keyTables, tableLength);
  }
  verifyItem<C>(itemAt(0), RUNNING, generatorTable, wideTable, keyTables, tableLength);
}
