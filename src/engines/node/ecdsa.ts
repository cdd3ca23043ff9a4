/**
 * ECDSA over node:crypto, which hashes by itself: a bare digest is refused both ways. Signatures cross to OpenSSL as
 * r ‖ s after a strict parse here, since OpenSSL's own DER reader is not the one that defines validity.
 */

import { sign, verify } from "node:crypto";
import { ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import {
  encodeDerSignature,
  hasLowS,
  lowerS,
  readDerSignature,
  readP1363Signature,
} from "../ecdsa-signature.ts";
import type {
  CurveName,
  Ecdsa,
  EcPrivateKey,
  EcPublicKey,
  GenerateKeyOptions,
  HashName,
  Signable,
  SignEcdsaOptions,
  VerifyEcdsaOptions,
} from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { ECDSA_ANSWERS, fromHex } from "../self-test-vectors.ts";
import { checkItems, checkOptions, checkSignable, hashFacts, ownBytes } from "./arguments.ts";
import {
  checkCurve,
  type EcKeys,
  type EcSecret,
  publicSecret,
  readEcPrivate,
  readEcPublic,
} from "./ec-keys.ts";
import type { EngineState } from "./state.ts";

const DSA_ENCODING = "ieee-p1363";

function signRaw({ key }: EcSecret, message: Uint8Array, hash: HashName): Uint8Array {
  return ownBytes(sign(hashFacts(hash).openssl, message, { key, dsaEncoding: DSA_ENCODING }));
}

function verifyRaw(secret: EcSecret, message: Uint8Array, hash: HashName, pair: Uint8Array): boolean {
  const signature = Uint8Array.from(pair);
  // Deno refuses s above n/2 on this curve; n - s is valid where s is (SEC 1, 4.1.4).
  if (secret.curve === "secp256k1") lowerS(secret.curve, signature);
  try {
    return verify(
      hashFacts(hash).openssl,
      message,
      { key: secret.key, dsaEncoding: DSA_ENCODING },
      signature,
    );
  } catch {
    return false;
  }
}

/** Signing is randomised, so it answers with verdicts: the stored signature, a changed one, and a fresh one. */
function selfTest(name: string, curve: CurveName): SelfTest {
  return {
    name,
    expected: Uint8Array.of(1, 0, 1),
    compute() {
      const answer = ECDSA_ANSWERS[curve];
      const message = fromHex(answer.message);
      const secret = readEcPrivate(curve, fromHex(answer.scalar));
      const known = readEcPublic(curve, fromHex(answer.point));
      const stored = fromHex(answer.signature);
      const changed = new Uint8Array(stored);
      changed[40] = (changed[40] ?? 0) ^ 1;
      const fresh = signRaw(secret, message, "SHA-256");
      const verdicts = [stored, changed, fresh].map((pair) => verifyRaw(known, message, "SHA-256", pair));
      return Uint8Array.from(verdicts, Number);
    },
  };
}

const SELF_TESTS: Readonly<Record<CurveName, SelfTest>> = {
  "P-256": selfTest("ecdsa-p256", "P-256"),
  secp256k1: selfTest("ecdsa-secp256k1", "secp256k1"),
};

/** Refuses a bare digest after its shape was checked. */
function messageOf(signable: Signable): { message: Uint8Array; hash: HashName } {
  const checked = checkSignable(signable);
  if (checked.kind === "message") return checked;
  throw new KmsError(
    "Rejected.UnsupportedOperation",
    "The node engine signs and verifies ECDSA over a message with its hash, not over a digest.",
  );
}

function checkLowS(lowS: unknown): void {
  ensure(lowS === undefined || typeof lowS === "boolean", "InvalidParameter", "lowS must be a boolean.");
}

/** ECDSA of one engine. */
export class NodeEcdsa implements Ecdsa {
  readonly #state: EngineState;
  readonly #keys: EcKeys;
  readonly #verifySignatures: boolean;
  /** Public halves of private keys, for verifying what they signed. */
  readonly #verifiers: WeakMap<EcSecret, EcSecret> = new WeakMap();

  /** @param verifySignatures whether every signature is verified before it leaves */
  constructor(state: EngineState, keys: EcKeys, verifySignatures: boolean) {
    this.#state = state;
    this.#keys = keys;
    this.#verifySignatures = verifySignatures;
  }

  importPrivateKey(curve: CurveName, key: Uint8Array): EcPrivateKey {
    this.#enter(curve);
    return this.#keys.importPrivateKey(curve, key);
  }

  importPublicKey(curve: CurveName, key: Uint8Array): EcPublicKey {
    this.#enter(curve);
    return this.#keys.importPublicKey(curve, key);
  }

  async generateKey(
    curve: CurveName,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }> {
    this.#enter(curve);
    return this.#keys.generateKey(curve, options);
  }

  publicKey(privateKey: EcPrivateKey): EcPublicKey {
    this.#state.require();
    return this.#keys.publicKey(privateKey);
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
    return this.#keys.exportPoint(key, options);
  }

  sign(key: EcPrivateKey, signable: Signable, options?: SignEcdsaOptions): Uint8Array {
    this.#state.require();
    const secret = this.#keys.privateSecret(key);
    this.#state.require(SELF_TESTS[secret.curve]);
    const { format = "der", lowS } = checkOptions(options);
    ensure(
      format !== "recoverable",
      "Rejected.UnsupportedOperation",
      "The node engine makes no recoverable signatures.",
    );
    ensure(format === "der" || format === "p1363", "InvalidParameter", "format must be der or p1363.");
    checkLowS(lowS);
    const { message, hash } = messageOf(signable);
    const pair = signRaw(secret, message, hash);
    if (this.#verifySignatures) this.#verifyOwn(secret, message, hash, pair);
    if (lowS === true) lowerS(secret.curve, pair);
    return format === "der" ? encodeDerSignature(pair) : pair;
  }

  verify(key: EcPublicKey, signable: Signable, signature: Uint8Array, options?: VerifyEcdsaOptions): boolean {
    this.#state.require();
    const secret = this.#keys.publicSecret(key);
    this.#state.require(SELF_TESTS[secret.curve]);
    const { format = "der", lowS } = checkOptions(options);
    ensure(format === "der" || format === "p1363", "InvalidParameter", "format must be der or p1363.");
    checkLowS(lowS);
    const { message, hash } = messageOf(signable);
    ensureBytes(signature, "signature");
    const read = format === "der" ? readDerSignature : readP1363Signature;
    const pair = read(secret.curve, signature);
    if (pair === undefined || (lowS === true && !hasLowS(secret.curve, pair))) return false;
    return verifyRaw(secret, message, hash, pair);
  }

  signBatch(
    items: readonly { key: EcPrivateKey; signable: Signable }[],
    options?: SignEcdsaOptions,
  ): Uint8Array[] {
    this.#state.require();
    checkItems(items);
    return items.map(({ key, signable }) => this.sign(key, signable, options));
  }

  verifyBatch(
    items: readonly { key: EcPublicKey; signable: Signable; signature: Uint8Array }[],
    options?: VerifyEcdsaOptions,
  ): boolean[] {
    this.#state.require();
    checkItems(items);
    return items.map(({ key, signable, signature }) => this.verify(key, signable, signature, options));
  }

  /** Verifies what was just signed; a wrong signature is erased and stops the engine. */
  #verifyOwn(secret: EcSecret, message: Uint8Array, hash: HashName, pair: Uint8Array): void {
    let verifier = this.#verifiers.get(secret);
    if (verifier === undefined) {
      verifier = publicSecret(secret.curve, secret.point);
      this.#verifiers.set(secret, verifier);
    }
    if (verifyRaw(verifier, message, hash, pair)) return;
    pair.fill(0);
    this.#state.fail("verification of a signature just made");
  }

  #enter(curve: CurveName): void {
    this.#state.require();
    checkCurve(curve);
    this.#state.require(SELF_TESTS[curve]);
  }
}
