/**
 * A root key that is sealed under a key of a token and stands, sealed, in the store's header; docs/key-record.md, [ROOT-8].
 * The wrapping key never leaves the token: without the token the store does not open.
 */

import { concatBytes, hexToBytes, publicToHex } from "../bytes.ts";
import { KmsError } from "../errors.ts";
import type { HardwareKeys } from "./hardware-keys.ts";
import { randomBytes } from "./random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "./root-key.ts";

export type HardwareKdf = Extract<KdfParameters, { name: "hsm" }>;

const DOMAIN: Uint8Array = new TextEncoder().encode("keyplane root key 1");
const IV_LENGTH = 12;

/**
 * Makes a root key and seals it under the wrapping key of a label, which is made if the token has none.
 *
 * @param storeId 16 bytes of the header
 * @returns the root key, which the caller wipes, and what the header keeps
 */
export async function newHardwareRootKey(
  keys: HardwareKeys,
  label: string,
  storeId: Uint8Array,
): Promise<{ readonly kdf: HardwareKdf; readonly rootKey: Uint8Array }> {
  const { id, key } = await keys.wrappingKey(label);
  const rootKey = randomBytes(ROOT_KEY_LENGTH);
  const iv = randomBytes(IV_LENGTH);
  try {
    const sealed = await key.seal(iv, rootKey, concatBytes(DOMAIN, storeId));
    const hex = { keyId: publicToHex(id), iv: publicToHex(iv), sealed: publicToHex(sealed) };
    return { kdf: { name: "hsm", label, ...hex }, rootKey };
  } catch (error) {
    rootKey.fill(0);
    throw error;
  }
}

/** Opens the root key of a header. @throws KmsError `InvalidRootKey`, `ServiceUnavailableTemporary` */
export async function openHardwareRootKey(
  keys: HardwareKeys,
  kdf: HardwareKdf,
  storeId: Uint8Array,
): Promise<Uint8Array> {
  const { key } = await keys.wrappingKey(kdf.label, hexToBytes(kdf.keyId)).catch((error: unknown): never => {
    if (error instanceof KmsError && error.code === "Forbidden.KeyNotFound") {
      throw new KmsError("InvalidRootKey", "The HSM has no key of this label and id.", { cause: error });
    }
    throw error;
  });
  const sealed = hexToBytes(kdf.sealed);
  const rootKey = await key.open(hexToBytes(kdf.iv), sealed, concatBytes(DOMAIN, storeId));
  if (rootKey?.length !== ROOT_KEY_LENGTH) {
    throw new KmsError("InvalidRootKey", "The key in the HSM does not open this store.");
  }
  return rootKey;
}
