/** Guests in Chromium and Firefox: a page, a module worker, a service worker, under policies for scripts. */

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { SuiteReport, SuiteRequest } from "./guest/protocol.ts";
import { binary, importTool } from "./tools.ts";

export type BrowserName = "chromium" | "firefox";
export type Place = "page" | "worker" | "service worker";

/** Content-Security-Policy headers: none, the one to use, and one that forbids WebAssembly. */
export const POLICIES = {
  "no policy": undefined,
  "strict policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; base-uri 'none'",
  "policy without WebAssembly": "default-src 'none'; script-src 'self'; worker-src 'self'",
} as const;
export type Policy = keyof typeof POLICIES;

/** What is used of puppeteer-core. */
interface Puppeteer {
  readonly default: {
    launch(options: {
      readonly browser: "chrome" | "firefox";
      readonly executablePath: string;
      readonly headless: true;
      readonly args: readonly string[];
      readonly protocolTimeout: number;
    }): Promise<Browser>;
  };
}

export interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<Arguments extends unknown[], Answer>(
    call: (...args: Arguments) => Answer,
    ...args: Arguments
  ): Promise<Awaited<Answer>>;
  on(event: "pageerror", listener: (error: Error) => void): void;
  on(event: "console", listener: (message: { text(): string }) => void): void;
  close(): Promise<void>;
}

const CHROMIUM_ARGS: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launchBrowser(name: BrowserName, extraArgs: readonly string[] = []): Promise<Browser> {
  const { default: puppeteer } = await importTool<Puppeteer>("puppeteer-core");
  return puppeteer.launch({
    browser: name === "chromium" ? "chrome" : "firefox",
    executablePath: binary(name),
    headless: true,
    args: [...(name === "chromium" ? CHROMIUM_ARGS : []), ...extraArgs],
    protocolTimeout: 600_000,
  });
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
};

export interface Site {
  readonly origin: string;
  close(): void;
}

/** Serves a folder on this machine alone, every answer with the policy and the headers given. */
export async function serve(
  folder: string,
  policy: Policy,
  headers: Readonly<Record<string, string>> = {},
): Promise<Site> {
  const header = POLICIES[policy];
  const server: Server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    try {
      const body = readFileSync(file);
      response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
      response.setHeader("Cache-Control", "no-store");
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      if (header !== undefined) response.setHeader("Content-Security-Policy", header);
      response.end(body);
    } catch {
      response.statusCode = path === "/favicon.ico" ? 204 : 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => void server.close() };
}

/** Opens a page of a site whose script defines `keyplaneSuite`, and runs a request there. @throws Error with what the page said */
export async function runInBrowser(
  browser: Browser,
  url: string,
  place: Place,
  request: SuiteRequest,
): Promise<SuiteReport> {
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("console", (message) => said.push(message.text()));
  try {
    await page.goto(url);
    const report = await page.evaluate(
      async (where: string, json: string) => {
        type Suite = (place: string, request: string) => Promise<string>;
        const scope = globalThis as unknown as { keyplaneSuite?: Suite };
        for (let waited = 0; scope.keyplaneSuite === undefined && waited < 10_000; waited += 20) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        if (scope.keyplaneSuite === undefined) throw new Error("the page's script did not run");
        return scope.keyplaneSuite(where, json);
      },
      place as string,
      JSON.stringify(request),
    );
    return JSON.parse(report) as SuiteReport;
  } catch (error) {
    throw new Error(`${String(error)}\n${said.join("\n")}`);
  } finally {
    await page.close();
  }
}
