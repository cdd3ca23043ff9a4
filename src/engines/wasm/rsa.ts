/** RSA of the wasm engine (RFC 8017): arguments, self-tests and handles around the operations of the kernels. */

import { copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type {
  GenerateKeyOptions,
  OaepOptions,
  Pkcs1Options,
  PssOptions,
  Rsa,
  RsaModulusBits,
  RsaPrivateKey,
  RsaPublicKey,
  Signable,
  VerifyPssOptions,
} from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { checkItems } from "./ec-arguments.ts";
import {
  checkGenerateOptions,
  checkOaep,
  pkcs1Padding,
  pssPadding,
  pssPaddingToVerify,
  signableFor,
} from "./rsa-arguments.ts";
import { generateRsaKey } from "./rsa-generate.ts";
import { RsaKeys, type RsaSecret } from "./rsa-keys.ts";
import {
  maxMessageLength,
  type RsaOperations,
  type RsaPadding,
  type RsaSigning,
  type RsaVerifyJob,
} from "./rsa-operations.ts";
import { type RsaSelfTests, rsaSelfTests } from "./rsa-self-tests.ts";
import type { WasmState } from "./state.ts";

const MODULUS_BITS: readonly unknown[] = [2048, 3072, 4096];

interface SignItem {
  readonly key: RsaPrivateKey;
  readonly signable: Signable;
}
interface VerifyItem {
  readonly key: RsaPublicKey;
  readonly signable: Signable;
  readonly signature: Uint8Array;
}

/** RSA of one engine. */
export class WasmRsa implements Rsa {
  readonly #state: WasmState;
  readonly #operations: RsaOperations;
  readonly #keys: RsaKeys;
  readonly #selfTests: RsaSelfTests;

  constructor(state: WasmState, operations: RsaOperations) {
    this.#state = state;
    this.#operations = operations;
    this.#keys = new RsaKeys(() => operations.raw);
    this.#selfTests = rsaSelfTests(this.#keys, operations);
  }

  importPrivateKey(pkcs8: Uint8Array): RsaPrivateKey {
    this.#enter(this.#selfTests.pkcs1);
    const secret = this.#keys.readPrivate(pkcs8);
    const consistent = this.#isConsistent(secret);
    if (!consistent) this.#keys.wipe(secret);
    ensure(consistent, "InvalidKeyMaterial", "The RSA key does not verify what it signs.");
    return this.#keys.holdPrivate(secret);
  }

  importPublicKey(spki: Uint8Array): RsaPublicKey {
    this.#enter();
    return this.#keys.holdPublic(this.#keys.readPublic(spki));
  }

  async generateKey(
    modulusBits: RsaModulusBits,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: RsaPrivateKey; publicKey: RsaPublicKey }> {
    this.#enter(this.#selfTests.pkcs1);
    ensure(MODULUS_BITS.includes(modulusBits), "InvalidParameter", "modulusBits must be 2048, 3072 or 4096.");
    const checked = checkGenerateOptions(options);
    const fields = await generateRsaKey(this.#operations.raw.kernel.module, modulusBits, checked);
    let secret: RsaSecret;
    try {
      this.#enter();
      secret = this.#keys.secretOf(fields);
    } finally {
      for (const part of Object.values(fields)) part.fill(0);
    }
    const consistent = this.#isConsistent(secret);
    if (!consistent) this.#keys.wipe(secret);
    ensure(consistent, "InternalFailure", "The generated key failed its pairwise consistency test.");
    const privateKey = this.#keys.holdPrivate(secret);
    checked.onProgress?.(1);
    return { privateKey, publicKey: this.#keys.publicHalf(privateKey) };
  }

  publicKey(privateKey: RsaPrivateKey): RsaPublicKey {
    this.#enter();
    return this.#keys.publicHalf(privateKey);
  }

  exportPkcs8(key: RsaPrivateKey): Uint8Array {
    this.#enter();
    return this.#keys.exportPkcs8(key);
  }

  exportSpki(key: RsaPublicKey): Uint8Array {
    this.#enter();
    return this.#keys.exportSpki(key);
  }

  signPss(key: RsaPrivateKey, signable: Signable, options: PssOptions): Uint8Array {
    this.#enter(this.#selfTests.pss);
    return this.#sign(key, signable, (length) => pssPadding(options, length));
  }

  verifyPss(
    key: RsaPublicKey,
    signable: Signable,
    signature: Uint8Array,
    options: VerifyPssOptions,
  ): boolean {
    this.#enter(this.#selfTests.pss);
    return this.#verify({ key, signable, signature }, (length) => pssPaddingToVerify(options, length));
  }

  signPkcs1(key: RsaPrivateKey, signable: Signable, options: Pkcs1Options): Uint8Array {
    this.#enter(this.#selfTests.pkcs1);
    return this.#sign(key, signable, () => pkcs1Padding(options));
  }

  verifyPkcs1(key: RsaPublicKey, signable: Signable, signature: Uint8Array, options: Pkcs1Options): boolean {
    this.#enter(this.#selfTests.pkcs1);
    return this.#verify({ key, signable, signature }, () => pkcs1Padding(options));
  }

  signPssBatch(items: readonly SignItem[], options: PssOptions): Uint8Array[] {
    this.#enter(this.#selfTests.pss);
    checkItems(items);
    return items.map(({ key, signable }) =>
      this.#sign(key, signable, (length) => pssPadding(options, length)),
    );
  }

  verifyPssBatch(items: readonly VerifyItem[], options: VerifyPssOptions): boolean[] {
    this.#enter(this.#selfTests.pss);
    return this.#verifyMany(items, (length) => pssPaddingToVerify(options, length));
  }

  signPkcs1Batch(items: readonly SignItem[], options: Pkcs1Options): Uint8Array[] {
    this.#enter(this.#selfTests.pkcs1);
    checkItems(items);
    return items.map(({ key, signable }) => this.#sign(key, signable, () => pkcs1Padding(options)));
  }

  verifyPkcs1Batch(items: readonly VerifyItem[], options: Pkcs1Options): boolean[] {
    this.#enter(this.#selfTests.pkcs1);
    return this.#verifyMany(items, () => pkcs1Padding(options));
  }

  encryptOaep(key: RsaPublicKey, plaintext: Uint8Array, options: OaepOptions): Uint8Array {
    this.#enter(this.#selfTests.oaep);
    const { raw } = this.#keys.publicKey(key);
    const oaep = checkOaep(options);
    ensureBytes(plaintext, "plaintext");
    ensure(
      plaintext.length <= maxMessageLength(oaep.hash, raw.byteLength),
      "InvalidParameter",
      "plaintext is too long for the modulus and the hash.",
    );
    // Reading the options may have run code of the caller that destroyed the key.
    this.#keys.publicKey(key);
    return this.#operations.encryptOaep(raw, plaintext, oaep);
  }

  decryptOaep(key: RsaPrivateKey, ciphertext: Uint8Array, options: OaepOptions): Uint8Array | undefined {
    this.#enter(this.#selfTests.oaep);
    const { raw } = this.#keys.privateKey(key);
    const oaep = checkOaep(options);
    ensureBytes(ciphertext, "ciphertext");
    this.#keys.privateKey(key);
    return this.#operations.decryptOaep(raw, ciphertext, oaep);
  }

  /** Wipes every key. */
  close(): void {
    this.#keys.destroyAll();
  }

  /** Lets a call pass, after the self-test of its padding if it has one. */
  #enter(test?: SelfTest): void {
    this.#state.require();
    if (test === undefined) return;
    // A kernel that is not there must be told as such: to the self-test it would be a wrong one, which stops the engine.
    this.#operations.prepare();
    this.#state.require(test);
  }

  /** Brings what is signed to a digest of its own: reading later items may run code of the caller. */
  #digestOf(signable: Signable, padding: RsaPadding): Uint8Array {
    const checked = signableFor(padding, signable);
    return checked.kind === "digest"
      ? copyBytes(checked.digest)
      : this.#operations.hash(padding.hash, checked.message);
  }

  #sign(
    key: RsaPrivateKey,
    signable: Signable,
    paddingFor: (modulusLength: number) => RsaSigning,
  ): Uint8Array {
    const { raw } = this.#keys.privateKey(key);
    const padding = paddingFor(raw.byteLength);
    const digest = this.#digestOf(signable, padding);
    // Reading the signable and the options may have run code of the caller that destroyed the key.
    this.#keys.privateKey(key);
    return this.#operations.sign(raw, digest, padding);
  }

  #verifyJob(item: VerifyItem, paddingFor: (modulusLength: number) => RsaPadding): RsaVerifyJob {
    const { key, signable, signature } = item;
    const { raw } = this.#keys.publicKey(key);
    const padding = paddingFor(raw.byteLength);
    ensureBytes(signature, "signature");
    const own = copyBytes(signature);
    return { key: raw, digest: this.#digestOf(signable, padding), signature: own, padding };
  }

  #verify(item: VerifyItem, paddingFor: (modulusLength: number) => RsaPadding): boolean {
    const job = this.#verifyJob(item, paddingFor);
    this.#keys.publicKey(item.key);
    return this.#operations.verify(job);
  }

  #verifyMany(items: readonly VerifyItem[], paddingFor: (modulusLength: number) => RsaPadding): boolean[] {
    checkItems(items);
    const keys: RsaPublicKey[] = [];
    const jobs = items.map(({ key, signable, signature }) => {
      keys.push(key);
      return this.#verifyJob({ key, signable, signature }, paddingFor);
    });
    // Reading a later item may have run code of the caller that destroyed the key of an earlier one.
    for (const key of keys) this.#keys.publicKey(key);
    return this.#operations.verifyMany(jobs);
  }

  /** Signs and verifies once, as every fresh pair must (FIPS 140-3 IG 10.3.A). */
  #isConsistent(secret: RsaSecret): boolean {
    const padding = pkcs1Padding({ hash: "SHA-256" });
    const digest = new Uint8Array(padding.hash.byteLength).fill(0x5a);
    const operations = this.#operations;
    try {
      const signature = operations.sign(secret.raw, digest, padding);
      return operations.verify({ key: secret.public.raw, digest, signature, padding });
    } catch {
      return false;
    }
  }
}
