/** `keyplane key …`: the life of keys. */

import { type Command, InvalidArgumentError } from "commander";
import { type CreateKeyRequest, type KeyMetadata, type Kms, KmsError, type Tag } from "../index.ts";
import { type GlobalOptions, integer, type Run } from "./options.ts";
import { factLines, printResult, tableLines } from "./report.ts";
import { withKms } from "./session.ts";

const DEFAULT_PENDING_DAYS = 30;
const PAGE_SIZE = 100;

export function addKeyCommands(program: Command, run: Run): void {
  const group = program.command("key").description("create, list and change keys");
  addCreate(group, run);
  group
    .command("list")
    .description("list every key, oldest first")
    .action((_options: object, command: Command) => listKeys(command.optsWithGlobals<GlobalOptions>(), run));
  group
    .command("describe <key>")
    .description("show what a key is; KEY is an id, an alias or an ARN")
    .action(async (keyId: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const result = await withKms(options, run.signal, async (kms) => {
        const { keyMetadata } = await kms.describeKey({ keyId });
        return { ...keyMetadata, aliases: await aliasesOf(kms, keyId) };
      });
      printResult(options.json, result, factLines({ ...result, aliases: result.aliases.join(", ") }));
    });
  addChange(group, run, "enable", "let a disabled key be used again", (kms, keyId) =>
    kms.enableKey({ keyId }),
  );
  addChange(group, run, "disable", "refuse every use of a key until it is enabled", (kms, keyId) =>
    kms.disableKey({ keyId }),
  );
  addChange(group, run, "rotate", "give a symmetric key a new primary version", (kms, keyId) =>
    kms.rotateKey({ keyId }),
  );
  addChange(group, run, "cancel-deletion", "take a key back from scheduled deletion", (kms, keyId) =>
    kms.cancelKeyDeletion({ keyId }),
  );
  addDelete(group, run);
}

interface CreateOptions extends GlobalOptions {
  readonly spec?: string;
  readonly usage?: string;
  readonly protection?: string;
  readonly description?: string;
  readonly tag?: readonly Tag[];
}

function readTag(text: string, tags: readonly Tag[] = []): readonly Tag[] {
  const split = text.indexOf("=");
  if (split < 0) throw new InvalidArgumentError("It must be name=value.");
  return [...tags, { tagKey: text.slice(0, split), tagValue: text.slice(split + 1) }];
}

function addCreate(group: Command, run: Run): void {
  group
    .command("create")
    .description("create a key and print its id")
    .option("--spec <spec>", "key spec, such as Aliyun_AES_256 (the default), RSA_3072 or EC_P256")
    .option(
      "--usage <usage>",
      "ENCRYPT/DECRYPT, SIGN/VERIFY or GENERATE_VERIFY_MAC; the spec's own by default",
    )
    .option(
      "--protection <level>",
      "software (the default), or hsm: made in the token of --hsm-token and used there",
    )
    .option("--description <text>", "free text")
    .option("--tag <name=value>", "add a tag; may be repeated", readTag)
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<CreateOptions>();
      const request: CreateKeyRequest = {
        keySpec: options.spec as CreateKeyRequest["keySpec"],
        keyUsage: options.usage as CreateKeyRequest["keyUsage"],
        protectionLevel: options.protection?.toUpperCase() as CreateKeyRequest["protectionLevel"],
        description: options.description,
        tags: options.tag,
      };
      const created = await withKms(options, run.signal, (kms) => {
        return kms.createKey(request, { signal: run.signal });
      });
      printResult(options.json, created, `${created.keyId}\n`);
    });
}

function addChange(
  group: Command,
  run: Run,
  name: string,
  description: string,
  change: (kms: Kms, keyId: string) => Promise<object>,
): void {
  group
    .command(`${name} <key>`)
    .description(description)
    .action(async (keyId: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const result = await withKms(options, run.signal, (kms) => change(kms, keyId));
      printResult(options.json, result, "");
    });
}

interface DeleteOptions extends GlobalOptions {
  readonly days: number;
}

function addDelete(group: Command, run: Run): void {
  group
    .command("delete <key>")
    .description("schedule a key for deletion; what it encrypted is lost when that day comes")
    .option("--days <n>", "days until then, 7 to 366", integer(7, 366), DEFAULT_PENDING_DAYS)
    .action(async (keyId: string, _options: object, command: Command) => {
      const options = command.optsWithGlobals<DeleteOptions>();
      const result = await withKms(options, run.signal, async (kms) => {
        const answer = await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: options.days });
        const { keyMetadata } = await kms.describeKey({ keyId });
        return { ...answer, keyId: keyMetadata.keyId, deleteDate: keyMetadata.deleteDate };
      });
      printResult(options.json, result, factLines({ keyId: result.keyId, deleteDate: result.deleteDate }));
    });
}

/** Reads every page of a list. */
async function everyPage<T>(
  read: (page: {
    pageNumber: number;
    pageSize: number;
  }) => Promise<{ items: readonly T[]; totalCount: number }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let pageNumber = 1; ; pageNumber++) {
    const { items, totalCount } = await read({ pageNumber, pageSize: PAGE_SIZE });
    all.push(...items);
    if (items.length === 0 || all.length >= totalCount) return all;
  }
}

/** Lists aliases, of one key or of all. */
export function everyAlias(
  kms: Kms,
  keyId?: string,
): Promise<{ aliasName: string; aliasArn: string; keyId: string }[]> {
  return everyPage(async (page) => {
    const { aliases, totalCount } = await kms.listAliases({ ...page, keyId });
    return { items: aliases, totalCount };
  });
}

async function aliasesOf(kms: Kms, keyId: string): Promise<string[]> {
  return (await everyAlias(kms, keyId)).map((alias) => alias.aliasName);
}

/** A key of the list; one whose record was refused has only its id and the reason. */
type ListedKey =
  | (KeyMetadata & { readonly aliases: readonly string[] })
  | { readonly keyId: string; readonly error: string };

async function listedKey(kms: Kms, keyId: string): Promise<ListedKey> {
  try {
    const { keyMetadata } = await kms.describeKey({ keyId });
    return { ...keyMetadata, aliases: await aliasesOf(kms, keyId) };
  } catch (error) {
    if (error instanceof KmsError && error.code === "Rejected.RecordCorrupt")
      return { keyId, error: error.code };
    throw error;
  }
}

async function listKeys(options: GlobalOptions, run: Run): Promise<void> {
  const keys = await withKms(options, run.signal, async (kms) => {
    const found = await everyPage(async (page) => {
      const { keys: items, totalCount } = await kms.listKeys(page);
      return { items, totalCount };
    });
    const listed: ListedKey[] = [];
    for (const { keyId } of found) listed.push(await listedKey(kms, keyId));
    return listed;
  });
  const rows = keys.map((key) =>
    "error" in key
      ? [key.keyId, key.error, "", "", ""]
      : [key.keyId, key.keyState, key.keySpec, key.keyUsage, key.aliases.join(", ")],
  );
  const text = rows.length === 0 ? "" : tableLines([["KEY", "STATE", "SPEC", "USAGE", "ALIASES"], ...rows]);
  printResult(options.json, { keys, totalCount: keys.length }, text);
}
