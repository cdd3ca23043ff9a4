/**
 * Finds the best build of a module of kernels that the runtime supports and proves it before it serves: one instance a
 * build and realm, shared by every engine, since browsers limit their number. Each module has a loader of its own.
 */

import { ensure, KmsError } from "../../errors.ts";
import { allowRelaxedSimd } from "./v8-flag.ts";

/** The builds of the kernels, by what they ask of the runtime: nothing, SIMD128, or relaxed SIMD as well. */
export type WasmBuild = "base" | "simd" | "relaxed";

/** Whether a relaxed SIMD build may run: where the runtime has it, never, or by setting the V8 flag first. */
export type RelaxedSimd = "auto" | "off" | "force";

/** The builds by the number a module exports as `BUILD`. */
const BUILD_NAMES: readonly WasmBuild[] = ["base", "simd", "relaxed"];
const BEST_FIRST: readonly WasmBuild[] = ["relaxed", "simd", "base"];

const FOREIGN = "wasm must be a module of the Keyplane kernels.";

/** What a loader must know of its module. */
export interface ModuleFacts<Kernel> {
  /** The builds there are, as base64; `base` is always one. */
  readonly bytes: Readonly<Partial<Record<WasmBuild, string>>>;
  /** @throws KmsError `InvalidParameter` where these are the exports of another module */
  bind(exports: WebAssembly.Exports): Kernel;
  /** Tells whether the runtime really has the instructions of a build. */
  isSupported(build: "simd" | "relaxed"): boolean;
  /** Computes known answers in the kernels; leaves nothing behind. */
  answersRightly(kernel: Kernel): boolean;
}

export class ModuleLoader<Kernel> {
  readonly #facts: ModuleFacts<Kernel>;
  readonly #ofModule: WeakMap<WebAssembly.Module, Kernel> = new WeakMap();
  /** A kernel once its build was proved; undefined inside where this runtime has not that build. */
  readonly #ofBuild: Map<WasmBuild, { readonly kernel: Kernel | undefined }> = new Map();

  constructor(facts: ModuleFacts<Kernel>) {
    this.#facts = facts;
  }

  /**
   * Returns the kernels of a module the host compiled.
   *
   * @throws KmsError `InvalidParameter` where it is not a module of these kernels, `Rejected.UnsupportedOperation` where the
   *   runtime refuses it
   */
  ofModule(module: WebAssembly.Module): Kernel {
    ensureWebAssembly();
    ensure(module instanceof WebAssembly.Module, "InvalidParameter", "wasm must be a WebAssembly.Module.");
    let kernel = this.#ofModule.get(module);
    if (kernel === undefined) {
      kernel = this.#instantiate(module);
      this.#ofModule.set(module, kernel);
    }
    return kernel;
  }

  /**
   * Returns the kernels of the best build that this runtime supports: relaxed, simd, base.
   *
   * @param build the one build to take, for tests and benches
   * @throws KmsError `Rejected.UnsupportedOperation` where the runtime has no WebAssembly, a policy forbids compiling, or
   *   the build asked for is not supported
   */
  best(relaxedSimd: RelaxedSimd, build?: WasmBuild): Kernel {
    ensureWebAssembly();
    for (const each of BEST_FIRST) {
      if (build !== undefined && build !== each) continue;
      if (each === "relaxed" && relaxedSimd === "off") continue;
      const kernel = this.#build(each, relaxedSimd === "force");
      if (kernel !== undefined) return kernel;
    }
    throw new KmsError("Rejected.UnsupportedOperation", `This runtime does not support the ${build} build.`);
  }

  #build(build: WasmBuild, force: boolean): Kernel | undefined {
    const text = this.#facts.bytes[build];
    if (text === undefined) return undefined;
    const known = this.#ofBuild.get(build);
    // A flag set later may bring the relaxed build after all.
    if (known !== undefined && !(force && known.kernel === undefined)) return known.kernel;
    const kernel =
      build === "base" ? this.#instantiate(compile(text)) : this.#vectorBuild(build, text, force);
    this.#ofBuild.set(build, { kernel });
    return kernel;
  }

  /** Returns the kernels of a vector build; undefined where the runtime cannot compile it or its answers are wrong. */
  #vectorBuild(build: "simd" | "relaxed", text: string, force: boolean): Kernel | undefined {
    const { isSupported, answersRightly } = this.#facts;
    if (!isSupported(build) && !(force && allowRelaxedSimd() && isSupported(build))) return undefined;
    try {
      const kernel = this.#instantiate(new WebAssembly.Module(decodeBase64(text)));
      return answersRightly(kernel) ? kernel : undefined;
    } catch {
      return undefined;
    }
  }

  #instantiate(module: WebAssembly.Module): Kernel {
    ensure(
      WebAssembly.Module.imports(module).length === 0,
      "InvalidParameter",
      "wasm must be a module of the Keyplane kernels, which imports nothing.",
    );
    let exports: WebAssembly.Exports;
    try {
      exports = new WebAssembly.Instance(module).exports;
    } catch (cause) {
      throw new KmsError(
        "Rejected.UnsupportedOperation",
        "This runtime refuses to instantiate the WebAssembly module.",
        { cause },
      );
    }
    return this.#facts.bind(exports);
  }
}

function ensureWebAssembly(): void {
  ensure(
    typeof WebAssembly === "object",
    "Rejected.UnsupportedOperation",
    "This runtime has no WebAssembly; use another engine.",
  );
}

function compile(text: string): WebAssembly.Module {
  try {
    return new WebAssembly.Module(decodeBase64(text));
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime refuses to compile WebAssembly (in browsers the page's policy needs 'wasm-unsafe-eval'; " +
        "on edge runtimes pass precompiled modules).",
      { cause },
    );
  }
}

/** Decodes the module text, which is public. `atob` is everywhere; `fromBase64` and Node's Buffer are quicker. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const { Buffer } = globalThis as {
    Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
  };
  if (Buffer !== undefined) return Buffer.from(text, "base64");
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Returns the memory of a module that exports these functions.
 *
 * @throws KmsError `InvalidParameter` where it does not
 */
export function memoryOf(exports: WebAssembly.Exports, functionNames: readonly string[]): WebAssembly.Memory {
  const { memory } = exports;
  ensure(
    memory instanceof WebAssembly.Memory &&
      functionNames.every((name) => typeof exports[name] === "function"),
    "InvalidParameter",
    FOREIGN,
  );
  return memory;
}

/** Reads an exported number: an address, a length, a count. */
export function constantOf(exports: WebAssembly.Exports, name: string): number {
  const global = exports[name];
  ensure(global instanceof WebAssembly.Global, "InvalidParameter", FOREIGN);
  return global.value as number;
}

/** Tells which build a module is. */
export function buildOf(exports: WebAssembly.Exports): WasmBuild {
  const build = BUILD_NAMES[constantOf(exports, "BUILD")];
  ensure(build !== undefined, "InvalidParameter", FOREIGN);
  return build;
}
