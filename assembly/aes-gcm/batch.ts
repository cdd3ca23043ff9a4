/**
 * AES-GCM over many messages in one call. BATCH describes each in 32 bytes, all of them public:
 *
 *     0            12       14       16       20           24            28     30           31
 *     │ IV          │ stays │ before │ offset │ AAD length │ data length │ slot │ key length │ bulk │
 *
 * `stays` is 1 where all blocks of the AAD but the last are those of the message before, else 0; the outcome takes its place.
 * `before` is how many bytes in front of the data `gather` takes along. `offset` is where the data begin, from the base of the
 * region; the message lies there as gcm-simd.ts wants it. `bulk` is 0, or one more than the number of the key's tables for
 * long messages.
 * The vector builds encrypt the counter blocks of neighbours under one key in full groups; nothing is decrypted before
 * its own tag was verified.
 */

import {
  AAD,
  AES_GCM_BULK,
  AES_GCM_BULK_COUNT,
  AES_GCM_BULK_LENGTH,
  AES_GCM_CONTEXT_LENGTH,
  AES_GCM_CONTEXTS,
  AES_GCM_KEYSTREAM,
  BATCH,
  BATCH_CAPACITY,
  IV,
  WINDOW,
  WINDOW_LENGTH,
} from "../memory";
import { alignUp, endUnfinished, openWhole, sealWhole, TAG_LENGTH } from "./gcm";
import { hashEight, LANE_BLOCKS, LANES, STARTS, wipeLanes } from "./gcm-bulk";
import * as simd from "./gcm-simd";

const DESCRIPTION_LENGTH: usize = 32;
const RESULT: usize = 12;
/** What is to be known before the outcome is. */
const STAYS: usize = RESULT;
const BEFORE: usize = 14;
const OFFSET: usize = 16;
const AAD_LENGTH: usize = 20;
const DATA_LENGTH: usize = 24;
const KEY_FIELD: usize = 28;

/** Blocks of keystream that the scratch holds, but for one group. */
const RUN_BLOCKS: u32 = 512;

/** Returns the address of a description. Time: public facts alone. */
export function descriptionOf(index: u32): usize {
  return BATCH + DESCRIPTION_LENGTH * <usize>index;
}

/** Tells whether a description stays in a region of `capacity` bytes and names a key: 1 or 0. Time: public facts alone. */
export function isDescribed(description: usize, capacity: u32, contextCount: u32): u32 {
  const offset: u64 = load<u32>(description, OFFSET);
  const before: u64 = alignUp(load<u32>(description, AAD_LENGTH));
  const dataLength: u64 = load<u32>(description, DATA_LENGTH);
  const keyLength: u32 = load<u8>(description, KEY_FIELD + 2);
  if (keyLength !== 16 && keyLength !== 24 && keyLength !== 32) return 0;
  if (<u32>load<u16>(description, KEY_FIELD) >= contextCount) return 0;
  if (<u32>load<u8>(description, KEY_FIELD + 3) > AES_GCM_BULK_COUNT) return 0;
  if (<u64>load<u16>(description, BEFORE) > before) return 0;
  if ((offset & 15) !== 0 || <u64>load<u32>(description, AAD_LENGTH) > offset || before > offset) return 0;
  return offset + ((dataLength + 15) & ~15) + 16 <= <u64>capacity ? 1 : 0;
}

/** Returns the address of a context slot. @param slot public. Time: constant. */
export function contextOf(slot: u32): usize {
  return AES_GCM_CONTEXTS + AES_GCM_CONTEXT_LENGTH * <usize>slot;
}

/** Returns the address of bulk tables. @param bulk 0 for none, or their number plus one, public. Time: constant. */
export function bulkOf(bulk: u32): usize {
  return bulk === 0 ? 0 : AES_GCM_BULK + AES_GCM_BULK_LENGTH * <usize>(bulk - 1);
}

/** Works on one described message by itself. */
function single(description: usize, base: usize, sealing: bool): void {
  const context: usize = contextOf(load<u16>(description, KEY_FIELD));
  const bulk: usize = bulkOf(load<u8>(description, KEY_FIELD + 3));
  const keyLength: u32 = load<u8>(description, KEY_FIELD + 2);
  const data: usize = base + <usize>load<u32>(description, OFFSET);
  const aadLength: u32 = load<u32>(description, AAD_LENGTH);
  const dataLength: u32 = load<u32>(description, DATA_LENGTH);
  store<u64>(IV, load<u64>(description));
  store<u32>(IV, load<u32>(description, 8), 8);
  let result: u32 = 1;
  if (sealing) {
    sealWhole(context, keyLength, bulk, data, aadLength, dataLength, 0);
  } else {
    result = openWhole(context, keyLength, bulk, data, aadLength, dataLength);
  }
  store<u16>(description, <u16>result, RESULT);
}

