/**
 * ECDSA and ECDH as the host sees them: it writes items, calls, and reads results from the items. Curves are 0 for P-256
 * and 1 for secp256k1. Secrets are wiped before a call returns, but for the shared x, which the host takes and wipes.
 */

import { isHash } from "../hash/hash";
import { copyElement } from "../int/limbs";
import { HASH_REGIONS, HASH_REGIONS_LENGTH, wipe } from "../memory";
import { deriveItem } from "./derive";
import { decodePoint } from "./encoding";
import { constants, P256, Secp256k1 } from "./field";
import { GENERATOR_X } from "./generated/constants";
import { ITEM_EXTRA, ITEM_KEY, ITEM_POINT, ITEM_RESULT, ITEM_SIGNATURE, ITEM_TABLE, itemAt } from "./items";
import { storeLargeTable, storeWideTable } from "./large-table";
import {
  ECC,
  ECC_ITEM_COUNT,
  ECC_KEY_COUNT,
  ECC_KEY_TABLES,
  ECC_PAIRS,
  ECC_PAIRS_LENGTH,
  ECC_SECRETS_LENGTH,
  ECC_TABLE_LENGTH,
  ECC_TABLES,
  ECC_WIDE_TABLE_LENGTH,
  ECC_WIDE_TABLES,
} from "./memory";
import { storeGeneratorPairs } from "./pair-verify";
import { publicKeyOfItem, signItems } from "./sign";
import { TABLE_BASE } from "./state";
import { loadPublicKey, verifyItems } from "./verify";

export { ECC_ITEM_COUNT, ECC_ITEM_LENGTH, ECC_ITEMS, ECC_KEY_COUNT } from "./memory";

/** Which build this is: 0 scalar, 1 with SIMD128, 2 with relaxed SIMD as well. */
export const BUILD: u32 = ASC_FEATURE_RELAXED_SIMD ? 2 : ASC_FEATURE_SIMD ? 1 : 0;

const P256_CURVE: u32 = 0;

// Whether the large table of a generator is there, and above them whether the wide one is. These are public facts.
let tables: u32 = 0;

/** Brings the generator to TABLE_BASE. */
function loadGenerator<C>(): void {
  copyElement(TABLE_BASE, constants<C>() + GENERATOR_X);
  copyElement(TABLE_BASE + 80, constants<C>() + GENERATOR_X + 72);
}

/** Returns the large table of a generator, built now if it was not there. */
function generatorTable<C>(curve: u32): usize {
  const table: usize = ECC_TABLES + ECC_TABLE_LENGTH * <usize>curve;
  if (((tables >> curve) & 1) === 0) {
    loadGenerator<C>();
    storeLargeTable<C>(table);
    if (ASC_FEATURE_RELAXED_SIMD) storeGeneratorPairs<C>(table);
    tables |= 1 << curve;
  }
  return table;
}

/** Returns the place of the wide table of a generator, which `ecdsaLoadKey` builds. */
function wideTableOf(curve: u32): usize {
  return ECC_WIDE_TABLES + ECC_WIDE_TABLE_LENGTH * <usize>curve;
}

/** Builds the wide table of a generator if it is not there. */
function buildWideTable<C>(curve: u32): void {
  if (((tables >> (curve + 2)) & 1) !== 0) return;
  loadGenerator<C>();
  storeWideTable<C>(wideTableOf(curve));
  tables |= 4 << curve;
}

/** Wipes what the steps worked on, and of the first items all but the result. Time: count alone. */
function wipeItems(count: u32): void {
  wipe(ECC, ECC_SECRETS_LENGTH);
  if (ASC_FEATURE_RELAXED_SIMD) wipe(ECC_PAIRS, ECC_PAIRS_LENGTH);
  for (let i: u32 = 0; i < count; ++i) {
    const item: usize = itemAt(i);
    wipe(item, ITEM_SIGNATURE - ITEM_KEY);
    wipe(item + ITEM_EXTRA, ITEM_RESULT - ITEM_EXTRA);
    wipe(item + ITEM_POINT, 480);
  }
}

/**
 * Signs the first items: ITEM_SIGNATURE ← r ‖ s, ITEM_RESULT ← 1, ITEM_RECOVERY ← 0 to 3. Private keys are in 1..n-1.
 *
 * @param curve 0 or 1, public
 * @param hash hash of the generator of nonces, 1..=4, public
 * @param count 1..=ECC_ITEM_COUNT, public
 * @param lowS 1 where s is to be at most n / 2, public
 * @param hedged 1 where ITEM_EXTRA is input to the nonces, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the arguments, and on candidates for nonces that were not taken.
 */
