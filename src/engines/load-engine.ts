/** Finds an engine by name; loads the code of the one over node:crypto when it is first asked for. */

import { ensure, KmsError } from "../errors.ts";
import type { AsyncEngine, Engine, EngineName, WasmModules } from "./engine.ts";
import { createWasmEngine } from "./wasm/index.ts";
import { createWebCryptoEngine } from "./webcrypto/index.ts";

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
const RELAXED_SIMD: readonly unknown[] = [undefined, "auto", "off", "force"];

/**
 * Loads an engine of its own state: keys of one are foreign to every other.
 *
 * @throws KmsError `InvalidParameter` for an unknown name or option, `Rejected.UnsupportedOperation` where the platform
 *   lacks what the engine needs
 */
export async function loadEngine(name: "webcrypto", options?: LoadEngineOptions): Promise<AsyncEngine>;
export async function loadEngine(name: "wasm" | "node", options?: LoadEngineOptions): Promise<Engine>;
export async function loadEngine(
  name: EngineName,
  options: LoadEngineOptions = {},
): Promise<Engine | AsyncEngine> {
  ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
  for (const option of Object.keys(options)) {
    ensure(OPTION_NAMES.includes(option), "InvalidParameter", `There is no option ${option}.`);
  }
  ensure(
    RELAXED_SIMD.includes(options.relaxedSimd),
    "InvalidParameter",
    "relaxedSimd must be auto, off or force.",
  );
  const { verifySignatures = false } = options;
  ensure(typeof verifySignatures === "boolean", "InvalidParameter", "verifySignatures must be a boolean.");
  const asked: string = name;
  switch (asked) {
    case "wasm":
      // Imported statically: service workers have no import().
      return createWasmEngine({ wasm: options.wasm, relaxedSimd: options.relaxedSimd, verifySignatures });
    case "node": {
      const { createNodeEngine } = await importNodeEngine();
      return createNodeEngine({ verifySignatures });
    }
    case "webcrypto":
      return createWebCryptoEngine({ verifySignatures });
    default:
      throw new KmsError("InvalidParameter", "The engine must be wasm, node or webcrypto.");
  }
}

async function importNodeEngine(): Promise<typeof import("./node/index.ts")> {
  try {
    return await import("./node/index.ts");
  } catch (cause) {
    throw new KmsError("Rejected.UnsupportedOperation", "This runtime has no node:crypto.", { cause });
  }
}
