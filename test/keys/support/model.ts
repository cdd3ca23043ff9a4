/**
 * A reference model of the key life cycle, written from the documentation and as plain as can be: it predicts the
 * result or the refusal of every call. It knows nothing of stores, engines or bytes.
 */

import { DAY, START } from "./kms.ts";

export type Spec = "Aliyun_AES_256" | "HMAC_SHA_256" | "EC_P256";
type Usage = "ENCRYPT/DECRYPT" | "GENERATE_VERIFY_MAC" | "SIGN/VERIFY";

const USAGES: Readonly<Record<Spec, Usage>> = {
  Aliyun_AES_256: "ENCRYPT/DECRYPT",
  HMAC_SHA_256: "GENERATE_VERIFY_MAC",
  EC_P256: "SIGN/VERIFY",
};

/** Predicts that a call is refused. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function refuseUnless(condition: boolean, code: string): asserts condition {
  if (!condition) throw new Refusal(code);
}

export interface ModelVersion {
  readonly id: string;
  /** Uses that count, those a crash lost included. */
  used: number;
  /** Uses the store counts as gone. */
  reserved: number;
}

export interface ModelKey {
  readonly id: string;
  readonly spec: Spec;
  readonly createdAt: number;
  readonly versions: ModelVersion[];
  state: "Enabled" | "Disabled" | "PendingDeletion";
  deleteAt: number | undefined;
  lastRotationAt: number | undefined;
}

/** A ciphertext made earlier; `aad` is an index into the contexts of the test. */
export interface ModelCiphertext {
  readonly form: "detached" | "advance";
  readonly key: ModelKey;
  readonly version: ModelVersion;
  readonly aad: number;
  readonly plaintext: Uint8Array;
  readonly bytes: Uint8Array;
  readonly iv: Uint8Array;
}

export class Model {
  readonly limit: number;
  now: number = START;
  keys: ModelKey[] = [];
  /** Ids that once named a key; a call may name them still. */
  readonly everyId: string[] = [];
  readonly aliases: Map<string, ModelKey> = new Map();
  readonly ciphertexts: ModelCiphertext[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  add(id: string, spec: Spec, versionId: string): void {
    const versions = [{ id: versionId, used: 0, reserved: 0 }];
    this.keys.push({
      id,
      spec,
      createdAt: this.now,
      versions,
      state: "Enabled",
      deleteAt: undefined,
      lastRotationAt: undefined,
    });
    this.everyId.push(id);
  }

  tick(milliseconds: number): void {
    this.now += milliseconds;
    const gone = this.keys.filter((key) => key.deleteAt !== undefined && key.deleteAt <= this.now);
    this.keys = this.keys.filter((key) => !gone.includes(key));
    for (const [name, key] of this.aliases) if (gone.includes(key)) this.aliases.delete(name);
  }

  /** A clean close keeps exact counts; a crash loses what was reserved. */
  stop(crash: boolean): void {
    for (const version of this.keys.flatMap((key) => key.versions)) {
      if (crash) version.used = version.reserved;
      else version.reserved = version.used;
    }
  }

  /** @param name an id or an alias; ARNs are taken apart by the test */
  find(name: string): ModelKey {
    const key = this.aliases.get(name) ?? this.keys.find((candidate) => candidate.id === name);
    refuseUnless(key !== undefined, "Forbidden.KeyNotFound");
    return key;
  }

  use(key: ModelKey, usage: Usage): void {
    refuseUnless(USAGES[key.spec] === usage, "Rejected.UnsupportedOperation");
    refuseUnless(key.state !== "Disabled", "Rejected.Disabled");
    refuseUnless(key.state !== "PendingDeletion", "Rejected.PendingDeletion");
  }

  useSymmetric(key: ModelKey): void {
    refuseUnless(key.spec !== "EC_P256", "Forbidden.OnlySymmetricKeySupported");
    this.use(key, "ENCRYPT/DECRYPT");
  }

  #spend(version: ModelVersion): void {
    refuseUnless(version.used < this.limit, "Rejected.KeyExhausted");
    version.used += 1;
    const block = Math.max(1, Math.floor(this.limit / 4096));
    if (version.used > version.reserved) version.reserved = Math.min(this.limit, version.reserved + block);
  }

  initial(key: ModelKey): ModelVersion {
    return key.versions[0] as ModelVersion;
  }

  primary(key: ModelKey): ModelVersion {
    return key.versions[key.versions.length - 1] as ModelVersion;
  }

