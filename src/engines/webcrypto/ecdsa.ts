/**
 * ECDSA over SubtleCrypto, P-256 only. It hashes by itself, so a bare digest is refused both ways, and it knows signatures
 * as r ‖ s alone: DER and the ranges of r and s are checked here.
 */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import {
  encodeDerSignature,
  hasLowS,
  lowerS,
  readDerSignature,
  readP1363Signature,
} from "../ecdsa-signature.ts";
import type {
  CurveName,
  Ecdh,
  Ecdsa,
  EcPrivateKey,
  EcPublicKey,
  GenerateKeyOptions,
  HashName,
  Promised,
  Signable,
  SignEcdsaOptions,
  VerifyEcdsaOptions,
} from "../engine.ts";
import { encodeEcPkcs8 } from "../key-encoding.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { ECDH_ANSWERS, ECDSA_ANSWERS, fromHex } from "../self-test-vectors.ts";
import { asSource, checkItems, checkOptions, messageOf } from "./arguments.ts";
import {
  checkCurve,
  type EcKeys,
  type EcPrivateSecret,
  type EcPublicSecret,
  importPrivate,
  importPublic,
  SHA_256,
} from "./ec-keys.ts";
import type { EngineState } from "./state.ts";

const CURVE = "P-256";

/** Encodes the scalar and point of the known answers, which need not be computed then. */
function testKey(): Uint8Array {
  const { scalar, point } = ECDSA_ANSWERS[CURVE];
  return encodeEcPkcs8(CURVE, { scalar: fromHex(scalar), point: fromHex(point) });
}

/** Signing is randomised, so it answers with verdicts: the stored signature, a changed one, and a fresh one. */
function ecdsaSelfTest(state: EngineState): AsyncSelfTest {
  const { subtle } = state;
  return {
    name: "ecdsa-p256",
    expected: Uint8Array.of(1, 0, 1),
    async compute() {
      const { signKey, verifyKey } = await importPrivate(state, testKey());
      const message = asSource(fromHex(ECDSA_ANSWERS[CURVE].message));
      const stored = fromHex(ECDSA_ANSWERS[CURVE].signature);
      const changed = new Uint8Array(stored);
      changed[40] = (changed[40] ?? 0) ^ 1;
      const fresh = new Uint8Array(await subtle.sign(SHA_256, signKey, message));
      const verdicts = await Promise.all(
        [stored, changed, fresh].map((pair) => subtle.verify(SHA_256, verifyKey, asSource(pair), message)),
      );
      return Uint8Array.from(verdicts, Number);
    },
  };
}

async function signRaw(
  { subtle }: EngineState,
  { signKey }: EcPrivateSecret,
  message: Uint8Array,
  hash: HashName,
): Promise<Uint8Array> {
  return new Uint8Array(await subtle.sign({ name: "ECDSA", hash }, signKey, asSource(message)));
}

function checkLowS(lowS: unknown): void {
  ensure(lowS === undefined || typeof lowS === "boolean", "InvalidParameter", "lowS must be a boolean.");
}

/** ECDSA of one engine. */
export class WebEcdsa implements Promised<Ecdsa> {
  readonly #state: EngineState;
  readonly #keys: EcKeys;
  readonly #verifies: boolean;
  readonly #selfTest: AsyncSelfTest;

  /** @param verifies whether every signature is verified before it leaves */
  constructor(state: EngineState, keys: EcKeys, verifies: boolean) {
    this.#state = state;
    this.#keys = keys;
    this.#verifies = verifies;
    this.#selfTest = ecdsaSelfTest(state);
  }

  async importPrivateKey(curve: CurveName, key: Uint8Array): Promise<EcPrivateKey> {
    this.#enter(curve);
    ensureBytes(key, "key");
    return this.#state.run(this.#selfTest, [key] as const, ([own]) => this.#keys.importPrivateKey(own));
  }

  async importPublicKey(curve: CurveName, key: Uint8Array): Promise<EcPublicKey> {
    this.#enter(curve);
    ensureBytes(key, "key");
    return this.#state.run(this.#selfTest, [key] as const, ([own]) => this.#keys.importPublicKey(own));
  }

  async generateKey(
    curve: CurveName,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }> {
    this.#enter(curve);
    return this.#state.run(this.#selfTest, [], () => this.#keys.generateKey(options));
  }

  async publicKey(privateKey: EcPrivateKey): Promise<EcPublicKey> {
    this.#state.enter();
    return this.#keys.publicKey(privateKey);
  }

  async exportPkcs8(key: EcPrivateKey): Promise<Uint8Array> {
    this.#state.enter();
    return this.#keys.exportPkcs8(key);
  }

