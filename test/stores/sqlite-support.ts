/** What the SQLite tests share: which drivers this runtime has, folders that go away, and child processes over a store. */

import { type ChildProcess, spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { loadSqlite, type SqliteDriver } from "../../src/stores/sqlite-driver.ts";
import { put } from "../conformance/key-store.ts";

const DRIVERS: readonly SqliteDriver[] = ["node:sqlite", "better-sqlite3"];
const NODE_MAJOR = Number(process.versions.node.split(".")[0]);

/** Says why a driver cannot be tested here, or nothing when it can. */
function absence(driver: SqliteDriver): string | undefined {
  try {
    loadSqlite(driver);
    return undefined;
  } catch (error) {
    const reasons = (error as Error).cause as AggregateError;
    return reasons.errors.map((reason: Error) => reason.message.split("\n")[0]).join("; ");
  }
}

/**
 * Runs a group of tests with each driver this runtime has. A driver that is absent shows up as a skipped test with the
 * reason in its name; on the CI's Node 20, where better-sqlite3 is the only driver, its absence fails.
 */
export function describeEachDriver(what: string, group: (driver: SqliteDriver) => void): void {
  for (const driver of DRIVERS) {
    const reason = absence(driver);
    describe(`${what} with ${driver}`, () => {
      if (reason === undefined) group(driver);
      else if (process.env.CI === "true" && driver === "better-sqlite3" && NODE_MAJOR === 20) {
        test(`${driver} is available on Node 20`, () => expect(reason).toBeUndefined());
      } else test.skip(`skipped, the driver is not available: ${reason}`, () => {});
    });
  }
}

/** Makes a folder that is removed when the file's tests are over. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "keyplane-store-")));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let places = 0;

/** Finds a path in a folder of its own, so that every file beside it belongs to it. */
export function newPlace(folder: string): string {
  const place = join(folder, `place-${places++}`);
  mkdirSync(place);
  return join(place, "keys.db");
}

/** Reads every byte in the folder of a store. */
export function everyByte(file: string): Buffer {
  const place = dirname(file);
  return Buffer.concat(readdirSync(place).map((name) => readFileSync(join(place, name))));
}

/** Makes a closed store with sixty rows over several pages. */
export async function filledStore(folder: string, driver: SqliteDriver): Promise<string> {
  const file = newPlace(folder);
  const store = sqliteStore({ file, driver });
  await store.open();
  await store.commit(
    Array.from({ length: 60 }, (_, n) => put("version", `v${n}`, new Uint8Array(300).fill(n + 1))),
  );
  await store.close();
  return file;
}

/** Bundles the store's source into the folder, so that a child without TypeScript can run it. */
export async function bundleStore(folder: string): Promise<string> {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const outfile = join(folder, "store.mjs");
  await build({
    entryPoints: [join(root, "src/stores/sqlite.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["better-sqlite3"],
    logLevel: "error",
  });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return outfile;
}

/** A child process that works on a store, with the lines it has written so far. */
export interface StoreChild {
  readonly process: ChildProcess;
  readonly lines: string[];
  /** Resolves when the child has written a line with this start; rejects when it ends before. */
  line(start: string): Promise<string>;
  /** Resolves when the child is gone and all of its output was read. */
  readonly ended: Promise<void>;
}

/**
 * Starts `sqlite-child.mjs` in one of its modes.
 *
 * @param limit largest file in 512-byte blocks that the child may write
 */
export function startChild(
  bundle: string,
  mode: "hold" | "write" | "fill",
  file: string,
  driver: SqliteDriver,
  limit?: number,
): StoreChild {
  const script = fileURLToPath(new URL("./sqlite-child.mjs", import.meta.url));
  const args = ["--no-warnings", "--expose-gc", script, bundle, mode, file, driver];
  const child =
    limit === undefined
      ? spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
      : spawn("sh", ["-c", `ulimit -f ${limit}; exec "$0" "$@"`, process.execPath, ...args], {
          stdio: ["ignore", "pipe", "inherit"],
        });
  const lines: string[] = [];
  let rest = "";
  let ended = false;
  let wake: () => void = () => {};
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    wake();
  });
  const end = new Promise<void>((resolve) => {
    child.once("close", () => {
      ended = true;
      wake();
      resolve();
    });
  });
  return {
    process: child,
    lines,
    ended: end,
    async line(start) {
      for (;;) {
        const found = lines.find((line) => line.startsWith(start));
        if (found !== undefined) return found;
        if (ended) throw new Error(`the child ended without "${start}": ${lines.join(" | ")}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
