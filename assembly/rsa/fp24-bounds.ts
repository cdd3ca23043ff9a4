/** The bounds that the arithmetic in radix 2^24 or 2^23 rests on, asserted in debug builds. Derivation: docs/rsa-kernels.md. */

/** 2^53, up to which doubles hold every integer. */
const LARGEST_COLUMN: f64 = 9007199254740992;
/** 2^23: what is left on top of a number between minus two moduli and two. */
const LARGEST_TOP: f64 = 8388608;

/** Asserts that digits of so many bits are integers in their range. Debug builds alone. */
export function assertDigits(x: usize, n: usize, bits: u32): void {
  const largest: f64 = <f64>(1 << (bits - 1)) + 256;
  for (let i: usize = 0; i < 2 * n; ++i) {
    const digit = load<f64>(x + 8 * i);
    assert(nearest<f64>(digit) === digit);
    assert(abs<f64>(digit) <= (i < 2 * n - 2 ? largest : LARGEST_TOP));
  }
}

/** Asserts that columns, and so all sums on the way to them that debug builds see, are exact. Debug builds alone. */
export function assertColumns(sums: v128): void {
  assert(abs<f64>(f64x2.extract_lane(sums, 0)) < LARGEST_COLUMN);
  assert(abs<f64>(f64x2.extract_lane(sums, 1)) < LARGEST_COLUMN);
}
