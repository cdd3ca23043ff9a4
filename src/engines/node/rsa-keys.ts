/** RSA keys of the node engine: import with every check, export, generation. */

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { GenerateKeyOptions, RsaModulusBits, RsaPrivateKey, RsaPublicKey } from "../engine.ts";
import { encodeRsaSpki, readRsaPkcs8, readRsaSpki } from "../key-encoding.ts";
import { checkRsaPrivateKey, checkRsaPublicKey } from "../rsa-key-check.ts";
import { asBuffer, ownBytes } from "./arguments.ts";
import { generateKeyPairWith } from "./generate.ts";
import type { EngineState, HandleTable } from "./state.ts";

/** 65537, the exponent of generated keys. */
const PUBLIC_EXPONENT = 0x10001;

/** A public key: its modulus in bytes and its SPKI. */
export interface RsaPublicSecret {
  readonly publicKey: KeyObject;
  readonly modulusLength: number;
  readonly spki: Uint8Array;
}

/** A private key with its public half, which every signature is checked with. */
export interface RsaPrivateSecret extends RsaPublicSecret {
  readonly privateKey: KeyObject;
}

class NodeRsaKey<Secret extends RsaPublicSecret> implements RsaPrivateKey, RsaPublicKey {
  readonly modulusBits: number;
  readonly #table: HandleTable<Secret>;

  constructor(table: HandleTable<Secret>, secret: Secret) {
    this.modulusBits = secret.modulusLength * 8;
    this.#table = table;
    table.set(this, secret);
  }

  destroy(): void {
    this.#table.delete(this);
  }
}

class NodeRsaPrivateKey extends NodeRsaKey<RsaPrivateSecret> {}
class NodeRsaPublicKey extends NodeRsaKey<RsaPublicSecret> {}

/** Reads and checks a public key. */
export function readRsaPublic(spki: Uint8Array): RsaPublicSecret {
  const fields = readRsaSpki(spki);
  const modulusLength = checkRsaPublicKey(fields) / 8;
  const own = encodeRsaSpki(fields);
  return {
    publicKey: createPublicKey({ key: asBuffer(own), format: "der", type: "spki" }),
    modulusLength,
    spki: own,
  };
}

/** Reads and checks a private key; OpenSSL's own import checks next to nothing. */
export function readRsaPrivate(pkcs8: Uint8Array): RsaPrivateSecret {
  const fields = readRsaPkcs8(pkcs8);
  checkRsaPrivateKey(fields);
  const privateKey = createPrivateKey({ key: asBuffer(pkcs8), format: "der", type: "pkcs8" });
  return { privateKey, ...readRsaPublic(encodeRsaSpki(fields)) };
}

/** The RSA keys of one engine. */
export class RsaKeys {
  readonly #state: EngineState;
  readonly #private: HandleTable<RsaPrivateSecret>;
  readonly #public: HandleTable<RsaPublicSecret>;
  readonly #pairwiseTest: (secret: RsaPrivateSecret) => boolean;

  /** @param pairwiseTest signs and verifies once; tells whether that held */
  constructor(state: EngineState, pairwiseTest: (secret: RsaPrivateSecret) => boolean) {
    this.#state = state;
    this.#private = state.table();
    this.#public = state.table();
    this.#pairwiseTest = pairwiseTest;
  }

  privateSecret(handle: RsaPrivateKey): RsaPrivateSecret {
    return this.#private.get(handle);
  }

  publicSecret(handle: RsaPublicKey): RsaPublicSecret {
    return this.#public.get(handle);
  }

  importPrivateKey(pkcs8: Uint8Array): RsaPrivateKey {
    ensureBytes(pkcs8, "pkcs8");
    const secret = readRsaPrivate(pkcs8);
    ensure(this.#pairwiseTest(secret), "InvalidKeyMaterial", "The RSA key does not verify what it signs.");
    return new NodeRsaPrivateKey(this.#private, secret);
  }

  importPublicKey(spki: Uint8Array): RsaPublicKey {
    ensureBytes(spki, "spki");
    return new NodeRsaPublicKey(this.#public, readRsaPublic(spki));
  }

  publicKey(handle: RsaPrivateKey): RsaPublicKey {
    const { publicKey, modulusLength, spki } = this.privateSecret(handle);
    return new NodeRsaPublicKey(this.#public, { publicKey, modulusLength, spki });
  }

  async generateKey(
    modulusBits: RsaModulusBits,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: RsaPrivateKey; publicKey: RsaPublicKey }> {
    ensure(
      [2048, 3072, 4096].includes(modulusBits),
      "InvalidParameter",
      "modulusBits must be 2048, 3072 or 4096.",
    );
    const pair = await generateKeyPairWith(options, (done) =>
      generateKeyPair("rsa", { modulusLength: modulusBits, publicExponent: PUBLIC_EXPONENT }, done),
    );
    const pkcs8 = ownBytes(pair.privateKey.export({ format: "der", type: "pkcs8" }));
    const secret = readRsaPrivate(pkcs8);
    pkcs8.fill(0);
    if (!this.#pairwiseTest(secret)) this.#state.fail("pairwise consistency test of a key");
    this.#state.require();
    const privateKey = new NodeRsaPrivateKey(this.#private, secret);
    options?.onProgress?.(1);
    return { privateKey, publicKey: this.publicKey(privateKey) };
  }

  exportPkcs8(handle: RsaPrivateKey): Uint8Array {
    return ownBytes(this.privateSecret(handle).privateKey.export({ format: "der", type: "pkcs8" }));
  }

  exportSpki(handle: RsaPublicKey): Uint8Array {
    return new Uint8Array(this.publicSecret(handle).spki);
  }
}
