/** AES-GCM over node:crypto. Every method makes one cipher per message; deciphered bytes leave after the tag held. */

import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
} from "node:crypto";
import { ensureBytes, lengthOf } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { aesGcmSelfTest } from "../aes-gcm-vectors.ts";
import type { AesGcm, AesKey, OpenItem, PackedShape, SealItem, TrustedAesKey } from "../engine.ts";
import { runsOver } from "../sealed-run.ts";
import type { SelfTest } from "../self-test.ts";
import { checkItems, ownBytes } from "./arguments.ts";
import type { EngineState, HandleTable } from "./state.ts";
import { hasCipher } from "./support.ts";

const IV_LENGTH = 12;
const TAG_LENGTH = 16;

interface AesSecret {
  readonly key: KeyObject;
  readonly cipher: CipherGCMTypes;
  isDestroyed: boolean;
}

class NodeAesKey implements AesKey {
  readonly byteLength: number;
  readonly #table: HandleTable<AesSecret>;

  constructor(table: HandleTable<AesSecret>, secret: AesSecret, byteLength: number) {
    this.byteLength = byteLength;
    this.#table = table;
    table.set(this, secret);
  }

  destroy(): void {
    const secret = this.#table.find(this);
    if (secret !== undefined) secret.isDestroyed = true;
    this.#table.delete(this);
  }
}

function aesSecret(key: Uint8Array): AesSecret {
  return { key: createSecretKey(key), cipher: cipherOf(key.length), isDestroyed: false };
}

