/** The AES cipher (FIPS 197, 5.1) on four blocks at a time, bitsliced over 64-bit words. Encryption only: GCM needs no more. */

import { GROUP_LENGTH, sliceBlocks, unsliceBlocks } from "./bitslice";
import { subBytes } from "./sbox-bitsliced";

/**
 * Adds a round key.
 *
 * @param planes 64 bytes, secret; in and out
 * @param roundKey 64 bytes, secret; must not overlap planes
 *
 * Time: constant. Source: FIPS 197, 5.1.4.
 */
export function addRoundKey(planes: usize, roundKey: usize): void {
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    store<u64>(planes + i, load<u64>(planes + i) ^ load<u64>(roundKey + i));
  }
}

/**
 * Rotates row r of every block by r columns.
 *
 * @param planes 64 bytes, secret; in and out
 *
 * Time: constant. Source: FIPS 197, 5.1.2.
 */
function shiftRows(planes: usize): void {
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    const x: u64 = load<u64>(planes + i);
    store<u64>(
      planes + i,
      (x & 0x000000000000ffff) |
        ((x & 0x00000000fff00000) >> 4) |
        ((x & 0x00000000000f0000) << 12) |
        ((x & 0x0000ff0000000000) >> 8) |
        ((x & 0x000000ff00000000) << 8) |
        ((x & 0xf000000000000000) >> 12) |
        ((x & 0x0fff000000000000) << 4),
    );
  }
}

/**
 * Mixes the four bytes of every column and adds the round key.
 *
 * With a the row and a' the next one, the new row is 2·(a + a') + a' + (a + a') two rows on. Doubling moves plane b to
 * b + 1 and folds plane 7 into planes 0, 1, 3 and 4.
 *
 * @param planes 64 bytes, secret; in and out
 * @param roundKey 64 bytes, secret; must not overlap planes
 *
 * Time: constant. Source: FIPS 197, 5.1.3 and 5.1.4.
 */
function mixColumnsAddRoundKey(planes: usize, roundKey: usize): void {
  const top: u64 = load<u64>(planes, 56);
  const fold: u64 = top ^ rotr<u64>(top, 16);
  let lower: u64 = fold;
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    const a: u64 = load<u64>(planes + i);
    const next: u64 = rotr<u64>(a, 16);
    const sum: u64 = a ^ next;
    // Planes 1, 3 and 4 take the fold; plane 0 has it as its lower neighbour. The test is on the public index.
    const folded: u64 = i === 8 || i === 24 || i === 32 ? fold : 0;
    store<u64>(planes + i, lower ^ folded ^ next ^ rotr<u64>(sum, 32) ^ load<u64>(roundKey + i));
    lower = sum;
  }
}

/**
 * Encrypts four blocks.
 *
 * @param blocks 64 bytes, secret; in and out
 * @param roundKeys 64 · (rounds + 1) bytes from `expandKey`, secret
 * @param rounds 10, 12 or 14, public
 * @param planes 64 bytes of scratch; left holding secrets; must not overlap the others
 *
 * Time: depends on rounds alone. Source: FIPS 197, 5.1, algorithm 1.
 */
export function encryptFourBlocks(blocks: usize, roundKeys: usize, rounds: u32, planes: usize): void {
  assert(rounds === 10 || rounds === 12 || rounds === 14);
  sliceBlocks(planes, blocks);
  addRoundKey(planes, roundKeys);
  const lastKey: usize = roundKeys + GROUP_LENGTH * <usize>rounds;
  for (let roundKey: usize = roundKeys + GROUP_LENGTH; roundKey < lastKey; roundKey += GROUP_LENGTH) {
    subBytes(planes);
    shiftRows(planes);
    mixColumnsAddRoundKey(planes, roundKey);
  }
  subBytes(planes);
  shiftRows(planes);
  addRoundKey(planes, lastKey);
  unsliceBlocks(blocks, planes);
}
