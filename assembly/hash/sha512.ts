/** The SHA-512 compression function, which SHA-384 shares. */

import { HASH_SCHEDULE } from "../memory";
import { ROUND_CONSTANTS } from "./constants";

/** What a round takes of the second half of the state but for its last word (FIPS 180-4, 4.1.3: Σ1 and Ch). Time: constant. */
function upper(e: u64, f: u64, g: u64): u64 {
  return (rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41)) + (g ^ (e & (f ^ g)));
}

/**
 * What a round takes of the first half of the state (FIPS 180-4, 4.1.3: Σ0 and Maj). Maj is b where a and b agree and c
 * where they differ; its b ^ c is the a ^ b of the round before. Time: constant.
 */
function lower(a: u64, b: u64, c: u64): u64 {
  return (rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39)) + (b ^ ((a ^ b) & (b ^ c)));
}

/**
 * Absorbs one block.
 *
 * @param state 8 words of 8 bytes in native order, secret; in and out
 * @param block 128 bytes, secret; only read; must not overlap state or HASH_SCHEDULE
 *
 * Leaves secrets in HASH_SCHEDULE; the caller wipes it.
 * Time: constant. Source: FIPS 180-4, 6.4.2.
 */
export function sha512Compress(state: usize, block: usize): void {
  for (let i: usize = 0; i < 128; i += 8) store<u64>(HASH_SCHEDULE + i, bswap<u64>(load<u64>(block + i)));
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 512; w += 8) {
    const early: u64 = load<u64>(w, 8);
    const late: u64 = load<u64>(w, 112);
    const word: u64 =
      load<u64>(w) +
      (rotr<u64>(early, 1) ^ rotr<u64>(early, 8) ^ (early >> 7)) +
      load<u64>(w, 72) +
      (rotr<u64>(late, 19) ^ rotr<u64>(late, 61) ^ (late >> 6));
    store<u64>(w, word, 128);
  }

  let a: u64 = load<u64>(state);
  let b: u64 = load<u64>(state, 8);
  let c: u64 = load<u64>(state, 16);
  let d: u64 = load<u64>(state, 24);
  let e: u64 = load<u64>(state, 32);
  let f: u64 = load<u64>(state, 40);
  let g: u64 = load<u64>(state, 48);
  let h: u64 = load<u64>(state, 56);
  let t: u64;
  let k: usize = ROUND_CONSTANTS;
  // Eight rounds a turn: the names move on instead of the values. What is known before a round is added first, which
  // leaves fewer words to keep at a time: engines that run out of registers then do not.
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 640; w += 64) {
    h += load<u64>(k) + load<u64>(w);
    t = h + upper(e, f, g);
    d += t;
    h = t + lower(a, b, c);
    g += load<u64>(k, 8) + load<u64>(w, 8);
    t = g + upper(d, e, f);
    c += t;
    g = t + lower(h, a, b);
    f += load<u64>(k, 16) + load<u64>(w, 16);
    t = f + upper(c, d, e);
    b += t;
    f = t + lower(g, h, a);
    e += load<u64>(k, 24) + load<u64>(w, 24);
    t = e + upper(b, c, d);
    a += t;
    e = t + lower(f, g, h);
    d += load<u64>(k, 32) + load<u64>(w, 32);
    t = d + upper(a, b, c);
    h += t;
    d = t + lower(e, f, g);
    c += load<u64>(k, 40) + load<u64>(w, 40);
    t = c + upper(h, a, b);
    g += t;
    c = t + lower(d, e, f);
    b += load<u64>(k, 48) + load<u64>(w, 48);
    t = b + upper(g, h, a);
    f += t;
    b = t + lower(c, d, e);
    a += load<u64>(k, 56) + load<u64>(w, 56);
    t = a + upper(f, g, h);
    e += t;
    a = t + lower(b, c, d);
    k += 64;
  }
  store<u64>(state, load<u64>(state) + a);
  store<u64>(state, load<u64>(state, 8) + b, 8);
  store<u64>(state, load<u64>(state, 16) + c, 16);
  store<u64>(state, load<u64>(state, 24) + d, 24);
  store<u64>(state, load<u64>(state, 32) + e, 32);
  store<u64>(state, load<u64>(state, 40) + f, 40);
  store<u64>(state, load<u64>(state, 48) + g, 48);
  store<u64>(state, load<u64>(state, 56) + h, 56);
}
