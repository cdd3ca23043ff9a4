/**
 * RSA as numbers to powers, without padding: lends the slots of the RSA module to any number of keys, renews blindings, and
 * lets no result out that failed its check. Numbers go in and out by the module's memory, where padding works on them too.
 */

import { ensure, KmsError } from "../../errors.ts";
import type { RsaKernel } from "./rsa-kernel.ts";

/** The numbers of a public key, big-endian. */
export interface RsaPublicParts {
  readonly n: Uint8Array;
  readonly e: Uint8Array;
}

/** The numbers of a private key of two primes, big-endian. */
export interface RsaPrivateParts extends RsaPublicParts {
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dP: Uint8Array;
  readonly dQ: Uint8Array;
  readonly qInv: Uint8Array;
}

/** Places of the numbers in the region of key parts (assembly/rsa/parts.ts); e stands at the end of 32 bytes. */
const PLACES = { n: 0, p: 0x200, q: 0x300, dP: 0x400, dQ: 0x500, qInv: 0x600, e: 0x700 } as const;
const PARTS_LENGTH = 0x720;
const E_LENGTH = 32;
const LONGEST_BLOCK = 0x200;
const RANDOM_LENGTH = 0x400;

/** A key that a `RawRsa` holds. Its bytes are laid out as the module reads them. */
class RawKey {
  /** Bits of the modulus. */
  readonly bits: number;
  /** Zeroed when the key is destroyed. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The engine that imported the key. */
  readonly owner: object;
  slot = -1;
  destroyed = false;

  constructor(bits: number, owner: object) {
    this.bits = bits;
    // A buffer made first lies outside the garbage-collected heap, where moving would leave copies behind.
    this.bytes = new Uint8Array(new ArrayBuffer(PARTS_LENGTH));
    this.owner = owner;
  }

  get byteLength(): number {
    return this.bits / 8;
  }

  protected view(part: keyof typeof PLACES): Uint8Array<ArrayBuffer> {
    const length = part === "e" ? E_LENGTH : part === "n" ? this.bits / 8 : this.bits / 16;
    return this.bytes.subarray(PLACES[part], PLACES[part] + length);
  }
}

export class RawRsaPublicKey extends RawKey {
  /** Returns views of the numbers, e in 32 bytes. They are the key itself: they must be neither kept nor written to. */
  parts(): RsaPublicParts {
    return { n: this.view("n"), e: this.view("e") };
  }
}

export class RawRsaPrivateKey extends RawKey {
  /** Returns views of the numbers, e in 32 bytes. They are the key itself: they must be neither kept nor written to. */
  parts(): RsaPrivateParts {
    return {
      n: this.view("n"),
      e: this.view("e"),
      p: this.view("p"),
      q: this.view("q"),
      dP: this.view("dP"),
      dQ: this.view("dQ"),
      qInv: this.view("qInv"),
    };
  }
}

/** Slots of one kind with the key in each and the tick of its last use; 0 where the slot is free. */
class Slots<Key extends RawKey> {
  readonly #load: (slot: number, bits: number) => number;
  readonly #drop: (slot: number) => number;
  readonly #keyParts: Uint8Array;
  readonly #occupants: (Key | undefined)[];
  readonly #lastUse: Float64Array;
  #tick = 0;

  constructor(
    count: number,
    keyParts: Uint8Array,
    load: (slot: number, bits: number) => number,
    drop: (slot: number) => number,
  ) {
    this.#load = load;
    this.#drop = drop;
    this.#keyParts = keyParts;
    this.#occupants = new Array<Key | undefined>(count).fill(undefined);
    this.#lastUse = new Float64Array(count);
  }

  /** Returns the slot that holds the key, which is loaded now if it was not there; undefined where its numbers are refused. */
  use(key: Key): number | undefined {
    ensure(!key.destroyed, "InvalidParameter", "key was destroyed.");
    const slot = key.slot >= 0 ? key.slot : this.#occupy(key);
    if (slot !== undefined) {
      this.#tick += 1;
      this.#lastUse[slot] = this.#tick;
    }
    return slot;
  }

  /** Wipes the slot of a key. */
  evict(key: RawKey): void {
    if (key.slot < 0) return;
    this.#drop(key.slot);
    this.#occupants[key.slot] = undefined;
    this.#lastUse[key.slot] = 0;
    key.slot = -1;
  }

  #occupy(key: Key): number | undefined {
    const slot = this.#oldest();
    const occupant = this.#occupants[slot];
    if (occupant !== undefined) this.evict(occupant);
    this.#keyParts.set(key.bytes);
    if (this.#load(slot, key.bits) !== 1) return undefined;
    this.#occupants[slot] = key;
    key.slot = slot;
    return slot;
  }

