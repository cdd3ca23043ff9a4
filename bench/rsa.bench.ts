/** How quick is RSA of the wasm engine beside others? Blinding and the check of every result are in every figure. */

import { mkdirSync, writeFileSync } from "node:fs";
import { keyRows } from "./rsa-keys.ts";
import { rawRows } from "./rsa-raw.ts";

const REPORT = "build/bench-rsa.json";

export async function run(): Promise<boolean> {
  const { rows: raw, builds } = await rawRows();
  const rows = [...raw, ...(await keyRows())];
  console.log(`builds: ${builds.join(", ")}; OPENSSL_ia32cap=${process.env["OPENSSL_ia32cap"] ?? ""}`);
  let met = true;
  for (const { gate, value, demand } of rows) {
    const ok = value >= demand;
    met = met && ok;
    const asked = demand === 0 ? "" : `   demand ${demand.toFixed(2)} x${ok ? "" : "   MISSED"}`;
    console.log(`${gate.padEnd(52)}${value.toFixed(2).padStart(9)} x${asked}`);
  }
  mkdirSync("build", { recursive: true });
  const facts = { node: process.versions.node, openssl: process.versions.openssl, builds, rows };
  writeFileSync(REPORT, `${JSON.stringify(facts, undefined, 2)}\n`);
  return met;
}
