/** Measures what a browser loads of each entry, minified and gzipped, and holds it against budgets. */

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { ROOT } from "./files.mjs";

/** Bytes at most of an entry and the builds it loads in any one browser. */
const BUDGETS = {
  "aes-gcm": { entry: "dist/aes-gcm.js", modules: ["main"], most: 25 * 1024 },
  web: { entry: "dist/web.js", modules: ["main", "ecc", "rsa"], most: 130 * 1024 },
};

/** Names the module and build of a chunk of kernels: `simd` is main's, `ecc-base` is one of ecc's. */
const KERNELS = /engines\/wasm\/bytes\/(?:(\w+)-)?(\w+)\.js$/;

/**
 * Bundles an entry with its lazy parts as chunks.
 *
 * @returns the gzipped bytes of the code, and of each build of each module of kernels
 */
async function measure(entry) {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    write: false,
    metafile: true,
    outdir: "out",
    logLevel: "warning",
  });
  const gzipped = (path) => {
    const file = outputFiles.find((each) => each.path.replaceAll("\\", "/").endsWith(path));
    return gzipSync(file.contents, { level: 9 }).length;
  };
  let code = 0;
  const kernels = {};
  for (const [path, { entryPoint = "" }] of Object.entries(metafile.outputs)) {
    const [match, module = "main", name] = KERNELS.exec(entryPoint) ?? [];
    if (match === undefined) code += gzipped(path);
    else kernels[module] = { ...kernels[module], [name]: gzipped(path) };
  }
  return { code, kernels };
}

/** @returns {Promise<{ lines: string[], problem: string | undefined }>} a table, and what is over its budget */
export async function sizes() {
  const lines = [];
  const over = [];
  for (const [name, { entry, modules, most }] of Object.entries(BUDGETS)) {
    const { code, kernels } = await measure(entry);
    const foreign = Object.keys(kernels).filter((module) => !modules.includes(module));
    if (foreign.length > 0) over.push(`${name} reaches the kernels of ${foreign.join(", ")}`);
    for (const [module, builds] of Object.entries(kernels)) {
      lines.push(`${name}: kernels of ${module}, one of ${JSON.stringify(builds)}`);
    }
    // A browser takes the builds of one kind; what is carried in the code comes to all of them.
    const totals = ["base", "simd", "relaxed"].map((kind) =>
      Object.values(kernels).reduce((sum, builds) => sum + (builds[kind] ?? 0), code),
    );
    const total = Math.max(...totals);
    lines.push(
      `${name}: code ${code} bytes; with the builds of a kind ${total} of at most ${most} bytes gzipped`,
    );
    if (total > most) over.push(`${name} loads ${total} bytes gzipped, more than ${most}`);
  }
  return { lines, problem: over.length === 0 ? undefined : [...over, ...lines].join("\n") };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { lines, problem } = await sizes();
  console.log(lines.join("\n"));
  if (problem !== undefined) process.exitCode = 1;
}
