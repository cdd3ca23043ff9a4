/** Encodings of digests for RSA signatures (RFC 8017, 9). All of it is public: a signature reveals its encoding. */

import { randomFillSync } from "node:crypto";
import { concatBytes, equalBytesVartime } from "../../bytes.ts";
import type { HashName } from "../engine.ts";
import { hashFacts } from "./arguments.ts";
import { hashParts } from "./hash.ts";

/** DER of DigestInfo up to the digest (RFC 8017, 9.2, note 1). */
const DIGEST_INFO_PREFIX: Readonly<Record<HashName, Uint8Array>> = {
  "SHA-1": Uint8Array.of(
    0x30,
    0x21,
    0x30,
    0x09,
    0x06,
    0x05,
    0x2b,
    0x0e,
    0x03,
    0x02,
    0x1a,
    0x05,
    0,
    0x04,
    0x14,
  ),
  "SHA-256": sha2Prefix(0x01, 32),
  "SHA-384": sha2Prefix(0x02, 48),
  "SHA-512": sha2Prefix(0x03, 64),
};

function sha2Prefix(lastArc: number, length: number): Uint8Array {
  const oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, lastArc];
  return Uint8Array.of(0x30, 17 + length, 0x30, 0x0d, 0x06, 0x09, ...oid, 0x05, 0, 0x04, length);
}

const TRAILER = 0xbc;
const SALT_PREFIX = new Uint8Array(8);

/** Encodes a digest for PKCS#1 v1.5 into a block of `blockLength` bytes (RFC 8017, 9.2). */
export function encodePkcs1(hash: HashName, digest: Uint8Array, blockLength: number): Uint8Array {
  const info = concatBytes(DIGEST_INFO_PREFIX[hash], digest);
  const block = new Uint8Array(blockLength).fill(0xff);
  block[0] = 0;
  block[1] = 1;
  block[blockLength - info.length - 1] = 0;
  block.set(info, blockLength - info.length);
  return block;
}

/** Gives the longest salt that a block has room for (RFC 8017, 9.1.1, step 3). */
export function maxSaltLength(hash: HashName, blockLength: number): number {
  return blockLength - hashFacts(hash).byteLength - 2;
}

/** Masks in place with MGF1 (RFC 8017, B.2.1). */
function maskWithMgf1(hash: HashName, seed: Uint8Array, data: Uint8Array): void {
  const counter = new Uint8Array(4);
  const step = hashFacts(hash).byteLength;
  for (let start = 0, block = 0; start < data.length; start += step, block++) {
    new DataView(counter.buffer).setUint32(0, block);
    const mask = hashParts(hash, seed, counter);
    for (let i = 0; i < step && start + i < data.length; i++) {
      data[start + i] = (data[start + i] ?? 0) ^ (mask[i] ?? 0);
    }
  }
}

/**
 * Encodes a digest for PSS with a fresh salt (RFC 8017, 9.1.1). The modulus fills its bytes, so emBits is one less
 * than the bits of the block and exactly the top bit is cleared.
 */
export function encodePss(
  hash: HashName,
  digest: Uint8Array,
  saltLength: number,
  blockLength: number,
): Uint8Array {
  const salt = randomFillSync(new Uint8Array(saltLength));
  const seal = hashParts(hash, SALT_PREFIX, digest, salt);
  const block = new Uint8Array(blockLength);
  const masked = block.subarray(0, blockLength - seal.length - 1);
  masked[masked.length - saltLength - 1] = 1;
  masked.set(salt, masked.length - saltLength);
  maskWithMgf1(hash, seal, masked);
  masked[0] = (masked[0] ?? 0) & 0x7f;
  block.set(seal, masked.length);
  block[blockLength - 1] = TRAILER;
  return block;
}

/** Verifies a PSS block with a salt of exactly this length, or of any (RFC 8017, 9.1.2). */
export function verifyPssBlock(
  hash: HashName,
  digest: Uint8Array,
  saltLength: number | "auto",
  block: Uint8Array,
): boolean {
  const maskedLength = block.length - digest.length - 1;
  if (block[block.length - 1] !== TRAILER || (block[0] ?? 0) >= 0x80) return false;
  const seal = block.subarray(maskedLength, block.length - 1);
  const data = block.slice(0, maskedLength);
  maskWithMgf1(hash, seal, data);
  data[0] = (data[0] ?? 0) & 0x7f;
  const separator = data.findIndex((byte) => byte !== 0);
  if (data[separator] !== 1) return false;
  const salt = data.subarray(separator + 1);
  if (saltLength !== "auto" && salt.length !== saltLength) return false;
  return equalBytesVartime(seal, hashParts(hash, SALT_PREFIX, digest, salt));
}
