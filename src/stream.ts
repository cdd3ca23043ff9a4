/**
 * Encryption of data of any length: `encryptStream` and `decryptStream` over one open Kms, on every platform.
 * The bytes between the two are docs/streaming-format.md.
 */

import { concatBytes, ensureBytes } from "./bytes.ts";
import { type EncryptionContext, encodeContext } from "./envelope/encryption-context.ts";
import {
  DEFAULT_FRAME_EXPONENT,
  encodeStreamHeader,
  FrameCutter,
  frameLength,
  frameNonce,
  maxFrames,
  parseStreamPrefix,
  STREAM_KEY_LENGTH,
  STREAM_PREFIX_LENGTH,
} from "./envelope/streaming-format.ts";
import { ensure, invalidCiphertext, KmsError } from "./errors.ts";
import { bulkKeyOf, Kms, prepareBulk } from "./kms.ts";
import { type MaybePromise, whenReady } from "./maybe-promise.ts";
import type { BulkKey } from "./operations/bulk-key.ts";
import { checkFields, fields, readOptionalString, readString } from "./operations/input.ts";

const TAG_LENGTH = 16;

export interface EncryptStreamOptions {
  /** A symmetric key; its primary version seals the file's data key. */
  readonly keyId: string;
  /** Needed again to decrypt; at most 8192 characters as JSON. */
  readonly encryptionContext?: EncryptionContext | undefined;
}

export interface DecryptStreamOptions {
  /** Checked against the file when given. */
  readonly keyId?: string | undefined;
  /** What the file was encrypted with. */
  readonly encryptionContext?: EncryptionContext | undefined;
}

const FIELDS = fields("keyId", "encryptionContext");

/**
 * Encrypts what is written into it; any length, the empty one included. It holds one frame (64 KiB) and the result of
 * the chunk being written.
 *
 * The stream fails with the codes of `advanceGenerateDataKey`, with `Rejected.LimitExceeded` beyond 16 TiB, and with
 * `Rejected.Closed` once the Kms is closed.
 *
 * @throws KmsError `MissingParameter`, `InvalidParameter`
 */
export function encryptStream(
  kms: Kms,
  options: EncryptStreamOptions,
): TransformStream<Uint8Array, Uint8Array> {
  ensureKms(kms);
  checkFields(options, FIELDS);
  const keyId = readString(options.keyId, "keyId");
  const encryptionContext = copyContext(options.encryptionContext);
  return frameStream(new Encryption(kms, { keyId, encryptionContext }));
}

/**
 * Decrypts what `encryptStream` made. Every chunk it gives has been authenticated; whether the file is whole is known
 * only when the stream ends without an error. It holds one frame (at most 1 MiB) and the result of the chunk being written.
 *
 * The stream fails with `InvalidCiphertext` for everything that cannot be opened, with `Rejected.Disabled` or
 * `Rejected.PendingDeletion` where the key's state forbids it, and with `Rejected.Closed` once the Kms is closed.
 *
 * @throws KmsError `MissingParameter`, `InvalidParameter`
 */
export function decryptStream(
  kms: Kms,
  options: DecryptStreamOptions = {},
): TransformStream<Uint8Array, Uint8Array> {
  ensureKms(kms);
  checkFields(options, FIELDS);
  const keyId = readOptionalString(options.keyId, "keyId");
  const encryptionContext = copyContext(options.encryptionContext);
  return frameStream(new Decryption(kms, { keyId, encryptionContext }));
}

function ensureKms(kms: unknown): void {
  ensure(kms instanceof Kms, "InvalidParameter", "kms must be a Kms.");
}

/** Checks a context now and keeps it as it is now. */
function copyContext(context: EncryptionContext | undefined): EncryptionContext | undefined {
  if (context === undefined) return undefined;
  encodeContext(context, "encryptionContext");
  return { ...context };
}

type Emit = (bytes: Uint8Array) => void;

/** One direction: takes chunks, gives bytes, and lets its key go. */
interface FrameTransform {
  /** Does what must be done before the first chunk, or before the end if there is none. */
  write(chunk: Uint8Array, emit: Emit): Promise<void>;
  end(emit: Emit): Promise<void>;
  /** Wipes key and buffers. Idempotent; later calls of the others fail. */
  destroy(): void;
}

/** The hook for abort and cancel, which the DOM types do not know yet (Streams Standard, 6.1.3). */
interface CancellableTransformer extends Transformer<Uint8Array, Uint8Array> {
  readonly cancel: () => void;
}

