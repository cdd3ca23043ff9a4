/**
 * Generation of RSA keys off the event loop: in a thread of Node where one can be had, else in slices of a few milliseconds
 * with the event loop's turn between them. Each search has an instance of the kernels of its own, which it leaves wiped.
 */

import type { GenerateKeyOptions, RsaModulusBits } from "../engine.ts";
import type { RsaPrivateFields } from "../key-encoding.ts";
import { KEY_PARTS_LENGTH, type SearchExports, searchRsaKey } from "./rsa-search.ts";

/** Searches at a time; more calls wait for their turn. */
const MOST_AT_ONCE = 4;

/** Steps that half of all searches are done with, by bits of the modulus. */
const TYPICAL_STEPS: Readonly<Record<RsaModulusBits, number>> = { 2048: 45, 3072: 65, 4096: 85 };

/** What this module needs of node:worker_threads. */
interface Threads {
  readonly Worker: new (
    source: string,
    options: object,
  ) => {
    on(event: "message", listener: (message: number | Uint8Array) => void): void;
    on(event: "error" | "exit", listener: () => void): void;
  };
}

/** A slot for the next search, when there is one. */
class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async enter(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

const gate: Gate = new Gate(MOST_AT_ONCE);

/**
 * Finds a key. An abort rejects at once; the search ends with its next step.
 *
 * @param module the kernels of RSA
 * @returns the numbers of the key, for the caller to wipe
 * @throws the signal's reason
 */
export function generateRsaKey(
  module: WebAssembly.Module,
  modulusBits: RsaModulusBits,
  { signal, onProgress }: GenerateKeyOptions,
): Promise<RsaPrivateFields> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = new Int32Array(newFlag());
    const onAbort = (): void => {
      Atomics.store(stop, 0, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    const report = (steps: number): void => {
      // Each step is as likely as any other to be the last, so what is left shrinks by the same share each time.
      if (stop[0] === 0) onProgress?.(1 - 2 ** (-steps / TYPICAL_STEPS[modulusBits]));
    };
    search(module, modulusBits, stop, report)
      .then((key) => {
        if (key === undefined) return;
        const fields = fieldsOf(key, modulusBits);
        key.fill(0);
        if (stop[0] === 0) resolve(fields);
        else for (const field of Object.values(fields)) field.fill(0);
      })
      .catch(reject)
      .finally(() => signal?.removeEventListener("abort", onAbort));
  });
}

/** A word that a thread can see; a plain one where memory cannot be shared, and there are no threads then. */
function newFlag(): SharedArrayBuffer | ArrayBuffer {
  return typeof SharedArrayBuffer === "function" ? new SharedArrayBuffer(4) : new ArrayBuffer(4);
}

/** Runs one search when its turn comes; undefined where it was stopped. */
async function search(
  module: WebAssembly.Module,
  bits: number,
  stop: Int32Array,
  report: (steps: number) => void,
): Promise<Uint8Array | undefined> {
  await gate.enter();
  try {
    if (stop[0] !== 0) return undefined;
    const thread = searchInThread(module, bits, stop, report);
    return (await thread) ?? (await searchInSlices(module, bits, stop, report));
  } finally {
    gate.leave();
  }
}

/** Runs a search in a thread; undefined where there is none to be had, or it was stopped. */
function searchInThread(
  module: WebAssembly.Module,
  bits: number,
  stop: Int32Array,
  report: (steps: number) => void,
): Promise<Uint8Array | undefined> {
  const host = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const threads = host?.getBuiltinModule?.("node:worker_threads") as Threads | undefined;
  if (threads === undefined) return Promise.resolve(undefined);
  const source = `"use strict";
const { parentPort, workerData: { module, bits, stop } } = require("node:worker_threads");
${searchRsaKey.toString()}
const search = ${searchRsaKey.name}(new WebAssembly.Instance(module).exports, bits);
let next = search.next();
while (!next.done && Atomics.load(stop, 0) === 0) {
  parentPort.postMessage(next.value);
  next = search.next();
}
if (next.done) parentPort.postMessage(next.value, [next.value.buffer]);
else search.return();`;
  return new Promise((resolve) => {
    try {
      const worker = new threads.Worker(source, {
        eval: true,
        execArgv: [],
        workerData: { module, bits, stop },
      });
      worker.on("message", (message) => {
        if (typeof message === "number") report(message);
        else resolve(message);
      });
      // What keeps a thread from running, as a policy may, leaves the slices.
      worker.on("error", () => resolve(undefined));
      worker.on("exit", () => resolve(undefined));
    } catch {
      resolve(undefined);
    }
  });
}

/** Runs a search between other things that the event loop does. */
async function searchInSlices(
  module: WebAssembly.Module,
  bits: number,
  stop: Int32Array,
  report: (steps: number) => void,
): Promise<Uint8Array | undefined> {
  const { exports } = new WebAssembly.Instance(module);
  const steps = searchRsaKey(exports as unknown as SearchExports, bits);
  try {
    while (stop[0] === 0) {
      const { done, value } = steps.next();
      if (done === true) return value;
      report(value);
      await nextTurn();
    }
    return undefined;
  } finally {
    // Ends the search where it stands, which has it wipe.
    steps.return(new Uint8Array(0));
  }
}

/** Lets the event loop do what else there is; timers would wait some milliseconds more. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof MessageChannel !== "function") {
      setTimeout(resolve, 0);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Copies the numbers of a key out of what a search found. */
function fieldsOf(key: Uint8Array, bits: number): RsaPrivateFields {
  const whole = bits / 8;
  const half = bits / 16;
  const part = (start: number, length: number): Uint8Array => key.slice(start, start + length);
  return {
    n: part(0, whole),
    p: part(0x200, half),
    q: part(0x300, half),
    dP: part(0x400, half),
    dQ: part(0x500, half),
    qInv: part(0x600, half),
    // 65537 needs the last three of its 32 bytes.
    e: part(0x71d, 3),
    d: part(KEY_PARTS_LENGTH, whole),
  };
}
