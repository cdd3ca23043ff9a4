/**
 * HMAC (FIPS 198-1) over contexts at addresses. A key is worked into two states once, the one after the inner and the
 * one after the outer padded key; every message under it then costs two blocks less.
 *
 *     hmacInit(hmac, hash, key, keyLength);             // once a key
 *     let absorbed = hmacStart(hmac, hash);             // once a message
 *     absorbed = hmacUpdate(hmac, hash, absorbed, data, length);
 *     hmacFinal(mac, hmac, hash, absorbed);
 *     wipe(hmac, HMAC_CONTEXT_LENGTH);                  // after the last message
 */

import { HASH_SCHEDULE, HASH_SCHEDULE_LENGTH, wipe } from "../memory";
import {
  blockLengthOf,
  compress,
  digestLengthOf,
  HASH_CONTEXT_LENGTH,
  hashFinal,
  hashInit,
  hashUpdate,
} from "./hash";

const STATE_LENGTH: usize = 64;

// Division of a context: the inner state, the outer state, the hash of the message in progress.
const OUTER: usize = STATE_LENGTH;
const INNER_HASH: usize = 2 * STATE_LENGTH;

/** Bytes of a context. */
export const HMAC_CONTEXT_LENGTH: usize = INNER_HASH + HASH_CONTEXT_LENGTH;

/**
 * Adds a byte to every byte of a block.
 *
 * @param block length bytes, secret; in and out
 * @param pad the byte, eight times, public
 * @param length 64 or 128, public
 *
 * Time: depends on length alone.
 */
function addPad(block: usize, pad: u64, length: usize): void {
  for (let i: usize = 0; i < length; i += 8) store<u64>(block + i, load<u64>(block + i) ^ pad);
}

/**
 * Works a key into a context, ready for any number of messages.
 *
 * @param hmac HMAC_CONTEXT_LENGTH bytes, out; the first 128 hold what stands for the key
 * @param hash 1..=4, public
 * @param key keyLength bytes, secret; must not overlap hmac or HASH_SCHEDULE
 * @param keyLength 0..=2^31, public; a key longer than a block is hashed
 *
 * Time: depends on hash and keyLength alone. Source: FIPS 198-1, 4, steps 1 to 4 and 7.
 */
export function hmacInit(hmac: usize, hash: u32, key: usize, keyLength: u32): void {
  const blockLength: usize = <usize>blockLengthOf(hash);
  const context: usize = hmac + INNER_HASH;
  const block: usize = context + STATE_LENGTH;
  if (<usize>keyLength > blockLength) {
    hashInit(context, hash);
    const absorbed: u64 = hashUpdate(context, hash, 0, key, keyLength);
    hashFinal(hmac, context, hash, absorbed);
    memory.copy(block, hmac, <usize>digestLengthOf(hash));
  } else {
    wipe(block, blockLength);
    memory.copy(block, key, <usize>keyLength);
  }

  addPad(block, 0x3636363636363636, blockLength);
  hashInit(hmac, hash);
  compress(hmac, hash, block);
  // From the inner pad to the outer one.
  addPad(block, 0x3636363636363636 ^ 0x5c5c5c5c5c5c5c5c, blockLength);
  hashInit(hmac + OUTER, hash);
  compress(hmac + OUTER, hash, block);
  wipe(context, HASH_CONTEXT_LENGTH);
  wipe(HASH_SCHEDULE, HASH_SCHEDULE_LENGTH);
}

/**
 * Starts a message.
 *
 * @param hmac a context with a key, secret; in and out
 * @param hash the one of the key, public
 * @returns the bytes absorbed: the block of the key
 *
 * Time: constant.
 */
export function hmacStart(hmac: usize, hash: u32): u64 {
  memory.copy(hmac + INNER_HASH, hmac, STATE_LENGTH);
  return <u64>blockLengthOf(hash);
}

/** Absorbs the next bytes of a message; the arguments and the result are those of `hashUpdate`. */
export function hmacUpdate(hmac: usize, hash: u32, absorbed: u64, data: usize, length: u32): u64 {
  return hashUpdate(hmac + INNER_HASH, hash, absorbed, data, length);
}

/**
 * Writes the MAC of the message. The key stays for the next message; all else is wiped.
 *
 * @param mac `digestLengthOf(hash)` bytes, out; must not overlap hmac
 * @param hmac a context with a message in progress, secret; in and out
 * @param hash the one of the key, public
 * @param absorbed what the last step returned, public
 *
 * Time: depends on hash and absorbed alone. Source: FIPS 198-1, 4, steps 6 to 9.
 */
export function hmacFinal(mac: usize, hmac: usize, hash: u32, absorbed: u64): void {
  const context: usize = hmac + INNER_HASH;
  hashFinal(mac, context, hash, absorbed);
  memory.copy(context, hmac + OUTER, STATE_LENGTH);
  const outer: u64 = hashUpdate(context, hash, <u64>blockLengthOf(hash), mac, digestLengthOf(hash));
  hashFinal(mac, context, hash, outer);
}
