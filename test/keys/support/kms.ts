/** What the life-cycle tests share: a Kms with a clock of its own, and the outcome of a call as plain data. */

import { onTestFinished } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { Kms, type KmsOptions } from "../../../src/index.ts";

export const DAY: number = 24 * 60 * 60 * 1000;

/** 1 January 2030, 00:00 UTC. */
export const START: number = Date.UTC(2030, 0, 1);

/** A clock that moves when told to. */
export class TestClock {
  now: number = START;
  readonly read = (): number => this.now;

  advance(milliseconds: number): void {
    this.now += milliseconds;
  }
}

export const ROOT_KEY: { readonly bytes: Uint8Array } = { bytes: new Uint8Array(32).fill(7) };

/** Opens a Kms under the test root key and closes it after the test. */
export async function openKms(options: KmsOptions = {}): Promise<Kms> {
  const kms = await Kms.open({ rootKey: ROOT_KEY, ...options });
  onTestFinished(() => kms.close().catch(() => undefined));
  return kms;
}

/** Returns "ok", or the code a call was refused with; other errors pass on. */
export async function outcome(call: () => unknown): Promise<string> {
  try {
    await call();
    return "ok";
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
}