  async exportSpki(key: EcPublicKey): Promise<Uint8Array> {
    this.#state.enter();
    return this.#keys.exportSpki(key);
  }

  async exportPoint(key: EcPublicKey, options?: { readonly compressed?: boolean }): Promise<Uint8Array> {
    this.#state.enter();
    return this.#keys.exportPoint(key, options);
  }

  async sign(key: EcPrivateKey, signable: Signable, options?: SignEcdsaOptions): Promise<Uint8Array> {
    this.#state.enter();
    const secret = this.#keys.privateSecret(key);
    const { format = "der", lowS } = checkOptions(options);
    ensure(
      format !== "recoverable",
      "Rejected.UnsupportedOperation",
      "The WebCrypto engine makes no recoverable signatures.",
    );
    ensure(format === "der" || format === "p1363", "InvalidParameter", "format must be der or p1363.");
    checkLowS(lowS);
    const { message, hash } = messageOf(signable);
    const pair = await this.#state.run(this.#selfTest, [message] as const, ([own]) =>
      this.#verifies ? this.#signAndVerify(secret, own, hash) : signRaw(this.#state, secret, own, hash),
    );
    if (lowS === true) lowerS(CURVE, pair);
    return format === "der" ? encodeDerSignature(pair) : pair;
  }

  async #signAndVerify(secret: EcPrivateSecret, message: Uint8Array, hash: HashName): Promise<Uint8Array> {
    const own = new Uint8Array(message);
    const pair = await signRaw(this.#state, secret, own, hash);
    const algorithm = { name: "ECDSA", hash };
    if (!(await this.#state.subtle.verify(algorithm, secret.verifyKey, asSource(pair), own))) {
      pair.fill(0);
      this.#state.fail("verification of an ECDSA signature");
    }
    return pair;
  }

  async verify(
    key: EcPublicKey,
    signable: Signable,
    signature: Uint8Array,
    options?: VerifyEcdsaOptions,
  ): Promise<boolean> {
    this.#state.enter();
    const { verifyKey } = this.#keys.publicSecret(key);
    const { format = "der", lowS } = checkOptions(options);
    ensure(format === "der" || format === "p1363", "InvalidParameter", "format must be der or p1363.");
    checkLowS(lowS);
    const { message, hash } = messageOf(signable);
    ensureBytes(signature, "signature");
    const pair = (format === "der" ? readDerSignature : readP1363Signature)(CURVE, signature);
    if (pair === undefined || (lowS === true && !hasLowS(CURVE, pair))) return false;
    return this.#state.run(this.#selfTest, [message, pair] as const, ([own, ownPair]) =>
      this.#state.subtle.verify({ name: "ECDSA", hash }, verifyKey, asSource(ownPair), asSource(own)),
    );
  }

  async signBatch(
    items: readonly { key: EcPrivateKey; signable: Signable }[],
    options?: SignEcdsaOptions,
  ): Promise<Uint8Array[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(items.map(({ key, signable }) => this.sign(key, signable, options)));
  }

  async verifyBatch(
    items: readonly { key: EcPublicKey; signable: Signable; signature: Uint8Array }[],
    options?: VerifyEcdsaOptions,
  ): Promise<boolean[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(
      items.map(({ key, signable, signature }) => this.verify(key, signable, signature, options)),
    );
  }

  #enter(curve: CurveName): void {
    this.#state.enter();
    checkCurve(curve);
  }
}

/** Makes ECDH (SP 800-56A, 5.7.1.2) of one engine, on the key handles of ECDSA. */
export function webEcdh(state: EngineState, keys: EcKeys): Promised<Ecdh> {
  const { subtle } = state;
  const derive = async (privateKey: CryptoKey, peer: EcPublicSecret): Promise<Uint8Array> => {
    const algorithm = { name: "ECDH", public: await keys.peerKey(peer) };
    return new Uint8Array(await subtle.deriveBits(algorithm, privateKey, 256));
  };
  const selfTest: AsyncSelfTest = {
    name: "ecdh",
    expected: fromHex(ECDH_ANSWERS[CURVE].shared),
    async compute() {
      const privateKey = await keys.deriveKey(await importPrivate(state, testKey()));
      return derive(privateKey, await importPublic(subtle, fromHex(ECDH_ANSWERS[CURVE].peer)));
    },
  };
  return {
    async deriveBits(privateKey, publicKey) {
      state.enter();
      const secret = keys.privateSecret(privateKey);
      const peer = keys.publicSecret(publicKey);
      return state.run(selfTest, [], async () => derive(await keys.deriveKey(secret), peer));
    },
  };
}
