/** Constants of the arithmetic in radix 2^24 or 2^23, in memory: engines rebuild vector constants at every use. */

/** For each radix 1.5 times 2^52 of it, adding which rounds an integer below 2^53 to a multiple of the radix, and its inverse. */
export const RADIX24: usize = 0;
export const RADIX23: usize = 32;
/** 3 · 2^51, under which an integer is its own mantissa. */
export const UNIT: usize = 64;

const ROUND24: u64 = 0x44b8000000000000;
const DOWN24: u64 = 0x3e70000000000000;
const ROUND23: u64 = 0x44a8000000000000;
const DOWN23: u64 = 0x3e80000000000000;
export const BITS_OF_UNIT: u64 = 0x4338000000000000;

export const FP24: usize = memory.data<u64>(
  [ROUND24, ROUND24, DOWN24, DOWN24, ROUND23, ROUND23, DOWN23, DOWN23, BITS_OF_UNIT],
  16,
);

/** Returns the bits in which the constants in memory differ from what they must be, 0 where they are sound. Time: constant. */
export function fp24Changes(): u64 {
  let changes = load<u64>(FP24, UNIT) ^ BITS_OF_UNIT;
  for (let lane: usize = 0; lane < 16; lane += 8) {
    changes |= load<u64>(FP24 + lane) ^ ROUND24;
    changes |= load<u64>(FP24 + lane, 16) ^ DOWN24;
    changes |= load<u64>(FP24 + lane, 32) ^ ROUND23;
    changes |= load<u64>(FP24 + lane, 48) ^ DOWN23;
  }
  return changes;
}
