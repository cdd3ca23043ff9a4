/** Every bundler makes a page of the package that works in Chromium, without a policy and with the strict one. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, makeApp, translateGuest } from "./app.ts";
import { type Browser, launchBrowser, runInBrowser, serve } from "./browser-guests.ts";
import { BUNDLERS, bundlePage, prepareForBundlers } from "./bundlers.ts";
import { makeFixture } from "./fixture.ts";
import type { SuiteRequest } from "./guest/protocol.ts";
import { has } from "./tools.ts";

let app: App;
let guest: string;
let fixture: Omit<SuiteRequest, "runtime" | "engines">;
let browser: Browser;

const isHere = has("chromium");

beforeAll(async () => {
  if (!isHere) return;
  app = makeApp();
  prepareForBundlers(app);
  [fixture, guest, browser] = await Promise.all([
    makeFixture(),
    translateGuest(app, "bundled"),
    launchBrowser("chromium"),
  ]);
});
afterAll(async () => {
  await browser?.close();
  app?.remove();
});

/** Lists the JavaScript files of a build that carry a kernel, by the length of its text. */
function kernelFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".js"))
    .filter((name) => /[0-9a-f]{20000}/.test(readFileSync(join(folder, name), "utf8")));
}

describe.skipIf(!isHere).each(Object.keys(BUNDLERS))("a page built by %s", (bundler) => {
  test("passes every check under each policy, and loads kernels as chunks", async () => {
    const folder = await bundlePage(app, guest, bundler);
    expect(kernelFiles(folder).length).toBeGreaterThanOrEqual(5);
    for (const policy of ["no policy", "strict policy"] as const) {
      const site = await serve(folder, policy);
      try {
        const request = { ...fixture, runtime: `${bundler}, ${policy}`, engines: ["wasm", "webcrypto"] };
        const report = await runInBrowser(browser, `${site.origin}/`, "page", request);
        expect(report.failed).toEqual([]);
        expect(report.engines["wasm"]).toBe("relaxed");
      } finally {
        site.close();
      }
    }
  });
});
