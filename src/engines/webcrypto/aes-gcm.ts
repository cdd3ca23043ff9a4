/** AES-GCM over SubtleCrypto. A call has read its arguments when it returns its promise; results are written when they come. */

import { concatBytes, ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import { type AesGcmKnownAnswer, aesGcmKnownAnswers } from "../aes-gcm-vectors.ts";
import type { AesGcm, AesKey, OpenItem, PackedShape, Promised, SealItem } from "../engine.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { asSource, checkItems } from "./arguments.ts";
import type { EngineState, HandleTable } from "./state.ts";

const IV_LENGTH = 12;
const TAG_LENGTH = 16;
const NO_AAD: Uint8Array<ArrayBuffer> = new Uint8Array(0);

interface AesSecret {
  readonly key: CryptoKey;
}

class WebAesKey implements AesKey {
  readonly byteLength: number;
  readonly #table: HandleTable<AesSecret>;

  constructor(table: HandleTable<AesSecret>, secret: AesSecret, byteLength: number) {
    this.byteLength = byteLength;
    this.#table = table;
    table.set(this, secret);
  }

  destroy(): void {
    this.#table.delete(this);
  }
}

function importRaw(subtle: SubtleCrypto, key: Uint8Array): Promise<CryptoKey> {
  return subtle.importKey("raw", asSource(key), "AES-GCM", false, ["encrypt", "decrypt"]);
}

async function sealRaw(
  subtle: SubtleCrypto,
  key: CryptoKey,
  iv: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array> {
  const algorithm = { name: "AES-GCM", iv: asSource(iv), additionalData: asSource(aad) };
  return new Uint8Array(await subtle.encrypt(algorithm, key, asSource(plaintext)));
}

async function openRaw(
  subtle: SubtleCrypto,
  key: CryptoKey,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (sealed.length < TAG_LENGTH) return undefined;
  const algorithm = { name: "AES-GCM", iv: asSource(iv), additionalData: asSource(aad) };
  try {
    return new Uint8Array(await subtle.decrypt(algorithm, key, asSource(sealed)));
  } catch {
    return undefined;
  }
}

/** Tells whether this platform has AES keys of a length: Chromium has none of 192 bits. */
export async function servesAes(subtle: SubtleCrypto, byteLength: number): Promise<boolean> {
  try {
    const key = await importRaw(subtle, new Uint8Array(byteLength));
    return (await sealRaw(subtle, key, new Uint8Array(IV_LENGTH), NO_AAD, NO_AAD)).length === TAG_LENGTH;
  } catch {
    return false;
  }
}

/** Seals, opens, and sees that a changed tag is refused, under each key length that is served. */
function selfTest(subtle: SubtleCrypto, lengths: readonly number[]): AsyncSelfTest {
  const answers = aesGcmKnownAnswers().filter(({ key }) => lengths.includes(key.length));
  const compute = async (answer: AesGcmKnownAnswer): Promise<Uint8Array> => {
    const { iv, aad, plaintext, sealed } = answer;
    const key = await importRaw(subtle, answer.key);
    const forged = Uint8Array.from(sealed);
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 0x80;
    const refused = (await openRaw(subtle, key, iv, forged, aad)) === undefined;
    return concatBytes(
      await sealRaw(subtle, key, iv, plaintext, aad),
      (await openRaw(subtle, key, iv, sealed, aad)) ?? NO_AAD,
      Uint8Array.of(refused ? 1 : 0),
    );
  };
  return {
    name: "aes-gcm",
    compute: async () => concatBytes(...(await Promise.all(answers.map(compute)))),
    expected: concatBytes(
      ...answers.flatMap(({ sealed, plaintext }) => [sealed, plaintext, Uint8Array.of(1)]),
    ),
  };
}

function checkMessage(iv: Uint8Array, data: Uint8Array, dataName: string, aad: Uint8Array | undefined): void {
  ensureBytes(iv, "iv");
  ensure(iv.length === IV_LENGTH, "InvalidParameter", "iv must have 12 bytes.");
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

interface PackedRecord {
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly data: Uint8Array;
}

/** Cuts records of iv ‖ aad ‖ data, with `dataLength` bytes of data each. */
function cutRecords(records: Uint8Array, shape: PackedShape, tagLength: number): PackedRecord[] {
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
  const recordLength = aadEnd + plaintextLength + tagLength;
  ensure(
    records.length === count * recordLength,
    "InvalidParameter",
    "records must be exactly as long as shape says.",
  );
  return Array.from({ length: count }, (_, i) => {
    const record = records.subarray(i * recordLength, (i + 1) * recordLength);
    return {
      iv: record.subarray(0, IV_LENGTH),
      aad: record.subarray(IV_LENGTH, aadEnd),
      data: record.subarray(aadEnd),
    };
  });
}

/** AES-GCM of one engine. */
export class WebAesGcm implements Promised<Omit<AesGcm, "unsafeBind">> {
  readonly #state: EngineState;
  readonly #lengths: readonly number[];
  readonly #keys: HandleTable<AesSecret>;
  readonly #selfTest: AsyncSelfTest;

  /** @param lengths key lengths in bytes that the platform serves */
  constructor(state: EngineState, lengths: readonly number[]) {
    this.#state = state;
    this.#lengths = lengths;
    this.#keys = state.table();
    this.#selfTest = selfTest(state.subtle, lengths);
  }

  async importKey(key: Uint8Array): Promise<AesKey> {
    this.#state.enter();
    ensureBytes(key, "key");
    ensure([16, 24, 32].includes(key.length), "InvalidKeyMaterial", "An AES key has 16, 24 or 32 bytes.");
    if (!this.#lengths.includes(key.length)) {
      throw new KmsError("Rejected.UnsupportedOperation", "This platform's WebCrypto has no AES-192.");
    }
    return this.#state.run(
      this.#selfTest,
      [key] as const,
      async ([own]) =>
        new WebAesKey(this.#keys, { key: await importRaw(this.#state.subtle, own) }, key.length),
    );
  }

  async seal(key: AesKey, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Promise<Uint8Array> {
    const secret = this.#secret(key);
    checkMessage(iv, plaintext, "plaintext", aad);
    return this.#seal(secret, iv, plaintext, aad);
  }

  async open(
    key: AesKey,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad?: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const secret = this.#secret(key);
    checkMessage(iv, sealed, "sealed", aad);
    return this.#open(secret, iv, sealed, aad);
  }

  async sealInto(
    key: AesKey,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): Promise<number> {
    const secret = this.#secret(key);
    checkMessage(iv, plaintext, "plaintext", aad);
    checkRoom(out, offset, plaintext.length + TAG_LENGTH);
    const sealed = await this.#seal(secret, iv, plaintext, aad);
    checkRoom(out, offset, sealed.length);
    out.set(sealed, offset);
    return sealed.length;
  }

  async openInto(
    key: AesKey,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): Promise<number | undefined> {
    const secret = this.#secret(key);
    checkMessage(iv, sealed, "sealed", aad);
    const length = Math.max(sealed.length - TAG_LENGTH, 0);
    checkRoom(out, offset, length);
    const plaintext = await this.#open(secret, iv, sealed, aad);
    return this.#place(plaintext, out, offset, length) ? length : undefined;
  }

  async sealBatch(key: AesKey | undefined, items: readonly SealItem[]): Promise<Uint8Array[]> {
    this.#state.enter();
    checkItems(items);
    const checked = items.map((item) => {
      const secret = this.#secret(itemKey(key, item));
      checkMessage(item.iv, item.plaintext, "plaintext", item.aad);
      return { secret, item };
    });
    return Promise.all(
      checked.map(({ secret, item }) => this.#seal(secret, item.iv, item.plaintext, item.aad)),
    );
  }

  async openBatch(key: AesKey | undefined, items: readonly OpenItem[]): Promise<(Uint8Array | undefined)[]> {
    this.#state.enter();
    checkItems(items);
    const checked = items.map((item) => {
      const secret = this.#secret(itemKey(key, item));
      checkMessage(item.iv, item.sealed, "sealed", item.aad);
      return { secret, item };
    });
    return Promise.all(checked.map(({ secret, item }) => this.#open(secret, item.iv, item.sealed, item.aad)));
  }

  async sealPacked(
    key: AesKey,
    records: Uint8Array,
    shape: PackedShape,
    out?: Uint8Array,
  ): Promise<Uint8Array> {
    const secret = this.#secret(key);
    const cut = cutRecords(records, shape, 0);
    const stride = shape.plaintextLength + TAG_LENGTH;
    const target = out ?? new Uint8Array(cut.length * stride);
    checkRoom(target, 0, cut.length * stride);
    const sealed = await Promise.all(cut.map(({ iv, aad, data }) => this.#seal(secret, iv, data, aad)));
    checkRoom(target, 0, cut.length * stride);
    for (const [i, one] of sealed.entries()) target.set(one, i * stride);
    return target;
  }

  async openPacked(
    key: AesKey,
    records: Uint8Array,
    shape: PackedShape,
    out?: Uint8Array,
  ): Promise<{ plaintexts: Uint8Array; ok: Uint8Array }> {
    const secret = this.#secret(key);
    const cut = cutRecords(records, shape, TAG_LENGTH);
    const stride = shape.plaintextLength;
    const plaintexts = out ?? new Uint8Array(cut.length * stride);
    checkRoom(plaintexts, 0, cut.length * stride);
    const opened = await Promise.all(cut.map(({ iv, aad, data }) => this.#open(secret, iv, data, aad)));
    const ok = Uint8Array.from(opened, (one, i) => Number(this.#place(one, plaintexts, i * stride, stride)));
    return { plaintexts, ok };
  }

  /** Moves a plaintext to where it belongs and wipes it; zeroes the place of one that did not open. */
  #place(plaintext: Uint8Array | undefined, out: Uint8Array, offset: number, length: number): boolean {
    if (plaintext === undefined) {
      out.fill(0, offset, offset + length);
      return false;
    }
    try {
      checkRoom(out, offset, length);
      out.set(plaintext, offset);
    } finally {
      plaintext.fill(0);
    }
    return true;
  }

  #seal(
    { key }: AesSecret,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array = NO_AAD,
  ): Promise<Uint8Array> {
    return this.#state.run(this.#selfTest, [iv, plaintext, aad] as const, ([ownIv, ownPlaintext, ownAad]) =>
      sealRaw(this.#state.subtle, key, ownIv, ownPlaintext, ownAad),
    );
  }

  #open(
    { key }: AesSecret,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array = NO_AAD,
  ): Promise<Uint8Array | undefined> {
    return this.#state.run(this.#selfTest, [iv, sealed, aad] as const, ([ownIv, ownSealed, ownAad]) =>
      openRaw(this.#state.subtle, key, ownIv, ownSealed, ownAad),
    );
  }

  #secret(key: AesKey): AesSecret {
    this.#state.enter();
    return this.#keys.get(key);
  }
}

function itemKey(common: AesKey | undefined, item: SealItem | OpenItem): AesKey {
  const key = item.key ?? common;
  ensure(key !== undefined, "InvalidParameter", "An item without a key needs the common key.");
  return key;
}
