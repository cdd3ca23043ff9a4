/**
 * In a page, how many times quicker than WebCrypto's awaited call and than @noble is a seal, than @noble a signature; where
 * does WebCrypto overtake; how long is it from import to the first ciphertext; and are the kernels as quick as in Node 20?
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { AUTO_ROUTES } from "../src/engines/routes.ts";
import { type App, makeApp, packageIn } from "../test/runtimes/app.ts";
import { type Browser, launchBrowser, serve } from "../test/runtimes/browser-guests.ts";
import { execute } from "../test/runtimes/cli-guests.ts";
import { serveWorkerd } from "../test/runtimes/edge-guests.ts";
import { binary, has, ROOT, type Tool } from "../test/runtimes/tools.ts";
import type { Gate } from "./gates.ts";
import { median } from "./interleave.ts";
import type { Figures, Guest } from "./runtimes-guest.ts";

/** Least ratios in a page: the contender's time over ours. */
const LEAST: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "seal 32": { webcrypto: 10, noble: 20 },
  "seal 256": { webcrypto: 2 },
  "seal 1024": { webcrypto: 2 },
  "seal 2048": { webcrypto: 2 },
  "sign P-256": { noble: 25 },
  "sign secp256k1": { noble: 25 },
};
const FIRST_SEAL_MS = 15;
/** Node 20's time over another runtime's: at most a quarter slower. */
const LEAST_OF_NODE_20 = 0.8;
const BROWSERS = ["chromium", "firefox"] as const;
const PROCESSES: readonly Tool[] = ["node-20", "node-22", "node-24", "node-26", "bun", "deno"];
const ROUNDS = 3;

/** With these a page's clock is finer. */
const ISOLATED: Readonly<Record<string, string>> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function bundle(app: App): Promise<string> {
  const folder = join(app.folder, "site");
  mkdirSync(folder);
  writeFileSync(
    join(folder, "index.html"),
    '<!doctype html><title>figures</title><script type="module" src="./figures.js"></script>\n',
  );
  await build({
    entryPoints: { figures: join(ROOT, "bench/runtimes-guest.ts") },
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    tsconfigRaw: {},
    plugins: [packageIn(app)],
    logLevel: "warning",
  });
  return folder;
}

type Kernels = Readonly<Record<string, number>>;

/** Asks a page of its own. */
async function ask<Name extends keyof Guest>(
  browser: Browser,
  origin: string,
  name: Name,
): Promise<Awaited<ReturnType<Guest[Name]>>> {
  const page = await browser.newPage();
  try {
    await page.goto(`${origin}/`);
    const answer = await page.evaluate(async (asked: string) => {
      const scope = globalThis as unknown as { keyplaneFigures?: Guest };
      while (scope.keyplaneFigures === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      return JSON.stringify(await scope.keyplaneFigures[asked as keyof Guest]());
    }, name as string);
    return JSON.parse(answer);
  } finally {
    await page.close();
  }
}

/** Prints what a browser measured. @returns what is demanded of it */
function judge(name: string, figures: Figures): Gate[] {
  const gates: Gate[] = [];
  const border = AUTO_ROUTES.aesGcm.find(({ engine, maxBytes }) => engine === "wasm" && maxBytes > 1024);
  let overtakes: string | undefined;
  for (const [work, times] of Object.entries(figures)) {
    const { wasm = Number.NaN } = times;
    for (const [contender, time] of Object.entries(times)) {
      if (contender === "wasm") continue;
      const ratio = time / wasm;
      const demand = LEAST[work]?.[contender];
      console.log(
        `${name.padEnd(10)}${`${work} vs ${contender}`.padEnd(30)}${ratio.toFixed(2).padStart(9)} x`,
      );
      if (demand !== undefined)
        gates.push({ gate: `${name}: ${work} vs ${contender}`, value: ratio, unit: "x", demand });
      if (contender === "webcrypto" && ratio < 1) overtakes ??= work;
    }
  }
  console.log(
    `${name.padEnd(10)}WebCrypto overtakes at ${overtakes ?? "no size"}; the router's border is ${border?.maxBytes} bytes`,
  );
  return gates;
}

async function inProcess(tool: Tool, app: App, folder: string): Promise<Kernels> {
  const script = join(app.folder, "kernels.mjs");
  writeFileSync(
    script,
    `import ${JSON.stringify(join(folder, "figures.js"))};\nconsole.log(JSON.stringify(await keyplaneFigures.kernels()));\n`,
  );
  const args = tool === "deno" ? ["run", "--quiet", "--allow-all", script] : [script];
  return JSON.parse(await execute(binary(tool), args, app.folder)) as Kernels;
}

async function inWorkerd(app: App): Promise<{ ask(): Promise<Kernels>; close(): Promise<void> }> {
  const entry = join(app.folder, "figures-worker.js");
  writeFileSync(
    entry,
    `import { keyplaneFigures } from ${JSON.stringify(join(ROOT, "bench/runtimes-guest.ts"))};\nexport default { fetch: async ({ method }) => Response.json(method === "HEAD" ? {} : await keyplaneFigures.kernels()) };\n`,
  );
  const { origin, close } = await serveWorkerd(app, entry);
  return { ask: async () => (await (await fetch(origin)).json()) as Kernels, close };
}

/** Compares kernels with Node 20's, by the quickest slice of rounds that take turns. */
async function compareKernels(askers: ReadonlyMap<string, () => Promise<Kernels>>): Promise<Gate[]> {
  const best = new Map<string, Record<string, number>>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, asker] of askers) {
      const known = best.get(name) ?? {};
      for (const [kernel, time] of Object.entries(await asker())) {
        known[kernel] = Math.min(known[kernel] ?? Number.POSITIVE_INFINITY, time);
      }
      best.set(name, known);
    }
  }
  const base = best.get("node-20") ?? {};
  return [...best].flatMap(([name, kernels]) =>
    Object.entries(kernels).map(([kernel, time]) => ({
      gate: `${name}: ${kernel}, of Node 20's speed`,
      value: (base[kernel] ?? Number.NaN) / time,
      unit: "x" as const,
      demand: LEAST_OF_NODE_20,
    })),
  );
}

export async function run(): Promise<readonly Gate[]> {
  const app = makeApp();
  const toClose: (() => unknown)[] = [() => app.remove()];
  const gates: Gate[] = [];
  try {
    const folder = await bundle(app);
    const site = await serve(folder, "strict policy", ISOLATED);
    toClose.push(() => site.close());
    const askers = new Map<string, () => Promise<Kernels>>();
    for (const tool of PROCESSES) if (has(tool)) askers.set(tool, () => inProcess(tool, app, folder));
    for (const name of BROWSERS) {
      if (!has(name)) continue;
      const browser = await launchBrowser(name);
      toClose.push(() => browser.close());
      askers.set(name, () => ask(browser, site.origin, "kernels"));
      const cold: number[] = [];
      for (let i = 0; i < 7; i++) cold.push(await ask(browser, site.origin, "firstSeal"));
      const gate: Gate = {
        gate: `${name}: import to first seal`,
        value: median(cold),
        unit: "ms",
        demand: FIRST_SEAL_MS,
      };
      if (name === "chromium") gates.push(gate);
      else console.log(`${gate.gate} ${gate.value.toFixed(1)} ms`);
      gates.push(...judge(name, await ask(browser, site.origin, "compare")));
    }
    if (has("workerd")) {
      const workerd = await inWorkerd(app);
      toClose.push(workerd.close);
      askers.set("workerd", workerd.ask);
    }
    return [...gates, ...(await compareKernels(askers))];
  } finally {
    for (const close of toClose.reverse()) await close();
  }
}