function cipherOf(keyLength: number): CipherGCMTypes {
  return keyLength === 16 ? "aes-128-gcm" : keyLength === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

/** Tells whether this runtime has AES-GCM with keys of a length in bytes. */
export function servesAesGcm(keyLength: number): boolean {
  return hasCipher(cipherOf(keyLength));
}

/** Writes ciphertext ‖ tag; reads all input before it writes, so the two may overlap. */
function sealRaw(
  { key, cipher }: AesSecret,
  iv: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array | undefined,
  out: Uint8Array,
  offset: number,
): number {
  const context = createCipheriv(cipher, key, iv);
  if (aad !== undefined && aad.length !== 0) context.setAAD(aad);
  out.set(context.update(plaintext), offset);
  context.final();
  const length = lengthOf(plaintext);
  out.set(context.getAuthTag(), offset + length);
  return length + TAG_LENGTH;
}

function openRaw(
  { key, cipher }: AesSecret,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array | undefined,
): Buffer | undefined {
  const length = lengthOf(sealed) - TAG_LENGTH;
  if (length < 0) return undefined;
  const context = createDecipheriv(cipher, key, iv, { authTagLength: TAG_LENGTH });
  if (aad !== undefined && aad.length !== 0) context.setAAD(aad);
  context.setAuthTag(sealed.subarray(length));
  const plaintext = context.update(sealed.subarray(0, length));
  try {
    context.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plaintext;
}

function importRaw(table: HandleTable<AesSecret>, key: Uint8Array): AesKey {
  return new NodeAesKey(table, aesSecret(key), key.length);
}

function sealNew(secret: AesSecret, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array {
  const out = new Uint8Array(lengthOf(plaintext) + TAG_LENGTH);
  sealRaw(secret, iv, plaintext, aad, out, 0);
  return out;
}

function openNew(
  secret: AesSecret,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad?: Uint8Array,
): Uint8Array | undefined {
  const plaintext = openRaw(secret, iv, sealed, aad);
  return plaintext === undefined ? undefined : ownBytes(plaintext);
}

/** Runs the known answers over handles of their own, since the engine's are behind this very test. */
function selfTestOf(table: HandleTable<AesSecret>): SelfTest {
  const aesGcm = {
    importKey: (key: Uint8Array) => importRaw(table, key),
    seal: (key: AesKey, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array) =>
      sealNew(table.get(key), iv, plaintext, aad),
    open: (key: AesKey, iv: Uint8Array, sealed: Uint8Array, aad?: Uint8Array) =>
      openNew(table.get(key), iv, sealed, aad),
  };
  return aesGcmSelfTest(aesGcm, servesAesGcm);
}

function checkIv(iv: Uint8Array): void {
  ensureBytes(iv, "iv");
  ensure(iv.length === IV_LENGTH, "InvalidParameter", "iv must have 12 bytes.");
}

function checkMessage(iv: Uint8Array, data: Uint8Array, dataName: string, aad: Uint8Array | undefined): void {
  checkIv(iv);
  ensureBytes(data, dataName);
  if (aad !== undefined) ensureBytes(aad, "aad");
}

function checkRoom(out: Uint8Array, offset: number, length: number): void {
  ensureBytes(out, "out");
  ensure(
    Number.isSafeInteger(offset) && offset >= 0 && offset + length <= out.length,
    "InvalidParameter",
    "out has no room for the result at this offset.",
  );
}

interface PackedLayout {
  readonly aadEnd: number;
  readonly plaintextLength: number;
  readonly recordLength: number;
  readonly outLength: number;
}

function packedLayout(records: Uint8Array, shape: PackedShape, opening: boolean): PackedLayout {
  ensureBytes(records, "records");
  ensure(typeof shape === "object" && shape !== null, "InvalidParameter", "shape must be an object.");
  const { count, aadLength, plaintextLength } = shape;
  for (const part of [count, aadLength, plaintextLength]) {
    ensure(
      Number.isSafeInteger(part) && part >= 0,
      "InvalidParameter",
      "shape must hold non-negative integers.",
    );
  }
  const aadEnd = IV_LENGTH + aadLength;
  const recordLength = aadEnd + plaintextLength + (opening ? TAG_LENGTH : 0);
  ensure(
    records.length === count * recordLength,
    "InvalidParameter",
    "records must be exactly as long as shape says.",
  );
  const outLength = count * (plaintextLength + (opening ? 0 : TAG_LENGTH));
  return { aadEnd, plaintextLength, recordLength, outLength };
}

function packedOutput(out: Uint8Array | undefined, length: number): Uint8Array {
  if (out === undefined) return new Uint8Array(length);
  checkRoom(out, 0, length);
  return out;
}

/** AES-GCM of one engine. */
export class NodeAesGcm implements AesGcm {
  readonly #state: EngineState;
  readonly #keys: HandleTable<AesSecret>;
  readonly #selfTest: SelfTest;

  constructor(state: EngineState) {
    this.#state = state;
    this.#keys = state.table();
    this.#selfTest = selfTestOf(this.#keys);
  }

  importKey(key: Uint8Array): AesKey {
    this.#state.require(this.#selfTest);
    ensureBytes(key, "key");
    ensure([16, 24, 32].includes(key.length), "InvalidKeyMaterial", "An AES key has 16, 24 or 32 bytes.");
    ensure(
      servesAesGcm(key.length),
      "Rejected.UnsupportedOperation",
      `This runtime's node:crypto has no AES-${key.length * 8}-GCM.`,
    );
    return importRaw(this.#keys, key);
  }

  seal(key: AesKey, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array {
    const secret = this.#secret(key);
    checkMessage(iv, plaintext, "plaintext", aad);
    return sealNew(secret, iv, plaintext, aad);
  }

  open(key: AesKey, iv: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined {
    const secret = this.#secret(key);
    checkMessage(iv, sealed, "sealed", aad);
    return openNew(secret, iv, sealed, aad);
  }

  sealInto(
    key: AesKey,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number {
    const secret = this.#secret(key);
    checkMessage(iv, plaintext, "plaintext", aad);
    checkRoom(out, offset, plaintext.length + TAG_LENGTH);
    return sealRaw(secret, iv, plaintext, aad, out, offset);
  }

  openInto(
    key: AesKey,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number | undefined {
    const secret = this.#secret(key);
    checkMessage(iv, sealed, "sealed", aad);
    const length = Math.max(sealed.length - TAG_LENGTH, 0);
    checkRoom(out, offset, length);
    return this.#openTo(secret, iv, sealed, aad, out, offset) ? length : undefined;
  }

  unsafeBind(key: AesKey): TrustedAesKey {
    const secret = this.#secret(key);
    const ensureLive = (): void => {
      this.#state.require();
      if (secret.isDestroyed) ensure(false, "InvalidParameter", "The key handle is destroyed.");
    };
    const plain: Pick<TrustedAesKey, "sealInto" | "open"> = {
      sealInto: (iv, plaintext, aad, out, offset) => {
        ensureLive();
        sealRaw(secret, iv, plaintext, aad, out, offset);
      },
      open: (iv, sealed, aad) => {
        ensureLive();
        return openNew(secret, iv, sealed, aad);
      },
    };
    return { ...plain, ...runsOver(plain) };
  }

  sealBatch(key: AesKey | undefined, items: readonly SealItem[]): Uint8Array[] {
    this.#state.require(this.#selfTest);
    checkItems(items);
    return items.map((item) => this.seal(itemKey(key, item), item.iv, item.plaintext, item.aad));
  }

  openBatch(key: AesKey | undefined, items: readonly OpenItem[]): (Uint8Array | undefined)[] {
    this.#state.require(this.#selfTest);
    checkItems(items);
    return items.map((item) => this.open(itemKey(key, item), item.iv, item.sealed, item.aad));
  }

  sealPacked(key: AesKey, records: Uint8Array, shape: PackedShape, out?: Uint8Array): Uint8Array {
    const secret = this.#secret(key);
    const { aadEnd, recordLength, outLength } = packedLayout(records, shape, false);
    const sealed = packedOutput(out, outLength);
    let offset = 0;
    for (let start = 0; start < records.length; start += recordLength) {
      const record = records.subarray(start, start + recordLength);
      offset += sealRaw(
        secret,
        record.subarray(0, IV_LENGTH),
        record.subarray(aadEnd),
        record.subarray(IV_LENGTH, aadEnd),
        sealed,
        offset,
      );
    }
    return sealed;
  }

  openPacked(
    key: AesKey,
    records: Uint8Array,
    shape: PackedShape,
    out?: Uint8Array,
  ): { plaintexts: Uint8Array; ok: Uint8Array } {
    const secret = this.#secret(key);
    const { aadEnd, recordLength, plaintextLength, outLength } = packedLayout(records, shape, true);
    const plaintexts = packedOutput(out, outLength);
    const ok = new Uint8Array(shape.count);
    for (let i = 0; i < shape.count; i++) {
      const record = records.subarray(i * recordLength, (i + 1) * recordLength);
      const iv = record.subarray(0, IV_LENGTH);
      const aad = record.subarray(IV_LENGTH, aadEnd);
      const opened = this.#openTo(secret, iv, record.subarray(aadEnd), aad, plaintexts, i * plaintextLength);
      ok[i] = opened ? 1 : 0;
    }
    return { plaintexts, ok };
  }

  #secret(key: AesKey): AesSecret {
    this.#state.require(this.#selfTest);
    return this.#keys.get(key);
  }

  #openTo(
    secret: AesSecret,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): boolean {
    const plaintext = openRaw(secret, iv, sealed, aad);
    if (plaintext === undefined) {
      out.fill(0, offset, offset + Math.max(sealed.length - TAG_LENGTH, 0));
      return false;
    }
    out.set(plaintext, offset);
    plaintext.fill(0);
    return true;
  }
}

function itemKey(common: AesKey | undefined, item: SealItem | OpenItem): AesKey {
  const key = item.key ?? common;
  ensure(key !== undefined, "InvalidParameter", "An item without a key needs the common key.");
  return key;
}
