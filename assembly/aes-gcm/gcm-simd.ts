/**
 * AES-GCM (SP 800-38D) with 12-byte IVs and 16-byte tags over vectors: key contexts and whole messages.
 *
 * A message lies as [AAD padded][data padded][one block more], so that the hash is one run of blocks. AES works from
 * scratch to scratch in groups and never writes to a message; keystream is then added to the bytes of the message.
 * Nothing is decrypted before the tag of the whole message was verified.
 * Module variables hold public facts alone; secrets live in AES_GCM_STATE, AES_GCM_KEYSTREAM and in the key context.
 */

import { zeroBit64 } from "../ct";
import { AES_GCM_KEYSTREAM, AES_GCM_STATE, AES_GCM_STATE_LENGTH, KEY, KEY_LENGTH, wipe } from "../memory";
import { absorbStreams, BITSLICED_KEYS, loadBulk, STREAM_BLOCKS } from "./gcm-bulk";
import { encryptBlocks32 } from "./generated/aes-bitsliced";
import { encryptBlocks4, encryptBlocks16, encryptCounters4 } from "./generated/aes-permute";
import { absorbUpToEight, buildPowerTable } from "./generated/ghash-permute";
import { roundsOf } from "./key-schedule";
import { expandKeyPermute } from "./key-schedule-permute";

/** Length of the tag. */
export const TAG_LENGTH: u32 = 16;

// A key context: round keys for up to 15 rounds, the hash of AAD that stays, then the tables of H^8 … H^1.
const KEPT_HASH: usize = 1008;
export const POWER_TABLES: usize = 1024;
const POWER_TABLE_LENGTH: usize = 512;

// Division of AES_GCM_STATE.
/** GHASH accumulator in GCM order. */
export const ACCUMULATOR: usize = AES_GCM_STATE;
/** The encrypted first counter block. */
const TAG_MASK: usize = AES_GCM_STATE + 16;
/** Of a batch, whose masks lie elsewhere: the hash of AAD that its messages share. */
export const SHARED_HASH: usize = TAG_MASK;
/** The computed tag. */
const COMPUTED: usize = AES_GCM_STATE + 32;
const RECEIVED: usize = AES_GCM_STATE + 48;
const POWERS: usize = AES_GCM_STATE + 64;

/** From how many blocks on a group of 16 is one group rather than some of 4. */
const WIDE_BLOCKS: i32 = 13;

/** From how many blocks on a group of 32 is bitsliced rather than cut into groups of 4. */
const BITSLICED_BLOCKS: i32 = 25;

/** Blocks of keystream made at a time; the scratch has room for one group more. */
const WINDOW_BLOCKS: u32 = 128;

// The key in use: its context, the number of its rounds, and its tables for long messages or 0.
let context: usize = 0;
let rounds: u32 = 0;
let bulk: usize = 0;

/** The context that holds the hash of AAD that stays, or 0 for none, and the number of blocks it is of. */
let keptContext: usize = 0;
let keptBlocks: u32 = 0;

/** Lets the AAD of the next message be absorbed anew. Time: constant. */
export function forgetKept(): void {
  keptContext = 0;
}

/**
 * Chooses the key of the messages to come.
 *
 * @param keyContext a context from `loadKey`, secret
 * @param keyLength the length it was loaded with, public
 * @param bulkTables tables from `loadBulk` of the same key, secret; or 0
 *
 * Time: constant.
 */
export function useKey(keyContext: usize, keyLength: u32, bulkTables: usize): void {
  context = keyContext;
  rounds = roundsOf(keyLength);
  bulk = bulkTables;
}

/** Sixteen bytes of ones, then sixteen of zeros: a mask of n leading bytes lies at offset 16 − n. */
const MASKS: usize = memory.data<u8>(
  [
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
  ],
  16,
);

/** Returns the number of blocks that hold `length` bytes. Time: public facts alone. */
export function blocksOf(length: u32): u32 {
  return (length >> 4) + ((length & 15) !== 0 ? 1 : 0);
}

/**
 * Zeroes the bytes of the last, incomplete block of a message part behind its end.
 *
 * @param address length bytes and room up to a whole block, in and out
 * @param length public
 *
 * Time: depends on length alone.
 */
export function padBlock(address: usize, length: u32): void {
  const rest: u32 = length & 15;
  if (rest === 0) return;
  const last: usize = address + <usize>(length - rest);
  v128.store(last, v128.and(v128.load(last), v128.load(MASKS + <usize>(16 - rest))));
}

/** Overwrites whole blocks with zeros. @param count public. Time: depends on count alone. */
export function wipeBlocks(address: usize, count: u32): void {
  const end: usize = address + 16 * <usize>count;
  for (let block: usize = address; block < end; block += 16) v128.store(block, i64x2(0, 0));
}

