/** One call of a token as bytes and numbers, what becomes of it, and how the calls of the algorithms are put together. */

import { concatBytes } from "../../bytes.ts";
import { CKM } from "./constants.ts";
import { HASH_CODE } from "./hashes.ts";
import { FLAG, OP, REASON, STATUS } from "./record.ts";

/** One call of the token, as bytes and numbers. */
export interface TokenCall {
  readonly op: number;
  readonly mechanism: number;
  readonly flags: number;
  readonly hash?: number;
  readonly mgfHash?: number;
  readonly saltLength?: number;
  readonly iv?: Uint8Array | undefined;
  /** GCM: aad; verify: the signature. */
  readonly aux?: Uint8Array | undefined;
  readonly input: Uint8Array;
  readonly outputCapacity: number;
}

/** What became of a call. `ckr` is 0 and `output` there when it succeeded. */
export interface TokenAnswer {
  readonly status: number;
  readonly reason: number;
  readonly ckr: number;
  /** Index of a function name. */
  readonly fn: number;
  /** Owns its memory. */
  readonly output?: Uint8Array;
  /** The iv that was used. */
  readonly iv?: Uint8Array | undefined;
  /** The call again, with its bytes copied, when it failed: its caller may have changed its own arrays since. */
  readonly again?: TokenCall;
}

/** Refused before anything was sent: the queue is full. */
export const BUSY: TokenAnswer = { status: STATUS.NOT_SENT, reason: REASON.NONE, ckr: 0, fn: 0 };

/** Copies a call and its bytes. */
export function ownCall(call: TokenCall): TokenCall {
  return {
    ...call,
    iv: call.iv === undefined ? undefined : new Uint8Array(call.iv),
    aux: call.aux === undefined ? undefined : new Uint8Array(call.aux),
    input: new Uint8Array(call.input),
  };
}

/** Of AES-GCM, in bytes. */
export const TAG_LENGTH = 16;

/** @param isFixed keeps the iv if the pool sends the call again; the same message under the same iv gives nothing away */
export function gcmCall(
  op: number,
  iv: Uint8Array,
  aad: Uint8Array,
  input: Uint8Array,
  isFixed: boolean,
): TokenCall {
  return {
    op,
    mechanism: CKM.aesGcm,
    flags: isFixed ? FLAG.RETRY | FLAG.FIXED_IV : FLAG.RETRY,
    iv,
    aux: aad,
    input,
    // Some modules want as much room for a plaintext as the ciphertext has.
    outputCapacity: op === OP.ENCRYPT ? input.length + TAG_LENGTH : input.length,
  };
}

export function oaepCall(
  hash: keyof typeof HASH_CODE,
  ciphertext: Uint8Array,
  modulusBits: number,
): TokenCall {
  const code = HASH_CODE[hash];
  return {
    op: OP.DECRYPT,
    mechanism: CKM.rsaOaep,
    flags: FLAG.RETRY,
    hash: code,
    mgfHash: code,
    input: ciphertext,
    outputCapacity: modulusBits / 8,
  };
}

/** Joins what a signature scheme wants in front of a digest (RFC 8017, 9.2). */
export function digestInfo(hash: DigestHash, digest: Uint8Array): Uint8Array {
  return concatBytes(DIGEST_INFO[hash], digest);
}

type DigestHash = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

const DIGEST_INFO: Readonly<Record<DigestHash, Uint8Array>> = {
  "SHA-1": Uint8Array.of(0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0xe, 3, 2, 0x1a, 5, 0, 4, 20),
  "SHA-256": Uint8Array.of(0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32),
  "SHA-384": Uint8Array.of(0x30, 0x41, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 48),
  "SHA-512": Uint8Array.of(0x30, 0x51, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 64),
};
