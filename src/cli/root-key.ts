/** Where the root key comes from: a file, or a passphrase from a file, the environment or the terminal; never an argument. */

import { open } from "node:fs/promises";
import type { RootKeyOption } from "../index.ts";
import { usageError } from "./exit-codes.ts";
import type { GlobalOptions } from "./options.ts";
import { MAX_PASSPHRASE_LENGTH, promptPassphrase } from "./passphrase.ts";

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** Names a source of the root key; options come before the environment. */
type RootKeySource =
  | { readonly type: "file"; readonly file: string }
  | { readonly type: "passphrase-file"; readonly file: string }
  | { readonly type: "environment"; readonly passphrase: string };

/** @throws CliError when two sources of the same rank are named */
export function rootKeySource(options: GlobalOptions): RootKeySource | undefined {
  const { rootKey, passphraseFile } = options;
  if (rootKey !== undefined && passphraseFile !== undefined) {
    throw usageError("--root-key and --passphrase-file exclude each other.");
  }
  if (rootKey !== undefined) return { type: "file", file: rootKey };
  if (passphraseFile !== undefined) return { type: "passphrase-file", file: passphraseFile };
  const { KEYPLANE_ROOT_KEY_FILE: file, KEYPLANE_PASSPHRASE: passphrase } = process.env;
  if (file && passphrase) {
    throw usageError("KEYPLANE_ROOT_KEY_FILE and KEYPLANE_PASSPHRASE exclude each other.");
  }
  if (file) return { type: "file", file };
  if (passphrase) return { type: "environment", passphrase };
  return undefined;
}

/** Reads a passphrase file; a line end at its end is not part of the passphrase. The caller wipes the bytes. */
async function readPassphraseFile(file: string): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_PASSPHRASE_LENGTH + 3);
  const handle = await open(file, "r");
  try {
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (buffer[length - 1] === LINE_FEED) length -= buffer[length - 2] === RETURN ? 2 : 1;
    if (length === 0) throw usageError("The passphrase file is empty.");
    if (length > MAX_PASSPHRASE_LENGTH) {
      throw usageError(`The passphrase file holds more than ${MAX_PASSPHRASE_LENGTH} bytes.`);
    }
    return buffer.slice(0, length);
  } finally {
    buffer.fill(0);
    await handle.close();
  }
}

/**
 * Obtains the root key for one use and wipes a passphrase after it.
 *
 * @param isNew the store is being made: a passphrase is asked for twice
 * @throws CliError when no source is named and there is no terminal to ask on
 */
export async function withRootKey<T>(
  options: GlobalOptions,
  isNew: boolean,
  signal: AbortSignal,
  use: (rootKey: RootKeyOption) => Promise<T>,
): Promise<T> {
  const source = rootKeySource(options);
  if (source?.type === "file") return use({ file: source.file });
  if (source?.type === "environment") {
    delete process.env["KEYPLANE_PASSPHRASE"];
    return use({ passphrase: source.passphrase });
  }
  const passphrase =
    source === undefined ? await promptPassphrase(isNew, signal) : await readPassphraseFile(source.file);
  if (passphrase === undefined) {
    throw usageError(
      "No root key: give --root-key FILE or --passphrase-file FILE, or set KEYPLANE_ROOT_KEY_FILE or KEYPLANE_PASSPHRASE.",
    );
  }
  try {
    return await use({ passphrase });
  } finally {
    passphrase.fill(0);
  }
}
