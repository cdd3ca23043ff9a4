/**
 * Generation of RSA keys with random probable primes (FIPS 186-5, A.1.3) in steps that the host drives, and the test of the
 * primes of a key that it brings. What a step returns is public: whether a candidate that nobody will use was thrown away,
 * or that a prime was found. The host brings random bytes, and wipes after the last step.
 */

import { lessMask32, zeroBit64 } from "../ct";
import {
  natDivide,
  natFromBytes,
  natGcd,
  natInverseSmall,
  natLessMask,
  natMultiply,
  natResidue,
  natSelect,
  natSubtract,
  natSubtractSmall,
  natToBytes,
  natZeroMask,
} from "../int/nat";
import { wipe } from "../memory";
import {
  BASE,
  CANDIDATES,
  CONTEXT,
  DIVISOR,
  EXPONENT,
  LANE_STEP,
  LCM,
  ODD_PARTS,
  P_LESS_ONE,
  POWER,
  PRIME_P,
  PRIME_Q,
  Q_LESS_ONE,
  REMAINDER,
  RESIDUES,
  RESULT,
  RSA_CANDIDATES,
  RSA_CANDIDATES_LENGTH,
  wipeKeygen,
} from "./keygen-memory";
import { RSA_KEY_PARTS, RSA_KEY_PARTS_LENGTH, RSA_OUTPUT, RSA_RANDOM, RSA_RANDOM_LENGTH } from "./memory";
import { pairEnter, pairLeave, pairLoad, pairPower, pairWipe } from "./pair";
import { isKeySize, PART_DP, PART_DQ, PART_E, PART_N, PART_P, PART_Q, PART_QINV } from "./parts";
import { millerRabinRound } from "./primes";
import { hasSmallFactor, makeSmallPrimes } from "./small-primes";

export { RSA_CANDIDATES, RSA_CANDIDATES_LENGTH } from "./keygen-memory";

/** The public exponent of every key made here. */
const PUBLIC_EXPONENT: u32 = 0x10001;
/** The leading word of the square root of 2, times half its range, rounded up: no smaller leading word is taken. */
const LEAST_TOP: u32 = 0xb504f334;

// Words of a prime, candidates that wait for a test, and primes found. These are public facts; 0 words is no search.
let words: u32 = 0;
let waiting: u32 = 0;
let found: u32 = 0;

/** Returns the words of the primes of a modulus, 0 for one that is not served. */
function wordsOf(bits: u32): u32 {
  return isKeySize(bits) ? bits >> 6 : 0;
}

/** Ends a search and wipes everything that it and a test of primes keep. Time: constant. */
export function rsaWipeKeygen(): void {
  words = 0;
  waiting = 0;
  found = 0;
  wipeKeygen();
  pairWipe();
  wipe(RSA_RANDOM, RSA_RANDOM_LENGTH);
  wipe(RSA_KEY_PARTS, RSA_KEY_PARTS_LENGTH);
  wipe(RSA_OUTPUT, 512);
}

/** Begins a search for the primes of a modulus of 2048, 3072 or 4096 bits: 1, or 0 for another. */
export function rsaGenerateBegin(bits: u32): u32 {
  const count: u32 = wordsOf(bits);
  if (count === 0) return 0;
  rsaWipeKeygen();
  makeSmallPrimes();
  words = count;
  return 1;
}

/**
 * Takes candidates from random bytes until two wait for a test. Each is random bits with the highest and the lowest set,
 * thrown away if it is below √2 · 2^(length - 1), if e divides it less 1, or if a small prime divides it. The bytes are
 * wiped as they are taken.
 *
 * @param position number of the first candidate at RSA_CANDIDATES, public
 * @param count how many have random bytes there, public
 * @returns the number of the candidate to go on with; all ones out of range
 *
 * Time: depends on the arguments and on candidates thrown away. Source: FIPS 186-5, A.1.3, steps 4.2 to 4.5.
 */
