/** Miller-Rabin on two numbers at once (FIPS 186-5, B.3.1), for candidates and for the primes of keys that are imported. */

import { lessMask32, zeroBit64 } from "../ct";
import { natAddSmall, natEqualMask, natMultiply, natSubtractSmall } from "../int/nat";
import {
  BASE,
  CANDIDATES,
  CONTEXT,
  LANE_STEP,
  LESS_ONE,
  ODD_PARTS,
  POWER,
  RESIDUES,
  WIDE,
} from "./keygen-memory";
import { RSA_RANDOM } from "./memory";
import { pairEnter, pairLeave, pairLoad, pairPower, pairSquare } from "./pair";

/** Most trailing zeros of w - 1 that the test serves; a prime with more comes once in 2^31. */
const MOST_ZEROS: u32 = 31;
/** Bytes from the random bytes of one base to those of the other. */
const RANDOM_STEP: usize = 0x200;

/** Tells whether a word is 1, as all ones or zero. @param word secret. Time: constant. */
function oneMask(a: usize, words: u32): u32 {
  let rest: u32 = load<u32>(a) ^ 1;
  for (let i: usize = 4; i < 4 * <usize>words; i += 4) rest |= load<u32>(a + i);
  return <u32>(<i32>((<u64>rest - 1) >> 32));
}

/**
 * Splits w - 1 into 2^a · m with m odd.
 *
 * @param lane 0 or 1, public
 * @param words words of w, public
 * @returns a, secret; 0 where it is above MOST_ZEROS
 *
 * Time: depends on words alone.
 */
function splitLessOne(lane: usize, words: u32): u32 {
  const lessOne: usize = LESS_ONE + LANE_STEP * lane;
  const odd: usize = ODD_PARTS + LANE_STEP * lane;
  natSubtractSmall(lessOne, CANDIDATES + LANE_STEP * lane, 1, words);
  const low: u32 = load<u32>(lessOne);
  // The bits below the lowest one that is set: all 32 where none is.
  const below: u32 = (low & (0 - low)) - 1;
  const zeros: u32 = popcnt<u32>(below) & 31;
  const last: usize = 4 * <usize>words - 4;
  for (let i: usize = 0; i < last; i += 4) {
    store<u32>(odd + i, <u32>(load<u64>(lessOne + i) >> <u64>zeros));
  }
  store<u32>(odd + last, load<u32>(lessOne + last) >> zeros);
  return zeros;
}

/**
 * Draws a base: RESIDUES ← 2 + (w - 3) · r / 2^(32 (words + 2)), which is uniform in 2..w-2 but for 2^-64.
 *
 * @param lane 0 or 1, public; its r is at RSA_RANDOM, words + 2 words of random bytes, secret
 * @param words words of w, public
 *
 * Time: depends on words alone. Source: FIPS 186-5, B.3.1, steps 4.1 and 4.2, with no base thrown away.
 */
function drawBase(lane: usize, words: u32): void {
  const base: usize = RESIDUES + LANE_STEP * lane;
  natSubtractSmall(base, CANDIDATES + LANE_STEP * lane, 3, words);
  natMultiply(WIDE, base, words, RSA_RANDOM + RANDOM_STEP * lane, words + 2);
  memory.copy(base, WIDE + 4 * <usize>(words + 2), 4 * <usize>words);
  natAddSmall(base, base, 2, words);
}

/**
 * Does one round on both candidates, each with a base of its own drawn from RSA_RANDOM.
 *
 * @param words 32, 48 or 64, public; candidates are odd and have all their bits
 * @returns bit 0 for the first and bit 1 for the second: 1 where it may be prime
 *
 * Time: depends on words alone. Source: FIPS 186-5, B.3.1, steps 4.3 to 4.6, with every squaring done.
 */
export function millerRabinRound(words: u32): u32 {
  const second: usize = LANE_STEP;
  const zerosA: u32 = splitLessOne(0, words);
  const zerosB: u32 = splitLessOne(1, words);
  drawBase(0, words);
  drawBase(1, words);
  pairLoad(CONTEXT, 32 * words, CANDIDATES, CANDIDATES + second);
  pairEnter(BASE, CONTEXT, RESIDUES, RESIDUES + second);
  pairPower(POWER, BASE, CONTEXT, ODD_PARTS, ODD_PARTS + second);
  pairLeave(RESIDUES, RESIDUES + second, POWER, CONTEXT);
  let passA: u32 = oneMask(RESIDUES, words);
  let passB: u32 = oneMask(RESIDUES + second, words);
  for (let j: u32 = 0; j < MOST_ZEROS; ++j) {
    passA |= natEqualMask(RESIDUES, LESS_ONE, words) & lessMask32(j, zerosA);
    passB |= natEqualMask(RESIDUES + second, LESS_ONE + second, words) & lessMask32(j, zerosB);
    pairSquare(POWER, POWER, CONTEXT);
    pairLeave(RESIDUES, RESIDUES + second, POWER, CONTEXT);
  }
  // No odd number has no zero: what was not split is refused.
  passA &= lessMask32(0, zerosA);
  passB &= lessMask32(0, zerosB);
  // Whether each may be prime is public: one that is not is thrown away, or its key is refused.
  let verdicts: u32 = 0;
  if (zeroBit64(<u64>~passA) === 1) verdicts = 1;
  if (zeroBit64(<u64>~passB) === 1) verdicts += 2;
  return verdicts;
}
