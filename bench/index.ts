/** Runs the benches named on the command line, or all of them; exits with 1 when one misses what it demands. */

import { cpus } from "node:os";
import { type Gate, reportGates } from "./gates.ts";

/** A bench prints its table and answers whether its demands were met, or hands its gates over for the one table at the end. */
type Bench = () => Promise<boolean | readonly Gate[]>;

const BENCHES: Readonly<Record<string, () => Promise<{ run: Bench }>>> = {
  routes: () => import("./routes.bench.ts"),
  facade: () => import("./facade.bench.ts"),
  "aes-gcm": () => import("./aes-gcm.bench.ts"),
  ecdsa: () => import("./ecdsa.bench.ts"),
  hsm: () => import("./hsm.bench.ts"),
  rsa: () => import("./rsa.bench.ts"),
  runtimes: () => import("./runtimes.bench.ts"),
  ecdh: () => import("./ecdh.bench.ts"),
  native: () => import("./native.bench.ts"),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(", ")}; there are ${Object.keys(BENCHES).join(", ")}.`);
  process.exit(2);
}

console.log(`Node ${process.versions.node}, V8 ${process.versions.v8}, OpenSSL ${process.versions.openssl}`);
console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`);
let met = true;
const gates: Gate[] = [];
const gated: string[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(BENCHES)) {
  const bench = await BENCHES[name]?.();
  console.log(`\n# ${name}`);
  const outcome = (await bench?.run()) ?? false;
  if (typeof outcome === "boolean") {
    met = outcome && met;
  } else {
    gates.push(...outcome);
    gated.push(name);
  }
}
if (gated.length > 0) {
  console.log("");
  met = reportGates(gated.join("-"), gates) && met;
}
process.exitCode = met ? 0 : 1;
