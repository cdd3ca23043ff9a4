/**
 * Turns calls into records of the pool: copies arguments into an arena at once, submits what one tick gathered in one
 * piece, and settles each call when its record is done.
 */

import { copyShort } from "../../bytes.ts";
import { randomBytes } from "../random.ts";
import type { NativePool } from "./addon.ts";
import { CKM } from "./constants.ts";
import { GCM_MODES, type IvMode, tokenMakesIvs } from "./gcm-modes.ts";
import { FLAG, OP, REASON, RING, STATUS, SUBMIT } from "./record.ts";
import { type Arena, aligned, SlotArenas, WORDS } from "./slot-arenas.ts";
import { BUSY, ownCall, TAG_LENGTH, type TokenAnswer, type TokenCall } from "./token-call.ts";

export interface QueueLimits {
  /** Calls that may wait for the token, those it is working on included. */
  readonly records: number;
  readonly bytes: number;
}

type Settle = (answer: TokenAnswer) => void;

/** Records that are submitted without waiting for the end of the tick, so that the token works while we encode. */
const EAGER_RECORDS = 32;
const SWEEP_MS = 50;

interface Entry {
  /** Its arrays are the caller's, who may change or transfer them: only that they are there is looked at. */
  readonly call: TokenCall;
  readonly settle: Settle;
  /** Bytes of the slot that are in use. */
  readonly used: number;
  /** Bytes of input and output, as the limits count them. */
  readonly byteLength: number;
}

/** A call that found no slot, with bytes of its own. */
interface Waiting {
  readonly call: TokenCall;
  readonly settle: Settle;
  readonly deadline: number;
  readonly keyRef: number;
  readonly epoch: number;
}

export class RecordQueue {
  readonly #pool: NativePool;
  readonly #limits: QueueLimits;
  readonly #ivMode: IvMode;
  readonly #arenas: SlotArenas<Entry>;
  #waiting: Waiting[] = [];
  #records = 0;
  #bytes = 0;
  /** The run of neighbouring slots that is not submitted yet. */
  #runArena: Arena<Entry> | undefined;
  #runFirst = 0;
  #runCount = 0;
  #isFlushDue = false;
  #sweep: ReturnType<typeof setTimeout> | undefined;

  constructor(pool: NativePool, limits: QueueLimits, ivMode: IvMode) {
    this.#pool = pool;
    this.#arenas = new SlotArenas(pool);
    this.#limits = limits;
    this.#ivMode = ivMode;
  }

  /** Calls that have not been answered. */
  get outstanding(): number {
    return this.#records;
  }

