/** ECDSA of the wasm engine: checks arguments and self-tests, hashes messages, and brings signatures into their formats. */

import { concatBytes, copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { SCALAR_LENGTH } from "../ec-scalar.ts";
import {
  encodeDerSignature,
  hasLowS,
  P1363_LENGTH,
  readDerSignature,
  readP1363Signature,
} from "../ecdsa-signature.ts";
import type {
  CurveName,
  Ecdsa,
  EcdsaFormat,
  EcPrivateKey,
  EcPublicKey,
  GenerateKeyOptions,
  HashName,
  Signable,
  SignEcdsaOptions,
  VerifyEcdsaOptions,
} from "../engine.ts";
import { randomBytes } from "../random.ts";
import type { SelfTest } from "../self-test.ts";
import { ECDSA_ANSWERS, fromHex } from "../self-test-vectors.ts";
import { checkCurve, checkFlag, checkItems, checkOptions, checkSignable } from "./ec-arguments.ts";
import { type EcKeys, type EcPublic, type EcSecret, publicOf } from "./ec-keys.ts";
import type { EcOperations, Signed, SignFlags, SignJob, VerifyJob } from "./ec-operations.ts";
import { hashFacts, hashRaw } from "./hash.ts";
import type { HashKernel } from "./hash-kernel.ts";
import type { WasmState } from "./state.ts";

/** The hash of the nonce for a bare digest, by the digest's length (RFC 6979, 2.4). */
const HASH_OF_LENGTH: ReadonlyMap<number, HashName> = new Map<number, HashName>([
  [20, "SHA-1"],
  [32, "SHA-256"],
  [48, "SHA-384"],
  [64, "SHA-512"],
]);

/** How signatures are wanted. */
interface Signing extends SignFlags {
  readonly format: EcdsaFormat;
  readonly nonceHash: HashName | undefined;
}

/** How signatures are read. */
interface Verifying {
  readonly format: "der" | "p1363";
  readonly lowS: boolean;
}

function checkSigning(options: SignEcdsaOptions | undefined): Signing {
  const { format = "der", lowS, hash, hedged } = checkOptions(options);
  ensure(
    format === "der" || format === "p1363" || format === "recoverable",
    "InvalidParameter",
    "format must be der, p1363 or recoverable.",
  );
  checkFlag(lowS, "lowS");
  checkFlag(hedged, "hedged");
  if (hash !== undefined) hashFacts(hash);
  return { format, lowS: lowS === true, hedged: hedged === true, nonceHash: hash };
}

function checkVerifying(options: VerifyEcdsaOptions | undefined): Verifying {
  const { format = "der", lowS } = checkOptions(options);
  ensure(format === "der" || format === "p1363", "InvalidParameter", "format must be der or p1363.");
  checkFlag(lowS, "lowS");
  return { format, lowS: lowS === true };
}

/** Brings a signature into a format. */
function encode({ pair, recovery }: Signed, format: EcdsaFormat): Uint8Array {
  if (format === "p1363") return pair;
  if (format === "der") return encodeDerSignature(pair);
  const recoverable = new Uint8Array(P1363_LENGTH + 1);
  recoverable.set(pair);
  recoverable[P1363_LENGTH] = recovery;
  return recoverable;
}

const PLAIN: SignFlags = { lowS: false, hedged: false };

/** A signature to make, and the key that it must verify with. */
interface SecretJob extends SignJob {
  readonly verifier: EcPublic;
}

export class WasmEcdsa implements Ecdsa {
  readonly #state: WasmState;
  readonly #keys: EcKeys;
  readonly #operations: EcOperations;
  readonly #hashKernel: HashKernel;
  readonly #verifySignatures: boolean;
  readonly #selfTests: Readonly<Record<CurveName, SelfTest>>;

  /** @param verifySignatures whether every signature is verified before it leaves */
  constructor(
    state: WasmState,
    keys: EcKeys,
    operations: EcOperations,
    hashKernel: HashKernel,
    verifySignatures: boolean,
  ) {
    this.#state = state;
    this.#keys = keys;
    this.#operations = operations;
    this.#hashKernel = hashKernel;
    this.#verifySignatures = verifySignatures;
    this.#selfTests = {
      "P-256": this.#selfTest("ecdsa-p256", "P-256"),
      secp256k1: this.#selfTest("ecdsa-secp256k1", "secp256k1"),
    };
  }

  importPrivateKey(curve: CurveName, key: Uint8Array): EcPrivateKey {
    this.#enter(curve);
    const secret = this.#keys.readPrivate(curve, key);
    // A bare scalar comes without a public half to be consistent with.
    if (key.length !== SCALAR_LENGTH) this.#pairwiseTest(secret);
    return this.#keys.holdPrivate(secret);
  }

  importPublicKey(curve: CurveName, key: Uint8Array): EcPublicKey {
    this.#enter(curve);
    return this.#keys.holdPublic(this.#keys.readPublic(curve, key));
  }

  /** Takes random scalars until one is in range (FIPS 186-5, A.2.2); an abort is noticed before the work, which takes microseconds. */
  async generateKey(
    curve: CurveName,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }> {
    this.#enter(curve);
    const { signal, onProgress } = checkOptions(options);
    ensure(
      signal === undefined || signal instanceof AbortSignal,
      "InvalidParameter",
      "signal must be an AbortSignal.",
    );
    ensure(
      onProgress === undefined || typeof onProgress === "function",
      "InvalidParameter",
      "onProgress must be a function.",
    );
    await undefined;
    signal?.throwIfAborted();
    this.#state.require();
    const secret = this.#generate(curve);
    this.#pairwiseTest(secret);
    const privateKey = this.#keys.holdPrivate(secret);
    onProgress?.(1);
    return { privateKey, publicKey: this.publicKey(privateKey) };
  }

  publicKey(privateKey: EcPrivateKey): EcPublicKey {
    this.#state.require();
    const { curve, point } = this.#keys.privateKey(privateKey);
    return this.#keys.holdPublic(publicOf(curve, point));
  }

  exportPkcs8(key: EcPrivateKey): Uint8Array {
    this.#state.require();
    return this.#keys.exportPkcs8(key);
  }

  exportSpki(key: EcPublicKey): Uint8Array {
    this.#state.require();
    return this.#keys.exportSpki(key);
  }

  exportPoint(key: EcPublicKey, options?: { readonly compressed?: boolean }): Uint8Array {
    this.#state.require();
    return this.#keys.exportPoint(key, options?.compressed === true);
  }

  sign(key: EcPrivateKey, signable: Signable, options?: SignEcdsaOptions): Uint8Array {
    const signing = checkSigning(options);
    const job = this.#signJob(this.#signer(key), signable, signing);
    // Reading the signable may have run code of the caller that destroyed the key.
    this.#keys.privateKey(key);
    const signed = this.#operations.signOne(job, signing);
    if (this.#verifySignatures) this.#verifyOwn([job], [signed]);
    return encode(signed, signing.format);
  }

  verify(key: EcPublicKey, signable: Signable, signature: Uint8Array, options?: VerifyEcdsaOptions): boolean {
    const verifier = this.#verifier(key);
    const job = this.#verifyJob(verifier, signable, signature, checkVerifying(options));
    return job !== undefined && this.#operations.verify([job])[0] === true;
  }

  signBatch(
    items: readonly { key: EcPrivateKey; signable: Signable }[],
    options?: SignEcdsaOptions,
  ): Uint8Array[] {
    this.#state.require();
    checkItems(items);
    const signing = checkSigning(options);
    const keys: EcPrivateKey[] = [];
    const jobs = items.map(({ key, signable }) => {
      keys.push(key);
      return this.#signJob(this.#signer(key), signable, signing);
    });
    // Reading a later item may have run code of the caller that destroyed the key of an earlier one.
    for (const key of keys) this.#keys.privateKey(key);
    const signatures = this.#operations.sign(jobs, signing);
    if (this.#verifySignatures) this.#verifyOwn(jobs, signatures);
    return signatures.map((signed) => encode(signed, signing.format));
  }

  verifyBatch(
    items: readonly { key: EcPublicKey; signable: Signable; signature: Uint8Array }[],
    options?: VerifyEcdsaOptions,
  ): boolean[] {
    this.#state.require();
    checkItems(items);
    const verifying = checkVerifying(options);
    const jobs = items.map(({ key, signable, signature }) =>
      this.#verifyJob(this.#verifier(key), signable, signature, verifying),
    );
    const verdicts = this.#operations.verify(jobs.filter((job) => job !== undefined));
    let next = 0;
    return jobs.map((job) => job !== undefined && verdicts[next++] === true);
  }

  /** Lets a call on a curve pass after its self-test. */
  #enter(curve: CurveName): void {
    this.#state.require();
    checkCurve(curve);
    this.#requireTested(curve);
  }

  /** A kernel that is not there must be told as such: to the self-test it would be a wrong one, which stops the engine. */
  #requireTested(curve: CurveName): void {
    this.#operations.prepare();
    this.#state.require(this.#selfTests[curve]);
  }

  #signer(key: EcPrivateKey): EcSecret {
    this.#state.require();
    const secret = this.#keys.privateKey(key);
    this.#requireTested(secret.curve);
    return secret;
  }

  #verifier(key: EcPublicKey): EcPublic {
    this.#state.require();
    const verifier = this.#keys.publicKey(key);
    this.#requireTested(verifier.curve);
    return verifier;
  }

  #signJob({ curve, scalar, verifier }: EcSecret, signable: Signable, { nonceHash }: Signing): SecretJob {
    const checked = checkSignable(signable);
    if (checked.kind === "message") {
      const facts = hashFacts(checked.hash);
      const digest = hashRaw(this.#hashKernel, facts, checked.message);
      return { curve, scalar, verifier, digest, nonceHash: facts.id };
    }
    // A copy of its own: reading later items may run code of the caller.
    const digest = copyBytes(checked.digest);
    const hash = nonceHash ?? HASH_OF_LENGTH.get(digest.length);
    ensure(
      hash !== undefined,
      "InvalidParameter",
      "A digest of this length is signed only with the option hash.",
    );
    return { curve, scalar, verifier, digest, nonceHash: hashFacts(hash).id };
  }

  /** Reads what is to be verified; undefined for bytes that are no signature. */
  #verifyJob(
    key: EcPublic,
    signable: Signable,
    signature: Uint8Array,
    { format, lowS }: Verifying,
  ): VerifyJob | undefined {
    const checked = checkSignable(signable);
    ensureBytes(signature, "signature");
    const read = format === "der" ? readDerSignature : readP1363Signature;
    const pair = read(key.curve, copyBytes(signature));
    if (pair === undefined || (lowS && !hasLowS(key.curve, pair))) return undefined;
    const digest =
      checked.kind === "digest"
        ? copyBytes(checked.digest)
        : hashRaw(this.#hashKernel, hashFacts(checked.hash), checked.message);
    return { key, digest, pair };
  }

  #generate(curve: CurveName): EcSecret {
    while (true) {
      const scalar = randomBytes(32);
      const point = this.#operations.publicPoint(curve, scalar);
      if (point !== undefined) return { curve, scalar, point, verifier: publicOf(curve, point) };
    }
  }

  /**
   * Verifies what was just signed: a signature that a fault made wrong may tell the private key, and a deterministic nonce
   * lets an attacker compare it with the right one. A wrong one is erased with its neighbours and stops the engine.
   */
  #verifyOwn(jobs: readonly SecretJob[], signatures: readonly Signed[]): void {
    const verdicts = this.#operations.verify(
      jobs.map(({ verifier, digest }, i) => ({
        key: verifier,
        digest,
        pair: (signatures[i] as Signed).pair,
      })),
    );
    if (verdicts.every((verdict) => verdict)) return;
    for (const { pair } of signatures) pair.fill(0);
    this.#state.fail("verification of a signature just made");
  }

  /** Signs and verifies once, as every pair must that is new here (FIPS 140-3 IG 10.3.A). */
  #pairwiseTest(secret: EcSecret): void {
    const digest = secret.point.subarray(1, 33);
    const { id: nonceHash } = hashFacts("SHA-256");
    const { pair } = this.#operations.signOne({ ...secret, digest, nonceHash }, PLAIN);
    const [consistent] = this.#operations.verify([{ key: secret.verifier, digest, pair }]);
    if (consistent === true) return;
    secret.scalar.fill(0);
    pair.fill(0);
    this.#state.fail("pairwise consistency test of a key");
  }

  /** Makes the stored signature again, and verifies it and a changed one. */
  #selfTest(name: string, curve: CurveName): SelfTest {
    const answer = ECDSA_ANSWERS[curve];
    return {
      name,
      get expected() {
        return concatBytes(fromHex(answer.point), fromHex(answer.signature), Uint8Array.of(1, 0));
      },
      compute: () => {
        const { id: nonceHash } = hashFacts("SHA-256");
        const digest = hashRaw(this.#hashKernel, hashFacts("SHA-256"), fromHex(answer.message));
        const secret = this.#keys.readPrivate(curve, fromHex(answer.scalar));
        const { pair } = this.#operations.signOne({ ...secret, digest, nonceHash }, PLAIN);
        const changed = new Uint8Array(pair);
        changed[40] = (changed[40] ?? 0) ^ 1;
        const key = this.#keys.readPublic(curve, fromHex(answer.point));
        const verdicts = this.#operations.verify([
          { key, digest, pair },
          { key, digest, pair: changed },
        ]);
        return concatBytes(secret.point, pair, Uint8Array.from(verdicts, Number));
      },
    };
  }
}
