/**
 * AES-GCM (SP 800-38D) with 12-byte IVs and 16-byte tags over the fixed arena: one message at a time, whole or in chunks.
 *
 * Order of calls: start, absorbAad…, then either encrypt… and writeTag, or authenticate…, verify and decrypt….
 * Nothing is decrypted before the tag of the whole message was verified; the phase enforces that.
 * Module variables hold public facts alone; secrets live in AES_GCM_STATE and in the key context.
 */

import { equalBit } from "../ct";
import {
  AES_GCM_KEYSTREAM,
  AES_GCM_KEYSTREAM_LENGTH,
  AES_GCM_STATE,
  AES_GCM_STATE_LENGTH,
  IV,
  KEY,
  KEY_LENGTH,
  wipe,
} from "../memory";
import { encryptFourBlocks } from "./aes";
import { GROUP_LENGTH } from "./bitslice";
import * as simd from "./gcm-simd";
import { absorbBlocks, prepareHashKey } from "./ghash-ctmul";
import { expandKey, roundsOf } from "./key-schedule";

/** Length of the tag. */
export const TAG_LENGTH: u32 = 16;

// A key context: round keys for up to 15 rounds, then the hash key.
const HASH_KEY_OFFSET: usize = 15 * 64;

// Division of AES_GCM_STATE.
const ACCUMULATOR: usize = AES_GCM_STATE;
const TAG_MASK: usize = AES_GCM_STATE + 16;
const BLOCK: usize = AES_GCM_STATE + 32;
const KEYSTREAM: usize = AES_GCM_STATE + 64;
const PLANES: usize = AES_GCM_STATE + 128;

/** Most bytes of one message: 2^36 − 32 (SP 800-38D, 5.2.1.1), where the 32-bit counter ends. */
const MESSAGE_LIMIT: u64 = 68719476704;

const PHASE_IDLE: u32 = 0;
const PHASE_AAD: u32 = 1;
const PHASE_ENCRYPT: u32 = 2;
const PHASE_AUTHENTICATE: u32 = 3;
const PHASE_DECRYPT: u32 = 4;

/** One of the phases above; a literal, because a name would need a start function. */
let phase: u32 = 0;
let context: usize = 0;
let rounds: u32 = 0;
let aadTotal: u64 = 0;
let dataTotal: u64 = 0;
/** Bytes still to decrypt after verification. */
let decryptLeft: u64 = 0;
/** Number of the next four counter blocks; group g holds counters 4g + 1 to 4g + 4. */
let nextGroup: u32 = 0;
/** Bytes of KEYSTREAM that are used up. */
let keystreamUsed: u32 = 0;

/**
 * Builds a key context from the key in KEY and wipes KEY.
 *
 * @param keyContext AES_GCM_CONTEXT_LENGTH bytes, out
 * @param keyLength 16, 24 or 32, public
 *
 * Time: depends on keyLength alone. Source: SP 800-38D, 7.1, step 1.
 */
export function loadKey(keyContext: usize, keyLength: u32): void {
  if (ASC_FEATURE_SIMD) {
    simd.loadKey(keyContext, keyLength);
    phase = PHASE_IDLE;
    return;
  }
  expandKey(keyContext, KEY, keyLength, PLANES);
  wipe(KEY, KEY_LENGTH);
  wipe(KEYSTREAM, GROUP_LENGTH);
  encryptFourBlocks(KEYSTREAM, keyContext, roundsOf(keyLength), PLANES);
  prepareHashKey(keyContext + HASH_KEY_OFFSET, KEYSTREAM);
  end();
}

/** Forgets the message in progress and wipes the state. Time: constant. */
export function end(): void {
  wipe(AES_GCM_STATE, AES_GCM_STATE_LENGTH);
  if (ASC_FEATURE_SIMD) {
    wipe(AES_GCM_KEYSTREAM, AES_GCM_KEYSTREAM_LENGTH);
    simd.forgetKept();
  }
  phase = PHASE_IDLE;
}

/** Forgets a message that was begun in steps and not ended; what comes next uses its state. Time: public facts alone. */
export function endUnfinished(): void {
  if (phase !== PHASE_IDLE) end();
}

/**
 * Fills KEYSTREAM with the next four encrypted counter blocks.
 *
 * Time: depends on the number of rounds alone. Source: SP 800-38D, 6.5.
 */
