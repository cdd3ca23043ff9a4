/**
 * A store in IndexedDB, one database a name and origin: rows of sealed bytes, a strict transaction behind every
 * acknowledged commit, one page or worker of the origin at a time. A Web Lock keeps the others out; it ends with whoever
 * held it, however that came about. Portable: it needs `indexedDB` and `navigator.locks`, which is every current browser.
 */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { ensure, KmsError } from "../errors.ts";
import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../keys/key-store.ts";

/** Says where the store lives. */
export interface IndexedDbStoreOptions {
  /** Tells the stores of an origin apart; not empty. */
  readonly name: string;
}

const RECORDS = "record";
const ROOT_KEYS = "root-key";
/** The one key of the object store of root keys. */
const ROOT_KEY_ID = "root";

/**
 * The schema's history: step `n` leads from version `n` to `n + 1`, and version 0 is a database with nothing in it. A
 * released step never changes; a new version is one more step at the end.
 */
const MIGRATIONS: readonly ((database: IDBDatabase) => void)[] = [
  (database) => {
    database.createObjectStore(RECORDS);
    database.createObjectStore(ROOT_KEYS);
  },
];

/**
 * Describes a store; nothing is touched before it is opened.
 *
 * @throws KmsError `InvalidParameter` when the options are not usable
 */
export function indexedDbStore(options: IndexedDbStoreOptions): KeyStore {
  return new IndexedDbStore(readName(options));
}

/**
 * Gives the root key that lies beside the rows of a store, made when it is first asked for: a CryptoKey that nobody can
 * export, for `rootKey: { cryptoKey }`. Scripts of the origin can use it; the bytes on disk are guarded by the browser alone.
 *
 * @throws KmsError `InvalidParameter`, `Rejected.UnsupportedOperation`, `InternalFailure`
 */
export async function indexedDbRootKey(options: IndexedDbStoreOptions): Promise<CryptoKey> {
  const name = readName(options);
  const database = await openDatabase(name);
  try {
    const known = await attempt(name, "read", async () => {
      const transaction = database.transaction(ROOT_KEYS, "readonly");
      return answerOf<unknown>(transaction.objectStore(ROOT_KEYS).get(ROOT_KEY_ID));
    });
    if (known !== undefined) return known as CryptoKey;
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const made = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveBits"]);
    bytes.fill(0);
    return await attempt(name, "written", async () => {
      const transaction = database.transaction(ROOT_KEYS, "readwrite", { durability: "strict" });
      const keys = transaction.objectStore(ROOT_KEYS);
      // Another page may have been quicker: what is there stays, for a store may be sealed under it.
      const answer = keys.get(ROOT_KEY_ID);
      answer.onsuccess = () => {
        if (answer.result === undefined) keys.add(made, ROOT_KEY_ID);
      };
      await completed(transaction);
      return (answer.result as CryptoKey | undefined) ?? made;
    });
  } finally {
    database.close();
  }
}

function readName(options: IndexedDbStoreOptions): string {
  const name: unknown = (options as Partial<IndexedDbStoreOptions> | undefined)?.name;
  ensure(typeof name === "string" && name !== "", "InvalidParameter", "name must be a string, not empty.");
  return name;
}

/** What an open store keeps. */
interface Session {
  readonly database: IDBDatabase;
  readonly release: () => Promise<void>;
}

class IndexedDbStore implements KeyStore {
  readonly persistent: boolean = true;
  readonly #name: string;
  #session: Session | undefined;
  #isLost = false;

  constructor(name: string) {
    this.#name = name;
  }

