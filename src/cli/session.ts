/** Opens the store for one command and closes it after, whatever the command came to. */

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Hsm } from "../hsm.ts";
import { Kms, KmsError, type RootKeyOption } from "../index.ts";
import { sqliteStore } from "../stores/sqlite.ts";
import { CliError } from "./exit-codes.ts";
import { namesHsm, openHsm } from "./hsm-session.ts";
import type { GlobalOptions } from "./options.ts";
import { withRootKey } from "./root-key.ts";

const DEFAULT_STORE = "keyplane.db";

/** How long a command waits for another one to let go of the store, and how often it looks, in milliseconds. */
const PATIENCE_MS = 5000;
const RETRY_MS = 50;

/** Returns the store's path: `--store`, KEYPLANE_STORE, or keyplane.db in the current folder. */
export function storeFile(options: GlobalOptions): string {
  return options.store ?? (process.env["KEYPLANE_STORE"] || DEFAULT_STORE);
}

/** Opens a store, waiting a while for another process that holds it. */
export async function openKms(
  file: string,
  rootKey: RootKeyOption,
  signal: AbortSignal,
  hsm?: Hsm,
): Promise<Kms> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await Kms.open({ store: sqliteStore({ file }), rootKey, hsm });
    } catch (error) {
      const isHeld = error instanceof KmsError && error.code === "ServiceUnavailableTemporary";
      if (!isHeld || performance.now() > deadline) throw error;
    }
    await sleep(RETRY_MS);
  }
}

/**
 * Runs a command on the open store.
 *
 * @throws CliError `NoStore` when the file does not exist: only `init` makes one
 */
export async function withKms<T>(
  options: GlobalOptions,
  signal: AbortSignal,
  use: (kms: Kms) => Promise<T>,
): Promise<T> {
  const file = storeFile(options);
  if (!existsSync(file)) {
    throw new CliError(
      "NoStore",
      `There is no store ${file}; name one with --store, or make it with keyplane init.`,
    );
  }
  const hsm = namesHsm(options) ? await openHsm(options, signal) : undefined;
  try {
    const kms = await withRootKey(options, false, signal, (rootKey) => openKms(file, rootKey, signal, hsm));
    try {
      return await use(kms);
    } finally {
      await kms.close();
    }
  } finally {
    await hsm?.close();
  }
}
