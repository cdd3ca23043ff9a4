/**
 * A store in one SQLite file: rows of sealed bytes, an fsync behind every acknowledged commit, one holder at a time.
 * While it is open a `-wal` file beside it is part of the store; copy the file only when the store is closed.
 */

import { closeSync, openSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { copyBytes, ensureBytes } from "../bytes.ts";
import { ensure, KmsError } from "../errors.ts";
import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../keys/key-store.ts";
import {
  loadSqlite,
  type SqliteConnection,
  type SqliteDriver,
  type SqliteStatement,
  sqliteFault,
  transact,
} from "./sqlite-driver.ts";
import { migrate, readPragma } from "./sqlite-schema.ts";

/** Says where the store lives. */
export interface SqliteStoreOptions {
  /** Path of the file. It is created with mode 0600 if absent; its folder must exist. */
  readonly file: string;
  /** Default: `node:sqlite` where the runtime has it, else `better-sqlite3`. */
  readonly driver?: SqliteDriver;
}

export type { SqliteDriver };

/**
 * Describes a store in a file; nothing is touched before it is opened.
 *
 * @throws KmsError `InvalidParameter` when the options are not usable
 */
export function sqliteStore(options: SqliteStoreOptions): KeyStore {
  const { file, driver } = options;
  ensure(typeof file === "string", "InvalidParameter", "file must be a string.");
  ensure(
    file !== "" && file !== ":memory:" && !file.includes("\0"),
    "InvalidParameter",
    "file must be the path of a file.",
  );
  ensure(
    driver === undefined || driver === "node:sqlite" || driver === "better-sqlite3",
    "InvalidParameter",
    'driver must be "node:sqlite" or "better-sqlite3".',
  );
  return new SqliteStore(resolve(file), driver);
}

/**
 * What every connection is told before it reads.
 * EXCLUSIVE must come before WAL: the log's index then lives in this process, without a shared memory file, and the
 * lock taken by the first transaction is kept until the connection closes. Nobody waits for it: a latecomer that did
 * would keep its own shared lock meanwhile, and so the first one from committing. `temp_store` keeps the copy that a
 * purge makes out of the temporary folder. `fullfsync` matters on macOS, where a plain fsync stops at the drive's cache.
 */
const SETTINGS = `
  PRAGMA busy_timeout = 0;
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA synchronous = FULL;
  PRAGMA fullfsync = ON;
  PRAGMA checkpoint_fullfsync = ON;
  PRAGMA secure_delete = ON;
  PRAGMA temp_store = MEMORY;
  PRAGMA cell_size_check = ON;
  PRAGMA trusted_schema = OFF;
  PRAGMA foreign_keys = OFF;
`;

/**
 * Stores open in this process, by device and inode. SQLite excludes by POSIX locks, which do not exclude within a
 * process when two copies of the library are loaded. The map also keeps a store that its owner forgot to close from
 * being collected: its connection would close, and another process could enter unnoticed.
 */
const held = new Map<string, SqliteStore>();

/** What an open store keeps. */
interface Session {
  readonly connection: SqliteConnection;
  readonly inode: string;
  readonly put: SqliteStatement;
  readonly remove: SqliteStatement;
}

class SqliteStore implements KeyStore {
  readonly persistent: boolean = true;
  readonly #file: string;
  readonly #driver: SqliteDriver | undefined;
  #session: Session | undefined;

  constructor(file: string, driver: SqliteDriver | undefined) {
    this.#file = file;
    this.#driver = driver;
  }

  async open(): Promise<StoredRecord[]> {
    const openFile = loadSqlite(this.#driver);
    const inode = this.#ensureFile();
    if (held.has(inode)) throw heldError(this.#file);
    held.set(inode, this);
    let connection: SqliteConnection | undefined;
    try {
      const sizes = this.#sizes();
      connection = openFile(this.#file);
      prepareConnection(connection, this.#file, sizes);
      const records = readRecords(connection, this.#file);
      this.#session = { connection, inode, ...prepareChanges(connection) };
      return records;
    } catch (error) {
      held.delete(inode);
      connection?.close();
      throw asKmsError(error, this.#file, "opened");
    }
  }

  commit(changes: readonly StoreChange[]): void {
    const { connection, put, remove } = this.#openSession();
    for (const change of changes) if (change.action === "put") ensureBytes(change.bytes, "bytes");
    this.#attempt("written", () =>
      transact(connection, () => {
        for (const change of changes) {
          if (change.action === "put") put.run(change.kind, change.id, change.bytes);
          else remove.run(change.kind, change.id);
        }
      }),
    );
  }

  /**
   * Rebuilds the file from its live rows and empties the log.
   * Secure delete alone is not enough: when SQLite moves a row to another page, a stale copy may stay behind in the
   * slack of the old one, where a later deletion does not find it.
   */
  purge(): void {
    const { connection } = this.#openSession();
    this.#attempt("purged", () => {
      connection.exec("VACUUM");
      checkpoint(connection);
    });
  }

  async close(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#attempt("closed", () => {
      try {
        checkpoint(session.connection);
      } finally {
        session.connection.close();
        held.delete(session.inode);
      }
    });
  }

  /** Creates the file if need be and identifies it. */
  #ensureFile(): string {
    const file = this.#file;
    const folder = dirname(file);
    ensure(
      statSync(folder, { throwIfNoEntry: false })?.isDirectory(),
      "InvalidParameter",
      `The folder ${folder} of the store does not exist.`,
    );
    return this.#attempt("created", () => {
      // Closing any descriptor of a file drops this process's POSIX locks on it, so a file that exists is never opened here.
      if (statSync(file, { throwIfNoEntry: false }) === undefined) createFile(file);
      const stats = statSync(file, { bigint: true });
      ensure(stats.isFile(), "InvalidParameter", `${file} is not a regular file.`);
      return `${stats.dev}:${stats.ino}`;
    });
  }

  #sizes(): FileSizes {
    // SQLite follows a link, so the log lies beside the file that the link leads to.
    const file = realpathSync(this.#file);
    return { main: statSync(file).size, log: statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0 };
  }

  #openSession(): Session {
    ensure(this.#session, "Rejected.Closed", "The store is closed.");
    return this.#session;
  }

  #attempt<T>(participle: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw asKmsError(error, this.#file, participle);
    }
  }
}