export function ecdsaSign(curve: u32, hash: u32, count: u32, lowS: u32, hedged: u32): u32 {
  if (curve > 1 || isHash(hash) === 0 || count - 1 >= ECC_ITEM_COUNT) return 0;
  if (curve === P256_CURVE) {
    signItems<P256>(generatorTable<P256>(curve), hash, count, lowS !== 0, hedged !== 0);
  } else {
    signItems<Secp256k1>(generatorTable<Secp256k1>(curve), hash, count, lowS !== 0, hedged !== 0);
  }
  wipeItems(count);
  wipe(HASH_REGIONS, HASH_REGIONS_LENGTH);
  return 1;
}

/**
 * Verifies the first items: ITEM_RESULT ← 1 where a signature is valid, else 0. Points are on the curve.
 *
 * @param curve 0 or 1
 * @param count 1..=ECC_ITEM_COUNT
 * @returns 1, or 0 where an argument or a number of a table is out of range
 *
 * Time: depends on everything; all of it is public.
 */
export function ecdsaVerify(curve: u32, count: u32): u32 {
  if (curve > 1 || count - 1 >= ECC_ITEM_COUNT) return 0;
  for (let i: u32 = 0; i < count; ++i) {
    if (load<u32>(itemAt(i) + ITEM_TABLE) > ECC_KEY_COUNT) return 0;
  }
  if (curve === P256_CURVE) {
    verifyItems<P256>(
      generatorTable<P256>(curve),
      wideTableOf(curve),
      ECC_KEY_TABLES,
      ECC_TABLE_LENGTH,
      count,
    );
  } else {
    verifyItems<Secp256k1>(
      generatorTable<Secp256k1>(curve),
      wideTableOf(curve),
      ECC_KEY_TABLES,
      ECC_TABLE_LENGTH,
      count,
    );
  }
  return 1;
}

/**
 * Builds the large table of the first item's public point, and the wide one of the generator if it is not there.
 *
 * @param curve 0 or 1
 * @param number 0..ECC_KEY_COUNT-1
 * @returns 1, or 0 where an argument is out of range
 */
export function ecdsaLoadKey(curve: u32, number: u32): u32 {
  if (curve > 1 || number >= ECC_KEY_COUNT) return 0;
  const table: usize = ECC_KEY_TABLES + ECC_TABLE_LENGTH * <usize>number;
  if (curve === P256_CURVE) {
    buildWideTable<P256>(curve);
    loadPublicKey<P256>(itemAt(0));
    storeLargeTable<P256>(table);
  } else {
    buildWideTable<Secp256k1>(curve);
    loadPublicKey<Secp256k1>(itemAt(0));
    storeLargeTable<Secp256k1>(table);
  }
  return 1;
}

/**
 * Computes the public point of the scalar in ITEM_KEY of the first item: ITEM_SIGNATURE ← x ‖ y.
 *
 * @param curve 0 or 1, public
 * @returns 1, or 0 where the curve is unknown or the scalar is not in 1..n-1
 *
 * Time: depends on the curve and the outcome alone.
 */
export function eccPublicKey(curve: u32): u32 {
  if (curve > 1) return 0;
  const valid: u64 = curve === P256_CURVE ? publicKey<P256>(curve) : publicKey<Secp256k1>(curve);
  wipeItems(1);
  return <u32>valid;
}

function publicKey<C>(curve: u32): u64 {
  return publicKeyOfItem<C>(generatorTable<C>(curve));
}

/**
 * Decodes the SEC 1 point in ITEM_SIGNATURE of the first item: ITEM_KEY ← x ‖ y.
 *
 * @param curve 0 or 1
 * @param length 33 or 65
 * @returns 1, or 0 where it is no point of the curve
 */
export function eccDecodePoint(curve: u32, length: u32): u32 {
  if (curve > 1) return 0;
  const item: usize = itemAt(0);
  const out: usize = item + ITEM_KEY;
  const encoded: usize = item + ITEM_SIGNATURE;
  return curve === P256_CURVE
    ? decodePoint<P256>(out, encoded, length)
    : decodePoint<Secp256k1>(out, encoded, length);
}

/**
 * Computes a shared secret: ITEM_SIGNATURE ← x of the point in ITEM_KEY times the scalar in ITEM_EXTRA.
 *
 * @param curve 0 or 1, public
 * @returns 1, or 0 where the curve is unknown
 *
 * Time: depends on the curve and the point alone.
 */
export function eccDerive(curve: u32): u32 {
  if (curve > 1) return 0;
  if (curve === P256_CURVE) deriveItem<P256>();
  else deriveItem<Secp256k1>();
  wipeItems(1);
  return 1;
}
