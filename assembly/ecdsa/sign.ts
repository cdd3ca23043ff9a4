/** ECDSA signatures (FIPS 186-5, 6.4) in batches that share their two inversions, and public keys of scalars. */

import { maskOf } from "../ct";
import {
  addLimbs,
  carryLimbs,
  copyElement,
  isZero,
  notBelow,
  reduceFully,
  reduceOnce,
  selectElement,
} from "../int/limbs";
import { constants, fieldInvert, fieldMultiply, fieldSquare, leaveField } from "./field";
import { ORDER, ORDER_R2 } from "./generated/constants";
import {
  ITEM_DIGEST,
  ITEM_EXTRA,
  ITEM_FACTOR,
  ITEM_FACTORS,
  ITEM_KEY,
  ITEM_POINT,
  ITEM_RANDOM,
  ITEM_RECOVERY,
  ITEM_RESULT,
  ITEM_SCALES,
  ITEM_SIGNATURE,
  itemAt,
} from "./items";
import { multiplyByTable } from "./multiply";
import { findNonce } from "./nonce";
import { copyPoint, Y, Z } from "./point";
import {
  bytesOfElement,
  elementOfBytes,
  enterOrder,
  isScalar,
  multiplyModuloOrder,
  orderInvert,
  orderMultiply,
} from "./scalar";
import { BLIND, DIGEST, PRIVATE, RUNNING, S0, S1, S2, S3, SUM } from "./state";

/** Reads a random factor that is never zero: below 2^248 and odd. Time: constant. */
export function readBlind(random: usize): void {
  elementOfBytes(BLIND, random);
  store<u64>(BLIND, load<u64>(BLIND) | 1);
  store<u64>(BLIND, load<u64>(BLIND, 64) & 0xffff, 64);
}

/** Brings a point to affine coordinates with the inverse of its Z: x ← S0, y ← S1, as numbers. Time: constant. */
export function affineOf<C>(point: usize, inverse: usize): void {
  fieldSquare<C>(S1, inverse);
  fieldMultiply<C>(S0, point, S1);
  leaveField<C>(S0, S0);
  fieldMultiply<C>(S1, S1, inverse);
  fieldMultiply<C>(S1, point + Y, S1);
  leaveField<C>(S1, S1);
}

/** Finds the nonce of an item and its multiple of the generator. Time: that of the nonce. */
function commit<C>(item: usize, table: usize, hash: u32, hedged: bool): void {
  elementOfBytes(PRIVATE, item + ITEM_KEY);
  elementOfBytes(DIGEST, item + ITEM_DIGEST);
  reduceOnce(DIGEST, constants<C>() + ORDER);
  const factor: usize = item + ITEM_FACTOR;
  findNonce<C>(factor, PRIVATE, DIGEST, hash, hedged ? item + ITEM_EXTRA : 0);
  readBlind(item + ITEM_RANDOM);
  multiplyByTable<C>(factor, table);
  copyPoint(item + ITEM_POINT, SUM);
  enterOrder<C>(factor, factor);
}

/** Computes r and s of an item from the inverses of its nonce, in S3, and of its Z, in S2. Time: constant. */
function respond<C>(item: usize, lowS: bool): void {
  affineOf<C>(item + ITEM_POINT, S2);
  writeSignature(item, lowS, constants<C>());
}

/**
 * Computes r and s of an item from the inverse of its nonce, in S3, and its nonce's point, in S0 and S1, on the curve with
 * these constants. An s above n / 2 is replaced where
 * `lowS` asks for it.
 *
 * Time: constant.
 */
function writeSignature(item: usize, lowS: bool, curve: usize): void {
  const order: usize = curve + ORDER;
  const overflow: u64 = notBelow(S0, order);
  let recovery: u64 = (load<u64>(S1) & 1) | (overflow << 1);
  reduceOnce(S0, order);
  bytesOfElement(item + ITEM_SIGNATURE, S0);
  const whole: u64 = isZero(S0);

  elementOfBytes(PRIVATE, item + ITEM_KEY);
  elementOfBytes(DIGEST, item + ITEM_DIGEST);
  reduceOnce(DIGEST, order);
  multiplyModuloOrder(curve, S0, S0, curve + ORDER_R2);
  multiplyModuloOrder(curve, S0, S0, PRIVATE);
  addLimbs(S0, S0, DIGEST);
  multiplyModuloOrder(curve, S0, S0, S3);
  reduceFully(S0, S0, order);
  const bad: u64 = whole | isZero(S0);

  for (let i: usize = 0; i < 72; i += 8) store<u64>(S1 + i, load<u64>(order + i) - load<u64>(S0 + i));
  carryLimbs(S1);
  if (lowS) {
    // The order is odd, so s and n - s are never equal.
    const high: u64 = notBelow(S0, S1);
    selectElement(S0, maskOf(high), S1, S0);
    recovery ^= high;
  }
  bytesOfElement(item + ITEM_SIGNATURE + 32, S0);
  store<u32>(item + ITEM_RESULT, <u32>(bad ^ 1));
  store<u32>(item + ITEM_RECOVERY, <u32>recovery);
}

