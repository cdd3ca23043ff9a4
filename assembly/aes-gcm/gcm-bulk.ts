/**
 * What batches, and in the plain build long messages, use beyond a key context. A set is built when a key needs it first.
 *
 * A set: tables of H^8 … H^1 for the hash of four streams, 1440 bytes each; in the plain build also those of H^16 and H^12,
 * and the round keys of bitsliced AES for up to 15 rounds, 256 bytes each. With relaxed SIMD the hash of one stream is
 * quicker than that of four.
 */

import { AES_GCM_LANES } from "../memory";
import { expandKeyBitsliced } from "./generated/aes-bitsliced";
import { absorbLanes, buildLaneTable, layOutLanes } from "./generated/ghash-karatsuba";
import { absorbUpToEight } from "./generated/ghash-permute";
import { roundsOf } from "./key-schedule";

const LANE_TABLE_LENGTH: usize = 1440;
const POWER_16: usize = 8 * LANE_TABLE_LENGTH;
const POWER_12: usize = 9 * LANE_TABLE_LENGTH;
/** Where the round keys of bitsliced AES begin in a set. */
export const BITSLICED_KEYS: usize = 10 * LANE_TABLE_LENGTH;

// Division of AES_GCM_LANES.
/** A block for each stream. */
export const LANES: usize = AES_GCM_LANES;
const POWERS: usize = AES_GCM_LANES + 64;
const SUMS: usize = AES_GCM_LANES + 96;
const FACTORS: usize = AES_GCM_LANES + 384;
const FACTORS_LENGTH: usize = 144;
/** Eight blocks. */
const COPIES: usize = AES_GCM_LANES + 1536;
/** Bytes of AES_GCM_LANES in use. */
const IN_USE: usize = 1536 + 128;

/** Most blocks of a message that the four-stream hash takes in batches. */
export const LANE_BLOCKS: u32 = 8;

/** Blocks that the four streams absorb together: four each. */
const STRIDE: u32 = 16;

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
  // H^12 = H^8 · H^4 and H^16 = H^8 · H^8: the hash of H^8 and of zero blocks after it.
  readPower(LANES, powerTables, 8);
  v128.store(COPIES, i64x2(0, 0));
  v128.store(POWERS, v128.load(LANES));
  absorbUpToEight(POWERS, powerTables, COPIES, 4);
  buildLaneTable(set + POWER_12, POWERS);
  v128.store(POWERS, v128.load(LANES));
  absorbUpToEight(POWERS, powerTables, COPIES, 8);
  buildLaneTable(set + POWER_16, POWERS);
  wipeLanes();
  expandKeyBitsliced(set + BITSLICED_KEYS, context, roundsOf(keyLength));
}

/** Reads a power of H from its tables: what a byte of x^0 alone gives. @param power 1..=8, public. Time: constant. */
function readPower(out: usize, powerTables: usize, power: usize): void {
  const table: usize = powerTables + (8 - power) * 512;
  for (let byte: usize = 0; byte < 16; ++byte) store<u8>(out + byte, load<u8>(table + 32 * byte + 8));
}

/**
 * Absorbs all but the last 4 to 7 blocks or more of a long run in four streams, and joins the streams in the next 8.
 *
 * @param accumulator 16 bytes in GCM order, secret; in and out
 * @param powerTables tables of H^8 … H^1, secret
 * @param set from `loadBulk`, secret
 * @param blocks 16 · count bytes, may be secret; only read
 * @param count 24 or more, public
 * @returns blocks absorbed
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
  store<u32>(POWERS, <u32>(set + POWER_16));
  store<u32>(POWERS, <u32>(set + POWER_12), 4);
  store<u32>(POWERS, <u32>set, 8);
  store<u32>(POWERS, <u32>(set + 4 * LANE_TABLE_LENGTH), 12);
  v128.store(LANES, v128.load(accumulator));
  v128.store(LANES, i64x2(0, 0), 16);
  v128.store(LANES, i64x2(0, 0), 32);
  v128.store(LANES, i64x2(0, 0), 48);
  let at: usize = blocks;
  let done: u32 = 0;
  while (count - done >= STRIDE + 8) {
    for (let group: usize = 0; group < 4; ++group) {
      const lanes: usize = group === 0 ? LANES : 0;
      layOutLanes(FACTORS + FACTORS_LENGTH * group, at, at + 16, at + 32, at + 48, lanes);
      at += 64;
    }
    absorbLanes(LANES, SUMS, FACTORS, POWERS, 4);
    done += STRIDE;
  }
  for (let i: usize = 0; i < 64; i += 16) {
    v128.store(COPIES + i, v128.xor(v128.load(at + i), v128.load(LANES + i)));
    v128.store(COPIES + i, v128.load(at + i, 64), 64);
  }
  v128.store(accumulator, i64x2(0, 0));
  absorbUpToEight(accumulator, powerTables, COPIES, 8);
  wipeLanes();
  return done + 8;
}

/**
 * Hashes four messages of equal length, a stream each: LANES ← the hashes. The caller wipes.
 *
 * @param set from `loadBulk`, secret
 * @param message0 16 · count bytes, may be secret; only read; message1 to message3 alike
 * @param count 1..=LANE_BLOCKS, public
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.4.
 */
export function hashFour(
  set: usize,
  message0: usize,
  message1: usize,
  message2: usize,
  message3: usize,
  count: u32,
): void {
  for (let i: usize = 0; i < <usize>count; ++i) {
    const at: usize = 16 * i;
    store<u32>(POWERS + 4 * i, <u32>(set + (8 - <usize>count + i) * LANE_TABLE_LENGTH));
    layOutLanes(FACTORS + FACTORS_LENGTH * i, message0 + at, message1 + at, message2 + at, message3 + at, 0);
  }
  absorbLanes(LANES, SUMS, FACTORS, POWERS, count);
}
