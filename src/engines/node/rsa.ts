/** RSA of the node engine (RFC 8017): arguments, self-tests and handles around the raw operations. */

import { concatBytes, ensureBytes, equalBytesVartime } from "../../bytes.ts";
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
import { fromHex, RSA_ANSWER } from "../self-test-vectors.ts";
import { type CheckedSignable, checkItems, checkOptions, checkSignable, hashFacts } from "./arguments.ts";
import { hashParts } from "./hash.ts";
import { RsaKeys, type RsaPrivateSecret, readRsaPrivate } from "./rsa-keys.ts";
import { maxSaltLength } from "./rsa-padding.ts";
import {
  decryptOaepRaw,
  encryptOaepRaw,
  type RsaOaep,
  type RsaPadding,
  type RsaSigning,
  signRsa,
  verifyRsa,
} from "./rsa-raw.ts";
import type { EngineState } from "./state.ts";

function flipLastBit(bytes: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(bytes);
  flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
  return flipped;
}

/** Reads the test key and its message, as a message and as a digest. */
function testInput(): { secret: RsaPrivateSecret; signables: readonly CheckedSignable[] } {
  const message = fromHex(RSA_ANSWER.message);
  return {
    secret: readRsaPrivate(fromHex(RSA_ANSWER.pkcs8)),
    signables: [
      { kind: "message", message, hash: "SHA-256" },
      { kind: "digest", digest: hashParts("SHA-256", message) },
    ],
  };
}

const pkcs1SelfTest: SelfTest = {
  name: "rsa-pkcs1",
  expected: concatBytes(fromHex(RSA_ANSWER.pkcs1), fromHex(RSA_ANSWER.pkcs1), new Uint8Array(2)),
  compute() {
    const { secret, signables } = testInput();
    const padding: RsaPadding = { scheme: "pkcs1", hash: "SHA-256" };
    const forged = flipLastBit(fromHex(RSA_ANSWER.pkcs1));
    const verdicts = signables.map((signable) => verifyRsa(secret, signable, forged, padding));
    const signatures = signables.map((signable) => signRsa(secret, signable, padding));
    return concatBytes(...signatures, Uint8Array.from(verdicts, Number));
  },
};

/** Each way of signing is verified by both ways of verifying, and the stored signature by both. */
const pssSelfTest: SelfTest = {
  name: "rsa-pss",
  expected: Uint8Array.of(1, 0, 1, 1, 1, 0, 1, 1),
  compute() {
    const { secret, signables } = testInput();
    const padding: RsaPadding = { scheme: "pss", hash: "SHA-256", saltLength: 32 };
    const stored = fromHex(RSA_ANSWER.pss);
    const fresh = signables.map((signable) => signRsa(secret, signable, padding));
    const verdicts = signables.flatMap((signable) =>
      [stored, flipLastBit(stored), ...fresh].map((signature) =>
        verifyRsa(secret, signable, signature, padding),
      ),
    );
    return Uint8Array.from(verdicts, Number);
  },
};

const oaepSelfTest: SelfTest = {
  name: "rsa-oaep",
  expected: fromHex(RSA_ANSWER.oaepPlaintext),
  compute() {
    const { secret } = testInput();
    const oaep: RsaOaep = { hash: "SHA-256", label: fromHex(RSA_ANSWER.oaepLabel) };
    const plaintext = decryptOaepRaw(secret, fromHex(RSA_ANSWER.oaep), oaep) ?? new Uint8Array(0);
    const again = decryptOaepRaw(secret, encryptOaepRaw(secret, plaintext, oaep), oaep);
    const forged = decryptOaepRaw(secret, flipLastBit(fromHex(RSA_ANSWER.oaep)), oaep);
    const otherLabel = decryptOaepRaw(secret, fromHex(RSA_ANSWER.oaep), {
      hash: "SHA-256",
      label: undefined,
    });
    const holds =
      again !== undefined && equalBytesVartime(again, plaintext) && (forged ?? otherLabel) === undefined;
    return holds ? plaintext : new Uint8Array(0);
  },
};

/** Signs a fixed digest and, by way of `signRsa`, verifies it. */
function pairwiseTest(secret: RsaPrivateSecret): boolean {
  try {
    signRsa(
      secret,
      { kind: "digest", digest: new Uint8Array(32).fill(0x5a) },
      { scheme: "pkcs1", hash: "SHA-256" },
    );
    return true;
  } catch {
    return false;
  }
}

/** Checks that a signable goes with the hash of the padding. */
function signableFor(padding: RsaPadding, signable: Signable): CheckedSignable {
  const checked = checkSignable(signable);
  ensure(
    checked.kind === "digest"
      ? checked.digest.length === hashFacts(padding.hash).byteLength
      : checked.hash === padding.hash,
    "InvalidParameter",
    "The digest or the message's hash must be of options.hash.",
  );
  return checked;
}

function pkcs1Padding(options: Pkcs1Options): RsaSigning {
  const { hash } = checkOptions(options);
  hashFacts(hash);
  return { scheme: "pkcs1", hash };
}

function pssPadding(options: PssOptions, modulusLength: number): RsaSigning {
  const { hash, saltLength = hashFacts(hash).byteLength } = checkOptions(options);
  ensure(
    Number.isInteger(saltLength) && saltLength >= 0 && saltLength <= maxSaltLength(hash, modulusLength),
    "InvalidParameter",
    "saltLength must be a non-negative integer that fits the modulus.",
  );
  return { scheme: "pss", hash, saltLength };
}

