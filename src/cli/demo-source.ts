/** The file that the main job encrypts when it is given none: the project's own tracked files, as one stream. */

import { execFileSync } from "node:child_process";
import { createReadStream, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A thing to encrypt: a name for people and its bytes, as often as wanted. */
export interface DemoSource {
  readonly name: string;
  /** Bytes in all. */
  readonly length: number;
  read(): AsyncIterable<Uint8Array>;
}

const PROJECT = resolve(fileURLToPath(import.meta.url), "../../..");

export function fileSource(path: string): DemoSource {
  return { name: path, length: statSync(path).size, read: () => createReadStream(path) };
}

/** Joins the files git tracks, in path order. */
export function trackedFiles(): DemoSource {
  const listed = execFileSync("git", ["ls-files", "-z"], { cwd: PROJECT, encoding: "utf8" });
  const paths = listed
    .split("\0")
    .filter((path) => path !== "")
    .map((path) => join(PROJECT, path))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  const length = paths.reduce((total, path) => total + statSync(path).size, 0);
  const read = async function* (): AsyncIterable<Uint8Array> {
    for (const path of paths) yield* createReadStream(path);
  };
  return { name: `the project's ${paths.length} tracked files`, length, read };
}
