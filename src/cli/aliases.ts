/** `keyplane alias …`: names of keys. */

import type { Command } from "commander";
import type { Kms } from "../index.ts";
import { everyAlias } from "./keys.ts";
import type { GlobalOptions, Run } from "./options.ts";
import { printResult, tableLines } from "./report.ts";
import { withKms } from "./session.ts";

export function addAliasCommands(program: Command, run: Run): void {
  const group = program.command("alias").description("name keys; a name begins with alias/");
  addPointing(group, run, "create", "give a key a name", (kms, request) => kms.createAlias(request));
  addPointing(group, run, "update", "point a name to another key", (kms, request) =>
    kms.updateAlias(request),
  );
  group
    .command("delete <alias>")
    .description("remove a name; the key stays")
    .action(async (aliasName: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const result = await withKms(options, run.signal, (kms) => kms.deleteAlias({ aliasName }));
      printResult(options.json, result, "");
    });
  group
    .command("list")
    .description("list names and the keys they stand for")
    .option("--key <key>", "only the names of this key")
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { readonly key?: string }>();
      const aliases = await withKms(options, run.signal, (kms) => everyAlias(kms, options.key));
      const rows = aliases.map((alias) => [alias.aliasName, alias.keyId]);
      const text = rows.length === 0 ? "" : tableLines([["ALIAS", "KEY"], ...rows]);
      printResult(options.json, { aliases, totalCount: aliases.length }, text);
    });
}

function addPointing(
  group: Command,
  run: Run,
  name: string,
  description: string,
  change: (kms: Kms, request: { aliasName: string; keyId: string }) => Promise<object>,
): void {
  group
    .command(`${name} <alias> <key>`)
    .description(description)
    .action(async (aliasName: string, keyId: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const result = await withKms(options, run.signal, (kms) => change(kms, { aliasName, keyId }));
      printResult(options.json, result, "");
    });
}
