/**
 * Finds the engine for a key version and the handle it has there; makes the handle on first use. A forced engine never
 * becomes another one, and a batch keeps the engine it began with for each key. Where an engine answers with promises,
 * so does the router; everything else it gives at once.
 */

import { KmsError } from "../errors.ts";
import type { KeyIdentity, KeyVersion } from "../keys/key.ts";
import { materialIdentity } from "../keys/key-record.ts";
import { type KeyMaterialType, materialOf } from "../keys/key-spec.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type AesLookup, BatchStage, pinnedLookup } from "./batch-stage.ts";
import { type BulkKey, BulkKeys } from "./bulk-keys.ts";
import {
  type AnyEngine,
  chooseEngine,
  chooseRoute,
  type EngineChoice,
  type EngineSource,
  forced,
  hasVectors,
  type LazyModule,
  routesOf,
  served,
} from "./choose-engine.ts";
import { servesEcies } from "./ecies.ts";
import type {
  AesGcm,
  Awaitable,
  CurveName,
  Ecdsa,
  EngineName,
  GenerateKeyOptions,
  HashName,
  Hmac,
  Rsa,
  RsaPublicKey,
  SealStage,
} from "./engine.ts";
import { hardwareAes, hardwareEc, hardwareRsa } from "./hardware-bindings.ts";
import {
  decodeReference,
  type HardwareKey,
  type HardwareKeySpec,
  type HardwareKeys,
  type HardwareReference,
} from "./hardware-keys.ts";
import {
  type AesBinding,
  type BoundAesKey,
  checkedKey,
  destroySlot,
  type EcBinding,
  type EciesBinding,
  type HardwareBinding,
  type HmacBinding,
  type RsaBinding,
  type Slot,
  slotOf,
} from "./key-slot.ts";
import type { KeyVault } from "./key-vault.ts";
import { randomBytes } from "./random.ts";
import {
  EC_ROUTES,
  type EcOperation,
  type Route,
  type RoutedPrimitive,
  RSA_BATCH_ROUTE,
  RSA_ROUTES,
  type RsaOperation,
} from "./routes.ts";
import {
  type EcCurveTogether,
  ecTogetherOf,
  type ItemToVerify,
  type Keyed,
  type RsaScheme,
  type RsaTogether,
  rsaVerifier,
  type Together,
} from "./together.ts";

/** Payload length, in bytes, that stands for "large" in the routes. */
const BULK_LENGTH = 65_536;

export class Router {
  readonly #engine: EngineSource;
  readonly #choice: EngineChoice;
  readonly #vault: KeyVault;
  readonly #aesRoutes: readonly Route[];
  readonly #bulkKeys: BulkKeys = new BulkKeys();
  readonly #hardware: HardwareKeys | undefined;
  /** Bindings that wait for kernels to be loaded. */
  readonly #cold: Set<Promise<unknown>> = new Set();

  constructor(engine: EngineSource, choice: EngineChoice, vault: KeyVault, hardware?: HardwareKeys) {
    this.#hardware = hardware;
    this.#engine = engine;
    this.#choice = choice;
    this.#vault = vault;
    this.#aesRoutes = routesOf(choice, "aesGcm");
  }

  #choose(primitive: RoutedPrimitive, byteLength: number, parameter: string): AnyEngine {
    return chooseEngine(this.#engine, this.#choice, primitive, byteLength, parameter);
  }

