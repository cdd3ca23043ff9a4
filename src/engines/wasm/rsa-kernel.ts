/** Binds the exports of the RSA module: its functions, and views of the regions the host may touch. */

import { ensure } from "../../errors.ts";
import { buildOf, constantOf, memoryOf, type WasmBuild } from "./module.ts";

/** What the module exports to raise numbers to powers: the functions of assembly/rsa/index.ts. */
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

/** What it exports for padding: assembly/rsa/padding.ts. Encoding returns 0 where an argument is out of range. */
interface RsaPaddingFunctions {
  rsaWipePadding(): void;
  rsaEncodePkcs1(hash: number, blockLength: number): number;
  rsaVerifyPkcs1(hash: number, blockLength: number, index: number): number;
  rsaEncodePss(hash: number, blockLength: number, saltLength: number): number;
  rsaVerifyPss(hash: number, blockLength: number, saltLength: number, index: number): number;
  rsaEncodeOaep(hash: number, mgfHash: number, blockLength: number, messageLength: number): number;
  /** Returns one more than the bytes of the message, 0 for every failure. */
  rsaDecodeOaep(hash: number, mgfHash: number, blockLength: number): number;
}

/** What it exports to generate keys and to test primes: assembly/rsa/keygen.ts. */
export interface RsaKeygenFunctions {
  rsaWipeKeygen(): void;
  rsaGenerateBegin(bits: number): number;
  rsaGenerateSieve(position: number, count: number): number;
  rsaGenerateWaiting(): number;
  /** Bit 0 for the first number and bit 1 for the second: 1 where it may be prime. */
  rsaTestCandidates(): number;
  rsaGenerateConfirm(lane: number): void;
  rsaGenerateKeep(): number;
  rsaGenerateKey(): number;
  rsaLoadPrimes(bits: number): number;
}

/** The memory and where its regions lie. Views stay valid, because the memory never grows. */
interface RsaKernelRegions {
  readonly build: WasmBuild;
  /** The compiled module: a search for a key makes an instance of its own. */
  readonly module: WebAssembly.Module;
  readonly memory: Uint8Array<ArrayBuffer>;
  /** The numbers of a key to load; assembly/rsa/parts.ts divides it. */
  readonly keyParts: Uint8Array<ArrayBuffer>;
  /** Random bytes: one half for each prime. */
  readonly random: Uint8Array<ArrayBuffer>;
  /** Two numbers to raise to a power, big-endian, 512 bytes apart. */
  readonly input: Uint8Array<ArrayBuffer>;
  /** Two results, as the input. */
  readonly output: Uint8Array<ArrayBuffer>;
  /** Two digests for padding, 64 bytes apart. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** The message that OAEP encodes or decoded. */
  readonly message: Uint8Array<ArrayBuffer>;
  readonly privateCount: number;
  readonly publicCount: number;
}

export interface RsaKernel
  extends RsaKernelFunctions,
    RsaPaddingFunctions,
    RsaKeygenFunctions,
    RsaKernelRegions {}

const FUNCTION_NAMES: readonly (keyof RsaKernel)[] = [
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
  "rsaWipePadding",
  "rsaEncodePkcs1",
  "rsaVerifyPkcs1",
  "rsaEncodePss",
  "rsaVerifyPss",
  "rsaEncodeOaep",
  "rsaDecodeOaep",
  "rsaWipeKeygen",
  "rsaGenerateBegin",
  "rsaGenerateSieve",
  "rsaGenerateWaiting",
  "rsaTestCandidates",
  "rsaGenerateConfirm",
  "rsaGenerateKeep",
  "rsaGenerateKey",
  "rsaLoadPrimes",
];

/**
 * Binds an instance of the module and prepares it.
 *
 * @throws KmsError `InvalidParameter` where these are the exports of another module, `Rejected.UnsupportedOperation` where
 *   the multiply-adds of the machine round twice
 */
export function bindRsaKernel(exports: WebAssembly.Exports, module: WebAssembly.Module): RsaKernel {
  const bytes = new Uint8Array(memoryOf(exports, FUNCTION_NAMES).buffer as ArrayBuffer);
  const region = (name: string, length: number): Uint8Array<ArrayBuffer> => {
    const start = constantOf(exports, name);
    return bytes.subarray(start, start + length);
  };
  const kernel: RsaKernel = {
    ...(exports as unknown as RsaKernelFunctions & RsaPaddingFunctions & RsaKeygenFunctions),
    module,
    build: buildOf(exports),
    memory: bytes,
    keyParts: region("RSA_KEY_PARTS", 0x800),
    random: region("RSA_RANDOM", 0x400),
    input: region("RSA_INPUT", 0x400),
    output: region("RSA_OUTPUT", 0x400),
    digests: region("RSA_DIGESTS", 0x80),
    message: region("RSA_MESSAGE", 0x400),
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