/** Makes the stream of a direction, which is destroyed at its end, whatever that is. */
function frameStream(direction: FrameTransform): TransformStream<Uint8Array, Uint8Array> {
  const guarded = async (work: () => Promise<void>, isLast: boolean): Promise<void> => {
    try {
      await work();
    } catch (error) {
      direction.destroy();
      throw error;
    }
    if (isLast) direction.destroy();
  };
  const transformer: CancellableTransformer = {
    transform: (chunk, controller) =>
      guarded(() => {
        ensureBytes(chunk, "chunk");
        return direction.write(chunk, (bytes) => controller.enqueue(bytes));
      }, false),
    flush: (controller) => guarded(() => direction.end((bytes) => controller.enqueue(bytes)), true),
    cancel: () => direction.destroy(),
  };
  return new TransformStream(transformer);
}

/** Frames of one file in order: counts them, and seals or opens each under the file's key and header. */
class Frames {
  readonly #key: BulkKey;
  readonly #header: Uint8Array;
  readonly #frameExponent: number;
  #count = 0;

  constructor(key: BulkKey, header: Uint8Array, frameExponent: number) {
    this.#key = key;
    this.#header = header;
    this.#frameExponent = frameExponent;
  }

  /** @throws KmsError `Rejected.LimitExceeded`, `Rejected.Closed` */
  seal(plaintext: Uint8Array, isLast: boolean): MaybePromise<Uint8Array> {
    const nonce = this.#nextNonce(isLast);
    if (nonce === undefined) {
      throw new KmsError("Rejected.LimitExceeded", "The data is longer than one file can hold.");
    }
    return this.#key.seal(nonce, plaintext, this.#header);
  }

  /** @throws KmsError `InvalidCiphertext`, `Rejected.Closed` */
  open(sealed: Uint8Array, isLast: boolean): MaybePromise<Uint8Array> {
    // Only a file without plaintext has an empty frame: one division into frames for one plaintext, [STR-7].
    const isStray = sealed.length === TAG_LENGTH && this.#count > 0;
    const nonce = this.#nextNonce(isLast);
    const opened = nonce === undefined || isStray ? undefined : this.#key.open(nonce, sealed, this.#header);
    return whenReady(opened, (plaintext) => {
      if (plaintext === undefined) throw invalidCiphertext();
      return plaintext;
    });
  }

  /** Undefined when the file is full, [STR-8]. */
  #nextNonce(isLast: boolean): Uint8Array | undefined {
    if (this.#count >= maxFrames(this.#frameExponent)) return undefined;
    const nonce = frameNonce(this.#count, isLast);
    this.#count += 1;
    return nonce;
  }
}

/** Gives a data key to the engine and wipes its bytes. */
async function adoptKey(kms: Kms, dataKey: Uint8Array): Promise<BulkKey> {
  try {
    return await bulkKeyOf(kms, dataKey);
  } finally {
    dataKey.fill(0);
  }
}

/** Hands out results in their order, at once as long as they are there, later once one was to come. */
class InOrder {
  readonly #emit: Emit;
  #last: Promise<void> | undefined;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  add(result: MaybePromise<Uint8Array>): void {
    if (this.#last === undefined && !(result instanceof Promise)) {
      this.#emit(result);
      return;
    }
    // All of them are watched, so that none fails unheard while an earlier one is waited for.
    const last = Promise.all([result, this.#last]).then(([bytes]) => this.#emit(bytes));
    last.catch(() => undefined);
    this.#last = last;
  }

  /** Waits for the last result. */
  async end(): Promise<void> {
    await this.#last;
  }
}

/** Holds a key for as long as its stream lives; a key that arrives after the end is let go at once. */
class KeyHolder {
  #key: BulkKey | undefined;
  #isDestroyed = false;

  /** @throws KmsError `Rejected.Closed` when the stream was cancelled meanwhile; nobody is left to see it */
  hold(key: BulkKey): BulkKey {
    if (this.#isDestroyed) {
      key.destroy();
      throw new KmsError("Rejected.Closed", "The stream was cancelled.");
    }
    this.#key = key;
    return key;
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#key?.destroy();
  }
}

class Encryption implements FrameTransform {
  readonly #kms: Kms;
  readonly #options: EncryptStreamOptions;
  readonly #holder: KeyHolder = new KeyHolder();
  readonly #cutter: FrameCutter = new FrameCutter(frameLength(DEFAULT_FRAME_EXPONENT));
  #frames: Frames | undefined;

