/**
 * AES-GCM over the kernels: copies in, calls, copies out, wipes. Short messages take one call; longer ones pass through
 * the arena in chunks, and a ciphertext passes twice, so that nothing is decrypted before its tag was verified.
 */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { aesGcmSelfTest } from "../aes-gcm-vectors.ts";
import type { AesGcm, AesKey, OpenItem, PackedShape, SealItem } from "../engine.ts";
import type { SelfTest, SelfTests } from "../self-test.ts";
import {
  checkMessage,
  checkPacked,
  checkRoom,
  IV_LENGTH,
  overlaps,
  TAG_LENGTH,
} from "./aes-gcm-arguments.ts";
import type { Kernel } from "./kernel.ts";
import { contextsOf, type KeyContexts, type KeyHolder } from "./key-contexts.ts";

/** The handle of a key; the bytes stay with the holder. */
class WasmAesKey implements AesKey {
  readonly byteLength: number;
  readonly #contexts: KeyContexts;
  readonly #holder: KeyHolder;

  constructor(contexts: KeyContexts, holder: KeyHolder) {
    this.byteLength = holder.bytes.length;
    this.#contexts = contexts;
    this.#holder = holder;
    contexts.wipeWithHandle(this, holder);
  }

  destroy(): void {
    this.#contexts.destroy(this.#holder);
  }

  /** @throws KmsError `InvalidParameter` unless the handle is a live one of this engine */
  static holderOf(key: AesKey, owner: object): KeyHolder {
    ensure(
      typeof key === "object" && key !== null && #holder in key && key.#holder.owner === owner,
      "InvalidParameter",
      "key must be an AES key of this engine.",
    );
    ensure(!key.#holder.destroyed, "InvalidParameter", "key was destroyed.");
    return key.#holder;
  }
}

/** One message after its arguments were checked; `data` is plaintext or ciphertext ‖ tag. */
interface Message {
  readonly holder: KeyHolder;
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
  readonly aad: Uint8Array;
}

export class WasmAesGcm implements AesGcm {
  readonly #kernel: Kernel;
  readonly #contexts: KeyContexts;
  readonly #selfTests: SelfTests;
  readonly #selfTest: SelfTest;
  /** Marks the keys of this engine among those that share the kernel. */
  readonly #owner: object = {};
  #closed = false;

