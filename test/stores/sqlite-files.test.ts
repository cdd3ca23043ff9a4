/** The SQLite store and its file: schema steps, and files that are foreign, newer, torn or damaged. */

import {
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { KeyStore } from "../../src/keys/key-store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { loadSqlite, type SqliteConnection } from "../../src/stores/sqlite-driver.ts";
import { MIGRATIONS, migrate, readPragma } from "../../src/stores/sqlite-schema.ts";
import { put } from "../conformance/key-store.ts";
import { describeEachDriver, everyByte, filledStore, newPlace, temporaryFolder } from "./sqlite-support.ts";

const folder = temporaryFolder();

/** Expects an open to be refused, and every byte of the folder to stay as it was. */
async function expectUntouchedRefusal(store: KeyStore, file: string, message: RegExp): Promise<void> {
  const [names, bytes] = [readdirSync(join(file, "..")), everyByte(file)];
  await expect(store.open()).rejects.toMatchObject({
    code: "InternalFailure",
    message: expect.stringMatching(message),
  });
  expect(readdirSync(join(file, ".."))).toEqual(names);
  expect(everyByte(file).equals(bytes)).toBe(true);
}

describeEachDriver("the SQLite store's file", (driver) => {
  const openFile = loadSqlite(driver);

  /** Runs work on the bare file. */
  function withConnection<T>(file: string, work: (connection: SqliteConnection) => T): T {
    writeFileSync(file, "", { flag: "a" });
    const connection = openFile(file);
    try {
      return work(connection);
    } finally {
      connection.close();
    }
  }

  describe("the schema", () => {
    test("a file without content is version 0 and becomes a store", async () => {
      const file = newPlace(folder);
      writeFileSync(file, "");
      const store = sqliteStore({ file, driver });
      expect(await store.open()).toEqual([]);
      await store.close();
      expect(withConnection(file, (connection) => readPragma(connection, "user_version"))).toBe(1);
    });

    test("a creation that was cut short is begun anew", async () => {
      const file = newPlace(folder);
      const crashed = newPlace(folder);
      withConnection(file, (connection) => {
        // A cache of one page makes SQLite write half of the transaction to the file, with the journal beside it.
        connection.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = 1; BEGIN IMMEDIATE");
        for (const step of MIGRATIONS) connection.exec(step);
        for (let n = 0; n < 40; n++)
          connection.exec(`INSERT INTO record VALUES ('key', '${n}', zeroblob(900))`);
        copyFileSync(file, crashed);
        copyFileSync(`${file}-journal`, `${crashed}-journal`);
      });
      expect(statSync(crashed).size).toBeGreaterThan(8192);
      const store = sqliteStore({ file: crashed, driver });
      expect(await store.open()).toEqual([]);
      await store.commit([put("key", "a", [1])]);
      await store.close();
      expect(await store.open()).toHaveLength(1);
      await store.close();
    });

    test("later steps run once, in order, and keep the rows", async () => {
      const file = await filledStore(folder, driver);
      const later = [
        ...MIGRATIONS,
        "ALTER TABLE record ADD COLUMN note TEXT NOT NULL DEFAULT 'x'",
        "UPDATE record SET note = note || 'y'; CREATE TABLE other (id TEXT PRIMARY KEY) STRICT",
      ];
      withConnection(file, (connection) => {
        migrate(connection, file, later);
        migrate(connection, file, later);
        expect(readPragma(connection, "user_version")).toBe(3);
        const rows = connection.prepare("SELECT DISTINCT note FROM record").all();
        expect(rows.map((row) => ({ ...(row as object) }))).toEqual([{ note: "xy" }]);
        expect(connection.prepare("SELECT id FROM record").all()).toHaveLength(60);
      });
    });

    test("a step that fails undoes the steps before it", async () => {
      const file = await filledStore(folder, driver);
      withConnection(file, (connection) => {
        const steps = [...MIGRATIONS, "CREATE TABLE other (id TEXT)", "INSERT INTO missing VALUES (1)"];
        expect(() => migrate(connection, file, steps)).toThrow(/missing/);
        expect(readPragma(connection, "user_version")).toBe(1);
        expect(connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'other'").all()).toEqual([]);
      });
      const store = sqliteStore({ file, driver });
      expect(await store.open()).toHaveLength(60);
      await store.close();
    });

    test("a newer store is refused with both versions and left untouched", async () => {
      const file = await filledStore(folder, driver);
      withConnection(file, (connection) => connection.exec("PRAGMA user_version = 7"));
      await expectUntouchedRefusal(sqliteStore({ file, driver }), file, /schema version 7.*up to 1/);
    });
  });

  describe("a file that is no Keyplane store", () => {
    test("another program's database is refused and left untouched, in either journal mode", async () => {
      for (const mode of ["DELETE", "WAL"]) {
        const file = newPlace(folder);
        withConnection(file, (connection) => {
          connection.exec(`PRAGMA journal_mode = ${mode}`);
          connection.exec(
            "CREATE TABLE record (kind TEXT, id TEXT, bytes BLOB); INSERT INTO record VALUES ('key', 'a', x'01')",
          );
        });
        await expectUntouchedRefusal(sqliteStore({ file, driver }), file, /not a Keyplane store/);
      }
    });

    test("a database with another application's id is refused even when it is empty", async () => {
      const file = newPlace(folder);
      withConnection(file, (connection) => connection.exec("PRAGMA application_id = 1234"));
      await expectUntouchedRefusal(sqliteStore({ file, driver }), file, /not a Keyplane store/);
    });

    test.each(["x", "hello world, this is a text", "-".repeat(10_000)])(
      "text is refused and left untouched",
      async (text) => {
        const file = newPlace(folder);
        writeFileSync(file, text);
        await expectUntouchedRefusal(sqliteStore({ file, driver }), file, /not a Keyplane store|is damaged/);
      },
    );

    test("a refused file can be replaced and opened by the same handle", async () => {
      const file = newPlace(folder);
      writeFileSync(file, "no database at all, but longer than a header is".repeat(9));
      const store = sqliteStore({ file, driver });
      await expect(store.open()).rejects.toMatchObject({ code: "InternalFailure" });
      rmSync(file);
      expect(await store.open()).toEqual([]);
      await store.close();
    });
  });

  describe("a torn file", () => {
    test("is refused wherever it was cut", async () => {
      const file = await filledStore(folder, driver);
      const whole = readFileSync(file);
      const pages = whole.length / 4096;
      expect(pages).toBeGreaterThan(4);
      const cuts = [
        1,
        15,
        50,
        99,
        100,
        101,
        512,
        4095,
        4096,
        4097,
        whole.length - 4096,
        whole.length - 10,
        whole.length - 1,
      ];
      for (const cut of cuts) {
        writeFileSync(file, whole);
        truncateSync(file, cut);
        await expect(sqliteStore({ file, driver }).open(), `cut at ${cut}`).rejects.toMatchObject({
          code: "InternalFailure",
        });
      }
      writeFileSync(file, whole);
      const store = sqliteStore({ file, driver });
      expect(await store.open()).toHaveLength(60);
      await store.close();
    });

    test("is refused when a page was overwritten", async () => {
      const file = await filledStore(folder, driver);
      const whole = readFileSync(file);
      for (const page of [1, 2, 3]) {
        writeFileSync(file, Buffer.from(whole).fill(0, page * 4096, (page + 1) * 4096));
        await expect(sqliteStore({ file, driver }).open(), `page ${page}`).rejects.toMatchObject({
          code: "InternalFailure",
          message: expect.stringMatching(/is damaged/),
        });
      }
    });

    test("is refused when nothing but its log is left", async () => {
      const file = newPlace(folder);
      const store = sqliteStore({ file, driver });
      await store.open();
      await store.commit([put("key", "a", [1])]);
      const log = readFileSync(`${file}-wal`);
      await store.close();
      writeFileSync(file, "");
      writeFileSync(`${file}-wal`, log);
      const link = newPlace(folder);
      symlinkSync(file, link);
      for (const name of [file, link]) {
        await expectUntouchedRefusal(sqliteStore({ file: name, driver }), file, /is damaged/);
      }
    });

    test("is refused when a row is not what the store writes", async () => {
      const file = await filledStore(folder, driver);
      withConnection(file, (connection) => {
        connection.exec("DROP TABLE record; CREATE TABLE record (kind, id, bytes)");
        connection.exec("INSERT INTO record VALUES ('key', 'a', 'text')");
      });
      await expect(sqliteStore({ file, driver }).open()).rejects.toMatchObject({
        code: "InternalFailure",
        message: expect.stringMatching(/is damaged/),
      });
    });
  });
});
