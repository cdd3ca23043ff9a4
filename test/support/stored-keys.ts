/** A closed store with keys of each kind, two aliases and a blob under each AES key, to be changed and opened again. */

import { Kms } from "../../src/index.ts";
import { type EditableStore, editableStore } from "./editable-store.ts";
import { newKey, patterned } from "./kms.ts";

export const rootKey = { bytes: patterned(32) } as const;
/** What the blobs hold. */
export const plaintext: Uint8Array = patterned(24);

export interface Stored {
  readonly store: EditableStore;
  readonly aes: string;
  readonly other: string;
  readonly ec: string;
  readonly hmac: string;
  readonly blob: Uint8Array;
  readonly otherBlob: Uint8Array;
  readonly versions: Readonly<Record<"aes" | "other" | "ec" | "hmac", string>>;
}

/** Makes the store. */
export async function makeStored(): Promise<Stored> {
  const store = editableStore({ persistent: true });
  const kms = await Kms.open({ store, rootKey });
  const aes = await newKey(kms, { description: "the first" });
  const other = await newKey(kms);
  const ec = await newKey(kms, { keySpec: "EC_P256" });
  const hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
  await kms.createAlias({ aliasName: "alias/app", keyId: aes });
  await kms.createAlias({ aliasName: "alias/other", keyId: other });
  const blob = (await kms.advanceEncrypt({ keyId: aes, plaintext })).ciphertextBlob;
  const otherBlob = (await kms.advanceEncrypt({ keyId: other, plaintext })).ciphertextBlob;
  const versionOf = async (keyId: string): Promise<string> =>
    (await kms.describeKey({ keyId })).keyMetadata.primaryKeyVersion;
  const versions = {
    aes: await versionOf(aes),
    other: await versionOf(other),
    ec: await versionOf(ec),
    hmac: await versionOf(hmac),
  };
  await kms.close();
  return { store, aes, other, ec, hmac, blob, otherBlob, versions };
}

/** Opens the store again, looks, and closes it. */
export async function reopen({ store }: Stored, look: (kms: Kms) => Promise<void>): Promise<void> {
  const kms = await Kms.open({ store, rootKey });
  try {
    await look(kms);
  } finally {
    await kms.close();
  }
}
