/**
 * Writes what a command makes: a file that appears whole or not at all, or standard output. Binary data does not go to
 * a terminal unless forced.
 */

import { randomBytes } from "node:crypto";
import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError, usageError } from "./exit-codes.ts";
import type { GlobalOptions, OutputOptions } from "./options.ts";

/** For plaintext and keys. */
export const OWNER_ONLY = 0o600;
/** For the rest; the umask takes its part. */
export const AS_UMASK_SAYS = 0o666;

/** Takes the bytes of one result in order. */
export interface Output {
  write(bytes: Uint8Array): Promise<void>;
}

interface OpenOutput extends Output {
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Refuses standard output where binary data must not go.
 *
 * @throws CliError for a terminal without `--force`, and with `--json`, whose document is alone there
 */
export function checkOutput(options: OutputOptions & GlobalOptions): void {
  if (options.output !== undefined && options.output !== "-") return;
  if (options.json === true)
    throw usageError("--json needs -o FILE: standard output is for the document alone.");
  if (process.stdout.isTTY === true && options.force !== true) {
    throw usageError("Binary data is not for a terminal: give -o FILE, or --force if it is meant so.");
  }
}

/**
 * Runs the work with an output that is kept if it succeeds and removed if it fails.
 *
 * @param path undefined and `-` are standard output
 * @param mode of a file that is made
 */
export async function withOutput<T>(
  path: string | undefined,
  mode: number,
  work: (output: Output) => Promise<T>,
): Promise<T> {
  const output = path === undefined || path === "-" ? standardOutput() : await openFile(path, mode);
  try {
    const result = await work(output);
    await output.commit();
    return result;
  } catch (error) {
    await output.discard();
    throw error;
  }
}

function standardOutput(): OpenOutput {
  const nothing = (): Promise<void> => Promise.resolve();
  return { write: writeStandardOutput, commit: nothing, discard: nothing };
}

/** Writes to standard output and waits until it is taken. */
export function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function openFile(path: string, mode: number): Promise<OpenOutput> {
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) throw new CliError("EISDIR", `${path} is a folder.`);
  // A device or a pipe is written as it is: renaming onto it would replace it.
  if (existing !== undefined && !existing.isFile()) return plainFile(await open(path, "w"));
  const target = existing === undefined ? path : await realpath(path);
  const suffix = randomBytes(6).toString("hex");
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${suffix}.tmp`);
  return atomicFile(await open(temporary, "wx", mode), temporary, target);
}

function plainFile(handle: FileHandle): OpenOutput {
  const close = (): Promise<void> => handle.close();
  return { write: (bytes) => handle.writeFile(bytes), commit: close, discard: close };
}

function atomicFile(handle: FileHandle, temporary: string, target: string): OpenOutput {
  return {
    write: (bytes) => handle.writeFile(bytes),
    commit: async () => {
      await handle.sync();
      await handle.close();
      await rename(temporary, target);
    },
    discard: async () => {
      await handle.close().catch(() => undefined);
      await rm(temporary, { force: true });
    },
  };
}