  constructor(kernel: Kernel, selfTests: SelfTests) {
    this.#kernel = kernel;
    this.#contexts = contextsOf(kernel);
    this.#selfTests = selfTests;
    this.#selfTest = aesGcmSelfTest({
      importKey: (key) => this.#import(key),
      seal: (key, iv, plaintext, aad) => this.#seal(this.#message(key, iv, plaintext, "plaintext", aad)),
      open: (key, iv, sealed, aad) => this.#open(this.#message(key, iv, sealed, "sealed", aad)),
    });
  }

  importKey(key: Uint8Array): AesKey {
    this.#ready();
    ensureBytes(key, "key");
    ensure(
      key.length === 16 || key.length === 24 || key.length === 32,
      "InvalidKeyMaterial",
      "An AES key has 16, 24 or 32 bytes.",
    );
    return this.#import(key);
  }

  seal(key: AesKey, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array {
    this.#ready();
    return this.#seal(this.#message(key, iv, plaintext, "plaintext", aad));
  }

  open(key: AesKey, iv: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined {
    this.#ready();
    return this.#open(this.#message(key, iv, sealed, "sealed", aad));
  }

  sealInto(
    key: AesKey,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number {
    this.#ready();
    const message = this.#message(key, iv, plaintext, "plaintext", aad);
    checkRoom(out, offset, plaintext.length + TAG_LENGTH);
    this.#sealTo(message, out, offset);
    return plaintext.length + TAG_LENGTH;
  }

  openInto(
    key: AesKey,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number | undefined {
    this.#ready();
    const message = this.#message(key, iv, sealed, "sealed", aad);
    const length = Math.max(sealed.length - TAG_LENGTH, 0);
    checkRoom(out, offset, length);
    return this.#openTo(message, out, offset) ? length : undefined;
  }

  sealBatch(key: AesKey | undefined, items: readonly SealItem[]): Uint8Array[] {
    this.#ready();
    ensure(Array.isArray(items), "InvalidParameter", "items must be an array.");
    const messages = items.map((item) => {
      ensureItem(item);
      return this.#message(itemKey(key, item.key), item.iv, item.plaintext, "plaintext", item.aad);
    });
    return messages.map((message) => this.#seal(message));
  }

  openBatch(key: AesKey | undefined, items: readonly OpenItem[]): (Uint8Array | undefined)[] {
    this.#ready();
    ensure(Array.isArray(items), "InvalidParameter", "items must be an array.");
    const messages = items.map((item) => {
      ensureItem(item);
      return this.#message(itemKey(key, item.key), item.iv, item.sealed, "sealed", item.aad);
    });
    return messages.map((message) => this.#open(message));
  }

  sealPacked(key: AesKey, records: Uint8Array, shape: PackedShape, out?: Uint8Array): Uint8Array {
    this.#ready();
    const holder = WasmAesKey.holderOf(key, this.#owner);
    const { count, aadEnd, recordLength, resultLength } = checkPacked(records, shape, "seal");
    if (out !== undefined) checkRoom(out, 0, count * resultLength);
    const sealed = out ?? new Uint8Array(count * resultLength);
    withSafeInput(records, sealed, 0, count * resultLength, (input) => {
      for (let i = 0; i < count; i++) {
        const record = input.subarray(i * recordLength, (i + 1) * recordLength);
        this.#sealTo(recordMessage(holder, record, aadEnd), sealed, i * resultLength);
      }
    });
    return sealed;
  }

  openPacked(
    key: AesKey,
    records: Uint8Array,
    shape: PackedShape,
    out?: Uint8Array,
  ): { plaintexts: Uint8Array; ok: Uint8Array } {
    this.#ready();
    const holder = WasmAesKey.holderOf(key, this.#owner);
    const { count, aadEnd, recordLength, resultLength } = checkPacked(records, shape, "open");
    if (out !== undefined) checkRoom(out, 0, count * resultLength);
    const plaintexts = out ?? new Uint8Array(count * resultLength);
    const ok = new Uint8Array(count);
    withSafeInput(records, plaintexts, 0, count * resultLength, (input) => {
      for (let i = 0; i < count; i++) {
        const record = input.subarray(i * recordLength, (i + 1) * recordLength);
        ok[i] = this.#openTo(recordMessage(holder, record, aadEnd), plaintexts, i * resultLength) ? 1 : 0;
      }
    });
    return { plaintexts, ok };
  }

  /** Wipes the keys of this engine; every later call is `InvalidParameter`. */
  close(): void {
    this.#closed = true;
    this.#contexts.destroyAll(this.#owner);
  }

  #ready(): void {
    ensure(!this.#closed, "InvalidParameter", "The engine is closed.");
    this.#selfTests.require(this.#selfTest);
  }

  #import(key: Uint8Array): AesKey {
    return new WasmAesKey(this.#contexts, this.#contexts.hold(key, this.#owner));
  }

  #message(
    key: AesKey,
    iv: Uint8Array,
    data: Uint8Array,
    dataName: "plaintext" | "sealed",
    aad: Uint8Array | undefined,
  ): Message {
    const holder = WasmAesKey.holderOf(key, this.#owner);
    return { holder, iv, data, aad: checkMessage(iv, data, dataName, aad) };
  }

  #isShort(message: Message): boolean {
    return message.data.length <= this.#kernel.dataCapacity && message.aad.length <= this.#kernel.aad.length;
  }

  #seal(message: Message): Uint8Array {
    const sealed = new Uint8Array(message.data.length + TAG_LENGTH);
    this.#sealTo(message, sealed, 0);
    return sealed;
  }

  #sealTo(message: Message, out: Uint8Array, offset: number): void {
    if (!this.#isShort(message)) {
      this.#sealChunks(message, out, offset);
      return;
    }
    const { iv, aad, data } = message;
    const kernel = this.#kernel;
    const slot = this.#contexts.use(message.holder);
    const sealedLength = data.length + TAG_LENGTH;
    try {
      kernel.iv.set(iv);
      kernel.aad.set(aad);
      kernel.data.set(data);
      expectDone(kernel.aesGcmSeal(slot, message.holder.bytes.length, aad.length, data.length));
      out.set(kernel.data.subarray(0, sealedLength), offset);
    } finally {
      kernel.data.fill(0, 0, sealedLength);
    }
  }

  #open(message: Message): Uint8Array | undefined {
    if (message.data.length < TAG_LENGTH) return undefined;
    const plaintext = new Uint8Array(message.data.length - TAG_LENGTH);
    return this.#openTo(message, plaintext, 0) ? plaintext : undefined;
  }

  /** Opens into a range of `out`, zeroed on failure. */
  #openTo(message: Message, out: Uint8Array, offset: number): boolean {
    const length = message.data.length - TAG_LENGTH;
    if (length < 0) return false;
    const opened = this.#isShort(message)
      ? this.#openWhole(message, out, offset)
      : this.#openChunks(message, out, offset);
    if (!opened) out.fill(0, offset, offset + length);
    return opened;
  }

  #openWhole(message: Message, out: Uint8Array, offset: number): boolean {
    const { iv, aad, data } = message;
    const kernel = this.#kernel;
    const slot = this.#contexts.use(message.holder);
    try {
      kernel.iv.set(iv);
      kernel.aad.set(aad);
      kernel.data.set(data);
      if (kernel.aesGcmOpen(slot, message.holder.bytes.length, aad.length, data.length) !== 1) return false;
      out.set(kernel.data.subarray(0, data.length - TAG_LENGTH), offset);
      return true;
    } finally {
      kernel.data.fill(0, 0, data.length);
    }
  }

  #sealChunks(message: Message, out: Uint8Array, offset: number): void {
    const kernel = this.#kernel;
    const length = message.data.length;
    withSafeInput(message.data, out, offset, length, (plaintext) => {
      try {
        this.#startChunks(message);
        forEachChunk(plaintext, kernel.dataCapacity, (chunk, start) => {
          kernel.data.set(chunk);
          expectDone(kernel.aesGcmEncrypt(chunk.length));
          out.set(kernel.data.subarray(0, chunk.length), offset + start);
        });
        expectDone(kernel.aesGcmWriteTag());
        out.set(kernel.tag, offset + length);
      } finally {
        kernel.aesGcmEnd();
      }
    });
  }

  #openChunks(message: Message, out: Uint8Array, offset: number): boolean {
    const kernel = this.#kernel;
    const length = message.data.length - TAG_LENGTH;
    try {
      this.#startChunks(message);
      forEachChunk(message.data.subarray(0, length), kernel.dataCapacity, (chunk) => {
        kernel.data.set(chunk);
        expectDone(kernel.aesGcmAuthenticate(chunk.length));
      });
      kernel.tag.set(message.data.subarray(length));
      if (kernel.aesGcmVerify() !== 1) return false;
      withSafeInput(message.data.subarray(0, length), out, offset, length, (ciphertext) => {
        forEachChunk(ciphertext, kernel.dataCapacity, (chunk, start) => {
          kernel.data.set(chunk);
          expectDone(kernel.aesGcmDecrypt(chunk.length));
          out.set(kernel.data.subarray(0, chunk.length), offset + start);
        });
      });
      return true;
    } finally {
      kernel.aesGcmEnd();
    }
  }

  #startChunks(message: Message): void {
    const kernel = this.#kernel;
    const slot = this.#contexts.use(message.holder);
    kernel.iv.set(message.iv);
    expectDone(kernel.aesGcmStart(slot, message.holder.bytes.length));
    forEachChunk(message.aad, kernel.aad.length, (chunk) => {
      kernel.aad.set(chunk);
      expectDone(kernel.aesGcmAad(chunk.length));
    });
  }
}

