/** PKCS#1 v1.5 signature blocks (RFC 8017, 9.2). All of it is public: a signature reveals its block. */

import { equalBit } from "../ct";
import { digestLengthOf, SHA_1 } from "../hash/hash";
import { RSA_EXPECTED } from "./padding-memory";

/** DigestInfo of SHA-1 and of SHA-256 up to the digest (RFC 8017, 9.2, note 1); the latter's kin differ in three bytes. */
const INFO_SHA_1: usize = memory.data<u8>([
  0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
]);
const INFO_SHA_2: usize = memory.data<u8>([
  0x30, 0x11, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x00, 0x05, 0x00, 0x04,
  0x00,
]);
const INFO_SHA_1_LENGTH: u32 = 15;
const INFO_SHA_2_LENGTH: u32 = 19;
/** Where these bytes are: the length of all, the last number of the identifier, the length of the digest. */
const INFO_TOTAL: usize = 1;
const INFO_ARC: usize = 14;
const INFO_DIGEST: usize = 18;

/**
 * Encodes a digest: 0, 1, 0xff …, 0, DigestInfo.
 *
 * @param block blockLength bytes, out; must not overlap digest
 * @param blockLength bytes of the modulus, at least 256
 * @param hash 1..=4
 * @param digest its bytes
 */
export function pkcs1Encode(block: usize, blockLength: u32, hash: u32, digest: usize): void {
  const digestLength: u32 = digestLengthOf(hash);
  const infoLength: u32 = hash === SHA_1 ? INFO_SHA_1_LENGTH : INFO_SHA_2_LENGTH;
  const end: usize = block + <usize>blockLength;
  const info: usize = end - <usize>(digestLength + infoLength);
  memory.fill(block, 0xff, info - block);
  store<u8>(block, 0);
  store<u8>(block, 1, 1);
  store<u8>(info - 1, 0);
  memory.copy(info, hash === SHA_1 ? INFO_SHA_1 : INFO_SHA_2, <usize>infoLength);
  if (hash !== SHA_1) {
    store<u8>(info + INFO_TOTAL, <u8>(infoLength - 2 + digestLength));
    store<u8>(info + INFO_ARC, <u8>(hash - 1));
    store<u8>(info + INFO_DIGEST, <u8>digestLength);
  }
  memory.copy(end - <usize>digestLength, digest, <usize>digestLength);
}

/**
 * Verifies a block: 1 where it is the one encoding of a digest, else 0. Nothing of it is parsed (RFC 8017, 8.2.2, step 4).
 *
 * @param block blockLength bytes, only read
 * @param blockLength bytes of the modulus, 256..=512
 * @param hash 1..=4
 * @param digest its bytes
 */
export function pkcs1Verify(block: usize, blockLength: u32, hash: u32, digest: usize): u32 {
  pkcs1Encode(RSA_EXPECTED, blockLength, hash, digest);
  return equalBit(block, RSA_EXPECTED, blockLength);
}
