/**
 * Flips single bits of memory before and during private operations of RSA, in the loaded key and in everything that the
 * operation works with: no signature but the right one may leave, or it would give the factors of the modulus away.
 */

import { randomInt, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hashFacts } from "../../../src/engines/wasm/hash.ts";
import { bindRsaKernel } from "../../../src/engines/wasm/rsa-kernel.ts";
import { RsaOperations } from "../../../src/engines/wasm/rsa-operations.ts";
import { KmsError } from "../../../src/errors.ts";
import { allowRelaxedSimd } from "../../ctime/builds.ts";
import { joinWat, parseWat, toWasm, toWat } from "../../ctime/wat.ts";
import { digestOf } from "../../support/rsa-blocks.ts";
import { keyObjectOf, partsOf, randomKeys } from "../../support/rsa-keys.ts";
import { rsaMemory } from "../../support/rsa-memory.ts";

allowRelaxedSimd();

/** Flips a bit when `fault.left` steps are over; a step is a call or a turn of a loop. */
const DECLARATIONS = `
  (global $fault.left (export "fault.left") (mut i64) (i64.const -1))
  (global $fault.address (export "fault.address") (mut i32) (i32.const 0))
  (global $fault.mask (export "fault.mask") (mut i32) (i32.const 0))
  (func $fault.step
    global.get $fault.left i64.eqz
    if
      global.get $fault.address
      global.get $fault.address i32.load8_u
      global.get $fault.mask
      i32.xor
      i32.store8
    end
    global.get $fault.left i64.const 1 i64.sub global.set $fault.left)`;

/** Puts a step before each call and into each turn of a loop. */
function withFaults(wasm: Uint8Array): WebAssembly.Module {
  const output = parseWat(toWat(wasm)).flatMap(({ text, mnemonic }) => {
    if (mnemonic === "call") return ["call $fault.step", text];
    return mnemonic === "loop" ? [text, "call $fault.step"] : [text];
  });
  return new WebAssembly.Module(toWasm(joinWat(output, DECLARATIONS)));
}

const COUNT = 400;
const NEVER = -1n;
/** About the steps from the reading of a result that is checked to its leaving. */
const LATE_STEPS = 2000;

describe.each(["rsa-base", "rsa-simd", "rsa-relaxed"])("faults in the %s build", (name) => {
  const bytes = readFileSync(new URL(`../../../dist/${name}.wasm`, import.meta.url));
  const module = withFaults(bytes);
  const { exports } = new WebAssembly.Instance(module);
  const kernel = bindRsaKernel(exports, module);
  const { slots, slotLength, work, result } = rsaMemory(kernel.build);
  const slot: readonly [number, number] = [slots, slots + slotLength];
  // The numbers of int/nat.ts lie before it.
  const working: readonly [number, number] = [0x26000, work[1]];
  const operations = new RsaOperations(() => kernel, undefined as never);
  const left = exports["fault.left"] as WebAssembly.Global;
  const address = exports["fault.address"] as WebAssembly.Global;
  const mask = exports["fault.mask"] as WebAssembly.Global;

  test.each([
    ["in the key before the operation", slot, "before"],
    ["in the key during the operation", slot, "during"],
    ["in what the operation works with", working, "during"],
    // While it is checked, and when it was.
    ["in the result", result, "late"],
  ] as const)("let no wrong signature leave: %s", { timeout: 240_000 }, (_name, region, when) => {
    const [numbers] = randomKeys(2048, 1);
    if (numbers === undefined) throw new Error("there is no key");
    const digest = digestOf("SHA-256", Uint8Array.of(1, 2, 3));
    const right = new Uint8Array(sign("sha256", Uint8Array.of(1, 2, 3), keyObjectOf(numbers)));
    const key = operations.raw.importPrivate(partsOf(numbers), operations);
    const padding = { scheme: "pkcs1", hash: hashFacts("SHA-256") } as const;
    // The second signature needs no new blinding, so its steps are those of one operation.
    expect(operations.sign(key, digest, padding)).toEqual(right);
    left.value = 1n << 62n;
    expect(operations.sign(key, digest, padding)).toEqual(right);
    const steps = Number((1n << 62n) - left.value);
    expect(steps).toBeGreaterThan(1000);
    const memory = kernel.memory.slice();
    let caught = 0;
    let harmless = 0;
    for (let i = 0; i < COUNT / 2; i++) {
      address.value = randomInt(...region);
      mask.value = 1 << randomInt(8);
      const earliest = when === "late" ? Math.max(0, steps - LATE_STEPS) : 0;
      left.value = BigInt(when === "before" ? 0 : randomInt(earliest, steps));
      try {
        const signature = operations.sign(key, digest, padding);
        expect(Buffer.compare(signature, right)).toBe(0);
        harmless += 1;
      } catch (error) {
        // Also where a length that became too large took the module out of its memory.
        expect(error).toBeInstanceOf(KmsError);
        expect((error as KmsError).code).toBe("InternalFailure");
        expect(kernel.output.every((byte) => byte === 0)).toBe(true);
        caught += 1;
      }
      left.value = NEVER;
      kernel.memory.set(memory);
    }
    expect(caught + harmless).toBe(COUNT / 2);
    // Faults do strike: about half of the bytes of a slot are numbers in use.
    expect(caught).toBeGreaterThan(COUNT / 40);
    expect(operations.sign(key, digest, padding)).toEqual(right);
    operations.raw.destroy(key);
  });
});
