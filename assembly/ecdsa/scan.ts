/** Takes one entry out of a window of a table without telling which: reads them all. */

import { equalMask64 } from "../ct";

/**
 * Copies an entry: out ← entry `index` of the window.
 *
 * @param out 64 bytes
 * @param window count entries of 64 bytes, public
 * @param index below count, secret
 * @param count even, public
 *
 * Time: depends on count alone.
 */
export function scanEntries(out: usize, window: usize, index: u64, count: u64): void {
  if (ASC_FEATURE_SIMD) scanVectors(out, window, index, count);
  else scanWords(out, window, index, count);
}

function scanVectors(out: usize, window: usize, index: u64, count: u64): void {
  const wanted: v128 = i64x2.splat(<i64>index);
  const one: v128 = i64x2.splat(1);
  let current: v128 = i64x2.splat(0);
  let x0: v128 = i64x2.splat(0);
  let x1: v128 = x0;
  let y0: v128 = x0;
  let y1: v128 = x0;
  const end: usize = window + ((<usize>count) << 6);
  for (let entry: usize = window; entry < end; entry += 128) {
    let mask: v128 = i64x2.eq(current, wanted);
    current = i64x2.add(current, one);
    x0 = v128.or(x0, v128.and(mask, v128.load(entry)));
    x1 = v128.or(x1, v128.and(mask, v128.load(entry, 16)));
    y0 = v128.or(y0, v128.and(mask, v128.load(entry, 32)));
    y1 = v128.or(y1, v128.and(mask, v128.load(entry, 48)));
    mask = i64x2.eq(current, wanted);
    current = i64x2.add(current, one);
    x0 = v128.or(x0, v128.and(mask, v128.load(entry, 64)));
    x1 = v128.or(x1, v128.and(mask, v128.load(entry, 80)));
    y0 = v128.or(y0, v128.and(mask, v128.load(entry, 96)));
    y1 = v128.or(y1, v128.and(mask, v128.load(entry, 112)));
  }
  v128.store(out, x0);
  v128.store(out, x1, 16);
  v128.store(out, y0, 32);
  v128.store(out, y1, 48);
}

/**
 * Copies an entry of a table of pairs: out ← entry `index`. The arguments are those of `scanEntries`, with entries of 96 bytes.
 * Time: depends on count alone.
 */
export function scanPairs(out: usize, table: usize, index: u64, count: u64): void {
  const wanted: v128 = i64x2.splat(<i64>index);
  const one: v128 = i64x2.splat(1);
  let current: v128 = i64x2.splat(0);
  let l0: v128 = current;
  let l1: v128 = current;
  let l2: v128 = current;
  let l3: v128 = current;
  let l4: v128 = current;
  let l5: v128 = current;
  const end: usize = table + 96 * <usize>count;
  for (let entry: usize = table; entry < end; entry += 96) {
    const mask: v128 = i64x2.eq(current, wanted);
    current = i64x2.add(current, one);
    l0 = v128.or(l0, v128.and(mask, v128.load(entry)));
    l1 = v128.or(l1, v128.and(mask, v128.load(entry, 16)));
    l2 = v128.or(l2, v128.and(mask, v128.load(entry, 32)));
    l3 = v128.or(l3, v128.and(mask, v128.load(entry, 48)));
    l4 = v128.or(l4, v128.and(mask, v128.load(entry, 64)));
    l5 = v128.or(l5, v128.and(mask, v128.load(entry, 80)));
  }
  v128.store(out, l0);
  v128.store(out, l1, 16);
  v128.store(out, l2, 32);
  v128.store(out, l3, 48);
  v128.store(out, l4, 64);
  v128.store(out, l5, 80);
}

function scanWords(out: usize, window: usize, index: u64, count: u64): void {
  let x0: u64 = 0;
  let x1: u64 = 0;
  let x2: u64 = 0;
  let x3: u64 = 0;
  let y0: u64 = 0;
  let y1: u64 = 0;
  let y2: u64 = 0;
  let y3: u64 = 0;
  let entry: usize = window;
  for (let i: u64 = 0; i < count; ++i) {
    const mask: u64 = equalMask64(i, index);
    x0 |= load<u64>(entry) & mask;
    x1 |= load<u64>(entry, 8) & mask;
    x2 |= load<u64>(entry, 16) & mask;
    x3 |= load<u64>(entry, 24) & mask;
    y0 |= load<u64>(entry, 32) & mask;
    y1 |= load<u64>(entry, 40) & mask;
    y2 |= load<u64>(entry, 48) & mask;
    y3 |= load<u64>(entry, 56) & mask;
    entry += 64;
  }
  store<u64>(out, x0);
  store<u64>(out, x1, 8);
  store<u64>(out, x2, 16);
  store<u64>(out, x3, 24);
  store<u64>(out, y0, 32);
  store<u64>(out, y1, 40);
  store<u64>(out, y2, 48);
  store<u64>(out, y3, 56);
}
