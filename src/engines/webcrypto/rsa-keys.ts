/**
 * RSA keys of the WebCrypto engine. SubtleCrypto ties a key to one scheme and one hash: the checked encoding is put away
 * sealed and imported for each pair when that is first asked for. No private CryptoKey is extractable.
 */

import { copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import type { GenerateKeyOptions, HashName, RsaModulusBits, RsaPrivateKey, RsaPublicKey } from "../engine.ts";
import { encodeRsaSpki, readRsaPkcs8, readRsaSpki } from "../key-encoding.ts";
import { checkRsaPrivateKey, checkRsaPublicKey } from "../rsa-key-check.ts";
import { asSource, generateWith } from "./arguments.ts";
import type { EngineState, HandleTable, SealedEncoding } from "./state.ts";

/** 65537, the exponent of generated keys. */
const PUBLIC_EXPONENT: Uint8Array<ArrayBuffer> = Uint8Array.of(1, 0, 1);

export type RsaScheme = "RSA-PSS" | "RSASSA-PKCS1-v1_5" | "RSA-OAEP";

type Keys = Map<string, Promise<CryptoKey>>;

export interface RsaPublicSecret {
  readonly modulusLength: number;
  readonly spki: Uint8Array;
  readonly publicKeys: Keys;
}

export interface RsaPrivateSecret extends RsaPublicSecret {
  readonly encoding: SealedEncoding;
  readonly privateKeys: Keys;
}

class WebRsaKey<Secret extends RsaPublicSecret> implements RsaPrivateKey, RsaPublicKey {
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

class WebRsaPrivateKey extends WebRsaKey<RsaPrivateSecret> {}
class WebRsaPublicKey extends WebRsaKey<RsaPublicSecret> {}

/** Gives what a map has under a name, or makes it; a failure is not kept. */
function cached(keys: Keys, name: string, make: () => Promise<CryptoKey>): Promise<CryptoKey> {
  const known = keys.get(name);
  if (known !== undefined) return known;
  const made = make();
  keys.set(name, made);
  made.catch(() => keys.delete(name));
  return made;
}

/** Gives a public key for a scheme and hash. */
export function publicKeyFor(
  { subtle }: EngineState,
  { spki, publicKeys }: RsaPublicSecret,
  name: RsaScheme,
  hash: HashName,
): Promise<CryptoKey> {
  return cached(publicKeys, `${name} ${hash}`, () =>
    subtle.importKey("spki", asSource(spki), { name, hash }, true, [
      name === "RSA-OAEP" ? "encrypt" : "verify",
    ]),
  );
}

/** Gives a private key for a scheme and hash. */
export function privateKeyFor(
  state: EngineState,
  { encoding, privateKeys }: RsaPrivateSecret,
  name: RsaScheme,
  hash: HashName,
): Promise<CryptoKey> {
  return cached(privateKeys, `${name} ${hash}`, async () => {
    const pkcs8 = await state.takeOut(encoding);
    try {
      return await state.subtle.importKey("pkcs8", asSource(pkcs8), { name, hash }, false, [
        name === "RSA-OAEP" ? "decrypt" : "sign",
      ]);
    } finally {
      pkcs8.fill(0);
    }
  });
}

/** Reads and checks a public key. */
export function readPublic(spki: Uint8Array): RsaPublicSecret {
  const fields = readRsaSpki(spki);
  const modulusLength = checkRsaPublicKey(fields) / 8;
  return { modulusLength, spki: encodeRsaSpki(fields), publicKeys: new Map() };
}

/** Reads a private key with every check, and signs and verifies once (FIPS 140-3 IG 10.3.A). */
export async function importPrivate(state: EngineState, pkcs8: Uint8Array): Promise<RsaPrivateSecret> {
  const fields = readRsaPkcs8(pkcs8);
  checkRsaPrivateKey(fields);
  const secret = {
    ...readPublic(encodeRsaSpki(fields)),
    encoding: await state.putAway(pkcs8),
    privateKeys: new Map(),
  };
  if (!(await isPair(state, secret))) {
    throw new KmsError("InvalidKeyMaterial", "The RSA key does not verify what it signs.");
  }
  return secret;
}

async function isPair(state: EngineState, secret: RsaPrivateSecret): Promise<boolean> {
  const scheme = "RSASSA-PKCS1-v1_5";
  const message = new Uint8Array(32).fill(0x5a);
  try {
    const signature = await state.subtle.sign(
      scheme,
      await privateKeyFor(state, secret, scheme, "SHA-256"),
      message,
    );
    const publicKey = await publicKeyFor(state, secret, scheme, "SHA-256");
    return await state.subtle.verify(scheme, publicKey, signature, message);
  } catch {
    return false;
  }
}

/** The RSA keys of one engine. */
export class RsaKeys {
  readonly #state: EngineState;
  readonly #private: HandleTable<RsaPrivateSecret>;
  readonly #public: HandleTable<RsaPublicSecret>;

  constructor(state: EngineState) {
    this.#state = state;
    this.#private = state.table();
    this.#public = state.table();
  }

  privateSecret(handle: RsaPrivateKey): RsaPrivateSecret {
    return this.#private.get(handle);
  }

  publicSecret(handle: RsaPublicKey): RsaPublicSecret {
    return this.#public.get(handle);
  }

  /** @param pkcs8 copied before the first wait */
  async importPrivateKey(pkcs8: Uint8Array): Promise<RsaPrivateKey> {
    ensureBytes(pkcs8, "pkcs8");
    const own = copyBytes(pkcs8);
    try {
      return new WebRsaPrivateKey(this.#private, await importPrivate(this.#state, own));
    } finally {
      own.fill(0);
    }
  }

  importPublicKey(spki: Uint8Array): RsaPublicKey {
    ensureBytes(spki, "spki");
    return new WebRsaPublicKey(this.#public, readPublic(spki));
  }

  publicKey(handle: RsaPrivateKey): RsaPublicKey {
    const { modulusLength, spki, publicKeys } = this.privateSecret(handle);
    return new WebRsaPublicKey(this.#public, { modulusLength, spki, publicKeys });
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
    const { subtle } = this.#state;
    const algorithm = {
      name: "RSASSA-PKCS1-v1_5",
      hash: "SHA-256",
      modulusLength: modulusBits,
      publicExponent: PUBLIC_EXPONENT,
    };
    const privateKey = await generateWith(options, async () => {
      const pair = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const pkcs8 = new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey));
      try {
        return await this.importPrivateKey(pkcs8);
      } finally {
        pkcs8.fill(0);
      }
    });
    this.#state.enter();
    return { privateKey, publicKey: this.publicKey(privateKey) };
  }

  /** The caller wipes the result. */
  exportPkcs8(handle: RsaPrivateKey): Promise<Uint8Array> {
    return this.#state.takeOut(this.privateSecret(handle).encoding);
  }

  exportSpki(handle: RsaPublicKey): Uint8Array {
    return copyBytes(this.publicSecret(handle).spki);
  }
}