export function rsaGenerateSieve(position: u32, count: u32): u32 {
  const length: u32 = 4 * words;
  if (words === 0 || count > RSA_CANDIDATES_LENGTH / length) return 0xffffffff;
  let next: u32 = position;
  for (; next < count && waiting < 2; ++next) {
    const source: usize = RSA_CANDIDATES + <usize>(length * next);
    const candidate: usize = CANDIDATES + LANE_STEP * <usize>waiting;
    memory.copy(candidate, source, <usize>length);
    wipe(source, <usize>length);
    store<u32>(candidate, load<u32>(candidate) | 1);
    const end: usize = candidate + <usize>length - 4;
    const top: u32 = load<u32>(end) | 0x80000000;
    store<u32>(end, top);
    const tooSmall: u32 = <u32>((<u64>top - <u64>LEAST_TOP) >> 63);
    const onExponent: u32 = natResidue(candidate, words, PUBLIC_EXPONENT) ^ 1;
    waiting += 1 - hasSmallFactor(candidate, words, tooSmall | lessMask32(onExponent, 1));
  }
  return next;
}

/** Tells how many candidates wait for a test: 0 to 2. */
export function rsaGenerateWaiting(): u32 {
  return waiting;
}

/**
 * Does one round of Miller and Rabin on the two candidates, with bases from RSA_RANDOM, which it wipes. They wait no more.
 *
 * @returns bit 0 for the first, bit 1 for the second: 1 where it may be prime
 *
 * Time: depends on the length of the candidates alone.
 */
export function rsaTestCandidates(): u32 {
  if (words === 0) return 0;
  const verdicts: u32 = millerRabinRound(words);
  wipe(RSA_RANDOM, RSA_RANDOM_LENGTH);
  waiting = 0;
  return verdicts;
}

/** Puts one candidate, 0 or 1, in both places, for two rounds at once. */
export function rsaGenerateConfirm(lane: u32): void {
  const other: usize = CANDIDATES + LANE_STEP * <usize>(1 - (lane & 1));
  memory.copy(other, CANDIDATES + LANE_STEP * <usize>(lane & 1), 4 * <usize>words);
}

/** Tells whether |p - q| > 2^(bits - 100), as all ones or zero, for primes of that many bits (FIPS 186-5, A.1.3, step 5.4). */
function areFarApart(p: usize, q: usize): u32 {
  const less: u32 = natLessMask(p, q, words);
  natSubtract(RESULT, p, q, words);
  natSubtract(REMAINDER, q, p, words);
  natSelect(RESULT, less, REMAINDER, RESULT, words);
  const equal: u32 = natZeroMask(RESULT, words);
  // Less 1, so that the bound itself is too close.
  natSubtractSmall(RESULT, RESULT, 1, words);
  const end: usize = RESULT + 4 * <usize>words;
  const high: u32 =
    load<u32>(end - 4) | load<u32>(end - 8) | load<u32>(end - 12) | (load<u32>(end - 16) >> 28);
  return <u32>(<i64>(0 - <u64>high) >> 63) & ~equal;
}

/**
 * Keeps the first candidate as a prime.
 *
 * @returns how many primes there are now; a second one too close to the first is not kept
 *
 * Time: depends on the length of the primes and the outcome.
 */
export function rsaGenerateKeep(): u32 {
  if (words === 0 || found === 2) return found;
  const length: usize = 4 * <usize>words;
  memory.copy(found === 0 ? PRIME_P : PRIME_Q, CANDIDATES, length);
  if (found === 0) {
    found = 1;
  } else if (zeroBit64(<u64>~areFarApart(PRIME_P, PRIME_Q)) === 1) {
    // Whether they are is public: two that are not are hardly ever met, and the second is thrown away.
    found = 2;
  }
  return found;
}

