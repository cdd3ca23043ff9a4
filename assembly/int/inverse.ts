/**
 * Modular inversion by division steps (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion",
 * 2019), thirty at a time on numbers of nine signed limbs of 30 bits: in constant time for secrets, and with runs of
 * even g taken at once for public numbers.
 */

import { ECC_INVERSE } from "../ecdsa/memory";
import { bitsAt } from "./limbs";

const MASK_30: i64 = 0x3fffffff;
const LENGTH: usize = 36;

// Division of ECC_INVERSE: the two numbers of the gcd, the two that become the inverse, and the matrix of 30 steps.
const F: usize = ECC_INVERSE;
const G: usize = ECC_INVERSE + 40;
const D: usize = ECC_INVERSE + 80;
const E: usize = ECC_INVERSE + 120;
const MATRIX: usize = ECC_INVERSE + 160;

/** Writes a matrix whose rows are each the first entry plus 2^32 times the second. Time: constant. */
function storeMatrix(rowOfF: i64, rowOfG: i64): void {
  const u: i64 = <i64>(<i32>rowOfF);
  const q: i64 = <i64>(<i32>rowOfG);
  store<i64>(MATRIX, u);
  store<i64>(MATRIX, (rowOfF - u) >> 32, 8);
  store<i64>(MATRIX, q, 16);
  store<i64>(MATRIX, (rowOfG - q) >> 32, 24);
}

/**
 * Does 30 division steps on the low words of f and g and writes their matrix. The two entries of a row share one number,
 * which adding, doubling and negating keep true.
 *
 * @param zeta minus one half less than the delta of the paper, secret
 * @returns zeta afterwards
 *
 * Time: constant. Source: the paper, figure 10.1, with the step of 1/2 of Pornin and Wuille.
 */
function thirtySteps(zeta: i64): i64 {
  let rowOfF: i64 = 1;
  let rowOfG: i64 = 1 << 32;
  let f: i64 = load<i32>(F);
  let g: i64 = load<i32>(G);
  for (let step: u32 = 0; step < 30; ++step) {
    const swap: i64 = zeta >> 63;
    const odd: i64 = 0 - (g & 1);
    g += ((f ^ swap) - swap) & odd;
    rowOfG += ((rowOfF ^ swap) - swap) & odd;
    const both: i64 = swap & odd;
    zeta = (zeta ^ both) - 1;
    f += g & both;
    rowOfF += rowOfG & both;
    g >>= 1;
    rowOfF <<= 1;
  }
  storeMatrix(rowOfF, rowOfG);
  return zeta;
}

/** Does 30 division steps as `thirtySteps` does, in a time that depends on f and g. */
function thirtyStepsVartime(eta: i64): i64 {
  let rowOfF: i64 = 1;
  let rowOfG: i64 = 1 << 32;
  let f: i64 = load<i32>(F);
  let g: i64 = load<i32>(G);
  let left: i64 = 30;
  while (true) {
    const zeros: i64 = ctz<i64>(g | ((<i64>1) << left));
    g >>= zeros;
    rowOfF <<= zeros;
    eta -= zeros;
    left -= zeros;
    if (left === 0) break;
    if (eta < 0) {
      eta = 0 - eta;
      const oldF: i64 = f;
      f = g;
      g = 0 - oldF;
      const oldRow: i64 = rowOfF;
      rowOfF = rowOfG;
      rowOfG = 0 - oldRow;
    }
    // Cancels as many low bits of g as the steps left and eta allow, up to six: f · (f² - 2) is -1/f modulo 2^6.
    const count: i64 = min<i64>(min<i64>(eta + 1, left), 6);
    const times: i64 = (g * f * (f * f - 2)) & (((<i64>1) << count) - 1);
    g += f * times;
    rowOfG += rowOfF * times;
  }
  storeMatrix(rowOfF, rowOfG);
  return eta;
}

/** Applies the matrix to f and g, which it makes multiples of 2^30, and divides by that. Time: constant. */
function updateFg(): void {
  const u: i64 = load<i64>(MATRIX);
  const v: i64 = load<i64>(MATRIX, 8);
  const q: i64 = load<i64>(MATRIX, 16);
  const r: i64 = load<i64>(MATRIX, 24);
  let f: i64 = load<i32>(F);
  let g: i64 = load<i32>(G);
  let carryF: i64 = (u * f + v * g) >> 30;
  let carryG: i64 = (q * f + r * g) >> 30;
  for (let i: usize = 4; i < LENGTH; i += 4) {
    f = load<i32>(F + i);
    g = load<i32>(G + i);
    carryF += u * f + v * g;
    carryG += q * f + r * g;
    store<i32>(F + i - 4, <i32>(carryF & MASK_30));
    store<i32>(G + i - 4, <i32>(carryG & MASK_30));
    carryF >>= 30;
    carryG >>= 30;
  }
  store<i32>(F, <i32>carryF, 32);
  store<i32>(G, <i32>carryG, 32);
}

