/**
 * Pairs of numbers in radix 2^28, one behind the other, for runtimes without fused multiply-adds: limbs of 28 bits in words of
 * 32, an odd number of them and a word of padding for each half. Numbers lie below three times the modulus. The inner loop
 * over two rows stands in each of the three functions that need it: a call for every two rows would cost a tenth.
 */

import { equalMask64, maskOf } from "../ct";
import { natMultiply } from "../int/nat";
import { PAIR_BITS, PAIR_COLUMNS, PAIR_PRODUCT } from "./memory";

const LIMB_MASK: u64 = 0xfffffff;
/** Above so many limbs the columns of a product must be carried before reduction adds to them. */
const MOST_UNCARRIED: usize = 127;

/** Returns the limbs of a modulus of so many bits, 1024, 1536, 2048, 3072 or 4096: an odd number, and four bits to spare. */
function int28Limbs(size: u32): usize {
  return ((size + 27) / 28) | 1;
}

/** Returns the exponent of the Montgomery factor. */
export function int28Shift(size: u32): u32 {
  return 28 * <u32>int28Limbs(size);
}

/** Returns the bytes from one half to the other. */
function halfLength(n: usize): usize {
  return 4 * n + 4;
}

/** Returns the bytes from one number of a table to the next. */
export function int28Stride(size: u32): usize {
  return 2 * halfLength(int28Limbs(size));
}

// Division of the moduli, for each half: modulus, scaled modulus plus one over 2^28, factor; each a half long.

/** Returns the bytes of the moduli and what belongs to them. */
export function int28ModulusLength(size: u32): usize {
  return 6 * halfLength(int28Limbs(size));
}

/**
 * Multiplies without reducing.
 *
 * @param columns 2n sums of 64 bits, out
 * @param a n limbs, secret
 * @param b n limbs, secret; may be a
 * @param n limbs, odd, public
 *
 * Time: depends on n alone.
 */
function multiply(columns: usize, a: usize, b: usize, n: usize): void {
  memory.fill(columns, 0, 16 * n);
  const end = b + 4 * n;
  for (let row: usize = 0; row < n - 1; row += 2) {
    const f0: u64 = load<u32>(a + 4 * row);
    const f1: u64 = load<u32>(a + 4 * row, 4);
    let to = columns + 8 * row;
    let at = b + 4;
    let limb: u64 = load<u32>(b);
    store<u64>(to, load<u64>(to) + f0 * limb);
    let column = load<u64>(to, 8) + f1 * limb;
    to += 8;
    if ((n & 2) !== 0) {
      limb = load<u32>(at);
      store<u64>(to, column + f0 * limb);
      column = load<u64>(to, 8) + f1 * limb;
      limb = load<u32>(at, 4);
      store<u64>(to, column + f0 * limb, 8);
      column = load<u64>(to, 16) + f1 * limb;
      at += 8;
      to += 16;
    }
    while (at < end) {
      const limb0: u64 = load<u32>(at);
      store<u64>(to, column + f0 * limb0);
      const column1 = load<u64>(to, 8) + f1 * limb0;
      const limb1: u64 = load<u32>(at, 4);
      store<u64>(to, column1 + f0 * limb1, 8);
      const column2 = load<u64>(to, 16) + f1 * limb1;
      const limb2: u64 = load<u32>(at, 8);
      store<u64>(to, column2 + f0 * limb2, 16);
      const column3 = load<u64>(to, 24) + f1 * limb2;
      const limb3: u64 = load<u32>(at, 12);
      store<u64>(to, column3 + f0 * limb3, 24);
      column = load<u64>(to, 32) + f1 * limb3;
      to += 32;
      at += 16;
    }
    store<u64>(to, column);
  }
  const factor: u64 = load<u32>(a + 4 * n - 4);
  let to = columns + 8 * (n - 1);
  for (let at = b; at < end; at += 4) {
    store<u64>(to, load<u64>(to) + factor * <u64>load<u32>(at));
    to += 8;
  }
}

/**
 * Squares without reducing.
 *
 * @param columns 2n sums of 64 bits, out
 * @param a n limbs, secret
 * @param n limbs, odd, public
 *
 * Time: depends on n alone.
 */
