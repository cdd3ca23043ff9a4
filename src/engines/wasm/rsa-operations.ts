/**
 * RSA signatures and encryption of the wasm engine on checked bytes (RFC 8017): padding in the kernels around the raw
 * operations, in place. No secret stays in the blocks after a call.
 */

import { type HashFacts, hashRaw } from "./hash.ts";
import { expectDone, type HashKernel } from "./hash-kernel.ts";
import type { RsaKernel } from "./rsa-kernel.ts";
import { type RawRsa, type RawRsaPrivateKey, type RawRsaPublicKey, rawRsaOf } from "./rsa-raw.ts";

/** A padding to sign with; the salt length of PSS in bytes. */
export type RsaSigning =
  | { readonly scheme: "pss"; readonly hash: HashFacts; readonly saltLength: number }
  | { readonly scheme: "pkcs1"; readonly hash: HashFacts };

/** A padding to verify with: "auto" takes a salt of any length. */
export type RsaPadding =
  | RsaSigning
  | { readonly scheme: "pss"; readonly hash: HashFacts; readonly saltLength: "auto" };

export interface RsaOaep {
  readonly hash: HashFacts;
  readonly mgfHash: HashFacts;
  readonly label: Uint8Array;
}

/** A signature to verify; its length is yet to be checked. */
export interface RsaVerifyJob {
  readonly key: RawRsaPublicKey;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  readonly padding: RsaPadding;
}

/** Bytes from one of two blocks, and of two digests, to the other (assembly/rsa/memory.ts and padding-memory.ts). */
const BLOCK_STEP = 0x200;
const DIGEST_STEP = 0x40;
/** Stands for a salt of any length. */
const ANY_SALT = 0xffffffff;

/** Returns the longest salt that fits (RFC 8017, 9.1.1, step 3). */
export function maxSaltLength(hash: HashFacts, modulusLength: number): number {
  return modulusLength - hash.byteLength - 2;
}

/** Returns the longest message that fits (RFC 8017, 7.1.1, step 1.b). */
export function maxMessageLength(hash: HashFacts, modulusLength: number): number {
  return modulusLength - 2 * hash.byteLength - 2;
}

export class RsaOperations {
  readonly #load: () => RsaKernel;
  readonly #hashKernel: HashKernel;
  #loaded: RawRsa | undefined;

  /**
   * @param load gives the kernels, which are compiled when they are first needed
   * @param hashKernel hashes messages and labels
   */
  constructor(load: () => RsaKernel, hashKernel: HashKernel) {
    this.#load = load;
    this.#hashKernel = hashKernel;
  }

  /** The raw operations, and the kernels with them. */
  get raw(): RawRsa {
    this.#loaded ??= rawRsaOf(this.#load());
    return this.#loaded;
  }

  /** Finds the kernels. @throws what finding them throws */
  prepare(): void {
    this.#loaded ??= rawRsaOf(this.#load());
  }

  /** Hashes a message with the kernels of hashing. */
  hash(hash: HashFacts, message: Uint8Array): Uint8Array {
    return hashRaw(this.#hashKernel, hash, message);
  }

  /**
   * Signs a digest; the raw operation checks the result before it leaves.
   *
   * @throws KmsError `InternalFailure` where it found a fault
   */
  sign(key: RawRsaPrivateKey, digest: Uint8Array, padding: RsaSigning): Uint8Array {
    const { byteLength } = key;
    return this.#clean(() => {
      this.raw.kernel.digests.set(digest);
      expectDone(this.#encode(padding, byteLength));
      if (!this.raw.privateOperation(key))
        throw new Error("internal: an encoded digest is not below the modulus");
      return this.raw.kernel.output.slice(0, byteLength);
    });
  }

