/**
 * Divides RSA_KEYGEN, what key generation and the test of primes work on, and the region of hashing input, which they take
 * for random bytes and for the table of small primes. Numbers are words of 32 bits, the lowest first.
 */

import { DATA, wipe } from "../memory";
import { IS_FP24, PAIR_CONTEXT_LENGTH, PAIR_LENGTH, RSA_KEYGEN, RSA_KEYGEN_LENGTH } from "./memory";

/** The two moduli that are worked on at once, and pair numbers: a base, a power. */
export const CONTEXT: usize = RSA_KEYGEN;
export const BASE: usize = CONTEXT + PAIR_CONTEXT_LENGTH;
export const POWER: usize = BASE + PAIR_LENGTH;

/** Where numbers of words begin. */
const NUMBERS: usize = RSA_KEYGEN + (IS_FP24 ? 0x2400 : 0x1400);

/** The primes found. */
export const PRIME_P: usize = NUMBERS;
export const PRIME_Q: usize = NUMBERS + 0x100;

/** Two candidates, each less 1, their odd parts, and what a step has for each. */
export const CANDIDATES: usize = NUMBERS + 0x200;
export const LESS_ONE: usize = NUMBERS + 0x400;
export const ODD_PARTS: usize = NUMBERS + 0x600;
export const RESIDUES: usize = NUMBERS + 0x800;
/** Bytes from what belongs to one candidate to the same of the other. */
export const LANE_STEP: usize = 0x100;

/** A product on the way to a random base: twice the words of a prime and two more. */
export const WIDE: usize = NUMBERS + 0xa00;

/** p - 1, q - 1, their greatest common divisor, and what is left of a division. */
export const P_LESS_ONE: usize = NUMBERS + 0xe00;
export const Q_LESS_ONE: usize = NUMBERS + 0xf00;
export const DIVISOR: usize = NUMBERS + 0x1000;
export const REMAINDER: usize = NUMBERS + 0x1100;

/** Numbers as long as the modulus: the least common multiple of p - 1 and q - 1, and a result. */
export const LCM: usize = NUMBERS + 0x1200;
export const RESULT: usize = NUMBERS + 0x1400;
export const EXPONENT: usize = NUMBERS + 0x1600;

/** Where the host puts random bytes for candidates, and how many fit. */
export const RSA_CANDIDATES: usize = DATA;
export const RSA_CANDIDATES_LENGTH: u32 = 0x8000;

/** Divisors and small primes; public. small-primes.ts divides it. */
export const SMALL_PRIMES: usize = DATA + 0x8000;

/** Wipes all of it but the small primes. Time: constant. */
export function wipeKeygen(): void {
  wipe(RSA_KEYGEN, RSA_KEYGEN_LENGTH);
  wipe(RSA_CANDIDATES, RSA_CANDIDATES_LENGTH);
}
