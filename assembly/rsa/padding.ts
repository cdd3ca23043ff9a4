/**
 * Padding as the host sees it: blocks are encoded from digests, messages and random bytes into RSA_INPUT, where the private
 * or public operation takes them, and verified or decoded in RSA_OUTPUT, where it leaves them. Lengths and hashes are
 * public and checked. `rsaWipePadding` ends each use.
 */

import { isHash } from "../hash/hash";
import { RSA_BLOCK_LENGTH, RSA_INPUT, RSA_OUTPUT, RSA_RANDOM } from "./memory";
import { oaepCapacity, oaepDecode, oaepEncode } from "./oaep";
import { RSA_DIGEST_LENGTH, RSA_DIGESTS, RSA_MESSAGE, wipePadding } from "./padding-memory";
import { pkcs1Encode, pkcs1Verify } from "./pkcs1";
import { ANY_SALT, pssCapacity, pssEncode, pssVerify } from "./pss";

export { RSA_DIGESTS, RSA_MESSAGE } from "./padding-memory";

/** Tells whether bytes are those of a modulus served: 1 or 0. */
function isBlockLength(length: u32): u32 {
  return length === 256 || length === 384 || length === 512 ? 1 : 0;
}

/** Wipes everything that padding keeps. Time: constant. */
export function rsaWipePadding(): void {
  wipePadding();
}

/**
 * Encodes the first digest for PKCS#1 v1.5 into RSA_INPUT.
 *
 * @param hash 1..=4
 * @param blockLength 256, 384 or 512
 * @returns 1, or 0 where an argument is out of range
 */
export function rsaEncodePkcs1(hash: u32, blockLength: u32): u32 {
  if (isHash(hash) === 0 || isBlockLength(blockLength) === 0) return 0;
  pkcs1Encode(RSA_INPUT, blockLength, hash, RSA_DIGESTS);
  return 1;
}

/**
 * Verifies a block of RSA_OUTPUT against the digest of its index: 1 where it is its PKCS#1 v1.5 encoding, else 0.
 *
 * @param hash 1..=4
 * @param blockLength 256, 384 or 512
 * @param index 0 or 1
 */
export function rsaVerifyPkcs1(hash: u32, blockLength: u32, index: u32): u32 {
  if (isHash(hash) === 0 || isBlockLength(blockLength) === 0 || index > 1) return 0;
  return pkcs1Verify(
    RSA_OUTPUT + RSA_BLOCK_LENGTH * <usize>index,
    blockLength,
    hash,
    RSA_DIGESTS + RSA_DIGEST_LENGTH * <usize>index,
  );
}

/**
 * Encodes the first digest for PSS into RSA_INPUT, with the salt in RSA_RANDOM.
 *
 * @param hash 1..=4
 * @param blockLength 256, 384 or 512
 * @param saltLength 0..=blockLength - digest - 2
 * @returns 1, or 0 where an argument is out of range
 */
export function rsaEncodePss(hash: u32, blockLength: u32, saltLength: u32): u32 {
  if (isHash(hash) === 0 || isBlockLength(blockLength) === 0) return 0;
  if (saltLength > <u32>pssCapacity(hash, blockLength)) return 0;
  pssEncode(RSA_INPUT, blockLength, hash, RSA_DIGESTS, RSA_RANDOM, saltLength);
  return 1;
}

/**
 * Verifies a block of RSA_OUTPUT against the digest of its index, and unmasks it: 1 where it is a PSS encoding of it, else 0.
 *
 * @param hash 1..=4
 * @param blockLength 256, 384 or 512
 * @param saltLength 0..=blockLength - digest - 2; all ones for a salt of any length
 * @param index 0 or 1
 */
export function rsaVerifyPss(hash: u32, blockLength: u32, saltLength: u32, index: u32): u32 {
  if (isHash(hash) === 0 || isBlockLength(blockLength) === 0 || index > 1) return 0;
  if (saltLength !== ANY_SALT && saltLength > <u32>pssCapacity(hash, blockLength)) return 0;
  return pssVerify(
    RSA_OUTPUT + RSA_BLOCK_LENGTH * <usize>index,
    blockLength,
    hash,
    RSA_DIGESTS + RSA_DIGEST_LENGTH * <usize>index,
    saltLength,
  );
}

/**
 * Encodes RSA_MESSAGE for OAEP into RSA_INPUT, with the first digest for the label and the seed in RSA_RANDOM.
 *
 * @param hash 1..=4, public
 * @param mgfHash 1..=4, public
 * @param blockLength 256, 384 or 512, public
 * @param messageLength 0..=blockLength - 2 digest - 2, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the arguments alone.
 */
export function rsaEncodeOaep(hash: u32, mgfHash: u32, blockLength: u32, messageLength: u32): u32 {
  if (isHash(hash) === 0 || isHash(mgfHash) === 0 || isBlockLength(blockLength) === 0) return 0;
  if (messageLength > <u32>oaepCapacity(hash, blockLength)) return 0;
  oaepEncode(RSA_INPUT, blockLength, hash, mgfHash, RSA_DIGESTS, RSA_RANDOM, RSA_MESSAGE, messageLength);
  return 1;
}

/**
 * Decodes RSA_OUTPUT with OAEP: RSA_MESSAGE ← the message, or zeros. The first digest is the label's.
 *
 * @param hash 1..=4, public
 * @param mgfHash 1..=4, public
 * @param blockLength 256, 384 or 512, public
 * @returns one more than the bytes of the message, or 0 for every failure
 *
 * Time: depends on the arguments alone.
 */
export function rsaDecodeOaep(hash: u32, mgfHash: u32, blockLength: u32): u32 {
  if (isHash(hash) === 0 || isHash(mgfHash) === 0 || isBlockLength(blockLength) === 0) return 0;
  return oaepDecode(RSA_OUTPUT, blockLength, hash, mgfHash, RSA_DIGESTS);
}
