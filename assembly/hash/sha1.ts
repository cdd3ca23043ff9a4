/** The SHA-1 compression function. The hash is broken for signatures and serves HMAC, HKDF and OAEP of older peers. */

import { HASH_SCHEDULE } from "../memory";

/**
 * Absorbs one block.
 *
 * @param state 5 words of 4 bytes in native order, secret; in and out
 * @param block 64 bytes, secret; only read; must not overlap state or HASH_SCHEDULE
 *
 * Leaves secrets in HASH_SCHEDULE; the caller wipes it.
 * Time: constant. Source: FIPS 180-4, 6.1.2.
 */
export function sha1Compress(state: usize, block: usize): void {
  for (let i: usize = 0; i < 64; i += 4) store<u32>(HASH_SCHEDULE + i, bswap<u32>(load<u32>(block + i)));
  for (let w: usize = HASH_SCHEDULE; w < HASH_SCHEDULE + 256; w += 4) {
    const mixed: u32 = load<u32>(w, 52) ^ load<u32>(w, 32) ^ load<u32>(w, 8) ^ load<u32>(w);
    store<u32>(w, rotl<u32>(mixed, 1), 64);
  }

  let a: u32 = load<u32>(state);
  let b: u32 = load<u32>(state, 4);
  let c: u32 = load<u32>(state, 8);
  let d: u32 = load<u32>(state, 12);
  let e: u32 = load<u32>(state, 16);
  // The tests are on the public number of the round.
  for (let i: usize = 0; i < 80; ++i) {
    let mixed: u32 = b ^ c ^ d;
    let constant: u32 = i < 40 ? 0x6ed9eba1 : 0xca62c1d6;
    if (i < 20) {
      mixed = d ^ (b & (c ^ d));
      constant = 0x5a827999;
    } else if (i >= 40 && i < 60) {
      mixed = (b & c) | (d & (b | c));
      constant = 0x8f1bbcdc;
    }
    const next: u32 = rotl<u32>(a, 5) + mixed + e + constant + load<u32>(HASH_SCHEDULE + 4 * i);
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = next;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
}
