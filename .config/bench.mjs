/** Bundles bench/index.ts and runs it: `npm run bench`, `npm run bench -- NAME…`. */

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./files.mjs";

// As deep as the sources are, which find the addon from where they stand.
const outfile = join(ROOT, "build/bench/out", `bench-${process.pid}.mjs`);
await build({
  entryPoints: [join(ROOT, "bench/index.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning",
});
const result = spawnSync(process.execPath, ["--expose-gc", outfile, ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: "inherit",
});
rmSync(outfile, { force: true });
process.exitCode = result.status ?? 1;
