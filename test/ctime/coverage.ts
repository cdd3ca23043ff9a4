/** Finds what no scenario reaches, so that a kernel cannot join a build without joining the gate. */

import { instrumentCoverage, type Site } from "./instrument.ts";
import { openRig } from "./rig.ts";
import type { Scenario } from "./scenario.ts";

/** Runs each scenario once and returns the sites of the module that none of them reached. */
export function unreachedSites(
  wasm: Uint8Array,
  scenarios: readonly Scenario[],
  options: { readonly engine: boolean },
): Site[] {
  const instrumented = instrumentCoverage(wasm);
  const rig = openRig(instrumented.wasm, options);
  for (const scenario of scenarios) scenario.run(rig, scenario.inputs[0] ?? {});
  const reached = rig.exports["ctime.reached"] as WebAssembly.Table;
  return instrumented.sites.filter((_, site) => reached.get(site) === null);
}
