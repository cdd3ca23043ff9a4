/** Waits that end when a signal is aborted, and how long to wait before something is tried again. */

import { HsmError } from "./hsm-error.ts";

/** Waits, but no longer than until the signal is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** Full jitter: callers that were refused together do not come back together. Not for secrets. */
export function jittered(milliseconds: number): number {
  return Math.ceil(Math.random() * milliseconds);
}

/** Follows a promise that others wait for as well, but no longer than until the signal is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, member: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      const facts = { code: "Cancelled", outcome: "not-sent", member, cause: signal.reason } as const;
      reject(new HsmError("The call was cancelled.", facts));
    };
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}
