/**
 * The plaintexts of the sealed records: a key's facts, an alias, a usage count. The layouts and what is bound to each
 * are docs/key-record.md, [REC-1] to [REC-9]. Sealing is the vault's work; no material passes through here.
 */

import type { KeyIdentity, KeyStatus } from "./key.ts";
import type { Alias } from "./key-ring.ts";
import type { RecordKind } from "./key-store.ts";

/** A key's record: everything but its material. */
export interface KeyRecord {
  readonly identity: KeyIdentity;
  readonly status: KeyStatus;
  /** Oldest first; the last one is primary. */
  readonly versions: readonly { readonly keyVersionId: string; readonly createdAt: number }[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** Decodes what `encodeJson` made; the bytes were authenticated, so anything else is our own bug. */
function decodeJson(bytes: Uint8Array): unknown {
  return JSON.parse(decoder.decode(bytes));
}

export function encodeKeyRecord(record: KeyRecord): Uint8Array {
  return encodeJson(record);
}

export function decodeKeyRecord(bytes: Uint8Array): KeyRecord {
  return decodeJson(bytes) as KeyRecord;
}

export function encodeAliasRecord(alias: Alias): Uint8Array {
  return encodeJson(alias);
}

export function decodeAliasRecord(bytes: Uint8Array): Alias {
  return decodeJson(bytes) as Alias;
}

/** Writes a usage count, 0..2^32, as 8 bytes big-endian. */
export function encodeUsageRecord(count: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(count));
  return bytes;
}

export function decodeUsageRecord(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0));
}

/** Which record a sealed row is; bound to it as AAD, so that rows cannot be swapped or passed off as one another. */
export interface RecordIdentity {
  readonly kind: RecordKind;
  readonly id: string;
  /** Bound to material: its key and what the key is. Empty strings for other kinds. */
  readonly keyId: string;
  readonly spec: string;
  readonly origin: string;
}

/** Names a record that stands for itself: a key, an alias, a usage count. */
export function recordIdentity(kind: RecordKind, id: string): RecordIdentity {
  return { kind, id, keyId: "", spec: "", origin: "" };
}

/** Names the material of one key version. */
export function materialIdentity(key: KeyIdentity, keyVersionId: string): RecordIdentity {
  return { kind: "version", id: keyVersionId, keyId: key.keyId, spec: key.spec, origin: key.origin };
}

const RECORD_DOMAIN = "keyplane record 1";

/** Encodes a record's identity: domain, kind, id, key id, spec and origin, each as length (2, big-endian) ‖ UTF-8. */
export function recordAad(record: RecordIdentity): Uint8Array {
  const fields = [RECORD_DOMAIN, record.kind, record.id, record.keyId, record.spec, record.origin];
  const encoded = fields.map((field) => encoder.encode(field));
  const aad = new Uint8Array(encoded.reduce((length, field) => length + 2 + field.length, 0));
  let offset = 0;
  for (const field of encoded) {
    aad[offset] = field.length >>> 8;
    aad[offset + 1] = field.length & 0xff;
    aad.set(field, offset + 2);
    offset += 2 + field.length;
  }
  return aad;
}