function refillKeystream(): void {
  const first: u32 = 4 * nextGroup + 1;
  for (let i: u32 = 0; i < 4; ++i) {
    const block: usize = KEYSTREAM + 16 * <usize>i;
    store<u64>(block, load<u64>(IV));
    store<u32>(block, load<u32>(IV, 8), 8);
    store<u32>(block, bswap<u32>(first + i), 12);
  }
  encryptFourBlocks(KEYSTREAM, context, rounds, PLANES);
  nextGroup += 1;
  keystreamUsed = 0;
}

/**
 * Begins a message under the IV in IV, which must stay until the end.
 *
 * @param keyContext a context from `loadKey`, secret; must stay until the end
 * @param keyLength the length it was loaded with, public
 * @param bulk tables of the same key for long messages, secret; or 0
 *
 * Time: depends on keyLength alone. Source: SP 800-38D, 7.1, steps 2 and 3.
 */
export function start(keyContext: usize, keyLength: u32, bulk: usize): void {
  end();
  if (ASC_FEATURE_SIMD) simd.useKey(keyContext, keyLength, bulk);
  context = keyContext;
  rounds = roundsOf(keyLength);
  aadTotal = 0;
  dataTotal = 0;
  rewind();
  phase = PHASE_AAD;
}

/** Returns to the first counter block, whose keystream masks the tag. Time: depends on the number of rounds alone. */
function rewind(): void {
  if (ASC_FEATURE_SIMD) {
    simd.makeKeystream(IV, 1, 1);
    v128.store(TAG_MASK, v128.load(AES_GCM_KEYSTREAM));
    simd.wipeBlocks(AES_GCM_KEYSTREAM, 4);
    return;
  }
  nextGroup = 0;
  refillKeystream();
  memory.copy(TAG_MASK, KEYSTREAM, TAG_LENGTH);
  keystreamUsed = TAG_LENGTH;
}

/**
 * Absorbs bytes into the hash, padded with zeros to whole blocks.
 *
 * @param address length bytes, may be secret; the vector builds zero what follows them in their last block
 * @param length public
 *
 * Time: depends on length alone. Source: SP 800-38D, 7.1, step 5.
 */
function absorbPadded(address: usize, length: u32): void {
  if (ASC_FEATURE_SIMD) {
    simd.padBlock(address, length);
    simd.absorb(address, simd.blocksOf(length));
    return;
  }
  const hashKey: usize = context + HASH_KEY_OFFSET;
  const whole: u32 = length >> 4;
  absorbBlocks(ACCUMULATOR, hashKey, address, whole);
  const rest: u32 = length & 15;
  if (rest !== 0) {
    wipe(BLOCK, 16);
    memory.copy(BLOCK, address + 16 * <usize>whole, rest);
    absorbBlocks(ACCUMULATOR, hashKey, BLOCK, 1);
  }
}

/**
 * Adds keystream to bytes.
 *
 * @param address length bytes, secret; in and out; the vector builds zero what follows them in their last block
 * @param length public
 * @param before bytes of data before, a multiple of 16, public
 *
 * Time: depends on length alone. Source: SP 800-38D, 6.5.
 */
function addKeystream(address: usize, length: u32, before: u64): void {
  if (ASC_FEATURE_SIMD) {
    simd.crypt(IV, 2 + <u32>(before >> 4), address, length);
    return;
  }
  let done: u32 = 0;
  while (done < length) {
    if (keystreamUsed === <u32>GROUP_LENGTH) refillKeystream();
    const count: u32 = min<u32>(length - done, <u32>GROUP_LENGTH - keystreamUsed);
    xorBytes(address + <usize>done, KEYSTREAM + <usize>keystreamUsed, count);
    keystreamUsed += count;
    done += count;
  }
}

/**
 * Adds one byte string to another: target ← target + source.
 *
 * @param target length bytes, secret; in and out
 * @param source length bytes, secret; must not overlap target
 * @param length public
 *
 * Time: depends on length alone.
 */
function xorBytes(target: usize, source: usize, length: u32): void {
  let i: usize = 0;
  for (; i + 8 <= <usize>length; i += 8) {
    store<u64>(target + i, load<u64>(target + i) ^ load<u64>(source + i));
  }
  for (; i < <usize>length; ++i) {
    store<u8>(target + i, load<u8>(target + i) ^ load<u8>(source + i));
  }
}

