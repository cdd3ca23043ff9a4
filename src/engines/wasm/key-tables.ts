/**
 * Lends the kernel's few places for large tables to the public keys that verify most: building one costs as much as it saves
 * in about twenty verifications, so a key has to come that often first, and clearly more often than the key whose place it
 * takes. Tables hold public numbers alone.
 */

import type { CurveName } from "../engine.ts";
import { CURVE_NUMBER, type EcKernel, ItemPart } from "./ec-kernel.ts";
import { expectDone } from "./hash-kernel.ts";

/** Verifications after which a key gets a table. */
export const USES_BEFORE_TABLE = 20;
/**
 * How many times as often as another key one must have been used lately to take its place. Among keys that are used alike
 * the first ones keep their tables, however many the others are.
 */
const MARGIN = 2;
/** Verifications after which all counts are halved, so that a key which was used often long ago makes room. */
const HALF_LIFE = 16_384;

/** A public key that may have a table. */
export interface TableUser {
  readonly curve: CurveName;
  /** x ‖ y, of a point on the curve. */
  readonly coordinates: Uint8Array;
  /** One more than the place of its table; 0 for none. */
  tableNumber: number;
  /** Verifications, of which older ones count less. */
  uses: number;
  /** How often `uses` has been halved. */
  halvings: number;
}

const tablesOfKernel: WeakMap<Uint8Array, KeyTables> = new WeakMap();

/** Returns the one set of tables of a kernel's memory. */
export function keyTablesOf(kernel: EcKernel): KeyTables {
  let tables = tablesOfKernel.get(kernel.memory);
  if (tables === undefined) {
    tables = new KeyTables(kernel);
    tablesOfKernel.set(kernel.memory, tables);
  }
  return tables;
}

export class KeyTables {
  readonly #kernel: EcKernel;
  readonly #users: (WeakRef<TableUser> | undefined)[];
  /** The call in which each table was used last. */
  readonly #lastUse: number[];
  #call = 0;
  #verifications = 0;

  constructor(kernel: EcKernel) {
    this.#kernel = kernel;
    this.#users = new Array<undefined>(kernel.keyCount).fill(undefined);
    this.#lastUse = new Array<number>(kernel.keyCount).fill(0);
  }

  /**
   * Counts the use of the keys of neighbouring jobs on one curve and builds the tables that are due.
   *
   * @returns the number of the table of each job's key, for as many jobs as one call takes
   */
  use(jobs: readonly { readonly key: TableUser }[], start: number, most: number): number[] {
    this.#call += 1;
    const numbers: number[] = [];
    const curve = jobs[start]?.key.curve;
    for (let i = start; i < jobs.length && numbers.length < most; i++) {
      const key = jobs[i]?.key;
      if (key === undefined || key.curve !== curve) break;
      this.#verifications += 1;
      this.#age(key);
      key.uses += 1;
      if (key.tableNumber === 0 && key.uses > USES_BEFORE_TABLE) this.#build(key);
      if (key.tableNumber !== 0) this.#lastUse[key.tableNumber - 1] = this.#call;
      numbers.push(key.tableNumber);
    }
    return numbers;
  }

  /** Gives the place of a key's table back. */
  forget(key: TableUser): void {
    if (key.tableNumber === 0) return;
    this.#users[key.tableNumber - 1] = undefined;
    this.#lastUse[key.tableNumber - 1] = 0;
    key.tableNumber = 0;
    key.uses = 0;
  }

  /** Halves a key's uses as often as is due. */
  #age(key: TableUser): void {
    const due = Math.floor(this.#verifications / HALF_LIFE);
    if (due === key.halvings) return;
    key.uses = Math.floor(key.uses / 2 ** (due - key.halvings));
    key.halvings = due;
  }

  /** Finds a free place, or that of the key used least if it is used little enough and not in this very call. */
  #placeFor(key: TableUser): number | undefined {
    let found: number | undefined;
    let fewest = key.uses / MARGIN;
    for (let place = 0; place < this.#users.length; place++) {
      const occupant = this.#users[place]?.deref();
      if (occupant === undefined) return place;
      this.#age(occupant);
      if (occupant.uses > fewest || this.#lastUse[place] === this.#call) continue;
      found = place;
      fewest = occupant.uses;
    }
    return found;
  }

  /** Builds a key's table if there is a place for it. */
  #build(key: TableUser): void {
    const place = this.#placeFor(key);
    if (place === undefined) return;
    const occupant = this.#users[place]?.deref();
    if (occupant !== undefined) occupant.tableNumber = 0;
    const { memory, items } = this.#kernel;
    memory.set(key.coordinates, items + ItemPart.key);
    expectDone(this.#kernel.ecdsaLoadKey(CURVE_NUMBER[key.curve], place));
    this.#users[place] = new WeakRef(key);
    key.tableNumber = place + 1;
  }
}
