/**
 * SHA-1, SHA-256, SHA-384 and SHA-512 (FIPS 180-4) over contexts at addresses, for the kernels that hash.
 *
 * A context holds the state and the bytes of the block that is not full yet. The public facts, which hash it is and how
 * many bytes it has absorbed, stay with the caller and come as arguments, so that no decision reads memory.
 */

import { HASH_SCHEDULE, HASH_SCHEDULE_LENGTH, wipe } from "../memory";
import { INITIAL_384, INITIAL_512, INITIAL_SHA_1 } from "./constants";
import { sha1Compress } from "./sha1";
import { sha256Compress } from "./sha256";
import { sha512Compress } from "./sha512";

/** The hashes, by the number that stands for each. */
export const SHA_1: u32 = 1;
export const SHA_256: u32 = 2;
export const SHA_384: u32 = 3;
export const SHA_512: u32 = 4;

/** Bytes of a context: 64 of state, 128 of an incomplete block. */
export const HASH_CONTEXT_LENGTH: usize = 192;
const STATE_LENGTH: usize = 64;

/** Tells whether a number stands for a hash: 1 or 0. Time: public facts alone. */
export function isHash(hash: u32): u32 {
  return hash - SHA_1 <= SHA_512 - SHA_1 ? 1 : 0;
}

/** Returns the bytes of a block of a hash. Time: public facts alone. */
export function blockLengthOf(hash: u32): u32 {
  return hash >= SHA_384 ? 128 : 64;
}

/** Returns the bytes of a digest of a hash. Time: public facts alone. */
export function digestLengthOf(hash: u32): u32 {
  if (hash === SHA_1) return 20;
  return 16 * hash;
}

/**
 * Absorbs one block into a state.
 *
 * @param state 64 bytes, secret; in and out
 * @param hash 1..=4, public
 * @param block `blockLengthOf(hash)` bytes, secret; must not overlap state
 *
 * Leaves secrets in HASH_SCHEDULE. Time: depends on hash alone.
 */
export function compress(state: usize, hash: u32, block: usize): void {
  if (hash >= SHA_384) sha512Compress(state, block);
  else if (hash === SHA_256) sha256Compress(state, block);
  else sha1Compress(state, block);
}

/**
 * Starts a message.
 *
 * @param context HASH_CONTEXT_LENGTH bytes, out
 * @param hash 1..=4, public
 *
 * Time: depends on hash alone. Source: FIPS 180-4, 5.3.
 */
export function hashInit(context: usize, hash: u32): void {
  assert(isHash(hash) === 1);
  if (hash === SHA_256) {
    for (let i: usize = 0; i < 8; ++i) store<u32>(context + 4 * i, load<u32>(INITIAL_512 + 8 * i, 4));
    return;
  }
  let initial: usize = INITIAL_SHA_1;
  let length: usize = 32;
  if (hash >= SHA_384) {
    initial = hash === SHA_384 ? INITIAL_384 : INITIAL_512;
    length = 64;
  }
  for (let i: usize = 0; i < length; i += 8) store<u64>(context + i, load<u64>(initial + i));
}

/**
 * Absorbs the next bytes of a message.
 *
 * @param context a started context, secret; in and out
 * @param hash the one it was started with, public
 * @param absorbed bytes absorbed before, public
 * @param data length bytes, secret; must not overlap context or HASH_SCHEDULE
 * @param length 0..=2^31, public
 * @returns the bytes absorbed now
 *
 * Leaves secrets in HASH_SCHEDULE until `hashFinal`. Time: depends on hash, absorbed and length alone.
 */
export function hashUpdate(context: usize, hash: u32, absorbed: u64, data: usize, length: u32): u64 {
  const blockLength: u32 = blockLengthOf(hash);
  const block: usize = context + STATE_LENGTH;
  const filled: u32 = <u32>absorbed & (blockLength - 1);
  let left: u32 = length;
  let next: usize = data;
  if (filled !== 0) {
    const taken: u32 = min<u32>(blockLength - filled, left);
    memory.copy(block + <usize>filled, next, <usize>taken);
    left -= taken;
    next += <usize>taken;
    if (filled + taken < blockLength) return absorbed + <u64>length;
    compress(context, hash, block);
  }
  while (left >= blockLength) {
    compress(context, hash, next);
    left -= blockLength;
    next += <usize>blockLength;
  }
  memory.copy(block, next, <usize>left);
  return absorbed + <u64>length;
}

/**
 * Pads the message, writes its digest, and wipes the context and HASH_SCHEDULE.
 *
 * @param digest `digestLengthOf(hash)` bytes, out; must not overlap context
 * @param context a started context, secret; left zeroed
 * @param hash the one it was started with, public
 * @param absorbed bytes of the message, 0..2^61, public
 *
 * Time: depends on hash and absorbed alone. Source: FIPS 180-4, 5.1.
 */
export function hashFinal(digest: usize, context: usize, hash: u32, absorbed: u64): void {
  const blockLength: u32 = blockLengthOf(hash);
  const block: usize = context + STATE_LENGTH;
  let filled: u32 = <u32>absorbed & (blockLength - 1);
  store<u8>(block + <usize>filled, 0x80);
  filled += 1;
  // The length in bits takes an eighth of a block.
  if (filled > blockLength - (blockLength >> 3)) {
    wipe(block + <usize>filled, <usize>(blockLength - filled));
    compress(context, hash, block);
    filled = 0;
  }
  wipe(block + <usize>filled, <usize>(blockLength - filled));
  store<u64>(block + <usize>blockLength - 8, bswap<u64>(absorbed << 3));
  compress(context, hash, block);

  const end: usize = <usize>digestLengthOf(hash);
  if (hash >= SHA_384) {
    for (let i: usize = 0; i < end; i += 8) store<u64>(digest + i, bswap<u64>(load<u64>(context + i)));
  } else {
    for (let i: usize = 0; i < end; i += 4) store<u32>(digest + i, bswap<u32>(load<u32>(context + i)));
  }
  wipe(context, HASH_CONTEXT_LENGTH);
  wipe(HASH_SCHEDULE, HASH_SCHEDULE_LENGTH);
}