/**
 * Absorbs a chunk of AAD. Every chunk but the last is a multiple of 16 bytes.
 *
 * @param address length bytes, public; only read
 * @param length public
 * @returns 1, or 0 where the call is out of order
 *
 * Time: depends on length alone. Source: SP 800-38D, 7.1, step 5.
 */
export function absorbAad(address: usize, length: u32): u32 {
  if (phase !== PHASE_AAD || (aadTotal & 15) !== 0) return 0;
  aadTotal += length;
  absorbPadded(address, length);
  return 1;
}

/** Tells whether a message is in a data phase or may enter it: 1 or 0. Time: public facts alone. */
function mayBeIn(dataPhase: u32): u32 {
  return phase === PHASE_AAD || phase === dataPhase ? 1 : 0;
}

/** Moves on to a data phase if `length` more bytes are in order there: 1, else 0. Time: public facts alone. */
function enterDataPhase(dataPhase: u32, length: u32): u32 {
  if (mayBeIn(dataPhase) === 0) return 0;
  if ((dataTotal & 15) !== 0 || dataTotal + length > MESSAGE_LIMIT) return 0;
  phase = dataPhase;
  dataTotal += length;
  return 1;
}

/**
 * Encrypts a chunk in place and absorbs it. Every chunk but the last is a multiple of 16 bytes.
 *
 * @param address length bytes, secret in, ciphertext out
 * @param length public
 * @returns 1, or 0 (and the chunk zeroed) where the call is out of order or the message too long
 *
 * Time: depends on length alone. Source: SP 800-38D, 7.1, steps 3 and 5.
 */
export function encrypt(address: usize, length: u32): u32 {
  if (enterDataPhase(PHASE_ENCRYPT, length) === 0) {
    wipe(address, length);
    return 0;
  }
  addKeystream(address, length, dataTotal - length);
  absorbPadded(address, length);
  return 1;
}

/**
 * Absorbs a chunk of ciphertext. Every chunk but the last is a multiple of 16 bytes.
 *
 * @param address length bytes, public; only read
 * @param length public
 * @returns 1, or 0 where the call is out of order or the message too long
 *
 * Time: depends on length alone. Source: SP 800-38D, 7.2, step 6.
 */
export function authenticate(address: usize, length: u32): u32 {
  if (enterDataPhase(PHASE_AUTHENTICATE, length) === 0) return 0;
  absorbPadded(address, length);
  return 1;
}

/**
 * Completes the hash and masks it: BLOCK ← tag.
 *
 * Time: constant. Source: SP 800-38D, 7.1, steps 5 and 6.
 */
function computeTag(): void {
  if (ASC_FEATURE_SIMD) {
    simd.storeLengths(BLOCK, aadTotal, dataTotal);
    simd.absorb(BLOCK, 1);
    v128.store(BLOCK, v128.xor(v128.load(ACCUMULATOR), v128.load(TAG_MASK)));
    return;
  }
  store<u64>(BLOCK, bswap<u64>(aadTotal << 3));
  store<u64>(BLOCK, bswap<u64>(dataTotal << 3), 8);
  absorbBlocks(ACCUMULATOR, context + HASH_KEY_OFFSET, BLOCK, 1);
  store<u64>(BLOCK, bswap<u64>(load<u64>(ACCUMULATOR)));
  store<u64>(BLOCK, bswap<u64>(load<u64>(ACCUMULATOR, 8)), 8);
  xorBytes(BLOCK, TAG_MASK, TAG_LENGTH);
}

/**
 * Writes the tag of an encrypted message and ends it.
 *
 * @param tag 16 bytes, out; zeroed on failure
 * @returns 1, or 0 where the call is out of order
 *
 * Time: constant. Source: SP 800-38D, 7.1, step 7.
 */
export function writeTag(tag: usize): u32 {
  if (mayBeIn(PHASE_ENCRYPT) === 0) {
    wipe(tag, TAG_LENGTH);
    return 0;
  }
  computeTag();
  memory.copy(tag, BLOCK, TAG_LENGTH);
  end();
  return 1;
}

/**
 * Compares the tag of an authenticated message with the one received. Decryption is open only after a 1.
 *
 * @param tag 16 bytes, public; only read
 * @returns 1 if they are equal; 0 if not, or where the call is out of order, and the state is wiped
 *
 * Time: constant up to the outcome, which is public. Source: SP 800-38D, 7.2, step 8.
 */
