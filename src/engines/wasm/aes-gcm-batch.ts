/**
 * Moves many messages through the arena in few calls: batches of messages of any shape, which BATCH describes to the
 * kernel, and packed records of one shape. What does not fit goes one by one. Arguments are checked by the callers.
 */

import { setBytes } from "../../bytes.ts";
import { IV_LENGTH, type PackedLayout, TAG_LENGTH } from "./aes-gcm-arguments.ts";
import { expectDone, type MessageRunner, safeInput } from "./aes-gcm-messages.ts";
import { BATCH_DESCRIPTION_LENGTH, type Kernel } from "./kernel.ts";
import type { KeyContexts, KeyHolder } from "./key-contexts.ts";

/** One message of a batch; `data` is plaintext, or ciphertext ‖ tag of 16 bytes or more. */
export interface BatchMessage {
  readonly holder: KeyHolder;
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly data: Uint8Array;
  /** Where its result goes. */
  readonly index: number;
}

type Direction = "seal" | "open";
type Results = (Uint8Array | undefined)[];

/** From how many messages in a row on a key gets its tables for batches; below, building them costs more than they save. */
export const BULK_MESSAGES = 8;

// Fields of a description (assembly/aes-gcm/batch.ts).
const RESULT = 12;
export const STAYS: number = RESULT;
export const BEFORE = 14;
export const OFFSET = 16;
export const AAD_LENGTH = 20;
export const DATA_LENGTH = 24;
export const SLOT = 28;
export const KEY_LENGTH = 30;
export const BULK = 31;

export class BatchRunner {
  readonly #kernel: Kernel;
  readonly #contexts: KeyContexts;
  readonly #singles: MessageRunner;

  constructor(kernel: Kernel, contexts: KeyContexts, singles: MessageRunner) {
    this.#kernel = kernel;
    this.#contexts = contexts;
    this.#singles = singles;
  }

  /** Seals or opens messages in groups that fit the arena; neighbours under one key share work. */
  run(messages: BatchMessage[], direction: Direction): Results {
    const results: Results = new Array<Uint8Array | undefined>(messages.length).fill(undefined);
    const sorted = sortByKey(messages);
    const capacity = this.#kernel.dataCapacity;
    const group: BatchMessage[] = [];
    let end = 0;
    let bulk = 0;
    for (let i = 0; i < sorted.length; i++) {
      const message = sorted[i] as BatchMessage;
      const { holder } = message;
      const length = roundUp(message.aad.length) + roundUp(message.data.length) + TAG_LENGTH;
      if (length > capacity || group.length === this.#kernel.batchCapacity || end + length > capacity) {
        if (group.length > 0) this.#runGroup(group, direction, results);
        group.length = 0;
        end = 0;
      }
      if (length > capacity) {
        results[message.index] = this.#single(message, direction);
        continue;
      }
      const slot = this.#contexts.use(holder);
      if (group.length === 0 || holder !== sorted[i - 1]?.holder) {
        // Where a row under one key begins. At most 16 rows of this length fit a group, as many as there are tables, so
        // none that the group uses is given away before it ran.
        const isLong = holder === sorted[i + BULK_MESSAGES - 1]?.holder;
        bulk = isLong ? this.#contexts.useBulk(holder) : 0;
      }
      this.#place(message, group.length, end, direction, slot, bulk);
      group.push(message);
      end += length;
    }
    if (group.length > 0) this.#runGroup(group, direction, results);
    return results;
  }

