/**
 * P-256 keys of the WebCrypto engine. SubtleCrypto ties a key to ECDSA or to ECDH: a private key is imported for signing,
 * its encoding put away sealed, and imported again for ECDH when that is first asked for. No CryptoKey is extractable.
 */

import { copyBytes, ensureBytes, hexToBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import { isPrivateScalar, SCALAR_LENGTH } from "../ec-scalar.ts";
import type { CurveName, EcPrivateKey, EcPublicKey, GenerateKeyOptions } from "../engine.ts";
import {
  COMPRESSED_POINT_LENGTH,
  type EcPrivateFields,
  encodeEcPkcs8,
  encodeEcSpki,
  POINT_LENGTH,
  readEcPkcs8,
  readEcSpki,
} from "../key-encoding.ts";
import { asSource, generateWith } from "./arguments.ts";
import { compressPoint, readPoint } from "./p256-point.ts";
import type { EngineState, HandleTable, SealedEncoding } from "./state.ts";

const CURVE = "P-256";
/** The generator, compressed (SP 800-186, 3.2.1.3). */
const GENERATOR = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const ECDSA = { name: "ECDSA", namedCurve: CURVE } as const;
const ECDH = { name: "ECDH", namedCurve: CURVE } as const;
export const SHA_256 = { name: "ECDSA", hash: "SHA-256" } as const;

/** A public key: its point, uncompressed, and what SubtleCrypto made of it. */
export interface EcPublicSecret {
  readonly point: Uint8Array;
  readonly verifyKey: CryptoKey;
}

/** A private key with its public half. */
export interface EcPrivateSecret extends EcPublicSecret {
  readonly signKey: CryptoKey;
  readonly encoding: SealedEncoding;
  deriveKey?: Promise<CryptoKey>;
}

class WebEcKey<Secret extends object> implements EcPrivateKey, EcPublicKey {
  readonly curve: CurveName = CURVE;
  readonly #table: HandleTable<Secret>;

  constructor(table: HandleTable<Secret>, secret: Secret) {
    this.#table = table;
    table.set(this, secret);
  }

  destroy(): void {
    this.#table.delete(this);
  }
}

class WebEcPrivateKey extends WebEcKey<EcPrivateSecret> {}
class WebEcPublicKey extends WebEcKey<EcPublicSecret> {}

/** @throws KmsError `InvalidParameter` for what names no curve, `Rejected.UnsupportedOperation` for secp256k1 */
export function checkCurve(curve: unknown): void {
  ensure(curve === CURVE || curve === "secp256k1", "InvalidParameter", "curve must be P-256 or secp256k1.");
  ensure(curve === CURVE, "Rejected.UnsupportedOperation", "WebCrypto has no secp256k1.");
}

/** Reads a SEC 1 point or an SPKI; their lengths never meet. */
export async function importPublic(subtle: SubtleCrypto, key: Uint8Array): Promise<EcPublicSecret> {
  const isPoint = key.length === POINT_LENGTH || key.length === COMPRESSED_POINT_LENGTH;
  const point = readPoint(isPoint ? key : readEcSpki(CURVE, key));
  return { point, verifyKey: await subtle.importKey("raw", asSource(point), ECDSA, true, ["verify"]) };
}

/**
 * Finds the point of a scalar d: ECDH with the generator gives the x of dG, and a signature tells which of the two points
 * with this x it is. No platform need tell what it computed on import, and none but JWK's text would have it.
 */
async function pointOf(subtle: SubtleCrypto, scalar: Uint8Array): Promise<Uint8Array> {
  const bare = asSource(encodeEcPkcs8(CURVE, { scalar }));
  try {
    const signKey = await subtle.importKey("pkcs8", bare, ECDSA, false, ["sign"]);
    const deriveKey = await subtle.importKey("pkcs8", bare, ECDH, false, ["deriveBits"]);
    const base = readPoint(hexToBytes(GENERATOR));
    const generator = await subtle.importKey("raw", asSource(base), ECDH, false, []);
    const x = new Uint8Array(await subtle.deriveBits({ name: "ECDH", public: generator }, deriveKey, 256));
    const signature = await subtle.sign(SHA_256, signKey, x);
    for (const form of [0x02, 0x03]) {
      const { point, verifyKey } = await importPublic(subtle, Uint8Array.of(form, ...x));
      if (await subtle.verify(SHA_256, verifyKey, signature, x)) return point;
    }
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This platform's WebCrypto takes no private key that leaves its public point out.",
      { cause },
    );
  } finally {
    bare.fill(0);
  }
  throw new KmsError("InternalFailure", "The platform's ECDH and ECDSA disagree on a key.");
}