  /**
   * Queues a call; its bytes are copied before this returns.
   *
   * @param deadline in milliseconds of `pool.now()`, at least 1
   * @param settle called once, never before this returns
   * @param epoch the login epoch in which the key was looked at: in another one the call is not sent; 0 for any
   * @param signal takes the call back: one that waits is not sent, of one in the token nobody knows
   */
  run(
    call: TokenCall,
    keyRef: number,
    deadline: number,
    settle: Settle,
    epoch: number,
    signal?: AbortSignal,
  ): void {
    if (signal === undefined) this.#run(call, keyRef, deadline, settle, epoch);
    else if (signal.aborted) {
      queueMicrotask(() => settle({ ...BUSY, reason: REASON.CANCELLED, again: ownCall(call) }));
    } else {
      const onAbort = (): void => this.#cancel(settled);
      const settled: Settle = (answer) => {
        signal.removeEventListener("abort", onAbort);
        settle(answer);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#run(call, keyRef, deadline, settled, epoch);
    }
  }

  #run(call: TokenCall, keyRef: number, deadline: number, settle: Settle, epoch: number): void {
    const byteLength = call.input.length + call.outputCapacity;
    if (this.#records >= this.#limits.records || this.#bytes + byteLength > this.#limits.bytes) {
      queueMicrotask(() => settle({ ...BUSY, again: ownCall(call) }));
      return;
    }
    this.#records += 1;
    this.#bytes += byteLength;
    if (this.#waiting.length > 0 || !this.#place(call, keyRef, deadline, settle, epoch)) {
      this.#waiting.push({ call: ownCall(call), settle, deadline, keyRef, epoch });
      this.#sweepLater();
    }
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Writes a call into a slot; false when there is none. */
  #place(call: TokenCall, keyRef: number, deadline: number, settle: Settle, epoch: number): boolean {
    const ivLength = call.iv?.length ?? 0;
    const auxLength = call.aux?.length ?? 0;
    const inputLength = call.input.length;
    const auxAt = aligned(ivLength);
    const inputAt = auxAt + aligned(auxLength);
    const outputAt = inputAt + aligned(inputLength);
    const used = outputAt + call.outputCapacity;
    const arena = this.#arenas.withRoom(used);
    if (arena === undefined) return false;

    const entry: Entry = { call, settle, used, byteLength: inputLength + call.outputCapacity };
    const index = this.#arenas.take(arena, entry);
    const { bytes, words } = arena;
    const data = arena.dataStart + index * arena.slotBytes;
    if (call.iv !== undefined) copyShort(call.iv, 0, bytes, data, ivLength);
    if (call.aux !== undefined) bytes.set(call.aux, data + auxAt);
    if (inputLength < 64) copyShort(call.input, 0, bytes, data + inputAt, inputLength);
    else bytes.set(call.input, data + inputAt);

    const at = index * WORDS;
    const isGcm = call.mechanism === CKM.aesGcm;
    const { ivMode, mechanism } = GCM_MODES[isGcm ? this.#ivMode : "host"];
    words[at] = call.op | (call.flags << 8) | ((call.hash ?? 0) << 16) | ((call.mgfHash ?? 0) << 24);
    words[at + 1] = isGcm ? mechanism : call.mechanism;
    words[at + 2] = keyRef;
    words[at + 3] = TAG_LENGTH | (ivMode << 8) | ((call.saltLength ?? 0) << 16);
    words[at + 4] = data;
    words[at + 5] = ivLength;
    words[at + 6] = data + auxAt;
    words[at + 7] = auxLength;
    words[at + 8] = data + inputAt;
    words[at + 9] = inputLength;
    words[at + 10] = data + outputAt;
    words[at + 11] = call.outputCapacity;
    // The low 32 bits, of which 0 is none.
    words[at + 12] = deadline >>> 0 || 1;
    words[at + 13] = epoch;
    words[at + 14] = 0;
    words[at + 15] = 0;

    if (this.#runArena !== arena || index !== this.#runFirst + this.#runCount) {
      this.#flush();
      this.#runArena = arena;
      this.#runFirst = index;
    }
    this.#runCount += 1;
    if (this.#runCount >= EAGER_RECORDS) this.#flush();
    return true;
  }

  /** Hands the run to the pool. */
  #flush(): void {
    const arena = this.#runArena;
    const count = this.#runCount;
    const first = this.#runFirst;
    if (arena === undefined || count === 0) return;
    this.#runCount = 0;
    this.#runArena = undefined;
    const refusal = this.#pool.submit(arena.id, first, count);
    if (refusal === SUBMIT.ACCEPTED) return;
    const reason = refusal === SUBMIT.CLOSED ? REASON.CLOSED : REASON.NONE;
    queueMicrotask(() => {
      for (let index = first; index < first + count; index++) {
        const entry = arena.entries[index];
        if (entry === undefined) continue;
        const again = this.#callOf(arena, index, entry.call);
        this.#release(arena, index, entry);
        entry.settle({ ...BUSY, reason, again });
      }
    });
  }

  /** Settles what the pool's ring tells. The pool calls it at most once a turn of the loop. */
  drain(count: number): void {
    const { ring } = this.#pool;
    for (let range = 0; range < count; range++) {
      const arena = this.#arenas.get(ring[3 * range] ?? 0);
      const first = ring[3 * range + 1] ?? 0;
      const word = ring[3 * range + 2] ?? 0;
      const end = first + (word & 0xffffff);
      const kind = word >>> 24;
      if (arena === undefined) throw new Error("internal: the pool names an arena that is not there");
      for (let index = first; index < end; index++) this.#complete(arena, index, kind);
    }
    this.#resume();
  }

  #complete(arena: Arena<Entry>, index: number, kind: number): void {
    const entry = arena.entries[index];
    if (entry === undefined) throw new Error("internal: the pool completes a record that is not in flight");
    if (kind === RING.RELEASED) {
      this.#arenas.release(arena, index, entry.used);
      return;
    }
    if (kind === RING.TIMED_OUT) {
      // The token may still write here: the slot stays taken until it is released.
      this.#uncount(entry);
      const again = this.#callOf(arena, index, entry.call);
      entry.settle({ status: STATUS.UNKNOWN, reason: REASON.DEADLINE, ckr: 0, fn: 0, again });
      return;
    }
    const at = index * WORDS;
    const { words } = arena;
    const ckr = words[at + 13] ?? 0;
    const last = words[at + 15] ?? 0;
    const status = last & 0xff;
    const reason = (last >>> 8) & 0xff;
    const fn = (last >>> 16) & 0xff;
    let answer: TokenAnswer;
    if (status === STATUS.DONE && ckr === 0 && reason === REASON.NONE) {
      const from = words[at + 10] ?? 0;
      const length = Math.min(words[at + 14] ?? 0, entry.call.outputCapacity);
      const output = new Uint8Array(length);
      if (length < 64) copyShort(arena.bytes, from, output, 0, length);
      else output.set(arena.bytes.subarray(from, from + length));
      answer = { status, reason, ckr, fn, output, iv: this.#ivOf(arena, index, entry.call) };
    } else {
      answer = { status, reason, ckr, fn, again: this.#callOf(arena, index, entry.call) };
    }
    this.#release(arena, index, entry);
    entry.settle(answer);
  }

  /** Reads the iv back where the pool may have taken a fresh one. */
  #ivOf(arena: Arena<Entry>, index: number, call: TokenCall): Uint8Array | undefined {
    if (call.iv === undefined || (call.flags & FLAG.FIXED_IV) !== 0) return undefined;
    const start = arena.dataStart + index * arena.slotBytes;
    return arena.bytes.slice(start, start + (arena.words[index * WORDS + 5] ?? 0));
  }

  /** Reads the call back from its slot: the arrays it came in belong to the caller. */
  #callOf(arena: Arena<Entry>, index: number, call: TokenCall): TokenCall {
    const at = index * WORDS;
    const read = (offset: number): Uint8Array => {
      const start = arena.words[at + offset] ?? 0;
      return arena.bytes.slice(start, start + (arena.words[at + offset + 1] ?? 0));
    };
    // One that the token made, or zeros: another token that is asked instead must not use either.
    const isSpent = call.mechanism === CKM.aesGcm && call.op === OP.ENCRYPT && tokenMakesIvs(this.#ivMode);
    return {
      ...call,
      iv: call.iv === undefined ? undefined : isSpent ? randomBytes(call.iv.length) : read(4),
      aux: call.aux === undefined ? undefined : read(6),
      input: read(8),
    };
  }

  #release(arena: Arena<Entry>, index: number, entry: Entry): void {
    this.#uncount(entry);
    this.#arenas.release(arena, index, entry.used);
  }

