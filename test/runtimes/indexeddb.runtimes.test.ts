/** The IndexedDB store in Chromium and Firefox: the suite of every store, two tabs, a tab that dies, foreign databases, files of the command line. */

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ensureBytes } from "../../src/bytes.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import type { KeyStore, StoreChange, StoredRecord } from "../../src/keys/key-store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { useCli } from "../cli/support.ts";
import { describeKeyStore, put } from "../conformance/key-store.ts";
import { type Browser, launchBrowser, type Page } from "./browser-guests.ts";
import type { Outcome, SentChange, StorePage } from "./guest/indexeddb-page.ts";
import { has, ROOT } from "./tools.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const cli = useCli();

type InPage = { page: StorePage };
/** A row of any kind that describes nothing. */
const ROW = [put("key", "a", [1, 2, 3])];

const sent = (changes: readonly StoreChange[]): SentChange[] =>
  changes.map((change) =>
    change.action === "put"
      ? { ...change, bytes: Buffer.from(change.bytes).toString("base64") }
      : { ...change },
  );

/** A store that lives in a page. */
class RemoteStore implements KeyStore {
  readonly persistent: boolean = true;
  readonly #page: Page;
  readonly #index: Promise<number>;

  constructor(page: Page, name: string) {
    this.#page = page;
    this.#index = page.evaluate((own) => (globalThis as unknown as InPage).page.make(own), name);
  }

  async open(): Promise<StoredRecord[]> {
    const { records = [] } = await this.#call("open");
    return records.map(
      ({ kind, id, bytes }) =>
        ({ kind, id, bytes: new Uint8Array(Buffer.from(bytes, "base64")) }) as StoredRecord,
    );
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    for (const change of changes) {
      // What cannot cross to the page is refused here, by the same check as there.
      if (change.action === "put") ensureBytes(change.bytes, "bytes");
    }
    await this.#call("commit", sent(changes));
  }

  async purge(): Promise<void> {
    await this.#call("purge");
  }

  async close(): Promise<void> {
    await this.#call("close");
  }

  async commitAndForget(changes: readonly StoreChange[]): Promise<void> {
    await this.#page.evaluate(
      (index, own) => (globalThis as unknown as InPage).page.commitAndForget(index, own),
      await this.#index,
      sent(changes),
    );
  }

  async #call(method: "open" | "commit" | "purge" | "close", changes?: SentChange[]): Promise<Outcome> {
    const outcome = await this.#page.evaluate(
      (index, name, own) => (globalThis as unknown as InPage).page.call(index, name, own),
      await this.#index,
      method,
      changes ?? [],
    );
    if (outcome.error !== undefined) {
      throw new KmsError(outcome.error.code as KmsErrorCode, outcome.error.message);
    }
    return outcome;
  }
}

