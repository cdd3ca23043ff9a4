/**
 * Native memory for records, cut into slots of equal size. A slot is wiped when it is given back; what is larger than the
 * largest of them gets an arena of its own, which goes with it.
 */

import type { NativePool } from "./addon.ts";
import { RECORD_LENGTH } from "./record.ts";

/** Bytes a slot has, and how many slots an arena of that size has. Larger calls get an arena of their own. */
const SLOT_CLASSES: readonly { readonly slotBytes: number; readonly slots: number }[] = [
  { slotBytes: 512, slots: 512 },
  { slotBytes: 4096, slots: 128 },
  { slotBytes: 65_536, slots: 16 },
  { slotBytes: 1 << 20, slots: 2 },
];
/** Most memory in arenas; what does not fit waits in ordinary memory. */
const MAX_ARENA_BYTES: number = 48 * 1024 * 1024;
const ALIGNMENT = 8;
/** Words of a record. */
export const WORDS: number = RECORD_LENGTH / 4;

export function aligned(length: number): number {
  return (length + ALIGNMENT - 1) & -ALIGNMENT;
}

export interface Arena<Entry> {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** The records; the addon runs on little-endian processors alone. */
  readonly words: Uint32Array;
  readonly slotBytes: number;
  readonly slots: number;
  readonly dataStart: number;
  readonly entries: (Entry | undefined)[];
  next: number;
  free: number;
}

/** @typeParam Entry what is kept of each slot that is taken */
export class SlotArenas<Entry> {
  readonly #pool: NativePool;
  readonly #arenas: Map<number, Arena<Entry>> = new Map();
  readonly #byClass: Arena<Entry>[][] = SLOT_CLASSES.map(() => []);
  #byteLength = 0;

  constructor(pool: NativePool) {
    this.#pool = pool;
  }

  get(id: number): Arena<Entry> | undefined {
    return this.#arenas.get(id);
  }

  all(): Iterable<Arena<Entry>> {
    return this.#arenas.values();
  }

  /** Finds an arena with a free slot of so many bytes; undefined while there is no room for another one. */
  withRoom(byteLength: number): Arena<Entry> | undefined {
    const index = SLOT_CLASSES.findIndex(({ slotBytes }) => byteLength <= slotBytes);
    const shape = SLOT_CLASSES[index];
    if (shape === undefined) return this.#make(aligned(byteLength), 1);
    const known = this.#byClass[index] ?? [];
    for (const arena of known) if (arena.free > 0) return arena;
    const made = this.#make(shape.slotBytes, shape.slots);
    if (made !== undefined) known.push(made);
    return made;
  }

  #make(slotBytes: number, slots: number): Arena<Entry> | undefined {
    const byteLength = slots * (RECORD_LENGTH + slotBytes);
    // A call larger than the whole allowance still gets its turn, alone.
    if (this.#byteLength + byteLength > MAX_ARENA_BYTES && this.#byteLength > 0) return undefined;
    const { id, buffer } = this.#pool.createArena(slots, slots * slotBytes);
    this.#byteLength += byteLength;
    const arena: Arena<Entry> = {
      id,
      bytes: new Uint8Array(buffer),
      words: new Uint32Array(buffer, 0, slots * WORDS),
      slotBytes,
      slots,
      dataStart: slots * RECORD_LENGTH,
      entries: new Array<Entry | undefined>(slots).fill(undefined),
      next: 0,
      free: slots,
    };
    this.#arenas.set(id, arena);
    return arena;
  }

  /** Takes a slot of an arena that has one, and returns its index. */
  take(arena: Arena<Entry>, entry: Entry): number {
    let index = arena.next;
    while (arena.entries[index] !== undefined) index = index + 1 === arena.slots ? 0 : index + 1;
    arena.next = index + 1 === arena.slots ? 0 : index + 1;
    arena.free -= 1;
    arena.entries[index] = entry;
    return index;
  }

  /** Gives a slot back of which so many bytes were used. */
  release(arena: Arena<Entry>, index: number, used: number): void {
    const start = arena.dataStart + index * arena.slotBytes;
    arena.bytes.fill(0, start, start + used);
    arena.entries[index] = undefined;
    arena.free += 1;
    if (arena.slots > 1) return;
    this.#arenas.delete(arena.id);
    this.#byteLength -= RECORD_LENGTH + arena.slotBytes;
    this.#pool.destroyArena(arena.id);
  }
}
