/** RSA padding blocks (RFC 8017, 7.1 and 9.1) by node:crypto's hashes alone, right ones and ones that are wrong in one place. */

import { createHash, randomBytes } from "node:crypto";
import type { HashName } from "../../src/engines/engine.ts";
import { OPENSSL_HASH } from "../conformance/engine-support.ts";

export function digestOf(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = createHash(OPENSSL_HASH[hash]);
  for (const part of parts) state.update(part);
  return new Uint8Array(state.digest());
}

/** Adds the MGF1 mask of a seed (RFC 8017, B.2.1). */
function masked(hash: HashName, seed: Uint8Array, data: Uint8Array): Uint8Array {
  const mask: number[] = [];
  for (let counter = 0; mask.length < data.length; counter++) {
    mask.push(...digestOf(hash, seed, Uint8Array.of(0, 0, counter >> 8, counter & 0xff)));
  }
  return data.map((byte, i) => byte ^ (mask[i] ?? 0));
}

export interface OaepBlock {
  readonly blockLength: number;
  readonly hash: HashName;
  readonly mgfHash?: HashName;
  readonly label?: Uint8Array;
  readonly message: Uint8Array;
  readonly seed?: Uint8Array;
  /** Changes the data block, lHash ‖ zeros ‖ 1 ‖ message, before it is masked. */
  readonly spoil?: (data: Uint8Array) => void;
  /** The first byte of the block; 0 is right. */
  readonly first?: number;
}

/** Encodes for OAEP (RFC 8017, 7.1.1, step 2). */
export function oaepBlock(parameters: OaepBlock): Uint8Array {
  const {
    blockLength,
    hash,
    mgfHash = hash,
    label = new Uint8Array(0),
    message,
    spoil,
    first = 0,
  } = parameters;
  const labelHash = digestOf(hash, label);
  const seed = parameters.seed ?? new Uint8Array(randomBytes(labelHash.length));
  const data = new Uint8Array(blockLength - labelHash.length - 1);
  data.set(labelHash);
  data[data.length - message.length - 1] = 1;
  data.set(message, data.length - message.length);
  spoil?.(data);
  const maskedData = masked(mgfHash, seed, data);
  return Uint8Array.from([first, ...masked(mgfHash, maskedData, seed), ...maskedData]);
}

/** Encodes for PSS (RFC 8017, 9.1.1) with a salt, into a block whose top bit stays clear. */
export function pssBlock(
  blockLength: number,
  hash: HashName,
  digest: Uint8Array,
  salt: Uint8Array,
  spoil?: (data: Uint8Array) => void,
): Uint8Array {
  const seal = digestOf(hash, new Uint8Array(8), digest, salt);
  const data = new Uint8Array(blockLength - seal.length - 1);
  data[data.length - salt.length - 1] = 1;
  data.set(salt, data.length - salt.length);
  spoil?.(data);
  const maskedData = masked(hash, seal, data);
  maskedData[0] = (maskedData[0] ?? 0) & 0x7f;
  return Uint8Array.from([...maskedData, ...seal, 0xbc]);
}
