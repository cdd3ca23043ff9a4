/** What the model-based test works on, and the comparison of everything a Kms lists with everything the model knows. */

import { expect } from "vitest";
import type { Kms } from "../../../src/index.ts";
import type { TestClock } from "./kms.ts";
import type { Model, ModelKey } from "./model.ts";
import type { TestRows } from "./rows.ts";

/** The Kms under test with what outlives it. */
export interface World {
  kms: Kms;
  readonly rows: TestRows;
  readonly clock: TestClock;
}

export type Action = (model: Model, real: World) => Promise<void>;

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

async function checkKey(model: Model, kms: Kms, key: ModelKey): Promise<void> {
  const { keyMetadata } = await kms.describeKey({ keyId: key.id });
  expect(keyMetadata).toMatchObject({
    keyId: key.id,
    keySpec: key.spec,
    keyState: key.state,
    creationDate: iso(key.createdAt),
    primaryKeyVersion: model.primary(key).id,
  });
  expect(keyMetadata.deleteDate).toBe(key.deleteAt === undefined ? undefined : iso(key.deleteAt));
  const { lastRotationAt } = key;
  expect(keyMetadata.lastRotationDate).toBe(lastRotationAt === undefined ? undefined : iso(lastRotationAt));
  const { keyVersions } = await kms.listKeyVersions({ keyId: key.id, pageSize: 100 });
  const primary = model.primary(key);
  expect(keyVersions.map((version) => [version.keyVersionId, version.isPrimary])).toEqual(
    key.versions.map((version) => [version.id, version === primary]),
  );
  for (const { id, used } of key.versions) {
    const { keyVersion } = await kms.describeKeyVersion({ keyId: key.id, keyVersionId: id });
    if (key.spec !== "Aliyun_AES_256") expect(keyVersion.usageCount).toBeUndefined();
    else {
      const { usageCount, rotationDue } = keyVersion;
      expect([usageCount, rotationDue]).toEqual([used, used * 10 >= model.limit * 9]);
    }
  }
}

/** Compares every key, version, count and alias. */
export const checkAll: Action = async (model, { kms }) => {
  const { keys, totalCount } = await kms.listKeys({ pageSize: 100 });
  expect(totalCount).toBe(model.keys.length);
  const byAge = [...model.keys].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  expect(keys.map(({ keyId }) => keyId)).toEqual(byAge.map(({ id }) => id));
  const { aliases } = await kms.listAliases();
  expect(aliases.map(({ aliasName, keyId }) => [aliasName, keyId])).toEqual(
    [...model.aliases].map(([aliasName, { id }]) => [aliasName, id]).sort(),
  );
  for (const key of model.keys) await checkKey(model, kms, key);
};
