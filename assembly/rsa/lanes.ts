/** What the pairs that are vectors have in common, whatever the radix. */

/** Takes the digits of two windows to the lanes of a vector. Time: constant. */
export function lanesOf(a: u64, b: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(a), 1, b);
}

/** Takes lane 0 of some vectors and lane 1 of others. Time: depends on length. */
export function joinLanes(out: usize, a: usize, b: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) {
    store<f64>(out + i, load<f64>(a + i));
    store<f64>(out + i, load<f64>(b + i, 8), 8);
  }
}

/**
 * Makes one lane of floor(|f| N / radix) the number (f N + 1) / radix, which Montgomery's reduction adds for f.
 *
 * @param sign 0, or -1 where the factor f is negative
 *
 * Time: depends on n.
 */
export function signScaled(scaled: usize, lane: usize, n: usize, sign: i32): void {
  const first = scaled + 8 * lane;
  const signed: f64 = <f64>((sign << 1) + 1);
  for (let at = first; at < scaled + 16 * n; at += 16) store<f64>(at, load<f64>(at) * signed);
  // f N is one less than a multiple of the radix, so for a positive f the floor is one too small.
  store<f64>(first, load<f64>(first) + <f64>(sign + 1));
}