/**
 * Absorbs blocks: accumulator ← GHASH with the blocks before.
 *
 * @param blocks 16 · count bytes, may be secret; only read
 * @param count public
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.4.
 */
export function absorb(blocks: usize, count: u32): void {
  let left: u32 = count;
  let at: usize = blocks;
  if (!ASC_FEATURE_RELAXED_SIMD && bulk !== 0 && left >= STREAM_BLOCKS) {
    const done: u32 = absorbStreams(ACCUMULATOR, context + POWER_TABLES, bulk, at, left);
    at += 16 * <usize>done;
    left -= done;
  }
  while (left !== 0) {
    const group: u32 = min<u32>(left, 8);
    absorbUpToEight(ACCUMULATOR, context + POWER_TABLES, at, group);
    at += 16 * <usize>group;
    left -= group;
  }
}

/**
 * Fills the keystream scratch with encrypted counter blocks.
 *
 * @param iv 12 bytes of 16, public
 * @param counter counter of the first block, public
 * @param count 1..=WINDOW_BLOCKS, public; up to 31 blocks more are written
 *
 * Time: depends on rounds and count alone. Source: SP 800-38D, 6.5.
 */
export function makeKeystream(iv: usize, counter: u32, count: u32): void {
  let left: i32 = <i32>count;
  let out: usize = AES_GCM_KEYSTREAM;
  let next: u32 = counter;
  if (!ASC_FEATURE_RELAXED_SIMD && bulk !== 0 && left >= BITSLICED_BLOCKS) {
    writeCounterBlocks(out, iv, next, <u32>left);
    for (; left >= BITSLICED_BLOCKS; left -= 32) {
      encryptBlocks32(out, bulk + BITSLICED_KEYS, rounds);
      out += 512;
      next += 32;
    }
  }
  if (ASC_FEATURE_RELAXED_SIMD && left >= WIDE_BLOCKS) {
    writeCounterBlocks(out, iv, next, <u32>left);
    for (; left >= WIDE_BLOCKS; left -= 16) {
      encryptBlocks16(out, context, rounds, out);
      out += 256;
      next += 16;
    }
  }
  for (; left > 0; left -= 4) {
    encryptCounters4(out, context, rounds, iv, next);
    out += 64;
    next += 4;
  }
}

/**
 * Writes counter blocks.
 *
 * @param out 16 · count bytes, out
 * @param iv 12 bytes of 16, public
 * @param counter counter of the first block, public
 * @param count public
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.5.
 */
export function writeCounterBlocks(out: usize, iv: usize, counter: u32, count: u32): void {
  const block = v128.load(iv);
  for (let i: u32 = 0; i < count; ++i) {
    v128.store(out + 16 * <usize>i, i32x4.replace_lane(block, 3, bswap<u32>(counter + i)));
  }
}

/**
 * Encrypts the blocks in the keystream scratch in place.
 *
 * @param count 1..=512, public; up to 31 blocks more are written
 *
 * Time: depends on rounds and count alone. Source: FIPS 197, 5.1.
 */
export function encryptScratch(count: u32): void {
  let left: i32 = <i32>count;
  let at: usize = AES_GCM_KEYSTREAM;
  if (!ASC_FEATURE_RELAXED_SIMD && bulk !== 0) {
    for (; left >= BITSLICED_BLOCKS; left -= 32) {
      encryptBlocks32(at, bulk + BITSLICED_KEYS, rounds);
      at += 512;
    }
  }
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (; left >= WIDE_BLOCKS; left -= 16) {
      encryptBlocks16(at, context, rounds, at);
      at += 256;
    }
  }
  for (; left > 0; left -= 4) {
    encryptBlocks4(at, context, rounds, at);
    at += 64;
  }
}

/**
 * Adds keystream to bytes of a message; the bytes behind its end, up to a whole block, become zero.
 *
 * @param address length bytes and room up to a whole block, in and out
 * @param keystream length bytes, up to a whole block read, secret
 * @param length public
 *
 * Time: depends on length alone.
 */
export function addKeystream(address: usize, keystream: usize, length: u32): void {
  const end: usize = address + <usize>length;
  let source: usize = keystream;
  for (let block: usize = address; block < end; block += 16) {
    v128.store(block, v128.xor(v128.load(block), v128.load(source)));
    source += 16;
  }
  padBlock(address, length);
}

/**
 * Adds the keystream of a whole message, of which the first window is in the scratch behind the tag mask.
 *
 * @param data length bytes and room up to a whole block, in and out
 * @param length public
 *
 * Time: depends on rounds and length alone. Source: SP 800-38D, 6.5.
 */
