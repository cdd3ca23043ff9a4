/** Binds the exports of a compiled RSA module: its functions, and views of the regions the host may touch. */

import { ensure } from "../../errors.ts";
import { buildOf, constantOf, memoryOf, type WasmBuild } from "./module.ts";

/** What the module exports: the functions of assembly/rsa/index.ts that raise numbers to powers. */
interface RsaKernelFunctions {
  rsaSelfTest(): number;
  rsaLoadPrivate(slot: number, bits: number): number;
  rsaBlind(slot: number): number;
  rsaPrivate(slot: number): number;
  rsaDropPrivate(slot: number): number;
  rsaLoadPublic(slot: number, bits: number): number;
  rsaPublic(slot: number): number;
  rsaPublicPair(first: number, second: number): number;
  rsaDropPublic(slot: number): number;
  rsaWipeBlocks(): void;
}

/** The memory and where its regions lie. Views stay valid, because the memory never grows. */
interface RsaKernelRegions {
  /** Integers alone (base), or fused multiply-adds (relaxed). */
  readonly build: WasmBuild;
  /** Everything the module exports, for the bindings of padding and key generation. */
  readonly exports: WebAssembly.Exports;
  readonly memory: Uint8Array;
  /** The numbers of a key to load; assembly/rsa/parts.ts divides it. */
  readonly keyParts: Uint8Array;
  /** Random bytes: one half for each prime. */
  readonly random: Uint8Array;
  /** Two numbers to raise to a power, big-endian, 512 bytes apart. */
  readonly input: Uint8Array;
  /** Two results, as the input. */
  readonly output: Uint8Array;
  readonly privateCount: number;
  readonly publicCount: number;
}

export interface RsaKernel extends RsaKernelFunctions, RsaKernelRegions {}

const FUNCTION_NAMES: readonly (keyof RsaKernelFunctions)[] = [
  "rsaSelfTest",
  "rsaLoadPrivate",
  "rsaBlind",
  "rsaPrivate",
  "rsaDropPrivate",
  "rsaLoadPublic",
  "rsaPublic",
  "rsaPublicPair",
  "rsaDropPublic",
  "rsaWipeBlocks",
];

/**
 * Binds a module and prepares it.
 *
 * @throws KmsError `InvalidParameter` where these are the exports of another module, `Rejected.UnsupportedOperation` where
 *   multiply-adds round twice on this machine
 */
export function bindRsaKernel(exports: WebAssembly.Exports): RsaKernel {
  const memory = new Uint8Array(memoryOf(exports, FUNCTION_NAMES).buffer);
  const region = (name: string, length: number): Uint8Array => {
    const start = constantOf(exports, name);
    return memory.subarray(start, start + length);
  };
  const kernel: RsaKernel = {
    ...(exports as unknown as RsaKernelFunctions),
    exports,
    build: buildOf(exports),
    memory,
    keyParts: region("RSA_KEY_PARTS", 0x800),
    random: region("RSA_RANDOM", 0x400),
    input: region("RSA_INPUT", 0x400),
    output: region("RSA_OUTPUT", 0x400),
    privateCount: constantOf(exports, "RSA_PRIVATE_COUNT"),
    publicCount: constantOf(exports, "RSA_PUBLIC_COUNT"),
  };
  ensure(
    kernel.rsaSelfTest() === 1,
    "Rejected.UnsupportedOperation",
    "This machine has no fused multiply-add; take the base build.",
  );
  return kernel;
}