  async open(): Promise<StoredRecord[]> {
    const release = await takeLock(this.#name);
    let database: IDBDatabase | undefined;
    try {
      database = await openDatabase(this.#name);
      const records = await readRecords(database, this.#name);
      // The browser closes a database by itself when the user clears the site's data.
      database.onclose = () => {
        this.#isLost = true;
      };
      this.#session = { database, release };
      this.#isLost = false;
      return records;
    } catch (error) {
      database?.close();
      await release();
      throw error;
    }
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    const { database } = this.#openSession();
    for (const change of changes) if (change.action === "put") ensureBytes(change.bytes, "bytes");
    await attempt(this.#name, "written", async () => {
      const transaction = database.transaction(RECORDS, "readwrite", { durability: "strict" });
      const records = transaction.objectStore(RECORDS);
      try {
        for (const change of changes) {
          const key = [change.kind, change.id];
          // A view would bring its whole buffer along.
          if (change.action === "put") records.put(copyBytes(change.bytes), key);
          else records.delete(key);
        }
      } catch (error) {
        transaction.abort();
        throw error;
      }
      await completed(transaction);
    });
  }

  /** Does nothing more: where a browser leaves deleted rows, no page can tell or change. They are sealed. */
  async purge(): Promise<void> {
    this.#openSession();
  }

  async close(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.database.close();
    await session.release();
  }

  #openSession(): Session {
    ensure(this.#session, "Rejected.Closed", "The store is closed.");
    ensure(
      !this.#isLost,
      "ServiceUnavailableTemporary",
      `The browser closed the store ${this.#name}; its data may have been cleared.`,
    );
    return this.#session;
  }
}

/** Takes the store's lock without waiting; returns what lets it go. */
function takeLock(name: string): Promise<() => Promise<void>> {
  const { locks } = (globalThis as { navigator?: { locks?: LockManager } }).navigator ?? {};
  ensure(
    locks !== undefined && globalThis.indexedDB !== undefined,
    "Rejected.UnsupportedOperation",
    "This runtime has no IndexedDB or no Web Locks; pages have the latter in secure contexts only.",
  );
  return new Promise((resolve, reject) => {
    const released = locks.request(databaseName(name), { ifAvailable: true }, (lock) => {
      if (lock === null) {
        reject(
          new KmsError(
            "ServiceUnavailableTemporary",
            `The store ${name} is held by another page or worker, or by another open store of this one.`,
          ),
        );
        return undefined;
      }
      return new Promise<void>((letGo) => {
        resolve(async () => {
          letGo();
          await released;
        });
      });
    });
    released.catch(reject);
  });
}

function databaseName(name: string): string {
  return `keyplane ${name}`;
}

/** Opens the database at the newest schema. One that is refused is left as it was. */
function openDatabase(name: string): Promise<IDBDatabase> {
  ensure(
    globalThis.indexedDB !== undefined,
    "Rejected.UnsupportedOperation",
    "This runtime has no IndexedDB.",
  );
  return attempt(name, "opened", async () => {
    const request = indexedDB.open(databaseName(name), MIGRATIONS.length);
    request.onupgradeneeded = ({ oldVersion }) => {
      for (const step of MIGRATIONS.slice(oldVersion)) step(request.result);
    };
    const database = await answerOf(request);
    if (![RECORDS, ROOT_KEYS].every((part) => database.objectStoreNames.contains(part))) {
      database.close();
      throw new KmsError("InternalFailure", `${databaseName(name)} is not a Keyplane store.`);
    }
    return database;
  });
}

function readRecords(database: IDBDatabase, name: string): Promise<StoredRecord[]> {
  return attempt(name, "read", async () => {
    const records = database.transaction(RECORDS, "readonly").objectStore(RECORDS);
    const [keys, rows] = await Promise.all([
      answerOf(records.getAllKeys()),
      answerOf<unknown[]>(records.getAll()),
    ]);
    return keys.map((key, i) => {
      const [kind, id] = Array.isArray(key) ? (key as unknown[]) : [];
      const bytes = rows[i];
      if (typeof kind !== "string" || typeof id !== "string" || !(bytes instanceof Uint8Array)) {
        throw new KmsError("InternalFailure", `The store ${name} is damaged.`);
      }
      return { kind: kind as RecordKind, id, bytes };
    });
  });
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Waits until a transaction is durable. */
function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("The transaction was aborted."));
  });
}

/** Words the browser's errors; a `KmsError` passes as it is. */
async function attempt<T>(name: string, participle: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KmsError) throw error;
    const isNewer = error instanceof DOMException && error.name === "VersionError";
    throw new KmsError(
      "InternalFailure",
      isNewer
        ? `The store ${name} is of a newer schema; this release knows versions up to ${MIGRATIONS.length}.`
        : `The store ${name} cannot be ${participle}.`,
      { cause: error },
    );
  }
}
