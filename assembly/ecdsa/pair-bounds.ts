/** Bounds of the limbs of pairs, which debug builds assert at every call. */

import { PAIR_LENGTH } from "./pair-constants";

/** 1.5 · 2^93: no column of a product may be larger, so that there is room below 2^94 for what a reduction adds. */
const LARGEST_COLUMN: f64 = 1.4855280471424563e28;

/** Asserts that limbs are whole and that no column of the product of a lane is too large. Debug builds alone. */
function assertLane(a: usize, b: usize): void {
  for (let i: usize = 0; i < PAIR_LENGTH; i += 16) {
    assert(nearest<f64>(load<f64>(a + i)) === load<f64>(a + i));
    assert(nearest<f64>(load<f64>(b + i)) === load<f64>(b + i));
  }
  for (let k: usize = 0; k <= 10; ++k) {
    let column: f64 = 0;
    for (let i: usize = k > 5 ? k - 5 : 0; i <= min<usize>(k, 5); ++i) {
      column += abs<f64>(load<f64>(a + (i << 4))) * abs<f64>(load<f64>(b + ((k - i) << 4)));
    }
    assert(column <= LARGEST_COLUMN);
  }
}

/** Asserts that two pairs may be multiplied. Debug builds alone. */
export function assertPairProduct(a: usize, b: usize): void {
  assertLane(a, b);
  assertLane(a + 8, b + 8);
}