  /**
   * Makes the binding of a version in an engine once the kernels for it are loaded.
   *
   * @throws KmsError `Forbidden.KeyNotFound` where the version was let go meanwhile; whoever waited looks closer at the key
   */
  #loadFirst<Binding>(
    engine: AnyEngine,
    module: LazyModule,
    slot: Slot,
    make: () => MaybePromise<Binding>,
  ): MaybePromise<Binding> {
    const wait = loading(engine, module);
    if (wait === undefined) return make();
    const cold = wait.then(() => {
      if (slot.isForgotten) throw new KmsError("Forbidden.KeyNotFound", "The key is there no more.");
      return make();
    });
    this.#cold.add(cold);
    // Whoever asked for the binding hears of a failure.
    cold.finally(() => this.#cold.delete(cold)).catch(() => undefined);
    return cold;
  }

  /** Whether there are bindings that wait for kernels to be loaded. */
  get isCold(): boolean {
    return this.#cold.size > 0;
  }

  /**
   * Opens the material of a version for one import and wipes it.
   *
   * @throws KmsError `Rejected.RecordCorrupt` naming the key
   */
  #withMaterial<T>(version: KeyVersion, use: (material: Uint8Array) => MaybePromise<T>): MaybePromise<T> {
    // What is stored for a hardware key finds it in its token and must never pass for key bytes.
    if (version.key.isHardware) throw new Error("internal: a hardware key has no material here");
    return this.#withRecord(version, use);
  }

  #withRecord<T>(version: KeyVersion, use: (material: Uint8Array) => MaybePromise<T>): MaybePromise<T> {
    const { identity } = version.key;
    const opened = this.#vault.open(materialIdentity(identity, version.keyVersionId), version.sealedMaterial);
    return whenReady(opened, (material) => {
      if (material === undefined) {
        throw new KmsError(
          "Rejected.RecordCorrupt",
          `The record of key ${identity.keyId} was changed or damaged and is refused.`,
        );
      }
      return finallyRun(
        () => use(material),
        () => void material.fill(0),
      );
    });
  }

  /** Keeps a binding in its slot once it is there, and one still to come from being made twice. */
  #keep<Binding>(
    slot: Slot,
    name: string,
    make: () => MaybePromise<Binding>,
    keep: (binding: Binding) => void,
    destroy: (binding: Binding) => void,
  ): MaybePromise<Binding> {
    const known = slot.pending.get(name) as Promise<Binding> | undefined;
    if (known !== undefined) return known;
    const made = make();
    if (!(made instanceof Promise)) {
      keep(made);
      return made;
    }
    const pending = made
      .then((binding) => {
        // Whoever waited finds a destroyed key, and looks at the key's state before using it.
        if (slot.isForgotten) destroy(binding);
        else keep(binding);
        return binding;
      })
      .finally(() => slot.pending.delete(name));
    slot.pending.set(name, pending);
    return pending;
  }

  /** Finds the key of a version in the engine for a payload size. */
  aesGcm(version: KeyVersion, byteLength: number): MaybePromise<BoundAesKey> {
    return this.#findAes(version, byteLength, this.#aesRoutes);
  }

  #findAes(version: KeyVersion, byteLength: number, routes: readonly Route[]): MaybePromise<BoundAesKey> {
    const slot = slotOf(version);
    for (const route of routes) {
      if (byteLength > route.maxBytes) continue;
      const known = slot.aes[route.engine];
      if (known !== undefined) return known.trusted;
      break;
    }
    return this.#bindAes(version, byteLength, slot, routes);
  }

  #bindAes(
    version: KeyVersion,
    byteLength: number,
    slot: Slot,
    routes: readonly Route[],
  ): MaybePromise<BoundAesKey> {
    if (version.key.isHardware) return whenReady(this.#bindHardware(version), ({ aes }) => aes);
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "aes") throw new Error("internal: not an AES key");
    const engine = chooseRoute(
      this.#engine,
      this.#choice,
      routes,
      "aesGcm",
      byteLength,
      aesName(facts.byteLength),
    );
    const known = slot.aes[engine.name];
    if (known !== undefined) return known.trusted;
    const aesGcm: Awaitable<AesGcm> = served(engine.aesGcm);
    const binding = this.#keep<AesBinding>(
      slot,
      engine.name,
      () =>
        whenReady(
          this.#withMaterial(version, (material) => aesGcm.importKey(material)),
          (key) => ({ key, trusted: aesGcm.unsafeBind?.(key) ?? checkedKey(aesGcm, key) }),
        ),
      (made) => {
        slot.aes[engine.name] = made;
      },
      ({ key }) => key.destroy(),
    );
    return whenReady(binding, ({ trusted }) => trusted);
  }

  /** Gives a key that is no record of the store to the engine for large payloads. The caller wipes the bytes. */
  importBulkKey(key: Uint8Array): Promise<BulkKey> {
    const engine = this.#choose("aesGcm", BULK_LENGTH, aesName(key.length));
    return this.#bulkKeys.import(served<Awaitable<AesGcm>>(engine.aesGcm), key);
  }

  /** Wipes the keys of `importBulkKey`; their users are refused from now on. */
  closeBulkKeys(): void {
    this.#bulkKeys.close();
  }

  /** The key for an operation; one key may be in two engines, if the routes say so. */
  rsa(version: KeyVersion, operation: RsaOperation): MaybePromise<RsaBinding> {
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "rsa") throw new Error("internal: not an RSA key");
    const { modulusBits } = facts;
    // Of a key in a token only the public half is in an engine.
    const engine = this.#chooseRsa(modulusBits, version.key.isHardware ? "public" : operation);
    const slot = slotOf(version);
    const known = slot.rsa[engine.name];
    if (known !== undefined) return known;
    return this.#keep<RsaBinding>(
      slot,
      engine.name,
      () =>
        this.#loadFirst<RsaBinding>(engine, "rsa", slot, () => {
          const rsa: Awaitable<Rsa> = served(engine.rsa);
          if (version.key.isHardware) return this.#hardwareRsa(version, rsa, modulusBits);
          return whenReady(
            this.#withMaterial(version, (material) => rsa.importPrivateKey(material)),
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

  #chooseRsa(modulusBits: number, operation: RsaOperation): AnyEngine {
    const routes = this.#choice === "auto" ? RSA_ROUTES[modulusBits]?.[operation] : forced(this.#choice);
    return chooseRoute(this.#engine, this.#choice, routes ?? [], "rsa", 0, String(modulusBits));
  }

  /** The token that keys of protection level HSM live in. @throws KmsError `ServiceUnavailableTemporary` without one */
  hardwareKeys(): HardwareKeys {
    if (this.#hardware === undefined) {
      throw new KmsError(
        "ServiceUnavailableTemporary",
        "The key is in an HSM, and none was given to Kms.open.",
      );
    }
    return this.#hardware;
  }

  hasHardware(): boolean {
    return this.#hardware !== undefined;
  }

  /** Finds a version of a hardware key. @throws KmsError `ServiceUnavailableTemporary` without a token */
  hardware(version: KeyVersion): MaybePromise<HardwareKey> {
    return whenReady(this.#bindHardware(version), ({ key }) => key);
  }

  #bindHardware(version: KeyVersion): MaybePromise<HardwareBinding> {
    const slot = slotOf(version);
    if (slot.hardware !== undefined) return slot.hardware;
    const token = this.hardwareKeys();
    const { facts, usage } = hardwareFacts(version.key.identity);
    return this.#keep<HardwareBinding>(
      slot,
      "hardware",
      () =>
        whenReady(this.#reference(version), (reference) => {
          const key = token.bind(reference, facts, usage);
          return { key, aes: hardwareAes(key) };
        }),
      (made) => {
        slot.hardware = made;
      },
      ({ key }) => key.release(),
    );
  }

  /** Reads what the store has in the place of a hardware key's material. */
  #reference(version: KeyVersion): MaybePromise<HardwareReference> {
    return this.#withRecord(version, decodeReference);
  }

  #hardwareRsa(version: KeyVersion, software: Awaitable<Rsa>, modulusBits: number): MaybePromise<RsaBinding> {
    const hash = (name: HashName, message: Uint8Array): MaybePromise<Uint8Array> => this.hash(name, message);
    return whenReady(this.#reference(version), ({ spki }) =>
      whenReady(software.importPublicKey(spki), (publicKey) => ({
        rsa: hardwareRsa(() => this.hardware(version), software, publicKey, hash),
        privateKey: { modulusBits, destroy: () => publicKey.destroy() },
        publicKey,
      })),
    );
  }

  #hardwareEc(version: KeyVersion, software: Awaitable<Ecdsa>, curve: CurveName): MaybePromise<EcBinding> {
    const hash = (name: HashName, message: Uint8Array): MaybePromise<Uint8Array> => this.hash(name, message);
    return whenReady(this.#reference(version), ({ spki }) =>
      whenReady(software.importPublicKey(curve, spki), (publicKey) => ({
        ecdsa: hardwareEc(() => this.hardware(version), curve, software, hash),
        privateKey: { curve, destroy: () => publicKey.destroy() },
        publicKey,
      })),
    );
  }

  /** Destroys the objects of key versions in their token. @throws KmsError `ServiceUnavailableTemporary` */
  async destroyHardware(versions: readonly KeyVersion[]): Promise<void> {
    const token = this.hardwareKeys();
    for (const version of versions) {
      const { facts } = hardwareFacts(version.key.identity);
      await token.destroy(await this.#reference(version), facts);
    }
  }

  /** An RSA implementation for public keys that callers bring. */
  rsaForPublicKeys(modulusBits: number): MaybePromise<Awaitable<Rsa>> {
    const engine = this.#choose("rsa", 0, String(modulusBits));
    return whenReady(loading(engine, "rsa"), () => served<Awaitable<Rsa>>(engine.rsa));
  }

  /** The key for an operation; one key may be in two engines, if the routes say so. */
  ec(version: KeyVersion, operation: EcOperation): MaybePromise<EcBinding> {
    return this.#bindEc(version, this.#chooseEc(version, "ecdsa", operation));
  }

  /** The key for an operation of a batch; undefined where each item is to be done for itself. */
  ecTogether(
    version: KeyVersion,
    operation: "sign" | "verify",
  ): (EcBinding & { readonly together: EcCurveTogether }) | undefined {
    const binding = this.ec(version, operation);
    if (binding instanceof Promise || binding.together === undefined) return undefined;
    return binding as EcBinding & { readonly together: EcCurveTogether };
  }

  /**
   * The key to verify with in a batch, in another engine than the one for single calls if that is the quicker one for so
   * many items; undefined where each item is to be verified for itself.
   */
  rsaVerifier(
    version: KeyVersion,
    scheme: RsaScheme,
    batchSize: number,
  ): Keyed<RsaPublicKey, Together<ItemToVerify<RsaPublicKey>, boolean>> | undefined {
    const slot = slotOf(version);
    slot.rsaTogether ??= this.#bindRsaTogether(version, batchSize);
    if (slot.rsaTogether === undefined) return undefined;
    return { key: slot.rsaTogether.publicKey, work: rsaVerifier(slot.rsaTogether, scheme) };
  }

  #bindRsaTogether(version: KeyVersion, batchSize: number): RsaTogether | undefined {
    const { engine: name, minItems } = RSA_BATCH_ROUTE;
    if (batchSize < minItems || (this.#choice !== "auto" && this.#choice !== name)) return undefined;
    const engine = this.#engine(name);
    const binding = this.rsa(version, "public");
    if (engine?.name !== "wasm" || binding instanceof Promise) return undefined;
    const { rsa, hash } = engine;
    if (rsa === undefined || hash === undefined || !hasVectors(engine, binding.publicKey.modulusBits))
      return undefined;
    const spki = binding.rsa.exportSpki(binding.publicKey);
    return spki instanceof Promise ? undefined : { rsa, hash, publicKey: rsa.importPublicKey(spki) };
  }

  #chooseEc(version: KeyVersion, primitive: "ecdsa" | "ecdh", operation: EcOperation): AnyEngine {
    const curve = curveOf(version);
    const routes = this.#choice === "auto" ? EC_ROUTES[curve][operation] : forced(this.#choice);
    return chooseRoute(this.#engine, this.#choice, routes, primitive, 0, curve);
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
    const engine = this.#chooseEc(version, "ecdh", operation);
    if (engine.name === "webcrypto") {
      throw new KmsError("Rejected.UnsupportedOperation", "The WebCrypto engine has no ECIES.");
    }
    if (!servesEcies(engine))
      throw new Error("internal: an engine has ECDH but not what ECIES needs with it");
    return whenReady(this.#bindEc(version, engine), ({ privateKey, publicKey }) => ({
      engine,
      privateKey,
      publicKey,
    }));
  }

  #bindEc(version: KeyVersion, engine: AnyEngine): MaybePromise<EcBinding> {
    const slot = slotOf(version);
    const known = slot.ec[engine.name];
    if (known !== undefined) return known;
    const curve = curveOf(version);
    return this.#keep<EcBinding>(
      slot,
      engine.name,
      () =>
        this.#loadFirst<EcBinding>(engine, "ecc", slot, () => {
          const ecdsa: Awaitable<Ecdsa> = served(engine.ecdsa);
          if (version.key.isHardware) return this.#hardwareEc(version, ecdsa, curve);
          return whenReady(
            this.#withMaterial(version, (material) => ecdsa.importPrivateKey(curve, material)),
            (privateKey) =>
              whenReady(ecdsa.publicKey(privateKey), (publicKey) => {
                return { ecdsa, privateKey, publicKey, together: ecTogether(engine, curve) };
              }),
          );
        }),
      (made) => {
        slot.ec[engine.name] = made;
      },
      ({ privateKey }) => privateKey.destroy(),
    );
  }

  hmac(version: KeyVersion): MaybePromise<HmacBinding> {
    const slot = slotOf(version);
    if (slot.hmac !== undefined) return slot.hmac;
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "hmac") throw new Error("internal: not an HMAC key");
    const { hash } = facts;
    const hmac: Awaitable<Hmac> = served(this.#choose("hmac", 0, hash).hmac);
    return this.#keep<NonNullable<Slot["hmac"]>>(
      slot,
      "hmac",
      () =>
        whenReady(
          this.#withMaterial(version, (material) => new Uint8Array(material)),
          (keyBytes) => ({ keyBytes, sign: (message) => hmac.sign(hash, keyBytes, message) }),
        ),
      (made) => {
        slot.hmac = made;
      },
      ({ keyBytes }) => void keyBytes.fill(0),
    );
  }

  /** Hashes public bytes with the first engine that can at once. */
  hash(hash: HashName, message: Uint8Array): Uint8Array {
    const names: readonly EngineName[] = this.#choice === "auto" ? ["node", "wasm"] : [this.#choice];
    for (const name of names) {
      const engine = this.#engine(name);
      if (engine === undefined || engine.name === "webcrypto") continue;
      if (engine.hash !== undefined) return engine.hash(hash, message);
    }
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      `No ${this.#choice} engine here serves ${hash} synchronously.`,
    );
  }

  /**
   * Makes new material: random bytes, or the PKCS#8 form of a new pair. The caller wipes it.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` when no engine can use such a key
   */
  generateMaterial(facts: KeyMaterialType, options?: GenerateKeyOptions): MaybePromise<Uint8Array> {
    switch (facts.type) {
      case "aes":
        this.#choose("aesGcm", 0, aesName(facts.byteLength));
        return randomBytes(facts.byteLength);
      case "hmac":
        this.#choose("hmac", 0, facts.hash);
        return randomBytes(facts.byteLength);
      default:
        return this.generateKeyPair(facts, options).then((pair) => pair.pkcs8);
    }
  }

  /** Makes a key pair and returns its PKCS#8 and SPKI forms; the caller wipes the former. */
  async generateKeyPair(
    facts: Extract<KeyMaterialType, { type: "rsa" | "ec" }>,
    options?: GenerateKeyOptions,
  ): Promise<{ pkcs8: Uint8Array; spki: Uint8Array }> {
    if (facts.type === "ec") {
      const engine = this.#choose("ecdsa", 0, facts.curve);
      await loading(engine, "ecc");
      const ecdsa: Awaitable<Ecdsa> = served(engine.ecdsa);
      const { privateKey, publicKey } = await ecdsa.generateKey(facts.curve, options);
      const spki = await ecdsa.exportSpki(publicKey);
      const pkcs8 = await ecdsa.exportPkcs8(privateKey);
      privateKey.destroy();
      return { pkcs8, spki };
    }
    const engine = this.#choose("rsa", 0, String(facts.modulusBits));
    await loading(engine, "rsa");
    const rsa: Awaitable<Rsa> = served(engine.rsa);
    const { privateKey, publicKey } = await rsa.generateKey(facts.modulusBits, options);
    const spki = await rsa.exportSpki(publicKey);
    const pkcs8 = await rsa.exportPkcs8(privateKey);
    privateKey.destroy();
    return { pkcs8, spki };
  }

  /** Wipes every handle of a version. */
  forget(version: KeyVersion): void {
    const slot = version.engineSlot as Slot | undefined;
    if (slot === undefined) return;
    destroySlot(slot);
    version.engineSlot = undefined;
  }

  /** Returns a lookup of engines that answer at once, for calls that must. */
  synchronous(): AesLookup {
    const routes = this.#aesRoutes.filter(({ engine }) => engine !== "webcrypto");
    return (version, byteLength) => {
      if (version.key.isHardware) {
        throw new KmsError(
          "Rejected.UnsupportedOperation",
          "The key is in an HSM, which answers asynchronously; use the async call.",
        );
      }
      return this.#findAes(version, byteLength, routes);
    };
  }

  /** Returns a lookup that keeps, for each key version, the engine it gave first, and collects what is sealed together. */
  pinned(): { readonly aesGcm: AesLookup; readonly stage: SealStage } {
    return {
      aesGcm: pinnedLookup((version, byteLength) => this.aesGcm(version, byteLength)),
      stage: new BatchStage(),
    };
  }
}

