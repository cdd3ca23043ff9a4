/** Guests in workerd, by its own server, and in Vercel's edge-runtime, here with compiling from bytes switched off as in production. */

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { type App, packageIn } from "./app.ts";
import type { SuiteReport, SuiteRequest } from "./guest/protocol.ts";
import { binary, importTool, ROOT } from "./tools.ts";

export interface EdgeGuest {
  run(request: SuiteRequest): Promise<SuiteReport>;
  close(): Promise<void>;
}

/** Bundles an entry for an edge runtime; the wasm files it imports are copied beside it and left to `importWasm`. */
async function bundle(
  app: App,
  entry: string,
  folder: string,
  conditions: string[],
  importWasm: (name: string) => string | undefined,
): Promise<{ readonly script: string; readonly wasm: readonly string[] }> {
  mkdirSync(folder, { recursive: true });
  const wasm = new Set<string>();
  const plugin: Plugin = {
    name: "wasm",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\.wasm(\?module)?$/ }, ({ path, resolveDir }) => {
        const name = basename(path).replace("?module", "");
        copyFileSync(join(resolveDir, path.replace("?module", "")), join(folder, name));
        wasm.add(name);
        return importWasm(name) === undefined
          ? { path: `./${name}`, external: true }
          : { path: name, namespace: "wasm" };
      });
      onLoad({ filter: /.*/, namespace: "wasm" }, ({ path }) => ({ contents: importWasm(path) ?? "" }));
    },
  };
  const outfile = join(folder, "guest.js");
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions,
    tsconfigRaw: {},
    plugins: [plugin, packageIn(app)],
    logLevel: "warning",
  });
  return { script: outfile, wasm: [...wasm] };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export interface Workerd {
  readonly origin: string;
  close(): Promise<void>;
}

/** Bundles an entry as Cloudflare's tools do and serves it with workerd. */
export async function serveWorkerd(
  app: App,
  entry: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Workerd> {
  const folder = join(app.folder, `workerd-${basename(entry)}`);
  const { wasm } = await bundle(app, entry, folder, ["workerd", "worker", "browser"], () => undefined);
  const modules = wasm.map((name) => `, (name = "${name}", wasm = embed "${name}")`).join("");
  const bindings = Object.entries(environment).map(([name, text]) => `(name = "${name}", text = "${text}")`);
  const port = await freePort();
  writeFileSync(
    join(folder, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .guest),
    (name = "network", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const guest :Workerd.Worker = (
  modules = [(name = "guest.js", esModule = embed "guest.js")${modules}],
  compatibilityDate = "2026-08-01",
  bindings = [${bindings.join(", ")}],
  globalOutbound = "network",
);
`,
  );
  const child = spawn(binary("workerd"), ["serve", "config.capnp"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 200) throw new Error(`workerd does not serve: ${said}`);
    const answers = await fetch(origin, { method: "HEAD" }).then(
      () => true,
      () => false,
    );
    if (answers) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    origin,
    close: async () => {
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

const GUEST = join(ROOT, "test/runtimes/guest/fetch.ts");

export async function workerdGuest(app: App): Promise<EdgeGuest> {
  const { origin, close } = await serveWorkerd(app, GUEST);
  return {
    async run(request) {
      const response = await fetch(origin, { method: "POST", body: JSON.stringify(request) });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as SuiteReport;
    },
    close,
  };
}

interface EdgeVm {
  readonly EdgeVM: new (options: {
    readonly codeGeneration: { readonly strings: boolean; readonly wasm: boolean };
    readonly extend: (context: Record<string, unknown>) => Record<string, unknown>;
  }) => { evaluate<T>(code: string): T };
}

/** Runs in this process: the runtime is a context of its own in it. Modules are injected as Next.js does for `?module`. */
export async function edgeRuntimeGuest(app: App): Promise<EdgeGuest> {
  const { EdgeVM } = await importTool<EdgeVm>("@edge-runtime/vm");
  const folder = join(app.folder, "edge-runtime");
  const { script, wasm } = await bundle(
    app,
    GUEST,
    folder,
    ["edge-light", "worker", "browser"],
    (name) => `export default globalThis.wasmModules[${JSON.stringify(name)}];`,
  );
  const wasmModules = Object.fromEntries(
    wasm.map((name) => [name, new WebAssembly.Module(readFileSync(join(folder, name)))]),
  );
  const vm = new EdgeVM({
    codeGeneration: { strings: false, wasm: false },
    extend: (context) => Object.assign(context, { wasmModules }),
  });
  vm.evaluate(readFileSync(script, "utf8").replace(/^export \{[^}]*\};?\s*$/m, ""));
  const run = vm.evaluate<(json: string) => Promise<string>>(
    "(async (body) => (await keyplaneHandler.fetch(new Request('http://edge/', { method: 'POST', body }))).text())",
  );
  return {
    async run(request) {
      const text = await run(JSON.stringify(request));
      if (!text.startsWith("{")) throw new Error(text);
      return JSON.parse(text) as SuiteReport;
    },
    close: async () => undefined,
  };
}
