/** Builds one page with each bundler, each as its users call it and with little configuration. */

import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { App } from "./app.ts";
import { execute } from "./cli-guests.ts";
import { importTool, tool } from "./tools.ts";
import { writePage } from "./web-site.ts";

/** Builds `source` (index.html, page.js) into `out`. */
type Bundle = (source: string, out: string, app: App) => Promise<unknown>;

interface Compiler {
  run(done: (error: Error | null, stats?: { hasErrors(): boolean; toString(): string }) => void): void;
}
type Compile = (options: Readonly<Record<string, unknown>>) => Compiler;

/** webpack and rspack take the same options. */
function compile(make: Compile, source: string, out: string): Promise<void> {
  const compiler = make({
    mode: "production",
    context: source,
    entry: "./page.js",
    output: { path: out, filename: "page.js", publicPath: "/" },
    performance: { hints: false },
  });
  writePage(out);
  return new Promise((resolve, reject) =>
    compiler.run((error, stats) => {
      if (error !== null) reject(error);
      else if (stats?.hasErrors() === true) reject(new Error(stats.toString()));
      else resolve();
    }),
  );
}

interface Rollup {
  rollup(options: object): Promise<{ write(options: object): Promise<unknown> }>;
}

export const BUNDLERS: Readonly<Record<string, Bundle>> = {
  async Vite(source, out) {
    const { build } = await importTool<{ build(options: object): Promise<unknown> }>("vite");
    await build({
      root: source,
      logLevel: "error",
      configFile: false,
      build: { outDir: out, emptyOutDir: true },
    });
  },
  async webpack(source, out) {
    await compile((await importTool<{ default: Compile }>("webpack")).default, source, out);
  },
  async rspack(source, out) {
    await compile((await importTool<{ rspack: Compile }>("@rspack/core")).rspack, source, out);
  },
  async esbuild(source, out) {
    const { build } = await importTool<{ build(options: object): Promise<unknown> }>("esbuild");
    writePage(out);
    await build({
      entryPoints: [join(source, "page.js")],
      outdir: out,
      bundle: true,
      splitting: true,
      minify: true,
      format: "esm",
    });
  },
  async rollup(source, out) {
    const { rollup } = await importTool<Rollup>("rollup");
    const { default: resolve } = await importTool<{ default(): unknown }>("@rollup/plugin-node-resolve");
    const bundle = await rollup({ input: join(source, "page.js"), plugins: [resolve()] });
    writePage(out);
    await bundle.write({ dir: out, format: "es" });
  },
  async Parcel(source, out, app) {
    const args = ["build", join(source, "index.html"), "--dist-dir", out, "--no-cache", "--no-source-maps"];
    await execute(process.execPath, [tool("parcel/lib/bin.js"), ...args, "--no-autoinstall"], app.folder);
  },
};

/** Builds the page of a bundler. @returns the folder to serve */
export async function bundlePage(app: App, guest: string, bundler: string): Promise<string> {
  const source = join(app.folder, `source-${bundler}`);
  const out = join(app.folder, `bundled-${bundler}`);
  // Recursive, for a run that is tried again finds them there.
  mkdirSync(source, { recursive: true });
  mkdirSync(out, { recursive: true });
  cpSync(guest, join(source, "page.js"));
  writePage(source);
  await BUNDLERS[bundler]?.(source, out, app);
  return out;
}

/**
 * Writes what makes the app a project of its own in the eyes of bundlers, with two lines for Parcel: it reads `exports` when
 * asked to, and writes no inline import map, which the strict policy forbids, for browsers that lack import maps.
 */
export function prepareForBundlers(app: App): void {
  writeFileSync(
    join(app.folder, "package.json"),
    JSON.stringify({
      name: "app",
      private: true,
      type: "module",
      "@parcel/resolver-default": { packageExports: true },
      browserslist: "chrome 100, firefox 100",
    }),
  );
  writeFileSync(join(app.folder, "package-lock.json"), "{}");
}
