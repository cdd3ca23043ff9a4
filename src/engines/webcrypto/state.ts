/** What one WebCrypto engine keeps: whether it serves, which key stands behind each handle, and keys put away sealed. */

import { copyBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { type AsyncSelfTest, SelfTests } from "../self-test.ts";
import { asSource } from "./arguments.ts";

const IV_LENGTH = 12;

/** Gate in front of every call of one engine. */
export class EngineState {
  readonly subtle: SubtleCrypto;
  readonly #selfTests: SelfTests = new SelfTests();
  readonly #tables: { clear(): void }[] = [];
  /** Seals the encodings of private keys: random, of this engine alone, and not to be exported. */
  #storageKey: Promise<CryptoKey> | undefined;
  #closed = false;

  constructor(subtle: SubtleCrypto) {
    this.subtle = subtle;
  }

  /** Makes a table of handles that `close` empties. */
  table<Secret extends object>(): HandleTable<Secret> {
    const table = new HandleTable<Secret>();
    this.#tables.push(table);
    return table;
  }

  /** @throws KmsError `InvalidParameter` on a closed engine, `InternalFailure` after a failed self-test */
  enter(): void {
    ensure(!this.#closed, "InvalidParameter", "The engine is closed.");
    this.#selfTests.refuseIfFailed();
  }

  /** Stops the engine for good. @throws KmsError `InternalFailure` */
  fail(what: string): never {
    this.#selfTests.fail(what);
  }

  /**
   * Does a piece of work once its primitive has passed its self-test: at once when it has, and later, with copies of the
   * arrays that are wiped in the end, when the test is still to run.
   *
   * @throws KmsError `InternalFailure` when the test fails
   */
  run<Inputs extends readonly Uint8Array[], Answer>(
    test: AsyncSelfTest,
    inputs: Inputs,
    work: (inputs: Inputs) => Promise<Answer>,
  ): Promise<Answer> {
    if (this.#selfTests.hasPassed(test.name)) return work(inputs);
    const copies = inputs.map(copyBytes) as readonly Uint8Array[] as Inputs;
    return this.#selfTests
      .requireAsync(test)
      .then(() => {
        this.enter();
        return work(copies);
      })
      .finally(() => {
        for (const copy of copies) copy.fill(0);
      });
  }

  /** Puts the encoding of a private key away; the caller wipes its own. */
  async putAway(encoding: Uint8Array): Promise<SealedEncoding> {
    const own = copyBytes(encoding);
    try {
      const iv = crypto.getRandomValues(new Uint8Array(IV_LENGTH));
      const key = await this.#storage();
      const sealed = await this.subtle.encrypt({ name: "AES-GCM", iv }, key, asSource(own));
      return { iv, sealed: new Uint8Array(sealed) };
    } finally {
      own.fill(0);
    }
  }

  /** Takes out what was put away. The caller wipes it. */
  async takeOut({ iv, sealed }: SealedEncoding): Promise<Uint8Array> {
    const key = await this.#storage();
    return new Uint8Array(await this.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed));
  }

  #storage(): Promise<CryptoKey> {
    this.#storageKey ??= this.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ]);
    return this.#storageKey;
  }

  /** Refuses every later call and lets go of every key. */
  close(): void {
    this.#closed = true;
    this.#storageKey = undefined;
    for (const table of this.#tables) table.clear();
  }
}

/** The encoding of a private key as it lies in JavaScript's memory. */
export interface SealedEncoding {
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array<ArrayBuffer>;
}

/** Maps handles to keys without holding either alive. The platform wipes a CryptoKey when it is collected; nothing here can make that sooner. */
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

  delete(handle: object): void {
    this.#secrets.delete(handle);
  }

  clear(): void {
    this.#secrets = new WeakMap();
  }
}
