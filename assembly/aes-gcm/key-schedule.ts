/** The AES key expansion (FIPS 197, 5.2) into round keys that are already bit planes. */

import { AES_KEY_WORDS, AES_KEY_WORDS_LENGTH, wipe } from "../memory";
import { GROUP_LENGTH, interleaveColumns, transpose } from "./bitslice";
import { subBytes } from "./sbox-bitsliced";

/** Returns the number of rounds for a key of 16, 24 or 32 bytes. Time: constant; the length is public. */
export function roundsOf(keyLength: u32): u32 {
  return (keyLength >> 2) + 6;
}

/**
 * Applies the S-box to the four bytes of a word.
 *
 * @param word secret
 * @param planes 64 bytes of scratch; left holding secrets
 *
 * Time: constant. Source: FIPS 197, 5.2, SubWord.
 */
function subWord(word: u32, planes: usize): u32 {
  wipe(planes, GROUP_LENGTH);
  store<u32>(planes, word);
  transpose(planes);
  subBytes(planes);
  transpose(planes);
  return load<u32>(planes);
}

/** Multiplies a round constant by x in GF(2^8). Time: constant; round constants are public. */
export function nextRoundConstant(constant: u32): u32 {
  return ((constant << 1) ^ ((constant >> 7) * 0x11b)) & 0xff;
}

/**
 * Expands a key.
 *
 * @param roundKeys 64 · (rounds + 1) bytes, out: for each round its key as planes, the same for all four blocks
 * @param key keyLength bytes, secret; must not overlap roundKeys or scratch
 * @param keyLength 16, 24 or 32, public
 * @param planes 64 bytes of scratch; wiped
 *
 * Time: depends on keyLength alone. Source: FIPS 197, 5.2, algorithm 2.
 */
export function expandKey(roundKeys: usize, key: usize, keyLength: u32, planes: usize): void {
  assert(keyLength === 16 || keyLength === 24 || keyLength === 32);
  const rounds: u32 = roundsOf(keyLength);
  const keyWords: u32 = keyLength >> 2;
  const wordCount: u32 = 4 * (rounds + 1);
  const words: usize = AES_KEY_WORDS;
  memory.copy(words, key, keyLength);

  let constant: u32 = 1;
  let column: u32 = 0;
  for (let i: u32 = keyWords; i < wordCount; ++i) {
    let word: u32 = load<u32>(words + 4 * <usize>(i - 1));
    if (column === 0) {
      // Words are little-endian here, so RotWord rotates to the right.
      word = subWord(rotr<u32>(word, 8), planes) ^ constant;
      constant = nextRoundConstant(constant);
    } else if (column === 4 && keyWords === 8) {
      word = subWord(word, planes);
    }
    store<u32>(words + 4 * <usize>i, word ^ load<u32>(words + 4 * <usize>(i - keyWords)));
    column = column + 1 === keyWords ? 0 : column + 1;
  }

  for (let round: usize = 0; round <= <usize>rounds; ++round) {
    const roundKey: usize = roundKeys + GROUP_LENGTH * round;
    const even: u64 = interleaveColumns(words + 16 * round);
    const odd: u64 = interleaveColumns(words + 16 * round + 4);
    for (let i: usize = 0; i < 32; i += 8) {
      store<u64>(roundKey + i, even);
      store<u64>(roundKey + i, odd, 32);
    }
    transpose(roundKey);
  }
  wipe(words, AES_KEY_WORDS_LENGTH);
  wipe(planes, GROUP_LENGTH);
}
