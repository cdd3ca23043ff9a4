/**
 * GHASH (SP 800-38D, 6.4) by integer multiplication: operands are thinned to every fourth bit, so that carries die in
 * the gaps, and the upper half of a product comes from multiplying the bit-reversed operands.
 *
 * Field elements are two words (high, low) with the block read big-endian. GCM writes polynomials in reversed bit
 * order; the product of reversed operands is the reversed product but for a shift by one bit.
 */

/** Bytes of a prepared hash key: h low, h high, their sum, and the three bit-reversed. */
export const HASH_KEY_LENGTH: usize = 48;

const LANE_0: u64 = 0x1111111111111111;
const LANE_1: u64 = 0x2222222222222222;
const LANE_2: u64 = 0x4444444444444444;
const LANE_3: u64 = 0x8888888888888888;

/**
 * Multiplies without carries; returns the lower 64 bits of the product.
 *
 * A lane holds at most 16 set bits, so the sum in a bit position is at most 15 below position 60, which three spare
 * bits hold; what overflows at position 60 leaves the word.
 *
 * @param x secret
 * @param y secret
 *
 * Time: constant where 64-bit multiplication is. Source: T. Pornin, BearSSL, "Constant-time GHASH" (ctmul64).
 */
function multiplyLow(x: u64, y: u64): u64 {
  const x0 = x & LANE_0;
  const x1 = x & LANE_1;
  const x2 = x & LANE_2;
  const x3 = x & LANE_3;
  const y0 = y & LANE_0;
  const y1 = y & LANE_1;
  const y2 = y & LANE_2;
  const y3 = y & LANE_3;
  const z0 = (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1);
  const z1 = (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2);
  const z2 = (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3);
  const z3 = (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0);
  return (z0 & LANE_0) | (z1 & LANE_1) | (z2 & LANE_2) | (z3 & LANE_3);
}

/** Reverses the order of 64 bits. @param x secret. Time: constant. */
function reverseBits(x: u64): u64 {
  x = ((x & 0x5555555555555555) << 1) | ((x >> 1) & 0x5555555555555555);
  x = ((x & 0x3333333333333333) << 2) | ((x >> 2) & 0x3333333333333333);
  x = ((x & 0x0f0f0f0f0f0f0f0f) << 4) | ((x >> 4) & 0x0f0f0f0f0f0f0f0f);
  return bswap<u64>(x);
}

/**
 * Prepares the hash key for `absorbBlocks`.
 *
 * @param hashKey 48 bytes, out; must not overlap h
 * @param h 16 bytes, the hash subkey, secret
 *
 * Time: constant. Source: SP 800-38D, 7.1, step 1.
 */
export function prepareHashKey(hashKey: usize, h: usize): void {
  const high: u64 = bswap<u64>(load<u64>(h));
  const low: u64 = bswap<u64>(load<u64>(h, 8));
  store<u64>(hashKey, low);
  store<u64>(hashKey, high, 8);
  store<u64>(hashKey, low ^ high, 16);
  store<u64>(hashKey, reverseBits(low), 24);
  store<u64>(hashKey, reverseBits(high), 32);
  store<u64>(hashKey, reverseBits(low ^ high), 40);
}

/**
 * Absorbs whole blocks: for each, accumulator ← (accumulator + block) · H.
 *
 * @param accumulator 16 bytes (high word, low word), secret; in and out; must not overlap the others
 * @param hashKey 48 bytes from `prepareHashKey`, secret
 * @param blocks 16 · count bytes, may be secret; only read
 * @param count public
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.3 and 6.4.
 */
export function absorbBlocks(accumulator: usize, hashKey: usize, blocks: usize, count: u32): void {
  const h0: u64 = load<u64>(hashKey);
  const h1: u64 = load<u64>(hashKey, 8);
  const h2: u64 = load<u64>(hashKey, 16);
  const h0r: u64 = load<u64>(hashKey, 24);
  const h1r: u64 = load<u64>(hashKey, 32);
  const h2r: u64 = load<u64>(hashKey, 40);
  let y1: u64 = load<u64>(accumulator);
  let y0: u64 = load<u64>(accumulator, 8);

  const end: usize = blocks + 16 * <usize>count;
  for (let block: usize = blocks; block < end; block += 16) {
    y1 ^= bswap<u64>(load<u64>(block));
    y0 ^= bswap<u64>(load<u64>(block, 8));
    const y0r: u64 = reverseBits(y0);
    const y1r: u64 = reverseBits(y1);

    // Karatsuba on 64-bit halves, lower halves of the products first, then the upper ones from reversed operands.
    const lowLow: u64 = multiplyLow(y0, h0);
    const highLow: u64 = multiplyLow(y1, h1);
    const middleLow: u64 = multiplyLow(y0 ^ y1, h2) ^ lowLow ^ highLow;
    const lowReversed: u64 = multiplyLow(y0r, h0r);
    const highReversed: u64 = multiplyLow(y1r, h1r);
    const middleReversed: u64 = multiplyLow(y0r ^ y1r, h2r) ^ lowReversed ^ highReversed;
    const product0: u64 = lowLow;
    const product1: u64 = (reverseBits(lowReversed) >> 1) ^ middleLow;
    const product2: u64 = highLow ^ (reverseBits(middleReversed) >> 1);
    const product3: u64 = reverseBits(highReversed) >> 1;

    // Shifted by one for the reversed bit order.
    const v0: u64 = product0 << 1;
    let v1: u64 = (product1 << 1) | (product0 >> 63);
    let v2: u64 = (product2 << 1) | (product1 >> 63);
    let v3: u64 = (product3 << 1) | (product2 >> 63);

    // Reduction by x^128 + x^7 + x^2 + x + 1, reversed: two words fold into the two above.
    v2 ^= v0 ^ (v0 >> 1) ^ (v0 >> 2) ^ (v0 >> 7);
    v1 ^= (v0 << 63) ^ (v0 << 62) ^ (v0 << 57);
    v3 ^= v1 ^ (v1 >> 1) ^ (v1 >> 2) ^ (v1 >> 7);
    v2 ^= (v1 << 63) ^ (v1 << 62) ^ (v1 << 57);
    y0 = v2;
    y1 = v3;
  }
  store<u64>(accumulator, y1);
  store<u64>(accumulator, y0, 8);
}
