/** Deterministic nonces for signatures (RFC 6979, 3.2), with additional input for hedged ones (3.6). */

import { digestLengthOf } from "../hash/hash";
import { hmacFinal, hmacInit, hmacStart, hmacUpdate } from "../hash/hmac";
import { HMAC_CONTEXT } from "../memory";
import { ECC_FIRST_KEYS } from "./memory";
import { bytesOfElement, elementOfBytes, isScalar } from "./scalar";
import { NONCE } from "./state";

// Division of NONCE: the key of the HMAC, then the value and what is authenticated behind it.
const KEY: usize = NONCE;
const VALUE: usize = NONCE + 64;

/** Authenticates `length` bytes from VALUE on under the key: out ← MAC. Time: hash and length alone. */
function authenticate(out: usize, hash: u32, length: u32): void {
  const absorbed: u64 = hmacUpdate(HMAC_CONTEXT, hash, hmacStart(HMAC_CONTEXT, hash), VALUE, length);
  hmacFinal(out, HMAC_CONTEXT, hash, absorbed);
}

/** Renews the key from the value, one byte and `length` bytes behind it, and the value from the key. Time: hash and length alone. */
function renew(hash: u32, separator: u8, length: u32): void {
  const digestLength: u32 = digestLengthOf(hash);
  store<u8>(VALUE + <usize>digestLength, separator);
  authenticate(KEY, hash, digestLength + 1 + length);
  hmacInit(HMAC_CONTEXT, hash, KEY, digestLength);
  authenticate(VALUE, hash, digestLength);
}

// Whether the states of the first key, which is zero, are there for a hash. These are public facts.
let firstKeys: u32 = 0;

/** Loads the key that every generator starts with, all zero bytes, which stands in KEY. Time: hash and what was signed before. */
function loadFirstKey(hash: u32, digestLength: u32): void {
  const states: usize = ECC_FIRST_KEYS + ((<usize>hash) << 7) - 128;
  if (((firstKeys >> hash) & 1) === 0) {
    hmacInit(HMAC_CONTEXT, hash, KEY, digestLength);
    memory.copy(states, HMAC_CONTEXT, 128);
    firstKeys |= 1 << hash;
  } else {
    memory.copy(HMAC_CONTEXT, states, 128);
  }
}

/**
 * Finds the nonce of a signature.
 *
 * @param out one element, 1 <= k < n, without carries
 * @param scalar the private key, one element without carries, secret
 * @param digest the digest modulo n, one element without carries
 * @param hash 1..=4, public
 * @param extra 32 bytes of additional input, secret; 0 for none
 *
 * Leaves secrets in NONCE and HMAC_CONTEXT. Time: depends on the hash, and on how many candidates are not below n, which
 * tells nothing of the one that is taken.
 */
export function findNonce<C>(out: usize, scalar: usize, digest: usize, hash: u32, extra: usize): void {
  const digestLength: u32 = digestLengthOf(hash);
  const behind: usize = VALUE + <usize>digestLength + 1;
  memory.fill(KEY, 0, <usize>digestLength);
  memory.fill(VALUE, 1, <usize>digestLength);
  bytesOfElement(behind, scalar);
  bytesOfElement(behind + 32, digest);
  let length: u32 = 64;
  if (extra !== 0) {
    memory.copy(behind + 64, extra, 32);
    length = 96;
  }
  loadFirstKey(hash, digestLength);
  renew(hash, 0, length);
  renew(hash, 1, length);
  while (true) {
    authenticate(VALUE, hash, digestLength);
    if (digestLength >= 32) {
      elementOfBytes(out, VALUE);
    } else {
      // Two values of SHA-1 make a candidate; the first 20 bytes of it are kept where the key's copy is no longer needed.
      memory.copy(KEY, VALUE, <usize>digestLength);
      authenticate(VALUE, hash, digestLength);
      memory.copy(KEY + <usize>digestLength, VALUE, <usize>(32 - digestLength));
      elementOfBytes(out, KEY);
    }
    if (isScalar<C>(out) !== 0) return;
    renew(hash, 0, 0);
  }
}
