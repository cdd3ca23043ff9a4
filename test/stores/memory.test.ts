/** The memory store: the conformance suite, and what becomes of bytes that left. */

import { expect, test } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { asMap, describeKeyStore, put, remove } from "../conformance/key-store.ts";

describeKeyStore("memory", () => {
  const store = memoryStore();
  return () => store;
});

test("two memory stores share nothing and do not claim to persist", async () => {
  const [one, other] = [memoryStore(), memoryStore()];
  await one.open();
  await one.commit([put("key", "a", [1])]);
  expect(await other.open()).toEqual([]);
  expect(one.persistent).toBe(false);
});

test("replaced and deleted rows are zeroed, and living ones are not", async () => {
  const store = memoryStore();
  await store.open();
  const copies = await collectCopies(async () => {
    await store.commit([
      put("version", "a", [1, 2]),
      put("version", "b", [3, 4]),
      put("version", "c", [5, 6]),
    ]);
  });
  const rows = copies.filter((copy) => copy.length === 2);
  expect(rows.map((row) => [...row])).toContainEqual([3, 4]);
  await store.commit([put("version", "a", [7, 8]), remove("version", "b")]);
  await store.purge();
  expect(rows.map((row) => [...row])).not.toContainEqual([1, 2]);
  expect(rows.map((row) => [...row])).not.toContainEqual([3, 4]);
  await store.close();
  const expected = new Map([
    ["version/a", [7, 8]],
    ["version/c", [5, 6]],
  ]);
  expect(asMap(await store.open())).toEqual(expected);
});

/** Collects the arrays that go into maps while the work runs: the store's own copies are not reachable from outside. */
async function collectCopies(work: () => Promise<void>): Promise<Uint8Array[]> {
  const copies: Uint8Array[] = [];
  const { set } = Map.prototype;
  Map.prototype.set = function (key: unknown, value: unknown) {
    if (value instanceof Uint8Array) copies.push(value);
    return set.call(this, key, value);
  };
  try {
    await work();
  } finally {
    Map.prototype.set = set;
  }
  return copies;
}
