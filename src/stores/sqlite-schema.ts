/** The SQLite file's schema: how a Keyplane store is told from other files, and the steps from one version to the next. */

import { KmsError } from "../errors.ts";
import { type SqliteConnection, transact } from "./sqlite-driver.ts";

/** Marks the file as a Keyplane store: "KPLN" in the header's application_id. */
const APPLICATION_ID = 0x4b504c4e;

/**
 * The schema's history: step `n` leads from version `n` to `n + 1`, and version 0 is an empty file.
 * A released step never changes; a new version is one more step at the end.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE record (
     kind TEXT NOT NULL,
     id TEXT NOT NULL,
     bytes BLOB NOT NULL,
     PRIMARY KEY (kind, id)
   ) STRICT, WITHOUT ROWID`,
];

/** Time for latecomers, who give up at once, to leave a file that this connection is about to write, in milliseconds. */
const COMMIT_PATIENCE = 250;

/**
 * Brings a file to the newest schema in one transaction. A file that is refused is left as it was.
 *
 * @throws KmsError `InternalFailure` when the file is another program's database or of a newer schema
 */
export function migrate(
  connection: SqliteConnection,
  file: string,
  migrations: readonly string[] = MIGRATIONS,
): void {
  transact(connection, () => {
    connection.exec(`PRAGMA busy_timeout = ${COMMIT_PATIENCE}`);
    const version = schemaVersion(connection, file);
    if (version > migrations.length) {
      throw new KmsError(
        "InternalFailure",
        `The store ${file} has schema version ${version}; this release knows versions up to ${migrations.length}.`,
      );
    }
    if (version === migrations.length) return;
    for (const step of migrations.slice(version)) connection.exec(step);
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}`);
  });
}

/** Reads a pragma's single value. */
export function readPragma(connection: SqliteConnection, name: string): unknown {
  const row = connection.prepare(`PRAGMA ${name}`).all()[0];
  return Object.values(row ?? {})[0];
}

/** Reads the version of a Keyplane store; a database with nothing in it has version 0. */
function schemaVersion(connection: SqliteConnection, file: string): number {
  const application = readPragma(connection, "application_id");
  const version = readPragma(connection, "user_version");
  if (application === APPLICATION_ID && typeof version === "number" && version > 0) return version;
  const objects = connection.prepare("SELECT name FROM sqlite_schema LIMIT 1").all();
  if (application === 0 && version === 0 && objects.length === 0) return 0;
  throw new KmsError("InternalFailure", `${file} is not a Keyplane store; it is left untouched.`);
}
