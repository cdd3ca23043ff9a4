/** The SHA-512 compression function, which SHA-384 shares. */

import { HASH_SCHEDULE } from "../memory";
import { ROUND_CONSTANTS } from "./constants";

/** Adds what a round takes of the second half of the state (FIPS 180-4, 4.1.3: Σ1 and Ch). Time: constant. */
function upper(e: u64, f: u64, g: u64, h: u64): u64 {
  return h + (rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41)) + (g ^ (e & (f ^ g)));
}

/** Adds what a round takes of the first half of the state (FIPS 180-4, 4.1.3: Σ0 and Maj). Time: constant. */
function lower(a: u64, b: u64, c: u64): u64 {
  return (rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39)) + ((a & b) | (c & (a | b)));
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
  // Eight rounds a turn: the names move on instead of the values.
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 640; w += 64) {
    t = upper(e, f, g, h) + load<u64>(k) + load<u64>(w);
    d += t;
    h = t + lower(a, b, c);
    t = upper(d, e, f, g) + load<u64>(k, 8) + load<u64>(w, 8);
    c += t;
    g = t + lower(h, a, b);
    t = upper(c, d, e, f) + load<u64>(k, 16) + load<u64>(w, 16);
    b += t;
    f = t + lower(g, h, a);
    t = upper(b, c, d, e) + load<u64>(k, 24) + load<u64>(w, 24);
    a += t;
    e = t + lower(f, g, h);
    t = upper(a, b, c, d) + load<u64>(k, 32) + load<u64>(w, 32);
    h += t;
    d = t + lower(e, f, g);
    t = upper(h, a, b, c) + load<u64>(k, 40) + load<u64>(w, 40);
    g += t;
    c = t + lower(d, e, f);
    t = upper(g, h, a, b) + load<u64>(k, 48) + load<u64>(w, 48);
    f += t;
    b = t + lower(c, d, e);
    t = upper(f, g, h, a) + load<u64>(k, 56) + load<u64>(w, 56);
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
