/**
 * Hashing and HMAC as the host sees them: one message at a time in fixed regions, whole or in chunks. Numbers of hashes
 * and lengths are public and checked. What stood in DATA is wiped once it was absorbed.
 */

import {
  DATA,
  DATA_CAPACITY,
  HASH_CONTEXT,
  HASH_DIGEST,
  HASH_REGIONS,
  HASH_REGIONS_LENGTH,
  HMAC_CONTEXT,
  wipe,
} from "../memory";
import { hashFinal, hashInit, hashUpdate, isHash } from "./hash";
import { hmacFinal, hmacInit, hmacStart, hmacUpdate } from "./hmac";

export { HASH_DIGEST } from "../memory";

// What is in progress. These are public facts.
const NOTHING: u32 = 0;
const HASHING: u32 = 1;
const KEYED: u32 = 2;
const AUTHENTICATING: u32 = 3;
/** One of the phases above; a literal, because a name would need a start function. */
let phase: u32 = 0;
let currentHash: u32 = 0;
let absorbed: u64 = 0;

/** Wipes everything that hashing and HMAC keep, the digest and any key included. Time: constant. */
export function hashWipe(): void {
  phase = NOTHING;
  currentHash = 0;
  absorbed = 0;
  wipe(HASH_REGIONS, HASH_REGIONS_LENGTH);
}

/** Starts a message for the hash 1 to 4 (SHA-1, SHA-256, SHA-384, SHA-512): 1, or 0 for another. Time: hash alone. */
export function hashBegin(hash: u32): u32 {
  if (isHash(hash) === 0) return 0;
  hashWipe();
  hashInit(HASH_CONTEXT, hash);
  phase = HASHING;
  currentHash = hash;
  return 1;
}

/** Absorbs `length` bytes of DATA into the message begun, and wipes them: 1, or 0 out of order. Time: lengths alone. */
export function hashAbsorb(length: u32): u32 {
  if (length > DATA_CAPACITY) return 0;
  if (phase === HASHING) absorbed = hashUpdate(HASH_CONTEXT, currentHash, absorbed, DATA, length);
  else if (phase === AUTHENTICATING) absorbed = hmacUpdate(HMAC_CONTEXT, currentHash, absorbed, DATA, length);
  else return 0;
  wipe(DATA, length);
  return 1;
}

/**
 * Writes the digest, or the MAC, of the message begun to HASH_DIGEST. A key stays for the next message.
 *
 * @returns 1, or 0 out of order
 *
 * Time: depends on the length of the message alone.
 */
export function hashEnd(): u32 {
  if (phase === HASHING) {
    hashFinal(HASH_DIGEST, HASH_CONTEXT, currentHash, absorbed);
    phase = NOTHING;
    return 1;
  }
  if (phase !== AUTHENTICATING) return 0;
  hmacFinal(HASH_DIGEST, HMAC_CONTEXT, currentHash, absorbed);
  phase = KEYED;
  return 1;
}

/** Hashes `length` bytes of DATA to HASH_DIGEST and wipes them: 1, or 0 out of range. Time: hash and length alone. */
export function hashOnce(hash: u32, length: u32): u32 {
  if (length > DATA_CAPACITY || hashBegin(hash) === 0) return 0;
  hashAbsorb(length);
  return hashEnd();
}

/**
 * Takes the key in DATA, and wipes it there.
 *
 * @param hash 1..=4, public
 * @param keyLength 0..=DATA_CAPACITY, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on hash and keyLength alone.
 */
export function hmacLoadKey(hash: u32, keyLength: u32): u32 {
  if (keyLength > DATA_CAPACITY || isHash(hash) === 0) return 0;
  hashWipe();
  hmacInit(HMAC_CONTEXT, hash, DATA, keyLength);
  wipe(DATA, keyLength);
  phase = KEYED;
  currentHash = hash;
  return 1;
}

/** Starts a message under the loaded key, for `hashAbsorb` and `hashEnd`: 1, or 0 without a key. Time: constant. */
export function hmacBegin(): u32 {
  if (phase < KEYED) return 0;
  absorbed = hmacStart(HMAC_CONTEXT, currentHash);
  phase = AUTHENTICATING;
  return 1;
}

/**
 * Authenticates a message: HASH_DIGEST ← its MAC under a key. Wipes both in DATA; the key stays until `hashWipe`.
 *
 * @param hash 1..=4, public
 * @param keyLength bytes of the key at the start of DATA, public
 * @param messageLength bytes of the message behind it, public; both together 0..=DATA_CAPACITY
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on hash and the lengths alone.
 */
export function hmacOnce(hash: u32, keyLength: u32, messageLength: u32): u32 {
  if (keyLength > DATA_CAPACITY || messageLength > DATA_CAPACITY - keyLength) return 0;
  if (hmacLoadKey(hash, keyLength) === 0) return 0;
  const start: u64 = hmacStart(HMAC_CONTEXT, hash);
  const message: usize = DATA + <usize>keyLength;
  absorbed = hmacUpdate(HMAC_CONTEXT, hash, start, message, messageLength);
  wipe(message, messageLength);
  hmacFinal(HASH_DIGEST, HMAC_CONTEXT, hash, absorbed);
  return 1;
}
