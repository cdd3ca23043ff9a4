/** The SQLite store: the conformance suite per driver, and its options, files, locks, deletions and failures. */

import { chmodSync, existsSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { MIGRATIONS } from "../../src/stores/sqlite-schema.ts";
import { asMap, describeKeyStore, put, remove } from "../conformance/key-store.ts";
import {
  bundleStore,
  describeEachDriver,
  everyByte,
  filledStore,
  newPlace,
  startChild,
  temporaryFolder,
} from "./sqlite-support.ts";

const folder = temporaryFolder();

describe("the options", () => {
  test.each([[{}], [{ file: 7 }], [{ file: "" }], [{ file: ":memory:" }], [{ file: "a\0b" }]])(
    "%j is refused",
    (options) => {
      expect(() => sqliteStore(options as { file: string })).toThrow(
        expect.objectContaining({ code: "InvalidParameter" }),
      );
    },
  );

  test("an unknown driver is refused", () => {
    expect(() => sqliteStore({ file: "keys.db", driver: "sqlite" as "node:sqlite" })).toThrow(
      /driver must be/,
    );
  });
});

test.skipIf(Number(process.versions.node.split(".")[0]) >= 22)(
  "a driver that the runtime lacks is refused with what to install, and no file is made",
  async () => {
    const file = newPlace(folder);
    await expect(sqliteStore({ file, driver: "node:sqlite" }).open()).rejects.toMatchObject({
      code: "Rejected.UnsupportedOperation",
      message: expect.stringMatching(/node:sqlite is not available.*npm install better-sqlite3/),
    });
    expect(existsSync(file)).toBe(false);
  },
);

describeEachDriver("the SQLite store", (driver) => {
  describeKeyStore(`sqlite by ${driver}`, () => {
    const file = newPlace(folder);
    return () => sqliteStore({ file, driver });
  });

  test("it persists, and without a driver named it finds one", async () => {
    const file = await filledStore(folder, driver);
    const store = sqliteStore({ file });
    expect(store.persistent).toBe(true);
    expect(await store.open()).toHaveLength(60);
    await store.close();
  });

  describe("files", () => {
    test("the file and its log are for their owner alone, and no shared memory file exists", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      await store.commit([put("key", "a", [1])]);
      expect(readdirSync(join(file, "..")).sort()).toEqual(["keys.db", "keys.db-wal"]);
      if (process.platform !== "win32") {
        expect(statSync(file).mode & 0o777).toBe(0o600);
        expect(statSync(`${file}-wal`).mode & 0o777).toBe(0o600);
      }
      await store.close();
      expect(readdirSync(join(file, ".."))).toEqual(["keys.db"]);
    });

    test("an open store keeps the settings that durability rests on", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      await store.commit([put("key", "a", [1])]);
      // The log's header carries its magic number only once a commit went through it.
      expect(readFileSync(`${file}-wal`).readUInt32BE(0) >>> 1).toBe(0x377f0682 >>> 1);
      await store.close();
      const header = readFileSync(file);
      expect(header.toString("latin1", 68, 72)).toBe("KPLN");
      expect(header.readUInt32BE(60)).toBe(MIGRATIONS.length);
      expect([header[18], header[19]]).toEqual([2, 2]);
    });

    test("a folder that does not exist is named", async () => {
      const file = join(folder, "missing", "keys.db");
      await expect(sqliteStore({ file, driver }).open()).rejects.toMatchObject({
        code: "InvalidParameter",
        message: expect.stringContaining(join(folder, "missing")),
      });
    });

    test("a folder in the file's place is refused", async () => {
      await expect(sqliteStore({ file: folder, driver }).open()).rejects.toMatchObject({
        code: "InvalidParameter",
        message: expect.stringMatching(/not a regular file/),
      });
    });

    test.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
      "a file that cannot be written is an error",
      async () => {
        const file = await filledStore(folder, driver);
        chmodSync(file, 0o400);
        await expect(sqliteStore({ file, driver }).open()).rejects.toMatchObject({ code: "InternalFailure" });
      },
    );

    test("a relative name, also one that begins with file:, is a path from where the store was made", async () => {
      const place = dirname(newPlace(folder));
      const before = process.cwd();
      process.chdir(place);
      const store = sqliteStore({ file: "file:keys.db", driver });
      process.chdir(before);
      await store.open();
      await store.close();
      expect(readdirSync(place)).toEqual(["file:keys.db"]);
    });
  });

  describe("one holder at a time", () => {
    let bundle = "";
    beforeAll(async () => {
      const home = join(newPlace(folder), "..");
      bundle = await bundleStore(home);
    });

    test("a store under another name is the same store", async () => {
      const file = await filledStore(folder, driver);
      const [link, symlink] = [`${file}.hard`, `${file}.soft`];
      linkSync(file, link);
      symlinkSync(file, symlink);
      const store = sqliteStore({ file, driver });
      await store.open();
      for (const other of [link, symlink]) {
        await expect(sqliteStore({ file: other, driver }).open()).rejects.toMatchObject({
          code: "ServiceUnavailableTemporary",
          message: expect.stringMatching(/is held by another process/),
        });
      }
      await store.close();
    });

    test("another process is kept out while this one holds the store, also after refused opens here", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      await expect(sqliteStore({ file, driver }).open()).rejects.toMatchObject({
        code: "ServiceUnavailableTemporary",
      });
      // A lock of the system's own kind would be lost if the refused open had touched the file.
      const child = startChild(bundle, "hold", file, driver);
      expect(await child.line("refused")).toMatch(
        /^refused ServiceUnavailableTemporary .*is held by another process/,
      );
      await child.ended;
      await store.commit([put("key", "a", [1])]);
      await store.close();
    });

    test("this process is kept out while another holds the store, and let in when that one dies", async () => {
      const file = await filledStore(folder, driver);
      const child = startChild(bundle, "hold", file, driver);
      await child.line("holding");
      const store = sqliteStore({ file, driver });
      await expect(store.open()).rejects.toMatchObject({
        code: "ServiceUnavailableTemporary",
        message: expect.stringMatching(/is held by another process/),
      });
      child.process.kill("SIGKILL");
      await child.ended;
      expect(await store.open()).toHaveLength(60);
      await store.close();
    });
  });

  describe("several processes that create a store at once", () => {
    test("leave it to one of them", async () => {
      const bundle = await bundleStore(dirname(newPlace(folder)));
      const file = newPlace(folder);
      const children = [1, 2, 3].map(() => startChild(bundle, "hold", file, driver));
      const outcomes = await Promise.all(
        children.map(async (child) => {
          await Promise.race([child.line("holding").catch(() => {}), child.ended]);
          return child.lines[0]?.split(" ").slice(0, 2).join(" ");
        }),
      );
      for (const child of children) {
        child.process.kill("SIGKILL");
        await child.ended;
      }
      const refused = "refused ServiceUnavailableTemporary";
      expect(outcomes.sort()).toEqual(["open", refused, refused]);
      const store = sqliteStore({ file, driver });
      expect(await store.open()).toEqual([]);
      await store.close();
    }, 30_000);
  });

  describe("deleted bytes", () => {
    test("are in no file after a purge, however often rows moved", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      const marker = (n: number): Uint8Array =>
        new TextEncoder().encode(`marker-${String(n).padStart(6, "0")}:`);
      const dead: number[] = [];
      const living = new Map<number, number>();
      // With this seed secure_delete and a checkpoint alone leave two markers behind (SQLite 3.53).
      let seed = 63_352;
      const random = (bound: number): number => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return (seed >>> 8) % bound;
      };
      for (let n = 0; n < 4000; ) {
        const changes = [];
        for (let i = 0; i < 40; i++, n++) {
          const slot = random(300);
          const before = living.get(slot);
          if (before !== undefined) dead.push(before);
          if (random(2) === 0) {
            const length = random(10) === 0 ? 900 : 20 + random(250);
            const bytes = new Uint8Array(length).fill(0x2e);
            bytes.set(marker(n));
            living.set(slot, n);
            changes.push(put("version", `${slot}`, bytes));
          } else {
            living.delete(slot);
            changes.push(remove("version", `${slot}`));
          }
        }
        await store.commit(changes);
      }
      const found = (): Set<number> =>
        new Set(
          Array.from(
            everyByte(file)
              .toString("latin1")
              .matchAll(/marker-(\d{6}):/g),
            (hit) => Number(hit[1]),
          ),
        );
      const before = found();
      expect(dead.filter((n) => before.has(n)).length).toBeGreaterThan(0);
      await store.purge();
      const after = found();
      expect(dead.filter((n) => after.has(n))).toEqual([]);
      expect([...after].sort()).toEqual([...living.values()].sort());
      expect(statSync(`${file}-wal`).size).toBe(0);
      await store.close();
    }, 30_000);
  });

  describe("a failed commit", () => {
    test("that the database itself refuses half-way leaves nothing applied and the store usable", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      await store.commit([put("key", "a", [1])]);
      const refused = put("key", null as unknown as string, [2]);
      expect(() => store.commit([put("key", "a", [9]), put("key", "b", [9]), refused])).toThrow(
        expect.objectContaining({ code: "InternalFailure", cause: expect.any(Error) }),
      );
      await store.commit([put("key", "c", [3])]);
      await store.close();
      const expected = new Map([
        ["key/a", [1]],
        ["key/c", [3]],
      ]);
      expect(asMap(await store.open())).toEqual(expected);
      await store.close();
    });
  });
});
