/** RSA over SubtleCrypto (RFC 8017): messages only, no digests; OAEP with one hash for both uses. */

import { ensureBytes } from "../../bytes.ts";
import { KmsError } from "../../errors.ts";
import type {
  GenerateKeyOptions,
  OaepOptions,
  Pkcs1Options,
  Promised,
  PssOptions,
  Rsa,
  RsaModulusBits,
  RsaPrivateKey,
  RsaPublicKey,
  Signable,
  VerifyPssOptions,
} from "../engine.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { checkItems, HASH_LENGTHS } from "./arguments.ts";
import {
  messageFor,
  pkcs1Scheme,
  pssScheme,
  pssSchemeToVerify,
  readOaep,
  type Scheme,
} from "./rsa-arguments.ts";
import { RsaKeys, type RsaPrivateSecret, type RsaPublicSecret } from "./rsa-keys.ts";
import { decryptRaw, encryptRaw, signRaw, verifyRaw } from "./rsa-operations.ts";
import { oaepSelfTest, pkcs1SelfTest, pssSelfTest } from "./rsa-self-tests.ts";
import type { EngineState } from "./state.ts";

/** RSA of one engine. */
export class WebRsa implements Promised<Rsa> {
  readonly #state: EngineState;
  readonly #keys: RsaKeys;
  readonly #pkcs1Test: AsyncSelfTest;
  readonly #pssTest: AsyncSelfTest;
  readonly #oaepTest: AsyncSelfTest;

  constructor(state: EngineState) {
    this.#state = state;
    this.#keys = new RsaKeys(state);
    this.#pkcs1Test = pkcs1SelfTest(state);
    this.#pssTest = pssSelfTest(state);
    this.#oaepTest = oaepSelfTest(state);
  }

  async importPrivateKey(pkcs8: Uint8Array): Promise<RsaPrivateKey> {
    this.#state.enter();
    ensureBytes(pkcs8, "pkcs8");
    return this.#state.run(this.#pkcs1Test, [pkcs8] as const, ([own]) => this.#keys.importPrivateKey(own));
  }

  async importPublicKey(spki: Uint8Array): Promise<RsaPublicKey> {
    this.#state.enter();
    return this.#keys.importPublicKey(spki);
  }

  async generateKey(
    modulusBits: RsaModulusBits,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: RsaPrivateKey; publicKey: RsaPublicKey }> {
    this.#state.enter();
    return this.#state.run(this.#pkcs1Test, [], () => this.#keys.generateKey(modulusBits, options));
  }

  async publicKey(privateKey: RsaPrivateKey): Promise<RsaPublicKey> {
    this.#state.enter();
    return this.#keys.publicKey(privateKey);
  }

  async exportPkcs8(key: RsaPrivateKey): Promise<Uint8Array> {
    this.#state.enter();
    return this.#keys.exportPkcs8(key);
  }

  async exportSpki(key: RsaPublicKey): Promise<Uint8Array> {
    this.#state.enter();
    return this.#keys.exportSpki(key);
  }

  async signPss(key: RsaPrivateKey, signable: Signable, options: PssOptions): Promise<Uint8Array> {
    this.#state.enter();
    const secret = this.#keys.privateSecret(key);
    return this.#sign(this.#pssTest, secret, signable, pssScheme(options, secret.modulusLength));
  }

  async verifyPss(
    key: RsaPublicKey,
    signable: Signable,
    signature: Uint8Array,
    options: VerifyPssOptions,
  ): Promise<boolean> {
    this.#state.enter();
    const secret = this.#keys.publicSecret(key);
    const scheme = pssSchemeToVerify(options, secret.modulusLength);
    return this.#verify(this.#pssTest, secret, signable, signature, scheme);
  }

  async signPkcs1(key: RsaPrivateKey, signable: Signable, options: Pkcs1Options): Promise<Uint8Array> {
    this.#state.enter();
    return this.#sign(this.#pkcs1Test, this.#keys.privateSecret(key), signable, pkcs1Scheme(options));
  }

  async verifyPkcs1(
    key: RsaPublicKey,
    signable: Signable,
    signature: Uint8Array,
    options: Pkcs1Options,
  ): Promise<boolean> {
    this.#state.enter();
    const secret = this.#keys.publicSecret(key);
    return this.#verify(this.#pkcs1Test, secret, signable, signature, pkcs1Scheme(options));
  }

  async signPssBatch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: PssOptions,
  ): Promise<Uint8Array[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(items.map(({ key, signable }) => this.signPss(key, signable, options)));
  }

  async verifyPssBatch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: VerifyPssOptions,
  ): Promise<boolean[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(
      items.map(({ key, signable, signature }) => this.verifyPss(key, signable, signature, options)),
    );
  }

  async signPkcs1Batch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: Pkcs1Options,
  ): Promise<Uint8Array[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(items.map(({ key, signable }) => this.signPkcs1(key, signable, options)));
  }

  async verifyPkcs1Batch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: Pkcs1Options,
  ): Promise<boolean[]> {
    this.#state.enter();
    checkItems(items);
    return Promise.all(
      items.map(({ key, signable, signature }) => this.verifyPkcs1(key, signable, signature, options)),
    );
  }

  async encryptOaep(key: RsaPublicKey, plaintext: Uint8Array, options: OaepOptions): Promise<Uint8Array> {
    this.#state.enter();
    const secret = this.#keys.publicSecret(key);
    const { hash, label } = readOaep(options);
    ensureBytes(plaintext, "plaintext");
    // RFC 8017, 7.1.1, step 1.b.
    if (plaintext.length > secret.modulusLength - 2 * HASH_LENGTHS[hash] - 2) {
      throw new KmsError("InvalidParameter", "plaintext is too long for the modulus and the hash.");
    }
    return this.#state.run(this.#oaepTest, [plaintext, label] as const, ([own, ownLabel]) =>
      encryptRaw(this.#state, secret, own, { hash, label: ownLabel }),
    );
  }

  async decryptOaep(
    key: RsaPrivateKey,
    ciphertext: Uint8Array,
    options: OaepOptions,
  ): Promise<Uint8Array | undefined> {
    this.#state.enter();
    const secret = this.#keys.privateSecret(key);
    const { hash, label } = readOaep(options);
    ensureBytes(ciphertext, "ciphertext");
    return this.#state.run(this.#oaepTest, [ciphertext, label] as const, ([own, ownLabel]) =>
      decryptRaw(this.#state, secret, own, { hash, label: ownLabel }),
    );
  }

  #sign(
    test: AsyncSelfTest,
    secret: RsaPrivateSecret,
    signable: Signable,
    scheme: Scheme,
  ): Promise<Uint8Array> {
    return this.#state.run(test, [messageFor(scheme, signable)] as const, ([own]) =>
      signRaw(this.#state, secret, own, scheme),
    );
  }

  #verify(
    test: AsyncSelfTest,
    secret: RsaPublicSecret,
    signable: Signable,
    signature: Uint8Array,
    scheme: Scheme,
  ): Promise<boolean> {
    ensureBytes(signature, "signature");
    const message = messageFor(scheme, signable);
    return this.#state.run(test, [message, signature] as const, ([own, ownSignature]) =>
      verifyRaw(this.#state, secret, own, ownSignature, scheme),
    );
  }
}
