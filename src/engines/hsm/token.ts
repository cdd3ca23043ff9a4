/**
 * One token: logs in when asked, tells what happens to it, and carries calls through: retries what
 * a pause helps, waits for a recovery within the deadline, and tells a forged ciphertext from a broken device.
 */

import type { Addon, NativePool, PoolOptions, PoolToken } from "./addon.ts";
import { CKM } from "./constants.ts";
import { type IvMode, tokenMakesIvs } from "./gcm-modes.ts";
import { HsmError } from "./hsm-error.ts";
import { errorOf, fromRejection, judge, type Verdict } from "./judge.ts";
import { STAT, STAT_COUNT } from "./pool-figures.ts";
import { EVENT, FLAG, OP, REASON, STATE, STATUS } from "./record.ts";
import { type QueueLimits, RecordQueue } from "./record-queue.ts";
import { Recovery } from "./recovery.ts";
import type { TokenAnswer, TokenCall } from "./token-call.ts";
import { jittered, pause } from "./waiting.ts";

export type PinProvider = () => Promise<Uint8Array>;

export interface TokenOptions {
  /** Names the token in errors and events. */
  readonly name: string;
  readonly pool: Omit<PoolOptions, "onDrain" | "onEvent">;
  /** Absent: the token has a PIN pad, or needs no login. */
  readonly pin: PinProvider | undefined;
  readonly queue: QueueLimits;
  readonly ivMode: IvMode;
  /** Uses session objects with the same keys, which some modules serve faster. */
  readonly sessionCopy: boolean;
}

/** What a token tells those who watch it. */
export type TokenEvent =
  | { readonly type: "relogin"; readonly epoch: number }
  | { readonly type: "lost"; readonly error: HsmError }
  | { readonly type: "sessionReplaced"; readonly ckr: number }
  | { readonly type: "zombie"; readonly count: number }
  | { readonly type: "exhausted" };

export interface CallOptions {
  /** In milliseconds of `Token.now()`. */
  readonly deadline: number;
  /** A member of a group: another one does the call rather than wait for this one. */
  readonly failFast: boolean;
  /** Tries a ciphertext known to be good, for verdicts that only this can settle. */
  readonly prove: (call: TokenCall) => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
  /** Absent: whatever key has the ref is used. */
  readonly checked?: CheckedKey;
}

/** A key that is used in the login epoch alone in which it was looked at. */
export interface CheckedKey {
  epoch(): number;
  /** Looks at the key again. @throws HsmError `WrongKey` and others */
  again(): Promise<void>;
}

/** Undefined `output` means the ciphertext could not be opened. */
export interface CallResult {
  readonly output: Uint8Array | undefined;
  readonly iv: Uint8Array | undefined;
}

const NOT_OPENED: CallResult = { output: undefined, iv: undefined };

const FIRST_PAUSE_MS = 10;
const MAX_PAUSE_MS = 500;

export class Token {
  readonly name: string;
  readonly addon: Addon;
  readonly pool: NativePool;
  readonly ivMode: IvMode;
  readonly sessionCopy: boolean;
  readonly #queue: RecordQueue;
  readonly #pin: PinProvider | undefined;
  readonly #watchers: Set<(event: TokenEvent) => void> = new Set();
  readonly #statistics: Float64Array = new Float64Array(STAT_COUNT);
  /** When the pool began, on the clock of this process. */
  readonly #start: number;
  readonly #recovery: Recovery;
  readonly #failedCalls: WeakMap<HsmError, TokenCall> = new WeakMap();
  #info: PoolToken | undefined;
  #epoch = 0;
  #lastUse = 0;
  #isClosed = false;

  constructor(addon: Addon, options: TokenOptions) {
    this.addon = addon;
    this.name = options.name;
    this.ivMode = options.ivMode;
    this.sessionCopy = options.sessionCopy;
    this.#pin = options.pin;
    this.pool = new addon.Pool({
      ...options.pool,
      onDrain: (count) => this.#queue.drain(count),
      onEvent: (code, a, b) => this.#onEvent(code, a, b),
    });
    this.#start = performance.now() - this.pool.now();
    this.#queue = new RecordQueue(this.pool, options.queue, options.ivMode);
    this.#recovery = new Recovery(this.pool, options.name, () => this.#isClosed);
  }

