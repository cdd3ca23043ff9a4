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

const BITS_OF_HIGH: u64 = 0x4668000000000000;
const BITS_OF_LOW: u64 = 0x4668000000000003;
const BITS_OF_DIGIT: u64 = 0x0007ffffffffffff;
const BITS_OF_EXPONENT: u64 = 0x4330000000000000;
const BITS_OF_CENTRE: u64 = 0x4334000000000000;
const BITS_OF_CENTRE_CARRIED: u64 = 0x4334000000000800;
const BITS_OF_UNIT: u64 = 0x4338000000000000;
const BITS_OF_DOWN: u64 = 0x3cc0000000000000;

export const FP51: usize = memory.data<u64>(
  [
    BITS_OF_HIGH,
    BITS_OF_HIGH,
    BITS_OF_LOW,
    BITS_OF_LOW,
    BITS_OF_DIGIT,
    BITS_OF_DIGIT,
    BITS_OF_EXPONENT,
    BITS_OF_EXPONENT,
    BITS_OF_CENTRE,
    BITS_OF_CENTRE,
    BITS_OF_CENTRE_CARRIED,
    BITS_OF_CENTRE_CARRIED,
    BITS_OF_UNIT,
    BITS_OF_UNIT,
    BITS_OF_DOWN,
    BITS_OF_DOWN,
  ],
  16,
);

/** Returns the bits in which the constants in memory differ from what they must be, 0 where they are sound. Time: constant. */
export function fp51Changes(): u64 {
  let changes: u64 = 0;
  for (let lane: usize = 0; lane < 16; lane += 8) {
    const at = FP51 + lane;
    changes |= load<u64>(at, HIGH) ^ BITS_OF_HIGH;
    changes |= load<u64>(at, LOW) ^ BITS_OF_LOW;
    changes |= load<u64>(at, DIGIT) ^ BITS_OF_DIGIT;
    changes |= load<u64>(at, EXPONENT) ^ BITS_OF_EXPONENT;
    changes |= load<u64>(at, CENTRE) ^ BITS_OF_CENTRE;
    changes |= load<u64>(at, CENTRE_CARRIED) ^ BITS_OF_CENTRE_CARRIED;
    changes |= load<u64>(at, UNIT) ^ BITS_OF_UNIT;
    changes |= load<u64>(at, DOWN) ^ BITS_OF_DOWN;
  }
  return changes;
}
