/**
 * AES key wrap without padding (RFC 3394) and with it (RFC 5649) as the host sees them. The key encryption key comes in
 * KEY, the data in DATA; results stay in DATA and everything else is wiped.
 *
 * DATA while a key is wrapped or unwrapped, in units of 8 bytes: [check][key, or its wrapped form …].
 */

import { encryptFourBlocks } from "../aes-gcm/aes";
import { expandKey, roundsOf } from "../aes-gcm/key-schedule";
import { lessMask32, zeroBit32 } from "../ct";
import {
  AES_KW_ROUND_KEYS,
  AES_KW_ROUND_KEYS_LENGTH,
  AES_KW_STATE,
  AES_KW_STATE_LENGTH,
  DATA,
  DATA_CAPACITY,
  KEY,
  KEY_LENGTH,
  wipe,
} from "../memory";
import { decryptFourBlocks } from "./aes-inverse";

// Division of AES_KW_STATE: four blocks, of which the first is worked on, and the planes of the cipher.
const BLOCK: usize = AES_KW_STATE;
const PLANES: usize = AES_KW_STATE + 64;

/** The check of RFC 3394, 2.2.3.1, and the upper half of that of RFC 5649, 3; both read the same in either byte order. */
const KW_CHECK: u64 = 0xa6a6a6a6a6a6a6a6;
const KWP_CHECK: u32 = 0xa65959a6;

const UNIT: u32 = 8;

/** Tells whether a key encryption key may have this length: 1 or 0. Time: public facts alone. */
function isKeyLength(length: u32): u32 {
  return length === 16 || length === 24 || length === 32 ? 1 : 0;
}

/** Wipes the round keys, the scratch and KEY. Time: constant. */
function wipeState(): void {
  wipe(KEY, KEY_LENGTH);
  wipe(AES_KW_STATE, AES_KW_STATE_LENGTH);
  wipe(AES_KW_ROUND_KEYS, AES_KW_ROUND_KEYS_LENGTH);
}

/** Wipes everything after arguments out of range; returns 0. Time: constant. */
function refuse(): u32 {
  wipeState();
  wipe(DATA, <usize>(DATA_CAPACITY + UNIT));
  return 0;
}

/**
 * Wraps the units behind the check, in place, and stores the check before them.
 *
 * @param length bytes of the units, a multiple of 8, at least 16, public
 * @param rounds 10, 12 or 14, public
 *
 * The check is in the first 8 bytes of BLOCK. Time: depends on length and rounds alone. Source: RFC 3394, 2.2.1.
 */
function wrapUnits(length: u32, rounds: u32): void {
  const end: usize = DATA + <usize>(UNIT + length);
  let step: u32 = 1;
  for (let pass: u32 = 0; pass < 6; ++pass) {
    for (let unit: usize = DATA + <usize>UNIT; unit < end; unit += <usize>UNIT) {
      store<u64>(BLOCK, load<u64>(unit), 8);
      encryptFourBlocks(BLOCK, AES_KW_ROUND_KEYS, rounds, PLANES);
      store<u32>(BLOCK, load<u32>(BLOCK, 4) ^ bswap<u32>(step), 4);
      store<u64>(unit, load<u64>(BLOCK, 8));
      ++step;
    }
  }
  store<u64>(DATA, load<u64>(BLOCK));
}

/**
 * Unwraps the units behind the check, in place; the check is left in the first 8 bytes of BLOCK.
 *
 * @param length bytes of the units, a multiple of 8, at least 16, public
 * @param rounds 10, 12 or 14, public
 *
 * Time: depends on length and rounds alone. Source: RFC 3394, 2.2.2.
 */
function unwrapUnits(length: u32, rounds: u32): void {
  store<u64>(BLOCK, load<u64>(DATA));
  let step: u32 = 6 * (length >> 3);
  for (let pass: u32 = 0; pass < 6; ++pass) {
    for (let unit: usize = DATA + <usize>length; unit > DATA; unit -= <usize>UNIT) {
      store<u32>(BLOCK, load<u32>(BLOCK, 4) ^ bswap<u32>(step), 4);
      store<u64>(BLOCK, load<u64>(unit), 8);
      decryptFourBlocks(BLOCK, AES_KW_ROUND_KEYS, rounds, PLANES);
      store<u64>(unit, load<u64>(BLOCK, 8));
      --step;
    }
  }
}

/**
 * Wraps a key: DATA ← wrapped form, 8 bytes longer than the key. Wipes KEY.
 *
 * @param kekLength bytes of the key encryption key in KEY, 16, 24 or 32, public
 * @param keyLength bytes of the key at DATA + 8, a multiple of 8, 16..=DATA_CAPACITY, public
 * @returns 1, or 0 where an argument is out of range, and DATA zeroed
 *
 * Time: depends on the lengths alone. Source: RFC 3394, 2.2.1.
 */
export function aesKwWrap(kekLength: u32, keyLength: u32): u32 {
  if (isKeyLength(kekLength) === 0) return refuse();
  if (keyLength < 2 * UNIT || keyLength > DATA_CAPACITY || (keyLength & 7) !== 0) return refuse();
  expandKey(AES_KW_ROUND_KEYS, KEY, kekLength, PLANES);
  store<u64>(BLOCK, KW_CHECK);
  wrapUnits(keyLength, roundsOf(kekLength));
  wipeState();
  return 1;
}

