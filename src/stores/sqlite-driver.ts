/**
 * One small face over the two SQLite libraries a runtime may offer: `node:sqlite` and `better-sqlite3`.
 * Neither is loaded before a store is opened. No schema and no policy here.
 */

import { createRequire } from "node:module";
import { KmsError } from "../errors.ts";

/** Names a library that can serve a store. */
export type SqliteDriver = "node:sqlite" | "better-sqlite3";

/** A column value that goes in. */
export type SqliteValue = string | number | Uint8Array;

/** A prepared statement; `run` for those without a result, `all` for the others. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
}

/** The part of a connection that both libraries share, so that both serve as they are. */
export interface SqliteConnection {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): unknown;
}

/** Opens a connection to a file that exists. */
export type SqliteOpener = (file: string) => SqliteConnection;

/** What of `node:sqlite` is used; the types of Node 20 do not know the module. */
interface NodeSqlite {
  readonly DatabaseSync: new (file: string, options: { allowExtension: boolean }) => SqliteConnection;
}

const LOADERS: Readonly<Record<SqliteDriver, () => SqliteOpener>> = {
  "node:sqlite": () => {
    const { DatabaseSync } = createRequire(import.meta.url)("node:sqlite") as NodeSqlite;
    return (file) => new DatabaseSync(file, { allowExtension: false });
  },
  "better-sqlite3": () => {
    const Database = createRequire(import.meta.url)("better-sqlite3") as typeof import("better-sqlite3");
    // The native part loads with the first connection; a missing or foreign build shows here, before any file is touched.
    new Database(":memory:").close();
    return (file) => new Database(file, { fileMustExist: true });
  },
};

/**
 * Loads a driver: the named one, else the first that this runtime has.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` when there is none
 */
export function loadSqlite(driver?: SqliteDriver): SqliteOpener {
  const reasons: unknown[] = [];
  for (const name of driver === undefined ? (["node:sqlite", "better-sqlite3"] as const) : [driver]) {
    try {
      return LOADERS[name]();
    } catch (error) {
      reasons.push(error);
    }
  }
  throw new KmsError(
    "Rejected.UnsupportedOperation",
    `${driver ?? "SQLite"} is not available in this runtime: use Node 22.13 or later, which has node:sqlite, or install the package better-sqlite3 (npm install better-sqlite3).`,
    { cause: new AggregateError(reasons, "no SQLite driver could be loaded") },
  );
}

/** Runs the work in one write transaction: all of it is committed, or none. */
export function transact<T>(connection: SqliteConnection, work: () => T): T {
  connection.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    rollback(connection);
    throw error;
  }
}

/** Ends a failed transaction. SQLite ends it by itself after some errors (full disk, I/O) and then refuses the word. */
function rollback(connection: SqliteConnection): void {
  try {
    connection.exec("ROLLBACK");
  } catch {
    // The failure that led here is the one to report.
  }
}

/** Tells the failures apart that a store words differently. */
export type SqliteFault = "busy" | "foreign" | "damaged" | "other";

/** Primary result codes (sqlite.org/rescode.html): BUSY, LOCKED, CORRUPT, NOTADB. */
const FAULT_BY_NUMBER: ReadonlyMap<number, SqliteFault> = new Map([
  [5, "busy"],
  [6, "busy"],
  [11, "damaged"],
  [26, "foreign"],
]);

const FAULT_BY_NAME: ReadonlyMap<string, SqliteFault> = new Map([
  ["BUSY", "busy"],
  ["LOCKED", "busy"],
  ["CORRUPT", "damaged"],
  ["NOTADB", "foreign"],
]);

/** Classifies an error of either library. `node:sqlite` gives extended numbers, `better-sqlite3` extended names. */
export function sqliteFault(error: unknown): SqliteFault {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown };
  if (typeof errcode === "number") return FAULT_BY_NUMBER.get(errcode & 0xff) ?? "other";
  const name = typeof code === "string" ? /^SQLITE_([A-Z]+)/.exec(code)?.[1] : undefined;
  return FAULT_BY_NAME.get(name ?? "") ?? "other";
}
