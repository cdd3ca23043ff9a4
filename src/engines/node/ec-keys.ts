/**
 * EC keys of the node engine: import, export, generation. Every private key is rebuilt from its scalar and every
 * public key from its point, so OpenSSL only ever parses DER that was written here.
 */

import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  ECDH,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { copyBytes, ensureBytes, equalBytesVartime } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
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
import { asBuffer, ownBytes } from "./arguments.ts";
import { generateKeyPairWith } from "./generate.ts";
import type { EngineState, HandleTable } from "./state.ts";
import { hasCurve } from "./support.ts";

const OPENSSL_CURVE: Readonly<Record<CurveName, string>> = { "P-256": "prime256v1", secp256k1: "secp256k1" };

/** A key on one curve with its uncompressed public point. */
export interface EcSecret {
  readonly curve: CurveName;
  readonly key: KeyObject;
  readonly point: Uint8Array;
}

/** Tells whether a pair signs and verifies (FIPS 140-3 IG 10.3.A). */
function isConsistent({ key, point, curve }: EcSecret): boolean {
  const dsaEncoding = "ieee-p1363";
  const signature = sign("sha256", point, { key, dsaEncoding });
  return verify("sha256", point, { key: publicSecret(curve, point).key, dsaEncoding }, signature);
}

class NodeEcKey implements EcPrivateKey, EcPublicKey {
  readonly curve: CurveName;
  readonly #table: HandleTable<EcSecret>;

  constructor(table: HandleTable<EcSecret>, secret: EcSecret) {
    this.curve = secret.curve;
    this.#table = table;
    table.set(this, secret);
  }

  destroy(): void {
    this.#table.delete(this);
  }
}

class NodeEcPrivateKey extends NodeEcKey {}
class NodeEcPublicKey extends NodeEcKey {}

/** Tells whether this runtime has a curve. */
export function servesCurve(curve: CurveName): boolean {
  return hasCurve(OPENSSL_CURVE[curve]);
}

/**
 * @throws KmsError `InvalidParameter` for anything but the name of a curve, `Rejected.UnsupportedOperation` for one this
 *   runtime has not
 */
export function checkCurve(curve: unknown): asserts curve is CurveName {
  ensure(curve === "P-256" || curve === "secp256k1", "InvalidParameter", "curve must be P-256 or secp256k1.");
  ensure(
    servesCurve(curve),
    "Rejected.UnsupportedOperation",
    `This runtime's node:crypto has no curve ${curve}.`,
  );
}

/** Checks that a SEC 1 point lies on the curve and is not the point at infinity; returns it uncompressed. */
function pointOnCurve(curve: CurveName, point: Uint8Array): Uint8Array {
  const form = point[0];
  const shaped =
    point.length === POINT_LENGTH
      ? form === 0x04
      : point.length === COMPRESSED_POINT_LENGTH && (form === 0x02 || form === 0x03);
  ensure(shaped, "InvalidKeyMaterial", "An EC public key is an SPKI or a point of 33 or 65 bytes.");
  let uncompressed: unknown;
  try {
    uncompressed = ECDH.convertKey(point, OPENSSL_CURVE[curve], undefined, undefined, "uncompressed");
  } catch {
    uncompressed = undefined;
  }
  ensure(Buffer.isBuffer(uncompressed), "InvalidKeyMaterial", "The point is not on the curve.");
  return ownBytes(uncompressed);
}

/** Makes the public key of a point that is known to be on the curve. */
export function publicSecret(curve: CurveName, point: Uint8Array): EcSecret {
  const spki = encodeEcSpki(curve, point);
  return { curve, key: createPublicKey({ key: asBuffer(spki), format: "der", type: "spki" }), point };
}

/** Reads a SEC 1 point or an SPKI; their lengths never meet. */
export function readEcPublic(curve: CurveName, key: Uint8Array): EcSecret {
  const isPoint = key.length === POINT_LENGTH || key.length === COMPRESSED_POINT_LENGTH;
  return publicSecret(curve, pointOnCurve(curve, isPoint ? key : readEcSpki(curve, key)));
}