/**
 * Unwraps a key: DATA + 8 ← key, 8 bytes shorter than the wrapped form. Wipes KEY.
 *
 * @param kekLength bytes of the key encryption key in KEY, 16, 24 or 32, public
 * @param wrappedLength bytes of the wrapped form in DATA, a multiple of 8, 24..=DATA_CAPACITY + 8, public
 * @returns 1; or 0 where the check fails or an argument is out of range, and DATA zeroed
 *
 * Time: depends on the lengths and on the outcome, which is public. Source: RFC 3394, 2.2.2.
 */
export function aesKwUnwrap(kekLength: u32, wrappedLength: u32): u32 {
  if (isKeyLength(kekLength) === 0) return refuse();
  if (wrappedLength < 3 * UNIT || wrappedLength > DATA_CAPACITY + UNIT || (wrappedLength & 7) !== 0)
    return refuse();
  expandKey(AES_KW_ROUND_KEYS, KEY, kekLength, PLANES);
  unwrapUnits(wrappedLength - UNIT, roundsOf(kekLength));
  const difference: u64 = load<u64>(BLOCK) ^ KW_CHECK;
  const verified: u32 = zeroBit32(<u32>difference | <u32>(difference >> 32));
  wipeState();
  if (verified === 0) wipe(DATA, <usize>wrappedLength);
  return verified;
}

/**
 * Pads and wraps a key: DATA ← wrapped form, 8 bytes longer than the padded key. Wipes KEY.
 *
 * @param kekLength bytes of the key encryption key in KEY, 16, 24 or 32, public
 * @param keyLength bytes of the key at DATA + 8, 1..=DATA_CAPACITY, public
 * @returns the length of the wrapped form, or 0 where an argument is out of range, and DATA zeroed
 *
 * Time: depends on the lengths alone. Source: RFC 5649, 4.1.
 */
export function aesKwpWrap(kekLength: u32, keyLength: u32): u32 {
  if (isKeyLength(kekLength) === 0 || keyLength === 0 || keyLength > DATA_CAPACITY) return refuse();
  const padded: u32 = (keyLength + 7) & ~7;
  const rounds: u32 = roundsOf(kekLength);
  wipe(DATA + <usize>(UNIT + keyLength), <usize>(padded - keyLength));
  expandKey(AES_KW_ROUND_KEYS, KEY, kekLength, PLANES);
  store<u32>(BLOCK, KWP_CHECK);
  store<u32>(BLOCK, bswap<u32>(keyLength), 4);
  if (padded === UNIT) {
    store<u64>(BLOCK, load<u64>(DATA, 8), 8);
    encryptFourBlocks(BLOCK, AES_KW_ROUND_KEYS, rounds, PLANES);
    store<u64>(DATA, load<u64>(BLOCK));
    store<u64>(DATA, load<u64>(BLOCK, 8), 8);
  } else {
    wrapUnits(padded, rounds);
  }
  wipeState();
  return padded + UNIT;
}

/**
 * Unwraps a padded key: DATA + 8 ← key and its padding. Wipes KEY.
 *
 * @param kekLength bytes of the key encryption key in KEY, 16, 24 or 32, public
 * @param wrappedLength bytes of the wrapped form in DATA, a multiple of 8, 16..=DATA_CAPACITY + 8, public
 * @returns the length of the key; or 0 where a check fails or an argument is out of range, and DATA zeroed
 *
 * Time: depends on the lengths and on the outcome, which is public. Source: RFC 5649, 4.2.
 */
export function aesKwpUnwrap(kekLength: u32, wrappedLength: u32): u32 {
  if (isKeyLength(kekLength) === 0) return refuse();
  if (wrappedLength < 2 * UNIT || wrappedLength > DATA_CAPACITY + UNIT || (wrappedLength & 7) !== 0)
    return refuse();
  const padded: u32 = wrappedLength - UNIT;
  const rounds: u32 = roundsOf(kekLength);
  expandKey(AES_KW_ROUND_KEYS, KEY, kekLength, PLANES);
  if (padded === UNIT) {
    store<u64>(BLOCK, load<u64>(DATA));
    store<u64>(BLOCK, load<u64>(DATA, 8), 8);
    decryptFourBlocks(BLOCK, AES_KW_ROUND_KEYS, rounds, PLANES);
    store<u64>(DATA, load<u64>(BLOCK, 8), 8);
  } else {
    unwrapUnits(padded, rounds);
  }

  // All checks run whatever the others say: the constant, padding of 0 to 7 bytes, and zeros in it (RFC 5649, 3).
  const keyLength: u32 = bswap<u32>(load<u32>(BLOCK, 4));
  const padding: u32 = padded - keyLength;
  let difference: u32 = (load<u32>(BLOCK) ^ KWP_CHECK) | (padding >> 3);
  const last: usize = DATA + <usize>(wrappedLength - 1);
  for (let i: u32 = 0; i < 7; ++i) {
    difference |= <u32>load<u8>(last - <usize>i) & lessMask32(i, padding & 7);
  }
  const verified: u32 = zeroBit32(difference);
  wipeState();
  // The outcome is public, and with it the length of a key that is released.
  if (verified === 0) {
    wipe(DATA, <usize>wrappedLength);
    return 0;
  }
  return keyLength;
}
