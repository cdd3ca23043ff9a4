/** Builds examples/page into build/page and, unless asked to build only, serves it on 127.0.0.1 under its policy. */

import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { ROOT } from "./files.mjs";

const SOURCE = join(ROOT, "examples/page");

/** What the page is served with, wherever that is: nothing may be loaded but its own script and style, nothing connected to. */
export const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

/** Bundles the page with every kernel in its one script, so that nothing is left to load. */
export async function buildPage(folder = join(ROOT, "build/page")) {
  mkdirSync(folder, { recursive: true });
  for (const file of ["index.html", "style.css"]) cpSync(join(SOURCE, file), join(folder, file));
  await build({
    entryPoints: [join(SOURCE, "main.js")],
    outfile: join(folder, "main.js"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["browser"],
    logLevel: "warning",
  });
  return folder;
}

/** Serves a folder of three files. */
export function servePage(folder, port = 0) {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : (request.url ?? "").slice(1);
    if (!["index.html", "style.css", "main.js"].includes(name)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(name)] });
    response.end(readFileSync(join(folder, name)));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = await buildPage();
  if (process.argv.includes("--build")) console.log(`page: ${folder}`);
  else {
    const server = await servePage(folder, Number(process.env.PORT ?? 4173));
    console.log(`page: http://127.0.0.1:${server.address().port}/`);
  }
}
