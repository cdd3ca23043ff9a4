/** Chooses the engine for a primitive: the forced one, or the first of a table that serves it. */

import { KmsError } from "../errors.ts";
import type { AsyncEngine, Engine, EngineName, HashName } from "./engine.ts";
import { autoRoutes, type Route, type RoutedPrimitive } from "./routes.ts";

export type EngineChoice = "auto" | EngineName;

/** A module of the wasm engine that may be loaded at its first use. */
export type LazyModule = "ecc" | "rsa";

/** A synchronous engine which may lack some of its kernels until they are needed. */
export interface LoadingEngine extends Engine {
  /**
   * Loads a module that is to be used. What needs it is told of in `capabilities` and must not be called before.
   *
   * @returns undefined when it is there; who asks while it is loaded waits for the same
   * @throws KmsError `Rejected.UnsupportedOperation`; it is tried again when next asked for
   */
  load?(module: LazyModule): Promise<void> | undefined;
}

export type AnyEngine = LoadingEngine | AsyncEngine;

/** Gives the realm's engine of a name, made when first asked for; undefined where the platform has none. */
export type EngineSource = (name: EngineName) => AnyEngine | undefined;

/** The engines of a realm, as the option `engine` lets them be chosen. */
export class Engines {
  readonly choice: EngineChoice;
  /** Gives the engine of a name, whatever the choice. */
  readonly get: EngineSource;
  /** The one engine to try; undefined where tables say which. */
  readonly forced: readonly Route[] | undefined;

  constructor(source: EngineSource, choice: EngineChoice) {
    this.get = source;
    this.choice = choice;
    this.forced = choice === "auto" ? undefined : [{ engine: choice, maxBytes: Number.POSITIVE_INFINITY }];
  }

  /** Returns the engines to try: those of the table, or the forced one alone. */
  routes(primitive: RoutedPrimitive): readonly Route[] {
    return this.forced ?? autoRoutes(primitive);
  }

  /**
   * Picks the engine for a primitive and payload size.
   *
   * @param parameter what the primitive must take, as capabilities name it: a key size, a curve, a hash
   * @throws KmsError `Rejected.UnsupportedOperation`
   */
  choose(primitive: RoutedPrimitive, byteLength: number, parameter: string): AnyEngine {
    return this.chooseAlong(this.routes(primitive), primitive, byteLength, parameter);
  }

  /** Picks the first engine of a table that serves; see `choose`. */
  chooseAlong(
    routes: readonly Route[],
    primitive: RoutedPrimitive | "ecdh",
    byteLength: number,
    parameter: string,
  ): AnyEngine {
    for (const route of routes) {
      if (byteLength > route.maxBytes) continue;
      const engine = this.get(route.engine);
      if (engine?.[primitive] === undefined || !engine.capabilities[primitive]?.includes(parameter)) continue;
      if (route.needsVectors !== true || hasVectors(engine, Number(parameter))) return engine;
    }
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      `No ${this.choice} engine here serves ${primitive} with ${parameter}.`,
    );
  }

  /** Hashes public bytes with the first engine that can at once. @throws KmsError `Rejected.UnsupportedOperation` */
  hash(hash: HashName, message: Uint8Array): Uint8Array {
    const names: readonly EngineName[] = this.choice === "auto" ? ["node", "wasm"] : [this.choice];
    for (const name of names) {
      const engine = this.get(name);
      if (engine === undefined || engine.name === "webcrypto") continue;
      if (engine.hash !== undefined) return engine.hash(hash, message);
    }
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      `No ${this.choice} engine here serves ${hash} synchronously.`,
    );
  }
}

/** Tells whether the kernels of an engine compute RSA of a size in vectors. */
export function hasVectors(engine: AnyEngine, modulusBits: number): boolean {
  return engine.name !== "webcrypto" && engine.usesVectorsForRsa?.(modulusBits) === true;
}

/** Returns a primitive that a route led to. */
export function served<T>(primitive: T | undefined): T {
  if (primitive === undefined) throw new Error("internal: a route leads to an engine without the primitive");
  return primitive;
}