/** Returns where the blocks to hash of a described message begin. Time: public facts alone. */
function hashStartOf(description: usize, base: usize): usize {
  return base + <usize>load<u32>(description, OFFSET) - alignUp(load<u32>(description, AAD_LENGTH));
}

/** Returns the number of blocks to hash of a described message. Time: public facts alone. */
function hashBlocksOf(description: usize): u32 {
  return simd.blocksOf(load<u32>(description, AAD_LENGTH)) + counterBlocksOf(description);
}

/** Returns the number of counter blocks of a described message, the tag's own included. Time: public facts alone. */
function counterBlocksOf(description: usize): u32 {
  return 1 + simd.blocksOf(load<u32>(description, DATA_LENGTH));
}

/**
 * Works on described messages first..last−1, which share a key and whose counter blocks fit the keystream scratch.
 *
 * Each message has its keystream in the scratch, the mask of its tag in front. The mask takes up the hash, and before that
 * the received tag, so that it ends as the tag to write or, where the tag is right, as zero.
 *
 * @param blocks counter blocks of all of them, public
 *
 * Time: depends on the descriptions and, when opening, on the outcomes, which are public.
 */
function run(base: usize, first: usize, last: usize, blocks: u32, sealing: bool): void {
  simd.useKey(
    contextOf(load<u16>(first, KEY_FIELD)),
    load<u8>(first, KEY_FIELD + 2),
    bulkOf(load<u8>(first, KEY_FIELD + 3)),
  );
  let keystream: usize = AES_GCM_KEYSTREAM;
  for (let each: usize = first; each < last; each += DESCRIPTION_LENGTH) {
    const count: u32 = counterBlocksOf(each);
    simd.writeCounterBlocks(keystream, each, 1, count);
    keystream += 16 * <usize>count;
  }
  simd.encryptScratch(blocks);

  keystream = AES_GCM_KEYSTREAM;
  for (let each: usize = first; each < last; each += DESCRIPTION_LENGTH) {
    const data: usize = base + <usize>load<u32>(each, OFFSET);
    const aadLength: u32 = load<u32>(each, AAD_LENGTH);
    const dataLength: u32 = load<u32>(each, DATA_LENGTH);
    if (sealing) {
      simd.addKeystream(data, keystream + 16, dataLength);
    } else {
      simd.addBlock(keystream, data + <usize>dataLength);
      simd.padBlock(data, dataLength);
    }
    simd.padBlock(hashStartOf(each, base), aadLength);
    simd.storeLengths(data + alignUp(dataLength), aadLength, dataLength);
    keystream += 16 * <usize>counterBlocksOf(each);
  }

  hashRun(base, first, last);

  keystream = AES_GCM_KEYSTREAM;
  for (let each: usize = first; each < last; each += DESCRIPTION_LENGTH) {
    const data: usize = base + <usize>load<u32>(each, OFFSET);
    const dataLength: u32 = load<u32>(each, DATA_LENGTH);
    const dataBlocks: u32 = simd.blocksOf(dataLength);
    v128.store(data + 16 * <usize>dataBlocks, i64x2(0, 0));
    let result: u32 = 1;
    if (sealing) {
      v128.store(data + <usize>dataLength, v128.load(keystream));
    } else {
      result = simd.isZeroBlock(keystream);
      if (result !== 0) {
        simd.addKeystream(data, keystream + 16, dataLength);
      } else {
        simd.wipeBlocks(data, dataBlocks);
      }
    }
    store<u16>(each, <u16>result, RESULT);
    keystream += 16 + 16 * <usize>dataBlocks;
  }
  simd.wipeScratch(blocks);
  wipeLanes();
}

/** Tells whether a message shares AAD with the one before in its run: 1 or 0. Time: public facts alone. */
function staysOf(each: usize, first: usize): u32 {
  if (each === first || load<u16>(each, STAYS) === 0) return 0;
  return load<u32>(each, AAD_LENGTH) === load<u32>(each - DESCRIPTION_LENGTH, AAD_LENGTH) ? 1 : 0;
}

