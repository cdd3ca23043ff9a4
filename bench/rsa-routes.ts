/** Which engine is quicker at what with RSA keys? Measured for bench/routes.bench.ts; the answers belong in src/engines/routes.ts. */

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { loadEngine } from "../src/engine.ts";
import type { Engine } from "../src/engines/engine.ts";
import { RSA_BATCH_ROUTE, RSA_ROUTES, type RsaOperation } from "../src/engines/routes.ts";
import { type Contender, processorClock, quartile, sample } from "./interleave.ts";

const ROUNDS = 12;
/** A route is to be looked at again where the other engine takes less than this share of the time. */
const SHARE = 0.7;

const signable = { message: new Uint8Array(randomBytes(32)), hash: "SHA-256" } as const;
const options = { hash: "SHA-256" } as const;

function contenders(engine: Engine, pkcs8: Uint8Array): Map<RsaOperation | "batch" | "import", Contender> {
  const { rsa, name } = engine;
  if (rsa === undefined) throw new Error(`the ${name} engine does not serve RSA keys`);
  const privateKey = rsa.importPrivateKey(pkcs8);
  const publicKey = rsa.publicKey(privateKey);
  const signature = rsa.signPss(privateKey, signable, options);
  const batch = Array.from({ length: RSA_BATCH_ROUTE.minItems }, () => ({
    key: publicKey,
    signable,
    signature,
  }));
  return new Map([
    ["private", { name, run: () => rsa.signPss(privateKey, signable, options) }],
    ["public", { name, run: () => rsa.verifyPss(publicKey, signable, signature, options) }],
    ["batch", { name, run: () => rsa.verifyPssBatch(batch, options) }],
    ["import", { name, run: () => rsa.importPrivateKey(pkcs8).destroy() }],
  ]);
}

/** Names the engine that the routes lead to, among these. */
function routed(engines: readonly Engine[], bits: number, operation: RsaOperation): string | undefined {
  for (const { engine: name, needsVectors } of RSA_ROUTES[bits]?.[operation] ?? []) {
    const engine = engines.find((candidate) => candidate.name === name);
    if (engine === undefined) continue;
    if (needsVectors !== true || engine.usesVectorsForRsa?.(bits) === true) return name;
  }
  return undefined;
}

/** Names the engine that verifies the smallest batch which is not left to single calls. */
function batchRoute(engines: readonly Engine[], bits: number): string | undefined {
  const engine = engines.find(({ name }) => name === RSA_BATCH_ROUTE.engine);
  return engine?.usesVectorsForRsa?.(bits) === true ? engine.name : routed(engines, bits, "public");
}

/** Prints the table; false where a route leads to an engine that is clearly the slower one here. */
export async function benchRsaRoutes(): Promise<boolean> {
  const engines = [await loadEngine("wasm", { relaxedSimd: "force" }), await loadEngine("node")];
  let right = true;
  console.log(
    `\n${"operation".padEnd(24)}${engines.map(({ name }) => `${name} us`.padStart(12)).join("")}   node / wasm`,
  );
  for (const bits of [2048, 3072, 4096]) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
    const pkcs8 = new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" }));
    const vectors = engines.filter((engine) => engine.usesVectorsForRsa?.(bits)).map(({ name }) => name);
    console.log(`RSA-${bits}, vector instructions in: ${vectors.join(", ") || "none"}`);
    const byEngine = engines.map((engine) => contenders(engine, pkcs8));
    for (const operation of ["private", "public", "batch", "import"] as const) {
      const rivals = byEngine.flatMap((all) => all.get(operation) ?? []);
      const samples = await sample(rivals, ROUNDS, processorClock);
      const [wasm = 0, node = 0] = rivals.map(({ name }) => quartile(samples.get(name) ?? []));
      console.log(
        `${`  ${operation}`.padEnd(24)}${(wasm / 1000).toFixed(0).padStart(12)}${(node / 1000).toFixed(0).padStart(12)}${(node / wasm).toFixed(2).padStart(14)}`,
      );
      if (operation === "import") continue;
      const name = operation === "batch" ? batchRoute(engines, bits) : routed(engines, bits, operation);
      const [mine, other] = name === "wasm" ? [wasm, node] : [node, wasm];
      if (other >= SHARE * mine) continue;
      right = false;
      console.log(`RSA-${bits} ${operation}: the routes say ${name}, which is clearly slower here`);
    }
  }
  for (const engine of engines) engine.close();
  return right;
}
