/** Gate in front of every call of one wasm engine but AES-GCM's, which keeps its own: open, and no self-test failed. */

import { ensure } from "../../errors.ts";
import type { SelfTest, SelfTests } from "../self-test.ts";

export class WasmState {
  readonly #selfTests: SelfTests;
  #closed = false;

  /** @param selfTests those of the engine, so that one failure stops every primitive */
  constructor(selfTests: SelfTests) {
    this.#selfTests = selfTests;
  }

  /**
   * Lets a call pass, after the self-test of its primitive if it has one.
   *
   * @throws KmsError `InvalidParameter` on a closed engine, `InternalFailure` after a failed self-test
   */
  require(test?: SelfTest): void {
    ensure(!this.#closed, "InvalidParameter", "The engine is closed.");
    if (test === undefined) this.#selfTests.refuseIfFailed();
    else this.#selfTests.require(test);
  }

  /**
   * Stops the engine for good after a wrong result.
   *
   * @param what what failed, in words
   * @throws KmsError `InternalFailure`
   */
  fail(what: string): never {
    return this.#selfTests.fail(what);
  }

  /** Refuses every later call. */
  close(): void {
    this.#closed = true;
  }
}
