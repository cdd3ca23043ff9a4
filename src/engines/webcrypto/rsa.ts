/** RSA over SubtleCrypto (RFC 8017): messages only, no digests; OAEP with one hash for both uses. */

import { concatBytes, ensureBytes, equalBytesVartime } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import type {
  GenerateKeyOptions,
  HashName,
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
import { fromHex, RSA_ANSWER } from "../self-test-vectors.ts";
import { checkHash, checkItems, checkOptions, HASH_LENGTHS, messageOf } from "./arguments.ts";
import {
  importPrivate,
  privateKeyFor,
  publicKeyFor,
  RsaKeys,
  type RsaPrivateSecret,
  type RsaPublicSecret,
} from "./rsa-keys.ts";
import type { EngineState } from "./state.ts";

/** A checked choice of signature scheme. */
interface Scheme {
  readonly name: "RSA-PSS" | "RSASSA-PKCS1-v1_5";
  readonly hash: HashName;
  readonly saltLength?: number;
}

interface Oaep {
  readonly hash: HashName;
  readonly label: Uint8Array;
}

const NO_LABEL: Uint8Array = new Uint8Array(0);

/** What SubtleCrypto is told of a scheme; the hash goes with the key. */
function parameters({ name, saltLength }: Scheme): AlgorithmIdentifier | RsaPssParams {
  return saltLength === undefined ? name : { name, saltLength };
}

async function verifyRaw(
  state: EngineState,
  secret: RsaPublicSecret,
  message: Uint8Array,
  signature: Uint8Array,
  scheme: Scheme,
): Promise<boolean> {
  if (signature.length !== secret.modulusLength) return false;
  const [own, ownSignature] = [new Uint8Array(message), new Uint8Array(signature)];
  const key = await publicKeyFor(state, secret, scheme.name, scheme.hash);
  try {
    return await state.subtle.verify(parameters(scheme), key, ownSignature, own);
  } catch {
    return false;
  }
}

/** Signs, and verifies the result before it leaves: a faulty one would give the key away (Boneh, DeMillo, Lipton). */
async function signRaw(
  state: EngineState,
  secret: RsaPrivateSecret,
  message: Uint8Array,
  scheme: Scheme,
): Promise<Uint8Array> {
  const own = new Uint8Array(message);
  const key = await privateKeyFor(state, secret, scheme.name, scheme.hash);
  const signature = new Uint8Array(await state.subtle.sign(parameters(scheme), key, own));
  const isRight = await verifyRaw(state, secret, own, signature, scheme);
  ensure(isRight, "InternalFailure", "An RSA signature did not verify and is withheld.");
  return signature;
}

async function encryptRaw(
  state: EngineState,
  secret: RsaPublicSecret,
  plaintext: Uint8Array,
  { hash, label }: Oaep,
): Promise<Uint8Array> {
  const [own, ownLabel] = [new Uint8Array(plaintext), new Uint8Array(label)];
  try {
    const key = await publicKeyFor(state, secret, "RSA-OAEP", hash);
    const ciphertext = await state.subtle.encrypt({ name: "RSA-OAEP", label: ownLabel }, key, own);
    return new Uint8Array(ciphertext);
  } finally {
    own.fill(0);
  }
}

async function decryptRaw(
  state: EngineState,
  secret: RsaPrivateSecret,
  ciphertext: Uint8Array,
  { hash, label }: Oaep,
): Promise<Uint8Array | undefined> {
  if (ciphertext.length !== secret.modulusLength) return undefined;
  const [own, ownLabel] = [new Uint8Array(ciphertext), new Uint8Array(label)];
  const key = await privateKeyFor(state, secret, "RSA-OAEP", hash);
  try {
    return new Uint8Array(await state.subtle.decrypt({ name: "RSA-OAEP", label: ownLabel }, key, own));
  } catch {
    return undefined;
  }
}

function flipLastBit(bytes: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(bytes);
  flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
  return flipped;
}

const PKCS1: Scheme = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const PSS: Scheme = { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 };

function pkcs1SelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-pkcs1",
    expected: concatBytes(fromHex(RSA_ANSWER.pkcs1), Uint8Array.of(0)),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const message = fromHex(RSA_ANSWER.message);
      const forged = await verifyRaw(state, secret, message, flipLastBit(fromHex(RSA_ANSWER.pkcs1)), PKCS1);
      return concatBytes(await signRaw(state, secret, message, PKCS1), Uint8Array.of(Number(forged)));
    },
  };
}