function cryptMessage(iv: usize, data: usize, length: u32): void {
  const first: u32 = min<u32>(length, 16 * (WINDOW_BLOCKS - 1));
  addKeystream(data, AES_GCM_KEYSTREAM + 16, first);
  crypt(iv, WINDOW_BLOCKS + 1, data + <usize>first, length - first);
}

/**
 * Adds keystream from a given counter on.
 *
 * @param counter counter of the first block, public
 * @param data length bytes and room up to a whole block, in and out
 * @param length public
 *
 * Time: depends on rounds and length alone. Source: SP 800-38D, 6.5.
 */
export function crypt(iv: usize, counter: u32, data: usize, length: u32): void {
  let next: u32 = counter;
  let at: usize = data;
  let left: u32 = length;
  while (left !== 0) {
    const part: u32 = min<u32>(left, 16 * WINDOW_BLOCKS);
    makeKeystream(iv, next, blocksOf(part));
    addKeystream(at, AES_GCM_KEYSTREAM, part);
    next += WINDOW_BLOCKS;
    at += <usize>part;
    left -= part;
  }
}

/** Stores the block of both lengths in bits. @param aadLength @param dataLength bytes, public. Time: constant. */
export function storeLengths(block: usize, aadLength: u64, dataLength: u64): void {
  store<u64>(block, bswap<u64>(aadLength << 3));
  store<u64>(block, bswap<u64>(dataLength << 3), 8);
}

/**
 * Hashes a message that lies in one run and masks the hash: COMPUTED ← tag.
 *
 * @param data where the data begins; AAD, padding and data before and after it, padded
 * @param aadStays 1 where all blocks of the AAD but the last are those of the message before, public
 *
 * Time: depends on the lengths alone. Source: SP 800-38D, 7.1, steps 4 to 6.
 */
function computeTag(data: usize, aadLength: u32, dataLength: u32, aadStays: u32): void {
  const aadBlocks: u32 = blocksOf(aadLength);
  const dataBlocks: u32 = blocksOf(dataLength);
  const aad: usize = data - 16 * <usize>aadBlocks;
  padBlock(aad, aadLength);
  storeLengths(data + 16 * <usize>dataBlocks, aadLength, dataLength);
  const kept: u32 = aadStays !== 0 && aadBlocks > 1 ? aadBlocks - 1 : 0;
  startHash(aad, kept);
  absorb(aad + 16 * <usize>kept, aadBlocks - kept + dataBlocks + 1);
  v128.store(COMPUTED, v128.xor(v128.load(ACCUMULATOR), v128.load(TAG_MASK)));
}

/**
 * Begins a hash with blocks that are absorbed once and kept with the key from then on: ACCUMULATOR ← their hash.
 *
 * @param blocks 16 · count bytes, only read
 * @param count public; 0 for a hash that begins with nothing, after which nothing is kept
 *
 * Time: depends on count and on whether the blocks were absorbed before, which is public.
 */
function startHash(blocks: usize, count: u32): void {
  if (count !== 0 && keptContext === context && keptBlocks === count) {
    v128.store(ACCUMULATOR, v128.load(context + KEPT_HASH));
    return;
  }
  v128.store(ACCUMULATOR, i64x2(0, 0));
  keptContext = 0;
  if (count === 0) return;
  absorb(blocks, count);
  v128.store(context + KEPT_HASH, v128.load(ACCUMULATOR));
  keptContext = context;
  keptBlocks = count;
}

/** Wipes the scratch of a message whose keystream filled `blocks` blocks. Time: depends on blocks alone. */
export function wipeScratch(blocks: u32): void {
  wipeBlocks(AES_GCM_KEYSTREAM, blocks + (bulk !== 0 ? 31 : 15));
  wipeBlocks(AES_GCM_STATE, 6);
}

/**
 * Seals a message in place: data ← ciphertext ‖ tag.
 *
 * @param iv 12 bytes of 16, public
 * @param data dataLength bytes, secret in, out; AAD padded to blocks ends before it; room for whole blocks and one more
 * @param aadLength public
 * @param dataLength public
 * @param aadStays 1 where all blocks of the AAD but the last are those of the message before, public
 *
 * Time: depends on rounds, the lengths and what was kept, which is public. Source: SP 800-38D, 7.1.
 */
