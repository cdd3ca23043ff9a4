/** Finds the engine for an operation on an elliptic curve and the handle a key has there: the curves' part of the router. */

import { KmsError } from "../errors.ts";
import type { KeyVersion } from "../keys/key.ts";
import { materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type AnyEngine, type Engines, served } from "./choose-engine.ts";
import { servesEcies } from "./ecies.ts";
import type { Awaitable, CurveName, Ecdsa } from "./engine.ts";
import type { KeyBinder } from "./key-binder.ts";
import { type EcBinding, type EciesBinding, slotOf } from "./key-slot.ts";
import { EC_ROUTES, type EcOperation } from "./routes.ts";
import { type EcCurveTogether, ecTogetherOf } from "./together.ts";
import type { TokenKeys } from "./token-keys.ts";

export class EcKeys {
  readonly #engines: Engines;
  readonly #binder: KeyBinder;
  readonly #tokenKeys: TokenKeys;

  constructor(engines: Engines, binder: KeyBinder, tokenKeys: TokenKeys) {
    this.#engines = engines;
    this.#binder = binder;
    this.#tokenKeys = tokenKeys;
  }

  /** The key for an operation; one key may be in two engines, if the routes say so. */
  find(version: KeyVersion, operation: EcOperation): MaybePromise<EcBinding> {
    return this.#bind(version, this.#choose(version, "ecdsa", operation));
  }

  /** The key for an operation of a batch; undefined where each item is to be done for itself. */
  together(
    version: KeyVersion,
    operation: "sign" | "verify",
  ): (EcBinding & { readonly together: EcCurveTogether }) | undefined {
    const binding = this.find(version, operation);
    if (binding instanceof Promise || binding.together === undefined) return undefined;
    return binding as EcBinding & { readonly together: EcCurveTogether };
  }

  /**
   * The key for encryption; the engine does all of it, the exchange and the hashes, and answers at once.
   *
   * @throws KmsError `Rejected.UnsupportedOperation`
   */
  ecies(version: KeyVersion, operation: "encrypt" | "decrypt"): MaybePromise<EciesBinding> {
    if (version.key.isHardware) {
      throw new KmsError("Rejected.UnsupportedOperation", "ECIES is for software keys only.");
    }
    const engine = this.#choose(version, "ecdh", operation);
    if (engine.name === "webcrypto") {
      throw new KmsError("Rejected.UnsupportedOperation", "The WebCrypto engine has no ECIES.");
    }
    if (!servesEcies(engine))
      throw new Error("internal: an engine has ECDH but not what ECIES needs with it");
    return whenReady(this.#bind(version, engine), ({ privateKey, publicKey }) => ({
      engine,
      privateKey,
      publicKey,
    }));
  }

  #choose(version: KeyVersion, primitive: "ecdsa" | "ecdh", operation: EcOperation): AnyEngine {
    const curve = curveOf(version);
    const routes = this.#engines.forced ?? EC_ROUTES[curve][operation];
    return this.#engines.chooseAlong(routes, primitive, 0, curve);
  }

  #bind(version: KeyVersion, engine: AnyEngine): MaybePromise<EcBinding> {
    const slot = slotOf(version);
    const known = slot.ec[engine.name];
    if (known !== undefined) return known;
    const curve = curveOf(version);
    return this.#binder.keep<EcBinding>(
      slot,
      engine.name,
      () =>
        this.#binder.loadFirst<EcBinding>(engine, "ecc", slot, () => {
          const ecdsa: Awaitable<Ecdsa> = served(engine.ecdsa);
          if (version.key.isHardware) return this.#tokenKeys.bindEc(version, ecdsa, curve);
          return whenReady(
            this.#binder.withMaterial(version, (material) => ecdsa.importPrivateKey(curve, material)),
            (privateKey) =>
              whenReady(ecdsa.publicKey(privateKey), (publicKey) => {
                return { ecdsa, privateKey, publicKey, together: togetherOf(engine, curve) };
              }),
          );
        }),
      (made) => {
        slot.ec[engine.name] = made;
      },
      ({ privateKey }) => privateKey.destroy(),
    );
  }
}

function curveOf(version: KeyVersion): CurveName {
  const facts = materialOf(version.key.identity.spec);
  if (facts.type !== "ec") throw new Error("internal: not an EC key");
  return facts.curve;
}

/** The engine as one that does many signatures at once; only the kernels share work between them. */
function togetherOf(engine: AnyEngine, curve: CurveName): EcCurveTogether | undefined {
  if (engine.name !== "wasm") return undefined;
  return ecTogetherOf(served(engine.ecdsa), served(engine.hash))[curve];
}
