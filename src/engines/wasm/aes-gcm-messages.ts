/**
 * Moves single messages through the arena: copies in, calls, copies out, wipes. Short messages take one call; longer ones
 * pass in chunks, and a ciphertext passes twice, so that nothing is decrypted before its tag was verified. Arguments are
 * checked by the callers.
 */

import { copyShort, lengthOf, setBytes } from "../../bytes.ts";
import type { AadFrame } from "../engine.ts";
import { IV_LENGTH, overlaps, TAG_LENGTH } from "./aes-gcm-arguments.ts";
import type { Kernel } from "./kernel.ts";
import type { KeyContexts, KeyHolder } from "./key-contexts.ts";

/** Up to here a loop copies quicker than `setBytes`. */
const SHORT_LENGTH = 16;
/** Up to here a loop copies quicker than a view and `setBytes`. */
const SHORT_VIEW_LENGTH = 64;
const IV_WORDS: number = IV_LENGTH / 4;

export class MessageRunner {
  readonly #kernel: Kernel;
  readonly #contexts: KeyContexts;
  readonly #memory: Uint8Array;
  readonly #iv: Uint8Array;
  readonly #aad: Uint8Array;
  readonly #data: Uint8Array;
  readonly #dataStart: number;
  readonly #dataCapacity: number;
  readonly #aadCapacity: number;
  readonly #bulkFrom: number;
  /** The end of the AAD region and the data region, one after the other, and where the data begin in it. */
  readonly #window: Uint8Array;
  readonly #windowData: number;
  readonly #ivWords: Int32Array;
  /** The last three words before the data. */
  readonly #ivInAad: Int32Array;
  /** The view that the last `sealRun` copied from, and how much of it was what. The next call often wants the same. */
  #run: Uint8Array;
  #runPrefix = 0;
  #runSealed = 0;

  constructor(kernel: Kernel, contexts: KeyContexts) {
    this.#kernel = kernel;
    this.#contexts = contexts;
    this.#memory = kernel.memory;
    this.#iv = kernel.iv;
    this.#aad = kernel.aad;
    this.#data = kernel.data;
    this.#dataStart = kernel.dataStart;
    this.#dataCapacity = kernel.dataCapacity;
    this.#aadCapacity = kernel.aad.length;
    this.#bulkFrom = kernel.bulkFrom;
    const { buffer } = kernel.memory;
    const aadStart = kernel.aad.byteOffset;
    this.#windowData = kernel.dataStart - aadStart;
    this.#window = kernel.memory.subarray(aadStart, kernel.dataStart + kernel.data.length);
    this.#ivWords = new Int32Array(buffer, kernel.iv.byteOffset, IV_WORDS);
    this.#ivInAad = new Int32Array(buffer, kernel.dataStart - IV_LENGTH, IV_WORDS);
    this.#run = this.#window.subarray(0, 0);
  }

