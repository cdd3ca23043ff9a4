/**
 * Lends the kernel's few places for large tables to public keys that verify often: building one costs as much as it saves in
 * about twenty verifications, so a key has to come that often first. Tables hold public numbers alone.
 */

import type { CurveName } from "../engine.ts";
import { CURVE_NUMBER, type EcKernel, ItemPart } from "./ec-kernel.ts";
import { expectDone } from "./hash-kernel.ts";

/** Verifications after which a key gets a table. */
export const USES_BEFORE_TABLE = 20;

/** A public key that may have a table. */
export interface TableUser {
  readonly curve: CurveName;
  /** x ‖ y, of a point on the curve. */
  readonly coordinates: Uint8Array;
  /** One more than the place of its table; 0 for none. */
  tableNumber: number;
  /** Verifications since it last had none. */
  uses: number;
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

  /** Builds a key's table in the place used longest ago, unless this very call uses them all. */
  #build(key: TableUser): void {
    const place = this.#lastUse.indexOf(Math.min(...this.#lastUse));
    if (this.#lastUse[place] === this.#call) return;
    const occupant = this.#users[place]?.deref();
    if (occupant !== undefined) this.forget(occupant);
    const { memory, items } = this.#kernel;
    memory.set(key.coordinates, items + ItemPart.key);
    expectDone(this.#kernel.ecdsaLoadKey(CURVE_NUMBER[key.curve], place));
    this.#users[place] = new WeakRef(key);
    key.tableNumber = place + 1;
  }
}
