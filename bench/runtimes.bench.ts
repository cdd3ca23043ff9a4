/**
 * In a page, how many times quicker than WebCrypto's awaited call and than @noble is a seal, than @noble a signature; where
 * does WebCrypto overtake; how long is it from import to the first ciphertext; and are the kernels as quick as in Node 20?
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { autoRoutes } from "../src/engines/routes.ts";
import { type App, makeApp, packageIn } from "../test/runtimes/app.ts";
import { type Browser, launchBrowser, serve } from "../test/runtimes/browser-guests.ts";
import { execute } from "../test/runtimes/cli-guests.ts";
import { serveWorkerd } from "../test/runtimes/edge-guests.ts";
import { binary, has, ROOT, type Tool } from "../test/runtimes/tools.ts";
import type { FirstSeal } from "./first-seal-guest.ts";
import type { Gate } from "./gates.ts";
import { median } from "./interleave.ts";
import type { BuildChoice, Comparison, Guest as FiguresGuest, Kernels } from "./runtimes-guest.ts";

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
const PAGES = 15;

/** With these a page's clock is finer. */
const ISOLATED: Readonly<Record<string, string>> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** What pages answer: the figures, and below `first/` the first seal. */
type Guest = FiguresGuest & FirstSeal;

/** Builds a page that runs a guest, apart from all others. */
async function bundlePage(app: App, folder: string, guest: string): Promise<void> {
  mkdirSync(folder);
  writeFileSync(
    join(folder, "index.html"),
    '<!doctype html><title>figures</title><script type="module" src="./figures.js"></script>\n',
  );
  await build({
    entryPoints: { figures: join(ROOT, "bench", guest) },
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    tsconfigRaw: {},
    plugins: [packageIn(app)],
    logLevel: "warning",
  });
}

async function bundle(app: App): Promise<string> {
  const folder = join(app.folder, "site");
  await bundlePage(app, folder, "runtimes-guest.ts");
  await bundlePage(app, join(folder, "first"), "first-seal-guest.ts");
  writeFileSync(join(folder, "empty.js"), "export {};\n");
  return folder;
}