/** Writes a number of a prime's length to a part of the key. */
function writePart(part: usize, number: usize): void {
  natToBytes(RSA_KEY_PARTS + part, 4 * words, number, words);
}

/**
 * Computes the key of the two primes, the larger one as p: RSA_KEY_PARTS ← all its parts, RSA_OUTPUT ← d.
 *
 * @returns 1, or 0 where there are no primes yet or d is not above 2^(length of a prime), which has the search begin anew
 *
 * Time: depends on the length of the primes alone. Source: FIPS 186-5, A.1.1, criteria 3 and 4.
 */
export function rsaGenerateKey(): u32 {
  if (found !== 2) return 0;
  const twice: u32 = 2 * words;
  const less: u32 = natLessMask(PRIME_P, PRIME_Q, words);
  const p: usize = CANDIDATES;
  const q: usize = CANDIDATES + LANE_STEP;
  natSelect(p, less, PRIME_Q, PRIME_P, words);
  natSelect(q, less, PRIME_P, PRIME_Q, words);
  natSubtractSmall(P_LESS_ONE, p, 1, words);
  natSubtractSmall(Q_LESS_ONE, q, 1, words);

  natGcd(DIVISOR, P_LESS_ONE, Q_LESS_ONE, words);
  natMultiply(RESULT, P_LESS_ONE, words, Q_LESS_ONE, words);
  natDivide(LCM, REMAINDER, RESULT, twice, DIVISOR, words);
  let good: u32 = natInverseSmall(EXPONENT, LCM, twice, PUBLIC_EXPONENT);
  good &= ~natZeroMask(EXPONENT + 4 * <usize>words, words);
  natToBytes(RSA_OUTPUT, 4 * twice, EXPONENT, twice);

  natMultiply(RESULT, p, words, q, words);
  natToBytes(RSA_KEY_PARTS + PART_N, 4 * twice, RESULT, twice);
  writePart(PART_P, p);
  writePart(PART_Q, q);
  good &= natInverseSmall(RESULT, P_LESS_ONE, words, PUBLIC_EXPONENT);
  writePart(PART_DP, RESULT);
  good &= natInverseSmall(RESULT, Q_LESS_ONE, words, PUBLIC_EXPONENT);
  writePart(PART_DQ, RESULT);

  // q^-1 is q^(p - 2) modulo the prime p; the second lane does the same and is not used.
  natSubtractSmall(ODD_PARTS, p, 2, words);
  pairLoad(CONTEXT, 32 * words, p, p);
  pairEnter(BASE, CONTEXT, q, q);
  pairPower(POWER, BASE, CONTEXT, ODD_PARTS, ODD_PARTS);
  pairLeave(RESIDUES, RESIDUES + LANE_STEP, POWER, CONTEXT);
  writePart(PART_QINV, RESIDUES);
  const exponent: usize = RSA_KEY_PARTS + PART_E;
  memory.fill(exponent, 0, 32);
  store<u32>(exponent, bswap<u32>(PUBLIC_EXPONENT), 28);
  // A key that is not good is thrown away.
  if (zeroBit64(<u64>(good ^ 1)) === 1) return 1;
  return 0;
}

/**
 * Takes p and q of RSA_KEY_PARTS, which stay there, as candidates for `rsaTestCandidates`. They must be odd and have
 * all their bits, as `rsaLoadPrivate` checks.
 *
 * @param bits of the modulus: 2048, 3072 or 4096
 * @returns 1, or 0 for another
 *
 * Time: depends on bits alone.
 */
export function rsaLoadPrimes(bits: u32): u32 {
  const count: u32 = wordsOf(bits);
  if (count === 0) return 0;
  words = count;
  waiting = 0;
  found = 0;
  natFromBytes(CANDIDATES, count, RSA_KEY_PARTS + PART_P, 4 * count);
  natFromBytes(CANDIDATES + LANE_STEP, count, RSA_KEY_PARTS + PART_Q, 4 * count);
  return 1;
}
