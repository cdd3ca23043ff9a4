/**
 * What batches, and in the plain build long messages, use beyond a key context. A set is built when a key needs it first.
 *
 * A set: tables of H^8 … H^1 for the hash of eight streams, 1440 bytes each; in the plain build also those of H^16, H^24 and H^32,
 * and the round keys of bitsliced AES for up to 15 rounds, 256 bytes each. With relaxed SIMD the hash of one stream is
 * as quick for a single message.
 */

import { AES_GCM_LANES } from "../memory";
import { expandKeyBitsliced } from "./generated/aes-bitsliced";
import { absorbLanes, buildLaneTable, layOutLanes } from "./generated/ghash-karatsuba";
import { absorbUpToEight } from "./generated/ghash-permute";
import { roundsOf } from "./key-schedule";

const LANE_TABLE_LENGTH: usize = 1440;
const POWER_16: usize = 8 * LANE_TABLE_LENGTH;
const POWER_24: usize = 9 * LANE_TABLE_LENGTH;
const POWER_32: usize = 10 * LANE_TABLE_LENGTH;
/** Where the round keys of bitsliced AES begin in a set. */
export const BITSLICED_KEYS: usize = 11 * LANE_TABLE_LENGTH;

// Division of AES_GCM_LANES.
/** A block for each of eight streams. */
export const LANES: usize = AES_GCM_LANES;
const POWERS: usize = AES_GCM_LANES + 128;
const SUMS: usize = AES_GCM_LANES + 160;
const FACTORS: usize = AES_GCM_LANES + 736;
const FACTORS_LENGTH: usize = 144;
/** Eight blocks. */
const COPIES: usize = AES_GCM_LANES + 3040;
/** Bytes of AES_GCM_LANES in use. */
const IN_USE: usize = 3040 + 128;

/** Where the hash of a batch finds the addresses of its eight messages, 4 bytes each, public. */
export const STARTS: usize = COPIES;

/** Most blocks of a message that the eight-stream hash takes in batches. */
export const LANE_BLOCKS: u32 = 8;

/** Blocks that the eight streams absorb together: four each. */
const STRIDE: u32 = 32;

/** From how many blocks on a long run is absorbed in streams. */
export const STREAM_BLOCKS: u32 = STRIDE + 8;

/** Wipes the scratch of this file. Time: constant. */
export function wipeLanes(): void {
  for (let at: usize = 0; at < IN_USE; at += 16) v128.store(AES_GCM_LANES + at, i64x2(0, 0));
}

/**
 * Builds a set.
 *
 * @param set AES_GCM_BULK_LENGTH bytes, out
 * @param context a context from `loadKey`, secret
 * @param powerTables its tables of H^8 … H^1, secret
 * @param keyLength the length it was loaded with, public
 *
 * Time: depends on keyLength alone.
 */
export function loadBulk(set: usize, context: usize, powerTables: usize, keyLength: u32): void {
  wipeLanes();
  for (let power: usize = 8; power > 0; --power) {
    readPower(COPIES, powerTables, power);
    buildLaneTable(set + (8 - power) * LANE_TABLE_LENGTH, COPIES);
  }
  if (ASC_FEATURE_RELAXED_SIMD) {
    wipeLanes();
    return;
  }
  // H^(8n) = H^(8n − 8) · H^8: the hash of one power and of seven zero blocks after it.
  readPower(LANES, powerTables, 8);
  for (let table: usize = POWER_16; table <= POWER_32; table += LANE_TABLE_LENGTH) {
    v128.store(COPIES, i64x2(0, 0));
    absorbUpToEight(LANES, powerTables, COPIES, 8);
    buildLaneTable(set + table, LANES);
  }
  wipeLanes();
  expandKeyBitsliced(set + BITSLICED_KEYS, context, roundsOf(keyLength));
}

/** Reads a power of H from its tables: what a byte of x^0 alone gives. @param power 1..=8, public. Time: constant. */
function readPower(out: usize, powerTables: usize, power: usize): void {
  const table: usize = powerTables + (8 - power) * 512;
  for (let byte: usize = 0; byte < 16; ++byte) store<u8>(out + byte, load<u8>(table + 32 * byte + 8));
}

/**
 * Absorbs a long run in eight streams, and joins them in the next 8 blocks.
 *
 * @param accumulator 16 bytes in GCM order, secret; in and out
 * @param powerTables tables of H^8 … H^1, secret
 * @param set from `loadBulk`, secret
 * @param blocks 16 · count bytes, may be secret; only read
 * @param count STREAM_BLOCKS or more, public
 * @returns blocks absorbed: at most STRIDE − 1 are left
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.4.
 */
export function absorbStreams(
  accumulator: usize,
  powerTables: usize,
  set: usize,
  blocks: usize,
  count: u32,
): u32 {
  store<u32>(POWERS, <u32>(set + POWER_32));
  store<u32>(POWERS, <u32>(set + POWER_24), 4);
  store<u32>(POWERS, <u32>(set + POWER_16), 8);
  store<u32>(POWERS, <u32>set, 12);
  v128.store(LANES, v128.load(accumulator));
  for (let i: usize = 16; i < 128; i += 16) v128.store(LANES + i, i64x2(0, 0));
  let at: usize = blocks;
  let done: u32 = 0;
  while (count - done >= STRIDE + 8) {
    for (let group: usize = 0; group < 8; ++group) {
      // The first block of each stream takes up what the stream holds.
      const lanes: usize = group < 2 ? LANES + 64 * group : 0;
      layOutLanes(FACTORS + FACTORS_LENGTH * group, at, at + 16, at + 32, at + 48, lanes);
      at += 64;
    }
    absorbLanes(LANES, SUMS, FACTORS, POWERS, 4);
    done += STRIDE;
  }
  for (let i: usize = 0; i < 128; i += 16) {
    v128.store(COPIES + i, v128.xor(v128.load(at + i), v128.load(LANES + i)));
  }
  v128.store(accumulator, i64x2(0, 0));
  absorbUpToEight(accumulator, powerTables, COPIES, 8);
  wipeLanes();
  return done + 8;
}

/**
 * Hashes eight messages of equal length, a stream each: LANES ← the hashes. The caller wipes.
 *
 * @param set from `loadBulk`, secret; STARTS holds the addresses of the messages, which may be secret and are only read
 * @param count blocks of each, 1..=LANE_BLOCKS, public
 * @param begin 16 bytes that the blocks before these hash to, secret; or 0 where there are none
 *
 * Time: depends on count and on whether there is a beginning, which is public. Source: SP 800-38D, 6.4.
 */
export function hashEight(set: usize, count: u32, begin: usize): void {
  let factors: usize = FACTORS;
  if (begin !== 0) {
    const hash = v128.load(begin);
    for (let i: usize = 0; i < 128; i += 16) v128.store(LANES + i, hash);
  }
  for (let i: usize = 0; i < <usize>count; ++i) {
    const at: usize = 16 * i;
    store<u32>(POWERS + 4 * i, <u32>(set + (8 - <usize>count + i) * LANE_TABLE_LENGTH));
    for (let four: usize = STARTS; four < STARTS + 32; four += 16) {
      layOutLanes(
        factors,
        at + <usize>load<u32>(four),
        at + <usize>load<u32>(four, 4),
        at + <usize>load<u32>(four, 8),
        at + <usize>load<u32>(four, 12),
        // The first block of each takes up what it begins with; four streams, all alike.
        i === 0 && begin !== 0 ? LANES : 0,
      );
      factors += FACTORS_LENGTH;
    }
  }
  absorbLanes(LANES, SUMS, FACTORS, POWERS, count);
}
