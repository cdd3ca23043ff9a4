/** Which engine is quicker at what with EC keys? Measured for bench/routes.bench.ts; the answers belong in src/engines/routes.ts. */

import { randomBytes } from "node:crypto";
import { decryptEcies, encryptEcies, servesEcies } from "../src/engines/ecies.ts";
import type { CurveName, Engine } from "../src/engines/engine.ts";
import { EC_ROUTES, type EcOperation } from "../src/engines/routes.ts";
import { type Contender, processorClock, quartile, sample } from "./interleave.ts";

/** So many handles of one key take turns that none verifies often enough for a table. */
const UNSEEN_HANDLES = 400;
const BATCH = 32;
const ROUNDS = 30;
/** What an operation of the routes is measured by. */
const MEASURE: Readonly<Record<EcOperation, string>> = {
  sign: "sign",
  verify: "verify, with a table",
  encrypt: "encrypt",
  decrypt: "decrypt",
};
/** A route is to be looked at again where the other engine takes less than this share of the time. */
const SHARE = 0.7;

const message: Uint8Array = new Uint8Array(randomBytes(32));
const signable = { message, hash: "SHA-256" } as const;

/** What an engine does for an operation, a batch counted as its items; undefined where no route asks. */
function contenders(engine: Engine, curve: CurveName): Map<string, Contender & { readonly items?: number }> {
  const { ecdsa, name } = engine;
  if (ecdsa === undefined || !servesEcies(engine))
    throw new Error(`the ${name} engine does not serve EC keys`);
  const scalar = new Uint8Array(randomBytes(32)).fill(1, 0, 1);
  const privateKey = ecdsa.importPrivateKey(curve, scalar);
  const publicKey = ecdsa.publicKey(privateKey);
  const point = ecdsa.exportPoint(publicKey);
  const signature = ecdsa.sign(privateKey, signable);
  const hedged = { hedged: true };
  const ciphertext = encryptEcies(engine, publicKey, message);
  const items = Array.from({ length: BATCH }, () => ({ key: privateKey, signable }));
  const unseen = Array.from({ length: UNSEEN_HANDLES }, () => ecdsa.importPublicKey(curve, point));
  let next = 0;
  return new Map([
    ["sign", { name, run: () => ecdsa.sign(privateKey, signable, hedged) }],
    ["sign, batch of 32", { name, run: () => ecdsa.signBatch(items, hedged), items: BATCH }],
    [
      "verify, without a table",
      {
        name,
        run: () => {
          next = (next + 1) % UNSEEN_HANDLES;
          return ecdsa.verify(unseen[next] ?? publicKey, signable, signature);
        },
      },
    ],
    ["verify, with a table", { name, run: () => ecdsa.verify(publicKey, signable, signature) }],
    ["encrypt", { name, run: () => encryptEcies(engine, publicKey, message) }],
    ["decrypt", { name, run: () => decryptEcies(engine, privateKey, ciphertext) }],
    ["ECDH", { name, run: () => engine.ecdh.deriveBits(privateKey, publicKey) }],
    ["import a private key", { name, run: () => ecdsa.importPrivateKey(curve, scalar) }],
    ["import a public key", { name, run: () => ecdsa.importPublicKey(curve, point) }],
  ]);
}

/** Prints the table; false where a route leads to an engine that is clearly the slower one here. */
export async function benchEcRoutes(engines: readonly Engine[]): Promise<boolean> {
  let right = true;
  console.log(
    `\n${"operation".padEnd(36)}${engines.map(({ name }) => `${name} ns`.padStart(12)).join("")}   node / wasm`,
  );
  for (const curve of ["P-256", "secp256k1"] as const) {
    const byEngine = engines.map((engine) => contenders(engine, curve));
    const times = new Map<string, Map<string, number>>();
    for (const operation of byEngine[0]?.keys() ?? []) {
      const rivals = byEngine.flatMap((all) => all.get(operation) ?? []);
      const samples = await sample(rivals, ROUNDS, processorClock);
      const ofEngine = new Map(
        rivals.map(({ name, items = 1 }) => [name, quartile(samples.get(name) ?? []) / items]),
      );
      times.set(operation, ofEngine);
      const [wasm = 0, node = 0] = [ofEngine.get("wasm"), ofEngine.get("node")];
      console.log(
        `${`${curve} ${operation}`.padEnd(36)}${wasm.toFixed(0).padStart(12)}${node.toFixed(0).padStart(12)}${(node / wasm).toFixed(2).padStart(14)}`,
      );
    }
    for (const [operation, [route]] of Object.entries(EC_ROUTES[curve])) {
      const measured = times.get(MEASURE[operation as EcOperation]) ?? new Map<string, number>();
      const routed = measured.get(route?.engine ?? "") ?? 0;
      const best = Math.min(...measured.values());
      if (best >= SHARE * routed) continue;
      right = false;
      console.log(`${curve} ${operation}: the routes say ${route?.engine}, which is clearly slower here`);
    }
  }
  return right;
}
