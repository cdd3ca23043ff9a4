/** One suite, every runtime: the checks pass wherever the package runs, and what one runtime seals every other opens. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, makeApp, translateGuest } from "./app.ts";
import {
  type Browser,
  type BrowserName,
  launchBrowser,
  type Place,
  POLICIES,
  type Policy,
  runInBrowser,
  type Site,
  serve,
} from "./browser-guests.ts";
import { CLI_GUESTS, runCli } from "./cli-guests.ts";
import { type EdgeGuest, edgeRuntimeGuest, workerdGuest } from "./edge-guests.ts";
import { makeFixture } from "./fixture.ts";
import type { Sealed, SuiteReport, SuiteRequest } from "./guest/protocol.ts";
import { has, type Tool } from "./tools.ts";
import { makeSite } from "./web-site.ts";

interface Guest {
  readonly name: string;
  readonly tool: Tool;
  readonly engines: readonly string[];
  /** The wasm build that must run; undefined where WebAssembly is missing. */
  readonly build: string | undefined;
  run(request: SuiteRequest): Promise<SuiteReport>;
}

let app: App;
let fixture: Omit<SuiteRequest, "runtime" | "engines">;
let cliFile: string;
let siteFolder: string;
const sealed: Sealed[] = [];
const toClose: (() => unknown)[] = [];

beforeAll(async () => {
  app = makeApp();
  [fixture, cliFile, siteFolder] = await Promise.all([
    makeFixture(),
    translateGuest(app, "cli"),
    makeSite(app),
  ]);
});
afterAll(async () => {
  for (const close of toClose) await close();
  app.remove();
});

/** Makes something once, when first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const browsers: Readonly<Record<BrowserName, () => Promise<Browser>>> = {
  chromium: once(() => openBrowser("chromium")),
  firefox: once(() => openBrowser("firefox")),
};

async function openBrowser(name: BrowserName): Promise<Browser> {
  const browser = await launchBrowser(name);
  toClose.push(() => browser.close());
  return browser;
}

const sites = Object.fromEntries(
  Object.keys(POLICIES).map((policy) => [
    policy,
    once(async () => {
      const site = await serve(siteFolder, policy as Policy);
      toClose.push(() => site.close());
      return site;
    }),
  ]),
) as Record<Policy, () => Promise<Site>>;

function browserGuests(): Guest[] {
  const guests: Guest[] = [];
  const places: Readonly<Record<BrowserName, readonly Place[]>> = {
    chromium: ["page", "worker", "service worker"],
    firefox: ["page", "worker"],
  };
  for (const browser of ["chromium", "firefox"] as const) {
    guests.push({
      name: `${browser} page, policy without WebAssembly`,
      tool: browser,
      engines: ["webcrypto"],
      build: undefined,
      run: async (request) =>
        runInBrowser(
          await browsers[browser](),
          `${(await sites["policy without WebAssembly"]()).origin}/`,
          "page",
          request,
        ),
    });
    for (const policy of ["no policy", "strict policy"] as const) {
      for (const place of places[browser]) {
        guests.push({
          name: `${browser} ${place}, ${policy}`,
          tool: browser,
          engines: ["wasm", "webcrypto"],
          build: "relaxed",
          run: async (request) =>
            runInBrowser(await browsers[browser](), `${(await sites[policy]()).origin}/`, place, request),
        });
      }
    }
  }
  return guests;
}

function edgeGuest(name: string, tool: Tool, build: string, make: (app: App) => Promise<EdgeGuest>): Guest {
  const guest = once(async () => {
    const made = await make(app);
    toClose.push(() => made.close());
    return made;
  });
  return {
    name,
    tool,
    engines: ["wasm", "webcrypto"],
    build,
    run: async (request) => (await guest()).run(request),
  };
}

const GUESTS: readonly Guest[] = [
  ...CLI_GUESTS.map((guest) => ({
    ...guest,
    run: (request: SuiteRequest) => runCli(guest, app, cliFile, request),
  })),
  edgeGuest("workerd", "workerd", "relaxed", workerdGuest),
  edgeGuest("edge-runtime", "node-20", "simd", edgeRuntimeGuest),
  ...browserGuests(),
];

describe.each(GUESTS)("$name", ({ name, tool, engines, build, run }) => {
  test.skipIf(!has(tool))("passes every check", async () => {
    const report = await run({ ...fixture, runtime: name, engines });
    expect(report.failed).toEqual([]);
    expect(report.passed.length).toBeGreaterThan(15);
    expect(report.engines["wasm"]).toBe(build);
    if (report.sealed !== undefined) sealed.push(report.sealed);
  });
});

describe.each(GUESTS)("$name", ({ name, tool, run }) => {
  test.skipIf(!has(tool))("opens what every other sealed", async () => {
    const report = await run({ ...fixture, runtime: name, engines: [], open: sealed });
    expect(report.failed).toEqual([]);
    expect(report.passed.length).toBe(sealed.length + 1);
  });
});