  seal(name: string, form: "detached" | "advance", isEncrypt: boolean): [ModelKey, ModelVersion] {
    const key = this.find(name);
    // encrypt also takes RSA keys, so its refusal of an EC key is about the usage.
    if (isEncrypt) this.use(key, "ENCRYPT/DECRYPT");
    else this.useSymmetric(key);
    const version = form === "detached" ? this.initial(key) : this.primary(key);
    this.#spend(version);
    return [key, version];
  }

  /** decrypt, or advanceDecrypt with keyId and iv: the ciphertext has no say in what key is used. */
  openDetached(name: string, text: ModelCiphertext, aad: number, isDecrypt: boolean): ModelCiphertext {
    const key = this.find(name);
    if (isDecrypt) this.use(key, "ENCRYPT/DECRYPT");
    else this.useSymmetric(key);
    const matches = text.form === "detached" && text.key === key && text.aad === aad;
    refuseUnless(matches, "InvalidCiphertext");
    return text;
  }

  #locate(text: ModelCiphertext): void {
    refuseUnless(text.form === "advance" && this.keys.includes(text.key), "InvalidCiphertext");
  }

  #isKey(name: string, key: ModelKey): boolean {
    return this.aliases.get(name) === key || name === key.id;
  }

  openBlob(name: string | undefined, text: ModelCiphertext, aad: number): ModelCiphertext {
    this.#locate(text);
    refuseUnless(name === undefined || this.#isKey(name, text.key), "InvalidCiphertext");
    this.useSymmetric(text.key);
    refuseUnless(text.aad === aad, "InvalidCiphertext");
    return text;
  }

  reEncrypt(
    text: ModelCiphertext,
    aad: number,
    destinationName: string | undefined,
    destinationAad: number,
  ): { key: ModelKey; version: ModelVersion; changed: boolean } {
    this.#locate(text);
    this.useSymmetric(text.key);
    const key = destinationName === undefined ? text.key : this.find(destinationName);
    this.useSymmetric(key);
    refuseUnless(text.aad === aad, "InvalidCiphertext");
    const version = this.primary(key);
    const changed = version !== text.version || destinationAad !== aad;
    if (changed) this.#spend(version);
    return { key, version, changed };
  }

  sign(name: string): ModelKey {
    const key = this.find(name);
    this.use(key, "SIGN/VERIFY");
    return key;
  }

  mac(name: string): ModelKey {
    const key = this.find(name);
    this.use(key, "GENERATE_VERIFY_MAC");
    return key;
  }

  /** The caller adds the new version once it knows its id. */
  rotate(name: string): ModelKey {
    const key = this.find(name);
    refuseUnless(key.spec === "Aliyun_AES_256", "Rejected.UnsupportedOperation");
    this.use(key, "ENCRYPT/DECRYPT");
    key.lastRotationAt = this.now;
    return key;
  }

  switchTo(name: string, state: "Enabled" | "Disabled"): void {
    const key = this.find(name);
    refuseUnless(key.state !== "PendingDeletion", "Rejected.StateModifiedFailed");
    key.state = state;
  }

  schedule(name: string, days: number): void {
    refuseUnless(days >= 7 && days <= 366, "InvalidParameter");
    const key = this.find(name);
    refuseUnless(key.state !== "PendingDeletion", "Rejected.StateModifiedFailed");
    key.state = "PendingDeletion";
    key.deleteAt = this.now + days * DAY;
  }

  cancel(name: string): void {
    const key = this.find(name);
    refuseUnless(key.state === "PendingDeletion", "Rejected.StateModifiedFailed");
    key.state = "Enabled";
    key.deleteAt = undefined;
  }

  createAlias(aliasName: string, name: string): void {
    const key = this.find(name);
    refuseUnless(!this.aliases.has(aliasName), "AliasAlreadyExists");
    refuseUnless(key.state !== "PendingDeletion", "Rejected.StateModifiedFailed");
    this.aliases.set(aliasName, key);
  }

  updateAlias(aliasName: string, name: string): void {
    refuseUnless(this.aliases.has(aliasName), "Forbidden.AliasNotFound");
    const key = this.find(name);
    refuseUnless(key.state !== "PendingDeletion", "Rejected.PendingDeletion");
    this.aliases.set(aliasName, key);
  }

  deleteAlias(aliasName: string): void {
    refuseUnless(this.aliases.delete(aliasName), "Forbidden.AliasNotFound");
  }
}
