/** Where the runtimes, bundlers and browsers are, and what to do about one that is missing. */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Tests and benches run from the root of the project; benches are bundled, so their own place tells nothing. */
export const ROOT: string = process.cwd();
const FOLDER: string = join(ROOT, "test/runtimes");
const MODULES = join(FOLDER, "node_modules");

const BINARIES = {
  "node-20": process.execPath,
  "node-22": join(MODULES, "node-22/bin/node"),
  "node-24": join(MODULES, "node-24/bin/node"),
  "node-26": join(MODULES, "node-26/bin/node"),
  bun: join(MODULES, "@oven/bun-linux-x64/bin/bun"),
  deno: join(MODULES, "@deno/linux-x64-glibc/deno"),
  workerd: join(MODULES, "@cloudflare/workerd-linux-64/bin/workerd"),
  chromium: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  firefox: process.env["FIREFOX"] ?? "/usr/bin/firefox-esr",
} as const;

export type Tool = keyof typeof BINARIES;

export function binary(tool: Tool): string {
  return BINARIES[tool];
}

/**
 * Tells whether a tool is here. On CI a missing one fails the run; elsewhere the caller skips its tests.
 *
 * @throws Error on CI
 */
export function has(tool: Tool): boolean {
  const there =
    existsSync(BINARIES[tool]) && (!needsDriver(tool) || existsSync(join(MODULES, "puppeteer-core")));
  if (!there && process.env["CI"] === "true") {
    throw new Error(
      `${tool} is missing: node .config/runtimes.mjs installs what npm has, apt chromium and firefox-esr`,
    );
  }
  return there;
}

function needsDriver(tool: Tool): boolean {
  return tool === "chromium" || tool === "firefox";
}

/** Finds a file of a package of this folder. */
export function tool(path: string): string {
  return join(MODULES, path);
}

/** Imports a package of this folder, which the project itself does not depend on; the caller says what it looks like. */
export async function importTool<T>(name: string): Promise<T> {
  const path = createRequire(join(FOLDER, "package.json")).resolve(name);
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)) as T;
}
