/** The SQLite store seen from its connection: the settings in force, and failures that only a driver can produce. */

import { afterEach, expect, test, vi } from "vitest";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import type { SqliteConnection } from "../../src/stores/sqlite-driver.ts";
import { readPragma } from "../../src/stores/sqlite-schema.ts";
import { asMap, put } from "../conformance/key-store.ts";
import { describeEachDriver, filledStore, newPlace, temporaryFolder } from "./sqlite-support.ts";

/** The connection of the last opened store, and a statement at which it breaks. */
const seam = vi.hoisted(() => ({
  connection: undefined as SqliteConnection | undefined,
  breakAt: undefined as string | undefined,
  error: new Error("none"),
  /** Whether the connection has ended its transaction by the time it reports the fault, as SQLite does on a full disk. */
  endsTransaction: false,
}));

vi.mock(import("../../src/stores/sqlite-driver.ts"), async (importOriginal) => {
  const original = await importOriginal();
  return {
    ...original,
    loadSqlite: (driver) => {
      const open = original.loadSqlite(driver);
      return (file) => {
        const connection = open(file);
        const check = (sql: string): void => {
          if (seam.breakAt === undefined || !sql.includes(seam.breakAt)) return;
          if (seam.endsTransaction) connection.exec("ROLLBACK");
          throw seam.error;
        };
        seam.connection = connection;
        return {
          exec: (sql) => {
            check(sql);
            return connection.exec(sql);
          },
          prepare: (sql) => {
            check(sql);
            return connection.prepare(sql);
          },
          close: () => connection.close(),
        };
      };
    },
  };
});

const folder = temporaryFolder();

afterEach(() => {
  seam.breakAt = undefined;
  seam.endsTransaction = false;
});

/** Makes errors as the libraries do. */
const ERRORS = {
  "better-sqlite3": (name: string) => Object.assign(new Error("fault"), { code: `SQLITE_${name}` }),
  "node:sqlite": (_name: string, number: number) =>
    Object.assign(new Error("fault"), { code: "ERR_SQLITE_ERROR", errcode: number }),
};

describeEachDriver("the SQLite store's connection", (driver) => {
  test("durability, secrecy and exclusion rest on these settings", async () => {
    const store = sqliteStore({ file: newPlace(folder), driver });
    await store.open();
    const { connection } = seam;
    if (connection === undefined) throw new Error("no connection was made");
    const names = ["journal_mode", "locking_mode", "synchronous", "secure_delete", "temp_store"];
    const more = ["fullfsync", "checkpoint_fullfsync", "trusted_schema", "foreign_keys"];
    const values = [...names, ...more].map((name) => readPragma(connection, name));
    expect(values).toEqual(["wal", "exclusive", 2, 1, 2, 1, 1, 0, 0]);
    await store.close();
  });

  test.each([
    ["BUSY", 5, "ServiceUnavailableTemporary"],
    ["BUSY_SNAPSHOT", 517, "ServiceUnavailableTemporary"],
    ["LOCKED", 6, "ServiceUnavailableTemporary"],
    ["FULL", 13, "InternalFailure"],
    ["IOERR_FSYNC", 1034, "InternalFailure"],
    ["READONLY", 8, "InternalFailure"],
    ["CORRUPT", 11, "InternalFailure"],
  ])(
    "%s at the end of a commit is reported with its cause and leaves nothing applied",
    async (name, number, code) => {
      const store = sqliteStore({ file: newPlace(folder), driver });
      await store.open();
      await store.commit([put("key", "a", [1])]);
      seam.error = ERRORS[driver](name, number);
      seam.breakAt = "COMMIT";
      expect(() => store.commit([put("key", "a", [9]), put("key", "b", [9])])).toThrow(
        expect.objectContaining({ name: "KmsError", code, cause: seam.error }),
      );
      seam.breakAt = undefined;
      await store.commit([put("key", "c", [3])]);
      await store.close();
      const expected = new Map([
        ["key/a", [1]],
        ["key/c", [3]],
      ]);
      expect(asMap(await store.open())).toEqual(expected);
      await store.close();
    },
  );

  test("a failure that has ended the transaction already is still the one reported", async () => {
    const store = sqliteStore({ file: newPlace(folder), driver });
    await store.open();
    seam.error = ERRORS[driver]("FULL", 13);
    seam.breakAt = "COMMIT";
    seam.endsTransaction = true;
    expect(() => store.commit([])).toThrow(expect.objectContaining({ cause: seam.error }));
    seam.breakAt = undefined;
    await store.commit([put("key", "a", [1])]);
    await store.close();
  });

  test("a purge or a close that fails says so, and the close releases the store all the same", async () => {
    const file = await filledStore(folder, driver);
    const store = sqliteStore({ file, driver });
    await store.open();
    seam.error = ERRORS[driver]("IOERR_WRITE", 778);
    for (const breakAt of ["VACUUM", "wal_checkpoint"]) {
      seam.breakAt = breakAt;
      expect(() => store.purge()).toThrow(
        expect.objectContaining({ code: "InternalFailure", cause: seam.error }),
      );
    }
    await expect(store.close()).rejects.toMatchObject({ code: "InternalFailure", cause: seam.error });
    seam.breakAt = undefined;
    await store.close();
    expect(await store.open()).toHaveLength(60);
    await store.close();
  });

  test("an open that fails late releases the store", async () => {
    const file = await filledStore(folder, driver);
    const store = sqliteStore({ file, driver });
    seam.error = ERRORS[driver]("IOERR_READ", 266);
    for (const breakAt of ["busy_timeout", "journal_mode", "integrity_check", "SELECT kind", "INSERT"]) {
      seam.breakAt = breakAt;
      await expect(store.open(), breakAt).rejects.toMatchObject({
        code: "InternalFailure",
        cause: seam.error,
      });
    }
    seam.breakAt = undefined;
    expect(await store.open()).toHaveLength(60);
    await store.close();
  });
});
