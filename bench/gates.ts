/** What benches demand: ratios and times, printed as one table, kept as JSON, and met or missed. */

import { mkdirSync, writeFileSync } from "node:fs";
import { type Contender, processorClock, ratio, type Samples, sample } from "./interleave.ts";

/** A ratio or a time with what is demanded of it; ratios are to be at least that, times at most. */
export interface Gate {
  readonly gate: string;
  readonly value: number;
  readonly unit: "x" | "ms";
  readonly demand: number;
}

const ROUNDS = 40;

/**
 * Runs contenders, ours first, and tells how many times longer each of the others takes.
 *
 * @param demands by the names of the others; one that is not among the contenders is left out
 * @param factor units of work in one call of ours
 */
export async function compare(
  what: string,
  contenders: readonly Contender[],
  demands: Readonly<Record<string, number>>,
  factor = 1,
): Promise<Gate[]> {
  const samples: Samples = await sample(contenders, ROUNDS, processorClock);
  const ours = contenders[0]?.name ?? "";
  return Object.entries(demands)
    .filter(([name]) => samples.has(name))
    .map(([name, demand]) => ({
      gate: `${what} vs ${name}`,
      value: ratio(samples, name, ours) * factor,
      unit: "x",
      demand,
    }));
}

/** Prints the gates, writes them to `build/bench-<name>.json`, and tells whether all were met. */
export function reportGates(name: string, gates: readonly Gate[]): boolean {
  let met = true;
  for (const { gate, value, unit, demand } of gates) {
    const ok = unit === "ms" ? value <= demand : value >= demand;
    met = met && ok;
    console.log(
      `${gate.padEnd(52)}${value.toFixed(2).padStart(9)} ${unit}   demand ${demand} ${unit}${ok ? "" : "   MISSED"}`,
    );
  }
  mkdirSync("build", { recursive: true });
  const report = { node: process.versions.node, openssl: process.versions.openssl, gates };
  writeFileSync(`build/bench-${name}.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  return met;
}