/** Reads a 32-byte scalar or a PKCS#8 key; their lengths never meet. Proves the pair by a signature. */
export async function importPrivate(state: EngineState, key: Uint8Array): Promise<EcPrivateSecret> {
  const { subtle } = state;
  const fields: EcPrivateFields = key.length === SCALAR_LENGTH ? { scalar: key } : readEcPkcs8(CURVE, key);
  ensure(isPrivateScalar(CURVE, fields.scalar), "InvalidKeyMaterial", "The private key is not in 1..n-1.");
  const point = readPoint(fields.point ?? (await pointOf(subtle, fields.scalar)));
  const pkcs8 = encodeEcPkcs8(CURVE, { scalar: fields.scalar, point });
  try {
    const signKey = await subtle.importKey("pkcs8", asSource(pkcs8), ECDSA, false, ["sign"]).catch(() => {
      throw ownPointError();
    });
    const { verifyKey } = await importPublic(subtle, point);
    const signature = await subtle.sign(SHA_256, signKey, asSource(point));
    const isPair = await subtle.verify(SHA_256, verifyKey, signature, asSource(point));
    if (!isPair) throw ownPointError();
    return { point, signKey, verifyKey, encoding: await state.putAway(pkcs8) };
  } finally {
    pkcs8.fill(0);
  }
}

function ownPointError(): KmsError {
  return new KmsError("InvalidKeyMaterial", "The public key inside the private key is not its own.");
}

/** The EC keys of one engine, shared by ECDSA and ECDH. */
export class EcKeys {
  readonly #state: EngineState;
  readonly #private: HandleTable<EcPrivateSecret>;
  readonly #public: HandleTable<EcPublicSecret>;

  constructor(state: EngineState) {
    this.#state = state;
    this.#private = state.table();
    this.#public = state.table();
  }

  privateSecret(handle: EcPrivateKey): EcPrivateSecret {
    return this.#private.get(handle);
  }

  publicSecret(handle: EcPublicKey): EcPublicSecret {
    return this.#public.get(handle);
  }

  /** @param key copied before the first wait */
  async importPrivateKey(key: Uint8Array): Promise<EcPrivateKey> {
    ensureBytes(key, "key");
    const own = copyBytes(key);
    try {
      return new WebEcPrivateKey(this.#private, await importPrivate(this.#state, own));
    } finally {
      own.fill(0);
    }
  }

  async importPublicKey(key: Uint8Array): Promise<EcPublicKey> {
    ensureBytes(key, "key");
    return new WebEcPublicKey(this.#public, await importPublic(this.#state.subtle, key));
  }

  publicKey(handle: EcPrivateKey): EcPublicKey {
    const { point, verifyKey } = this.privateSecret(handle);
    return new WebEcPublicKey(this.#public, { point, verifyKey });
  }

  async generateKey(
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }> {
    const { subtle } = this.#state;
    const privateKey = await generateWith(options, async () => {
      const pair = await subtle.generateKey(ECDSA, true, ["sign", "verify"]);
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
  exportPkcs8(handle: EcPrivateKey): Promise<Uint8Array> {
    return this.#state.takeOut(this.privateSecret(handle).encoding);
  }

  exportSpki(handle: EcPublicKey): Uint8Array {
    return encodeEcSpki(CURVE, this.publicSecret(handle).point);
  }

  exportPoint(handle: EcPublicKey, options?: { readonly compressed?: boolean }): Uint8Array {
    const { point } = this.publicSecret(handle);
    return options?.compressed === true ? compressPoint(point) : copyBytes(point);
  }

  /** Gives a private key as one for ECDH, imported when it is first asked for. */
  deriveKey(secret: EcPrivateSecret): Promise<CryptoKey> {
    secret.deriveKey ??= this.#importForEcdh(secret);
    return secret.deriveKey;
  }

  async #importForEcdh({ encoding }: EcPrivateSecret): Promise<CryptoKey> {
    const pkcs8 = await this.#state.takeOut(encoding);
    try {
      return await this.#state.subtle.importKey("pkcs8", asSource(pkcs8), ECDH, false, ["deriveBits"]);
    } finally {
      pkcs8.fill(0);
    }
  }

  /** Gives a public key as one for ECDH. */
  peerKey({ point }: EcPublicSecret): Promise<CryptoKey> {
    return this.#state.subtle.importKey("raw", asSource(point), ECDH, false, []);
  }
}