  #uncount({ byteLength }: { readonly byteLength: number }): void {
    this.#records -= 1;
    this.#bytes -= byteLength;
  }

  /** Gives slots that became free to the calls that wait for one. */
  #resume(): void {
    let placed = 0;
    for (const { call, settle, deadline, keyRef, epoch } of this.#waiting) {
      if (!this.#place(call, keyRef, deadline, settle, epoch)) break;
      call.input.fill(0);
      placed += 1;
    }
    if (placed === 0) return;
    this.#waiting = this.#waiting.slice(placed);
    this.#flush();
  }

  /** Looks after the deadlines of calls that wait for a slot: the pool does not know them yet. */
  #sweepLater(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      const now = this.#pool.now();
      this.#settleWaiting(REASON.DEADLINE, ({ deadline }) => deadline <= now);
      if (this.#waiting.length > 0) this.#sweepLater();
    }, SWEEP_MS);
  }

  #settleWaiting(reason: number, isMeant: (waiting: Waiting) => boolean): void {
    const meant = this.#waiting.filter(isMeant);
    if (meant.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !isMeant(waiting));
    for (const { call, settle } of meant) {
      this.#uncount({ byteLength: call.input.length + call.outputCapacity });
      settle({ ...BUSY, reason, again: call });
    }
  }

  #cancel(settle: Settle): void {
    this.#settleWaiting(REASON.CANCELLED, (waiting) => waiting.settle === settle);
    for (const arena of this.#arenas.all()) {
      const index = arena.entries.findIndex((entry) => entry?.settle === settle);
      if (index < 0) continue;
      // The pool takes back what it has.
      this.#flush();
      this.#pool.cancel(arena.id, index);
      return;
    }
  }

  /** Settles what waits for a slot: the pool is closed. */
  close(): void {
    clearTimeout(this.#sweep);
    this.#settleWaiting(REASON.CLOSED, () => true);
  }
}
