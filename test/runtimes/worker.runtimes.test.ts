/** `keyplane/worker` in Chromium and Firefox: a Kms in a module worker, used from a page, under the strict policy. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, makeApp, packageIn } from "./app.ts";
import { launchBrowser, runInBrowser, serve } from "./browser-guests.ts";
import { makeFixture } from "./fixture.ts";
import { has, ROOT } from "./tools.ts";
import { writePage } from "./web-site.ts";

let app: App;
let folder: string;

beforeAll(async () => {
  app = makeApp();
  folder = join(app.folder, "worker");
  mkdirSync(folder);
  writePage(folder);
  const guest = (name: string): string => join(ROOT, `test/runtimes/guest/${name}.ts`);
  await build({
    entryPoints: { page: guest("kms-page"), "kms-worker": guest("kms-worker") },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    tsconfigRaw: {},
    plugins: [packageIn(app)],
    logLevel: "warning",
  });
}, 300_000);
afterAll(() => app?.remove());

describe.each(["chromium", "firefox"] as const)("a Kms in a worker of %s", (name) => {
  test.skipIf(!has(name))(
    "answers a page as one in the page does, with the same errors",
    async () => {
      const [browser, site] = [await launchBrowser(name), await serve(folder, "strict policy")];
      try {
        const request = { ...(await makeFixture()), runtime: name, engines: [] };
        const report = await runInBrowser(browser, `${site.origin}/`, "page", request);
        expect(report.failed).toEqual([]);
        expect(report.passed.length).toBeGreaterThan(12);
        expect(report.refused).toEqual(["synchronous calls"]);
        expect(report.engines["kms"]).toBe("wasm");
      } finally {
        site.close();
        await browser.close();
      }
    },
    300_000,
  );
});
