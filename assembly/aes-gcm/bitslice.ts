/**
 * Moves AES blocks into bit planes and back. Four blocks are 64 bytes; plane b gathers bit b of each.
 *
 * Bit positions in a plane, low to high: block (2 bits), column (2 bits), row (2 bits):
 *
 *     bit 63            48 47            32 31            16 15             0
 *         [    row 3     ] [    row 2     ] [    row 1     ] [    row 0     ]
 *          col3 col2 c1 c0   four blocks a column, block 0 in the lowest bit
 *
 * So ShiftRows rotates inside 16 bits, and a step from row to row rotates the plane by 16.
 */

/** Bytes of four blocks, and of their eight planes. */
export const GROUP_LENGTH: usize = 64;

/**
 * Spreads the four bytes of a column to the even bytes of a word.
 *
 * @param column 4 bytes, row 0 lowest, secret
 *
 * Time: constant.
 */
function spreadColumn(column: u32): u64 {
  let spread: u64 = column;
  spread = (spread | (spread << 16)) & 0x0000ffff0000ffff;
  return (spread | (spread << 8)) & 0x00ff00ff00ff00ff;
}

/**
 * Gathers the even bytes of a word into a column; undoes `spreadColumn`.
 *
 * @param spread 8 bytes, of which the odd ones are ignored, secret
 *
 * Time: constant.
 */
function gatherColumn(spread: u64): u32 {
  let column: u64 = spread & 0x00ff00ff00ff00ff;
  column = (column | (column >> 8)) & 0x0000ffff0000ffff;
  return <u32>(column | (column >> 16));
}

/**
 * Interleaves columns 0 and 2, or 1 and 3, of the block at an address.
 *
 * @param block address of the lower column; the other lies 8 bytes on; secret
 *
 * Time: constant.
 */
export function interleaveColumns(block: usize): u64 {
  return spreadColumn(load<u32>(block)) | (spreadColumn(load<u32>(block, 8)) << 8);
}

/**
 * Exchanges bits between two words: those of `high` under the mask with those of `low` above it.
 *
 * @param low address of a word of 8 bytes, secret; in and out
 * @param high address of a word of 8 bytes, secret; in and out; not equal to low
 * @param mask the bits that stay in low, public
 * @param shift distance of the exchanged bits, 1, 2 or 4, public
 *
 * Time: constant.
 */
function exchangeBits(low: usize, high: usize, mask: u64, shift: u64): void {
  const a: u64 = load<u64>(low);
  const b: u64 = load<u64>(high);
  store<u64>(low, (a & mask) | ((b & mask) << shift));
  store<u64>(high, ((a & ~mask) >> shift) | (b & ~mask));
}

/**
 * Transposes bits with words in every byte lane: bit i of word j changes places with bit j of word i. Its own inverse.
 *
 * @param words 8 words of 8 bytes, secret; in and out
 *
 * Time: constant. Source: Hacker's Delight, 7-3, on eight lanes at once.
 */
export function transpose(words: usize): void {
  for (let i: usize = 0; i < 64; i += 16) exchangeBits(words + i, words + i + 8, 0x5555555555555555, 1);
  for (let i: usize = 0; i < 64; i += 32) {
    exchangeBits(words + i, words + i + 16, 0x3333333333333333, 2);
    exchangeBits(words + i + 8, words + i + 24, 0x3333333333333333, 2);
  }
  for (let i: usize = 0; i < 32; i += 8) exchangeBits(words + i, words + i + 32, 0x0f0f0f0f0f0f0f0f, 4);
}

/**
 * Turns four blocks into planes.
 *
 * @param planes 64 bytes, out; must not overlap blocks
 * @param blocks 64 bytes, secret
 *
 * Time: constant.
 */
export function sliceBlocks(planes: usize, blocks: usize): void {
  for (let i: usize = 0; i < 4; ++i) {
    const block: usize = blocks + 16 * i;
    store<u64>(planes + 8 * i, interleaveColumns(block));
    store<u64>(planes + 8 * i, interleaveColumns(block + 4), 32);
  }
  transpose(planes);
}

/**
 * Turns planes back into four blocks. The planes are left transposed.
 *
 * @param blocks 64 bytes, out; must not overlap planes
 * @param planes 64 bytes, secret; overwritten
 *
 * Time: constant.
 */
export function unsliceBlocks(blocks: usize, planes: usize): void {
  transpose(planes);
  for (let i: usize = 0; i < 4; ++i) {
    const block: usize = blocks + 16 * i;
    const even: u64 = load<u64>(planes + 8 * i);
    const odd: u64 = load<u64>(planes + 8 * i, 32);
    store<u32>(block, gatherColumn(even));
    store<u32>(block, gatherColumn(odd), 4);
    store<u32>(block, gatherColumn(even >> 8), 8);
    store<u32>(block, gatherColumn(odd >> 8), 12);
  }
}
