/** Builds what changed: wasm and its text form, the addon, dist/. `npm run build` runs it by itself. */

import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BUILD_NAMES, BYTES_FOLDER, buildWasm } from "./build-wasm.mjs";
import { digestOf, filesBelow, findCompiler, ROOT, whenChanged } from "./files.mjs";

const BYTES_FILES = BUILD_NAMES.map((name) => `${BYTES_FOLDER}/${name}.ts`);
const LOCK = "package-lock.json";
const ADDON_INPUTS = ["native", "test/native", "binding.gyp", ".config/build-addon.mjs", LOCK];

function tsc(...args) {
  const result = spawnSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), ...args], {
    cwd: ROOT,
    stdio: "inherit",
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Removes what an earlier build left in dist/ and no source stands for any more. */
function removeStale() {
  const sources = new Set(filesBelow(["src"]).map((file) => file.slice("src/".length, -".ts".length)));
  for (const file of BYTES_FILES) sources.add(file.slice("src/".length, -".ts".length));
  const visit = (folder) => {
    for (const entry of readdirSync(join(ROOT, "dist", folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (
        /\.(js|js\.map|d\.ts)$/.test(path) &&
        !sources.has(path.replace(/\.(js\.map|d\.ts|js)$/, ""))
      ) {
        rmSync(join(ROOT, "dist", path));
      }
    }
  };
  if (existsSync(join(ROOT, "dist"))) visit("");
}

/** Puts what the addon is compiled with beside its users: `keyplane hsm build` needs no other package. */
function copyHeaders() {
  const include = join(ROOT, "dist/include");
  rmSync(include, { recursive: true, force: true });
  const napi = join(ROOT, "node_modules/node-addon-api");
  for (const name of ["napi.h", "napi-inl.h", "napi-inl.deprecated.h"]) {
    cpSync(join(napi, name), join(include, name));
  }
  cpSync(join(napi, "LICENSE.md"), join(include, "LICENSE.node-addon-api.md"));
  // The licence of these is at their top.
  cpSync(join(ROOT, "node_modules/pkcs11js/includes/pkcs11"), join(include, "pkcs11"), { recursive: true });
}

/** @param {{ compiler?: string }} [options] */
export async function build({ compiler } = {}) {
  await whenChanged({
    name: "wasm",
    stamp: "build/wasm.stamp",
    digest: digestOf(["assembly", ".config/build-wasm.mjs", LOCK]),
    outputs: [...BYTES_FILES, ...BUILD_NAMES.map((name) => `dist/${name}.wasm`), "dist/wasm.json"],
    run: async () => {
      const built = await buildWasm({ outDir: join(ROOT, "dist") });
      const facts = Object.entries(built).map(([name, { byteLength, sha256 }]) => [
        name,
        { bytes: byteLength, sha256 },
      ]);
      writeFileSync(join(ROOT, "dist/wasm.json"), `${JSON.stringify(Object.fromEntries(facts))}\n`);
    },
  });
  await whenChanged({
    name: "dist",
    stamp: "build/dist.stamp",
    digest: digestOf(["src", "tsconfig.json", "assembly", LOCK]),
    outputs: ["dist/index.js", "dist/cli/main.js"],
    run: () => {
      removeStale();
      tsc("--project", "tsconfig.json");
      chmodSync(join(ROOT, "dist/cli/main.js"), 0o755);
    },
  });
  await whenChanged({
    name: "headers",
    stamp: "build/headers.stamp",
    digest: digestOf([".config/build.mjs", LOCK]),
    outputs: ["dist/include/napi.h", "dist/include/pkcs11/pkcs11.h"],
    run: copyHeaders,
  });
  await whenChanged({
    name: "addon",
    stamp: "build/addon.stamp",
    digest: digestOf(ADDON_INPUTS, process.versions.modules, compiler),
    outputs: compiler === undefined ? [] : ["build/Release/keyplane.node"],
    run: async () => {
      const { buildAddon } = await import("./build-addon.mjs");
      const { built, reason } = await buildAddon();
      if (built) return true;
      console.log(`addon: skipped, ${reason}; everything but the HSM works.`);
      // Without a compiler nothing will change by itself; any other failure is tried again.
      return compiler === undefined;
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ compiler: findCompiler() });
