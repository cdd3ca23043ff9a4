/** Finds the engine for an RSA operation and the handle a key has there: RSA's part of the router. */

import type { KeyVersion } from "../keys/key.ts";
import { materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type AnyEngine, type Engines, hasVectors, served } from "./choose-engine.ts";
import type { Awaitable, Rsa, RsaPublicKey } from "./engine.ts";
import { type KeyBinder, loading } from "./key-binder.ts";
import { type RsaBinding, slotOf } from "./key-slot.ts";
import { RSA_BATCH_ROUTE, RSA_ROUTES, type RsaOperation } from "./routes.ts";
import {
  type ItemToVerify,
  type Keyed,
  type RsaScheme,
  type RsaTogether,
  rsaVerifier,
  type Together,
} from "./together.ts";
import type { TokenKeys } from "./token-keys.ts";

export class RsaKeys {
  readonly #engines: Engines;
  readonly #binder: KeyBinder;
  readonly #tokenKeys: TokenKeys;

  constructor(engines: Engines, binder: KeyBinder, tokenKeys: TokenKeys) {
    this.#engines = engines;
    this.#binder = binder;
    this.#tokenKeys = tokenKeys;
  }

  /** The key for an operation; one key may be in two engines, if the routes say so. */
  find(version: KeyVersion, operation: RsaOperation): MaybePromise<RsaBinding> {
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "rsa") throw new Error("internal: not an RSA key");
    const { modulusBits } = facts;
    // Of a key in a token only the public half is in an engine.
    const engine = this.#choose(modulusBits, version.key.isHardware ? "public" : operation);
    const slot = slotOf(version);
    const known = slot.rsa[engine.name];
    if (known !== undefined) return known;
    return this.#binder.keep<RsaBinding>(
      slot,
      engine.name,
      () =>
        this.#binder.loadFirst<RsaBinding>(engine, "rsa", slot, () => {
          const rsa: Awaitable<Rsa> = served(engine.rsa);
          if (version.key.isHardware) return this.#tokenKeys.bindRsa(version, rsa, modulusBits);
          return whenReady(
            this.#binder.withMaterial(version, (material) => rsa.importPrivateKey(material)),
            (privateKey) =>
              whenReady(rsa.publicKey(privateKey), (publicKey) => ({ rsa, privateKey, publicKey })),
          );
        }),
      (made) => {
        slot.rsa[engine.name] = made;
      },
      ({ privateKey }) => privateKey.destroy(),
    );
  }

  #choose(modulusBits: number, operation: RsaOperation): AnyEngine {
    const routes = this.#engines.forced ?? RSA_ROUTES[modulusBits]?.[operation] ?? [];
    return this.#engines.chooseAlong(routes, "rsa", 0, String(modulusBits));
  }

  /** An RSA implementation for public keys that callers bring. */
  forPublicKeys(modulusBits: number): MaybePromise<Awaitable<Rsa>> {
    const engine = this.#engines.choose("rsa", 0, String(modulusBits));
    return whenReady(loading(engine, "rsa"), () => served<Awaitable<Rsa>>(engine.rsa));
  }

  /**
   * The key to verify with in a batch, in another engine than the one for single calls if that is the quicker one for so
   * many items; undefined where each item is to be verified for itself.
   */
  verifier(
    version: KeyVersion,
    scheme: RsaScheme,
    batchSize: number,
  ): Keyed<RsaPublicKey, Together<ItemToVerify<RsaPublicKey>, boolean>> | undefined {
    const slot = slotOf(version);
    slot.rsaTogether ??= this.#bindTogether(version, batchSize);
    if (slot.rsaTogether === undefined) return undefined;
    return { key: slot.rsaTogether.publicKey, work: rsaVerifier(slot.rsaTogether, scheme) };
  }

  #bindTogether(version: KeyVersion, batchSize: number): RsaTogether | undefined {
    const { engine: name, minItems } = RSA_BATCH_ROUTE;
    const { choice } = this.#engines;
    if (batchSize < minItems || (choice !== "auto" && choice !== name)) return undefined;
    const engine = this.#engines.get(name);
    const binding = this.find(version, "public");
    if (engine?.name !== "wasm" || binding instanceof Promise) return undefined;
    const { rsa, hash } = engine;
    if (rsa === undefined || hash === undefined || !hasVectors(engine, binding.publicKey.modulusBits))
      return undefined;
    const spki = binding.rsa.exportSpki(binding.publicKey);
    return spki instanceof Promise ? undefined : { rsa, hash, publicKey: rsa.importPublicKey(spki) };
  }
}
