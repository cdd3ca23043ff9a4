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

/** A message that waits: where it lies in the stage, and where its result goes. */
interface Waiting {
  holder: KeyHolder;
  /** Where the plaintext lies; the aad ends there. */
  dataStart: number;
  aadLength: number;
  dataLength: number;
  prefixLength: number;
  /** All blocks of the AAD but the last are those of the message before. */
  stays: boolean;
  out: Uint8Array;
  offset: number;
}

/** Finds the holder of a bound key of this engine; undefined for others. @throws KmsError for a dead key */
export type HolderLookup = (key: TrustedAesKey) => KeyHolder | undefined;

export class WasmSealStage implements SealStage {
  readonly #kernel: Kernel;
  readonly #contexts: KeyContexts;
  readonly #holderOf: HolderLookup;
  readonly #giveBack: (stage: WasmSealStage) => void;
  readonly #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(STAGE_LENGTH);
  readonly #words: Int32Array = new Int32Array(this.#bytes.buffer);
  readonly #descriptions: Int32Array;
  readonly #capacity: number;
  readonly #batchCapacity: number;
  readonly #waiting: Waiting[] = [];
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
    const { bytes: aad, revision } = frame;
    const aadLength = aad.length;
    const dataLength = lengthOf(plaintext);
    const length = aadLength + ((dataLength + 15) & ~15) + TAG_LENGTH;
    if (holder === undefined || length > MAX_MESSAGE_LENGTH) return false;
    if (this.#end + length > this.#capacity || this.#count === this.#batchCapacity) this.flush();
    // Of the first message since the last flush, nothing is before.
    const stays = frame === this.#lastFrame && revision === this.#lastRevision && holder === this.#lastHolder;
    this.#lastKey = key;
    this.#lastHolder = holder;
    this.#lastFrame = frame;
    this.#lastRevision = revision;
    const start = this.#end;
    const dataStart = start + aadLength;
    setBytes(this.#bytes, aad, start);
    setBytes(this.#bytes, plaintext, dataStart);
    const known = this.#waiting[this.#count];
    if (known === undefined) {
      this.#waiting.push({ holder, dataStart, aadLength, dataLength, prefixLength, stays, out, offset });
    } else {
      known.holder = holder;
      known.dataStart = dataStart;
      known.aadLength = aadLength;
      known.dataLength = dataLength;
      known.prefixLength = prefixLength;
      known.stays = stays;
      known.out = out;
      known.offset = offset;
    }
    this.#count += 1;
    this.#end = start + length;
    return true;
  }

  flush(): void {
    if (this.#count === 0) return;
    const { memory, dataStart, data } = this.#kernel;
    const end = this.#end;
    try {
      let holder: KeyHolder | undefined;
      for (let i = 0, slot = 0, bulk = 0; i < this.#count; i++) {
        const message = this.#waiting[i] as Waiting;
        // A row has one length: at most 16 rows of eight fit a batch, as many as there are tables, so none that it uses is
        // given away before it ran. The same goes for the 256 contexts.
        if (message.holder !== holder) {
          holder = message.holder;
          slot = this.#contexts.use(holder);
          bulk = this.#bulkFrom(i, holder);
        }
        this.#describe(i, message, slot, bulk);
      }
      setBytes(data, this.#bytes.subarray(0, end), 0);
      expectDone(this.#kernel.aesGcmSealBatch(this.#count));
      expectDone(this.#kernel.aesGcmGather(this.#count));
      this.#copyOut();
    } finally {
      memory.fill(0, dataStart, dataStart + end);
      this.#forget();
    }
  }

  /**
   * Copies the results, which lie together, out in one piece where they lie together outside as well: a view for each message
   * would cost more than half as much as sealing it.
   */
  #copyOut(): void {
    const { memory, dataStart } = this.#kernel;
    let at = dataStart;
    let first = this.#waiting[0] as Waiting;
    let runStart = at;
    let next = first.offset;
    for (let i = 0; i < this.#count; i++) {
      const message = this.#waiting[i] as Waiting;
      if (message.out !== first.out || message.offset !== next) {
        setBytes(first.out, memory.subarray(runStart, at), first.offset);
        first = message;
        runStart = at;
        next = message.offset;
      }
      const length = message.prefixLength + message.dataLength + TAG_LENGTH;
      at += length;
      next += length;
    }
    setBytes(first.out, memory.subarray(runStart, at), first.offset);
  }

  release(): void {
    this.#forget();
    this.#waiting.length = 0;
    this.#giveBack(this);
  }

  /** Returns what stands for the key's tables if a row long enough to pay for them begins at `first`. */
  #bulkFrom(first: number, holder: KeyHolder): number {
    const last = first + BULK_MESSAGES - 1;
    if (last >= this.#count) return 0;
    for (let i = first + 1; i <= last; i++) if (this.#waiting[i]?.holder !== holder) return 0;
    return this.#contexts.useBulk(holder);
  }

  #describe(position: number, message: Waiting, slot: number, bulk: number): void {
    const { dataStart, aadLength, dataLength, prefixLength, stays, holder } = message;
    const at = position * DESCRIPTION_WORDS;
    const iv = dataStart / 4 - IV_WORDS;
    const to = this.#descriptions;
    for (let j = 0; j < IV_WORDS; j++) to[at + j] = this.#words[iv + j] as number;
    to[at + STAYS / 4] = (stays ? 1 : 0) | (prefixLength << (8 * (BEFORE - STAYS)));
    to[at + OFFSET / 4] = dataStart;
    to[at + AAD_LENGTH / 4] = aadLength;
    to[at + DATA_LENGTH / 4] = dataLength;
    to[at + SLOT / 4] =
      slot | (holder.byteLength << (8 * (KEY_LENGTH - SLOT))) | (bulk << (8 * (BULK - SLOT)));
  }

  #forget(): void {
    this.#bytes.fill(0, 0, this.#end);
    this.#count = 0;
    this.#end = 0;
    this.#lastKey = undefined;
    this.#lastHolder = undefined;
    this.#lastFrame = undefined;
  }
}
