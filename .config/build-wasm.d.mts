/** Types of build-wasm.mjs for the tests that compile kernels. */

export type WasmModule = "main" | "ecc" | "rsa";

export interface ModuleFacts {
  readonly entry: string;
  readonly config: string;
  readonly builds: Readonly<Record<string, "release" | "simd" | "relaxed">>;
}

/** Path of the folder of the files of bytes. */
export const BYTES_FOLDER: string;

export const MODULES: Readonly<Record<WasmModule, ModuleFacts>>;
export const BUILD_NAMES: readonly string[];
export function buildName(module: WasmModule, build: string): string;

export function compileKernel(options?: {
  module?: WasmModule;
  entry?: string;
  target?: "release" | "debug" | "simd" | "simd-debug" | "relaxed" | "relaxed-debug";
  root?: string;
  flags?: readonly string[];
}): Promise<Uint8Array<ArrayBuffer>>;

export function buildWasm(options: {
  outDir: string;
  bytesDir?: string;
  root?: string;
}): Promise<Record<string, { file: string; byteLength: number; sha256: string }>>;
