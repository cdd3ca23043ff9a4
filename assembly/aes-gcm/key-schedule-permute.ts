/** The AES key expansion (FIPS 197, 5.2) into round keys of the row-sliced kernels. */

import { AES_KEY_WORDS, AES_KEY_WORDS_LENGTH, wipe } from "../memory";
import { storeRoundKey, substituteWord } from "./generated/aes-permute";
import { nextRoundConstant, roundsOf } from "./key-schedule";

/**
 * Expands a key.
 *
 * @param roundKeys 64 · (rounds + 1) bytes, out: four rows a round, each byte for all four blocks of a group
 * @param key keyLength bytes, secret; must not overlap roundKeys
 * @param keyLength 16, 24 or 32, public
 *
 * Time: depends on keyLength alone. Source: FIPS 197, 5.2, algorithm 2.
 */
export function expandKeyPermute(roundKeys: usize, key: usize, keyLength: u32): void {
  const rounds: u32 = roundsOf(keyLength);
  const keyWords: u32 = keyLength >> 2;
  const wordCount: u32 = 4 * (rounds + 1);
  const words: usize = AES_KEY_WORDS;
  for (let i: usize = 0; i < <usize>keyLength; i += 8) store<u64>(words + i, load<u64>(key + i));

  let constant: u32 = 1;
  let column: u32 = 0;
  let word: u32 = load<u32>(words + 4 * <usize>(keyWords - 1));
  for (let i: u32 = keyWords; i < wordCount; ++i) {
    if (column === 0) {
      // Words are little-endian here, so RotWord rotates to the right.
      word = substituteWord(rotr<u32>(word, 8)) ^ constant;
      constant = nextRoundConstant(constant);
    } else if (column === 4 && keyWords === 8) {
      word = substituteWord(word);
    }
    word ^= load<u32>(words + 4 * <usize>(i - keyWords));
    store<u32>(words + 4 * <usize>i, word);
    column = column + 1 === keyWords ? 0 : column + 1;
  }
  for (let round: u32 = 0; round <= rounds; ++round) {
    storeRoundKey(roundKeys + 64 * <usize>round, words + 16 * <usize>round, round, rounds);
  }
  wipe(words, AES_KEY_WORDS_LENGTH);
}