function pssPaddingToVerify(options: VerifyPssOptions, modulusLength: number): RsaPadding {
  const { hash, saltLength } = checkOptions(options);
  if (saltLength !== "auto") return pssPadding(options as PssOptions, modulusLength);
  hashFacts(hash);
  return { scheme: "pss", hash, saltLength };
}

function checkOaep(options: OaepOptions): RsaOaep {
  const { hash, mgfHash = hash, label } = checkOptions(options);
  hashFacts(hash);
  hashFacts(mgfHash);
  if (label !== undefined) ensureBytes(label, "label");
  ensure(
    mgfHash === hash,
    "Rejected.UnsupportedOperation",
    "The node engine takes the same hash for MGF1 as for OAEP.",
  );
  return { hash, label };
}

/** RSA of one engine. */
export class NodeRsa implements Rsa {
  readonly #state: EngineState;
  readonly #keys: RsaKeys;

  constructor(state: EngineState) {
    this.#state = state;
    this.#keys = new RsaKeys(state, pairwiseTest);
  }

  importPrivateKey(pkcs8: Uint8Array): RsaPrivateKey {
    this.#state.require(pkcs1SelfTest);
    return this.#keys.importPrivateKey(pkcs8);
  }

  importPublicKey(spki: Uint8Array): RsaPublicKey {
    this.#state.require();
    return this.#keys.importPublicKey(spki);
  }

  async generateKey(
    modulusBits: RsaModulusBits,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: RsaPrivateKey; publicKey: RsaPublicKey }> {
    this.#state.require(pkcs1SelfTest);
    return this.#keys.generateKey(modulusBits, options);
  }

  publicKey(privateKey: RsaPrivateKey): RsaPublicKey {
    this.#state.require();
    return this.#keys.publicKey(privateKey);
  }

  exportPkcs8(key: RsaPrivateKey): Uint8Array {
    this.#state.require();
    return this.#keys.exportPkcs8(key);
  }

  exportSpki(key: RsaPublicKey): Uint8Array {
    this.#state.require();
    return this.#keys.exportSpki(key);
  }

  signPss(key: RsaPrivateKey, signable: Signable, options: PssOptions): Uint8Array {
    this.#state.require(pssSelfTest);
    const secret = this.#keys.privateSecret(key);
    const padding = pssPadding(options, secret.modulusLength);
    return signRsa(secret, signableFor(padding, signable), padding);
  }

  verifyPss(
    key: RsaPublicKey,
    signable: Signable,
    signature: Uint8Array,
    options: VerifyPssOptions,
  ): boolean {
    this.#state.require(pssSelfTest);
    const secret = this.#keys.publicSecret(key);
    const padding = pssPaddingToVerify(options, secret.modulusLength);
    ensureBytes(signature, "signature");
    return verifyRsa(secret, signableFor(padding, signable), signature, padding);
  }

  signPkcs1(key: RsaPrivateKey, signable: Signable, options: Pkcs1Options): Uint8Array {
    this.#state.require(pkcs1SelfTest);
    const secret = this.#keys.privateSecret(key);
    const padding = pkcs1Padding(options);
    return signRsa(secret, signableFor(padding, signable), padding);
  }

  verifyPkcs1(key: RsaPublicKey, signable: Signable, signature: Uint8Array, options: Pkcs1Options): boolean {
    this.#state.require(pkcs1SelfTest);
    const secret = this.#keys.publicSecret(key);
    const padding = pkcs1Padding(options);
    ensureBytes(signature, "signature");
    return verifyRsa(secret, signableFor(padding, signable), signature, padding);
  }

  signPssBatch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: PssOptions,
  ): Uint8Array[] {
    this.#state.require(pssSelfTest);
    checkItems(items);
    return items.map(({ key, signable }) => this.signPss(key, signable, options));
  }

  verifyPssBatch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: VerifyPssOptions,
  ): boolean[] {
    this.#state.require(pssSelfTest);
    checkItems(items);
    return items.map(({ key, signable, signature }) => this.verifyPss(key, signable, signature, options));
  }

  signPkcs1Batch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: Pkcs1Options,
  ): Uint8Array[] {
    this.#state.require(pkcs1SelfTest);
    checkItems(items);
    return items.map(({ key, signable }) => this.signPkcs1(key, signable, options));
  }

  verifyPkcs1Batch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: Pkcs1Options,
  ): boolean[] {
    this.#state.require(pkcs1SelfTest);
    checkItems(items);
    return items.map(({ key, signable, signature }) => this.verifyPkcs1(key, signable, signature, options));
  }

  encryptOaep(key: RsaPublicKey, plaintext: Uint8Array, options: OaepOptions): Uint8Array {
    this.#state.require(oaepSelfTest);
    const secret = this.#keys.publicSecret(key);
    const oaep = checkOaep(options);
    ensureBytes(plaintext, "plaintext");
    // RFC 8017, 7.1.1, step 1.b.
    ensure(
      plaintext.length <= secret.modulusLength - 2 * hashFacts(oaep.hash).byteLength - 2,
      "InvalidParameter",
      "plaintext is too long for the modulus and the hash.",
    );
    return encryptOaepRaw(secret, plaintext, oaep);
  }

  decryptOaep(key: RsaPrivateKey, ciphertext: Uint8Array, options: OaepOptions): Uint8Array | undefined {
    this.#state.require(oaepSelfTest);
    const secret = this.#keys.privateSecret(key);
    const oaep = checkOaep(options);
    ensureBytes(ciphertext, "ciphertext");
    return decryptOaepRaw(secret, ciphertext, oaep);
  }
}