  #single(message: BatchMessage, direction: Direction): Uint8Array | undefined {
    const { holder, iv, aad, data } = message;
    return direction === "seal"
      ? this.#singles.seal(holder, iv, data, aad)
      : this.#singles.open(holder, iv, data, aad);
  }

  /** Copies a message to the data region from `start` on and describes it. */
  #place(
    message: BatchMessage,
    position: number,
    start: number,
    direction: Direction,
    slot: number,
    bulk: number,
  ): void {
    const { memory, data: region, batch, batchStart } = this.#kernel;
    const { holder, iv, aad, data } = message;
    const at = position * BATCH_DESCRIPTION_LENGTH;
    const offset = start + roundUp(aad.length);
    for (let j = 0; j < IV_LENGTH; j++) memory[batchStart + at + j] = iv[j] as number;
    region.set(aad, start);
    region.set(data, offset);
    batch.setUint32(at + STAYS, 0, true);
    batch.setUint32(at + OFFSET, offset, true);
    batch.setUint32(at + AAD_LENGTH, aad.length, true);
    batch.setUint32(at + DATA_LENGTH, direction === "seal" ? data.length : data.length - TAG_LENGTH, true);
    batch.setUint16(at + SLOT, slot, true);
    batch.setUint8(at + KEY_LENGTH, holder.byteLength);
    batch.setUint8(at + BULK, bulk);
  }

  #runGroup(group: readonly BatchMessage[], direction: Direction, results: Results): void {
    const kernel = this.#kernel;
    const { memory, dataStart, batch } = kernel;
    const sealing = direction === "seal";
    expectDone(sealing ? kernel.aesGcmSealBatch(group.length) : kernel.aesGcmOpenBatch(group.length));
    let end = dataStart;
    for (let position = 0; position < group.length; position++) {
      const message = group[position] as BatchMessage;
      const at = position * BATCH_DESCRIPTION_LENGTH;
      const start = dataStart + batch.getUint32(at + OFFSET, true);
      const length = sealing ? message.data.length + TAG_LENGTH : message.data.length - TAG_LENGTH;
      end = start + length;
      if (batch.getUint16(at + RESULT, true) === 1) results[message.index] = memory.slice(start, end);
    }
    memory.fill(0, dataStart, end);
  }

  /** Seals or opens packed records into `out`; answers 1 or 0 a record in `ok`. */
  runPacked(
    holder: KeyHolder,
    records: Uint8Array,
    layout: PackedLayout,
    out: Uint8Array,
    direction: Direction,
    ok: Uint8Array | undefined,
  ): void {
    const { count, recordLength, resultLength } = layout;
    const input = safeInput(records, out, 0, count * resultLength);
    try {
      if (this.#messageLength(layout, direction) > this.#kernel.windowLength) {
        this.#packedSingly(holder, input, layout, out, direction, ok);
        return;
      }
      // The kernel wants 4 bytes a record before the records, which its results may take.
      const room = this.#kernel.dataCapacity / (recordLength + 4 + TAG_LENGTH);
      const perCall = Math.min(Math.floor(room), this.#kernel.aad.length);
      for (let done = 0; done < count; done += perCall) {
        const some = Math.min(perCall, count - done);
        const part = input.subarray(done * recordLength, (done + some) * recordLength);
        this.#packedCall(holder, part, layout, some, direction);
        const { data, aad } = this.#kernel;
        // The verdicts take the place of AAD.
        this.#contexts.frame = undefined;
        try {
          setBytes(out, data.subarray(0, some * resultLength), done * resultLength);
        } finally {
          data.fill(0, 0, some * resultLength);
        }
        if (ok !== undefined) {
          setBytes(ok, aad.subarray(0, some), done);
          aad.fill(0, 0, some);
        }
      }
    } finally {
      if (input !== records) input.fill(0);
    }
  }

  #messageLength(layout: PackedLayout, direction: Direction): number {
    const dataLength = direction === "seal" ? layout.resultLength - TAG_LENGTH : layout.resultLength;
    return roundUp(layout.aadEnd - IV_LENGTH) + roundUp(dataLength) + TAG_LENGTH;
  }

  #packedCall(
    holder: KeyHolder,
    records: Uint8Array,
    layout: PackedLayout,
    count: number,
    direction: Direction,
  ): void {
    const kernel = this.#kernel;
    const aadLength = layout.aadEnd - IV_LENGTH;
    const slot = this.#contexts.use(holder);
    const bulk = count < BULK_MESSAGES ? 0 : this.#contexts.useBulk(holder);
    kernel.data.set(records, 4 * count);
    if (direction === "seal") {
      const dataLength = layout.resultLength - TAG_LENGTH;
      expectDone(kernel.aesGcmSealPacked(slot, holder.byteLength, count, aadLength, dataLength, bulk));
    } else {
      const dataLength = layout.resultLength;
      expectDone(kernel.aesGcmOpenPacked(slot, holder.byteLength, count, aadLength, dataLength, bulk));
    }
  }

  #packedSingly(
    holder: KeyHolder,
    records: Uint8Array,
    layout: PackedLayout,
    out: Uint8Array,
    direction: Direction,
    ok: Uint8Array | undefined,
  ): void {
    const { count, aadEnd, recordLength, resultLength } = layout;
    for (let i = 0; i < count; i++) {
      const record = records.subarray(i * recordLength, (i + 1) * recordLength);
      const iv = record.subarray(0, IV_LENGTH);
      const aad = record.subarray(IV_LENGTH, aadEnd);
      const data = record.subarray(aadEnd);
      if (direction === "seal") {
        this.#singles.sealTo(holder, iv, data, aad, out, i * resultLength);
      } else if (this.#singles.openTo(holder, iv, data, aad, out, i * resultLength) && ok !== undefined) {
        ok[i] = 1;
      }
    }
  }
}

function roundUp(length: number): number {
  return (length + 15) & ~15;
}

/** Brings messages under one key together; leaves a batch of one key as it is. */
function sortByKey(messages: BatchMessage[]): readonly BatchMessage[] {
  const first = messages[0]?.holder;
  if (messages.every((message) => message.holder === first)) return messages;
  const groups = new Map<KeyHolder, BatchMessage[]>();
  for (const message of messages) {
    const group = groups.get(message.holder);
    if (group === undefined) groups.set(message.holder, [message]);
    else group.push(message);
  }
  return [...groups.values()].flat();
}
