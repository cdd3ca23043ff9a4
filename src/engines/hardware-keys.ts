/**
 * The port behind keys that live in a token: what operations ask of it and what stands in the store for such a key. The
 * one implementation is engines/hsm. Errors are `KmsError`s with the module's own error as their cause.
 */

import { KmsError } from "../errors.ts";
import type { KeyMaterialType, SignatureScheme } from "../keys/key-spec.ts";
import type { HashName } from "./engine.ts";

/** A block cipher mode that hardware keys serve beside AES-GCM. */
export type BlockMode = "cbc" | "ecb";

/** What a hardware key is generated as. */
export interface HardwareKeySpec {
  readonly facts: Extract<KeyMaterialType, { type: "aes" | "rsa" | "ec" }>;
  readonly usage: "encrypt" | "sign";
  /** CKA_ID: the 16 bytes of the key version id. */
  readonly id: Uint8Array;
  /** CKA_LABEL. */
  readonly label: string;
}

/** A key in a token. Arguments are copied before a call returns; plaintexts in answers own their memory. */
export interface HardwareKey {
  /** @throws KmsError `Rejected.UnsupportedOperation` for an algorithm the token was not seen to serve under this key */
  ensureServes(algorithm: string): Promise<void>;
  /** Returns ciphertext ‖ tag. */
  seal(iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Promise<Uint8Array>;
  /** Resolves to undefined for any failure to authenticate. */
  open(iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Promise<Uint8Array | undefined>;
  /** @param data a multiple of 16 bytes; `iv` 16 bytes for "cbc", absent for "ecb" */
  encryptBlocks(mode: BlockMode, iv: Uint8Array | undefined, data: Uint8Array): Promise<Uint8Array>;
  decryptBlocks(mode: BlockMode, iv: Uint8Array | undefined, data: Uint8Array): Promise<Uint8Array>;
  /** @returns the RSA signature, or r ‖ s */
  sign(scheme: SignatureScheme, digest: Uint8Array): Promise<Uint8Array>;
  /** Resolves to undefined for any padding failure. */
  decryptOaep(hash: HashName, ciphertext: Uint8Array): Promise<Uint8Array | undefined>;
  /** Forgets how to reach the key; the object stays. */
  release(): void;
}

/** Makes, finds and destroys keys in a token or a group of them. */
export interface HardwareKeys {
  /** @throws KmsError `Rejected.UnsupportedOperation` naming what the module lacks, `ServiceUnavailableTemporary` */
  generate(spec: HardwareKeySpec): Promise<HardwareReference>;
  /** Gives the key a reference stands for, without asking the token yet. */
  bind(
    reference: HardwareReference,
    facts: HardwareKeySpec["facts"],
    usage: HardwareKeySpec["usage"],
  ): HardwareKey;
  /** Destroys the objects of a key; one that is gone already is no error. */
  destroy(reference: HardwareReference, facts: HardwareKeySpec["facts"]): Promise<void>;
  /**
   * Finds the AES key that root keys are sealed under.
   *
   * @param id to find the same one again; absent: the one of this label, made if there is none
   */
  wrappingKey(
    label: string,
    id?: Uint8Array,
  ): Promise<{ readonly id: Uint8Array; readonly key: Pick<HardwareKey, "seal" | "open"> }>;
}

/** What `hsm` options must have; `keyplane/hsm` gives such objects. */
export interface HardwareKeySource {
  readonly hardwareKeys: HardwareKeys;
}

/** What a store keeps in the place of material: how to find the key and how to tell that it is the right one. */
export interface HardwareReference {
  /** CKA_ID. */
  readonly id: Uint8Array;
  /** Of a secret key, 8 bytes; docs/hsm.md, [HSM-5]. */
  readonly checkValue: Uint8Array;
  /** Of a key pair, the DER SubjectPublicKeyInfo; empty otherwise. */
  readonly spki: Uint8Array;
}

const REFERENCE_VERSION = 1;

/** Encodes version (1) ‖ id length (1) ‖ id ‖ check value length (1) ‖ check value ‖ SPKI; docs/hsm.md, [HSM-4]. */
export function encodeReference({ id, checkValue, spki }: HardwareReference): Uint8Array {
  const bytes = new Uint8Array(3 + id.length + checkValue.length + spki.length);
  bytes[0] = REFERENCE_VERSION;
  bytes[1] = id.length;
  bytes.set(id, 2);
  bytes[2 + id.length] = checkValue.length;
  bytes.set(checkValue, 3 + id.length);
  bytes.set(spki, 3 + id.length + checkValue.length);
  return bytes;
}

/** Decodes what `encodeReference` made; the bytes were authenticated. @throws KmsError `InternalFailure` for a newer version */
export function decodeReference(bytes: Uint8Array): HardwareReference {
  if (bytes[0] !== REFERENCE_VERSION) {
    throw new KmsError(
      "InternalFailure",
      "The record of a hardware key is of a format this version does not know.",
    );
  }
  const idLength = bytes[1] ?? 0;
  const checkLength = bytes[2 + idLength] ?? 0;
  const checkStart = 3 + idLength;
  return {
    id: bytes.slice(2, 2 + idLength),
    checkValue: bytes.slice(checkStart, checkStart + checkLength),
    spki: bytes.slice(checkStart + checkLength),
  };
}