  /** Returns the number of the key's tables for a message of `length` bytes, plus one; 0 for none. */
  #bulkFor(holder: KeyHolder, length: number): number {
    return length < this.#bulkFrom ? 0 : this.#contexts.useBulk(holder);
  }

  seal(holder: KeyHolder, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
    const length = lengthOf(plaintext);
    if (length > this.#dataCapacity || lengthOf(aad) > this.#aadCapacity) {
      const sealed = new Uint8Array(length + TAG_LENGTH);
      this.#sealChunks(holder, iv, plaintext, aad, sealed, 0);
      return sealed;
    }
    this.#sealInArena(holder, iv, plaintext, aad);
    return this.#memory.slice(this.#dataStart, this.#dataStart + length + TAG_LENGTH);
  }

  sealTo(
    holder: KeyHolder,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const dataLength = lengthOf(plaintext);
    if (dataLength > this.#dataCapacity || lengthOf(aad) > this.#aadCapacity) {
      this.#sealChunks(holder, iv, plaintext, aad, out, offset);
      return;
    }
    this.#sealInArena(holder, iv, plaintext, aad);
    const length = dataLength + TAG_LENGTH;
    if (length <= SHORT_VIEW_LENGTH) copyShort(this.#memory, this.#dataStart, out, offset, length);
    else setBytes(out, this.#memory.subarray(this.#dataStart, this.#dataStart + length), offset);
  }

  /** Seals under the IV at the end of the frame; see `TrustedAesKey`. */
  sealRun(
    holder: KeyHolder,
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const length = lengthOf(plaintext);
    const { bytes, iv, ivBytes } = frame;
    const aadLength = bytes.length;
    if (length > this.#dataCapacity || aadLength > this.#aadCapacity) {
      this.#sealChunks(holder, ivBytes, plaintext, bytes, out, offset + prefixLength);
      setBytes(out, bytes.subarray(aadLength - prefixLength), offset);
      return;
    }
    const kernel = this.#kernel;
    const contexts = this.#contexts;
    const slot = contexts.use(holder);
    const bulk = this.#bulkFor(holder, length);
    const isPlaced =
      contexts.frameWhole && contexts.frame === frame && contexts.frameRevision === frame.revision;
    // Until the kernel has answered: should this call end in between, the next one must not rely on either.
    contexts.frameWhole = false;
    if (!isPlaced) this.#placeFrame(frame);
    const toKernel = this.#ivWords;
    const toRun = this.#ivInAad;
    for (let i = 0; i < IV_WORDS; i++) toKernel[i] = toRun[i] = iv[i] as number;
    if (length <= SHORT_LENGTH) copyShort(plaintext, 0, this.#memory, this.#dataStart, length);
    else setBytes(this.#window, plaintext, this.#windowData);
    const sealedLength = length + TAG_LENGTH;
    if (sealedLength > contexts.sealedLeft) contexts.sealedLeft = sealedLength;
    const aadStays = isPlaced ? 1 : 0;
    expectDone(kernel.aesGcmSeal(slot, holder.byteLength, aadLength, length, bulk, aadStays));
    contexts.frameWhole = true;
    if (this.#runSealed !== sealedLength || this.#runPrefix !== prefixLength) {
      const start = this.#windowData - prefixLength;
      this.#run = this.#window.subarray(start, this.#windowData + sealedLength);
      this.#runPrefix = prefixLength;
      this.#runSealed = sealedLength;
    }
    setBytes(out, this.#run, offset);
  }

  /** Opens what `sealRun` wrote; see `TrustedAesKey`. */
  openRun(holder: KeyHolder, frame: AadFrame, prefixLength: number, run: Uint8Array): Uint8Array | undefined {
    const sealedLength = lengthOf(run) - prefixLength;
    const length = sealedLength - TAG_LENGTH;
    if (length < 0) return undefined;
    const { bytes } = frame;
    if (length > this.#dataCapacity || bytes.length > this.#aadCapacity) {
      const ownAad = new Uint8Array(bytes);
      ownAad.set(run.subarray(0, prefixLength), bytes.length - prefixLength);
      const iv = ownAad.subarray(ownAad.length - IV_LENGTH);
      return this.open(holder, iv, run.subarray(prefixLength), ownAad);
    }
    const kernel = this.#kernel;
    const contexts = this.#contexts;
    const slot = contexts.use(holder);
    const bulk = this.#bulkFor(holder, length);
    if (contexts.frame !== frame || contexts.frameRevision !== frame.revision) this.#placeFrame(frame);
    contexts.frameWhole = false;
    setBytes(this.#window, run, this.#windowData - prefixLength);
    const toKernel = this.#ivWords;
    const fromRun = this.#ivInAad;
    for (let i = 0; i < IV_WORDS; i++) toKernel[i] = fromRun[i] as number;
    if (kernel.aesGcmOpen(slot, holder.byteLength, bytes.length, sealedLength, bulk) !== 1) return undefined;
    const plaintext = this.#memory.slice(this.#dataStart, this.#dataStart + length);
    kernel.aesGcmWipeData(length);
    return plaintext;
  }

  #placeFrame(frame: AadFrame): void {
    const { bytes, revision } = frame;
    setBytes(this.#window, bytes, this.#windowData - bytes.length);
    this.#contexts.frame = frame;
    this.#contexts.frameRevision = revision;
  }

  /** Puts AAD, or a chunk of it, where the kernel looks for it. */
  #placeAad(aad: Uint8Array): void {
    this.#contexts.frame = undefined;
    this.#aad.set(aad, this.#aadCapacity - ((lengthOf(aad) + 15) & ~15));
  }

  /** Leaves ciphertext ‖ tag, which is public, at the start of the data region. */
  #sealInArena(holder: KeyHolder, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): void {
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const length = lengthOf(plaintext);
    const bulk = this.#bulkFor(holder, length);
    copyIv(this.#iv, iv);
    this.#placeAad(aad);
    setBytes(this.#data, plaintext, 0);
    const sealedLength = length + TAG_LENGTH;
    if (sealedLength > this.#contexts.sealedLeft) this.#contexts.sealedLeft = sealedLength;
    expectDone(kernel.aesGcmSeal(slot, holder.byteLength, lengthOf(aad), length, bulk, 0));
  }

  open(holder: KeyHolder, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    const length = lengthOf(sealed) - TAG_LENGTH;
    if (length < 0) return undefined;
    if (length > this.#dataCapacity || lengthOf(aad) > this.#aadCapacity) {
      const plaintext = new Uint8Array(length);
      return this.#openChunks(holder, iv, sealed, aad, plaintext, 0) ? plaintext : undefined;
    }
    if (!this.#openInArena(holder, iv, sealed, aad)) return undefined;
    const end = this.#dataStart + length;
    const plaintext = this.#memory.slice(this.#dataStart, end);
    this.#kernel.aesGcmWipeData(length);
    return plaintext;
  }

  /** Opens into a range of `out`, zeroed on failure. */
  openTo(
    holder: KeyHolder,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean {
    const length = lengthOf(sealed) - TAG_LENGTH;
    if (length < 0) return false;
    let opened: boolean;
    if (length > this.#dataCapacity || lengthOf(aad) > this.#aadCapacity) {
      opened = this.#openChunks(holder, iv, sealed, aad, out, offset);
    } else {
      opened = this.#openInArena(holder, iv, sealed, aad);
      if (opened) {
        try {
          setBytes(out, this.#data.subarray(0, length), offset);
        } finally {
          this.#kernel.aesGcmWipeData(length);
        }
      }
    }
    if (!opened) out.fill(0, offset, offset + length);
    return opened;
  }

  /** Leaves the plaintext at the start of the data region, or zeros and false. */
  #openInArena(holder: KeyHolder, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): boolean {
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const sealedLength = lengthOf(sealed);
    const bulk = this.#bulkFor(holder, sealedLength - TAG_LENGTH);
    copyIv(this.#iv, iv);
    this.#placeAad(aad);
    this.#data.set(sealed);
    return kernel.aesGcmOpen(slot, holder.byteLength, lengthOf(aad), sealedLength, bulk) === 1;
  }

  #sealChunks(
    holder: KeyHolder,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const kernel = this.#kernel;
    const length = lengthOf(plaintext);
    const source = plainView(plaintext);
    const input = safeInput(source, out, offset, length);
    try {
      this.#startChunks(holder, iv, aad, length);
      for (let start = 0; start < length; start += this.#dataCapacity) {
        const chunk = input.subarray(start, start + this.#dataCapacity);
        kernel.data.set(chunk);
        expectDone(kernel.aesGcmEncrypt(chunk.length));
        setBytes(out, kernel.data.subarray(0, chunk.length), offset + start);
      }
      expectDone(kernel.aesGcmWriteTag());
      setBytes(out, kernel.tag, offset + length);
    } finally {
      kernel.aesGcmEnd();
      if (input !== source) input.fill(0);
    }
  }

  #openChunks(
    holder: KeyHolder,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean {
    const kernel = this.#kernel;
    const length = lengthOf(sealed) - TAG_LENGTH;
    const input = safeInput(plainView(sealed), out, offset, length);
    try {
      this.#startChunks(holder, iv, aad, length);
      for (let start = 0; start < length; start += this.#dataCapacity) {
        const chunk = input.subarray(start, Math.min(start + this.#dataCapacity, length));
        kernel.data.set(chunk);
        expectDone(kernel.aesGcmAuthenticate(chunk.length));
      }
      kernel.tag.set(input.subarray(length));
      if (kernel.aesGcmVerify() !== 1) return false;
      for (let start = 0; start < length; start += this.#dataCapacity) {
        const chunk = input.subarray(start, Math.min(start + this.#dataCapacity, length));
        kernel.data.set(chunk);
        expectDone(kernel.aesGcmDecrypt(chunk.length));
        setBytes(out, kernel.data.subarray(0, chunk.length), offset + start);
      }
      return true;
    } finally {
      kernel.aesGcmEnd();
    }
  }

  #startChunks(holder: KeyHolder, iv: Uint8Array, aad: Uint8Array, length: number): void {
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const bulk = this.#bulkFor(holder, length);
    kernel.iv.set(iv);
    // The end of the message wipes the region.
    this.#contexts.frame = undefined;
    expectDone(kernel.aesGcmStart(slot, holder.byteLength, bulk));
    for (let start = 0; start < lengthOf(aad); start += this.#aadCapacity) {
      const chunk = aad.subarray(start, start + this.#aadCapacity);
      this.#placeAad(chunk);
      expectDone(kernel.aesGcmAad(chunk.length));
    }
  }
}

/** Returns a view of the built-in class: a subclass could answer the second reading of its pieces with other bytes. */
function plainView(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Returns an input whose result is written piece by piece while it is read: itself, or where the output overlaps it, and a
 * write could overtake the reading, a copy that the caller wipes.
 */
export function safeInput(input: Uint8Array, out: Uint8Array, offset: number, length: number): Uint8Array {
  return overlaps(input, out, offset, length) ? new Uint8Array(input) : input;
}

/** Copies an IV byte by byte, which is quicker than `set` for 12 bytes. */
function copyIv(to: Uint8Array, iv: Uint8Array): void {
  for (let i = 0; i < IV_LENGTH; i++) to[i] = iv[i] as number;
}

export function expectDone(result: number): void {
  if (result !== 1) throw new Error("internal: the kernel refused a call");
}
