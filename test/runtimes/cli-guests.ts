/** Guests that are a process: Node of each version, threads, Node without WebAssembly, Bun, Deno. */

import { spawn } from "node:child_process";
import type { App } from "./app.ts";
import type { SuiteReport, SuiteRequest } from "./guest/protocol.ts";
import { binary, type Tool } from "./tools.ts";

export interface CliGuest {
  readonly name: string;
  readonly tool: Tool;
  readonly before?: readonly string[];
  readonly after?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly engines: readonly string[];
  /** The wasm build that runs; undefined where WebAssembly is missing. */
  readonly build: string | undefined;
}

const ALL: readonly string[] = ["wasm", "node", "webcrypto"];
const DENO: readonly string[] = ["run", "--quiet", "--allow-all", "--node-modules-dir=manual"];

export const CLI_GUESTS: readonly CliGuest[] = [
  { name: "Node 20", tool: "node-20", engines: ALL, build: "simd" },
  { name: "Node 20 worker_threads", tool: "node-20", after: ["thread"], engines: ALL, build: "simd" },
  {
    name: "Node 20 --jitless",
    tool: "node-20",
    before: ["--jitless"],
    engines: ["node", "webcrypto"],
    build: undefined,
  },
  { name: "Node 22", tool: "node-22", engines: ALL, build: "relaxed" },
  { name: "Node 24", tool: "node-24", engines: ALL, build: "relaxed" },
  { name: "Node 26", tool: "node-26", engines: ALL, build: "relaxed" },
  { name: "Node 26 worker_threads", tool: "node-26", after: ["thread"], engines: ALL, build: "relaxed" },
  {
    name: "Node 26 --jitless",
    tool: "node-26",
    before: ["--jitless"],
    engines: ["node", "webcrypto"],
    build: undefined,
  },
  { name: "Bun", tool: "bun", engines: ALL, build: "relaxed" },
  { name: "Bun without SIMD", tool: "bun", env: { BUN_JSC_useWasmSIMD: "0" }, engines: ALL, build: "base" },
  { name: "Deno", tool: "deno", before: DENO, engines: ALL, build: "relaxed" },
];

/** Runs a translated guest once. @throws Error with what it wrote to standard error */
export async function runCli(
  { tool, before = [], after = [], env = {} }: CliGuest,
  app: App,
  file: string,
  request: SuiteRequest,
): Promise<SuiteReport> {
  const output = await execute(
    binary(tool),
    [...before, file, ...after],
    app.folder,
    env,
    JSON.stringify(request),
  );
  return JSON.parse(output) as SuiteReport;
}

/** Runs a command and gives its standard output. @throws Error with its standard error */
export async function execute(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  input = "",
): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", ...env },
  });
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${Buffer.concat(errors)}`);
  return Buffer.concat(out).toString();
}
