/** Constant-time decisions. Masks and bits that stand for a secret are made here and nowhere else. */

/**
 * Compares two byte strings: 1 if all bytes are equal, else 0.
 *
 * @param a length bytes, secret; only read, may overlap b
 * @param b length bytes, secret; only read
 * @param length 0..=2^31, public
 *
 * Time: depends on length alone. Source: the usual or-of-xors; there is no early exit.
 */
export function equalBit(a: usize, b: usize, length: u32): u32 {
  let difference: u32 = 0;
  for (let i: usize = 0; i < <usize>length; ++i) {
    difference |= <u32>load<u8>(a + i) ^ <u32>load<u8>(b + i);
  }
  // difference is below 256, so subtracting 1 reaches bit 31 exactly when it is 0.
  return (difference - 1) >> 31;
}

/** Tells whether 32 bits are all zero: 1 or 0. @param x secret. Time: constant. */
export function zeroBit32(x: u32): u32 {
  return ((x | (0 - x)) >> 31) ^ 1;
}

/** Gives all ones if a < b, else 0. @param a below 2^31, secret. @param b below 2^31, secret. Time: constant. */
export function lessMask32(a: u32, b: u32): u32 {
  return 0 - ((a - b) >> 31);
}

/** Tells whether 64 bits are all zero: 1 or 0. @param x secret. Time: constant. */
export function zeroBit64(x: u64): u32 {
  return <u32>(((x | (0 - x)) >> 63) ^ 1);
}

/** Gives all ones for 1 and zero for 0. @param bit 0 or 1, secret. Time: constant. */
export function maskOf(bit: u64): u64 {
  return 0 - bit;
}

/** Picks a where the mask is all ones, b where it is zero. @param mask secret. Time: constant. */
export function select64(mask: u64, a: u64, b: u64): u64 {
  return b ^ (mask & (a ^ b));
}

/** Tells whether two numbers below 2^63 are equal, as all ones or zero. @param a secret. @param b secret. Time: constant. */
export function equalMask64(a: u64, b: u64): u64 {
  return <u64>(<i64>((a ^ b) - 1) >> 63);
}