/**
 * Returns how many blocks of AAD a message shares with its neighbours, having hashed them to SHARED_HASH where they are
 * those of the next ones but not of the one before.
 *
 * @param shared what this function returned for the message before, public; 0 for the first
 *
 * Time: depends on the descriptions alone.
 */
function shareHash(base: usize, each: usize, first: usize, last: usize, shared: u32): u32 {
  if (shared !== 0 && staysOf(each, first) !== 0) return shared;
  const next: usize = each + DESCRIPTION_LENGTH;
  const blocks: u32 = simd.blocksOf(load<u32>(each, AAD_LENGTH));
  if (blocks < 2 || next >= last || staysOf(next, first) === 0) return 0;
  v128.store(simd.ACCUMULATOR, i64x2(0, 0));
  simd.absorb(hashStartOf(each, base), blocks - 1);
  v128.store(simd.SHARED_HASH, v128.load(simd.ACCUMULATOR));
  return blocks - 1;
}

/**
 * Writes to STARTS where eight messages begin, behind the blocks that they share, if they have `count` blocks each from there
 * on and all or none of them share: 1, else 0.
 *
 * Time: public facts alone.
 */
function findEight(base: usize, each: usize, first: usize, last: usize, shared: u32, count: u32): u32 {
  if (count > LANE_BLOCKS || each + 8 * DESCRIPTION_LENGTH > last) return 0;
  for (let i: usize = 0; i < 8; ++i) {
    const one: usize = each + i * DESCRIPTION_LENGTH;
    if (hashBlocksOf(one) - shared !== count) return 0;
    if (i !== 0 && staysOf(one, first) !== (shared !== 0 ? 1 : 0)) return 0;
    store<u32>(STARTS + 4 * i, <u32>(hashStartOf(one, base) + 16 * <usize>shared));
  }
  return 1;
}

/**
 * Adds the hash of each message of a run to the mask of its tag: eight messages of equal length at once where the key has
 * tables for that.
 *
 * Time: depends on the descriptions alone.
 */
function hashRun(base: usize, first: usize, last: usize): void {
  let mask: usize = AES_GCM_KEYSTREAM;
  let each: usize = first;
  let shared: u32 = 0;
  const set: usize = bulkOf(load<u8>(first, KEY_FIELD + 3));
  while (each < last) {
    shared = shareHash(base, each, first, last, shared);
    const begin: usize = shared !== 0 ? simd.SHARED_HASH : 0;
    const count: u32 = hashBlocksOf(each) - shared;
    if (set !== 0 && findEight(base, each, first, last, shared, count) !== 0) {
      hashEight(set, count, begin);
      for (let lane: usize = 0; lane < 8; ++lane) {
        simd.addBlock(mask, LANES + 16 * lane);
        mask += 16 * <usize>counterBlocksOf(each);
        each += DESCRIPTION_LENGTH;
      }
    } else {
      v128.store(simd.ACCUMULATOR, begin !== 0 ? v128.load(begin) : i64x2(0, 0));
      simd.absorb(hashStartOf(each, base) + 16 * <usize>shared, count);
      simd.addBlock(mask, simd.ACCUMULATOR);
      mask += 16 * <usize>counterBlocksOf(each);
      each += DESCRIPTION_LENGTH;
    }
  }
}

/**
 * Seals or opens the described messages, each in place; writes 1 or 0 to the result of each.
 *
 * @param base start of the region that offsets count from
 * @param count descriptions, all of them valid, public
 * @param sealing public
 *
 * Time: depends on the descriptions and, when opening, on the outcomes, which are public.
 */
export function workOnBatch(base: usize, count: u32, sealing: bool): void {
  endUnfinished();
  const end: usize = descriptionOf(count);
  let first: usize = BATCH;
  while (first < end) {
    if (ASC_FEATURE_SIMD) {
      const key: u32 = load<u32>(first, KEY_FIELD);
      let last: usize = first;
      let blocks: u32 = 0;
      while (last < end && load<u32>(last, KEY_FIELD) === key) {
        const more: u32 = 1 + simd.blocksOf(load<u32>(last, DATA_LENGTH));
        if (blocks + more > RUN_BLOCKS) break;
        blocks += more;
        last += DESCRIPTION_LENGTH;
      }
      if (last > first + DESCRIPTION_LENGTH) {
        run(base, first, last, blocks, sealing);
        first = last;
        continue;
      }
    }
    single(first, base, sealing);
    first += DESCRIPTION_LENGTH;
  }
}

