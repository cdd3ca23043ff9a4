/** Public constants of the arithmetic on pairs, each in both lanes, and where a pair's parts lie. */

/** Bytes of a pair of elements: six limbs of 43 bits, of two doubles each. */
export const PAIR_LENGTH: usize = 96;

/** The constants, at the offsets below. */
export const PAIR_CONSTANTS: usize = memory.data<f64>(
  [
    // BASE: 1.5 · 2^95, beside which a double counts in units of 2^43.
    5.942112188569825e28, 5.942112188569825e28,
    // LOW: -1.5 · 2^52, which is -BASE · 2^-43.
    -6755399441055744, -6755399441055744,
    // TOP: 1.5 · 2^93, beside which a double counts in units of 2^41.
    1.4855280471424563e28, 1.4855280471424563e28,
    // DOWN_43: 2^-43.
    1.1368683772161603e-13, 1.1368683772161603e-13,
    // DOWN_41: 2^-41.
    4.547473508864641e-13, 4.547473508864641e-13,
    // FOLD: 2^34 + 3908, which is 2^258 modulo the prime of secp256k1.
    17179873092, 17179873092,
    // FOLD_256: 2^32 + 977.
    4294968273, 4294968273,
    // UP_9, UP_10, UP_20, UP_41: powers of two, but for 2^41 - 2^9.
    512, 512, 1024, 1024, 1048576, 1048576, 2199023255040, 2199023255040,
    // DOWN_10, DOWN_20: -2^10, -2^20.
    -1024, -1024, -1048576, -1048576,
    // THREE, FOUR, EIGHT.
    3, 3, 4, 4, 8, 8,
    // EIGHTH: 2^255, whose product with a number is an eighth of it modulo the prime of P-256.
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1099511627776, 1099511627776,
    // ONE.
    1, 1,
  ],
  16,
);
// Offsets of the constants.
export const BASE: usize = 0;
export const LOW: usize = 16;
export const TOP: usize = 32;
export const DOWN_43: usize = 48;
export const DOWN_41: usize = 64;
export const FOLD: usize = 80;
export const FOLD_256: usize = 96;
export const UP_9: usize = 112;
export const UP_10: usize = 128;
export const UP_20: usize = 144;
export const UP_41: usize = 160;
export const DOWN_10: usize = 176;
export const DOWN_20: usize = 192;
export const THREE: usize = 208;
export const FOUR: usize = 224;
export const EIGHT: usize = 240;
export const EIGHTH: usize = 256;
export const ONE: usize = 352;

/** The element one in both lanes: for P-256 2^258, which is 2^226 - 2^194 - 2^98 + 4. */
export const PAIR_ONE_P256: usize = memory.data<f64>(
  [4, 4, 0, 0, -4096, -4096, 0, 0, -4194304, -4194304, 2048, 2048],
  16,
);
export const PAIR_ONE_SECP256K1: usize = memory.data<f64>([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 16);
