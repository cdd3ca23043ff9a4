/**
 * Finds the best build of a module of kernels that the runtime supports and proves it before it serves: one instance a
 * build and realm, shared by every engine, since browsers limit their number. Each module has a loader of its own.
 */

import { ensure, KmsError } from "../../errors.ts";
import { isWantOfMemory } from "./probe.ts";
import { allowRelaxedSimd } from "./v8-flag.ts";

/** The builds of the kernels, by what they ask of the runtime: nothing, SIMD128, or relaxed SIMD as well. */
export type WasmBuild = "base" | "simd" | "relaxed";

/** The modules of kernels: main has AES, hashes and HMAC, ecc the curves. */
export type ModuleName = "main" | "ecc" | "rsa";

/** Whether a relaxed SIMD build may run: where the runtime has it, never, or by setting the V8 flag first. */
export type RelaxedSimd = "auto" | "off" | "force";

/** The builds by the number a module exports as `BUILD`. */
const BUILD_NAMES: readonly WasmBuild[] = ["base", "simd", "relaxed"];
const BEST_FIRST: readonly WasmBuild[] = ["relaxed", "simd", "base"];

const FOREIGN = "wasm must be a module of the Keyplane kernels.";

/** A build in lower-case hexadecimal, compiled when it is needed, or as the module the host compiled. */
export type BuildSource = string | WebAssembly.Module;

/** The builds of one module that somebody brings. */
export type BuildSources = Readonly<Partial<Record<WasmBuild, BuildSource>>>;

/** What a loader must know of its module. */
export interface ModuleFacts<Kernel> {
  /** @throws KmsError `InvalidParameter` where these are the exports of another module */
  bind(exports: WebAssembly.Exports, module: WebAssembly.Module): Kernel;
  /** Tells whether the runtime really has the instructions of a build. */
  isSupported(build: "simd" | "relaxed"): boolean;
  /** Computes known answers in the kernels; leaves nothing behind. */
  answersRightly(kernel: Kernel): boolean;
}

export class ModuleLoader<Kernel> {
  readonly #facts: ModuleFacts<Kernel>;
  /** The builds that were provided. */
  readonly sources: Map<WasmBuild, BuildSource> = new Map();
  readonly #ofModule: WeakMap<WebAssembly.Module, Kernel> = new WeakMap();
  /** A kernel once its build was proved; undefined inside where this runtime has not that build. */
  readonly #ofBuild: Map<WasmBuild, { readonly kernel: Kernel | undefined }> = new Map();
  /** The builds whose instructions this runtime was seen to have. */
  readonly #instructions: Partial<Record<WasmBuild, boolean>> = {};

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

  /** Takes builds to choose from; the first of each kind stays. */
  provide(sources: BuildSources): void {
    for (const build of BEST_FIRST) {
      const source = sources[build];
      if (source !== undefined && !this.sources.has(build)) this.sources.set(build, source);
    }
  }

