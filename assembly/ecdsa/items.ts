/** Divides an item of ECC_ITEMS: what the host writes and reads, and what a batch keeps of an item between its passes. */

import { ECC_ITEM_LENGTH, ECC_ITEMS } from "./memory";

/** Private key, 32 bytes; or the public point, x and y of 32 bytes each. */
export const ITEM_KEY: usize = 0;
/** The leading 32 bytes of the digest. */
export const ITEM_DIGEST: usize = 64;
/** r ‖ s, 64 bytes; or the shared x. */
export const ITEM_SIGNATURE: usize = 96;
/** Additional input for the nonce, 32 bytes. */
export const ITEM_EXTRA: usize = 160;
/** Random bytes, 32 of them. */
export const ITEM_RANDOM: usize = 192;
/** A word that is 1 where all went well; for signatures, a word more with the recovery number. */
export const ITEM_RESULT: usize = 224;
export const ITEM_RECOVERY: usize = 228;
/** A word: one more than the number of the public key's large table, or 0. */
export const ITEM_TABLE: usize = 232;

/** The point of the nonce. */
export const ITEM_POINT: usize = 240;
/** What is inverted modulo n, in Montgomery form, and the product of those of all items before. */
export const ITEM_FACTOR: usize = 480;
export const ITEM_FACTORS: usize = 560;
/** The product of the Z of all items before. */
export const ITEM_SCALES: usize = 640;

/** Returns the address of an item. Time: constant. */
export function itemAt(index: u32): usize {
  return ECC_ITEMS + ECC_ITEM_LENGTH * <usize>index;
}