/** Verdicts on the stored signature, a changed one and a fresh one. */
function pssSelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-pss",
    expected: Uint8Array.of(1, 0, 1),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const message = fromHex(RSA_ANSWER.message);
      const stored = fromHex(RSA_ANSWER.pss);
      const signatures = [stored, flipLastBit(stored), await signRaw(state, secret, message, PSS)];
      const verdicts = signatures.map((signature) => verifyRaw(state, secret, message, signature, PSS));
      return Uint8Array.from(await Promise.all(verdicts), Number);
    },
  };
}

function oaepSelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-oaep",
    expected: fromHex(RSA_ANSWER.oaepPlaintext),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const oaep: Oaep = { hash: "SHA-256", label: fromHex(RSA_ANSWER.oaepLabel) };
      const stored = fromHex(RSA_ANSWER.oaep);
      const plaintext = (await decryptRaw(state, secret, stored, oaep)) ?? NO_LABEL;
      const fresh = await encryptRaw(state, secret, plaintext, oaep);
      const again = (await decryptRaw(state, secret, fresh, oaep)) ?? NO_LABEL;
      const forged = await decryptRaw(state, secret, flipLastBit(stored), oaep);
      const unlabelled = await decryptRaw(state, secret, stored, { hash: "SHA-256", label: NO_LABEL });
      const holds = equalBytesVartime(again, plaintext) && (forged ?? unlabelled) === undefined;
      return holds ? plaintext : NO_LABEL;
    },
  };
}

function pkcs1Scheme(options: Pkcs1Options): Scheme {
  const { hash } = checkOptions(options);
  checkHash(hash);
  return { name: "RSASSA-PKCS1-v1_5", hash };
}

function pssScheme(options: PssOptions, modulusLength: number): Scheme {
  const { hash, saltLength } = checkOptions(options);
  checkHash(hash);
  const length = saltLength ?? HASH_LENGTHS[hash];
  // RFC 8017, 9.1.1, step 3.
  ensure(
    Number.isInteger(length) && length >= 0 && length <= modulusLength - HASH_LENGTHS[hash] - 2,
    "InvalidParameter",
    "saltLength must be a non-negative integer that fits the modulus.",
  );
  return { name: "RSA-PSS", hash, saltLength: length };
}

function pssSchemeToVerify(options: VerifyPssOptions, modulusLength: number): Scheme {
  const { saltLength } = checkOptions(options);
  ensure(
    saltLength !== "auto",
    "Rejected.UnsupportedOperation",
    "WebCrypto verifies PSS with a salt of a given length only.",
  );
  return pssScheme(options as PssOptions, modulusLength);
}

function readOaep(options: OaepOptions): Oaep {
  const { hash, mgfHash = hash, label = NO_LABEL } = checkOptions(options);
  checkHash(hash);
  checkHash(mgfHash);
  ensureBytes(label, "label");
  ensure(
    mgfHash === hash,
    "Rejected.UnsupportedOperation",
    "The WebCrypto engine takes the same hash for MGF1 as for OAEP.",
  );
  return { hash, label };
}

/**
 * Takes the message of a signable.
 *
 * @throws KmsError `InvalidParameter` where its hash, or a digest's length, is not the scheme's; `Rejected.UnsupportedOperation` for a digest
 */
function messageFor({ hash }: Scheme, signable: Signable): Uint8Array {
  const isMatching = (length: number): boolean => length === HASH_LENGTHS[hash];
  if (ArrayBuffer.isView(signable)) {
    ensureBytes(signable, "signable");
    ensure(isMatching(signable.length), "InvalidParameter", "The digest must be of options.hash.");
  }
  const checked = messageOf(signable);
  ensure(checked.hash === hash, "InvalidParameter", "The message's hash must be options.hash.");
  return checked.message;
}

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
