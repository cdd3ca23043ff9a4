/** Makes a throwaway project with the packed package installed, in which the guests are built and run. */

import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { ROOT } from "./tools.ts";

export interface App {
  readonly folder: string;
  /** Where the package is unpacked. */
  readonly packageFolder: string;
  remove(): void;
}

/** Packs the package and unpacks it where an install would. */
export function makeApp(): App {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "build", "app-"));
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: ROOT });
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new Error("npm pack wrote no archive");
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  execFileSync("tar", ["-xzf", join(folder, archive), "-C", modules]);
  const packageFolder = join(modules, "keyplane");
  renameSync(join(modules, "package"), packageFolder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  return { folder, packageFolder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Translates a guest to one file that still imports the package by name. Returns its path. */
export async function translateGuest(app: App, guest: string): Promise<string> {
  const outfile = join(app.folder, `${guest}.js`);
  await build({
    entryPoints: [join(ROOT, "test/runtimes/guest", `${guest}.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: ["node:*", "keyplane", "keyplane/*"],
    tsconfigRaw: {},
    logLevel: "warning",
  });
  return outfile;
}

/** Resolves the package's names in the app, not in the tree that the guests lie in. */
export function packageIn(app: App): Plugin {
  return {
    name: "package in the app",
    setup({ onResolve, resolve }) {
      onResolve({ filter: /^keyplane(\/|$)/ }, ({ path, kind, pluginData }) =>
        pluginData === app ? undefined : resolve(path, { kind, resolveDir: app.folder, pluginData: app }),
      );
    },
  };
}

type Conditions = string | { readonly [condition: string]: Conditions };

/** Resolves a subpath of the package as a runtime with some conditions would. */
export function resolveExport(app: App, specifier: string, conditions: readonly string[]): string {
  const { exports } = JSON.parse(readFileSync(join(app.packageFolder, "package.json"), "utf8")) as {
    exports: Record<string, Conditions>;
  };
  const pick = (entry: Conditions | undefined): string => {
    if (typeof entry === "string") return entry;
    for (const [condition, target] of Object.entries(entry ?? {})) {
      if (conditions.includes(condition) || condition === "default") return pick(target);
    }
    throw new Error(`${specifier} is not exported`);
  };
  return pick(exports[specifier.replace(/^keyplane/, ".")]);
}
