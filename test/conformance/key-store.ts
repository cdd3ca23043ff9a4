/** What every key store must do. Called once per store; crashes and files are the business of each store's own tests. */

import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../../src/keys/key-store.ts";

const KINDS: readonly RecordKind[] = ["header", "key", "version", "usage", "alias"];

/** Few ids, so that changes meet; empty, odd and non-ASCII ones among them. */
const id = fc.constantFrom(
  "",
  "a",
  "A",
  "b ",
  "key-0",
  "alias/é",
  "e\u0301",
  "\u{1f511}",
  "nul\0id",
  "'; --",
);

const change: fc.Arbitrary<StoreChange> = fc.oneof(
  fc.record({
    action: fc.constant("put" as const),
    kind: fc.constantFrom(...KINDS),
    id,
    bytes: fc.uint8Array({ maxLength: 40 }),
  }),
  fc.record({ action: fc.constant("delete" as const), kind: fc.constantFrom(...KINDS), id }),
);

/**
 * Checks a store.
 *
 * @param make finds a new, empty place and returns a function that makes handles on it (or returns the one handle there is)
 */
export function describeKeyStore(name: string, make: () => () => KeyStore): void {
  describe(`${name} as a key store`, () => {
    const opened: KeyStore[] = [];
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });

    /** Opens a store in a new place. */
    async function start(): Promise<{ store: KeyStore; handle: () => KeyStore; records: StoredRecord[] }> {
      const handle = make();
      const store = handle();
      const records = await store.open();
      opened.push(store);
      return { store, handle, records };
    }

    /** Closes a store and reads what a later handle finds. */
    async function reopen(store: KeyStore, handle: () => KeyStore): Promise<StoredRecord[]> {
      await store.close();
      const later = handle();
      const records = await later.open();
      opened.push(later);
      return records;
    }

    test("a new store has no rows", async () => {
      const { records } = await start();
      expect(records).toEqual([]);
    });

    test("committed rows of every kind come back, and kinds do not share ids", async () => {
      const { store, handle } = await start();
      await store.commit(KINDS.map((kind, n) => put(kind, "same", [n])));
      const records = await reopen(store, handle);
      expect(asMap(records)).toEqual(new Map(KINDS.map((kind, n) => [`${kind}/same`, [n]])));
    });

    test("a put replaces, a delete removes, and deleting nothing is no error", async () => {
      const { store, handle } = await start();
      await store.commit([put("key", "a", [1]), put("key", "b", [2])]);
      await store.commit([put("key", "a", [3, 3]), remove("key", "b"), remove("alias", "none")]);
      expect(asMap(await reopen(store, handle))).toEqual(new Map([["key/a", [3, 3]]]));
    });

    test("changes of one commit apply in their order", async () => {
      const { store, handle } = await start();
      await store.commit([
        put("key", "a", [1]),
        put("key", "a", [2]),
        put("key", "b", [1]),
        remove("key", "b"),
        remove("key", "c"),
        put("key", "c", [4]),
      ]);
      const expected = new Map([
        ["key/a", [2]],
        ["key/c", [4]],
      ]);
      expect(asMap(await reopen(store, handle))).toEqual(expected);
    });

    test("rows may be empty, large, or views of larger memory", async () => {
      const { store, handle } = await start();
      const memory = Uint8Array.from({ length: 1 << 20 }, (_, n) => n * 7);
      await store.commit([
        { action: "put", kind: "key", id: "empty", bytes: new Uint8Array(0) },
        { action: "put", kind: "key", id: "large", bytes: memory },
        { action: "put", kind: "key", id: "view", bytes: memory.subarray(5, 9) },
        { action: "put", kind: "key", id: "buffer", bytes: Buffer.from("pooled") },
      ]);
      const rows = new Map((await reopen(store, handle)).map((record) => [record.id, record.bytes]));
      expect(rows.get("empty")).toEqual(new Uint8Array(0));
      expect(Buffer.compare(rows.get("large") ?? new Uint8Array(0), memory)).toBe(0);
      expect(rows.get("view")).toEqual(memory.slice(5, 9));
      expect(rows.get("buffer")).toEqual(new TextEncoder().encode("pooled"));
    });

    test("bytes are copied on the way in and on the way out", async () => {
      const { store, handle } = await start();
      const bytes = Uint8Array.of(1, 2, 3);
      await store.commit([{ action: "put", kind: "key", id: "a", bytes }]);
      bytes.fill(9);
      const first = await reopen(store, handle);
      expect(asMap(first)).toEqual(new Map([["key/a", [1, 2, 3]]]));
      const view = first[0]?.bytes ?? new Uint8Array(0);
      expect(view.constructor).toBe(Uint8Array);
      expect(view.buffer.byteLength).toBe(3);
      view.fill(9);
      const last = opened[opened.length - 1] ?? store;
      expect(asMap(await reopen(last, handle))).toEqual(new Map([["key/a", [1, 2, 3]]]));
    });

    test("an unusable change anywhere leaves all of its commit undone", async () => {
      const { store, handle } = await start();
      await store.commit([put("key", "a", [1]), put("key", "b", [2])]);
      const detached = new Uint8Array(4);
      structuredClone(detached, { transfer: [detached.buffer] });
      for (const bytes of [detached, "text", undefined, new Uint8Array(new SharedArrayBuffer(4))]) {
        const bad = { action: "put", kind: "key", id: "c", bytes } as StoreChange;
        await expect(
          attempt(() => store.commit([put("key", "a", [9]), remove("key", "b"), bad, put("key", "d", [4])])),
        ).rejects.toMatchObject({ name: "KmsError", code: "InvalidParameter" });
      }
      await store.commit([put("key", "e", [5])]);
      const expected = new Map([
        ["key/a", [1]],
        ["key/b", [2]],
        ["key/e", [5]],
      ]);
      expect(asMap(await reopen(store, handle))).toEqual(expected);
    });

    test("any history of commits, purges and reopenings leaves what a map would hold", async () => {
      const step = fc.oneof(
        { weight: 5, arbitrary: fc.array(change, { maxLength: 8 }) },
        { weight: 1, arbitrary: fc.constantFrom("purge" as const, "reopen" as const) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
          const handle = make();
          let store = handle();
          await store.open();
          const model = new Map<string, number[]>();
          try {
            for (const action of [...steps, "reopen" as const]) {
              if (action === "purge") {
                await store.purge();
              } else if (action === "reopen") {
                await store.close();
                store = handle();
                expect(asMap(await store.open())).toEqual(model);
              } else {
                await store.commit(action);
                for (const one of action) {
                  if (one.action === "put") model.set(`${one.kind}/${one.id}`, [...one.bytes]);
                  else model.delete(`${one.kind}/${one.id}`);
                }
              }
            }
          } finally {
            await store.close();
          }
        }),
        { numRuns: 40 },
      );
    }, 30_000);

    test("a second open is refused while the first goes on", async () => {
      const { store, handle } = await start();
      const refusal = { name: "KmsError", code: "ServiceUnavailableTemporary" };
      await expect(store.open()).rejects.toMatchObject(refusal);
      await expect(handle().open()).rejects.toMatchObject(refusal);
      await store.commit([put("key", "a", [1])]);
      await expect(handle().open()).rejects.toMatchObject(refusal);
      expect(asMap(await reopen(store, handle))).toEqual(new Map([["key/a", [1]]]));
    });

    test("close may be repeated, and a store that is not open refuses work", async () => {
      const { store, handle } = await start();
      await store.close();
      await store.close();
      const fresh = handle();
      await fresh.close();
      for (const closed of [store, fresh]) {
        const refusal = { name: "KmsError", code: "Rejected.Closed" };
        await expect(attempt(() => closed.commit([put("key", "a", [1])]))).rejects.toMatchObject(refusal);
        await expect(attempt(() => closed.purge())).rejects.toMatchObject(refusal);
      }
      expect(await reopen(store, handle)).toEqual([]);
    });

    test("a purge keeps every living row", async () => {
      const { store, handle } = await start();
      await store.commit(Array.from({ length: 200 }, (_, n) => put("version", `v${n}`, [n, n, n])));
      await store.commit(Array.from({ length: 150 }, (_, n) => remove("version", `v${n}`)));
      await store.purge();
      await store.commit([put("version", "after", [7])]);
      const rows = asMap(await reopen(store, handle));
      expect(rows.size).toBe(51);
      expect(rows.get("version/v150")).toEqual([150, 150, 150]);
      expect(rows.get("version/after")).toEqual([7]);
    });
  });
}

/** Builds a put. */
export function put(kind: RecordKind, id: string, bytes: Iterable<number>): StoreChange {
  return { action: "put", kind, id, bytes: Uint8Array.from(bytes) };
}

/** Builds a delete. */
export function remove(kind: RecordKind, id: string): StoreChange {
  return { action: "delete", kind, id };
}

/** Lists rows as plain numbers by `kind/id`, and fails when a row appears twice. */
export function asMap(records: readonly StoredRecord[]): Map<string, number[]> {
  const map = new Map(records.map((record) => [`${record.kind}/${record.id}`, [...record.bytes]]));
  expect(map.size).toBe(records.length);
  return map;
}

/** Turns a throw of a synchronous store into a rejection. */
async function attempt(work: () => void | Promise<void>): Promise<void> {
  await work();
}