  /** @throws HsmError `TokenNotFound`, `LoginFailed`, `ModuleError` and what the module fails with */
  async open(): Promise<void> {
    try {
      this.#info = await this.pool.open();
    } catch (cause) {
      await this.pool.close(0).catch(() => undefined);
      throw fromRejection(cause, this.name);
    }
    this.#epoch = this.statistics()[STAT.epoch] ?? 0;
  }

  get info(): PoolToken {
    if (this.#info === undefined) throw new Error("internal: the token is not open");
    return this.#info;
  }

  /** Counts logins: handles and what was found out about keys are good for one epoch. */
  get epoch(): number {
    return this.#epoch;
  }

  get outstanding(): number {
    return this.#queue.outstanding;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Milliseconds since the pool began. */
  now(): number {
    return Math.ceil(performance.now() - this.#start);
  }

  /** When the last call began, in milliseconds of `now()`. */
  get lastUse(): number {
    return this.#lastUse;
  }

  /** Fills and returns the pool's figures; the next call overwrites them. */
  statistics(): Float64Array {
    this.pool.stats(this.#statistics);
    return this.#statistics;
  }

  /** Tells everything that happens to the token; returns how to stop. */
  watch(watcher: (event: TokenEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /**
   * Carries out a call.
   *
   * @throws HsmError with every code but `InvalidCiphertext`, which is a result without output
   */
  execute(call: TokenCall, keyRef: number, options: CallOptions): Promise<CallResult> {
    return new Promise((resolve, reject) => this.#attempt(call, keyRef, options, 1, resolve, reject));
  }

  #attempt(
    call: TokenCall,
    keyRef: number,
    options: CallOptions,
    attempt: number,
    resolve: (result: CallResult) => void,
    reject: (error: HsmError) => void,
  ): void {
    if (this.#isClosed) {
      reject(new HsmError("This Hsm is closed.", { code: "Closed", outcome: "not-sent", member: this.name }));
      return;
    }
    if (call.mechanism === CKM.aesGcm && call.op === OP.ENCRYPT && tokenMakesIvs(this.ivMode)) {
      if ((call.flags & FLAG.FIXED_IV) !== 0) {
        const facts = { code: "Unsupported", outcome: "not-sent", member: this.name } as const;
        reject(new HsmError("The HSM makes the IVs of AES-GCM itself and takes none.", facts));
        return;
      }
    }
    this.#lastUse = this.now();
    const settle = (answer: TokenAnswer): void => {
      if (answer.output !== undefined) {
        resolve({ output: answer.output, iv: answer.iv });
        return;
      }
      const again = answer.again ?? call;
      void this.#settleFailure(again, keyRef, options, answer, attempt, resolve, reject).catch(reject);
    };
    const epoch = options.checked?.epoch() ?? 0;
    this.#queue.run(call, keyRef, options.deadline, settle, epoch, options.signal);
  }

  async #settleFailure(
    call: TokenCall,
    keyRef: number,
    options: CallOptions,
    answer: TokenAnswer,
    attempt: number,
    resolve: (result: CallResult) => void,
    reject: (error: HsmError) => void,
  ): Promise<void> {
    const { checked, signal } = options;
    if (checked !== undefined && answer.status === STATUS.NOT_SENT && answer.reason === REASON.STALE) {
      try {
        await checked.again();
      } catch (error) {
        this.#giveUp(call, error as HsmError, options, reject);
        return;
      }
      this.#attempt(call, keyRef, options, attempt, resolve, reject);
      return;
    }
    let verdict: Verdict = judge(this.addon, call, answer);
    if (verdict.isSuspect === true && signal?.aborted === true) {
      // Nobody waits for the proof, and without it this says nothing of the ciphertext.
      verdict = { code: "Cancelled", outcome: "failed" };
    } else if (verdict.isSuspect === true) {
      const isSound = await options.prove(call).catch(() => false);
      verdict = isSound
        ? { code: "InvalidCiphertext", outcome: "failed" }
        : { code: "DeviceError", outcome: "failed" };
    }
    if (verdict.code === "InvalidCiphertext") {
      resolve(NOT_OPENED);
      return;
    }
    if (await this.#isWorthAnother(verdict, options, attempt)) {
      this.#attempt(call, keyRef, options, attempt + 1, resolve, reject);
      return;
    }
    const isCancelled = signal?.aborted === true;
    if (isCancelled) verdict = { code: "Cancelled", outcome: verdict.outcome };
    const cause = isCancelled ? signal.reason : undefined;
    this.#giveUp(call, errorOf(this.addon, call, answer, verdict, this.name, cause), options, reject);
  }

  #giveUp(call: TokenCall, error: HsmError, options: CallOptions, reject: (error: HsmError) => void): void {
    if (options.failFast) this.keepFailedCall(error, call);
    else call.input.fill(0);
    reject(error);
  }

  /** Keeps a failed call for the group that is going to make it elsewhere. */
  keepFailedCall(error: unknown, call: TokenCall): void {
    if (error instanceof HsmError) this.#failedCalls.set(error, call);
  }

  /** Gives a failed call back, with its bytes as they were; the taker wipes it. */
  takeFailedCall(error: unknown): TokenCall | undefined {
    return error instanceof HsmError ? this.#failedCalls.get(error) : undefined;
  }

  /** Waits as long as it makes sense before a call is made again; false where it does not. */
  async #isWorthAnother(verdict: Verdict, options: CallOptions, attempt: number): Promise<boolean> {
    const { signal } = options;
    const left = options.deadline - this.now();
    if (left <= 0 || signal?.aborted === true) return false;
    if (verdict.code === "Throttled") {
      const wait = jittered(Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt));
      if (wait >= left) return false;
      await pause(wait, signal);
      return true;
    }
    if (verdict.code !== "TokenLost" || options.failFast) return false;
    // A token that comes back and is lost again at once is not to keep a processor busy.
    if (attempt > 1) await pause(jittered(Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt)), signal);
    return this.#recovery.succeedsWithin(options.deadline - this.now(), signal);
  }

  /**
   * Brings a lost token back: new sessions, login, keys found again. Callers share one run.
   *
   * @throws HsmError `LoginFailed`, `Closed`
   */
  recover(): Promise<void> {
    return this.#recovery.run();
  }

  #onEvent(code: number, a: number, b: number): void {
    switch (code) {
      case EVENT.PIN_NEEDED:
        void this.#answerPin();
        return;
      case EVENT.RECOVERED:
        this.#epoch = a;
        this.#tell({ type: "relogin", epoch: a });
        return;
      case EVENT.RECOVERY_FAILED:
        this.#tell({ type: "lost", error: this.#lossOf(a, b) });
        // Once more by itself, unless the PIN was refused.
        if (this.pool.state() === STATE.LOST) this.recover().catch(() => undefined);
        return;
      case EVENT.SESSION_REPLACED:
        this.#tell({ type: "sessionReplaced", ckr: a });
        return;
      case EVENT.ZOMBIE:
      case EVENT.ZOMBIE_RETURNED:
        this.#tell({ type: "zombie", count: a });
        return;
      case EVENT.ZOMBIE_LIMIT:
        this.#tell({ type: "exhausted" });
        return;
      default:
    }
  }

