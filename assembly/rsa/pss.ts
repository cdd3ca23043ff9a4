/**
 * PSS (RFC 8017, 9.1) on a block in memory, for moduli that fill their bytes, so that exactly the top bit is unused:
 *
 *     zeros | 1 | salt, all masked | seal | 0xbc
 *
 * All of it is public: a signature reveals its block.
 */

import { equalBit } from "../ct";
import { digestLengthOf, hashFinal, hashInit, hashUpdate } from "../hash/hash";
import { addMask } from "./mgf1";
import { RSA_HASH_CONTEXT, RSA_SEAL, RSA_ZEROS } from "./padding-memory";

const TRAILER: u8 = 0xbc;
/** Stands for a salt of whatever length the block has. */
export const ANY_SALT: u32 = 0xffffffff;

/** Returns how many bytes of salt fit, below 0 where not even none does (RFC 8017, 9.1.1, step 3). */
export function pssCapacity(hash: u32, blockLength: u32): i32 {
  return <i32>blockLength - <i32>digestLengthOf(hash) - 2;
}

/** Hashes eight zeros, a digest and a salt: the seal (RFC 8017, 9.1.1, steps 5 and 6). Time: public facts alone. */
function sealOf(out: usize, hash: u32, digest: usize, salt: usize, saltLength: u32): void {
  store<u64>(RSA_ZEROS, 0);
  hashInit(RSA_HASH_CONTEXT, hash);
  let absorbed: u64 = hashUpdate(RSA_HASH_CONTEXT, hash, 0, RSA_ZEROS, 8);
  absorbed = hashUpdate(RSA_HASH_CONTEXT, hash, absorbed, digest, digestLengthOf(hash));
  absorbed = hashUpdate(RSA_HASH_CONTEXT, hash, absorbed, salt, saltLength);
  hashFinal(out, RSA_HASH_CONTEXT, hash, absorbed);
}

/**
 * Encodes a digest.
 *
 * @param block blockLength bytes, out; must not overlap the rest
 * @param blockLength bytes of the modulus
 * @param hash 1..=4, of the digest and of the mask
 * @param digest its bytes
 * @param salt saltLength fresh random bytes
 * @param saltLength 0..=`pssCapacity`
 *
 * Source: RFC 8017, 9.1.1.
 */
export function pssEncode(
  block: usize,
  blockLength: u32,
  hash: u32,
  digest: usize,
  salt: usize,
  saltLength: u32,
): void {
  const digestLength: u32 = digestLengthOf(hash);
  assert(<i32>saltLength <= pssCapacity(hash, blockLength));
  const dataLength: u32 = blockLength - digestLength - 1;
  const seal: usize = block + <usize>dataLength;
  const start: usize = seal - <usize>saltLength;
  sealOf(seal, hash, digest, salt, saltLength);
  memory.fill(block, 0, start - 1 - block);
  store<u8>(start - 1, 1);
  memory.copy(start, salt, <usize>saltLength);
  addMask(hash, seal, digestLength, block, dataLength);
  store<u8>(block, load<u8>(block) & 0x7f);
  store<u8>(block + <usize>blockLength - 1, TRAILER);
}

/**
 * Verifies a block: 1 where it is a digest's, else 0. Unmasks it in place.
 *
 * @param block blockLength bytes, in and out
 * @param blockLength bytes of the modulus
 * @param hash 1..=4, of the digest and of the mask
 * @param digest its bytes
 * @param saltLength the one length of salt to accept, or ANY_SALT
 *
 * Time: depends on everything; all of it is public. Source: RFC 8017, 9.1.2.
 */
export function pssVerify(block: usize, blockLength: u32, hash: u32, digest: usize, saltLength: u32): u32 {
  const digestLength: u32 = digestLengthOf(hash);
  const capacity: i32 = pssCapacity(hash, blockLength);
  if (capacity < 0 || (saltLength !== ANY_SALT && saltLength > <u32>capacity)) return 0;
  if (load<u8>(block + <usize>blockLength - 1) !== TRAILER || load<u8>(block) >= 0x80) return 0;
  const dataLength: u32 = blockLength - digestLength - 1;
  const seal: usize = block + <usize>dataLength;
  addMask(hash, seal, digestLength, block, dataLength);
  store<u8>(block, load<u8>(block) & 0x7f);
  let start: usize = block;
  while (start < seal && load<u8>(start) === 0) ++start;
  if (start === seal || load<u8>(start) !== 1) return 0;
  ++start;
  const found: u32 = <u32>(seal - start);
  if (saltLength !== ANY_SALT && found !== saltLength) return 0;
  sealOf(RSA_SEAL, hash, digest, start, found);
  return equalBit(RSA_SEAL, seal, digestLength);
}
