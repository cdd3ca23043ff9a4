/**
 * What the curve kernels do for one engine, on checked bytes: items are written, worked on in one call and read back. No
 * secret stays in the arena after a call.
 */

import type { CurveName } from "../engine.ts";
import { CURVE_NUMBER, type EcKernel, ItemPart, RandomPool } from "./ec-kernel.ts";
import { expectDone } from "./hash-kernel.ts";
import { type KeyTables, keyTablesOf, type TableUser } from "./key-tables.ts";

const SCALAR_LENGTH = 32;
const PAIR_LENGTH = 64;
const X_AND_Y = 64;
/** Times a signature is tried. r or s is zero once in 2^255 attempts, so a second failure is a broken kernel. */
const ATTEMPTS = 3;

/** A signature to make. */
export interface SignJob {
  readonly curve: CurveName;
  /** 32 bytes, in 1..n-1. */
  readonly scalar: Uint8Array;
  readonly digest: Uint8Array;
  /** Number of the hash of the nonce. */
  readonly nonceHash: number;
}

export interface SignFlags {
  readonly lowS: boolean;
  readonly hedged: boolean;
}

/** A signature made. */
export interface Signed {
  /** r ‖ s. */
  readonly pair: Uint8Array;
  /** 1 where y of the nonce's point is odd, and 2 more where its x was not below n. */
  readonly recovery: number;
}

/** A signature to verify: r ‖ s in range, by the key that uses a table if it is used often. */
export interface VerifyJob {
  readonly key: TableUser;
  readonly digest: Uint8Array;
  readonly pair: Uint8Array;
}

export class EcOperations {
  readonly #load: () => EcKernel;
  #loaded: { readonly kernel: EcKernel; readonly tables: KeyTables } | undefined;
  readonly #random: RandomPool = new RandomPool();

  /** @param load finds the kernel; called at the first operation */
  constructor(load: () => EcKernel) {
    this.#load = load;
  }