  #lossOf(ckr: number, fn: number): HsmError {
    const ckrName = this.addon.ckrName(ckr);
    const name = this.addon.functionNames[fn] ?? "";
    const isLocked = this.pool.state() === STATE.LOCKED;
    return new HsmError(
      isLocked ? "The HSM refused the login; no further attempt is made." : "The HSM cannot be reached.",
      { code: isLocked ? "LoginFailed" : "TokenLost", ckr, ckrName, fn: name, member: this.name },
    );
  }

  #tell(event: TokenEvent): void {
    for (const watcher of [...this.#watchers]) watcher(event);
  }

  /** Asks the provider and passes the PIN on; its bytes are wiped here. */
  async #answerPin(): Promise<void> {
    if (this.#pin === undefined) {
      // The pool knows whether the token has a PIN pad; without one this is a refusal.
      this.pool.providePin(null);
      return;
    }
    let pin: Uint8Array | undefined;
    try {
      pin = await this.#pin();
      this.pool.providePin(pin);
    } catch {
      this.pool.providePin(false);
    } finally {
      if (pin instanceof Uint8Array) pin.fill(0);
    }
  }

  /** Lets calls end for so long, then ends them, and lets the token go. Nobody is logged out. */
  async close(drainMs: number): Promise<void> {
    if (this.#isClosed) return;
    const end = this.now() + drainMs;
    while (this.#queue.outstanding > 0 && this.now() < end && this.pool.state() === STATE.READY) {
      await pause(Math.min(5, drainMs));
    }
    this.#isClosed = true;
    this.#queue.close();
    await this.pool.close(Math.max(0, end - this.now())).catch((cause: unknown) => {
      throw fromRejection(cause, this.name);
    });
  }
}
