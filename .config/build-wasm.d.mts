/** Types of build-wasm.mjs for the tests that compile kernels. */

export function compileKernel(options?: {
  entry?: string;
  target?: "release" | "debug" | "simd" | "relaxed";
  root?: string;
  flags?: readonly string[];
}): Promise<Uint8Array<ArrayBuffer>>;

export type WasmBuild = "base" | "simd" | "relaxed";
export const BUILDS: Readonly<Record<WasmBuild, "release" | "simd" | "relaxed">>;

export function buildWasm(options: {
  outDir: string;
  bytesFile?: string;
  root?: string;
}): Promise<Record<WasmBuild, { file: string; byteLength: number; sha256: string }>>;