/** Reads a 32-byte scalar or a PKCS#8 key; their lengths never meet. */
export function readEcPrivate(curve: CurveName, key: Uint8Array): EcSecret {
  const fields: EcPrivateFields = key.length === SCALAR_LENGTH ? { scalar: key } : readEcPkcs8(curve, key);
  ensure(isPrivateScalar(curve, fields.scalar), "InvalidKeyMaterial", "The private key is not in 1..n-1.");
  const exchange = createECDH(OPENSSL_CURVE[curve]);
  exchange.setPrivateKey(fields.scalar);
  const point = ownBytes(exchange.getPublicKey());
  ensure(
    fields.point === undefined || equalBytesVartime(fields.point, point),
    "InvalidKeyMaterial",
    "The public key inside the private key is not its own.",
  );
  const pkcs8 = encodeEcPkcs8(curve, { scalar: fields.scalar, point });
  const keyObject = createPrivateKey({ key: asBuffer(pkcs8), format: "der", type: "pkcs8" });
  pkcs8.fill(0);
  return { curve, key: keyObject, point };
}

/** The EC keys of one engine, shared by ECDSA and ECDH. */
export class EcKeys {
  readonly #state: EngineState;
  readonly #private: HandleTable<EcSecret>;
  readonly #public: HandleTable<EcSecret>;

  constructor(state: EngineState) {
    this.#state = state;
    this.#private = state.table();
    this.#public = state.table();
  }

  privateSecret(handle: EcPrivateKey): EcSecret {
    return this.#private.get(handle);
  }

  publicSecret(handle: EcPublicKey): EcSecret {
    return this.#public.get(handle);
  }

  importPrivateKey(curve: CurveName, key: Uint8Array): EcPrivateKey {
    ensureBytes(key, "key");
    const secret = readEcPrivate(curve, key);
    // A bare scalar comes without a public half to be consistent with.
    if (key.length !== SCALAR_LENGTH) this.#pairwiseTest(secret);
    return new NodeEcPrivateKey(this.#private, secret);
  }

  importPublicKey(curve: CurveName, key: Uint8Array): EcPublicKey {
    ensureBytes(key, "key");
    return new NodeEcPublicKey(this.#public, readEcPublic(curve, key));
  }

  publicKey(handle: EcPrivateKey): EcPublicKey {
    const { curve, point } = this.privateSecret(handle);
    return new NodeEcPublicKey(this.#public, publicSecret(curve, point));
  }

  async generateKey(
    curve: CurveName,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }> {
    const pair = await generateKeyPairWith(options, (done) =>
      generateKeyPair("ec", { namedCurve: OPENSSL_CURVE[curve] }, done),
    );
    const pkcs8 = ownBytes(pair.privateKey.export({ format: "der", type: "pkcs8" }));
    const secret = readEcPrivate(curve, pkcs8);
    pkcs8.fill(0);
    this.#pairwiseTest(secret);
    this.#state.require();
    const privateKey = new NodeEcPrivateKey(this.#private, secret);
    options?.onProgress?.(1);
    return { privateKey, publicKey: this.publicKey(privateKey) };
  }

  /** Tests a pair that is new here; one that fails stops the engine. */
  #pairwiseTest(secret: EcSecret): void {
    if (!isConsistent(secret)) this.#state.fail("pairwise consistency test of a key");
  }

  exportPkcs8(handle: EcPrivateKey): Uint8Array {
    return ownBytes(this.privateSecret(handle).key.export({ format: "der", type: "pkcs8" }));
  }

  exportSpki(handle: EcPublicKey): Uint8Array {
    const { curve, point } = this.publicSecret(handle);
    return encodeEcSpki(curve, point);
  }

  exportPoint(handle: EcPublicKey, options?: { readonly compressed?: boolean }): Uint8Array {
    const { point } = this.publicSecret(handle);
    if (options?.compressed !== true) return copyBytes(point);
    const compressed = point.slice(0, COMPRESSED_POINT_LENGTH);
    compressed[0] = 0x02 | ((point[POINT_LENGTH - 1] ?? 0) & 1);
    return compressed;
  }
}