  #oldest(): number {
    let oldest = 0;
    for (let slot = 1; slot < this.#lastUse.length; slot++) {
      if ((this.#lastUse[slot] ?? 0) < (this.#lastUse[oldest] ?? 0)) oldest = slot;
    }
    return oldest;
  }
}

const rawRsaOfKernel: WeakMap<RsaKernel, RawRsa> = new WeakMap();

/** Returns the one `RawRsa` of a kernel. It outlives the engines, so that dropped keys are wiped after them. */
export function rawRsaOf(kernel: RsaKernel): RawRsa {
  let raw = rawRsaOfKernel.get(kernel);
  if (raw === undefined) {
    raw = new RawRsa(kernel);
    rawRsaOfKernel.set(kernel, raw);
  }
  return raw;
}

export class RawRsa {
  readonly kernel: RsaKernel;
  readonly #private: Slots<RawRsaPrivateKey>;
  /** An operation ended by a fault, and what it left behind is not cleaned up. */
  #isDirty = false;
  readonly #public: Slots<RawRsaPublicKey>;
  /** Random bytes on their way to the module. */
  readonly #fresh: Uint8Array<ArrayBuffer> = new Uint8Array(RANDOM_LENGTH);
  /** Every private key that is not destroyed. */
  readonly #live: Set<RawRsaPrivateKey> = new Set();

  constructor(kernel: RsaKernel) {
    this.kernel = kernel;
    this.#private = new Slots(
      kernel.privateCount,
      kernel.keyParts,
      kernel.rsaLoadPrivate,
      kernel.rsaDropPrivate,
    );
    this.#public = new Slots(kernel.publicCount, kernel.keyParts, kernel.rsaLoadPublic, kernel.rsaDropPublic);
  }

  /**
   * Copies a private key and loads it. It does not test whether the primes are prime: a key of other numbers is one whose
   * operations fail.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` for sizes other than 2048, 3072 and 4096 bits, primes that do not have
   *   half the bits each, and e of more than 256 bits; `InvalidKeyMaterial` where the numbers do not fit together
   */
  importPrivate(parts: RsaPrivateParts, owner: object): RawRsaPrivateKey {
    const key = new RawRsaPrivateKey(bitsOf(parts.n), owner);
    try {
      place(key, parts);
      for (const part of ["p", "q"] as const) {
        placeHalf(key, part, parts[part], "Rejected.UnsupportedOperation");
        ensure(
          (key.bytes[PLACES[part]] ?? 0) >= 0x80,
          "Rejected.UnsupportedOperation",
          "Both primes of an RSA key must have half the bits of its modulus.",
        );
      }
      for (const part of ["dP", "dQ", "qInv"] as const)
        placeHalf(key, part, parts[part], "InvalidKeyMaterial");
      ensure(
        this.#private.use(key) !== undefined,
        "InvalidKeyMaterial",
        "The numbers of the RSA key do not fit together.",
      );
    } catch (error) {
      key.bytes.fill(0);
      throw error;
    }
    this.#live.add(key);
    return key;
  }

  /**
   * Copies a public key and loads it.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` for sizes other than 2048, 3072 and 4096 bits and e of more than 256
   *   bits; `InvalidKeyMaterial` where n or e is even, or e is 1
   */
  importPublic(parts: RsaPublicParts, owner: object): RawRsaPublicKey {
    const key = new RawRsaPublicKey(bitsOf(parts.n), owner);
    place(key, parts);
    ensure(
      this.#public.use(key) !== undefined,
      "InvalidKeyMaterial",
      "Modulus and exponent of an RSA key must be odd, and the exponent above 1.",
    );
    return key;
  }

  /**
   * Raises the first input of the module to the private exponent, into its first output.
   *
   * @returns false where the input is not below the modulus; the output is zeros then
   * @throws KmsError `InternalFailure` where the result failed its check, or a fault ended the operation; nothing of it is kept
   */
  privateOperation(key: RawRsaPrivateKey): boolean {
    const slot = this.#private.use(key);
    ensure(slot !== undefined, "InternalFailure", "An RSA key could not be loaded again.");
    const answer = this.#guard(() => this.#raise(slot), key);
    if (answer === Answer.done) return true;
    if (answer === Answer.tooLarge) return false;
    // What is in the slot cannot be trusted any more.
    this.#private.evict(key);
    throw new KmsError("InternalFailure", "The result of an RSA private operation failed its check.");
  }

  /**
   * Raises the first input of the module to the public exponent, into its first output.
   *
   * @returns false where the input is not below the modulus; the output is zeros then
   * @throws KmsError `InternalFailure` where a fault ended the operation
   */
  publicOperation(key: RawRsaPublicKey): boolean {
    const slot = this.#slotOf(key);
    return this.#guard(() => this.kernel.rsaPublic(slot), key) === 1;
  }

