/** A page may open and close a Kms as often as it likes: browsers allow few wasm instances, and memory must not grow. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type App, makeApp, packageIn } from "./app.ts";
import { type Browser, launchBrowser, serve } from "./browser-guests.ts";
import type { Cycles } from "./guest/cycles.ts";
import { has, ROOT } from "./tools.ts";
import { writePage } from "./web-site.ts";

const CYCLES = 10_000;
const isHere = has("chromium");
let app: App;
let browser: Browser;

beforeAll(async () => {
  if (!isHere) return;
  app = makeApp();
  browser = await launchBrowser("chromium", ["--js-flags=--expose-gc", "--enable-precise-memory-info"]);
});
afterAll(async () => {
  await browser?.close();
  app?.remove();
});

test.skipIf(!isHere)(
  "10,000 cycles of open, seal and close in a Chromium page meet no limit and leave no memory behind",
  async () => {
    const folder = join(app.folder, "cycles");
    mkdirSync(folder, { recursive: true });
    writePage(folder);
    await build({
      entryPoints: { page: join(ROOT, "test/runtimes/guest/cycles.ts") },
      outdir: folder,
      bundle: true,
      splitting: true,
      format: "esm",
      tsconfigRaw: {},
      plugins: [packageIn(app)],
      logLevel: "warning",
    });
    const site = await serve(folder, "strict policy");
    try {
      const page = await browser.newPage();
      await page.goto(`${site.origin}/`);
      const [before, after] = await page.evaluate(async (count: number) => {
        const scope = globalThis as unknown as { keyplaneCycles?: Cycles };
        while (scope.keyplaneCycles === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
        return scope.keyplaneCycles.run(count);
      }, CYCLES);
      expect(before.instances).toBeGreaterThan(0);
      expect(after.instances).toBe(before.instances);
      expect(after.wasm).toBe(before.wasm);
      expect(after.heap - before.heap).toBeLessThan(500_000);
    } finally {
      site.close();
    }
  },
  600_000,
);
