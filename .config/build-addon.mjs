/**
 * Compiles the PKCS#11 addon into build/Release/keyplane.node, and the fake module of its tests beside it.
 * A machine without the tools for that is no error: everything but the HSM works without the addon.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const NODE_GYP = join(ROOT, "node_modules/node-gyp/bin/node-gyp.js");
const PACKAGES = ["node-gyp", "node-addon-api", "pkcs11js"];
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const run = promisify(execFile);

/** Tells whether a command line starts; `$CXX` may hold arguments, as in "ccache g++". */
async function works(commandLine) {
  const [command, ...args] = commandLine.trim().split(/\s+/);
  return run(command, [...args, "--version"]).then(
    () => true,
    () => false,
  );
}

async function findCompiler() {
  const asked = process.env.CXX?.trim();
  for (const candidate of asked ? [asked] : ["g++", "clang++", "c++"]) {
    if (await works(candidate)) return candidate;
  }
  return undefined;
}

/** Finds the headers that came with this Node, which spare node-gyp a download. */
function headersArgument() {
  const prefix = resolve(dirname(process.execPath), "..");
  return existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
}

/**
 * Builds the addon, quietly unless that fails. Steps whose inputs did not change are not run again.
 *
 * @returns {Promise<{ built: boolean, reason?: string }>} `reason` says in one line why there is no addon
 */
export async function buildAddon() {
  const absent = (reason) => ({ built: false, reason });
  if (process.platform === "win32") return absent("the addon is not ported to Windows");
  for (const name of PACKAGES) {
    if (!existsSync(join(ROOT, "node_modules", name))) return absent(`the package ${name} is not installed`);
  }
  const compiler = await findCompiler();
  if (compiler === undefined) return absent("there is no C++ compiler");
  for (const tool of ["python3", "make"]) {
    if (!(await works(tool))) return absent(`there is no ${tool}`);
  }
  const headers = process.env.npm_config_nodedir ? [] : headersArgument();
  // Not "rebuild": it would empty build/, which holds more than the addon.
  for (const step of ["configure", "build"]) {
    try {
      await run(process.execPath, [NODE_GYP, step, ...headers], {
        cwd: ROOT,
        env: { ...process.env, CXX: compiler },
        maxBuffer: MAX_OUTPUT_BYTES,
      });
    } catch (error) {
      console.error(`${error.stdout ?? ""}${error.stderr ?? ""}`);
      return absent(`node-gyp ${step} failed`);
    }
  }
  return { built: true };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { built, reason } = await buildAddon();
  if (!built) {
    console.error(`addon: not built, ${reason}`);
    process.exitCode = 1;
  }
}
