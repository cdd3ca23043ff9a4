/** Divides ECC_PAIRS, which is wiped after each call with secrets. */

import { ECC_PAIRS } from "./memory";
import { PAIR_LENGTH } from "./pair-constants";

/** What point arithmetic works on. */
export const P0: usize = ECC_PAIRS;
export const P1: usize = ECC_PAIRS + PAIR_LENGTH;
export const P2: usize = ECC_PAIRS + 2 * PAIR_LENGTH;
export const P3: usize = ECC_PAIRS + 3 * PAIR_LENGTH;
export const P4: usize = ECC_PAIRS + 4 * PAIR_LENGTH;
/** An affine point that was taken from a table. */
export const PICKED_PAIR: usize = ECC_PAIRS + 5 * PAIR_LENGTH;
/** The point that a multiplication adds up. */
export const SUM_PAIR: usize = ECC_PAIRS + 6 * PAIR_LENGTH;
/** Six words of 64 bits on the way out of a pair. */
export const LIMBS_43: usize = ECC_PAIRS + 8 * PAIR_LENGTH;

/** Offset of the pair (Z, Z) in a point. */
export const ZZ: usize = PAIR_LENGTH;