  constructor(kms: Kms, options: EncryptStreamOptions) {
    this.#kms = kms;
    this.#options = options;
  }

  async write(chunk: Uint8Array, emit: Emit): Promise<void> {
    const frames = this.#frames ?? (await this.#begin(emit));
    const results = new InOrder(emit);
    this.#cutter.push(chunk, (plaintext) => results.add(frames.seal(plaintext, false)));
    await results.end();
  }

  async end(emit: Emit): Promise<void> {
    const frames = this.#frames ?? (await this.#begin(emit));
    emit(await frames.seal(this.#cutter.rest(), true));
  }

  destroy(): void {
    this.#holder.destroy();
    this.#cutter.wipe();
  }

  /** Makes the data key and writes the header. */
  async #begin(emit: Emit): Promise<Frames> {
    await prepareBulk(this.#kms);
    const { plaintext, ciphertextBlob } = await this.#kms.advanceGenerateDataKey({
      ...this.#options,
      numberOfBytes: STREAM_KEY_LENGTH,
    });
    const key = this.#holder.hold(await adoptKey(this.#kms, plaintext));
    const header = encodeStreamHeader(DEFAULT_FRAME_EXPONENT, ciphertextBlob);
    this.#frames = new Frames(key, header, DEFAULT_FRAME_EXPONENT);
    emit(new Uint8Array(header));
    return this.#frames;
  }
}

/** What a decryption works with once it has read the header. */
interface OpenFile {
  readonly frames: Frames;
  readonly cutter: FrameCutter;
}

class Decryption implements FrameTransform {
  readonly #kms: Kms;
  readonly #options: DecryptStreamOptions;
  readonly #holder: KeyHolder = new KeyHolder();
  /** The header as far as it has come. */
  #start: Uint8Array = new Uint8Array(0);
  #file: OpenFile | undefined;

  constructor(kms: Kms, options: DecryptStreamOptions) {
    this.#kms = kms;
    this.#options = options;
  }

  async write(chunk: Uint8Array, emit: Emit): Promise<void> {
    const body = this.#file === undefined ? await this.#readHeader(chunk) : chunk;
    if (this.#file === undefined) return;
    const { cutter, frames } = this.#file;
    const results = new InOrder(emit);
    cutter.push(body, (sealed) => results.add(frames.open(sealed, false)));
    await results.end();
  }

  async end(emit: Emit): Promise<void> {
    if (this.#file === undefined) throw invalidCiphertext();
    const plaintext = await this.#file.frames.open(this.#file.cutter.rest(), true);
    if (plaintext.length > 0) emit(plaintext);
  }

  destroy(): void {
    this.#holder.destroy();
  }

  /** Reads on in the header, opens the file when it is whole, and returns what of the chunk lies behind it. */
  async #readHeader(chunk: Uint8Array): Promise<Uint8Array> {
    let rest = this.#take(chunk, STREAM_PREFIX_LENGTH);
    if (this.#start.length < STREAM_PREFIX_LENGTH) return rest;
    const prefix = parseStreamPrefix(this.#start);
    if (prefix === undefined) throw invalidCiphertext();
    const { frameExponent, dataKeyBlobLength } = prefix;
    const headerLength = STREAM_PREFIX_LENGTH + dataKeyBlobLength;
    rest = this.#take(rest, headerLength);
    if (this.#start.length < headerLength) return rest;

    const header = this.#start;
    const ciphertextBlob = header.subarray(STREAM_PREFIX_LENGTH);
    await prepareBulk(this.#kms);
    const { plaintext } = await this.#kms.advanceDecrypt({ ...this.#options, ciphertextBlob });
    if (plaintext.length !== STREAM_KEY_LENGTH) {
      plaintext.fill(0);
      throw invalidCiphertext();
    }
    const key = this.#holder.hold(await adoptKey(this.#kms, plaintext));
    this.#file = {
      frames: new Frames(key, header, frameExponent),
      cutter: new FrameCutter(frameLength(frameExponent) + TAG_LENGTH),
    };
    return rest;
  }

  /** Moves bytes from the chunk to the header until that has `length` of them; returns those left over. */
  #take(chunk: Uint8Array, length: number): Uint8Array {
    const missing = Math.max(0, length - this.#start.length);
    this.#start = concatBytes(this.#start, chunk.subarray(0, missing));
    return chunk.subarray(missing);
  }
}
