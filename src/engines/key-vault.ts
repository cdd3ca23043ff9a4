/**
 * Seals records under the record key and keeps it; the one place where material is open for the blink between a
 * store and an engine. The row layout is docs/key-record.md, [REC-1] to [REC-3]: version (1) ‖ iv (12) ‖ sealed.
 */

import { concatBytes } from "../bytes.ts";
import { type RecordIdentity, recordAad } from "../keys/key-record.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { AesGcm, AesKey, Awaitable } from "./engine.ts";
import { randomBytes } from "./random.ts";

const ROW_VERSION = 1;
const IV_LENGTH = 12;
const HEADER_LENGTH: number = 1 + IV_LENGTH;

export class KeyVault {
  readonly #aesGcm: Awaitable<AesGcm>;
  readonly #recordKey: AesKey;

  private constructor(aesGcm: Awaitable<AesGcm>, recordKey: AesKey) {
    this.#aesGcm = aesGcm;
    this.#recordKey = recordKey;
  }

  /** @param recordKey 32 bytes; wiped once the engine has them */
  static async create(aesGcm: Awaitable<AesGcm>, recordKey: Uint8Array): Promise<KeyVault> {
    try {
      return new KeyVault(aesGcm, await aesGcm.importKey(recordKey));
    } finally {
      recordKey.fill(0);
    }
  }

  /** Seals a record. Under one record key this may be done 2^32 times; each control call and each block of uses is one. */
  seal(identity: RecordIdentity, content: Uint8Array): MaybePromise<Uint8Array> {
    const iv = randomBytes(IV_LENGTH);
    return whenReady(this.#aesGcm.seal(this.#recordKey, iv, content, recordAad(identity)), (sealed) =>
      concatBytes(Uint8Array.of(ROW_VERSION), iv, sealed),
    );
  }

  /** Opens a row; undefined when it is not exactly what `seal` made for this identity. */
  open(identity: RecordIdentity, row: Uint8Array): MaybePromise<Uint8Array | undefined> {
    if (row.length < HEADER_LENGTH || row[0] !== ROW_VERSION) return undefined;
    const iv = row.subarray(1, HEADER_LENGTH);
    return this.#aesGcm.open(this.#recordKey, iv, row.subarray(HEADER_LENGTH), recordAad(identity));
  }

  /** Wipes the record key. */
  close(): void {
    this.#recordKey.destroy();
  }
}