/**
 * Applies the matrix to d and e and divides by 2^30 modulo the modulus; both stay above -2 · modulus and below it.
 *
 * @param modulus nine limbs of 30 bits, public
 * @param inverse modulus^-1 mod 2^30, public
 *
 * Time: constant.
 */
function updateDe(modulus: usize, inverse: i64): void {
  const u: i64 = load<i64>(MATRIX);
  const v: i64 = load<i64>(MATRIX, 8);
  const q: i64 = load<i64>(MATRIX, 16);
  const r: i64 = load<i64>(MATRIX, 24);
  let d: i64 = load<i32>(D);
  let e: i64 = load<i32>(E);
  const negativeD: i64 = load<i32>(D, 32) >> 31;
  const negativeE: i64 = load<i32>(E, 32) >> 31;
  let timesD: i64 = (u & negativeD) + (v & negativeE);
  let timesE: i64 = (q & negativeD) + (r & negativeE);
  let carryD: i64 = u * d + v * e;
  let carryE: i64 = q * d + r * e;
  timesD -= (inverse * carryD + timesD) & MASK_30;
  timesE -= (inverse * carryE + timesE) & MASK_30;
  carryD = (carryD + timesD * <i64>load<i32>(modulus)) >> 30;
  carryE = (carryE + timesE * <i64>load<i32>(modulus)) >> 30;
  for (let i: usize = 4; i < LENGTH; i += 4) {
    d = load<i32>(D + i);
    e = load<i32>(E + i);
    const m: i64 = load<i32>(modulus + i);
    carryD += u * d + v * e + timesD * m;
    carryE += q * d + r * e + timesE * m;
    store<i32>(D + i - 4, <i32>(carryD & MASK_30));
    store<i32>(E + i - 4, <i32>(carryE & MASK_30));
    carryD >>= 30;
    carryE >>= 30;
  }
  store<i32>(D, <i32>carryD, 32);
  store<i32>(E, <i32>carryE, 32);
}

/** Adds the modulus to d where d is negative, after negating it where asked by a mask, and carries. Time: constant. */
function normalizeStep(modulus: usize, negate: i32): void {
  const add: i32 = load<i32>(D, 32) >> 31;
  let carry: i32 = 0;
  for (let i: usize = 0; i < LENGTH; i += 4) {
    const limb: i32 = load<i32>(D + i) + (load<i32>(modulus + i) & add);
    carry += (limb ^ negate) - negate;
    const kept: i32 = i < 32 ? carry & <i32>MASK_30 : carry;
    store<i32>(D + i, kept);
    carry >>= 30;
  }
}

/** Starts the gcd of the modulus and four words. Time: constant. */
function begin(words: usize, modulus: usize): void {
  for (let i: u32 = 0; i < 8; ++i) {
    store<i32>(G + ((<usize>i) << 2), <i32>bitsAt(words, 30 * i, 30));
  }
  store<i32>(G, <i32>bitsAt(words, 240, 16), 32);
  memory.copy(F, modulus, LENGTH);
  memory.fill(D, 0, LENGTH);
  memory.fill(E, 0, LENGTH);
  store<i32>(E, 1);
}

/** Brings the inverse, which is d with the sign of f, to 0 up to the modulus and writes its words. Time: constant. */
function finish(words: usize, modulus: usize): void {
  normalizeStep(modulus, load<i32>(F, 32) >> 31);
  normalizeStep(modulus, 0);
  for (let i: usize = 0; i < 32; i += 8) {
    // Word w begins 4 w bits above limb 2 w and spans three limbs.
    const at: usize = D + i;
    const shift: u64 = <u64>i >> 1;
    const high: u64 = (<u64>load<u32>(at, 4)) << 30;
    store<u64>(words + i, ((<u64>load<u32>(at) | high) >> shift) | ((<u64>load<u32>(at, 8)) << (60 - shift)));
  }
}

/**
 * Inverts: out ← a^-1 mod modulus, and 0 for 0.
 *
 * @param out four words; may be a
 * @param a four words below the modulus, secret
 * @param modulus nine limbs of 30 bits, odd, public
 * @param inverse modulus^-1 mod 2^30, public
 *
 * Leaves secrets in ECC_INVERSE. Time: constant; 590 steps are enough for 256 bits.
 */
export function invertWords(out: usize, a: usize, modulus: usize, inverse: i64): void {
  begin(a, modulus);
  let zeta: i64 = -1;
  for (let round: u32 = 0; round < 20; ++round) {
    zeta = thirtySteps(zeta);
    updateDe(modulus, inverse);
    updateFg();
  }
  finish(out, modulus);
}

/** Inverts a public number as `invertWords` does, in a time that depends on it. */
export function invertWordsVartime(out: usize, a: usize, modulus: usize, inverse: i64): void {
  begin(a, modulus);
  let eta: i64 = -1;
  while (true) {
    eta = thirtyStepsVartime(eta);
    updateDe(modulus, inverse);
    updateFg();
    let left: i32 = 0;
    for (let i: usize = 0; i < LENGTH; i += 4) left |= load<i32>(G + i);
    if (left === 0) break;
  }
  finish(out, modulus);
}