  #encode(padding: RsaSigning, byteLength: number): number {
    const { kernel } = this.raw;
    const { id } = padding.hash;
    if (padding.scheme === "pkcs1") return kernel.rsaEncodePkcs1(id, byteLength);
    const { saltLength } = padding;
    this.#fillRandom(saltLength);
    return kernel.rsaEncodePss(id, byteLength, saltLength);
  }

  /** Verifies a signature of any shape; what is not a valid one is false. */
  verify(job: RsaVerifyJob): boolean {
    const { key, signature } = job;
    if (signature.length !== key.byteLength) return false;
    return this.#clean(() => {
      this.raw.kernel.input.set(signature);
      return this.raw.publicOperation(key) && this.#isRight(job, 0);
    });
  }

  /** Verifies many signatures, those of two keys of one size at a time. */
  verifyMany(jobs: readonly RsaVerifyJob[]): boolean[] {
    const verdicts = new Array<boolean>(jobs.length).fill(false);
    const unpaired = new Map<number, number>();
    for (const [at, job] of jobs.entries()) {
      const { byteLength } = job.key;
      if (job.signature.length !== byteLength) continue;
      const other = unpaired.get(byteLength);
      if (other === undefined) {
        unpaired.set(byteLength, at);
        continue;
      }
      unpaired.delete(byteLength);
      [verdicts[other], verdicts[at]] = this.#verifyPair(jobs[other] as RsaVerifyJob, job);
    }
    for (const at of unpaired.values()) verdicts[at] = this.verify(jobs[at] as RsaVerifyJob);
    return verdicts;
  }

  #verifyPair(first: RsaVerifyJob, second: RsaVerifyJob): [boolean, boolean] {
    return this.#clean(() => {
      const { input } = this.raw.kernel;
      input.set(first.signature);
      input.set(second.signature, BLOCK_STEP);
      const [one, other] = this.raw.publicPair(first.key, second.key);
      return [one && this.#isRight(first, 0), other && this.#isRight(second, 1)];
    });
  }

  /** Tells whether the block that the public operation left is the digest's. */
  #isRight({ key, digest, padding }: RsaVerifyJob, index: number): boolean {
    const { kernel } = this.raw;
    kernel.digests.set(digest, index * DIGEST_STEP);
    const { id } = padding.hash;
    if (padding.scheme === "pkcs1") return kernel.rsaVerifyPkcs1(id, key.byteLength, index) === 1;
    const saltLength = padding.saltLength === "auto" ? ANY_SALT : padding.saltLength;
    return kernel.rsaVerifyPss(id, key.byteLength, saltLength, index) === 1;
  }

  /** Encrypts a plaintext that is known to fit. */
  encryptOaep(key: RawRsaPublicKey, plaintext: Uint8Array, { hash, mgfHash, label }: RsaOaep): Uint8Array {
    const { byteLength } = key;
    const labelHash = this.hash(hash, label);
    return this.#clean(() => {
      const { kernel } = this.raw;
      kernel.digests.set(labelHash);
      kernel.message.set(plaintext);
      this.#fillRandom(hash.byteLength);
      expectDone(kernel.rsaEncodeOaep(hash.id, mgfHash.id, byteLength, plaintext.length));
      if (!this.raw.publicOperation(key))
        throw new Error("internal: an encoded message is not below the modulus");
      return kernel.output.slice(0, byteLength);
    });
  }

  /**
   * Decrypts; every failure is the same undefined, and past the checks of what the sender knows, the same work.
   *
   * @throws KmsError `InternalFailure` where the raw operation found a fault
   */
  decryptOaep(
    key: RawRsaPrivateKey,
    ciphertext: Uint8Array,
    { hash, mgfHash, label }: RsaOaep,
  ): Uint8Array | undefined {
    const { byteLength } = key;
    if (ciphertext.length !== byteLength) return undefined;
    const labelHash = this.hash(hash, label);
    return this.#clean(() => {
      const { kernel } = this.raw;
      kernel.input.set(ciphertext);
      if (!this.raw.privateOperation(key)) return undefined;
      kernel.digests.set(labelHash);
      const result = kernel.rsaDecodeOaep(hash.id, mgfHash.id, byteLength);
      return result === 0 ? undefined : kernel.message.slice(0, result - 1);
    });
  }

  #fillRandom(length: number): void {
    if (length > 0) crypto.getRandomValues(this.raw.kernel.random.subarray(0, length));
  }

  /** Wipes the blocks and what padding keeps after some work. */
  #clean<T>(work: () => T): T {
    try {
      return work();
    } finally {
      this.raw.wipeBlocks();
      this.raw.kernel.rsaWipePadding();
    }
  }
}