/**
 * Signs the first items of ECC_ITEMS.
 *
 * @param table the large table of the generator
 * @param hash hash of the generator of nonces, 1..=4, public
 * @param count 1..=ECC_ITEM_COUNT, public
 * @param lowS whether s is to be at most n / 2, public
 * @param hedged whether the items have additional input for the nonce, public
 *
 * Time: depends on the arguments, and on the candidates that were refused as nonces.
 */
export function signItems<C>(table: usize, hash: u32, count: u32, lowS: bool, hedged: bool): void {
  commit<C>(itemAt(0), table, hash, hedged);
  for (let i: u32 = 1; i < count; ++i) {
    const item: usize = itemAt(i);
    const before: usize = itemAt(i - 1);
    commit<C>(item, table, hash, hedged);
    productBefore<C>(item, before, i === 1);
  }
  const last: usize = itemAt(count - 1);
  // The products of everything: the last item's own factor times those before it.
  copyElement(S3, last + ITEM_FACTOR);
  copyElement(RUNNING, last + ITEM_POINT + Z);
  if (count > 1) {
    orderMultiply<C>(S3, S3, last + ITEM_FACTORS);
    fieldMultiply<C>(RUNNING, RUNNING, last + ITEM_SCALES);
  }
  orderInvert<C>(S3, S3);
  fieldInvert<C>(RUNNING, RUNNING);
  signBackwards<C>(count, lowS);
}

/** Notes the products of the factors and of the Z of all items before one. Time: constant. */
function productBefore<C>(item: usize, before: usize, first: bool): void {
  if (first) {
    copyElement(item + ITEM_FACTORS, before + ITEM_FACTOR);
    copyElement(item + ITEM_SCALES, before + ITEM_POINT + Z);
  } else {
    orderMultiply<C>(item + ITEM_FACTORS, before + ITEM_FACTORS, before + ITEM_FACTOR);
    fieldMultiply<C>(item + ITEM_SCALES, before + ITEM_SCALES, before + ITEM_POINT + Z);
  }
}

/** Takes the inverse of each item from the one of all, in S3 modulo n and RUNNING modulo p, and responds. Time: count alone. */
function signBackwards<C>(count: u32, lowS: bool): void {
  for (let i: u32 = count - 1; i > 0; --i) {
    const item: usize = itemAt(i);
    fieldMultiply<C>(S2, RUNNING, item + ITEM_SCALES);
    fieldMultiply<C>(RUNNING, RUNNING, item + ITEM_POINT + Z);
    orderMultiply<C>(item + ITEM_FACTORS, item + ITEM_FACTORS, S3);
    orderMultiply<C>(item + ITEM_FACTOR, item + ITEM_FACTOR, S3);
    copyElement(S3, item + ITEM_FACTORS);
    respond<C>(item, lowS);
    copyElement(S3, item + ITEM_FACTOR);
  }
  copyElement(S2, RUNNING);
  respond<C>(itemAt(0), lowS);
}

/**
 * Computes the public key of the scalar in ITEM_KEY of the first item: ITEM_SIGNATURE ← x ‖ y.
 *
 * @param table the large table of the generator
 * @returns 1, or 0 where the scalar is not in 1..n-1; the result is then of no use
 *
 * Time: constant.
 */
export function publicKeyOfItem<C>(table: usize): u64 {
  const item: usize = itemAt(0);
  elementOfBytes(PRIVATE, item + ITEM_KEY);
  const valid: u64 = isScalar<C>(PRIVATE);
  reduceOnce(PRIVATE, constants<C>() + ORDER);
  readBlind(item + ITEM_RANDOM);
  multiplyByTable<C>(PRIVATE, table);
  fieldInvert<C>(RUNNING, SUM + Z);
  affineOf<C>(SUM, RUNNING);
  bytesOfElement(item + ITEM_SIGNATURE, S0);
  bytesOfElement(item + ITEM_SIGNATURE + 32, S1);
  return valid;
}
