/** How long does a key take? Means over many keys of each, since how long one search takes is luck. */

import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";
import { createWasmEngine } from "../src/engines/wasm/inlined.ts";
import type { RsaRow } from "./rsa-raw.ts";

const KEYS = 50;

/** Returns the mean microseconds of processor time that a key takes, whatever the threads. */
async function mean(make: () => unknown): Promise<number> {
  const started = process.cpuUsage();
  for (let i = 0; i < KEYS; i++) await make();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / KEYS;
}

export async function keyRows(): Promise<RsaRow[]> {
  const { rsa } = createWasmEngine({ relaxedSimd: "force" });
  if (rsa === undefined) throw new Error("the wasm engine serves no RSA");
  await rsa.generateKey(2048);
  // Its types leave the options out.
  (forge as unknown as { options: { usePureJavaScript: boolean } }).options.usePureJavaScript = true;
  const ours = await mean(() => rsa.generateKey(2048));
  const node = await mean(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
  const pure = await mean(() => forge.pki.rsa.generateKeyPair({ bits: 2048 }));
  return [
    { gate: "key generation 2048 vs node:crypto", value: node / ours, demand: 0.1 },
    { gate: "key generation 2048 vs node-forge", value: pure / ours, demand: 5 },
  ];
}
