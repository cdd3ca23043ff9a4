/** Runs scenarios on an instrumented module and compares their traces; finds the first place where two part. */

import { isDeepStrictEqual } from "node:util";
import type { WasmModule } from "../../.config/build-wasm.mjs";
import type { Instrumented, Site } from "./instrument.ts";
import { type OpenRig, openRig } from "./rig.ts";
import type { Input, Scenario } from "./scenario.ts";

/** The hash of a run and the number of events in it. */
export interface Trace {
  readonly hash: bigint;
  readonly count: bigint;
}

/** The first event at which the traces of two inputs part. */
export interface Difference {
  /** Number of the input that differs from input 0; 0 where two scenarios differ. */
  readonly input: number;
  readonly site: Site;
  /** Number of the event within the run, from 1. */
  readonly event: bigint;
  /** What the two runs computed there. */
  readonly values: readonly [bigint, bigint];
}

const UNLIMITED = -1n;

const differ = (a: Trace, b: Trace): boolean => a.hash !== b.hash || a.count !== b.count;

/** One instance of an instrumented module, and the state that every run starts from. */
export class Tracer {
  readonly #rig: OpenRig;
  readonly #sites: readonly Site[];
  readonly #globals: readonly WebAssembly.Global[];
  #memory: Uint8Array = new Uint8Array(0);
  #values: readonly unknown[] = [];

  constructor({ wasm, sites }: Instrumented, options: { readonly engine: WasmModule | false }) {
    this.#rig = openRig(wasm, options);
    this.#sites = sites;
    this.#globals = Object.entries(this.#rig.exports)
      .filter(([name]) => name.startsWith("ctime.global."))
      .map(([, value]) => value as WebAssembly.Global);
  }

  /** Brings a scenario past what happens once only, such as self-tests, and remembers the state reached. */
  prepare(scenario: Scenario): void {
    for (const input of scenario.inputs.slice(0, 2)) scenario.run(this.#rig, input);
    this.#memory = this.#rig.memory.slice();
    this.#values = this.#globals.map(({ value }) => value);
  }

  /**
   * Runs a scenario from the remembered state.
   *
   * @throws Error where the module gives a wrong answer
   */
  run(scenario: Scenario, input: Input, limit: bigint = UNLIMITED): Trace {
    this.#rig.memory.set(this.#memory);
    this.#globals.forEach((global, n) => {
      global.value = this.#values[n];
    });
    this.#state("hash").value = 0n;
    this.#state("count").value = 0n;
    this.#state("limit").value = limit;
    const answer = scenario.run(this.#rig, input);
    const trace = { hash: this.#state("hash").value as bigint, count: this.#state("count").value as bigint };
    if (!isDeepStrictEqual(answer, scenario.expected(input))) {
      throw new Error(`"${scenario.name}" gives a wrong answer on the instrumented module`);
    }
    return {
      hash: BigInt.asUintN(64, trace.hash),
      count: BigInt.asUintN(64, trace.count),
    };
  }

  /** Runs every input of a scenario: the trace they share, or the first difference. */
  compare(scenario: Scenario): { readonly trace: Trace; readonly difference?: Difference } {
    this.prepare(scenario);
    const [first] = scenario.inputs;
    if (first === undefined || scenario.inputs.length < 2) throw new Error("a scenario needs two inputs");
    const trace = this.run(scenario, first);
    for (const [n, input] of scenario.inputs.entries()) {
      if (!differ(this.run(scenario, input), trace)) continue;
      return { trace, difference: this.#locate([scenario, first], [scenario, input], n) };
    }
    return { trace };
  }

  /** Compares two scenarios that must look alike, each on its first input; call `prepare` with one of them before. */
  compareTwins(scenario: Scenario, twin: Scenario): Difference | undefined {
    const [[first = {}], [second = {}]] = [scenario.inputs, twin.inputs];
    return differ(this.run(scenario, first), this.run(twin, second))
      ? this.#locate([scenario, first], [twin, second], 0)
      : undefined;
  }

  /** Halves the number of events until the first one that differs is known. */
  #locate(one: readonly [Scenario, Input], other: readonly [Scenario, Input], input: number): Difference {
    const partAt = (limit: bigint): boolean => differ(this.run(...one, limit), this.run(...other, limit));
    let same = 0n;
    let parted = 1n;
    while (!partAt(parted)) {
      same = parted;
      parted *= 2n;
    }
    while (parted - same > 1n) {
      const middle = (same + parted) / 2n;
      if (partAt(middle)) parted = middle;
      else same = middle;
    }
    const [a, b] = [one, other].map((which) => {
      const { count } = this.run(...which, parted);
      const value = BigInt.asUintN(64, this.#state("value").value as bigint);
      return { site: this.#state("site").value as number, value, count };
    });
    if (a === undefined || b === undefined) throw new Error("internal: two runs gave one trace");
    // Where one run ended before this event, the other one tells the place.
    const site = this.#sites[a.count >= b.count ? a.site : b.site];
    if (site === undefined) throw new Error("internal: a trace names no site");
    return { input, site, event: parted, values: [a.value, b.value] };
  }

  #state(name: string): WebAssembly.Global {
    return this.#rig.exports[`ctime.${name}`] as WebAssembly.Global;
  }
}

/** Says in one line where a secret shows. */
export function describeDifference(scenario: Scenario, { input, site, event, values }: Difference): string {
  return (
    `"${scenario.name}" depends on its secrets: inputs 0 and ${input} part in function ${site.functionName}, ` +
    `instruction ${site.index} (${site.text}), event ${event}: ${values[0]} and ${values[1]}`
  );
}
