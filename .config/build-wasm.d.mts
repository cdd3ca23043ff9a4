/** Types of build-wasm.mjs for the tests that compile kernels. */

export function compileKernel(options?: {
  entry?: string;
  target?: "release" | "debug";
  root?: string;
  flags?: readonly string[];
}): Promise<Uint8Array<ArrayBuffer>>;

export function buildWasm(options: {
  outDir: string;
  bytesFile?: string;
  root?: string;
}): Promise<{ file: string; byteLength: number; sha256: string }>;
