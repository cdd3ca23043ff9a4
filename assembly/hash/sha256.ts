/** The SHA-256 compression function. */

import { HASH_SCHEDULE } from "../memory";
import { ROUND_CONSTANTS } from "./constants";

/** What a round takes of the second half of the state but for its last word (FIPS 180-4, 4.1.2: Σ1 and Ch). Time: constant. */
function upper(e: u32, f: u32, g: u32): u32 {
  return (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) + (g ^ (e & (f ^ g)));
}

/**
 * What a round takes of the first half of the state (FIPS 180-4, 4.1.2: Σ0 and Maj). Maj is b where a and b agree and c
 * where they differ; its b ^ c is the a ^ b of the round before. Time: constant.
 */
function lower(a: u32, b: u32, c: u32): u32 {
  return (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + (b ^ ((a ^ b) & (b ^ c)));
}

/**
 * Absorbs one block.
 *
 * @param state 8 words of 4 bytes in native order, secret; in and out
 * @param block 64 bytes, secret; only read; must not overlap state or HASH_SCHEDULE
 *
 * Leaves secrets in HASH_SCHEDULE; the caller wipes it.
 * Time: constant. Source: FIPS 180-4, 6.2.2.
 */
export function sha256Compress(state: usize, block: usize): void {
  for (let i: usize = 0; i < 64; i += 4) store<u32>(HASH_SCHEDULE + i, bswap<u32>(load<u32>(block + i)));
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 192; w += 4) {
    const early: u32 = load<u32>(w, 4);
    const late: u32 = load<u32>(w, 56);
    const word: u32 =
      load<u32>(w) +
      (rotr<u32>(early, 7) ^ rotr<u32>(early, 18) ^ (early >> 3)) +
      load<u32>(w, 36) +
      (rotr<u32>(late, 17) ^ rotr<u32>(late, 19) ^ (late >> 10));
    store<u32>(w, word, 64);
  }

  let a: u32 = load<u32>(state);
  let b: u32 = load<u32>(state, 4);
  let c: u32 = load<u32>(state, 8);
  let d: u32 = load<u32>(state, 12);
  let e: u32 = load<u32>(state, 16);
  let f: u32 = load<u32>(state, 20);
  let g: u32 = load<u32>(state, 24);
  let h: u32 = load<u32>(state, 28);
  let t: u32;
  let k: usize = ROUND_CONSTANTS;
  // Eight rounds a turn: the names move on instead of the values. What is known before a round is added first, which
  // leaves fewer words to keep at a time: engines that run out of registers then do not.
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 256; w += 32) {
    h += load<u32>(k, 4) + load<u32>(w);
    t = h + upper(e, f, g);
    d += t;
    h = t + lower(a, b, c);
    g += load<u32>(k, 12) + load<u32>(w, 4);
    t = g + upper(d, e, f);
    c += t;
    g = t + lower(h, a, b);
    f += load<u32>(k, 20) + load<u32>(w, 8);
    t = f + upper(c, d, e);
    b += t;
    f = t + lower(g, h, a);
    e += load<u32>(k, 28) + load<u32>(w, 12);
    t = e + upper(b, c, d);
    a += t;
    e = t + lower(f, g, h);
    d += load<u32>(k, 36) + load<u32>(w, 16);
    t = d + upper(a, b, c);
    h += t;
    d = t + lower(e, f, g);
    c += load<u32>(k, 44) + load<u32>(w, 20);
    t = c + upper(h, a, b);
    g += t;
    c = t + lower(d, e, f);
    b += load<u32>(k, 52) + load<u32>(w, 24);
    t = b + upper(g, h, a);
    f += t;
    b = t + lower(c, d, e);
    a += load<u32>(k, 60) + load<u32>(w, 28);
    t = a + upper(f, g, h);
    e += t;
    a = t + lower(b, c, d);
    k += 64;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
  store<u32>(state, load<u32>(state, 20) + f, 20);
  store<u32>(state, load<u32>(state, 24) + g, 24);
  store<u32>(state, load<u32>(state, 28) + h, 28);
}
