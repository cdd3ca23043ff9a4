/** Finds what no scenario reaches, so that a kernel cannot join a build without joining the gate. */

import type { WasmModule } from "../../.config/build-wasm.mjs";
import { instrumentCoverage, type Site } from "./instrument.ts";
import { openRig } from "./rig.ts";
import type { Scenario } from "./scenario.ts";
import { exportedFunctions, parseWat, reachableFrom, toWat } from "./wat.ts";

/** Exports that see nothing secret, with the reason; what they alone call needs no scenario. */
export const PUBLIC_EXPORTS: Readonly<Record<string, string>> = {
  ecdsaVerify: "Public keys, digests and signatures are public.",
  ecdsaLoadKey: "Tables of public keys are public.",
  rsaSelfTest: "Constants of the arithmetic, and a multiplication of two of them.",
  rsaLoadPublic: "Public keys are public.",
  rsaPublic: "Public keys are public, and so is what they are used on.",
  rsaPublicPair: "The same, two at once.",
  rsaDropPublic: "Public keys are public.",
  rsaEncodePkcs1: "A signature reveals its block.",
  rsaVerifyPkcs1: "Signatures and their blocks are public.",
  rsaEncodePss: "A signature reveals its block, the salt included.",
  rsaVerifyPss: "Signatures and their blocks are public.",
  eccDecodePoint: "Public keys are public.",
};

export interface Coverage {
  /** Functions that may see a secret and that no scenario enters. */
  readonly missedFunctions: readonly string[];
  /** Share of the sites in functions that may see a secret that no scenario reaches, from 0 to 1. */
  readonly missedShare: number;
}

/** Runs each scenario once and tells what none of them reached. */
export function coverageOf(
  wasm: Uint8Array,
  scenarios: readonly Scenario[],
  options: { readonly engine: WasmModule | false },
): Coverage {
  const lines = parseWat(toWat(wasm));
  const names = exportedFunctions(lines);
  const isPublic = (name: string): boolean => Object.hasOwn(PUBLIC_EXPORTS, name);
  const exempt = reachableFrom(lines, names.filter(isPublic));
  for (const name of reachableFrom(
    lines,
    names.filter((name) => !isPublic(name)),
  )) {
    exempt.delete(name);
  }
  const instrumented = instrumentCoverage(wasm);
  const rig = openRig(instrumented.wasm, options);
  for (const scenario of scenarios) scenario.run(rig, scenario.inputs[0] ?? {});
  const reached = rig.exports["ctime.reached"] as WebAssembly.Table;
  const entered = new Set<string>();
  const counted: Site[] = [];
  let missed = 0;
  for (const [number, site] of instrumented.sites.entries()) {
    if (exempt.has(site.functionName)) continue;
    counted.push(site);
    if (reached.get(number) === null) missed += 1;
    else entered.add(site.functionName);
  }
  const functions = new Set(counted.map(({ functionName }) => functionName));
  return {
    missedFunctions: [...functions].filter((name) => !entered.has(name)),
    missedShare: missed / counted.length,
  };
}
