/**
 * EC keys of the wasm engine: handles, import and export. A private scalar lives in an array of its own from import to
 * `destroy()`, `close()` or collection, and is zeroed then.
 */

import { copyBytes, ensureBytes, equalBytesVartime } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { isPrivateScalar, SCALAR_LENGTH } from "../ec-scalar.ts";
import type { CurveName, EcPrivateKey, EcPublicKey } from "../engine.ts";
import {
  COMPRESSED_POINT_LENGTH,
  type EcPrivateFields,
  encodeEcPkcs8,
  encodeEcSpki,
  POINT_LENGTH,
  readEcPkcs8,
  readEcSpki,
} from "../key-encoding.ts";
import type { EcOperations } from "./ec-operations.ts";
import type { TableUser } from "./key-tables.ts";

/** A private key: its scalar, zeroed when it is destroyed, its uncompressed point, and that as a key to verify with. */
export interface EcSecret {
  readonly curve: CurveName;
  readonly scalar: Uint8Array;
  readonly point: Uint8Array;
  readonly verifier: EcPublic;
}

/** A public key and the use it makes of the kernel's tables. */
export interface EcPublic extends TableUser {
  readonly point: Uint8Array;
}

/** The key behind a handle until it is destroyed, and the keys it belongs to. */
interface Held<Key> {
  readonly owner: EcKeys;
  key: Key | undefined;
}

class WasmEcPrivateKey implements EcPrivateKey {
  readonly curve: CurveName;
  readonly #held: Held<EcSecret>;

  constructor(curve: CurveName, held: Held<EcSecret>) {
    this.curve = curve;
    this.#held = held;
  }

  destroy(): void {
    this.#held.owner.destroyPrivate(this.#held);
  }

  static heldBy(handle: unknown): Held<EcSecret> | undefined {
    return typeof handle === "object" && handle !== null && #held in handle ? handle.#held : undefined;
  }
}

class WasmEcPublicKey implements EcPublicKey {
  readonly curve: CurveName;
  readonly #held: Held<EcPublic>;

  constructor(curve: CurveName, held: Held<EcPublic>) {
    this.curve = curve;
    this.#held = held;
  }

  destroy(): void {
    this.#held.owner.destroyPublic(this.#held);
  }

  static heldBy(handle: unknown): Held<EcPublic> | undefined {
    return typeof handle === "object" && handle !== null && #held in handle ? handle.#held : undefined;
  }
}

/** @throws KmsError `InvalidParameter` unless the handle is a live one of these keys */
function keyOf<Key>(held: Held<Key> | undefined, owner: EcKeys): Key {
  const key = held?.owner === owner ? held.key : undefined;
  ensure(key !== undefined, "InvalidParameter", "The key handle is destroyed or not of this engine.");
  return key;
}

/** Makes a public key of an uncompressed point on the curve. */
export function publicOf(curve: CurveName, point: Uint8Array): EcPublic {
  return { curve, point, coordinates: point.subarray(1), tableNumber: 0, uses: 0, halvings: 0 };
}

/** The EC keys of one engine, shared by ECDSA and ECDH. */
export class EcKeys {
  readonly #operations: EcOperations;
  /** Every private key that is not destroyed. */
  readonly #live: Set<Held<EcSecret>> = new Set();
  /** Wipes dropped keys; absent on edge runtimes whose settings switch finalizers off. */
  readonly #dropped: FinalizationRegistry<Held<EcSecret>> | undefined;

  constructor(operations: EcOperations) {
    this.#operations = operations;
    this.#dropped =
      typeof FinalizationRegistry === "function"
        ? new FinalizationRegistry((held) => this.destroyPrivate(held))
        : undefined;
  }

  privateKey(handle: EcPrivateKey): EcSecret {
    return keyOf(WasmEcPrivateKey.heldBy(handle), this);
  }

  publicKey(handle: EcPublicKey): EcPublic {
    return keyOf(WasmEcPublicKey.heldBy(handle), this);
  }

  /** Reads a 32-byte scalar or a PKCS#8 key; their lengths never meet. The result holds a copy of the scalar. */
  readPrivate(curve: CurveName, key: Uint8Array): EcSecret {
    ensureBytes(key, "key");
    const fields: EcPrivateFields = key.length === SCALAR_LENGTH ? { scalar: key } : readEcPkcs8(curve, key);
    ensure(isPrivateScalar(curve, fields.scalar), "InvalidKeyMaterial", "The private key is not in 1..n-1.");
    const point = this.#operations.publicPoint(curve, fields.scalar);
    if (point === undefined) throw new Error("internal: the kernel refused a scalar");
    ensure(
      fields.point === undefined || equalBytesVartime(fields.point, point),
      "InvalidKeyMaterial",
      "The public key inside the private key is not its own.",
    );
    // A buffer made first lies outside the garbage-collected heap, where moving would leave copies behind.
    const scalar = new Uint8Array(new ArrayBuffer(SCALAR_LENGTH));
    scalar.set(fields.scalar);
    return { curve, scalar, point, verifier: publicOf(curve, point) };
  }

  /** Reads a SEC 1 point or an SPKI; their lengths never meet. */
  readPublic(curve: CurveName, key: Uint8Array): EcPublic {
    ensureBytes(key, "key");
    const isPoint = key.length === POINT_LENGTH || key.length === COMPRESSED_POINT_LENGTH;
    const point = this.#operations.decodePoint(curve, isPoint ? key : readEcSpki(curve, key));
    ensure(
      point !== undefined,
      "InvalidKeyMaterial",
      "An EC public key is an SPKI or a point of 33 or 65 bytes on the curve.",
    );
    return publicOf(curve, point);
  }

  /** Makes the handle of a private key. */
  holdPrivate(secret: EcSecret): EcPrivateKey {
    const held: Held<EcSecret> = { owner: this, key: secret };
    const handle = new WasmEcPrivateKey(secret.curve, held);
    this.#live.add(held);
    this.#dropped?.register(handle, held, held);
    return handle;
  }

  /** Makes the handle of a public key. */
  holdPublic(key: EcPublic): EcPublicKey {
    return new WasmEcPublicKey(key.curve, { owner: this, key });
  }

  destroyPrivate(held: Held<EcSecret>): void {
    if (held.key !== undefined) {
      held.key.scalar.fill(0);
      this.#operations.forget(held.key.verifier);
    }
    held.key = undefined;
    this.#live.delete(held);
    this.#dropped?.unregister(held);
  }

  destroyPublic(held: Held<EcPublic>): void {
    if (held.key !== undefined) this.#operations.forget(held.key);
    held.key = undefined;
  }

  /** Wipes every private key. */
  destroyAll(): void {
    for (const held of this.#live) this.destroyPrivate(held);
  }

  exportPkcs8(handle: EcPrivateKey): Uint8Array {
    const { curve, scalar, point } = this.privateKey(handle);
    return encodeEcPkcs8(curve, { scalar, point });
  }

  exportSpki(handle: EcPublicKey): Uint8Array {
    const { curve, point } = this.publicKey(handle);
    return encodeEcSpki(curve, point);
  }

  exportPoint(handle: EcPublicKey, compressed: boolean): Uint8Array {
    const { point } = this.publicKey(handle);
    if (!compressed) return copyBytes(point);
    const short = point.slice(0, COMPRESSED_POINT_LENGTH);
    short[0] = 0x02 | ((point[POINT_LENGTH - 1] ?? 0) & 1);
    return short;
  }
}
