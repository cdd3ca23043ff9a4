/** `keyplane init`: makes the root key file and the store. */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Command } from "commander";
import { createRootKeyFile } from "../index.ts";
import { CliError } from "./exit-codes.ts";
import type { GlobalOptions, Run } from "./options.ts";
import { factLines, printResult } from "./report.ts";
import { rootKeySource, withRootKey } from "./root-key.ts";
import { openKms, storeFile } from "./session.ts";

export function addInitCommand(program: Command, run: Run): void {
  program
    .command("init")
    .description("make a store, and the root key file it is sealed under if --root-key names a new one")
    .action(async (_options: object, command: Command) => {
      await init(command.optsWithGlobals<GlobalOptions>(), run);
    });
}

async function init(options: GlobalOptions, run: Run): Promise<void> {
  const store = storeFile(options);
  if (existsSync(store)) throw new CliError("StoreExists", `${store} exists already; it is left as it is.`);
  const source = rootKeySource(options);
  const keyFile = source?.type === "file" ? source.file : undefined;
  const isNewKey = keyFile !== undefined && !existsSync(keyFile);
  if (isNewKey) await createRootKeyFile(keyFile);
  try {
    await withRootKey(options, true, run.signal, async (rootKey) => {
      const kms = await openKms(store, rootKey, run.signal);
      await kms.close();
    });
  } catch (error) {
    // Neither file existed a moment ago, and no key was ever sealed under this root key.
    for (const suffix of ["", "-wal", "-journal"]) await rm(store + suffix, { force: true });
    if (isNewKey) await rm(keyFile, { force: true });
    throw error;
  }
  const result = {
    store,
    sealedUnder: keyFile === undefined ? "passphrase" : "root key file",
    ...(keyFile === undefined ? {} : { rootKeyFile: keyFile, rootKeyCreated: isNewKey }),
  };
  const advice = isNewKey
    ? "Keep a copy of the root key file apart from the store: without it every key is lost.\n"
    : "";
  printResult(options.json, result, factLines(result) + advice);
}
