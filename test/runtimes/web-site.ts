/** Builds the page of the browser guests without a bundler: the package's own files, imported by URL. */

import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { type App, packageIn, resolveExport } from "./app.ts";
import { ROOT } from "./tools.ts";

const PAGE =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>guest</title><script type="module" src="./page.js"></script></html>\n';

/** Returns a folder with index.html, page.js, worker.js and the package. */
export async function makeSite(app: App): Promise<string> {
  const folder = join(app.folder, "site");
  mkdirSync(folder);
  cpSync(join(app.packageFolder, "dist"), join(folder, "dist"), { recursive: true });
  writePage(folder);
  await build({
    entryPoints: ["page", "worker"].map((name) => join(ROOT, `test/runtimes/guest/${name}.ts`)),
    outdir: folder,
    bundle: true,
    format: "esm",
    target: "es2022",
    logLevel: "warning",
    tsconfigRaw: {},
    plugins: [
      {
        name: "package by URL",
        setup({ onResolve }) {
          onResolve({ filter: /^keyplane(\/|$)/ }, ({ path }) => ({
            path: resolveExport(app, path, ["browser", "import"]),
            external: true,
          }));
        },
      },
    ],
  });
  // Service workers have no import(): theirs is one file.
  await build({
    entryPoints: { "service-worker": join(ROOT, "test/runtimes/guest/worker.ts") },
    outdir: folder,
    bundle: true,
    format: "esm",
    target: "es2022",
    tsconfigRaw: {},
    plugins: [packageIn(app)],
    logLevel: "warning",
  });
  return folder;
}

/** Writes the page that loads page.js. */
export function writePage(folder: string): void {
  writeFileSync(join(folder, "index.html"), PAGE);
}