export function verify(tag: usize): u32 {
  if (mayBeIn(PHASE_AUTHENTICATE) === 0) {
    end();
    return 0;
  }
  computeTag();
  const equal: u32 = equalBit(tag, BLOCK, TAG_LENGTH);
  // The computed tag of a forged message would be the answer to the forger's question.
  wipe(BLOCK, 16);
  if (equal === 0) {
    end();
    return 0;
  }
  decryptLeft = dataTotal;
  phase = PHASE_DECRYPT;
  return 1;
}

/**
 * Decrypts the next chunk of a verified message in place; ends the message after its last byte. Every chunk but the last
 * is a multiple of 16 bytes.
 *
 * @param address length bytes, ciphertext in, secret out
 * @param length public
 * @returns 1, or 0 (and the chunk zeroed) where the message is not verified or shorter, or the call out of order
 *
 * Time: depends on length alone. Source: SP 800-38D, 7.2, step 5.
 */
export function decrypt(address: usize, length: u32): u32 {
  if (phase !== PHASE_DECRYPT || <u64>length > decryptLeft || ((dataTotal - decryptLeft) & 15) !== 0) {
    wipe(address, length);
    return 0;
  }
  addKeystream(address, length, dataTotal - decryptLeft);
  decryptLeft -= length;
  if (decryptLeft === 0) end();
  return 1;
}

/**
 * Seals a whole message in place under the IV in IV: data ← ciphertext ‖ tag. Abandons a message in progress.
 *
 * @param keyContext a context from `loadKey`, secret
 * @param keyLength the length it was loaded with, public
 * @param bulk tables of the same key for long messages, secret; or 0
 * @param data dataLength bytes, secret in, out; AAD padded to blocks ends before it; room for whole blocks and one more
 * @param aadLength public
 * @param dataLength public
 * @param aadStays 1 where all blocks of the AAD but the last are those of the message before, public; the base build does
 *   not care
 *
 * Time: depends on the lengths and what was kept, which is public. Source: SP 800-38D, 7.1.
 */
export function sealWhole(
  keyContext: usize,
  keyLength: u32,
  bulk: usize,
  data: usize,
  aadLength: u32,
  dataLength: u32,
  aadStays: u32,
): void {
  if (ASC_FEATURE_SIMD) {
    phase = PHASE_IDLE;
    simd.useKey(keyContext, keyLength, bulk);
    simd.sealMessage(IV, data, aadLength, dataLength, aadStays);
    return;
  }
  start(keyContext, keyLength, 0);
  absorbAad(data - alignUp(aadLength), aadLength);
  encrypt(data, dataLength);
  writeTag(data + <usize>dataLength);
}

/**
 * Opens a whole message in place under the IV in IV: data ← plaintext, the bytes of the tag zeroed. Abandons a message in
 * progress.
 *
 * @param keyContext a context from `loadKey`, secret
 * @param keyLength the length it was loaded with, public
 * @param bulk tables of the same key for long messages, secret; or 0
 * @param data ciphertext ‖ tag in; AAD padded to blocks ends before it; room for whole blocks and one more
 * @param aadLength public
 * @param dataLength bytes of ciphertext, public
 * @returns 1; or 0 where the tag is wrong, and data and tag are zeroed
 *
 * Time: depends on the lengths and on the outcome, which is public. Source: SP 800-38D, 7.2.
 */
export function openWhole(
  keyContext: usize,
  keyLength: u32,
  bulk: usize,
  data: usize,
  aadLength: u32,
  dataLength: u32,
): u32 {
  if (ASC_FEATURE_SIMD) {
    phase = PHASE_IDLE;
    simd.useKey(keyContext, keyLength, bulk);
    return simd.openMessage(IV, data, aadLength, dataLength);
  }
  const tag: usize = data + <usize>dataLength;
  start(keyContext, keyLength, 0);
  absorbAad(data - alignUp(aadLength), aadLength);
  authenticate(data, dataLength);
  const verified: u32 = verify(tag);
  if (verified !== 0) {
    decrypt(data, dataLength);
    wipe(tag, TAG_LENGTH);
  } else {
    wipe(data, dataLength + TAG_LENGTH);
  }
  return verified;
}

/** Rounds a length up to whole blocks. Time: public facts alone. */
export function alignUp(length: u32): usize {
  return (<usize>length + 15) & ~15;
}