function square(columns: usize, a: usize, n: usize): void {
  memory.fill(columns, 0, 16 * n);
  const end = a + 4 * n;
  for (let row = a; row < end - 4; row += 8) {
    const e0: u64 = load<u32>(row);
    const e1: u64 = load<u32>(row, 4);
    const f0 = e0 << 1;
    const f1 = e1 << 1;
    let to = columns + ((row - a) << 2);
    store<u64>(to, load<u64>(to) + e0 * e0);
    store<u64>(to, load<u64>(to, 8) + f0 * e1, 8);
    let limb: u64 = load<u32>(row, 8);
    store<u64>(to, load<u64>(to, 16) + e1 * e1 + f0 * limb, 16);
    let column = load<u64>(to, 24) + f1 * limb;
    to += 24;
    let at = row + 12;
    if (((end - at) & 8) !== 0) {
      limb = load<u32>(at);
      store<u64>(to, column + f0 * limb);
      column = load<u64>(to, 8) + f1 * limb;
      limb = load<u32>(at, 4);
      store<u64>(to, column + f0 * limb, 8);
      column = load<u64>(to, 16) + f1 * limb;
      at += 8;
      to += 16;
    }
    while (at < end) {
      const limb0: u64 = load<u32>(at);
      store<u64>(to, column + f0 * limb0);
      const column1 = load<u64>(to, 8) + f1 * limb0;
      const limb1: u64 = load<u32>(at, 4);
      store<u64>(to, column1 + f0 * limb1, 8);
      const column2 = load<u64>(to, 16) + f1 * limb1;
      const limb2: u64 = load<u32>(at, 8);
      store<u64>(to, column2 + f0 * limb2, 16);
      const column3 = load<u64>(to, 24) + f1 * limb2;
      const limb3: u64 = load<u32>(at, 12);
      store<u64>(to, column3 + f0 * limb3, 24);
      column = load<u64>(to, 32) + f1 * limb3;
      to += 32;
      at += 16;
    }
    store<u64>(to, column);
  }
  const last: u64 = load<u32>(end - 4);
  const to = columns + 16 * (n - 1);
  store<u64>(to, load<u64>(to) + last * last);
}

/** Carries through columns, so that each is below 2^28 but the topmost. Time: depends on n alone. */
function carryColumns(columns: usize, n: usize): void {
  let carry: u64 = 0;
  for (let at = columns; at < columns + 16 * n; at += 8) {
    carry += load<u64>(at);
    store<u64>(at, carry & LIMB_MASK);
    carry >>= 28;
  }
}

/**
 * Reduces a product in Montgomery form: out ← columns / 2^(28 n) modulo the modulus, below three times that.
 *
 * @param out n limbs
 * @param columns 2n sums, secret; overwritten
 * @param modulus of one half
 * @param n limbs, odd, public
 *
 * Time: depends on n alone.
 */