  get #kernel(): EcKernel {
    return this.#ready().kernel;
  }

  /** Finds the kernel, for those who must tell one that is not there from one that is wrong. @throws what finding it throws */
  prepare(): void {
    this.#ready();
  }

  #ready(): { readonly kernel: EcKernel; readonly tables: KeyTables } {
    if (this.#loaded !== undefined) return this.#loaded;
    const kernel = this.#load();
    this.#loaded = { kernel, tables: keyTablesOf(kernel) };
    return this.#loaded;
  }

  /** Computes the uncompressed point of a scalar; undefined if the scalar is not in 1..n-1. */
  publicPoint(curve: CurveName, scalar: Uint8Array): Uint8Array | undefined {
    const { memory, items } = this.#kernel;
    memory.set(scalar, items + ItemPart.key);
    this.#random.writeTo(memory, items + ItemPart.random, SCALAR_LENGTH);
    const valid = this.#kernel.eccPublicKey(CURVE_NUMBER[curve]) === 1;
    return valid ? this.#uncompressed(items + ItemPart.signature) : undefined;
  }

  /** Decodes a SEC 1 point to its uncompressed form; undefined if it is none of the curve. */
  decodePoint(curve: CurveName, encoded: Uint8Array): Uint8Array | undefined {
    const { memory, items } = this.#kernel;
    if (encoded.length > X_AND_Y + 1) return undefined;
    memory.set(encoded, items + ItemPart.signature);
    const valid = this.#kernel.eccDecodePoint(CURVE_NUMBER[curve], encoded.length) === 1;
    return valid ? this.#uncompressed(items + ItemPart.key) : undefined;
  }

  #uncompressed(address: number): Uint8Array {
    const point = new Uint8Array(X_AND_Y + 1);
    point[0] = 0x04;
    point.set(this.#kernel.memory.subarray(address, address + X_AND_Y), 1);
    return point;
  }

  /** Computes the shared x, 32 bytes. */
  derive(curve: CurveName, scalar: Uint8Array, point: Uint8Array): Uint8Array {
    const { memory, items } = this.#kernel;
    memory.set(point.subarray(1), items + ItemPart.key);
    memory.set(scalar, items + ItemPart.extra);
    this.#random.writeTo(memory, items + ItemPart.random, SCALAR_LENGTH);
    expectDone(this.#kernel.eccDerive(CURVE_NUMBER[curve]));
    const start = items + ItemPart.signature;
    const shared = memory.slice(start, start + SCALAR_LENGTH);
    memory.fill(0, start, start + SCALAR_LENGTH);
    return shared;
  }

  /** Signs, each run of neighbours on one curve with one hash in as few calls as fit. */
  sign(jobs: readonly SignJob[], flags: SignFlags): Signed[] {
    const results: Signed[] = [];
    const again: number[] = [];
    const { itemCount } = this.#kernel;
    for (let start = 0; start < jobs.length; ) {
      const first = jobs[start] as SignJob;
      let count = 0;
      while (count < itemCount) {
        const job = jobs[start + count];
        if (job?.curve !== first.curve || job.nonceHash !== first.nonceHash) break;
        this.#writeSignJob(job, count, flags.hedged);
        count++;
      }
      this.#signItems(first, count, flags);
      for (let i = 0; i < count; i++) {
        const signed = this.#readSigned(i);
        if (signed === undefined) again.push(start + i);
        else results[start + i] = signed;
      }
      start += count;
    }
    for (const index of again) results[index] = this.#signAgain(jobs[index] as SignJob, flags);
    return results;
  }

  /** Signs as `sign` does for one job. */
  signOne(job: SignJob, flags: SignFlags): Signed {
    this.#writeSignJob(job, 0, flags.hedged);
    this.#signItems(job, 1, flags);
    return this.#readSigned(0) ?? this.#signAgain(job, flags);
  }

  /** Signs with other nonces after one that gave r or s of zero (FIPS 186-5, 6.4.1, step 11): those of a hedged signature. */
  #signAgain(job: SignJob, { lowS }: SignFlags): Signed {
    const flags: SignFlags = { lowS, hedged: true };
    for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
      this.#writeSignJob(job, 0, flags.hedged);
      this.#signItems(job, 1, flags);
      const signed = this.#readSigned(0);
      if (signed !== undefined) return signed;
    }
    throw new Error("internal: the kernel makes no signature");
  }

  #writeSignJob(job: SignJob, index: number, hedged: boolean): void {
    const { memory, items, itemLength } = this.#kernel;
    const item = items + index * itemLength;
    this.#writeDigest(job.digest, item);
    this.#random.writeTo(memory, item + ItemPart.random, SCALAR_LENGTH);
    if (hedged) this.#random.writeTo(memory, item + ItemPart.extra, SCALAR_LENGTH);
    // Last, so that nothing between here and the kernel, which wipes it, can throw.
    memory.set(job.scalar, item + ItemPart.key);
  }

  #signItems({ curve, nonceHash }: SignJob, count: number, { lowS, hedged }: SignFlags): void {
    expectDone(this.#kernel.ecdsaSign(CURVE_NUMBER[curve], nonceHash, count, lowS ? 1 : 0, hedged ? 1 : 0));
  }

  /** Reads a signature; undefined where r or s is zero. Such a pair would tell the private key, so it is erased. */
  #readSigned(index: number): Signed | undefined {
    const { memory, view, items, itemLength } = this.#kernel;
    const item = items + index * itemLength;
    const start = item + ItemPart.signature;
    if (view.getUint32(item + ItemPart.result, true) === 0) {
      memory.fill(0, start, start + PAIR_LENGTH);
      return undefined;
    }
    return {
      pair: memory.slice(start, start + PAIR_LENGTH),
      recovery: view.getUint32(item + ItemPart.recovery, true),
    };
  }

  /** Verifies, each run of neighbours on one curve in as few calls as fit. */
  verify(jobs: readonly VerifyJob[]): boolean[] {
    const results: boolean[] = [];
    const { memory, view, items, itemLength, itemCount } = this.#kernel;
    for (let start = 0; start < jobs.length; ) {
      const first = jobs[start] as VerifyJob;
      // Tables first: building one takes the place of the first item, and a later one may take an earlier one's place.
      const numbers = this.#ready().tables.use(jobs, start, itemCount);
      for (let i = 0; i < numbers.length; i++) {
        const { key, digest, pair } = jobs[start + i] as VerifyJob;
        const item = items + i * itemLength;
        memory.set(key.coordinates, item + ItemPart.key);
        this.#writeDigest(digest, item);
        memory.set(pair, item + ItemPart.signature);
        view.setUint32(item + ItemPart.table, numbers[i] ?? 0, true);
      }
      expectDone(this.#kernel.ecdsaVerify(CURVE_NUMBER[first.key.curve], numbers.length));
      for (let i = 0; i < numbers.length; i++) {
        results.push(view.getUint32(items + i * itemLength + ItemPart.result, true) === 1);
      }
      start += numbers.length;
    }
    return results;
  }

  /** Writes the leading 256 bits of a digest, or a shorter one as the number it is (FIPS 186-5, 6.4.1). */
  #writeDigest(digest: Uint8Array, item: number): void {
    const { memory } = this.#kernel;
    const start = item + ItemPart.digest;
    if (digest.length === SCALAR_LENGTH) {
      memory.set(digest, start);
    } else if (digest.length > SCALAR_LENGTH) {
      memory.set(digest.subarray(0, SCALAR_LENGTH), start);
    } else {
      memory.fill(0, start, start + SCALAR_LENGTH);
      memory.set(digest, start + SCALAR_LENGTH - digest.length);
    }
  }

  /** Erases random bytes that were fetched for calls to come. */
  close(): void {
    this.#random.wipe();
  }

  /** Gives the place of a key's table back. */
  forget(key: TableUser): void {
    this.#loaded?.tables.forget(key);
  }
}
