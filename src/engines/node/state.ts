/** What one node engine keeps: whether it serves, and which key stands behind each opaque handle. */

import { ensure } from "../../errors.ts";
import { type SelfTest, SelfTests } from "../self-test.ts";

/** Gate in front of every call of one engine. */
export class EngineState {
  readonly #selfTests: SelfTests = new SelfTests();
  readonly #tables: { clear(): void }[] = [];
  #closed = false;

  /** Makes a table of handles that `close` empties. */
  table<Secret extends object>(): HandleTable<Secret> {
    const table = new HandleTable<Secret>();
    this.#tables.push(table);
    return table;
  }

  /**
   * Lets a call pass, after a self-test if it needs one.
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

  /** Refuses every later call and lets go of every key. */
  close(): void {
    this.#closed = true;
    for (const table of this.#tables) table.clear();
  }
}

/**
 * Maps handles to keys without holding either alive. A key leaves with its entry: OpenSSL cleanses the memory of a
 * KeyObject when it is collected, and nothing in JavaScript can make that sooner.
 */
export class HandleTable<Secret extends object> {
  #secrets: WeakMap<object, Secret> = new WeakMap();

  set(handle: object, secret: Secret): void {
    this.#secrets.set(handle, secret);
  }

  /** @throws KmsError `InvalidParameter` for a destroyed handle or one of another engine or kind */
  get(handle: object): Secret {
    const secret = this.#secrets.get(handle);
    ensure(secret !== undefined, "InvalidParameter", "The key handle is destroyed or not of this engine.");
    return secret;
  }

  /** Like `get`, but undefined for a handle that is not here. */
  find(handle: object): Secret | undefined {
    return this.#secrets.get(handle);
  }

  delete(handle: object): void {
    this.#secrets.delete(handle);
  }

  clear(): void {
    this.#secrets = new WeakMap();
  }
}