export function sealMessage(iv: usize, data: usize, aadLength: u32, dataLength: u32, aadStays: u32): void {
  const blocks: u32 = 1 + blocksOf(dataLength);
  makeKeystream(iv, 1, min<u32>(blocks, WINDOW_BLOCKS));
  v128.store(TAG_MASK, v128.load(AES_GCM_KEYSTREAM));
  cryptMessage(iv, data, dataLength);
  computeTag(data, aadLength, dataLength, aadStays);
  v128.store(data + 16 * <usize>(blocks - 1), i64x2(0, 0));
  v128.store(data + <usize>dataLength, v128.load(COMPUTED));
  wipeScratch(min<u32>(blocks, WINDOW_BLOCKS));
}

/**
 * Opens a message in place: data ← plaintext, the bytes of the tag zeroed.
 *
 * @param iv 12 bytes of 16, public
 * @param data ciphertext ‖ tag; AAD padded to blocks ends before it; room for whole blocks and one more
 * @param aadLength public
 * @param dataLength bytes of ciphertext, public
 * @returns 1; or 0 where the tag is wrong, and data and tag are zeroed
 *
 * Time: depends on rounds, the lengths and the outcome, which is public. Source: SP 800-38D, 7.2.
 */
export function openMessage(iv: usize, data: usize, aadLength: u32, dataLength: u32): u32 {
  const blocks: u32 = 1 + blocksOf(dataLength);
  const last: usize = data + 16 * <usize>(blocks - 1);
  makeKeystream(iv, 1, min<u32>(blocks, WINDOW_BLOCKS));
  v128.store(TAG_MASK, v128.load(AES_GCM_KEYSTREAM));
  v128.store(RECEIVED, v128.load(data + <usize>dataLength));
  padBlock(data, dataLength);
  computeTag(data, aadLength, dataLength, 0);
  v128.store(last, i64x2(0, 0));
  addBlock(COMPUTED, RECEIVED);
  const equal: u32 = isZeroBlock(COMPUTED);
  if (equal !== 0) {
    cryptMessage(iv, data, dataLength);
  } else {
    wipeBlocks(data, blocks);
  }
  wipeScratch(min<u32>(blocks, WINDOW_BLOCKS));
  return equal;
}

/** Adds a block: target ← target + source. @param target 16 bytes @param source 16 bytes. Time: constant. */
export function addBlock(target: usize, source: usize): void {
  v128.store(target, v128.xor(v128.load(target), v128.load(source)));
}

/** Tells whether a block is zero: 1 or 0. @param block 16 bytes, secret. Time: constant. */
export function isZeroBlock(block: usize): u32 {
  const bits = v128.load(block);
  return zeroBit64(i64x2.extract_lane(bits, 0) | i64x2.extract_lane(bits, 1));
}

/**
 * Builds a key context from the key in KEY and wipes KEY.
 *
 * @param keyContext 5,120 bytes, out
 * @param keyLength 16, 24 or 32, public
 *
 * Time: depends on keyLength alone. Source: SP 800-38D, 7.1, step 1.
 */
export function loadKey(keyContext: usize, keyLength: u32): void {
  forgetKept();
  expandKeyPermute(keyContext, KEY, keyLength);
  wipe(KEY, KEY_LENGTH);
  wipeBlocks(AES_GCM_KEYSTREAM, 4);
  encryptBlocks4(AES_GCM_KEYSTREAM, keyContext, roundsOf(keyLength), AES_GCM_KEYSTREAM);
  const tables: usize = keyContext + POWER_TABLES;
  v128.store(POWERS, v128.load(AES_GCM_KEYSTREAM));
  buildPowerTable(tables + 7 * POWER_TABLE_LENGTH, POWERS);
  for (let power: usize = 2; power <= 8; ++power) {
    // H^power = H^(power − 1) · H: one block, absorbed into an empty accumulator.
    v128.store(ACCUMULATOR, i64x2(0, 0));
    absorbUpToEight(ACCUMULATOR, tables, POWERS, 1);
    v128.store(POWERS, v128.load(ACCUMULATOR));
    buildPowerTable(tables + (8 - power) * POWER_TABLE_LENGTH, POWERS);
  }
  wipeBlocks(AES_GCM_KEYSTREAM, 4);
  wipe(AES_GCM_STATE, AES_GCM_STATE_LENGTH);
}

/**
 * Builds the tables of a key for long messages and batches.
 *
 * @param set AES_GCM_BULK_LENGTH bytes, out
 * @param keyContext a context from `loadKey`, secret
 * @param keyLength the length it was loaded with, public
 *
 * Time: depends on keyLength alone.
 */
export function loadBulkOf(set: usize, keyContext: usize, keyLength: u32): void {
  loadBulk(set, keyContext, keyContext + POWER_TABLES, keyLength);
  wipe(AES_GCM_STATE, AES_GCM_STATE_LENGTH);
}