/** Copies exactly `length` bytes upwards. @param length public. Time: depends on length alone. */
function copyBytes(to: usize, from: usize, length: u32): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= <usize>length; i += 16) v128.store(to + i, v128.load(from + i));
  }
  for (; i + 8 <= <usize>length; i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < <usize>length; ++i) store<u8>(to + i, load<u8>(from + i));
}

/**
 * Moves sealed messages together: from the base on lies, of each, what is before its data as its description says, ciphertext
 * and tag.
 *
 * @param base start of the region that offsets count from
 * @param count descriptions, all of them valid, public
 * @returns 1, or 0 at the first message that does not lie behind all that those before it are moved to
 *
 * Time: depends on the descriptions alone.
 */
export function gather(base: usize, count: u32): u32 {
  let to: usize = base;
  for (let i: u32 = 0; i < count; ++i) {
    const description: usize = descriptionOf(i);
    const before: u32 = load<u16>(description, BEFORE);
    const from: usize = base + <usize>load<u32>(description, OFFSET) - <usize>before;
    if (from < to) return 0;
    const length: u32 = before + load<u32>(description, DATA_LENGTH) + TAG_LENGTH;
    copyBytes(to, from, length);
    to += <usize>length;
  }
  return 1;
}

/**
 * Seals or opens packed records of iv ‖ aad ‖ data; the results lie end to end at `out`. When opening, a byte of 1 or 0 a
 * record is written to AAD. Records are laid out in WINDOW, some at a time; WINDOW and the records are wiped.
 *
 * @param slot a loaded context, public
 * @param keyLength the length it was loaded with, public
 * @param bulk 0 for none, or the number of the key's tables plus one, public
 * @param out results; may lie before the records by 4 bytes a record or more
 * @param records count records, secret; the results may overwrite them
 * @param count public
 * @param aadLength public
 * @param dataLength without the tag, public; a message fits in WINDOW
 * @param sealing public
 *
 * Time: depends on the shape and, when opening, on the outcomes, which are public.
 */
export function workOnPacked(
  slot: u32,
  keyLength: u32,
  bulk: u32,
  out: usize,
  records: usize,
  count: u32,
  aadLength: u32,
  dataLength: u32,
  sealing: bool,
): void {
  const aadRoom: u32 = <u32>alignUp(aadLength);
  const stride: u32 = messageLength(aadLength, dataLength);
  const perWindow: u32 = min<u32>(BATCH_CAPACITY, WINDOW_LENGTH / stride);
  const inLength: u32 = sealing ? dataLength : dataLength + TAG_LENGTH;
  const outLength: u32 = sealing ? dataLength + TAG_LENGTH : dataLength;
  let from: usize = records;
  let to: usize = out;
  let verdict: usize = AAD;
  for (let done: u32 = 0; done < count; done += perWindow) {
    const some: u32 = min<u32>(perWindow, count - done);
    for (let i: u32 = 0; i < some; ++i) {
      const description: usize = descriptionOf(i);
      const message: usize = WINDOW + <usize>(i * stride);
      store<u64>(description, load<u64>(from));
      store<u32>(description, load<u32>(from, 8), 8);
      store<u32>(description, 0, STAYS);
      store<u32>(description, i * stride + aadRoom, OFFSET);
      store<u32>(description, aadLength, AAD_LENGTH);
      store<u32>(description, dataLength, DATA_LENGTH);
      store<u32>(description, slot | (keyLength << 16) | (bulk << 24), KEY_FIELD);
      copyBytes(message, from + 12, aadLength);
      copyBytes(message + <usize>aadRoom, from + 12 + <usize>aadLength, inLength);
      from += 12 + <usize>(aadLength + inLength);
    }
    workOnBatch(WINDOW, some, sealing);
    for (let i: u32 = 0; i < some; ++i) {
      copyBytes(to, WINDOW + <usize>(i * stride + aadRoom), outLength);
      to += <usize>outLength;
      if (!sealing) {
        store<u8>(verdict, load<u8>(descriptionOf(i), RESULT));
        verdict += 1;
      }
    }
  }
  memory.fill(WINDOW, 0, min<u32>(count, perWindow) * stride);
  // What is left of the records behind the results.
  if (from > to) memory.fill(to, 0, from - to);
}

/** Returns the bytes that a message takes when laid out. Time: public facts alone. */
export function messageLength(aadLength: u32, dataLength: u32): u32 {
  return <u32>(alignUp(aadLength) + alignUp(dataLength)) + 16;
}
