/** Keeps the wasm engines of a realm, one a variant, and which variants the runtime refuses for good. */

import type { LoadingEngine } from "../engines/choose-engine.ts";
import { mayPass } from "../engines/wasm/module.ts";
import { KmsError } from "../errors.ts";
import type { EngineVariant } from "./platform.ts";

/** What became of making an engine. */
type Outcome = { readonly engine: LoadingEngine } | { readonly error: KmsError };

/** Stands for the package's own kernels. */
const OWN: object = {};

export class WasmEngines {
  /** By modules first: engines of a host's own modules go when those do. */
  readonly #outcomes: WeakMap<object, Map<string, Outcome>> = new WeakMap();

  /**
   * Gives the engine of a variant, made when it is first asked for, and again where memory was short then.
   *
   * @throws KmsError what making it ended in, `Rejected.UnsupportedOperation` each time
   */
  get(variant: EngineVariant, make: () => LoadingEngine): LoadingEngine {
    const { wasm = OWN } = variant;
    // What is no object is refused by the maker.
    const ofModules = this.#outcomes.get(wasm) ?? new Map<string, Outcome>();
    const id = idOf(variant);
    const known = ofModules.get(id);
    if (known !== undefined) {
      if ("error" in known) throw known.error;
      return known.engine;
    }
    let outcome: Outcome;
    try {
      outcome = { engine: make() };
    } catch (error) {
      if (!isUnsupported(error) || mayPass(error)) throw error;
      outcome = { error };
    }
    ofModules.set(id, outcome);
    this.#outcomes.set(wasm, ofModules);
    if ("error" in outcome) throw outcome.error;
    return outcome.engine;
  }

  /** Lets an engine that was refused be made again: it may have lacked kernels that could not be loaded then. */
  forgetRefusal(variant: EngineVariant): void {
    const ofModules = this.#outcomes.get(variant.wasm ?? OWN);
    const id = idOf(variant);
    const outcome = ofModules?.get(id);
    if (outcome !== undefined && "error" in outcome) ofModules?.delete(id);
  }
}

function idOf({ relaxedSimd, verifySignatures }: EngineVariant): string {
  return `${relaxedSimd} ${verifySignatures}`;
}

/** Tells whether an engine is one that this runtime refuses. */
export function isUnsupported(error: unknown): error is KmsError {
  return error instanceof KmsError && error.code === "Rejected.UnsupportedOperation";
}
