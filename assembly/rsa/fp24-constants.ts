/** Constants of the arithmetic in radix 2^24 or 2^23, in memory: engines rebuild vector constants at every use. */

/** For each radix 1.5 times 2^52 of it, adding which rounds an integer below 2^53 to a multiple of the radix, and its inverse. */
export const RADIX24: usize = 0;
export const RADIX23: usize = 32;
/** 3 · 2^51, under which an integer is its own mantissa. */
export const UNIT: usize = 64;

export const FP24: usize = memory.data<u64>(
  [
    0x44b8000000000000, 0x44b8000000000000, 0x3e70000000000000, 0x3e70000000000000, 0x44a8000000000000,
    0x44a8000000000000, 0x3e80000000000000, 0x3e80000000000000, 0x4338000000000000,
  ],
  16,
);
