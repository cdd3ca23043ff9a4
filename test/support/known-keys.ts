/** A store of keys whose material the test chose, sealed row by row as docs/key-record.md says. */

import { KeyVault } from "../../src/engines/key-vault.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { deriveRecordKey } from "../../src/engines/root-key.ts";
import type { KeySpec, KeyStore, KeyUsage, RecordKind, StoreChange } from "../../src/index.ts";
import {
  encodeKeyRecord,
  encodeUsageRecord,
  materialIdentity,
  recordIdentity,
} from "../../src/keys/key-record.ts";
import { newStoreHeader } from "../../src/operations/store-header.ts";
import { editableStore } from "./editable-store.ts";
import { patterned } from "./kms.ts";

export interface KnownKey {
  readonly keyId: string;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  /** Raw bytes of AES and HMAC, PKCS#8 of the others. */
  readonly material: Uint8Array;
}

/** The root key that opens the store. */
export const KNOWN_ROOT_KEY: Uint8Array = patterned(32);

/** Makes the store. */
export async function storeOfKnownKeys(keys: readonly KnownKey[]): Promise<KeyStore> {
  const { aesGcm } = createNodeEngine();
  if (aesGcm === undefined) throw new Error("the node engine has no AES-GCM");
  const storeId = patterned(16);
  const vault = await KeyVault.create(
    aesGcm,
    await deriveRecordKey(Uint8Array.from(KNOWN_ROOT_KEY), storeId),
  );
  const put = (kind: RecordKind, id: string, bytes: Uint8Array): StoreChange => ({
    action: "put",
    kind,
    id,
    bytes,
  });
  const rows = [put("header", "store", await newStoreHeader({ name: "none" }, storeId).seal(vault))];
  for (const { keyId, spec, usage, material } of keys) {
    const createdAt = 1_767_225_600_000;
    const identity = {
      keyId,
      spec,
      usage,
      origin: "Aliyun_KMS",
      protectionLevel: "SOFTWARE",
      createdAt,
    } as const;
    const keyVersionId = crypto.randomUUID();
    const record = {
      identity,
      status: { state: "Enabled", description: "", tags: {} },
      versions: [{ keyVersionId, createdAt }],
    } as const;
    rows.push(put("key", keyId, await vault.seal(recordIdentity("key", keyId), encodeKeyRecord(record))));
    rows.push(
      put("version", keyVersionId, await vault.seal(materialIdentity(identity, keyVersionId), material)),
    );
    const usageRow = await vault.seal(recordIdentity("usage", keyVersionId), encodeUsageRecord(0));
    if (spec.startsWith("Aliyun_AES")) rows.push(put("usage", keyVersionId, usageRow));
  }
  vault.close();
  const store = editableStore({ persistent: true });
  await store.open();
  await store.commit(rows);
  await store.close();
  return store;
}
