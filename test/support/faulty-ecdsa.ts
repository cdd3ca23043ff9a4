/**
 * ECDSA of a wasm engine whose kernel memory a test can change right before and right after a signature is computed, in a
 * kernel of its own. The product has no such hook: this puts the engine together from its parts.
 */

import type { CurveName } from "../../src/engines/engine.ts";
import { SelfTests } from "../../src/engines/self-test.ts";
import { WASM_HEX as ECC_BASE_WASM_HEX } from "../../src/engines/wasm/bytes/ecc-base.ts";
import { type EcKernel, ItemPart } from "../../src/engines/wasm/ec-kernel.ts";
import { EcKeys } from "../../src/engines/wasm/ec-keys.ts";
import { EcOperations } from "../../src/engines/wasm/ec-operations.ts";
import { WasmEcdsa } from "../../src/engines/wasm/ecdsa.ts";
import { hashKernelOf } from "../../src/engines/wasm/hash-kernel.ts";
import { provideInlinedKernels } from "../../src/engines/wasm/inlined.ts";
import { ecLoader } from "../../src/engines/wasm/load-ec-kernel.ts";
import { mainLoader } from "../../src/engines/wasm/load-kernel.ts";
import { WasmState } from "../../src/engines/wasm/state.ts";

/** What happens around one call of the kernel's `ecdsaSign`. */
export interface Fault {
  before?(): void;
  after?(): void;
}

/** Bytes of the large table of a generator: 37 windows of 64 points of 64 bytes (docs/ecc-kernels.md, 4). */
const WINDOW_LENGTH: number = 64 * 64;
const WINDOWS = 37;

provideInlinedKernels();
const hashKernel = hashKernelOf(mainLoader.best("off"));
const ec = ecLoader.ofModule(new WebAssembly.Module(Buffer.from(ECC_BASE_WASM_HEX, "hex")));

/** Where the large tables of both generators are. */
function tableOf(curve: CurveName): number {
  const afterItems = ec.items + 0xf000;
  return afterItems + (curve === "P-256" ? 0 : 0x25000);
}

export class FaultyEcdsa {
  /** Takes effect at the next signature. */
  fault: Fault = {};
  readonly ecdsa: WasmEcdsa;
  readonly operations: EcOperations;

  constructor(verifySignatures: boolean) {
    const hooked: EcKernel = {
      ...ec,
      ecdsaSign: (...args) => {
        const { before, after } = this.fault;
        before?.();
        const done = ec.ecdsaSign(...args);
        after?.();
        return done;
      },
    };
    this.operations = new EcOperations(() => hooked);
    const keys = new EcKeys(this.operations);
    const state = new WasmState(new SelfTests());
    this.ecdsa = new WasmEcdsa(state, keys, this.operations, hashKernel, verifySignatures);
  }
}

function flip(address: number, bit: number): void {
  ec.memory[address + (bit >> 3)] = (ec.memory[address + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
}

/** Flips a bit of the private key, of the digest or of the finished signature of the first item; the kernel wipes items. */
export function itemFault(part: "key" | "digest" | "signature", bit: number): Fault {
  const change = (): void => flip(ec.items + ItemPart[part], bit);
  return part === "signature" ? { after: change } : { before: change };
}

/** Makes the kernel say that r or s of the first item is zero. */
export function zeroFault(): Fault {
  return {
    after: () => {
      ec.memory.fill(0, ec.items + ItemPart.signature + 32, ec.items + ItemPart.signature + 64);
      ec.memory.fill(0, ec.items + ItemPart.result, ec.items + ItemPart.result + 4);
    },
  };
}

/** Flips a bit of every point in one window of a generator's table while a signature is computed, so that it is met. */
export function tableFault(curve: CurveName, window: number, bit: number): Fault {
  const start = tableOf(curve) + (window % WINDOWS) * WINDOW_LENGTH;
  const flipAll = (): void => {
    for (let point = 0; point < 64; point++) flip(start + 64 * point, bit);
  };
  return { before: flipAll, after: flipAll };
}

/** The signature of the first item, as it is in the memory. */
export function signatureInMemory(): Uint8Array {
  const start = ec.items + ItemPart.signature;
  return ec.memory.slice(start, start + 64);
}
