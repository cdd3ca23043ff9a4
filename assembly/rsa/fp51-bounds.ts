/** The bounds that the arithmetic in radix 2^51 rests on, asserted in debug builds. Derivation: docs/rsa-kernels.md. */

/** 2^50 and what a carry in excess may add. */
const LARGEST_DIGIT: f64 = 1125899906842624 + 8192;
/** 2^50: what is left on top of a number between minus two moduli and two. */
const LARGEST_TOP: f64 = 1125899906842624;

/** Asserts that digits are integers in their range. Debug builds alone. */
export function assertDigits(x: usize, n: usize): void {
  for (let i: usize = 0; i < 2 * n; ++i) {
    const digit = load<f64>(x + 8 * i);
    assert(nearest<f64>(digit) === digit);
    assert(abs<f64>(digit) <= (i < 2 * n - 2 ? LARGEST_DIGIT : LARGEST_TOP));
  }
}

/** Asserts that complete columns are within 2^61 of the 2^62 they are raised by. Debug builds alone. */
export function assertColumns(sums: v128): void {
  assert(i64x2.extract_lane(sums, 0) - 0x2000000000000000 >= 0);
  assert(i64x2.extract_lane(sums, 0) - 0x6000000000000000 < 0);
  assert(i64x2.extract_lane(sums, 1) - 0x2000000000000000 >= 0);
  assert(i64x2.extract_lane(sums, 1) - 0x6000000000000000 < 0);
}
