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
