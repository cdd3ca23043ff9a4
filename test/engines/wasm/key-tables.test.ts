/** Which public keys have one of the kernel's few large tables, and how often tables are built for that. */

import { beforeEach, expect, test } from "vitest";
import type { EcKernel } from "../../../src/engines/wasm/ec-kernel.ts";
import { KeyTables, type TableUser, USES_BEFORE_TABLE } from "../../../src/engines/wasm/key-tables.ts";

const PLACES = 4;
let builds: number;
let tables: KeyTables;

beforeEach(() => {
  builds = 0;
  tables = new KeyTables({
    keyCount: PLACES,
    memory: new Uint8Array(1024),
    items: 0,
    ecdsaLoadKey: () => {
      builds += 1;
      return 1;
    },
  } as unknown as EcKernel);
});

const newKey = (): TableUser => ({
  curve: "P-256",
  coordinates: new Uint8Array(64),
  tableNumber: 0,
  uses: 0,
  halvings: 0,
});
const newKeys = (count: number): TableUser[] => Array.from({ length: count }, newKey);

/** Verifies once with each key, in one call or in as many. */
const verify = (keys: readonly TableUser[], together: boolean = false): number[] =>
  together
    ? tables.use(
        keys.map((key) => ({ key })),
        0,
        keys.length,
      )
    : keys.flatMap((key) => tables.use([{ key }], 0, 1));

const withTables = (keys: readonly TableUser[]): number => keys.filter((key) => key.tableNumber !== 0).length;

test("a key gets a table after so many verifications, and no two keys share one", () => {
  const keys = newKeys(PLACES);
  for (let i = 0; i < USES_BEFORE_TABLE; i++) expect(verify(keys)).toEqual(keys.map(() => 0));
  expect(verify(keys).sort()).toEqual([1, 2, 3, 4]);
  expect(builds).toBe(PLACES);
});

test("among any number of keys used alike, each table is built once", () => {
  const keys = newKeys(25 * PLACES);
  for (let i = 0; i < 500; i++) verify(keys);
  expect([builds, withTables(keys)]).toEqual([PLACES, PLACES]);
});

test("keys that come a few times do not displace those in use, however many they are", () => {
  const hot = newKeys(PLACES);
  for (let i = 0; i < 3 * USES_BEFORE_TABLE; i++) verify(hot);
  for (let i = 0; i < 3000; i++) {
    verify(hot);
    const passing = newKey();
    for (let use = 0; use < USES_BEFORE_TABLE + 5; use++) if (i % 3 === 0) verify([passing]);
  }
  expect([builds, withTables(hot)]).toEqual([PLACES, PLACES]);
});

test("keys used twice as often take the places of others, and so do keys used now of keys used long ago", () => {
  const [often, seldom] = [newKeys(PLACES), newKeys(PLACES)];
  for (let i = 0; i < 30; i++) verify(seldom);
  for (let i = 0; i < 300; i++) {
    verify(often);
    if (i % 3 === 0) verify(seldom);
  }
  expect([withTables(often), withTables(seldom)]).toEqual([PLACES, 0]);
  for (let i = 0; i < 20_000; i++) verify(often);
  expect(builds).toBe(2 * PLACES);
  const next = newKeys(PLACES);
  for (let i = 0; i < 20_000; i++) verify(next);
  expect([withTables(often), withTables(next)]).toEqual([0, PLACES]);
});

test("a table that this very call uses is not given to another key of it", () => {
  const hot = newKeys(PLACES);
  for (let i = 0; i < 30; i++) verify(hot);
  const rivals = newKeys(2);
  for (const rival of rivals) rival.uses = 1000;
  expect(verify([...hot, ...rivals], true)).toEqual([1, 2, 3, 4, 0, 0]);
  const numbers = verify([...rivals, ...hot], true);
  expect(new Set(numbers.filter((number) => number !== 0)).size).toBe(PLACES);
  expect(withTables([...hot, ...rivals])).toBe(PLACES);
});

test("a key that is forgotten gives its place to the next, and starts anew", () => {
  const [first, ...others] = newKeys(PLACES);
  if (first === undefined) throw new Error("no key");
  for (let i = 0; i < 1000; i++) verify([first, ...others]);
  tables.forget(first);
  expect(verify([first])).toEqual([0]);
  const next = newKey();
  for (let i = 0; i <= USES_BEFORE_TABLE; i++) verify([next]);
  expect([next.tableNumber, first.tableNumber]).toEqual([1, 0]);
});
