/** Loads the planted leaks and the clean counterparts that the constant-time tools are tried on. */

import { readFileSync } from "node:fs";
import { type Scenario, secretInputs } from "./scenario.ts";
import { toWasm } from "./wat.ts";

const SECRET_ADDRESS = 0;

/** Compiles a file of test/ctime/fixtures. */
export function fixture(name: string): Uint8Array<ArrayBuffer> {
  return toWasm(readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8"));
}

/** Calls one function of leaks.wat on a secret; the answer, if any, is not looked at. */
export function fixtureScenario(name: string): Scenario {
  return {
    name,
    inputs: secretInputs({ secret: 16 }),
    run(rig, { secret }) {
      rig.memory.set(secret ?? new Uint8Array(0), SECRET_ADDRESS);
      rig.call(name);
      return undefined;
    },
    expected: () => undefined,
  };
}

/** Functions of leaks.wat that leak, with the function and the instruction in which the secret shows first. */
export const LEAKS: readonly (readonly [name: string, mnemonic: string])[] = [
  ["branch", "if"],
  ["conditionalBranch", "br_if"],
  ["branchTable", "br_table"],
  ["tableLookup", "i32.load8_u"],
  ["storeAddress", "i32.store8"],
  ["division", "i32.div_u"],
  ["remainder", "i64.rem_u"],
  ["floatDivision", "f64.div"],
  ["squareRoot", "f32.sqrt"],
  ["vectorDivision", "f64x2.div"],
  ["copyLength", "memory.copy"],
  ["copySource", "memory.copy"],
  ["fillLength", "memory.fill"],
  ["loopLength", "br_if"],
  ["selectCondition", "select"],
  ["laneStoreAddress", "v128.store8_lane"],
  ["laneLoadAddress", "v128.load16_lane"],
  ["splatLoadAddress", "v128.load32_splat"],
  ["extendLoadAddress", "v128.load8x8_u"],
  ["indirectCall", "call_indirect"],
  ["memoryGrowth", "memory.grow"],
  ["keptSecret", "global.set"],
  ["keptReal", "global.set"],
];

/** Functions of leaks.wat that handle the secret as kernels should. */
export const CLEAN: readonly string[] = ["cleanMask", "cleanVectors", "cleanLoop", "cleanPair"];
