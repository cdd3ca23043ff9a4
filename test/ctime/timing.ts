/**
 * Times scenarios on two classes of inputs that agree in all that is public. Both classes pass through one set of
 * buffers and one copy loop, since a difference of addresses or of copying shows as large as a leak.
 */

import type { WasmModule } from "../../.config/build-wasm.mjs";
import { oaepBlock } from "../support/rsa-blocks.ts";
import { encodedKeyOf, power, seededKeys, toBytes, toNumber } from "../support/rsa-keys.ts";
import { type OpenRig, openRig } from "./rig.ts";
import { type Input, type Scenario, seededBytes } from "./scenario.ts";
import { toWasm } from "./wat.ts";
import { largestT } from "./welch.ts";

export interface TimedCase {
  readonly name: string;
  readonly classes: readonly [readonly Input[], readonly Input[]];
  readonly run: (rig: OpenRig, input: Input) => unknown;
  readonly rig: OpenRig;
  /** Runs before the first that counts, where the usual number would take minutes. */
  readonly warmUp?: number;
}

/** Runs that the compilers get to be done with the code. */
const WARM_UP = 20_000;

/** Inputs of each class that lie ready; both classes have as many, so that both take as much cache. */
const POOL = 32;

/** Repeats inputs to POOL copies, each in memory of its own. */
function poolOf(inputs: readonly Input[]): Input[] {
  return Array.from({ length: POOL }, (_, n) => {
    const input = inputs[n % inputs.length] ?? {};
    return Object.fromEntries(Object.entries(input).map(([name, bytes]) => [name, bytes.slice()]));
  });
}

/**
 * Sets a scenario against itself, one edge value (the third input) against the last ones; or, where it must look like another one, against
 * that.
 */
export function timedCase(
  scenario: Scenario,
  others: readonly Scenario[],
  { module, wasm }: { readonly module: WasmModule; readonly wasm: Uint8Array<ArrayBuffer> },
): TimedCase {
  const { inputs, name, run } = scenario;
  const other = others.find((candidate) => candidate.name === scenario.sameTraceAs);
  const [, , edge = {}] = inputs;
  return {
    name,
    classes:
      other === undefined
        ? [poolOf([edge]), poolOf(inputs.slice(-POOL))]
        : [poolOf(other.inputs), poolOf(inputs)],
    run,
    rig: openRig(wasm, { engine: module }),
  };
}

const CONTROL = `(module
  (memory (export "memory") 1)
  (func (export "equal") (result i32)
    (local $i i32)
    (loop $next
      (if (i32.ne (i32.load8_u (local.get $i)) (i32.load8_u offset=64 (local.get $i))) (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 32))))
    (i32.const 1)))`;

/** The positive control: a comparison with an early exit, on strings that differ in their first or their last byte. */
export function controlCase(): TimedCase {
  const wrongAt = (place: number): Input => {
    const right = seededBytes("control", 32);
    const wrong = right.slice();
    wrong[place] = (wrong[place] ?? 0) ^ 1;
    return { right, wrong };
  };
  return {
    name: "positive control: a comparison with an early exit",
    classes: [poolOf([wrongAt(0)]), poolOf([wrongAt(31)])],
    run: (rig, { right, wrong }) => {
      const { memory } = rig;
      if (right !== undefined) memory.set(right, 0);
      if (wrong !== undefined) memory.set(wrong, 64);
      return rig.call("equal");
    },
    rig: openRig(toWasm(CONTROL), { engine: false }),
  };
}

const OAEP = { blockLength: 256, hash: "SHA-256", message: seededBytes("oaep", 20) } as const;

/**
 * Decryption of OAEP as a caller sees it (Manger, 2001): blocks with a first byte that is not zero against blocks with another
 * label, neither of which opens.
 */
export function mangerCase(wasm: Uint8Array<ArrayBuffer>): TimedCase {
  const rig = openRig(wasm, { engine: "rsa" });
  const [numbers] = seededKeys("manger", 2048, 1);
  const { rsa } = rig.engine;
  if (rsa === undefined || numbers === undefined) throw new Error("the engine serves no RSA");
  const key = rsa.importPrivateKey(encodedKeyOf(numbers).pkcs8);
  const pool = (fault: { first?: number; label?: Uint8Array }): Input[] =>
    Array.from({ length: POOL }, (_, n) => {
      const block = oaepBlock({ ...OAEP, seed: seededBytes(`manger ${n}`, 32), ...fault });
      return { ciphertext: toBytes(power(toNumber(block), numbers.e, numbers.n), OAEP.blockLength) };
    });
  return {
    name: "RSA-2048: decrypt OAEP with Manger's byte, or another label",
    classes: [pool({ first: 1 }), pool({ label: Uint8Array.of(1) })],
    run: (_rig, { ciphertext = new Uint8Array(0) }) => rsa.decryptOaep(key, ciphertext, { hash: OAEP.hash }),
    rig,
    warmUp: 1000,
  };
}

/** The positive control to the cases of OAEP: the same decoding, left out where the first byte is not zero. */
export function mangerControlCase(
  scenarios: readonly Scenario[],
  build: { readonly module: WasmModule; readonly wasm: Uint8Array<ArrayBuffer> },
): TimedCase {
  const scenario = scenarios.find(
    ({ name, timed }) => timed === true && name.endsWith("first byte that is not zero"),
  );
  if (scenario === undefined) throw new Error("there is no scenario with Manger's byte");
  return {
    ...timedCase(scenario, scenarios, build),
    name: "positive control: OAEP that stops at Manger's byte",
    run: (rig, input) => (input["block"]?.[0] === 0 ? scenario.run(rig, input) : 0),
  };
}

/** Times a case and returns its largest |t|. The seed orders the classes. */
export function timeCase(timed: TimedCase, samples: number, seed: number): number {
  const { classes, run, rig, warmUp = Math.max(WARM_UP, samples / 10) } = timed;
  const order = seededBytes(`order ${seed}`, samples);
  const names = Object.keys(classes[0][0] ?? {});
  const stage = poolOf([classes[0][0] ?? {}])[0] ?? {};
  const times = new Float64Array(samples);
  const chosen = new Uint8Array(samples);
  const sample = (i: number): number => {
    const byte = order[i] ?? 0;
    const which = (byte & 1) as 0 | 1;
    const input = classes[which][(byte >> 1) % POOL];
    for (const name of names) {
      const bytes = input?.[name];
      if (bytes !== undefined) stage[name]?.set(bytes);
    }
    chosen[i] = which;
    const start = performance.now();
    run(rig, stage);
    return performance.now() - start;
  };
  for (let i = 0; i < warmUp; i++) sample(i % samples);
  for (let i = 0; i < samples; i++) times[i] = sample(i);
  return largestT(times, chosen);
}
