/** The inverse AES cipher (FIPS 197, 5.3) on four blocks at a time, bitsliced like the forward one. */

import { addRoundKey } from "../aes-gcm/aes";
import { GROUP_LENGTH, sliceBlocks, unsliceBlocks } from "../aes-gcm/bitslice";
import { inverseSubBytes } from "./sbox-inverse";

/**
 * Rotates row r of every block back by r columns.
 *
 * @param planes 64 bytes, secret; in and out
 *
 * Time: constant. Source: FIPS 197, 5.3.1.
 */
function inverseShiftRows(planes: usize): void {
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    const x: u64 = load<u64>(planes + i);
    store<u64>(
      planes + i,
      (x & 0x000000000000ffff) |
        ((x & 0x000000000fff0000) << 4) |
        ((x & 0x00000000f0000000) >> 12) |
        ((x & 0x0000ff0000000000) >> 8) |
        ((x & 0x000000ff00000000) << 8) |
        ((x & 0x000f000000000000) << 12) |
        ((x & 0xfff0000000000000) >> 4),
    );
  }
}

/**
 * Undoes the mixing of the columns.
 *
 * The inverse is the forward map after a ← a + 4·(a + a two rows on). Fourfold moves plane b to b + 2 and folds planes 6
 * and 7; the forward map is that of `mixColumnsAddRoundKey` without a key.
 *
 * @param planes 64 bytes, secret; in and out
 *
 * Time: constant. Source: FIPS 197, 5.3.3; {0b}x³ + {0d}x² + {09}x + {0e} is ({03}x³ + x² + x + {02}) · ({04}x² + {05})
 * modulo x⁴ + 1.
 */
function inverseMixColumns(planes: usize): void {
  let sum: u64 = load<u64>(planes, 48);
  const sixth: u64 = sum ^ rotr<u64>(sum, 32);
  sum = load<u64>(planes, 56);
  const seventh: u64 = sum ^ rotr<u64>(sum, 32);
  // The two sums below the plane at hand.
  let first: u64 = seventh;
  let second: u64 = sixth;
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    const a: u64 = load<u64>(planes + i);
    // Twice 7 folds into 0, 1, 3 and 4, then once more into 1, 2, 4 and 5. The tests are on the public index.
    let fourfold: u64 = second;
    if (i === 8) fourfold ^= sixth;
    if (i === 16) fourfold ^= seventh;
    if (i === 24) fourfold ^= sixth;
    if (i === 32) fourfold ^= sixth ^ seventh;
    if (i === 40) fourfold ^= seventh;
    second = first;
    first = a ^ rotr<u64>(a, 32);
    store<u64>(planes + i, a ^ fourfold);
  }

  const top: u64 = load<u64>(planes, 56);
  const fold: u64 = top ^ rotr<u64>(top, 16);
  let lower: u64 = fold;
  for (let i: usize = 0; i < GROUP_LENGTH; i += 8) {
    const a: u64 = load<u64>(planes + i);
    const next: u64 = rotr<u64>(a, 16);
    const pair: u64 = a ^ next;
    const folded: u64 = i === 8 || i === 24 || i === 32 ? fold : 0;
    store<u64>(planes + i, lower ^ folded ^ next ^ rotr<u64>(pair, 32));
    lower = pair;
  }
}

/**
 * Decrypts four blocks.
 *
 * @param blocks 64 bytes, secret; in and out
 * @param roundKeys 64 · (rounds + 1) bytes from `expandKey`, secret
 * @param rounds 10, 12 or 14, public
 * @param planes 64 bytes of scratch; left holding secrets; must not overlap the others
 *
 * Time: depends on rounds alone. Source: FIPS 197, 5.3, algorithm 3.
 */
export function decryptFourBlocks(blocks: usize, roundKeys: usize, rounds: u32, planes: usize): void {
  assert(rounds === 10 || rounds === 12 || rounds === 14);
  sliceBlocks(planes, blocks);
  addRoundKey(planes, roundKeys + GROUP_LENGTH * <usize>rounds);
  for (let round: usize = <usize>rounds - 1; round > 0; --round) {
    inverseShiftRows(planes);
    inverseSubBytes(planes);
    addRoundKey(planes, roundKeys + GROUP_LENGTH * round);
    inverseMixColumns(planes);
  }
  inverseShiftRows(planes);
  inverseSubBytes(planes);
  addRoundKey(planes, roundKeys);
  unsliceBlocks(blocks, planes);
}
