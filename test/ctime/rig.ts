/**
 * Holds one instance of a module and, on request, the engine over it. The instance is the engine's own: it is caught
 * while the engine instantiates the module, so that scenarios can go through the API a caller uses.
 */

import type { WasmModule } from "../../.config/build-wasm.mjs";
import type { Engine } from "../../src/engines/engine.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";

type KernelFunction = (...args: number[]) => unknown;

/** What a scenario may use. */
export interface Rig {
  /** The engine; throws in a rig without one. */
  readonly engine: Engine;
  /** Calls a function of the module by its export's name. */
  call(name: string, ...args: number[]): unknown;
  /** Reads an exported global that is a number, such as an address. */
  constant(name: string): number;
  /** All of linear memory. */
  readonly memory: Uint8Array;
}

/** Listens to the calls that the engine, or a scenario, makes to the module. */
export type CallListener = (name: string, args: readonly number[], call: () => unknown) => unknown;

export interface OpenRig extends Rig {
  readonly exports: WebAssembly.Exports;
}

export interface RigOptions {
  /** Which module of an engine this one is, with an engine over it; its own functions are called by name otherwise. */
  readonly engine: WasmModule | false;
  readonly onCall?: (memory: () => Uint8Array) => CallListener;
}

function wrapExports(exports: WebAssembly.Exports, listener: CallListener): WebAssembly.Exports {
  return Object.fromEntries(
    Object.entries(exports).map(([name, value]) => [
      name,
      typeof value === "function"
        ? (...args: number[]) => listener(name, args, () => (value as KernelFunction)(...args))
        : value,
    ]),
  );
}

/** Runs `create` and returns the instance that it made of `module`, exports wrapped if someone listens. */
function catchInstance<T>(
  module: WebAssembly.Module,
  onCall: RigOptions["onCall"],
  create: () => T,
): { exports: WebAssembly.Exports; created: T } {
  const Original = WebAssembly.Instance;
  let caught: WebAssembly.Exports | undefined;
  WebAssembly.Instance = class extends Original {
    constructor(source: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(source, imports);
      if (source !== module) return;
      const { exports } = this;
      caught = exports;
      if (onCall === undefined) return;
      const listener = onCall(() => new Uint8Array(memoryOf(exports).buffer));
      caught = wrapExports(exports, listener);
      Object.defineProperty(this, "exports", { value: caught });
    }
  } as typeof WebAssembly.Instance;
  try {
    const created = create();
    if (caught === undefined) throw new Error("internal: the engine did not instantiate the module");
    return { exports: caught, created };
  } finally {
    WebAssembly.Instance = Original;
  }
}

function memoryOf(exports: WebAssembly.Exports): WebAssembly.Memory {
  const memory = Object.values(exports).find((value) => value instanceof WebAssembly.Memory);
  if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module exports no memory");
  return memory;
}

/** Instantiates a module anew, under an engine of its own if asked to. */
export function openRig(wasm: Uint8Array<ArrayBuffer>, { engine, onCall }: RigOptions): OpenRig {
  const module = new WebAssembly.Module(wasm);
  const { exports, created } = catchInstance(module, onCall, () =>
    engine ? createWasmEngine({ wasm: { [engine]: module } }) : new WebAssembly.Instance(module),
  );
  const linear = memoryOf(exports);
  let view = new Uint8Array(linear.buffer);
  return {
    exports,
    // Views die when the memory grows.
    get memory(): Uint8Array {
      if (view.buffer !== linear.buffer) view = new Uint8Array(linear.buffer);
      return view;
    },
    get engine(): Engine {
      if (created instanceof WebAssembly.Instance) throw new Error("this rig has no engine");
      return created;
    },
    constant(name) {
      const global = exports[name];
      if (!(global instanceof WebAssembly.Global)) throw new Error(`the module exports no global ${name}`);
      return Number(global.value);
    },
    call(name, ...args) {
      const called = exports[name];
      if (typeof called !== "function") throw new Error(`the module exports no function ${name}`);
      return (called as KernelFunction)(...args);
    },
  };
}
