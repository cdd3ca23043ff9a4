/** Divides ECC_STATE, which is wiped after each call: one name for each element that is in use at the same time as others. */

import { ECC_POINTS, ECC_STATE } from "./memory";

const SLOT: usize = 80;

/** What field and point arithmetic works on. */
export const T0: usize = ECC_STATE;
export const T1: usize = ECC_STATE + SLOT;
export const T2: usize = ECC_STATE + 2 * SLOT;
export const T3: usize = ECC_STATE + 3 * SLOT;
export const T4: usize = ECC_STATE + 4 * SLOT;
export const T5: usize = ECC_STATE + 5 * SLOT;
export const T6: usize = ECC_STATE + 6 * SLOT;
/** Four words on the way into and out of an inversion. */
export const WORDS: usize = ECC_STATE + 7 * SLOT;

/** An affine point that was taken from a table: x, y. */
export const PICKED: usize = ECC_STATE + 8 * SLOT;
/** The point that a multiplication adds up: X, Y, Z. */
export const SUM: usize = ECC_STATE + 10 * SLOT;
/** Twice SUM, where the last addition may be of equal points. */
export const TWICE: usize = ECC_STATE + 13 * SLOT;
/** The factor that the coordinates of a secret multiple begin with. */
export const BLIND: usize = ECC_STATE + 16 * SLOT;
/** Scalars recoded to signed windows. */
export const RECODED: usize = ECC_STATE + 17 * SLOT;
export const RECODED_2: usize = ECC_STATE + 33 * SLOT;

/** What steps above the point arithmetic work on. */
export const S0: usize = ECC_STATE + 18 * SLOT;
export const S1: usize = ECC_STATE + 19 * SLOT;
export const S2: usize = ECC_STATE + 20 * SLOT;
export const S3: usize = ECC_STATE + 21 * SLOT;
/** The private key and the digest of the item in progress. */
export const PRIVATE: usize = ECC_STATE + 22 * SLOT;
export const DIGEST: usize = ECC_STATE + 23 * SLOT;
/** The running inverse of a batch. */
export const RUNNING: usize = ECC_STATE + 24 * SLOT;
/** The halves of a decomposed scalar. */
export const HALVES: usize = ECC_STATE + 25 * SLOT;

/** Key, value and message of the generator of nonces: 320 bytes. */
export const NONCE: usize = ECC_STATE + 28 * SLOT;

/** What the building of tables works on; public, below the points. */
export const TABLE_POINTS: usize = ECC_POINTS;
export const TABLE_STEP: usize = ECC_POINTS + 0x5800;
export const TABLE_INVERSE: usize = ECC_POINTS + 0x5800 + 3 * SLOT;
export const TABLE_SCALE: usize = ECC_POINTS + 0x5800 + 4 * SLOT;
export const TABLE_BASE: usize = ECC_POINTS + 0x5800 + 5 * SLOT;
export const TABLE_AFFINE: usize = ECC_POINTS + 0x5800 + 7 * SLOT;
/** Signed digits of public scalars, a byte each; four of them. */
export const DIGITS: usize = ECC_POINTS + 0x5b00;
export const DIGITS_LENGTH: usize = 0x110;
