/** `keyplane hsm`: looks into a PKCS#11 module, initialises a token, lists its keys and measures it. */

import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { type Hsm, type HsmKey, initToken, probeModule } from "../hsm.ts";
import { buildAddon } from "./build-addon.ts";
import { openHsm, readModule, withPin } from "./hsm-session.ts";
import { type GlobalOptions, integer, type Run } from "./options.ts";
import { factLines, printResult, tableLines } from "./report.ts";

interface InitOptions extends GlobalOptions {
  readonly label: string;
  readonly soPinFile: string;
  readonly slot: number;
}

interface BuildOptions extends GlobalOptions {
  readonly nodeHeaders?: string;
}

interface BenchOptions extends GlobalOptions {
  readonly seconds: number;
}

export function addHsmCommands(program: Command, run: Run): void {
  const group = program.command("hsm").description("look into an HSM (PKCS#11); docs/hsm.md");
  group
    .command("build")
    .description("compile the native addon that all of this needs; takes a C++ compiler")
    .option("--node-headers <folder>", "folder of node_api.h, if it is not beside Node")
    .action(async (_options: object, command: Command) => {
      const { json, nodeHeaders } = command.optsWithGlobals<BuildOptions>();
      const addon = await buildAddon({ nodeHeaders });
      printResult(json, { addon }, factLines({ addon }));
    });
  group
    .command("info")
    .description("show a module and its tokens, without a login")
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      await showModule(options);
    });
  group
    .command("init-token")
    .description("initialise the empty token in a slot: everything in it is lost")
    .requiredOption("--label <label>", "label of the token")
    .requiredOption("--so-pin-file <file>", "file that holds the security officer's PIN")
    .requiredOption("--slot <id>", "slot id, as `hsm info` shows it", integer())
    .action(async (_options: object, command: Command) => {
      await initialise(command.optsWithGlobals<InitOptions>(), run);
    });
  group
    .command("keys")
    .description("list the secret and private keys of the token")
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const keys = await withHsm(options, run, (hsm) => hsm.listKeys());
      const listed = keys.map(describeKey);
      const rows = listed.map(({ id, keySpec, extractable, label }) => [
        id,
        keySpec,
        String(extractable),
        label,
      ]);
      const text = rows.length === 0 ? "" : tableLines([["ID", "SPEC", "EXTRACTABLE", "LABEL"], ...rows]);
      printResult(options.json, { keys: listed }, text);
    });
  group
    .command("bench")
    .description("measure the token with keys that are made for it and destroyed after")
    .option("--seconds <n>", "how long each figure is measured", integer(1, 60), 2)
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<BenchOptions>();
      const figures = await withHsm(options, run, (hsm) => bench(hsm, options.seconds, run.signal));
      const rows = figures.map(({ operation, perSecond }) => [operation, perSecond.toFixed(0)]);
      printResult(options.json, { figures }, tableLines([["OPERATION", "PER SECOND"], ...rows]));
    });
}

async function withHsm<T>(options: GlobalOptions, run: Run, use: (hsm: Hsm) => Promise<T>): Promise<T> {
  const hsm = await openHsm(options, run.signal);
  try {
    return await use(hsm);
  } finally {
    await hsm.close();
  }
}

async function showModule(options: GlobalOptions): Promise<void> {
  const { library, initArgs } = readModule(options);
  const module = await probeModule(library, initArgs === undefined ? {} : { initArgs });
  const { major, minor } = module.cryptokiVersion;
  const facts = {
    library,
    manufacturer: module.manufacturer,
    description: module.description,
    version: `${module.libraryVersion.major}.${module.libraryVersion.minor}`,
    cryptoki: `${major}.${minor}`,
  };
  const rows = module.slots.map((slot) => [
    String(slot.slotId),
    slot.tokenLabel === "" ? "(not initialised)" : slot.tokenLabel,
    slot.serial,
    slot.model,
    String(slot.mechanisms.length),
  ]);
  const table =
    rows.length === 0 ? "" : `\n${tableLines([["SLOT", "TOKEN", "SERIAL", "MODEL", "MECHANISMS"], ...rows])}`;
  printResult(options.json, { ...module, library }, factLines(facts) + table);
}

async function initialise(options: InitOptions, run: Run): Promise<void> {
  const module = readModule(options);
  const { label, slot: slotId } = options;
  await withPin({ file: options.soPinFile, prompt: "SO PIN" }, run.signal, (soPin) =>
    withPin(options, run.signal, (userPin) => initToken({ ...module, slotId, label, soPin, userPin })),
  );
  printResult(options.json, { label, slotId }, factLines({ label, slotId: String(slotId) }));
}

function describeKey(
  key: HsmKey,
): Record<"id" | "keySpec" | "label", string> & { readonly extractable: boolean } {
  const id = Array.from(key.id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, keySpec: key.keySpec, label: key.label, extractable: key.extractable };
}

interface Figure {
  readonly operation: string;
  readonly perSecond: number;
}

const BATCH = 64;
/** Batches that are under way at once. */
const WIDTH = 4;

/** Runs batches of 64 for so long. */
async function measure(
  operation: string,
  seconds: number,
  signal: AbortSignal,
  batch: () => Promise<unknown>,
): Promise<Figure> {
  await batch();
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  let batches = 0;
  const work = async (): Promise<void> => {
    while (performance.now() < end) {
      signal.throwIfAborted();
      await batch();
      batches += 1;
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, work));
  return { operation, perSecond: (batches * BATCH * 1000) / (performance.now() - started) };
}

async function bench(hsm: Hsm, seconds: number, signal: AbortSignal): Promise<Figure[]> {
  const figures: Figure[] = [];
  const plaintext = new Uint8Array(randomBytes(32));
  const digest = new Uint8Array(randomBytes(32));
  const requests = Array.from({ length: BATCH }, () => ({ plaintext }));
  const { algorithms } = hsm.capabilities;
  const label = "keyplane bench";
  if (algorithms.Aliyun_AES_256?.includes("AES_GCM") === true) {
    const key = await hsm.generateKey({ keySpec: "Aliyun_AES_256", label });
    try {
      const run = (): Promise<unknown> => hsm.encryptBatch(key, requests);
      figures.push(await measure("AES_GCM, 32 bytes", seconds, signal, run));
    } finally {
      await hsm.destroyKey(key);
    }
  }
  const pairs = [
    ["EC_P256", "ECDSA P-256 sign", { scheme: "ecdsa" }],
    ["RSA_2048", "RSA_PSS 2048 sign", { scheme: "pss", hash: "SHA-256", saltLength: 32 }],
  ] as const;
  for (const [keySpec, operation, scheme] of pairs) {
    if (keySpec === "EC_P256" && algorithms.EC_P256 === undefined) continue;
    const key = await hsm.generateKey({ keySpec, label });
    const signatures = Array.from({ length: BATCH }, () => ({ digest, scheme }));
    try {
      const run = (): Promise<unknown> => hsm.signBatch(key, signatures);
      figures.push(await measure(operation, seconds, signal, run));
    } finally {
      await hsm.destroyKey(key);
    }
  }
  return figures;
}
