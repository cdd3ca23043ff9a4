/** Ends processes and workers while the pool is under load, and while calls hang (F20). */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ADDON, requireModule, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";
import { Driver } from "../support/native-pool.ts";
import { hasShim, type Shim, shimOver } from "../support/shim.ts";

const CHILD = join(import.meta.dirname, "exit-child.mjs");
const TIMES = process.env["KEYPLANE_SLOW"] === "1" ? 50 : 3;

let token: TestModule;
let shim: Shim;

beforeAll(async () => {
  if (whyNot("softhsm") !== undefined || !hasShim()) return;
  token = startModule("softhsm");
  const driver = new Driver(token);
  await driver.pool.open();
  await driver.importAes("loaded", randomBytes(32));
  await driver.close();
  shim = shimOver(token);
});

beforeEach(({ skip }) => {
  requireModule(skip, "softhsm");
  shim.calm();
  shim.set({ finalUs: 0 });
});

afterAll(() => {
  shim?.dispose();
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the child's word that it is loaded to its end. */
  readonly milliseconds: number;
}

function end(ending: string, more: Record<string, unknown> = {}): Promise<Ended> {
  const options = {
    addonFile: ADDON,
    library: shim.library,
    tokenLabel: token.tokenLabel,
    pin: "123456",
    keyId: "loaded",
    ending,
    ...more,
  };
  return new Promise((resolve) => {
    let loaded = 0;
    const child = execFile(
      process.execPath,
      [CHILD, JSON.stringify(options)],
      { timeout: 60_000 },
      (_error, stdout, stderr) => {
        const milliseconds = performance.now() - loaded;
        resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr, milliseconds });
      },
    );
    child.stdout?.once("data", () => {
      loaded = performance.now();
    });
  });
}

const ENDINGS = [
  ["process.exit", "exit", 7, null],
  ["an uncaught exception", "throw", 1, null],
  ["close()", "close", 7, null],
  ["SIGTERM", "sigterm", null, "SIGTERM"],
] as const;

describe("F20: a process under load", () => {
  test.each(ENDINGS)("ends cleanly by %s", async (_what, ending, code, signal) => {
    for (let i = 0; i < TIMES; i++) {
      const ended = await end(ending);
      expect(ended).toMatchObject({ code, signal });
      expect(ended.milliseconds).toBeLessThan(5000);
    }
  });

  test("whose calls hang ends by process.exit all the same, with its own status", async () => {
    shim.rule("C_Encrypt", { action: "hang", first: 5 });
    const ended = await end("exit", { hangs: true });
    expect(ended).toMatchObject({ code: 7, signal: null });
    expect(ended.milliseconds).toBeLessThan(3000);
  });

  test("whose calls hang closes all the same", async () => {
    shim.rule("C_Encrypt", { action: "hang", first: 5 });
    const ended = await end("close", { hangs: true });
    expect(ended).toMatchObject({ code: 7, signal: null });
    expect(ended.milliseconds).toBeLessThan(5000);
  });

  test("whose module crashes dies of it: the module runs in the process", async () => {
    shim.rule("C_Encrypt", { action: "crash", first: 20 });
    expect((await end("close", { hangs: true })).signal).toBe("SIGSEGV");
  });
});

describe("F20: a worker under load", () => {
  test("is terminated cleanly, again and again", async () => {
    const ended = await end("terminate", { times: 2 * TIMES });
    expect(ended.stderr).toBe("");
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stdout).toContain("ended");
  });

  test("is terminated cleanly while its calls hang", async () => {
    shim.rule("C_Encrypt", { action: "hang", first: 5 });
    const ended = await end("terminate", { hangs: true });
    expect(ended).toMatchObject({ code: 0, signal: null });
  });
});

describe("F21: processes that start together", () => {
  test("on one token all come up", async () => {
    const started = performance.now();
    const ended = await Promise.all(Array.from({ length: 4 }, () => end("close")));
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array.from({ length: 4 }, () => ({ code: 7, stderr: "" })),
    );
    // Each is up within five seconds on a machine of its own.
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});
