/** The public face of a key: the vendor's KeyMetadata, camelCased, and its version records. */

import type { Key, KeyOrigin, KeyVersion, ProtectionLevel } from "../keys/key.ts";
import { keyArn } from "../keys/key-id.ts";
import type { KeySpec, KeyUsage } from "../keys/key-spec.ts";
import type { KeyState } from "../keys/key-state.ts";
import type { OperationContext } from "./context.ts";

/** How often a key version has sealed with AES-GCM. */
export interface KeyVersionUsage {
  /** Uses so far, counting those a crash lost. */
  readonly usageCount: number;
  /** At this count the version refuses to seal (2^32 unless the Kms was opened with less). */
  readonly usageLimit: number;
  /** True from 0.9 of the limit. */
  readonly rotationDue: boolean;
}

export interface KeyMetadata extends Partial<KeyVersionUsage> {
  readonly keyId: string;
  readonly arn: string;
  readonly keyState: KeyState;
  readonly keyUsage: KeyUsage;
  readonly keySpec: KeySpec;
  readonly origin: KeyOrigin;
  readonly protectionLevel: ProtectionLevel;
  readonly creator: string;
  /** ISO 8601. */
  readonly creationDate: string;
  readonly description: string;
  readonly primaryKeyVersion: string;
  readonly automaticRotation: "Disabled";
  readonly lastRotationDate?: string;
  /** ISO 8601; in PendingDeletion only. */
  readonly deleteDate?: string;
  /** Empty: the material never expires. */
  readonly materialExpireTime: string;
  readonly deletionProtection: "Disabled";
}

export interface KeyVersionMetadata extends Partial<KeyVersionUsage> {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** ISO 8601. */
  readonly creationDate: string;
  readonly isPrimary: boolean;
}

function usageOf(version: KeyVersion): Partial<KeyVersionUsage> {
  const { usage } = version;
  if (usage === undefined) return {};
  return { usageCount: usage.used, usageLimit: usage.limit, rotationDue: usage.rotationDue };
}

function isoDate(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

export function keyMetadata(context: OperationContext, key: Key): KeyMetadata {
  const { identity, status } = key;
  return {
    keyId: identity.keyId,
    arn: keyArn(context.scope, identity.keyId),
    keyState: status.state,
    keyUsage: identity.usage,
    keySpec: identity.spec,
    origin: identity.origin,
    protectionLevel: identity.protectionLevel,
    creator: context.scope.accountId,
    creationDate: isoDate(identity.createdAt),
    description: status.description,
    primaryKeyVersion: key.primaryVersion.keyVersionId,
    automaticRotation: "Disabled",
    ...(status.lastRotationAt === undefined ? {} : { lastRotationDate: isoDate(status.lastRotationAt) }),
    ...(status.deleteAt === undefined ? {} : { deleteDate: isoDate(status.deleteAt) }),
    materialExpireTime: "",
    deletionProtection: "Disabled",
    ...usageOf(key.primaryVersion),
  };
}

/** @param withUsage adds the counts, as DescribeKeyVersion does */
export function keyVersionMetadata(version: KeyVersion, withUsage: boolean): KeyVersionMetadata {
  return {
    keyId: version.key.keyId,
    keyVersionId: version.keyVersionId,
    creationDate: isoDate(version.createdAt),
    isPrimary: version === version.key.primaryVersion,
    ...(withUsage ? usageOf(version) : {}),
  };
}
