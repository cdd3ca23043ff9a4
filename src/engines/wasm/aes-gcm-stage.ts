/**
 * Collects messages of a facade batch outside the arena, laid out as the batch kernel wants them, and seals them in few
 * calls. What is collected survives other calls into the kernels, which the arena would not.
 */

import { lengthOf, setBytes } from "../../bytes.ts";
import type { AadFrame, SealStage, TrustedAesKey } from "../engine.ts";
import { TAG_LENGTH } from "./aes-gcm-arguments.ts";
import {
  AAD_LENGTH,
  BEFORE,
  BULK,
  BULK_MESSAGES,
  DATA_LENGTH,
  KEY_LENGTH,
  OFFSET,
  SLOT,
  STAYS,
} from "./aes-gcm-batch.ts";
import { expectDone } from "./aes-gcm-messages.ts";
import { BATCH_DESCRIPTION_LENGTH, type Kernel } from "./kernel.ts";
import type { KeyContexts, KeyHolder } from "./key-contexts.ts";

const STAGE_LENGTH = 32_768;
/** From here on a message gains nothing from company. */
const MAX_MESSAGE_LENGTH = 2048;
const IV_WORDS = 3;
const DESCRIPTION_WORDS: number = BATCH_DESCRIPTION_LENGTH / 4;

/** Messages in a row under one key. */
interface Row {
  readonly holder: KeyHolder;
  readonly first: number;
}

/** Results that lie together where they go. */
interface Run {
  readonly out: Uint8Array;
  readonly offset: number;
  length: number;
}

/** Finds the holder of a bound key of this engine; undefined for others. @throws KmsError for a dead key */
export type HolderLookup = (key: TrustedAesKey) => KeyHolder | undefined;

export class WasmSealStage implements SealStage {
  readonly #kernel: Kernel;
  readonly #contexts: KeyContexts;
  readonly #holderOf: HolderLookup;
  readonly #giveBack: (stage: WasmSealStage) => void;
  readonly #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(STAGE_LENGTH);
  /** What the kernel is told of the messages, but for their keys' places, which are not known before they are sealed. */
  readonly #described: Int32Array;
  readonly #descriptions: Int32Array;
  readonly #capacity: number;
  readonly #batchCapacity: number;
  #rows: Row[] = [];
  #runs: Run[] = [];
  #lastKey: TrustedAesKey | undefined;
  #lastHolder: KeyHolder | undefined;
  #lastFrame: AadFrame | undefined;
  #lastRevision = 0;
  #count = 0;
  #end = 0;

  constructor(
    kernel: Kernel,
    contexts: KeyContexts,
    holderOf: HolderLookup,
    giveBack: (stage: WasmSealStage) => void,
  ) {
    this.#kernel = kernel;
    this.#contexts = contexts;
    this.#holderOf = holderOf;
    this.#giveBack = giveBack;
    this.#capacity = Math.min(STAGE_LENGTH, kernel.dataCapacity);
    const { batchCapacity, batchStart } = kernel;
    this.#batchCapacity = batchCapacity;
    this.#descriptions = new Int32Array(kernel.memory.buffer, batchStart, batchCapacity * DESCRIPTION_WORDS);
    this.#described = new Int32Array(this.#descriptions.length);
  }

  add(
    key: TrustedAesKey,
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean {
    // Whether the last key still lives is asked when it is used.
    const holder = key === this.#lastKey ? this.#lastHolder : this.#holderOf(key);
    const { bytes: aad, iv, revision } = frame;
    const aadLength = aad.length;
    const dataLength = lengthOf(plaintext);
    const length = aadLength + ((dataLength + 15) & ~15) + TAG_LENGTH;
    if (holder === undefined || length > MAX_MESSAGE_LENGTH) return false;
    if (this.#end + length > this.#capacity || this.#count === this.#batchCapacity) this.flush();
    const start = this.#end;
    const dataStart = start + aadLength;
    setBytes(this.#bytes, aad, start);
    setBytes(this.#bytes, plaintext, dataStart);
    // Only now, when nothing can fail any more, does the message count as one before those to come.
    this.#end = start + length;
    const isSameKey = this.#count > 0 && holder === this.#lastHolder;
    const stays = isSameKey && frame === this.#lastFrame && revision === this.#lastRevision;
    if (!isSameKey) this.#rows.push({ holder, first: this.#count });
    this.#lastKey = key;
    this.#lastHolder = holder;
    this.#lastFrame = frame;
    this.#lastRevision = revision;

    const at = this.#count * DESCRIPTION_WORDS;
    const to = this.#described;
    for (let i = 0; i < IV_WORDS; i++) to[at + i] = iv[i] as number;
    to[at + STAYS / 4] = (stays ? 1 : 0) | (prefixLength << (8 * (BEFORE - STAYS)));
    to[at + OFFSET / 4] = dataStart;
    to[at + AAD_LENGTH / 4] = aadLength;
    to[at + DATA_LENGTH / 4] = dataLength;
    this.#count += 1;

    const resultLength = prefixLength + dataLength + TAG_LENGTH;
    const run = this.#runs.at(-1);
    if (run !== undefined && run.out === out && run.offset + run.length === offset)
      run.length += resultLength;
    else this.#runs.push({ out, offset, length: resultLength });
    return true;
  }

  flush(): void {
    if (this.#count === 0) return;
    const { memory, dataStart, data } = this.#kernel;
    const end = this.#end;
    try {
      this.#placeKeys();
      this.#descriptions.set(this.#described.subarray(0, this.#count * DESCRIPTION_WORDS));
      setBytes(data, this.#bytes.subarray(0, end), 0);
      expectDone(this.#kernel.aesGcmSealBatch(this.#count));
      expectDone(this.#kernel.aesGcmGather(this.#count));
      // In one piece where results lie together: a view for each would cost more than half as much as sealing it.
      let at = dataStart;
      for (const { out, offset, length } of this.#runs) {
        setBytes(out, memory.subarray(at, at + length), offset);
        at += length;
      }
    } finally {
      memory.fill(0, dataStart, dataStart + end);
      this.#forget();
    }
  }

  /**
   * Writes the places of the keys to the descriptions. A row of eight and more has tables, which pay from there on. A row has
   * one length: at most 16 rows of eight fit a batch, as many as there are tables, so none that it uses is given away before
   * it ran. The same goes for the 256 contexts.
   */
  #placeKeys(): void {
    for (const [i, { holder, first }] of this.#rows.entries()) {
      const end = this.#rows[i + 1]?.first ?? this.#count;
      const slot = this.#contexts.use(holder);
      const bulk = end - first < BULK_MESSAGES ? 0 : this.#contexts.useBulk(holder);
      const place = slot | (holder.byteLength << (8 * (KEY_LENGTH - SLOT))) | (bulk << (8 * (BULK - SLOT)));
      for (let message = first; message < end; message++) {
        this.#described[message * DESCRIPTION_WORDS + SLOT / 4] = place;
      }
    }
  }

  release(): void {
    this.#forget();
    this.#giveBack(this);
  }

  #forget(): void {
    this.#bytes.fill(0, 0, this.#end);
    this.#count = 0;
    this.#end = 0;
    this.#rows = [];
    this.#runs = [];
    this.#lastKey = undefined;
    this.#lastHolder = undefined;
    this.#lastFrame = undefined;
  }
}