/** Sizes in bytes before SQLite opens the file and merges the log. */
interface FileSizes {
  readonly main: number;
  readonly log: number;
}

/** Creates an empty file that only its owner may read; SQLite gives the log the same mode. */
function createFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Takes the file for this connection, and refuses one that is foreign, newer, torn or damaged. */
function prepareConnection(connection: SqliteConnection, file: string, sizes: FileSizes): void {
  // SQLite takes a file of no byte or one byte for a new database, throws its log away and writes over it.
  if (sizes.main === 1 || (sizes.main === 0 && sizes.log > 0)) throw damagedError(file);
  connection.exec(SETTINGS);
  migrate(connection, file);
  // SQLite counts a partial last page as whole and reads the rest as zeros. With a log, that page may be restored from it.
  if (sizes.log === 0 && sizes.main % Number(readPragma(connection, "page_size")) !== 0) {
    throw damagedError(file);
  }
  // Only now: a new file's schema is committed by way of a rollback journal, so the file itself says what it is.
  const mode = readPragma(connection, "journal_mode = WAL");
  ensure(mode === "wal", "InternalFailure", `The store ${file} cannot keep a write-ahead log.`);
  if (readPragma(connection, "integrity_check(1)") !== "ok") throw damagedError(file);
}

function readRecords(connection: SqliteConnection, file: string): StoredRecord[] {
  const rows = connection.prepare("SELECT kind, id, bytes FROM record").all() as Record<string, unknown>[];
  return rows.map(({ kind, id, bytes }) => {
    if (typeof kind !== "string" || typeof id !== "string" || !(bytes instanceof Uint8Array)) {
      throw damagedError(file);
    }
    return { kind: kind as RecordKind, id, bytes: copyBytes(bytes) };
  });
}

function prepareChanges(connection: SqliteConnection): Pick<Session, "put" | "remove"> {
  return {
    put: connection.prepare(
      "INSERT INTO record (kind, id, bytes) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
    ),
    remove: connection.prepare("DELETE FROM record WHERE kind = ? AND id = ?"),
  };
}

/** Moves the whole log into the file and empties it. */
function checkpoint(connection: SqliteConnection): void {
  if (readPragma(connection, "wal_checkpoint(TRUNCATE)") !== 0) {
    throw new Error("the write-ahead log could not be emptied");
  }
}

function heldError(file: string, cause?: unknown): KmsError {
  return new KmsError(
    "ServiceUnavailableTemporary",
    `The store ${file} is held by another process, or by another open store of this one.`,
    { cause },
  );
}

function damagedError(file: string, cause?: unknown): KmsError {
  return new KmsError("InternalFailure", `The store ${file} is damaged.`, { cause });
}

/** Words a driver's or the file system's error; a `KmsError` passes as it is. */
function asKmsError(error: unknown, file: string, participle: string): KmsError {
  if (error instanceof KmsError) return error;
  switch (sqliteFault(error)) {
    case "busy":
      return heldError(file, error);
    case "foreign":
      return new KmsError("InternalFailure", `${file} is not a Keyplane store.`, { cause: error });
    case "damaged":
      return damagedError(file, error);
    case "other":
      return new KmsError("InternalFailure", `The store ${file} cannot be ${participle}.`, { cause: error });
  }
}
