/**
 * Installs what the runtime tests and benches need (runtimes, bundlers, browser driver; about 1 GB) into test/runtimes. Does
 * nothing when the lock file has not changed.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { digestOf, ROOT, whenChanged } from "./files.mjs";

const FOLDER = "test/runtimes";

export async function installRuntimes() {
  await whenChanged({
    name: "runtimes",
    stamp: `${FOLDER}/node_modules/.keyplane-stamp`,
    digest: digestOf([`${FOLDER}/package-lock.json`], process.platform, process.arch),
    outputs: [`${FOLDER}/node_modules/puppeteer-core`],
    run: () => {
      console.log("runtimes: installing (about a minute, once)");
      // Their own install scripts only move binaries about, which are found where their packages have them.
      const installed = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
        cwd: join(ROOT, FOLDER),
        encoding: "utf8",
        shell: process.platform === "win32",
      });
      if (installed.status === 0) return true;
      console.log(`runtimes: npm ci failed:\n${installed.stdout}${installed.stderr}`);
      return false;
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await installRuntimes();
