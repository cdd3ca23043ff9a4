/** Guest in a page: opens and closes a Kms many times. */

import { Kms } from "keyplane";

/** What there is in the page: bytes of heap, instances made with a memory, bytes of their memories. */
export interface CycleState {
  readonly heap: number;
  readonly instances: number;
  readonly wasm: number;
}

export interface Cycles {
  /** Tells what there is after a warm-up and after all cycles. */
  run(count: number): Promise<readonly [before: CycleState, after: CycleState]>;
}

const PLAINTEXT = new Uint8Array(32);

async function cycle(): Promise<void> {
  const kms = await Kms.open();
  const { keyId } = await kms.createKey();
  await kms.advanceEncrypt({ keyId, plaintext: PLAINTEXT });
  await kms.close();
}

const memories: WebAssembly.Memory[] = [];

/** Keeps the memory of every instance that is made from here on. */
function countInstances(): void {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(module, imports);
      const { memory } = this.exports;
      if (memory instanceof WebAssembly.Memory) memories.push(memory);
    }
  };
}

/** How long the browser gets for what it puts off, such as forgetting timers that were cleared. */
const QUIET_MS = 1500;
/** One collection finds what the next may free, and a busy machine puts off more: so many are asked for at the most. */
const COLLECTIONS = 20;
/** Collections in a row that freed nothing, after which nothing is left to free. */
const SETTLED = 3;
/** What a collection that freed nothing may differ by, in bytes: the page lives on. */
const NOISE = 50_000;

/** Bytes of JavaScript's heap when collections free no more; the browser is started so that both are to be had. */
async function heap(): Promise<number> {
  const scope = globalThis as unknown as { gc(): void; performance: { memory: { usedJSHeapSize: number } } };
  let least = Number.POSITIVE_INFINITY;
  for (let settled = 0, i = 0; settled < SETTLED && i < COLLECTIONS; i++) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    scope.gc();
    const used = scope.performance.memory.usedJSHeapSize;
    settled = used > least - NOISE ? settled + 1 : 0;
    least = Math.min(least, used);
  }
  return least;
}

async function state(): Promise<CycleState> {
  const wasm = memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  return { heap: await heap(), instances: memories.length, wasm };
}

const keyplaneCycles: Cycles = {
  async run(count) {
    countInstances();
    for (let i = 0; i < 500; i++) await cycle();
    const before = await state();
    for (let i = 0; i < count; i++) await cycle();
    return [before, await state()];
  },
};
Object.assign(globalThis, { keyplaneCycles });