function reduce(out: usize, columns: usize, modulus: usize, n: usize): void {
  const scaled = modulus + halfLength(n);
  const end = scaled + 4 * n;
  const first: u64 = load<u32>(scaled);
  // The lowest column is its own quotient digit, since the scaled modulus is -1 modulo 2^28.
  let column = load<u64>(columns);
  let m0 = column & LIMB_MASK;
  column = load<u64>(columns, 8) + (column >> 28) + m0 * first;
  let m1 = column & LIMB_MASK;
  let carry = column >> 28;
  for (let row = columns; row < columns + 8 * (n - 1); row += 16) {
    const f0 = m0;
    const f1 = m1;
    let limb: u64 = load<u32>(scaled, 4);
    const low = load<u64>(row, 16) + carry + f1 * first + f0 * limb;
    column = load<u64>(row, 24) + f1 * limb;
    limb = load<u32>(scaled, 8);
    column += f0 * limb;
    m0 = low & LIMB_MASK;
    const high = column + (low >> 28) + m0 * first;
    m1 = high & LIMB_MASK;
    carry = high >> 28;
    // The last block needs these two as they are: its row is cleared by the modulus itself.
    store<u64>(row, low, 16);
    store<u64>(row, column, 24);
    column = load<u64>(row, 32) + f1 * limb;
    let to = row + 32;
    let at = scaled + 12;
    if (((n - 3) & 2) !== 0) {
      limb = load<u32>(at);
      store<u64>(to, column + f0 * limb);
      column = load<u64>(to, 8) + f1 * limb;
      limb = load<u32>(at, 4);
      store<u64>(to, column + f0 * limb, 8);
      column = load<u64>(to, 16) + f1 * limb;
      at += 8;
      to += 16;
    }
    while (at < end) {
      const limb0: u64 = load<u32>(at);
      store<u64>(to, column + f0 * limb0);
      const column1 = load<u64>(to, 8) + f1 * limb0;
      const limb1: u64 = load<u32>(at, 4);
      store<u64>(to, column1 + f0 * limb1, 8);
      const column2 = load<u64>(to, 16) + f1 * limb1;
      const limb2: u64 = load<u32>(at, 8);
      store<u64>(to, column2 + f0 * limb2, 16);
      const column3 = load<u64>(to, 24) + f1 * limb2;
      const limb3: u64 = load<u32>(at, 12);
      store<u64>(to, column3 + f0 * limb3, 24);
      column = load<u64>(to, 32) + f1 * limb3;
      to += 32;
      at += 16;
    }
    store<u64>(to, column);
  }
  let at = columns + 8 * (n - 1);
  column = load<u64>(at);
  const m = ((column & LIMB_MASK) * <u64>load<u32>(scaled + halfLength(n))) & LIMB_MASK;
  column += m * <u64>load<u32>(modulus);
  let to = out;
  for (let digit = modulus + 4; digit < modulus + 4 * n; digit += 4) {
    at += 8;
    column = load<u64>(at) + m * <u64>load<u32>(digit) + (column >> 28);
    store<u32>(to, <u32>(column & LIMB_MASK));
    to += 4;
  }
  column = load<u64>(at, 8) + (column >> 28);
  assert(column <= LIMB_MASK);
  store<u32>(to, <u32>column);
}

/** Asserts that limbs have 28 bits, as column sums rest on. Debug builds alone. */
function assertLimbs(x: usize, n: usize): void {
  for (let i: usize = 0; i < 4 * n; i += 4) assert(load<u32>(x + i) <= <u32>LIMB_MASK);
}

/** Sets out ← x · y / 2^(28 n); out may be an operand. Time: depends on the size. */
export function int28MultiplyMod(out: usize, x: usize, y: usize, modulus: usize, size: u32): void {
  const n = int28Limbs(size);
  const half = halfLength(n);
  for (let i: usize = 0; i < 2; ++i) {
    if (!ASC_NO_ASSERT) {
      assertLimbs(x + i * half, n);
      assertLimbs(y + i * half, n);
    }
    multiply(PAIR_COLUMNS, x + i * half, y + i * half, n);
    if (n > MOST_UNCARRIED) carryColumns(PAIR_COLUMNS, n);
    reduce(out + i * half, PAIR_COLUMNS, modulus + 3 * i * half, n);
  }
}

/** Sets out ← x² / 2^(28 n); out may be x. Time: depends on the size. */
export function int28SquareMod(out: usize, x: usize, modulus: usize, size: u32): void {
  const n = int28Limbs(size);
  const half = halfLength(n);
  for (let i: usize = 0; i < 2; ++i) {
    if (!ASC_NO_ASSERT) assertLimbs(x + i * half, n);
    square(PAIR_COLUMNS, x + i * half, n);
    if (n > MOST_UNCARRIED) carryColumns(PAIR_COLUMNS, n);
    reduce(out + i * half, PAIR_COLUMNS, modulus + 3 * i * half, n);
  }
}

/** Sets out ← x + y. Time: depends on the size. */
export function int28Add(out: usize, x: usize, y: usize, size: u32): void {
  const half = halfLength(int28Limbs(size));
  for (let start: usize = 0; start < 2 * half; start += half) {
    let carry: u32 = 0;
    for (let i = start; i < start + half - 4; i += 4) {
      carry += load<u32>(x + i) + load<u32>(y + i);
      store<u32>(out + i, carry & <u32>LIMB_MASK);
      carry >>= 28;
    }
    assert(carry === 0);
  }
}

