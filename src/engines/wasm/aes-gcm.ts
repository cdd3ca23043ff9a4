/** AES-GCM of the wasm engine: checks arguments and self-test, and hands messages to the runners. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { aesGcmSelfTest } from "../aes-gcm-vectors.ts";
import type {
  AadFrame,
  AesGcm,
  AesKey,
  OpenItem,
  PackedShape,
  SealItem,
  SealStage,
  TrustedAesKey,
} from "../engine.ts";
import type { SelfTest, SelfTests } from "../self-test.ts";
import { checkMessage, checkPacked, checkRoom, TAG_LENGTH } from "./aes-gcm-arguments.ts";
import { type BatchMessage, BatchRunner } from "./aes-gcm-batch.ts";
import { MessageRunner } from "./aes-gcm-messages.ts";
import type { HolderLookup, WasmSealStage } from "./aes-gcm-stage.ts";
import { WasmAesKey } from "./aes-key.ts";
import type { Kernel } from "./kernel.ts";
import { contextsOf, type KeyContexts, type KeyHolder } from "./key-contexts.ts";

export class WasmAesGcm implements AesGcm {
  readonly #contexts: KeyContexts;
  readonly #singles: MessageRunner;
  readonly #batches: BatchRunner;
  readonly #selfTests: SelfTests;
  readonly #selfTest: SelfTest;
  /** Marks the keys of this engine among those that share the kernel. */
  readonly #owner: object = {};
  readonly #kernel: Kernel;
  readonly #stage: typeof WasmSealStage | undefined;
  #freeStage: WasmSealStage | undefined;
  #tested = false;
  #closed = false;

  /** @param stage what bound keys lend to batches of a Kms; absent where there is none, and its code need not be loaded */
  constructor(kernel: Kernel, selfTests: SelfTests, stage?: typeof WasmSealStage) {
    this.#kernel = kernel;
    this.#stage = stage;
    this.#contexts = contextsOf(kernel);
    this.#singles = new MessageRunner(kernel, this.#contexts);
    this.#batches = new BatchRunner(kernel, this.#contexts, this.#singles);
    this.#selfTests = selfTests;
    this.#selfTest = aesGcmSelfTest({
      importKey: (key) => this.#import(key),
      seal: (key, iv, plaintext, aad) =>
        this.#singles.seal(this.#holder(key), iv, plaintext, checkMessage(iv, plaintext, "plaintext", aad)),
      open: (key, iv, sealed, aad) =>
        this.#singles.open(this.#holder(key), iv, sealed, checkMessage(iv, sealed, "sealed", aad)),
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
    const holder = WasmAesKey.holderOf(key, this.#owner);
    return this.#singles.seal(holder, iv, plaintext, checkMessage(iv, plaintext, "plaintext", aad));
  }

  open(key: AesKey, iv: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined {
    this.#ready();
    const holder = WasmAesKey.holderOf(key, this.#owner);
    return this.#singles.open(holder, iv, sealed, checkMessage(iv, sealed, "sealed", aad));
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
    const holder = WasmAesKey.holderOf(key, this.#owner);
    const checkedAad = checkMessage(iv, plaintext, "plaintext", aad);
    const length = plaintext.length + TAG_LENGTH;
    checkRoom(out, offset, length);
    this.#singles.sealTo(holder, iv, plaintext, checkedAad, out, offset);
    return length;
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
    const holder = WasmAesKey.holderOf(key, this.#owner);
    const checkedAad = checkMessage(iv, sealed, "sealed", aad);
    const length = Math.max(sealed.length - TAG_LENGTH, 0);
    checkRoom(out, offset, length);
    return this.#singles.openTo(holder, iv, sealed, checkedAad, out, offset) ? length : undefined;
  }

  unsafeBind(key: AesKey): TrustedAesKey {
    this.#ready();
    const stage = this.#stage;
    const borrowStage = stage && ((): SealStage => this.#borrowStage(stage));
    return new TrustedWasmKey(this.#selfTests, this.#singles, this.#holder(key), borrowStage);
  }

  #borrowStage(Stage: typeof WasmSealStage): SealStage {
    const free = this.#freeStage;
    this.#freeStage = undefined;
    if (free !== undefined) return free;
    const holderOf: HolderLookup = (key) => TrustedWasmKey.holderOf(key, this.#singles);
    return new Stage(this.#kernel, this.#contexts, holderOf, (stage) => {
      this.#freeStage = stage;
    });
  }

  sealBatch(key: AesKey | undefined, items: readonly SealItem[]): Uint8Array[] {
    this.#ready();
    ensure(Array.isArray(items), "InvalidParameter", "items must be an array.");
    const messages: BatchMessage[] = [];
    for (let index = 0; index < items.length; index++) {
      const item: SealItem | undefined = items[index];
      ensureItem(item);
      const { iv, plaintext: data } = item;
      const holder = this.#itemHolder(key, item.key);
      messages.push({ holder, iv, aad: checkMessage(iv, data, "plaintext", item.aad), data, index });
    }
    return this.#batches.run(messages, "seal") as Uint8Array[];
  }

  openBatch(key: AesKey | undefined, items: readonly OpenItem[]): (Uint8Array | undefined)[] {
    this.#ready();
    ensure(Array.isArray(items), "InvalidParameter", "items must be an array.");
    const messages: BatchMessage[] = [];
    const tooShort: number[] = [];
    for (let index = 0; index < items.length; index++) {
      const item: OpenItem | undefined = items[index];
      ensureItem(item);
      const { iv, sealed: data } = item;
      const holder = this.#itemHolder(key, item.key);
      messages.push({ holder, iv, aad: checkMessage(iv, data, "sealed", item.aad), data, index });
      if (data.length < TAG_LENGTH) tooShort.push(index);
    }
    if (tooShort.length === 0) return this.#batches.run(messages, "open");
    const results: (Uint8Array | undefined)[] = new Array<undefined>(items.length).fill(undefined);
    const whole = messages.filter(({ data }) => data.length >= TAG_LENGTH);
    this.#batches.run(renumber(whole), "open").forEach((result, i) => {
      results[whole[i]?.index ?? 0] = result;
    });
    return results;
  }

  sealPacked(key: AesKey, records: Uint8Array, shape: PackedShape, out?: Uint8Array): Uint8Array {
    this.#ready();
    const holder = WasmAesKey.holderOf(key, this.#owner);
    const layout = checkPacked(records, shape, "seal");
    const length = layout.count * layout.resultLength;
    if (out !== undefined) checkRoom(out, 0, length);
    const sealed = out ?? new Uint8Array(length);
    this.#batches.runPacked(holder, records, layout, sealed, "seal", undefined);
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
    const layout = checkPacked(records, shape, "open");
    const length = layout.count * layout.resultLength;
    if (out !== undefined) checkRoom(out, 0, length);
    const plaintexts = out ?? new Uint8Array(length);
    const ok = new Uint8Array(layout.count);
    this.#batches.runPacked(holder, records, layout, plaintexts, "open", ok);
    return { plaintexts, ok };
  }

  /** Wipes the keys of this engine; every later call is `InvalidParameter`. */
  close(): void {
    this.#closed = true;
    this.#contexts.destroyAll(this.#owner);
  }

  #ready(): void {
    ensure(!this.#closed, "InvalidParameter", "The engine is closed.");
    if (this.#tested) {
      this.#selfTests.refuseIfFailed();
      return;
    }
    this.#selfTests.require(this.#selfTest);
    this.#tested = true;
  }

  #import(key: Uint8Array): AesKey {
    return new WasmAesKey(this.#contexts, this.#contexts.hold(key, this.#owner));
  }

  #holder(key: AesKey): KeyHolder {
    return WasmAesKey.holderOf(key, this.#owner);
  }

  #itemHolder(common: AesKey | undefined, own: AesKey | undefined): KeyHolder {
    const key = own ?? common;
    ensure(key !== undefined, "InvalidParameter", "An item without a key needs the common key.");
    return WasmAesKey.holderOf(key, this.#owner);
  }
}

/** A key for callers that have checked their arguments. */
class TrustedWasmKey implements TrustedAesKey {
  readonly #selfTests: SelfTests;
  readonly #singles: MessageRunner;
  readonly #holder: KeyHolder;
  readonly borrowStage?: () => SealStage;

  constructor(
    selfTests: SelfTests,
    singles: MessageRunner,
    holder: KeyHolder,
    borrowStage: (() => SealStage) | undefined,
  ) {
    this.#selfTests = selfTests;
    this.#singles = singles;
    this.#holder = holder;
    if (borrowStage !== undefined) this.borrowStage = borrowStage;
  }

  /** Returns the holder of a live key of one engine; undefined for keys of others. */
  static holderOf(key: TrustedAesKey, singles: MessageRunner): KeyHolder | undefined {
    if (!(#holder in key) || key.#singles !== singles) return undefined;
    key.#ensureLive();
    return key.#holder;
  }

  sealInto(iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array, out: Uint8Array, offset: number): void {
    this.#ensureLive();
    this.#singles.sealTo(this.#holder, iv, plaintext, aad, out, offset);
  }

  open(iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    this.#ensureLive();
    return this.#singles.open(this.#holder, iv, sealed, aad);
  }

  sealRun(
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    this.#ensureLive();
    this.#singles.sealRun(this.#holder, frame, prefixLength, plaintext, out, offset);
  }

  openRun(frame: AadFrame, prefixLength: number, run: Uint8Array): Uint8Array | undefined {
    this.#ensureLive();
    return this.#singles.openRun(this.#holder, frame, prefixLength, run);
  }

  #ensureLive(): void {
    this.#selfTests.refuseIfFailed();
    // An engine that is closed has destroyed its keys.
    if (this.#holder.destroyed) ensure(false, "InvalidParameter", "key was destroyed.");
  }
}

function ensureItem<Item>(item: Item | undefined): asserts item is Item {
  ensure(typeof item === "object" && item !== null, "InvalidParameter", "Every item must be an object.");
}

function renumber(messages: readonly BatchMessage[]): BatchMessage[] {
  return messages.map((message, index) => ({ ...message, index }));
}
