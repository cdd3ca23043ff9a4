/** The mask generation function of OAEP and PSS (RFC 8017, B.2.1) and the one-shot hash that they need beside it. */

import { digestLengthOf, hashFinal, hashInit, hashUpdate } from "../hash/hash";
import { wipe } from "../memory";
import { RSA_COUNTER, RSA_HASH_CONTEXT, RSA_MASK } from "./padding-memory";

/** Bytes of the longest digest. */
const LONGEST_DIGEST: usize = 64;

/**
 * Adds the mask of a seed to bytes in place.
 *
 * @param hash 1..=4, public
 * @param seed seedLength bytes, secret; only read; must not overlap data
 * @param seedLength 0..=2^16, public
 * @param data length bytes, secret; in and out
 * @param length 0..=2^16, public
 *
 * Time: depends on hash and the lengths alone. Source: RFC 8017, B.2.1, and the exclusive or of its callers.
 */
export function addMask(hash: u32, seed: usize, seedLength: u32, data: usize, length: u32): void {
  const step: u32 = digestLengthOf(hash);
  let counter: u32 = 0;
  for (let start: u32 = 0; start < length; start += step) {
    store<u32>(RSA_COUNTER, bswap<u32>(counter));
    hashInit(RSA_HASH_CONTEXT, hash);
    let absorbed: u64 = hashUpdate(RSA_HASH_CONTEXT, hash, 0, seed, seedLength);
    absorbed = hashUpdate(RSA_HASH_CONTEXT, hash, absorbed, RSA_COUNTER, 4);
    hashFinal(RSA_MASK, RSA_HASH_CONTEXT, hash, absorbed);
    const count: u32 = min<u32>(step, length - start);
    const target: usize = data + <usize>start;
    for (let i: usize = 0; i < <usize>count; ++i) {
      store<u8>(target + i, load<u8>(target + i) ^ load<u8>(RSA_MASK + i));
    }
    counter += 1;
  }
  wipe(RSA_MASK, LONGEST_DIGEST);
}
