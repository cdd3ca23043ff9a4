/**
 * From a root key to the key that seals records. The root key itself is wiped as soon as the record key is derived.
 * The store's header and the derivation are docs/key-record.md, [ROOT-1] to [ROOT-8].
 */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { ensure, KmsError } from "../errors.ts";
import type { HardwareKeySource } from "./hardware-keys.ts";

/** Where the root key comes from. */
export type RootKeyOption =
  | { readonly bytes: Uint8Array }
  | { readonly passphrase: string | Uint8Array }
  | { readonly file: string }
  /** An HKDF key with the usage `deriveBits`, which need not be extractable. */
  | { readonly cryptoKey: CryptoKey }
  | {
      /** An open Hsm of `keyplane/hsm`. */
      readonly hsm: HardwareKeySource;
      /** Of the wrapping key, which is made in the token if it has none of this label. */
      readonly label: string;
    };

/** What leads to a root key without a token. */
export type SoftwareRootKeyOption = Exclude<RootKeyOption, { readonly hsm: HardwareKeySource }>;

/** How a passphrase becomes a root key; kept in the store's header. */
export type KdfParameters =
  | { readonly name: "none" }
  | {
      readonly name: "scrypt";
      readonly N: number;
      readonly r: number;
      readonly p: number;
      readonly salt: string;
    }
  | { readonly name: "pbkdf2-sha-256"; readonly iterations: number; readonly salt: string }
  | {
      readonly name: "hsm";
      readonly label: string;
      /** CKA_ID of the wrapping key, hexadecimal like the rest. */
      readonly keyId: string;
      readonly iv: string;
      readonly sealed: string;
    };

/** What only the platform can do for a root key. */
export interface RootKeyPlatform {
  /** Chooses parameters for a new store, with a fresh salt in hexadecimal. */
  newKdf(): KdfParameters;
  /** Derives 32 bytes; undefined when the platform does not have the function. */
  deriveFromPassphrase(passphrase: Uint8Array, kdf: KdfParameters): Promise<Uint8Array | undefined>;
  /** Reads 32 raw bytes from a file of the owner's alone; undefined when the platform has no files. */
  readFile(path: string): Promise<Uint8Array | undefined>;
}

export const ROOT_KEY_LENGTH = 32;
const RECORD_KEY_LENGTH = 32;
const INFO = "keyplane record key 1";

function invalidRootKey(message: string): KmsError {
  return new KmsError("InvalidRootKey", message);
}

/**
 * Obtains the 32 root key bytes, which the caller wipes, or the key that stands for them.
 *
 * @param kdf parameters of the store's header
 * @throws KmsError `InvalidRootKey`, `InvalidParameter`
 */
export async function resolveRootKey(
  option: SoftwareRootKeyOption,
  kdf: KdfParameters,
  platform: RootKeyPlatform,
): Promise<Uint8Array | CryptoKey> {
  if (kdf.name === "hsm") throw invalidRootKey("This store's root key is in an HSM.");
  if ("passphrase" in option) return fromPassphrase(option.passphrase, kdf, platform);
  if (kdf.name !== "none") throw invalidRootKey("This store was made with a passphrase.");
  if ("cryptoKey" in option) return option.cryptoKey;
  if ("bytes" in option) {
    ensureBytes(option.bytes, "rootKey.bytes");
    ensure(option.bytes.length === ROOT_KEY_LENGTH, "InvalidParameter", "rootKey.bytes must be 32 bytes.");
    return copyBytes(option.bytes);
  }
  const bytes = await platform.readFile(option.file);
  if (bytes === undefined) throw invalidRootKey("This platform reads no root key files.");
  return bytes;
}

async function fromPassphrase(
  passphrase: string | Uint8Array,
  kdf: KdfParameters,
  platform: RootKeyPlatform,
): Promise<Uint8Array> {
  if (kdf.name === "none") throw invalidRootKey("This store was made without a passphrase.");
  const bytes = typeof passphrase === "string" ? new TextEncoder().encode(passphrase) : copyBytes(passphrase);
  try {
    const derived = await platform.deriveFromPassphrase(bytes, kdf);
    if (derived === undefined) throw invalidRootKey(`This platform does not have ${kdf.name}.`);
    return derived;
  } finally {
    bytes.fill(0);
  }
}

/**
 * Derives the record key with HKDF-SHA-256 (RFC 5869) and wipes the root key.
 *
 * @param storeId 16 bytes of the header, the salt: two stores under one root key have different record keys
 */
export async function deriveRecordKey(
  rootKey: Uint8Array | CryptoKey,
  storeId: Uint8Array,
): Promise<Uint8Array> {
  try {
    const imported = rootKey instanceof Uint8Array ? await importHkdf(rootKey) : rootKey;
    const derivation = {
      name: "HKDF",
      hash: "SHA-256",
      salt: storeId as Uint8Array<ArrayBuffer>,
      info: new TextEncoder().encode(INFO),
    };
    return new Uint8Array(await crypto.subtle.deriveBits(derivation, imported, RECORD_KEY_LENGTH * 8));
  } finally {
    if (rootKey instanceof Uint8Array) rootKey.fill(0);
  }
}

function importHkdf(rootKey: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", rootKey as Uint8Array<ArrayBuffer>, "HKDF", false, ["deriveBits"]);
}
