/** Brings a lost token back, with growing pauses between the attempts; all who wait for it share one run. */

import type { NativePool } from "./addon.ts";
import { HsmError } from "./hsm-error.ts";
import { fromRejection } from "./judge.ts";
import { STATE } from "./record.ts";
import { jittered, pause } from "./waiting.ts";

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;

export class Recovery {
  readonly #pool: NativePool;
  readonly #name: string;
  readonly #isClosed: () => boolean;
  #running: Promise<void> | undefined;
  #pause: number = FIRST_PAUSE_MS;

  /**
   * @param name of the token, for errors
   * @param isClosed tells whether nobody wants the token any more
   */
  constructor(pool: NativePool, name: string, isClosed: () => boolean) {
    this.#pool = pool;
    this.#name = name;
    this.#isClosed = isClosed;
  }

  /**
   * Goes on until it succeeds, the login is refused or the token is closed.
   *
   * @throws HsmError `LoginFailed`, `Closed`
   */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      if (this.#isClosed()) {
        throw new HsmError("This Hsm is closed.", { code: "Closed", member: this.#name });
      }
      try {
        await this.#pool.recover();
        this.#pause = FIRST_PAUSE_MS;
        return;
      } catch (cause) {
        const error = fromRejection(cause, this.#name);
        // A refused PIN is not tried again: tokens lock after a few.
        if (this.#pool.state() === STATE.LOCKED || error.code === "LoginFailed") throw error;
        const wait = this.#pause / 2 + jittered(this.#pause / 2);
        this.#pause = Math.min(MAX_PAUSE_MS, 2 * this.#pause);
        // Callers that wait have timers of their own; this one keeps no process alive.
        await new Promise<void>((resolve) => {
          setTimeout(resolve, wait).unref();
        });
      }
    }
  }

  /** Tells whether a run succeeds within so long, and before the signal is aborted. */
  async succeedsWithin(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
    const over = new AbortController();
    const signals = signal === undefined ? [over.signal] : [over.signal, signal];
    const late = pause(milliseconds, AbortSignal.any(signals)).then(() => false);
    const recovered = this.run().then(
      () => true,
      () => false,
    );
    try {
      return await Promise.race([recovered, late]);
    } finally {
      over.abort();
    }
  }
}