  /**
   * Gives the builds that this runtime has the instructions for, the best first; probes for none before it is asked for.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` where there is no WebAssembly
   */
  *supported(relaxedSimd: RelaxedSimd): Generator<WasmBuild, void> {
    ensureWebAssembly();
    for (const build of BEST_FIRST) {
      if (build === "base" || this.#hasInstructions(build, relaxedSimd)) yield build;
    }
  }

  #hasInstructions(build: "simd" | "relaxed", relaxedSimd: RelaxedSimd): boolean {
    if (build === "relaxed" && relaxedSimd === "off") return false;
    const { isSupported } = this.#facts;
    // Instructions that were there once stay; those that were not may come with a flag.
    this.#instructions[build] ||= refusedWith(
      REFUSED,
      () => isSupported(build) || (relaxedSimd === "force" && allowRelaxedSimd() && isSupported(build)),
    );
    return this.#instructions[build];
  }

  /**
   * Returns the kernels of the best build that was provided and that this runtime supports: relaxed, simd, base.
   *
   * @param build the one build to take, for tests and benches
   * @throws KmsError `Rejected.UnsupportedOperation` where the runtime has no WebAssembly, a policy forbids compiling, or
   *   the build asked for is not supported
   */
  best(relaxedSimd: RelaxedSimd, build?: WasmBuild): Kernel {
    const kernel = this.find(relaxedSimd, build);
    if (kernel !== undefined) return kernel;
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      build === undefined
        ? "There are no kernels here; pass compiled modules as the option wasm."
        : `This runtime does not support the ${build} build.`,
    );
  }

  /** Does what `best` does; undefined where no build that was provided serves, or the one that is asked for does not. */
  find(relaxedSimd: RelaxedSimd, build?: WasmBuild): Kernel | undefined {
    ensureWebAssembly();
    for (const each of BEST_FIRST) {
      if (build !== undefined && build !== each) continue;
      if (each === "relaxed" && relaxedSimd === "off") continue;
      const kernel = this.#build(each, relaxedSimd === "force");
      if (kernel !== undefined) return kernel;
    }
    return undefined;
  }

  #build(build: WasmBuild, force: boolean): Kernel | undefined {
    const source = this.sources.get(build);
    if (source === undefined) return undefined;
    const known = this.#ofBuild.get(build);
    // A flag set later may bring the relaxed build after all.
    if (known !== undefined && !(force && known.kernel === undefined)) return known.kernel;
    const kernel =
      build === "base" ? this.#instantiate(compile(source)) : this.#vectorBuild(build, source, force);
    this.#ofBuild.set(build, { kernel });
    return kernel;
  }

  /**
   * Returns the kernels of a vector build; undefined where the runtime cannot compile it or its answers are wrong, which is
   * so for good.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` where memory is short just now
   */
  #vectorBuild(build: "simd" | "relaxed", source: BuildSource, force: boolean): Kernel | undefined {
    // A module that is compiled has its instructions; the probe would need to compile, which its host may refuse.
    const isCompiled = typeof source !== "string";
    if (!isCompiled && !this.#hasInstructions(build, force ? "force" : "auto")) return undefined;
    try {
      const kernel = this.#instantiate(compile(source));
      return this.#facts.answersRightly(kernel) ? kernel : undefined;
    } catch (error) {
      if (mayPass(error)) throw error;
      return undefined;
    }
  }

  #instantiate(module: WebAssembly.Module): Kernel {
    // They import nothing.
    ensure(WebAssembly.Module.imports(module).length === 0, "InvalidParameter", FOREIGN);
    const { exports } = refusedWith(REFUSED, () => new WebAssembly.Instance(module));
    return this.#facts.bind(exports, module);
  }
}

const REFUSED = "This runtime refuses the WebAssembly module.";

/** Does work that the runtime may refuse. @throws KmsError `Rejected.UnsupportedOperation` with what it said as the cause */
function refusedWith<T>(message: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new KmsError("Rejected.UnsupportedOperation", message, { cause });
  }
}

/** Tells whether an error is a want of memory (or, in browsers, of instances), which another attempt may not meet. */
export function mayPass(error: unknown): boolean {
  return isWantOfMemory((error as KmsError).cause);
}

function ensureWebAssembly(): void {
  ensure(
    typeof WebAssembly === "object",
    "Rejected.UnsupportedOperation",
    "This runtime has no WebAssembly; use another engine.",
  );
}

/**
 * Compiles the best provided build, proved like that of `best`.
 *
 * @throws KmsError `Rejected.UnsupportedOperation`
 */
export function bestModule<Kernel>(loader: ModuleLoader<Kernel>): WebAssembly.Module {
  for (const build of loader.supported("auto")) {
    const source = loader.find("auto", build) !== undefined ? loader.sources.get(build) : undefined;
    if (source !== undefined) return compile(source);
  }
  throw new KmsError("Rejected.UnsupportedOperation", "This runtime supports none of the kernels.");
}

/** Compiles a build. @throws KmsError `Rejected.UnsupportedOperation` where the runtime refuses */
function compile(source: BuildSource): WebAssembly.Module {
  if (typeof source !== "string") return source;
  return refusedWith(
    "This runtime refuses to compile WebAssembly (in browsers the page's policy needs 'wasm-unsafe-eval'; " +
      "on edge runtimes pass precompiled modules).",
    () => new WebAssembly.Module(decodeHex(source)),
  );
}

/** Decodes the text of a module, which is public; the platform's own ways are quicker. */
function decodeHex(text: string): Uint8Array<ArrayBuffer> {
  const { fromHex } = Uint8Array as { fromHex?: (text: string) => Uint8Array<ArrayBuffer> };
  if (fromHex !== undefined) return fromHex.call(Uint8Array, text);
  const { Buffer } = globalThis as {
    Buffer?: { from(text: string, encoding: "hex"): Uint8Array<ArrayBuffer> };
  };
  if (Buffer !== undefined) return Buffer.from(text, "hex");
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (digit(text, 2 * i) << 4) | digit(text, 2 * i + 1);
  return bytes;
}

/** Reads a lower-case digit. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code - (code < 0x3a ? 0x30 : 0x57);
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