function recordMessage(holder: KeyHolder, record: Uint8Array, aadEnd: number): Message {
  return {
    holder,
    iv: record.subarray(0, IV_LENGTH),
    aad: record.subarray(IV_LENGTH, aadEnd),
    data: record.subarray(aadEnd),
  };
}

function ensureItem(item: unknown): void {
  ensure(typeof item === "object" && item !== null, "InvalidParameter", "Every item must be an object.");
}

function itemKey(common: AesKey | undefined, own: AesKey | undefined): AesKey {
  const key = own ?? common;
  ensure(key !== undefined, "InvalidParameter", "An item without a key needs the common key.");
  return key;
}

/**
 * Works through an input whose result is written piece by piece. Where the output overlaps the input, a write could
 * overtake the reading, so the input is copied first and the copy wiped.
 */
function withSafeInput(
  input: Uint8Array,
  out: Uint8Array,
  offset: number,
  length: number,
  work: (input: Uint8Array) => void,
): void {
  if (!overlaps(input, out, offset, length)) {
    work(input);
    return;
  }
  const copy = new Uint8Array(input);
  try {
    work(copy);
  } finally {
    copy.fill(0);
  }
}

function forEachChunk(
  bytes: Uint8Array,
  chunkLength: number,
  work: (chunk: Uint8Array, start: number) => void,
): void {
  for (let start = 0; start < bytes.length; start += chunkLength) {
    work(bytes.subarray(start, start + chunkLength), start);
  }
}

function expectDone(result: number): void {
  if (result !== 1) throw new Error("internal: the kernel refused a call");
}
