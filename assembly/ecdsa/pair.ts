/**
 * Elements in pairs, one in each lane of six vectors of doubles: the field of a curve by its type argument, and the ways in
 * and out. Limbs are whole numbers with signs; docs/ecc-kernels.md has their bounds.
 */

import { LIMB_MASK } from "../int/limbs";
import * as p256 from "../p256/generated/pair";
import * as secp256k1 from "../secp256k1/generated/pair";
import { LIMBS_43 } from "./pair-state";

/** Multiplies in both lanes as `multiplyPair` of the field does. */
export function multiplyPair<C>(out: usize, a: usize, b: usize): void {
  if (sizeof<C>() === 4) p256.multiplyPair(out, a, b);
  else secp256k1.multiplyPair(out, a, b);
}

/** Squares in both lanes as `squarePair` of the field does. */
export function squarePair<C>(out: usize, a: usize): void {
  if (sizeof<C>() === 4) p256.squarePair(out, a);
  else secp256k1.squarePair(out, a);
}

/** Reduces the limbs of a pair as `carryPair` of the field does. */
export function carryPair<C>(a: usize): void {
  if (sizeof<C>() === 4) p256.carryPair(a);
  else secp256k1.carryPair(a);
}

/** Bits of a limb. */
const LIMB_BITS: i64 = 43;
const MASK_43: i64 = 0x7ffffffffff;
/** The bits of 1.5 · 2^52 as a double; beside it whole numbers stand in its lowest bits. */
const WHOLE: f64 = 6755399441055744;
const WHOLE_BITS: i64 = 0x4338000000000000;

/** Carries through LIMBS_43. Time: constant. */
function carryWords(): void {
  let carry: i64 = 0;
  for (let i: usize = 0; i < 40; i += 8) {
    carry += load<i64>(LIMBS_43 + i);
    store<i64>(LIMBS_43 + i, carry & MASK_43);
    carry >>= LIMB_BITS;
  }
  store<i64>(LIMBS_43, load<i64>(LIMBS_43, 40) + carry, 40);
}

/** Adds a number to a word of LIMBS_43. Time: constant. */
function addWord(offset: usize, value: i64): void {
  store<i64>(LIMBS_43 + offset, load<i64>(LIMBS_43 + offset) + value);
}

/**
 * Takes the element of a lane out of a pair: out ← factor times it, as a reduced element of nine limbs.
 *
 * @param out one element
 * @param pair one pair, limbs below 2^47 in magnitude, secret
 * @param lane 0 or 8, public
 * @param factor 1 or 8, public
 *
 * Works in LIMBS_43. Time: constant.
 */
export function leavePair<C>(out: usize, pair: usize, lane: usize, factor: f64): void {
  leaveLane(out, pair + lane, factor, sizeof<C>() === 4);
}

function leaveLane(out: usize, pair: usize, factor: f64, isP256: bool): void {
  for (let i: usize = 0; i < 6; ++i) {
    const limb: f64 = load<f64>(pair + (i << 4)) * factor + WHOLE;
    store<i64>(LIMBS_43 + (i << 3), reinterpret<i64>(limb) - WHOLE_BITS);
  }
  // 2^12 times the prime makes the number positive: its lowest and highest terms, and those between.
  if (isP256) {
    addWord(0, -(1 << 12));
    addWord(16, (<i64>1) << 22);
    addWord(32, (<i64>1) << 32);
    addWord(40, ((<i64>1) << 53) - ((<i64>1) << 21));
  } else {
    addWord(0, -((<i64>4294968273) << 12));
    addWord(40, (<i64>1) << 53);
  }
  carryWords();
  // What is above 2^256 is folded, and once more what that carries.
  for (let i: u32 = 0; i < 2; ++i) {
    const top: i64 = load<i64>(LIMBS_43, 40) >> 41;
    addWord(40, -(top << 41));
    if (isP256) {
      addWord(0, top);
      addWord(16, -(top << 10));
      addWord(32, -(top << 20));
      addWord(40, top << 9);
    } else {
      addWord(0, top * 4294968273);
    }
    carryWords();
  }
  for (let j: usize = 0; j < 9; ++j) {
    const start: usize = 29 * j;
    const i: usize = start / 43;
    const shift: i64 = <i64>(start - 43 * i);
    let limb: i64 = load<i64>(LIMBS_43 + (i << 3)) >> shift;
    if (i < 5) limb |= load<i64>(LIMBS_43 + (i << 3), 8) << (LIMB_BITS - shift);
    store<i64>(out + (j << 3), j < 8 ? limb & <i64>LIMB_MASK : limb);
  }
}
