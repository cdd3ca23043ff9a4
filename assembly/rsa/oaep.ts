/**
 * OAEP (RFC 8017, 7.1) on a block in memory:
 *
 *     0 | seed, masked | lHash | zeros | 1 | message, all masked
 *
 * What is decoded decides nothing: every check is made whatever the others say, the message moves to the front in as many
 * steps whatever its length, and one number tells all that may be known.
 */

import { equalMask64, maskOf, select64, zeroBit64 } from "../ct";
import { digestLengthOf } from "../hash/hash";
import { wipe } from "../memory";
import { addMask } from "./mgf1";
import { RSA_MESSAGE, RSA_MESSAGE_LENGTH } from "./padding-memory";

/** Returns how many bytes of message fit, below 0 where not even none does. Time: public facts alone. */
export function oaepCapacity(hash: u32, blockLength: u32): i32 {
  return <i32>blockLength - 2 * <i32>digestLengthOf(hash) - 2;
}

/**
 * Encodes a message.
 *
 * @param block blockLength bytes, out; must not overlap the rest
 * @param blockLength bytes of the modulus, public
 * @param hash 1..=4, public
 * @param mgfHash 1..=4, public
 * @param labelHash digest of the label by `hash`, public
 * @param seed as long as the digest, fresh random bytes, secret
 * @param message messageLength bytes, secret
 * @param messageLength 0..=`oaepCapacity`, public
 *
 * Time: depends on the lengths and hashes alone. Source: RFC 8017, 7.1.1, step 2.
 */
export function oaepEncode(
  block: usize,
  blockLength: u32,
  hash: u32,
  mgfHash: u32,
  labelHash: usize,
  seed: usize,
  message: usize,
  messageLength: u32,
): void {
  const digestLength: u32 = digestLengthOf(hash);
  const data: usize = block + 1 + <usize>digestLength;
  const dataLength: u32 = blockLength - 1 - digestLength;
  assert(<i32>messageLength <= oaepCapacity(hash, blockLength));
  const start: usize = data + <usize>(dataLength - messageLength);
  store<u8>(block, 0);
  memory.copy(block + 1, seed, <usize>digestLength);
  memory.copy(data, labelHash, <usize>digestLength);
  wipe(data + <usize>digestLength, start - 1 - data - <usize>digestLength);
  store<u8>(start - 1, 1);
  memory.copy(start, message, <usize>messageLength);
  addMask(mgfHash, block + 1, digestLength, data, dataLength);
  addMask(mgfHash, data, dataLength, block + 1, digestLength);
}

/**
 * Moves bytes to the front by a secret distance, in one pass for each bit that a distance can have.
 *
 * @param bytes length bytes, and as many zeros and 8 behind them, secret; in and out
 * @param length multiple of 8, public
 * @param distance 0..=length, secret
 *
 * Time: depends on length alone.
 */
function moveToFront(bytes: usize, length: usize, distance: u64): void {
  for (let step: usize = 1; step <= length; step <<= 1) {
    const move: u64 = maskOf(distance & 1);
    distance >>= 1;
    for (let i: usize = 0; i < length; i += 8) {
      store<u64>(bytes + i, select64(move, load<u64>(bytes + i + step), load<u64>(bytes + i)));
    }
  }
}

/**
 * Decodes a block in place and leaves the message at RSA_MESSAGE, zeros behind it; nothing but zeros where it fails.
 *
 * @param block blockLength bytes, secret; in and out
 * @param blockLength bytes of the modulus, public; `oaepCapacity` is not negative
 * @param hash 1..=4, public
 * @param mgfHash 1..=4, public
 * @param labelHash digest of the label by `hash`, public
 * @returns one more than the bytes of the message, or 0 for every failure; secret until it is returned to the host
 *
 * Time: depends on blockLength and the hashes alone. Source: RFC 8017, 7.1.2, step 3, with the note on Manger's attack.
 */
export function oaepDecode(block: usize, blockLength: u32, hash: u32, mgfHash: u32, labelHash: usize): u32 {
  const digestLength: u32 = digestLengthOf(hash);
  const data: usize = block + 1 + <usize>digestLength;
  const dataLength: u32 = blockLength - 1 - digestLength;
  assert(oaepCapacity(hash, blockLength) >= 0);
  addMask(mgfHash, data, dataLength, block + 1, digestLength);
  addMask(mgfHash, block + 1, digestLength, data, dataLength);

  let bad: u64 = <u64>load<u8>(block);
  for (let i: usize = 0; i < <usize>digestLength; ++i)
    bad |= <u64>(load<u8>(data + i) ^ load<u8>(labelHash + i));
  // The first byte that is not 0 must be 1; place is where it is, counted from the end of lHash.
  const rest: usize = data + <usize>digestLength;
  const restLength: usize = <usize>(dataLength - digestLength);
  let looking: u64 = maskOf(1);
  let place: u64 = 0;
  for (let i: usize = 0; i < restLength; ++i) {
    const byte: u64 = <u64>load<u8>(rest + i);
    const isZero: u64 = equalMask64(byte, 0);
    const ends: u64 = looking & ~isZero;
    place |= <u64>i & ends;
    bad |= (byte ^ 1) & ends;
    looking &= isZero;
  }
  bad |= looking;

  const good: u64 = maskOf(<u64>zeroBit64(bad));
  const capacity: usize = restLength - 1;
  const padded: usize = (capacity + 7) & ~7;
  wipe(RSA_MESSAGE, RSA_MESSAGE_LENGTH);
  memory.copy(RSA_MESSAGE, rest + 1, capacity);
  moveToFront(RSA_MESSAGE, padded, place);
  for (let i: usize = 0; i < padded; i += 8) store<u64>(RSA_MESSAGE + i, load<u64>(RSA_MESSAGE + i) & good);
  return <u32>((<u64>capacity - place + 1) & good);
}