/** Writes n limbs from PAIR_BITS. Time: depends on n. */
function limbsOfBits(out: usize, n: usize): void {
  for (let i: usize = 0; i < n; ++i) {
    const position: usize = 28 * i;
    const bits = load<u64>(PAIR_BITS + (position >> 3)) >> <u64>(position & 7);
    store<u32>(out + 4 * i, <u32>(bits & LIMB_MASK));
  }
  store<u32>(out + 4 * n, 0);
}

/** Writes one half, 0 or 1, of a number from words below 2^size. Time: depends on the size. */
export function int28Set(out: usize, half: usize, words: usize, size: u32): void {
  const n = int28Limbs(size);
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  memory.copy(PAIR_BITS, words, size >> 3);
  limbsOfBits(out + half * halfLength(n), n);
}

/** Subtracts the modulus from limbs in place unless that leaves less than zero. Time: depends on n. */
function reduceOnce(x: usize, modulus: usize, n: usize): void {
  let borrow: u64 = 0;
  for (let i: usize = 0; i < 4 * n; i += 4) {
    borrow = (<u64>load<u32>(x + i) - <u64>load<u32>(modulus + i) - borrow) >> 63;
  }
  const subtract = maskOf(borrow ^ 1);
  borrow = 0;
  for (let i: usize = 0; i < 4 * n; i += 4) {
    const difference: u64 = <u64>load<u32>(x + i) - (<u64>load<u32>(modulus + i) & subtract) - borrow;
    store<u32>(x + i, <u32>(difference & LIMB_MASK));
    borrow = difference >> 63;
  }
}

/** Writes the words of one half, from 0 to the modulus less one; reduces the half as well. Time: depends on the size. */
export function int28Get(words: usize, half: usize, x: usize, modulus: usize, size: u32): void {
  const n = int28Limbs(size);
  const limbs = x + half * halfLength(n);
  reduceOnce(limbs, modulus + 3 * half * halfLength(n), n);
  reduceOnce(limbs, modulus + 3 * half * halfLength(n), n);
  memory.fill(PAIR_BITS, 0, <usize>(size >> 3) + 32);
  for (let i: usize = 0; i < n; ++i) {
    const position: usize = 28 * i;
    const to = PAIR_BITS + (position >> 3);
    store<u64>(to, load<u64>(to) | ((<u64>load<u32>(limbs + 4 * i)) << (<u64>(position & 7))));
  }
  memory.copy(words, PAIR_BITS, size >> 3);
}

/** Writes one half of the moduli, and what belongs to it, from words. Time: depends on the size. */
export function int28SetModulus(modulus: usize, half: usize, words: usize, size: u32): void {
  const n = int28Limbs(size);
  const length = halfLength(n);
  const own = modulus + 3 * half * length;
  int28Set(own, 0, words, size);
  const low = load<u32>(words);
  let inverse: u32 = low;
  for (let i: u32 = 0; i < 4; ++i) inverse *= 2 - low * inverse;
  const factor: u32 = (0 - inverse) & <u32>LIMB_MASK;
  memory.fill(own + 2 * length, 0, length);
  store<u32>(own + 2 * length, factor);
  // The factor times the modulus is one less than a multiple of 2^28.
  store<u32>(PAIR_PRODUCT, factor);
  natMultiply(PAIR_BITS, words, size >> 5, PAIR_PRODUCT, 1);
  memory.fill(PAIR_BITS + <usize>(size >> 3) + 4, 0, 24);
  let carry: u64 = 1;
  for (let i: usize = 0; i < <usize>(size >> 3); i += 4) {
    carry += (load<u64>(PAIR_BITS + i + 3) >> 4) & 0xffffffff;
    store<u32>(PAIR_BITS + i, <u32>carry);
    carry >>= 32;
  }
  memory.fill(PAIR_BITS + <usize>(size >> 3), 0, 28);
  limbsOfBits(own + length, n);
}

/** Picks an entry of a table for each half by reading all of it. Time: depends on the size. */
export function int28Select(out: usize, table: usize, a: u64, b: u64, size: u32): void {
  const stride = int28Stride(size);
  const half = stride >> 1;
  for (let at: usize = 0; at < stride; at += 8) {
    const digit = at < half ? a : b;
    let value: u64 = 0;
    let entry = table + at;
    for (let i: u64 = 0; i < 32; ++i) {
      value |= load<u64>(entry) & equalMask64(i, digit);
      entry += stride;
    }
    store<u64>(out + at, value);
  }
}
