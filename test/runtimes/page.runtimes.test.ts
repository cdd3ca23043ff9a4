/** The page of examples/page in Chromium and Firefox: what it promises, under its policy, without the network, for everyone. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Browser, launchBrowser, type Page } from "./browser-guests.ts";
import { has } from "./tools.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

interface PageScript {
  buildPage(folder: string): Promise<string>;
  servePage(folder: string): Promise<Server>;
}

interface AxeWindow {
  readonly axe: { run(): Promise<{ violations: { id: string; nodes: { target: string[] }[] }[] }> };
}

/** What more of puppeteer's page is used here. */
interface FullPage extends Page {
  setViewport(size: { width: number; height: number }): Promise<void>;
  emulateMediaFeatures(features: { name: string; value: string }[]): Promise<void>;
  on(event: "request", listener: (request: { url(): string }) => void): void;
  on(event: "pageerror", listener: (error: Error) => void): void;
  on(event: "console", listener: (message: { text(): string }) => void): void;
}

describe.each(["chromium", "firefox"] as const)("the page in %s", (browserName) => {
  const isHere = has(browserName);
  let folder: string;
  let server: Server;
  let url: string;
  let browser: Browser;
  let page: FullPage;
  const complaints: string[] = [];
  const requests: string[] = [];

  beforeAll(async () => {
    if (!isHere) return;
    const path = "../../.config/page.mjs";
    const script = (await import(/* @vite-ignore */ path)) as PageScript;
    folder = mkdtempSync(join(tmpdir(), "keyplane-page-"));
    server = await script.servePage(await script.buildPage(folder));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await launchBrowser(browserName);
    page = (await browser.newPage()) as FullPage;
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(url);
    await until(() => page.evaluate(() => document.documentElement.dataset["ready"] === "true"));
    // From here on there is no network.
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  afterAll(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function until(holds: () => Promise<boolean>): Promise<void> {
    await vi.waitFor(async () => expect(await holds()).toBe(true), { timeout: 60_000, interval: 50 });
  }

  const click = (selector: string): Promise<void> =>
    page.evaluate((own) => (document.querySelector(own) as HTMLElement).click(), selector);
  const set = (id: string, value: string): Promise<void> =>
    page.evaluate(
      (own, text) => {
        (document.getElementById(own) as HTMLInputElement).value = text;
      },
      id,
      value,
    );
  const textOf = (id: string): Promise<string> =>
    page.evaluate((own) => document.getElementById(own)?.textContent ?? "", id);

  /** Clicks and waits for the words that the status then has. */
  async function expectStatus(selector: string, status: string, words: RegExp): Promise<void> {
    await click(selector);
    await vi.waitFor(async () => expect(await textOf(status)).toMatch(words), { timeout: 60_000 });
  }

  async function createKey(spec: string): Promise<void> {
    await set("spec", spec);
    const before = await textOf("keys-status");
    await click("#create-form button");
    await until(async () => {
      const status = await textOf("keys-status");
      return status !== before && status.endsWith("is ready.");
    });
  }

  if (!isHere) {
    test.skip("the page, for the browser or its driver is missing: node .config/runtimes.mjs");
    return;
  }

  test("encrypts and decrypts text, and refuses another context and a flipped bit", async () => {
    expect(await textOf("fact-engine")).toBe("WebAssembly kernels");
    await createKey("Aliyun_AES_256");
    await set("plaintext", "for nobody else");
    await expectStatus("#text-form button[type=submit]", "text-status", /^Sealed: 67 bytes/);
    expect(await textOf("parts")).toContain("“KP”");
    expect(await page.evaluate(() => document.querySelectorAll("#bytes span").length)).toBe(67);
    await expectStatus("#decrypt", "text-status", /^Opened: “for nobody else”$/);
    await set("context-value", "another");
    await expectStatus("#decrypt", "text-status", /^InvalidCiphertext/);
    await set("context-value", "demonstration");
    await expectStatus("#decrypt", "text-status", /^Opened/);
    await expectStatus("#flip", "text-status", /^The last bit/);
    await expectStatus("#decrypt", "text-status", /^InvalidCiphertext/);
  });

  test("signs and verifies, and a changed message does not verify", async () => {
    await createKey("EC_P256K");
    await expectStatus("#sign-form button[type=submit]", "sign-status", /^Signed with ECDSA_SHA_256/);
    await expectStatus("#verify", "sign-status", /is good/);
    await set("message", "Release 1.2.4");
    await expectStatus("#verify", "sign-status", /is not good/);
  });

  test("encrypts a file, which decrypts to itself", async () => {
    const choose = (name: string, from: "pattern" | "result"): Promise<void> =>
      page.evaluate(
        async (fileName, source) => {
          const link = document.querySelector<HTMLAnchorElement>("#file-result a");
          const bytes =
            source === "pattern"
              ? Uint8Array.from({ length: 200_001 }, (_, i) => i * 7)
              : await readBlob(link?.href ?? "");
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], fileName));
          (document.getElementById("file") as HTMLInputElement).files = transfer.files;

          /** The policy forbids fetch, even of a blob; a reader of the page's own object it does not. */
          async function readBlob(href: string): Promise<Uint8Array<ArrayBuffer>> {
            const { lastFile } = globalThis as unknown as { lastFile: Map<string, Blob> };
            const blob = lastFile.get(href);
            return new Uint8Array(await (blob as Blob).arrayBuffer());
          }
        },
        name,
        from,
      );
    await page.evaluate(() => {
      const made = new Map<string, Blob>();
      (globalThis as unknown as { lastFile: Map<string, Blob> }).lastFile = made;
      const { createObjectURL } = URL;
      URL.createObjectURL = (blob) => {
        const url = createObjectURL(blob);
        made.set(url, blob as Blob);
        return url;
      };
    });
    await choose("data.bin", "pattern");
    await expectStatus("#file-form button[value=encrypt]", "file-status", /^Encrypted/);
    await choose("data.bin.kstr", "result");
    await expectStatus("#file-form button[value=decrypt]", "file-status", /^Every frame was authentic/);
    const isSame = await page.evaluate(async () => {
      const href = document.querySelector<HTMLAnchorElement>("#file-result a")?.href ?? "";
      const blob = (globalThis as unknown as { lastFile: Map<string, Blob> }).lastFile.get(href);
      const bytes = new Uint8Array(await (blob as Blob).arrayBuffer());
      return bytes.length === 200_001 && bytes.every((byte, i) => byte === ((i * 7) & 0xff));
    });
    expect(isSame).toBe(true);
  });

  // Only Chromium's driver changes the theme.
  const themes = browserName === "chromium" ? ["light", "dark"] : ["of the system"];

  test.each(themes)("has no barrier that axe finds, and fits a phone, in the theme %s", async (theme) => {
    const source = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    // The page's policy lets no script be added; what the driver evaluates is none of the page's.
    await (page as unknown as { evaluate(code: string): Promise<unknown> }).evaluate(
      readFileSync(source, "utf8"),
    );
    if (browserName === "chromium") {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    }
    await page.setViewport({ width: 390, height: 844 });
    const found = await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as AxeWindow).axe.run();
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`,
      );
    });
    expect(found).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    );
  });

  test("asked for nothing but its three files, and nothing went wrong", () => {
    expect(requests.filter((request) => !request.startsWith("data:")).sort()).toEqual([
      url,
      `${url}main.js`,
      `${url}style.css`,
    ]);
    expect(complaints).toEqual([]);
  });
});
