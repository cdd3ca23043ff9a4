/**
 * RSA keys of the wasm engine: handles, import with every check, export. The numbers of a private key live in arrays of
 * their own from import to `destroy()`, `close()` or collection, and are zeroed then; the kernels lend few keys a context.
 */

import { copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import type { RsaPrivateKey, RsaPublicKey } from "../engine.ts";
import {
  encodeRsaPkcs8,
  encodeRsaSpki,
  type RsaPrivateFields,
  type RsaPublicFields,
  readRsaPkcs8,
  readRsaSpki,
} from "../key-encoding.ts";
import { checkRsaPrivateKey, checkRsaPublicKey } from "../rsa-key-check.ts";
import { arePrimes } from "./rsa-primes.ts";
import type { RawRsa, RawRsaPrivateKey, RawRsaPublicKey } from "./rsa-raw.ts";

/** A public key; n and e are public and kept to make more handles of it. */
export interface RsaPublic {
  readonly raw: RawRsaPublicKey;
  readonly fields: RsaPublicFields;
}

/** A private key with its public half. The kernels need no d, so it is kept here for export alone, and zeroed. */
export interface RsaSecret {
  readonly raw: RawRsaPrivateKey;
  readonly d: Uint8Array;
  readonly public: RsaPublic;
}

/** The key behind a handle until it is destroyed, and the keys it belongs to. */
interface Held<Key> {
  readonly owner: RsaKeys;
  key: Key | undefined;
}

class WasmRsaPrivateKey implements RsaPrivateKey {
  readonly modulusBits: number;
  readonly #held: Held<RsaSecret>;

  constructor(modulusBits: number, held: Held<RsaSecret>) {
    this.modulusBits = modulusBits;
    this.#held = held;
  }

  destroy(): void {
    this.#held.owner.destroyPrivate(this.#held);
  }

  static heldBy(handle: unknown): Held<RsaSecret> | undefined {
    return typeof handle === "object" && handle !== null && #held in handle ? handle.#held : undefined;
  }
}

class WasmRsaPublicKey implements RsaPublicKey {
  readonly modulusBits: number;
  readonly #held: Held<RsaPublic>;

  constructor(modulusBits: number, held: Held<RsaPublic>) {
    this.modulusBits = modulusBits;
    this.#held = held;
  }

  destroy(): void {
    this.#held.owner.destroyPublic(this.#held);
  }

  static heldBy(handle: unknown): Held<RsaPublic> | undefined {
    return typeof handle === "object" && handle !== null && #held in handle ? handle.#held : undefined;
  }
}

/** @throws KmsError `InvalidParameter` unless the handle is a live one of these keys */
function keyOf<Key>(held: Held<Key> | undefined, owner: RsaKeys): Key {
  const key = held?.owner === owner ? held.key : undefined;
  ensure(key !== undefined, "InvalidParameter", "The key handle is destroyed or not of this engine.");
  return key;
}

/** The RSA keys of one engine. */
export class RsaKeys {
  readonly #raw: () => RawRsa;
  /** Every key that is not destroyed. */
  readonly #livePrivate: Set<Held<RsaSecret>> = new Set();
  /** Wipes dropped keys; absent on edge runtimes whose settings switch finalizers off. */
  readonly #dropped: FinalizationRegistry<Held<RsaSecret>> | undefined;
  readonly #droppedPublic: FinalizationRegistry<Held<RsaPublic>> | undefined;

  /** @param raw gives the kernels, which are compiled when they are first needed */
  constructor(raw: () => RawRsa) {
    this.#raw = raw;
    if (typeof FinalizationRegistry !== "function") return;
    this.#dropped = new FinalizationRegistry((held) => this.destroyPrivate(held));
    this.#droppedPublic = new FinalizationRegistry((held) => this.destroyPublic(held));
  }

  privateKey(handle: RsaPrivateKey): RsaSecret {
    return keyOf(WasmRsaPrivateKey.heldBy(handle), this);
  }

  publicKey(handle: RsaPublicKey): RsaPublic {
    return keyOf(WasmRsaPublicKey.heldBy(handle), this);
  }

  /**
   * Reads a private key and checks how its numbers fit together, and that p and q are prime.
   *
   * @throws KmsError `InvalidKeyMaterial`; `Rejected.UnsupportedOperation` for primes of different lengths
   */
  readPrivate(pkcs8: Uint8Array): RsaSecret {
    ensureBytes(pkcs8, "pkcs8");
    const fields = readRsaPkcs8(pkcs8);
    checkRsaPrivateKey(fields);
    ensureBalanced(fields);
    const prime = arePrimes(this.#raw().kernel, fields);
    ensure(prime, "InvalidKeyMaterial", "The numbers of the RSA key do not fit together.");
    return this.secretOf(fields);
  }

  /** Makes a private key of numbers that fit together; they are copied. */
  secretOf(fields: RsaPrivateFields): RsaSecret {
    const raw = this.#raw().importPrivate(fields, this);
    // A buffer made first lies outside the garbage-collected heap, where moving would leave copies behind.
    const d = new Uint8Array(new ArrayBuffer(fields.d.length));
    d.set(fields.d);
    return { raw, d, public: this.#publicOf(fields) };
  }

  #publicOf({ n, e }: RsaPublicFields): RsaPublic {
    const fields = { n: copyBytes(n), e: copyBytes(e) };
    return { raw: this.#raw().importPublic(fields, this), fields };
  }

  /** Reads and checks a public key. */
  readPublic(spki: Uint8Array): RsaPublic {
    ensureBytes(spki, "spki");
    const fields = readRsaSpki(spki);
    checkRsaPublicKey(fields);
    return this.#publicOf(fields);
  }

  /** Makes the handle of a private key. */
  holdPrivate(secret: RsaSecret): RsaPrivateKey {
    const held: Held<RsaSecret> = { owner: this, key: secret };
    const handle = new WasmRsaPrivateKey(secret.raw.bits, held);
    this.#livePrivate.add(held);
    this.#dropped?.register(handle, held, held);
    return handle;
  }

  /** Makes the handle of a public key. */
  holdPublic(key: RsaPublic): RsaPublicKey {
    const held: Held<RsaPublic> = { owner: this, key };
    const handle = new WasmRsaPublicKey(key.raw.bits, held);
    this.#droppedPublic?.register(handle, held, held);
    return handle;
  }

  /** Makes one more handle of the public half of a private key. */
  publicHalf(handle: RsaPrivateKey): RsaPublicKey {
    return this.holdPublic(this.#publicOf(this.privateKey(handle).public.fields));
  }

  /** Wipes the numbers of a private key. */
  wipe(secret: RsaSecret): void {
    const raw = this.#raw();
    raw.destroy(secret.raw);
    raw.destroy(secret.public.raw);
    secret.d.fill(0);
  }

  destroyPrivate(held: Held<RsaSecret>): void {
    if (held.key !== undefined) this.wipe(held.key);
    held.key = undefined;
    this.#livePrivate.delete(held);
    this.#dropped?.unregister(held);
  }

  destroyPublic(held: Held<RsaPublic>): void {
    if (held.key !== undefined) this.#raw().destroy(held.key.raw);
    held.key = undefined;
    this.#droppedPublic?.unregister(held);
  }

  /** Wipes every private key. */
  destroyAll(): void {
    for (const held of this.#livePrivate) this.destroyPrivate(held);
  }

  exportPkcs8(handle: RsaPrivateKey): Uint8Array {
    const { raw, d } = this.privateKey(handle);
    return encodeRsaPkcs8({ ...raw.parts(), d });
  }

  exportSpki(handle: RsaPublicKey): Uint8Array {
    return encodeRsaSpki(this.publicKey(handle).fields);
  }
}

/** @throws KmsError `Rejected.UnsupportedOperation` unless p and q have half the bits of n each */
function ensureBalanced({ n, p, q }: RsaPrivateFields): void {
  const half = n.length / 2;
  const isFull = (prime: Uint8Array): boolean => prime.length === half && (prime[0] ?? 0) >= 0x80;
  if (isFull(p) && isFull(q)) return;
  throw new KmsError(
    "Rejected.UnsupportedOperation",
    "The wasm engine takes RSA keys of two primes of equal length; use the node engine.",
  );
}