/** Serves the page's one script; the origin is what keeps the data. */
async function serve(): Promise<{ server: Server; url: string }> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "test/runtimes/guest/indexeddb-page.ts")],
    bundle: true,
    format: "esm",
    write: false,
    target: "es2022",
  });
  const script = outputFiles[0]?.contents ?? new Uint8Array(0);
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : `<!doctype html><script type="module" src="/page.js"></script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

describe.each(["chromium", "firefox"] as const)("in %s", (browserName) => {
  const isHere = has(browserName);
  let server: Server;
  let url: string;
  let browser: Browser;
  let page: Page;
  let stores = 0;

  async function newPage(): Promise<Page> {
    const made = await browser.newPage();
    await made.goto(url);
    return made;
  }

  beforeAll(async () => {
    if (!isHere) return;
    ({ server, url } = await serve());
    browser = await launchBrowser(browserName);
    page = await newPage();
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  if (!isHere) {
    test.skip("the IndexedDB store, for the browser or its driver is missing: node .config/runtimes.mjs");
    return;
  }

  describeKeyStore("IndexedDB", () => {
    const name = `suite ${stores++}`;
    return () => new RemoteStore(page, name);
  });

  test("a second tab is kept out until the first closes the store", async () => {
    const other = await newPage();
    const [first, second] = [new RemoteStore(page, "two tabs"), new RemoteStore(other, "two tabs")];
    await first.open();
    await expect(second.open()).rejects.toMatchObject({ code: "ServiceUnavailableTemporary" });
    await first.commit(ROW);
    await first.close();
    expect(await second.open()).toEqual([{ kind: "key", id: "a", bytes: Uint8Array.of(1, 2, 3) }]);
    await second.close();
    await other.close();
  });

  test("two tabs that open at once do not both get in", async () => {
    const other = await newPage();
    const tabs = [new RemoteStore(page, "race"), new RemoteStore(other, "race")];
    const outcomes = await Promise.allSettled(tabs.map((store) => store.open()));
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(1);
    for (const store of tabs) await store.close();
    await other.close();
  });

  test("a tab that dies keeps what was acknowledged, and of a commit under way all or nothing", async () => {
    for (let round = 0; round < 5; round++) {
      const other = await newPage();
      const store = new RemoteStore(other, `dying ${round}`);
      await store.open();
      await store.commit(ROW);
      const rows = Array.from({ length: 200 }, (_, i) =>
        put("version", `v${i}`, new Uint8Array(2000).fill(i)),
      );
      await store.commitAndForget(rows);
      await other.close();
      const later = new RemoteStore(page, `dying ${round}`);
      const found = await vi.waitFor(() => later.open(), { timeout: 20_000, interval: 50 });
      expect([1, 201]).toContain(found.length);
      await later.close();
    }
  });

  test("a database of another program or a newer release is refused and left alone", async () => {
    await page.evaluate(() => (globalThis as unknown as InPage).page.makeForeign("foreign", 1, "things"));
    await page.evaluate(() => (globalThis as unknown as InPage).page.makeForeign("newer", 9, "record"));
    const newer = new RemoteStore(page, "newer");
    for (const store of [new RemoteStore(page, "foreign"), newer]) {
      await expect(store.open()).rejects.toMatchObject({ code: "InternalFailure" });
    }
    await expect(newer.open()).rejects.toThrow(/newer schema/);
  });

  test("what the command line encrypts a page decrypts, and the other way round [STR-1]", async () => {
    const keyId = await cli.text(["key", "create"]);
    const input = Buffer.from(Uint8Array.from({ length: 150_001 }, (_, i) => i * 11));
    const context = ["--context", "host=db1"];
    const { stdout: file } = await cli.run(["encrypt", "--key", keyId, ...context], { input });
    const sqlite = sqliteStore({ file: cli.path("store.db") });
    const rows = await sqlite.open();
    await sqlite.close();
    const name = `of the command line ${keyId}`;
    const store = new RemoteStore(page, name);
    await store.open();
    await store.commit(rows.map((row) => ({ action: "put", ...row })));
    await store.close();
    const crypt = async (how: "encrypt" | "decrypt", bytes: Buffer): Promise<Buffer> =>
      Buffer.from(
        await page.evaluate(
          (...args) => (globalThis as unknown as InPage).page.crypt(...args),
          name,
          readFileSync(cli.path("root.key")).toString("base64"),
          keyId,
          how,
          bytes.toString("base64"),
        ),
        "base64",
      );
    expect(Buffer.compare(await crypt("decrypt", file), input)).toBe(0);
    const theirs = await crypt("encrypt", input);
    expect(theirs.length).toBe(file.length);
    const opened = await cli.run(["decrypt", ...context], { input: theirs });
    expect([opened.code, Buffer.compare(opened.stdout, input)]).toEqual([0, 0]);
  });

  test.each(["passphrase", "cryptoKey"] as const)(
    "a Kms under a %s finds its keys again in another tab",
    async (root) => {
      const use = (tab: Page, how: "passphrase" | "cryptoKey" | "wrong"): Promise<string> =>
        tab.evaluate(
          (name, own) => (globalThis as unknown as InPage).page.useKms(name, own),
          `kms ${root}`,
          how,
        );
      expect(await use(page, root)).toBe("kept");
      const other = await newPage();
      expect(await use(other, root)).toBe("kept");
      expect(await use(other, "wrong")).toBe("InvalidRootKey");
      await other.close();
    },
  );
});
