/**
 * Moves single messages through the arena: copies in, calls, copies out, wipes. Short messages take one call; longer ones
 * pass in chunks, and a ciphertext passes twice, so that nothing is decrypted before its tag was verified. Arguments are
 * checked by the callers.
 */

import { copyShort } from "../../bytes.ts";
import { IV_LENGTH, overlaps, TAG_LENGTH } from "./aes-gcm-arguments.ts";
import type { Kernel } from "./kernel.ts";
import type { KeyContexts, KeyHolder } from "./key-contexts.ts";

/** Up to here a loop copies quicker than a view and `set`. */
const SHORT_LENGTH = 64;

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
  /** Views that the last `sealRun` copied from: its result, and the end of its AAD. The next call often wants the same. */
  #piece: Uint8Array;
  #prefix: Uint8Array;
  #prefixOf: Uint8Array | undefined;

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
    this.#ivWords = new Int32Array(buffer, kernel.iv.byteOffset, IV_LENGTH / 4);
    this.#ivInAad = new Int32Array(buffer, kernel.dataStart - IV_LENGTH, IV_LENGTH / 4);
    this.#piece = this.#window.subarray(0, 0);
    this.#prefix = this.#piece;
  }

  /** Returns the number of the key's tables for a message of `length` bytes, plus one; 0 for none. */
  #bulkFor(holder: KeyHolder, length: number): number {
    return length < this.#bulkFrom ? 0 : this.#contexts.useBulk(holder);
  }

  seal(holder: KeyHolder, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
    if (plaintext.length > this.#dataCapacity || aad.length > this.#aadCapacity) {
      const sealed = new Uint8Array(plaintext.length + TAG_LENGTH);
      this.#sealChunks(holder, iv, plaintext, aad, sealed, 0);
      return sealed;
    }
    this.#sealInArena(holder, iv, plaintext, aad);
    return this.#memory.slice(this.#dataStart, this.#dataStart + plaintext.length + TAG_LENGTH);
  }

  sealTo(
    holder: KeyHolder,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    if (plaintext.length > this.#dataCapacity || aad.length > this.#aadCapacity) {
      this.#sealChunks(holder, iv, plaintext, aad, out, offset);
      return;
    }
    this.#sealInArena(holder, iv, plaintext, aad);
    const length = plaintext.length + TAG_LENGTH;
    if (length <= SHORT_LENGTH) copyShort(this.#memory, this.#dataStart, out, offset, length);
    else out.set(this.#memory.subarray(this.#dataStart, this.#dataStart + length), offset);
  }

  /** Seals under the IV at the end of `aad`; see `TrustedAesKey`. */
  sealRun(
    holder: KeyHolder,
    aad: Uint8Array,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const { length } = plaintext;
    if (length > this.#dataCapacity || aad.length > this.#aadCapacity) {
      const iv = aad.subarray(aad.length - IV_LENGTH);
      this.#sealChunks(holder, iv, plaintext, aad, out, offset + prefixLength);
      out.set(aad.subarray(aad.length - prefixLength), offset);
      return;
    }
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const bulk = this.#bulkFor(holder, length);
    this.#window.set(aad, this.#windowData - aad.length);
    this.#window.set(plaintext, this.#windowData);
    this.#copyIvFromAad();
    const sealedLength = length + TAG_LENGTH;
    if (sealedLength > this.#contexts.sealedLeft) this.#contexts.sealedLeft = sealedLength;
    expectDone(kernel.aesGcmSeal(slot, holder.byteLength, aad.length, length, bulk));
    if (this.#piece.length !== sealedLength) {
      this.#piece = this.#window.subarray(this.#windowData, this.#windowData + sealedLength);
    }
    // The kernel has wiped the AAD by now.
    if (this.#prefixOf !== aad || this.#prefix.length !== prefixLength) {
      this.#prefix = aad.subarray(aad.length - prefixLength);
      this.#prefixOf = aad;
    }
    out.set(this.#prefix, offset);
    out.set(this.#piece, offset + prefixLength);
  }

  /** Opens what `sealRun` wrote; see `TrustedAesKey`. */
  openRun(holder: KeyHolder, aad: Uint8Array, prefixLength: number, run: Uint8Array): Uint8Array | undefined {
    const sealedLength = run.length - prefixLength;
    const length = sealedLength - TAG_LENGTH;
    if (length < 0) return undefined;
    if (length > this.#dataCapacity || aad.length > this.#aadCapacity) {
      const ownAad = new Uint8Array(aad);
      ownAad.set(run.subarray(0, prefixLength), aad.length - prefixLength);
      const iv = ownAad.subarray(aad.length - IV_LENGTH);
      return this.open(holder, iv, run.subarray(prefixLength), ownAad);
    }
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const bulk = this.#bulkFor(holder, length);
    this.#window.set(aad, this.#windowData - aad.length);
    this.#window.set(run, this.#windowData - prefixLength);
    this.#copyIvFromAad();
    if (kernel.aesGcmOpen(slot, holder.byteLength, aad.length, sealedLength, bulk) !== 1) return undefined;
    const plaintext = this.#memory.slice(this.#dataStart, this.#dataStart + length);
    kernel.aesGcmWipeData(length);
    return plaintext;
  }

  #copyIvFromAad(): void {
    const to = this.#ivWords;
    const from = this.#ivInAad;
    to[0] = from[0] as number;
    to[1] = from[1] as number;
    to[2] = from[2] as number;
  }

  /** Leaves ciphertext ‖ tag, which is public, at the start of the data region. */
  #sealInArena(holder: KeyHolder, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): void {
    const kernel = this.#kernel;
    const slot = this.#contexts.use(holder);
    const bulk = this.#bulkFor(holder, plaintext.length);
    copyIv(this.#iv, iv);
    this.#aad.set(aad, this.#aadCapacity - ((aad.length + 15) & ~15));
    this.#data.set(plaintext);
    const sealedLength = plaintext.length + TAG_LENGTH;
    if (sealedLength > this.#contexts.sealedLeft) this.#contexts.sealedLeft = sealedLength;
    expectDone(kernel.aesGcmSeal(slot, holder.byteLength, aad.length, plaintext.length, bulk));
  }

  open(holder: KeyHolder, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - TAG_LENGTH;
    if (length < 0) return undefined;
    if (length > this.#dataCapacity || aad.length > this.#aadCapacity) {
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
    const length = sealed.length - TAG_LENGTH;
    if (length < 0) return false;
    let opened: boolean;
    if (length > this.#dataCapacity || aad.length > this.#aadCapacity) {
      opened = this.#openChunks(holder, iv, sealed, aad, out, offset);
    } else {
      opened = this.#openInArena(holder, iv, sealed, aad);
      if (opened) {
        try {
          out.set(this.#data.subarray(0, length), offset);
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
    const bulk = this.#bulkFor(holder, sealed.length - TAG_LENGTH);
    copyIv(this.#iv, iv);
    this.#aad.set(aad, this.#aadCapacity - ((aad.length + 15) & ~15));
    this.#data.set(sealed);
    return kernel.aesGcmOpen(slot, holder.byteLength, aad.length, sealed.length, bulk) === 1;
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
    const { length } = plaintext;
    const source = plainView(plaintext);
    const input = safeInput(source, out, offset, length);
    try {
      this.#startChunks(holder, iv, aad, length);
      for (let start = 0; start < length; start += this.#dataCapacity) {
        const chunk = input.subarray(start, start + this.#dataCapacity);
        kernel.data.set(chunk);
        expectDone(kernel.aesGcmEncrypt(chunk.length));
        out.set(kernel.data.subarray(0, chunk.length), offset + start);
      }
      expectDone(kernel.aesGcmWriteTag());
      out.set(kernel.tag, offset + length);
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
    const length = sealed.length - TAG_LENGTH;
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
        out.set(kernel.data.subarray(0, chunk.length), offset + start);
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
    expectDone(kernel.aesGcmStart(slot, holder.byteLength, bulk));
    for (let start = 0; start < aad.length; start += this.#aadCapacity) {
      const chunk = aad.subarray(start, start + this.#aadCapacity);
      this.#aad.set(chunk, this.#aadCapacity - ((chunk.length + 15) & ~15));
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
