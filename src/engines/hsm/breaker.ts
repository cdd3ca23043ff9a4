/** Takes a failing member of a group out of service and lets it back in once a probe has succeeded. */

import type { BreakerState } from "./hsm.ts";
import type { HsmError } from "./hsm-error.ts";

export interface BreakerOptions {
  /** Faults in a row that open it. */
  readonly failures: number;
  /** First pause before a probe; it doubles with each failed one. */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
}

export const DEFAULT_BREAKER: BreakerOptions = { failures: 5, pauseMs: 200, maxPauseMs: 2000 };

export class Breaker {
  readonly #options: BreakerOptions;
  readonly #probe: () => Promise<void>;
  readonly #onChange: (state: BreakerState, error?: HsmError) => void;
  #state: BreakerState = "closed";
  #failures = 0;
  #pause: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(
    options: BreakerOptions,
    probe: () => Promise<void>,
    onChange: (state: BreakerState, error?: HsmError) => void,
  ) {
    this.#options = options;
    this.#pause = options.pauseMs;
    this.#probe = probe;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** @param isFatal the token is gone: one such fault is enough */
  failed(error: HsmError, isFatal: boolean): void {
    this.#failures += 1;
    if (this.#state !== "closed" || (!isFatal && this.#failures < this.#options.failures)) return;
    this.#set("open", error);
    this.#probeLater();
  }

  #set(state: BreakerState, error?: HsmError): void {
    this.#state = state;
    this.#onChange(state, error);
  }

  #probeLater(): void {
    if (this.#isStopped) return;
    // Half of it is chance, so that processes that lost a token together do not come back together.
    const wait = this.#pause / 2 + (Math.random() * this.#pause) / 2;
    this.#pause = Math.min(this.#options.maxPauseMs, 2 * this.#pause);
    this.#timer = setTimeout(() => this.#tryAgain(), wait);
    this.#timer.unref();
  }

  /** Probes at once: something says that the member is back. */
  probeNow(): void {
    if (this.#state !== "open") return;
    clearTimeout(this.#timer);
    this.#tryAgain();
  }

  #tryAgain(): void {
    if (this.#isStopped) return;
    this.#set("half-open");
    this.#probe().then(
      () => {
        if (this.#isStopped) return;
        this.#failures = 0;
        this.#pause = this.#options.pauseMs;
        this.#set("closed");
      },
      (error: HsmError) => {
        if (this.#isStopped) return;
        this.#set("open", error);
        this.#probeLater();
      },
    );
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
