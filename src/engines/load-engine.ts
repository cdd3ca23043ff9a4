/** Finds an engine by name among those a platform has, after a look at the options. */

import { ensure, KmsError } from "../errors.ts";
import type { AsyncEngine, Engine, EngineName, WasmModules } from "./engine.ts";
import type { RelaxedSimd } from "./wasm/module.ts";

export interface LoadEngineOptions {
  /** Whether the wasm engine may run its relaxed SIMD build: where the runtime has it, never, or by setting the V8 flag of Node 20 first. A lesser build is not an error. */
  readonly relaxedSimd?: "auto" | "off" | "force";
  /**
   * Verifies every ECDSA signature with the public key before it leaves, so that a fault cannot let a wrong one out; a wrong
   * one is erased, answers `InternalFailure` and stops the engine. RSA signatures are verified always. Default false.
   */
  readonly verifySignatures?: boolean;
  /**
   * Compiled modules for runtimes that refuse to compile bytes; a bare module is the main one. What is absent is compiled
   * when it is first needed.
   */
  readonly wasm?: WebAssembly.Module | WasmModules;
}

const OPTION_NAMES: readonly string[] = ["relaxedSimd", "verifySignatures", "wasm"];
const RELAXED_SIMD: readonly unknown[] = ["auto", "off", "force"];
const ENGINE_NAMES: readonly unknown[] = ["wasm", "node", "webcrypto"];

/** Loads an engine of its own state: keys of one are foreign to every other. */
export interface LoadEngine {
  /**
   * @throws KmsError `InvalidParameter` for an unknown name or option, `Rejected.UnsupportedOperation` where the platform
   *   lacks what the engine needs
   */
  (name: "webcrypto", options?: LoadEngineOptions): Promise<AsyncEngine>;
  (name: "wasm" | "node", options?: LoadEngineOptions): Promise<Engine>;
}

/** The options, checked but for the modules. */
export interface EngineOptions {
  readonly relaxedSimd: RelaxedSimd;
  readonly verifySignatures: boolean;
  readonly wasm: LoadEngineOptions["wasm"];
}

/** How a platform makes each engine it has. */
export type EngineMakers = Readonly<
  Partial<Record<EngineName, (options: EngineOptions) => Promise<Engine | AsyncEngine>>>
>;

/** Makes the `loadEngine` of a platform. */
export function engineLoader(makers: EngineMakers): LoadEngine {
  const load = async (name: EngineName, options: LoadEngineOptions = {}): Promise<Engine | AsyncEngine> => {
    ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
    for (const option of Object.keys(options)) {
      ensure(OPTION_NAMES.includes(option), "InvalidParameter", `There is no option ${option}.`);
    }
    const { relaxedSimd = "auto", verifySignatures = false, wasm } = options;
    ensure(RELAXED_SIMD.includes(relaxedSimd), "InvalidParameter", "relaxedSimd must be auto, off or force.");
    ensure(typeof verifySignatures === "boolean", "InvalidParameter", "verifySignatures must be a boolean.");
    ensure(ENGINE_NAMES.includes(name), "InvalidParameter", "The engine must be wasm, node or webcrypto.");
    const make = makers[name];
    if (make === undefined) {
      throw new KmsError("Rejected.UnsupportedOperation", `This runtime has no ${name} engine.`);
    }
    return make({ relaxedSimd, verifySignatures, wasm });
  };
  return load as LoadEngine;
}
