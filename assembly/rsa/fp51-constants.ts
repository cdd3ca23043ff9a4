/** Constants of the arithmetic in radix 2^51, in memory: engines rebuild vector constants at every use. */

/** 1.5 · 2^103 and that plus 3 · 2^51: adding the first rounds a product of two digits to a multiple of 2^51. */
export const HIGH: usize = 0;
export const LOW: usize = 16;
/** The bits of a digit, and half of it. */
export const DIGIT: usize = 32;
/** The exponent of 2^52, under which an integer below 2^52 is its own mantissa. */
export const EXPONENT: usize = 48;
/** 2^52 + 2^50, and that plus 2^11, which a carry in excess adds. */
export const CENTRE: usize = 64;
export const CENTRE_CARRIED: usize = 80;
/** 3 · 2^51, around which the rest of a product lies. */
export const UNIT: usize = 96;
/** 2^-51. */
export const DOWN: usize = 112;

export const FP51: usize = memory.data<u64>(
  [
    0x4668000000000000, 0x4668000000000000, 0x4668000000000003, 0x4668000000000003, 0x0007ffffffffffff,
    0x0007ffffffffffff, 0x4330000000000000, 0x4330000000000000, 0x4334000000000000, 0x4334000000000000,
    0x4334000000000800, 0x4334000000000800, 0x4338000000000000, 0x4338000000000000, 0x3cc0000000000000,
    0x3cc0000000000000,
  ],
  16,
);