function curveOf(version: KeyVersion): CurveName {
  const facts = materialOf(version.key.identity.spec);
  if (facts.type !== "ec") throw new Error("internal: not an EC key");
  return facts.curve;
}

/** The wait for kernels that an engine loads at their first use; undefined where they are there. */
function loading(engine: AnyEngine, module: LazyModule): Promise<void> | undefined {
  return engine.name === "webcrypto" ? undefined : engine.load?.(module);
}

/** The engine as one that does many signatures at once; only the kernels share work between them. */
function ecTogether(engine: AnyEngine, curve: CurveName): EcCurveTogether | undefined {
  if (engine.name !== "wasm") return undefined;
  return ecTogetherOf(served(engine.ecdsa), served(engine.hash))[curve];
}

/** What capabilities call an AES key of a length. */
function aesName(byteLength: number): string {
  return `AES-${byteLength * 8}`;
}

/** Returns what a hardware key is, as its token sees it. */
export function hardwareFacts(identity: KeyIdentity): Pick<HardwareKeySpec, "facts" | "usage"> {
  const facts = materialOf(identity.spec);
  if (facts.type === "hmac") throw new Error("internal: HMAC keys are not in hardware");
  return { facts, usage: identity.usage === "SIGN/VERIFY" ? "sign" : "encrypt" };
}
