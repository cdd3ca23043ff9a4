/** Runs the real command in child processes: bundles `src/cli/main.ts` once a test file, and gives each test a folder. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SECRETS = ["KEYPLANE_STORE", "KEYPLANE_ROOT_KEY_FILE", "KEYPLANE_PASSPHRASE", "KEYPLANE_HSM_PIN_FILE"];

export interface Finished {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

/** The command, and a folder with a store and a root key that are made on first use. */
export interface Cli {
  /** Path of a file in the folder. */
  path(name: string): string;
  /** The compiled command. */
  readonly main: string;
  /** Starts the command with the store and root key of the folder in its environment. */
  start(args: readonly string[], options?: RunOptions): ChildProcess;
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs, insists on exit code 0 and returns standard output as text without its last line end. */
  text(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Runs with --json, insists on exit code 0 and returns the document. */
  json(args: readonly string[], options?: RunOptions): Promise<Record<string, unknown>>;
}

export function finish(child: ChildProcess): Promise<Finished> {
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

/** Prepares the command for a test file. With `init`, the folder begins with a store. */
export function useCli({ init = true }: { init?: boolean } = {}): Cli {
  let folder = "";
  const path = (name: string): string => join(folder, name);
  const start = (args: readonly string[], options: RunOptions = {}): ChildProcess => {
    const env = { ...process.env };
    for (const name of SECRETS) delete env[name];
    const child = spawn(process.execPath, [path("dist/cli/bundle/main.mjs"), ...args], {
      cwd: folder,
      env: {
        ...env,
        KEYPLANE_STORE: path("store.db"),
        KEYPLANE_ROOT_KEY_FILE: path("root.key"),
        ...options.env,
      },
    });
    // A command that has failed reads no more; its exit code says so.
    child.stdin?.on("error", () => undefined);
    return child;
  };
  const run = (args: readonly string[], options: RunOptions = {}): Promise<Finished> => {
    const child = start(args, options);
    child.stdin?.end(options.input ?? new Uint8Array(0));
    return finish(child);
  };
  const must = async (args: readonly string[], options?: RunOptions): Promise<Finished> => {
    const finished = await run(args, options);
    if (finished.code !== 0)
      throw new Error(`keyplane ${args.join(" ")}: ${finished.code}: ${finished.stderr}`);
    return finished;
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "keyplane-cli-"));
    await build({
      absWorkingDir: ROOT,
      entryPoints: ["src/cli/main.ts"],
      outfile: path("dist/cli/bundle/main.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      packages: "external",
      logLevel: "silent",
    });
    symlinkSync(join(ROOT, "node_modules"), path("dist/cli/node_modules"), "junction");
    if (init) await must(["init"]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    path,
    get main() {
      return path("dist/cli/bundle/main.mjs");
    },
    start,
    run,
    text: async (args, options) => (await must(args, options)).stdout.toString().replace(/\n$/, ""),
    json: async (args, options) => {
      const { stdout } = await must([...args, "--json"], options);
      return JSON.parse(stdout.toString()) as Record<string, unknown>;
    },
  };
}