/** Asks a page of its own. */
async function ask<Name extends keyof Guest>(
  browser: Browser,
  origin: string,
  name: Name,
  ...args: Parameters<Guest[Name]>
): Promise<Awaited<ReturnType<Guest[Name]>>> {
  const page = await browser.newPage();
  try {
    await page.goto(`${origin}/${name === "firstSeal" ? "first/" : ""}`);
    const answer = await page.evaluate(
      async (asked: string, json: string) => {
        type Figure = (...args: unknown[]) => Promise<unknown>;
        const scope = globalThis as unknown as { keyplaneFigures?: Readonly<Record<string, Figure>> };
        while (scope.keyplaneFigures === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
        return JSON.stringify(await scope.keyplaneFigures[asked]?.(...JSON.parse(json)));
      },
      name as string,
      JSON.stringify(args),
    );
    return JSON.parse(answer);
  } finally {
    await page.close();
  }
}

/** Prints what a browser measured. @returns what is demanded of it */
function judge(name: string, { userAgent, times: figures }: Comparison): Gate[] {
  const gates: Gate[] = [];
  const border = autoRoutes("aesGcm", userAgent).find(
    ({ engine, maxBytes }) => engine === "wasm" && maxBytes > 1024,
  );
  let overtakes: string | undefined;
  for (const [work, times] of Object.entries(figures)) {
    const { wasm = Number.NaN } = times;
    for (const [contender, time] of Object.entries(times)) {
      if (contender === "wasm") continue;
      const ratio = time / wasm;
      const demand = LEAST[work]?.[contender];
      console.log(
        `${name.padEnd(10)}${`${work} vs ${contender}`.padEnd(30)}${ratio.toFixed(2).padStart(9)} x   of ${(wasm / 1000).toFixed(2)} us`,
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

/** Times the kernels in a runtime. */
type Asker = (build: BuildChoice) => Promise<Kernels>;

async function inProcess(tool: Tool, app: App, folder: string, build: BuildChoice): Promise<Kernels> {
  const script = join(app.folder, "kernels.mjs");
  writeFileSync(
    script,
    `import ${JSON.stringify(join(folder, "figures.js"))};\nconsole.log(JSON.stringify(await keyplaneFigures.kernels(${JSON.stringify(build)})));\n`,
  );
  const args = tool === "deno" ? ["run", "--quiet", "--allow-all", script] : [script];
  return JSON.parse(await execute(binary(tool), args, app.folder)) as Kernels;
}

const REQUESTS = 25;
/** How long a timed request works, by the figures of Node 20. */
const REQUEST_NS = 15e6;

/**
 * Serves the kernels in workerd, whose clock may stand still while a handler runs: the one here times requests of many calls,
 * less the quickest request of none.
 */
async function inWorkerd(app: App, ofNode20: Asker): Promise<{ ask: Asker; close(): Promise<void> }> {
  const entry = join(app.folder, "figures-worker.js");
  writeFileSync(
    entry,
    `import { keyplaneFigures } from ${JSON.stringify(join(ROOT, "bench/runtimes-guest.ts"))};
export default {
  async fetch({ url }) {
    const { searchParams } = new URL(url);
    const kernel = searchParams.get("kernel");
    if (kernel !== null) await keyplaneFigures.call(searchParams.get("build"), kernel, Number(searchParams.get("times")));
    return new Response(null);
  },
};
`,
  );
  const { origin, close } = await serveWorkerd(app, entry);
  const time = async (build: BuildChoice, kernel: string, times: number): Promise<number> => {
    const began = performance.now();
    const response = await fetch(`${origin}/?build=${build}&kernel=${kernel}&times=${times}`);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`workerd answers ${response.status}`);
    return (performance.now() - began) * 1e6;
  };
  const ask: Asker = async (build) => {
    const figures: Record<string, number> = {};
    for (const [kernel, nanoseconds] of Object.entries(await ofNode20(build))) {
      const times = Math.ceil(REQUEST_NS / nanoseconds);
      const [none, many]: [number[], number[]] = [[], []];
      for (let i = 0; i < REQUESTS; i++) {
        none.push(await time(build, kernel, 0));
        many.push(await time(build, kernel, times));
      }
      figures[kernel] = (Math.min(...many) - Math.min(...none)) / times;
    }
    return figures;
  };
  return { ask, close };
}

/**
 * Compares kernels with Node 20's, by the quickest slice of rounds that take turns: in the same build, of which something is
 * demanded, and in the best build of each.
 */
async function compareKernels(askers: ReadonlyMap<string, Asker>): Promise<Gate[]> {
  const gates: Gate[] = [];
  for (const build of ["same", "best"] as const) {
    const best = new Map<string, Record<string, number>>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, asker] of askers) {
        const known = best.get(name) ?? {};
        for (const [kernel, time] of Object.entries(await asker(build))) {
          known[kernel] = Math.min(known[kernel] ?? Number.POSITIVE_INFINITY, time);
        }
        best.set(name, known);
      }
    }
    const base = best.get("node-20") ?? {};
    for (const [name, kernels] of best) {
      for (const [kernel, time] of Object.entries(kernels)) {
        const value = (base[kernel] ?? Number.NaN) / time;
        const what = `${name}: ${kernel} in the ${build} build, of Node 20's speed`;
        if (build === "same") gates.push({ gate: what, value, unit: "x", demand: LEAST_OF_NODE_20 });
        else console.log(`${what.padEnd(52)}${value.toFixed(2).padStart(9)} x`);
      }
    }
  }
  return gates;
}

/** Times the import in pages that have loaded nothing. */
async function firstSeals(name: string, browser: Browser, origin: string): Promise<Gate[]> {
  const seals: number[] = [];
  const empty: number[] = [];
  for (let i = 0; i < PAGES; i++) {
    const { all, emptyModule } = await ask(browser, origin, "firstSeal");
    seals.push(all);
    empty.push(emptyModule);
  }
  const gate: Gate = {
    gate: `${name}: import to first seal`,
    value: median(seals),
    unit: "ms",
    demand: FIRST_SEAL_MS,
  };
  console.log(
    `${gate.gate} ${gate.value.toFixed(1)} ms; the import of an empty module alone ${median(empty).toFixed(1)} ms`,
  );
  return name === "chromium" ? [gate] : [];
}

export async function run(): Promise<readonly Gate[]> {
  const app = makeApp();
  const toClose: (() => unknown)[] = [() => app.remove()];
  const gates: Gate[] = [];
  try {
    const folder = await bundle(app);
    const site = await serve(folder, "strict policy", ISOLATED);
    toClose.push(() => site.close());
    const askers = new Map<string, Asker>();
    for (const tool of PROCESSES) {
      if (has(tool)) askers.set(tool, (build) => inProcess(tool, app, folder, build));
      else console.log(`${tool} is not here and is left out: node .config/runtimes.mjs installs it`);
    }
    for (const name of BROWSERS) {
      if (!has(name)) {
        console.log(`${name} is not here and is left out`);
        continue;
      }
      const browser = await launchBrowser(name);
      toClose.push(() => browser.close());
      askers.set(name, (build) => ask(browser, site.origin, "kernels", build));
      gates.push(...(await firstSeals(name, browser, site.origin)));
      gates.push(...judge(name, await ask(browser, site.origin, "compare")));
    }
    const ofNode20 = askers.get("node-20");
    if (has("workerd") && ofNode20 !== undefined) {
      const workerd = await inWorkerd(app, ofNode20);
      toClose.push(workerd.close);
      askers.set("workerd", workerd.ask);
    }
    return [...gates, ...(await compareKernels(askers))];
  } finally {
    for (const close of toClose.reverse()) await close();
  }
}
