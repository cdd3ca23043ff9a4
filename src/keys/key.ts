/** A key and its versions as the life cycle sees them: facts and states, never material. */

import { ensure, KmsError } from "../errors.ts";
import { isAsymmetric, type KeySpec, type KeyUsage } from "./key-spec.ts";
import { type KeyState, stateAfter } from "./key-state.ts";
import type { UsageCounter } from "./usage-counter.ts";

export type KeyOrigin = "Aliyun_KMS" | "EXTERNAL";
export type ProtectionLevel = "SOFTWARE" | "HSM";

/** One version of a key. Versions are independent keys; exactly one is primary. */
export class KeyVersion {
  readonly key: Key;
  readonly keyVersionId: string;
  /** The 16 bytes of `keyVersionId`. */
  readonly idBytes: Uint8Array;
  /** The header of blobs sealed under this version. */
  readonly blobHeader: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Present for versions that seal with AES-GCM. */
  readonly usage: UsageCounter | undefined;
  /** The sealed material as the store has it; opaque here. */
  readonly sealedMaterial: Uint8Array;
  /** Belongs to the engines: handles made from the material. Opaque here. */
  engineSlot: unknown = undefined;

  constructor(facts: {
    key: Key;
    keyVersionId: string;
    idBytes: Uint8Array;
    blobHeader: Uint8Array;
    createdAt: number;
    usage: UsageCounter | undefined;
    sealedMaterial: Uint8Array;
  }) {
    this.key = facts.key;
    this.keyVersionId = facts.keyVersionId;
    this.idBytes = facts.idBytes;
    this.blobHeader = facts.blobHeader;
    this.createdAt = facts.createdAt;
    this.usage = facts.usage;
    this.sealedMaterial = facts.sealedMaterial;
  }
}

/** What never changes about a key. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly origin: KeyOrigin;
  readonly protectionLevel: ProtectionLevel;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What the life cycle changes, replaced as a whole once the store has it. */
export interface KeyStatus {
  readonly state: KeyState;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; present in PendingDeletion only. */
  readonly deleteAt?: number;
  readonly lastRotationAt?: number;
}

export class Key {
  readonly identity: KeyIdentity;
  readonly isAsymmetric: boolean;
  /** The key is in a token and is used there alone. */
  readonly isHardware: boolean;
  readonly versions: KeyVersion[] = [];
  #status: KeyStatus;
  #usable: KeyUsage | undefined;

  constructor(identity: KeyIdentity, status: KeyStatus) {
    this.identity = identity;
    this.isAsymmetric = isAsymmetric(identity.spec);
    this.isHardware = identity.protectionLevel === "HSM";
    this.#status = status;
    this.#usable = status.state === "Enabled" ? identity.usage : undefined;
  }

  get keyId(): string {
    return this.identity.keyId;
  }

  get status(): KeyStatus {
    return this.#status;
  }

  set status(status: KeyStatus) {
    this.#status = status;
    this.#usable = status.state === "Enabled" ? this.identity.usage : undefined;
  }

  /** The version that `encrypt`, `generateDataKey` and asymmetric calls use for the key's whole life. */
  get initialVersion(): KeyVersion {
    return this.#versionAt(0);
  }

  /** The version that `advance*` seals under. */
  get primaryVersion(): KeyVersion {
    return this.#versionAt(this.versions.length - 1);
  }

  #versionAt(index: number): KeyVersion {
    const version = this.versions[index];
    if (version === undefined) throw new KmsError("Rejected.PendingImport", "The key has no material yet.");
    return version;
  }

  /** Tells in one comparison whether the key is enabled and meant for this usage. */
  isUsableFor(usage: KeyUsage): boolean {
    return this.#usable === usage;
  }
}

/**
 * Refuses a call that the key is not meant for, then one its state forbids.
 *
 * @throws KmsError `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.PendingImport`
 */
export function assertUsable(key: Key, usage: KeyUsage): void {
  if (key.isUsableFor(usage)) return;
  ensure(key.identity.usage === usage, "Rejected.UnsupportedOperation", `The key is not for ${usage}.`);
  stateAfter("Use", key.status.state);
}

/**
 * The same for the calls that take symmetric encryption keys only.
 *
 * @throws KmsError `Forbidden.OnlySymmetricKeySupported` and those of `assertUsable`
 */
export function assertSymmetric(key: Key): void {
  if (key.isAsymmetric) {
    throw new KmsError("Forbidden.OnlySymmetricKeySupported", "This call takes symmetric keys only.");
  }
  assertUsable(key, "ENCRYPT/DECRYPT");
}
