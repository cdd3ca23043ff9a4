/** Keeps the wasm engines of a realm, one a variant, and which variants the runtime refuses, for good or for a while. */

import type { LoadingEngine } from "../engines/choose-engine.ts";
import { mayPass } from "../engines/wasm/module.ts";
import { KmsError } from "../errors.ts";
import type { EngineVariant } from "./platform.ts";

/**
 * How long a refusal for want of memory holds at first, and at most, in milliseconds; twice as long each time. Where memory is
 * bounded it is one for good, and V8 collects all garbage several times before it says so.
 */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 300_000;

interface Refusal {
  readonly error: KmsError;
  readonly pauseMs: number;
  /** By the clock of `performance`. */
  readonly until: number;
}

/** What became of making an engine. */
type Outcome = { readonly engine: LoadingEngine } | Refusal;

/** Stands for the package's own kernels. */
const OWN: object = {};

export class WasmEngines {
  /** By modules first: engines of a host's own modules go when those do. */
  readonly #outcomes: WeakMap<object, Map<string, Outcome>> = new WeakMap();

  /**
   * Gives the engine of a variant, made when it is first asked for, and after a while again where memory was short then.
   *
   * @throws KmsError what making it ended in, `Rejected.UnsupportedOperation` each time
   */
  get(variant: EngineVariant, make: () => LoadingEngine): LoadingEngine {
    const { wasm = OWN } = variant;
    // What is no object is refused by the maker.
    const ofModules = this.#outcomes.get(wasm) ?? new Map<string, Outcome>();
    const id = idOf(variant);
    const known = ofModules.get(id);
    if (known !== undefined && "engine" in known) return known.engine;
    if (known !== undefined && performance.now() < known.until) throw known.error;
    let outcome: Outcome;
    try {
      outcome = { engine: make() };
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      const next = known === undefined ? FIRST_PAUSE_MS : Math.min(2 * known.pauseMs, LONGEST_PAUSE_MS);
      const pauseMs = mayPass(error) ? next : Number.POSITIVE_INFINITY;
      outcome = { error, pauseMs, until: performance.now() + pauseMs };
    }
    ofModules.set(id, outcome);
    this.#outcomes.set(wasm, ofModules);
    if ("error" in outcome) throw outcome.error;
    return outcome.engine;
  }

  /** Lets an engine that was refused be made again: it may have lacked kernels that could not be loaded then. */
  forgetRefusal(variant: EngineVariant): void {
    this.#forget(variant, () => true);
  }

  /** Lets one that was refused for want of memory be made again at once. */
  forgetShortage(variant: EngineVariant): void {
    this.#forget(variant, ({ error }) => mayPass(error));
  }

  #forget(variant: EngineVariant, isForgotten: (refusal: Refusal) => boolean): void {
    const ofModules = this.#outcomes.get(variant.wasm ?? OWN);
    const id = idOf(variant);
    const outcome = ofModules?.get(id);
    if (outcome !== undefined && "error" in outcome && isForgotten(outcome)) ofModules?.delete(id);
  }
}

function idOf({ relaxedSimd, verifySignatures }: EngineVariant): string {
  return `${relaxedSimd} ${verifySignatures}`;
}

/** Tells whether an engine is one that this runtime refuses. */
export function isUnsupported(error: unknown): error is KmsError {
  return error instanceof KmsError && error.code === "Rejected.UnsupportedOperation";
}