  /**
   * Serves two inputs with keys of one size, which may be one key, at less than the cost of each alone.
   *
   * @returns for each whether it was below the modulus
   * @throws KmsError `InternalFailure` where a fault ended the operation
   */
  publicPair(first: RawRsaPublicKey, second: RawRsaPublicKey): readonly [boolean, boolean] {
    const slotA = this.#slotOf(first);
    const slotB = this.#slotOf(second);
    const served = this.#guard(() => this.kernel.rsaPublicPair(slotA, slotB), first, second);
    return [(served & 1) !== 0, (served & 2) !== 0];
  }

  /** Wipes inputs and outputs of the module. */
  wipeBlocks(): void {
    this.kernel.rsaWipeBlocks();
  }

  /** Wipes a key for good. */
  destroy(key: RawRsaPrivateKey | RawRsaPublicKey): void {
    if (key.destroyed) return;
    key.destroyed = true;
    key.bytes.fill(0);
    this.#evict(key);
    if (key instanceof RawRsaPrivateKey) this.#live.delete(key);
  }

  #evict(key: RawRsaPrivateKey | RawRsaPublicKey): void {
    if (key instanceof RawRsaPrivateKey) this.#private.evict(key);
    else this.#public.evict(key);
  }

  /** Wipes every private key of an engine. */
  destroyAll(owner: object): void {
    for (const key of this.#live) if (key.owner === owner) this.destroy(key);
  }

  /** Raises with a fresh blinding where the one in the slot is used up. */
  #raise(slot: number): number {
    const { kernel } = this;
    const answer = kernel.rsaPrivate(slot);
    if (answer !== Answer.needsBlinding) return answer;
    this.#drawRandom();
    // Random numbers are refused once in 2^1023: what is refused here is a slot that changed by itself.
    return kernel.rsaBlind(slot) === 1 ? kernel.rsaPrivate(slot) : Answer.faulty;
  }

  /**
   * Runs the kernels. Memory that changed by itself may take them out of bounds, which ends the call where it is: then what
   * they worked with is wiped here, and the slots with it.
   */
  #guard(run: () => number, ...keys: readonly (RawRsaPrivateKey | RawRsaPublicKey)[]): number {
    if (this.#isDirty) this.#clean();
    try {
      return run();
    } catch (cause) {
      this.#isDirty = true;
      for (const key of keys) this.#evict(key);
      this.#clean();
      throw new KmsError("InternalFailure", "A fault ended an RSA operation.", { cause });
    }
  }

  /**
   * Wipes what an operation works with, and writes the tables of the arithmetic anew. Where it fails, so does every later
   * operation: public ones, whose results nothing else checks, as well.
   */
  #clean(): void {
    if (this.kernel.rsaSelfTest() !== 1) {
      throw new KmsError("InternalFailure", "The RSA kernels failed their self-test after a fault.");
    }
    this.kernel.rsaWipeBlocks();
    this.#isDirty = false;
  }

  #drawRandom(): void {
    crypto.getRandomValues(this.#fresh);
    this.kernel.random.set(this.#fresh);
    this.#fresh.fill(0);
  }

  #slotOf(key: RawRsaPublicKey): number {
    const slot = this.#public.use(key);
    ensure(slot !== undefined, "InternalFailure", "An RSA key could not be loaded again.");
    return slot;
  }
}

/** What `rsaPrivate` answers. */
const Answer = { tooLarge: 0, done: 1, needsBlinding: 2, faulty: 3 } as const;

function withoutZeros(number: Uint8Array): Uint8Array {
  let start = 0;
  while (start < number.length && number[start] === 0) start += 1;
  return number.subarray(start);
}

function bitsOf(n: Uint8Array): number {
  const { length, 0: first = 0 } = withoutZeros(n);
  ensure(
    first >= 0x80 && (length === 256 || length === 384 || length === LONGEST_BLOCK),
    "Rejected.UnsupportedOperation",
    "RSA keys must have 2048, 3072 or 4096 bits.",
  );
  return 8 * length;
}

function place(key: RawKey, { n, e }: RsaPublicParts): void {
  key.bytes.set(withoutZeros(n), PLACES.n);
  const exponent = withoutZeros(e);
  ensure(
    exponent.length <= E_LENGTH,
    "Rejected.UnsupportedOperation",
    "The public exponent of an RSA key must not have more than 256 bits.",
  );
  key.bytes.set(exponent, PLACES.e + E_LENGTH - exponent.length);
}

/** Copies a secret number to its place, whatever zeros it leads with. */
function placeHalf(
  key: RawKey,
  part: "p" | "q" | "dP" | "dQ" | "qInv",
  number: Uint8Array,
  code: "InvalidKeyMaterial" | "Rejected.UnsupportedOperation",
): void {
  const length = key.bits / 16;
  const excess = Math.max(0, number.length - length);
  let above = 0;
  for (let i = 0; i < excess; i++) above |= number[i] ?? 0;
  ensure(above === 0, code, `${part} of the RSA key has more than half the bits of its modulus.`);
  const kept = number.subarray(excess);
  key.bytes.set(kept, PLACES[part] + length - kept.length);
}
