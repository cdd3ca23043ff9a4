/** What the bench of AES-GCM asks of the kernels themselves: the size of their part, and GHASH against the scalar form. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ratio, sample } from "./interleave.ts";

type Build = "simd" | "relaxed";

interface Compiler {
  compileKernel(options: { entry: string; target: Build }): Promise<Uint8Array<ArrayBuffer>>;
}

/** Inner steps of assembly/probe-simd.ts. */
interface Probe {
  readonly memory: WebAssembly.Memory;
  loadKey(context: number, keyLength: number): void;
  loadBulkOf(set: number, context: number, keyLength: number): void;
  useKey(context: number, keyLength: number, set: number): void;
  absorb(blocks: number, count: number): void;
  prepareHashKey(hashKey: number, h: number): void;
  absorbBlocks(accumulator: number, hashKey: number, blocks: number, count: number): void;
}

// Addresses of assembly/memory.ts.
const STATE = 0x400;
const KEY = 0x600;
const DATA = 0x8000;
const CONTEXT = 0x20000;
const SET = 0x160000;
const HASH_KEY = 0x1c00;

const BLOCKS = 256;

/** The compiler is not part of the bundle that benches run in. */
async function compiler(): Promise<Compiler> {
  const path = join(process.cwd(), ".config/build-wasm.mjs");
  return (await import(pathToFileURL(path).href)) as Compiler;
}

/** Compiles the AES-GCM kernels alone. */
export async function compileAesGcm(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const { compileKernel } = await compiler();
  return compileKernel({ entry: "assembly/aes-gcm/index.ts", target: build });
}

/** Returns how many times quicker the hash of a build takes 4 KiB than the scalar kernel in the same module. */
export async function measureGhash(build: Build): Promise<number> {
  const { compileKernel } = await compiler();
  const wasm = await compileKernel({ entry: "assembly/probe-simd.ts", target: build });
  const probe = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as unknown as Probe;
  const memory = new Uint8Array(probe.memory.buffer);
  memory.set(randomBytes(32), KEY);
  memory.set(randomBytes(16 * BLOCKS), DATA);
  probe.loadKey(CONTEXT, 32);
  probe.loadBulkOf(SET, CONTEXT, 32);
  probe.useKey(CONTEXT, 32, SET);
  probe.prepareHashKey(HASH_KEY, DATA);
  const contenders = [
    { name: "vectors", run: () => probe.absorb(DATA, BLOCKS) },
    { name: "ctmul64", run: () => probe.absorbBlocks(STATE, HASH_KEY, DATA, BLOCKS) },
  ];
  // The optimising compiler takes its time on a busy machine; both must have passed it.
  for (let i = 0; i < 4; i++) {
    await sample(contenders, 20);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return ratio(await sample(contenders), "ctmul64", "vectors");
}
