/** Finds keys by id, alias or ARN, and versions by the 16 bytes a blob carries. Holds no material. */

import { KmsError } from "../errors.ts";
import type { Key, KeyVersion } from "./key.ts";
import { type ArnScope, stripArn } from "./key-id.ts";

/** An alias and the key it points to. */
export interface Alias {
  readonly aliasName: string;
  readonly keyId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export class KeyRing {
  readonly #scope: ArnScope;
  readonly #keys: Map<string, Key> = new Map();
  readonly #aliases: Map<string, Alias> = new Map();
  readonly #corruptKeys: Set<string> = new Set();
  readonly #corruptAliases: Set<string> = new Set();
  readonly #corruptVersions: KeyVersion[] = [];
  /** Versions by the first four bytes of their id; random ids make longer lists a rarity. */
  readonly #versions: Map<number, KeyVersion[]> = new Map();

  constructor(scope: ArnScope) {
    this.#scope = scope;
  }

  /** Keys, oldest first; those of the same millisecond by id, so that the order outlives a restart. */
  keys(): readonly Key[] {
    return [...this.#keys.values()].sort(byAge);
  }

  /** Ids of keys whose records were refused. */
  corruptKeys(): readonly string[] {
    return [...this.#corruptKeys];
  }

  aliases(): readonly Alias[] {
    return [...this.#aliases.values()];
  }

  /**
   * Finds a key by id, alias or ARN.
   *
   * @throws KmsError `Forbidden.KeyNotFound`; `Rejected.RecordCorrupt` for a key whose record was refused
   */
  resolve(reference: string): Key {
    const key = this.find(reference);
    if (key === undefined) throw new KmsError("Forbidden.KeyNotFound", "keyId names no key here.");
    return key;
  }

  /** Like `resolve`, but undefined for an unknown key. */
  find(reference: string): Key | undefined {
    const known = this.#keys.get(reference);
    if (known !== undefined) return known;
    this.#refuseCorrupt(reference);
    const keyId = this.#aliases.get(reference)?.keyId ?? stripArn(this.#scope, reference);
    this.#refuseCorrupt(keyId);
    return this.#keys.get(keyId);
  }

  /** Finds a sound key by its id alone. */
  findById(keyId: string): Key | undefined {
    return this.#keys.get(keyId);
  }

  #refuseCorrupt(name: string): void {
    if (this.#corruptKeys.has(name)) {
      throw new KmsError(
        "Rejected.RecordCorrupt",
        `The record of key ${name} was changed or damaged and is refused.`,
      );
    }
    if (this.#corruptAliases.has(name)) {
      throw new KmsError(
        "Rejected.RecordCorrupt",
        `The record of ${name} was changed or damaged and is refused.`,
      );
    }
  }

  /**
   * Finds a version by its 16 id bytes. Time depends on public bytes.
   *
   * @param bytes has the id at `offset`
   * @throws KmsError `Rejected.RecordCorrupt` for a version of a key whose records were refused
   */
  findVersion(bytes: Uint8Array, offset: number = 0): KeyVersion | undefined {
    const candidates = this.#versions.get(prefixOf(bytes, offset));
    if (candidates !== undefined) {
      for (const candidate of candidates) if (hasId(candidate, bytes, offset)) return candidate;
    }
    const corrupt = this.#corruptVersions.find((other) => hasId(other, bytes, offset));
    if (corrupt !== undefined) this.#refuseCorrupt(corrupt.key.keyId);
    return undefined;
  }

  findAlias(aliasName: string): Alias | undefined {
    this.#refuseCorrupt(aliasName);
    return this.#aliases.get(aliasName);
  }

  /** Adds a key with the versions it has so far. */
  addKey(key: Key): void {
    this.#keys.set(key.keyId, key);
    for (const version of key.versions) this.#indexVersion(version);
  }

  /** Makes a version the key's newest, and so its primary. */
  addVersion(version: KeyVersion): void {
    version.key.versions.push(version);
    this.#indexVersion(version);
  }

  #indexVersion(version: KeyVersion): void {
    const prefix = prefixOf(version.idBytes);
    this.#versions.set(prefix, [...(this.#versions.get(prefix) ?? []), version]);
  }

  removeKey(key: Key): void {
    this.#keys.delete(key.keyId);
    for (const version of key.versions) {
      const prefix = prefixOf(version.idBytes);
      const rest = (this.#versions.get(prefix) ?? []).filter((other) => other !== version);
      if (rest.length === 0) this.#versions.delete(prefix);
      else this.#versions.set(prefix, rest);
    }
    for (const alias of this.aliasesOf(key.keyId)) this.#aliases.delete(alias.aliasName);
  }

  aliasesOf(keyId: string): readonly Alias[] {
    return this.aliases().filter((alias) => alias.keyId === keyId);
  }

  setAlias(alias: Alias): void {
    this.#aliases.set(alias.aliasName, alias);
  }

  removeAlias(aliasName: string): void {
    this.#aliases.delete(aliasName);
  }

  /** Remembers that a key's records were refused; every use of it is `Rejected.RecordCorrupt`. */
  markKeyCorrupt(keyId: string): void {
    this.#corruptKeys.add(keyId);
  }

  /** Remembers the versions of a key that is corrupt although its own record is sound. */
  markVersionsCorrupt(key: Key): void {
    this.#corruptVersions.push(...key.versions);
  }

  markAliasCorrupt(aliasName: string): void {
    this.#corruptAliases.add(aliasName);
  }
}

function byAge(a: Key, b: Key): number {
  return a.identity.createdAt - b.identity.createdAt || (a.keyId < b.keyId ? -1 : 1);
}

function prefixOf(bytes: Uint8Array, offset: number = 0): number {
  return (
    ((bytes[offset] ?? 0) << 24) |
    ((bytes[offset + 1] ?? 0) << 16) |
    ((bytes[offset + 2] ?? 0) << 8) |
    (bytes[offset + 3] ?? 0)
  );
}

function hasId({ idBytes }: KeyVersion, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < idBytes.length; i++) if (idBytes[i] !== bytes[offset + i]) return false;
  return true;
}
