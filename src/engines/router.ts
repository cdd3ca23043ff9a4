/**
 * Finds the engine for a key version and the handle it has there; makes the handle on first use. A forced engine never
 * becomes another one, and a batch keeps the engine it began with for each key.
 */

import { KmsError } from "../errors.ts";
import type { KeyVersion } from "../keys/key.ts";
import { materialIdentity } from "../keys/key-record.ts";
import { type KeyMaterialType, materialOf } from "../keys/key-spec.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type BulkKey, BulkKeys } from "./bulk-keys.ts";
import { type EciesEngine, servesEcies } from "./ecies.ts";
import type {
  AesGcm,
  AesKey,
  Ecdsa,
  EcPrivateKey,
  EcPublicKey,
  Engine,
  EngineName,
  GenerateKeyOptions,
  HashName,
  Hmac,
  Rsa,
  RsaPrivateKey,
  RsaPublicKey,
  SealStage,
  TrustedAesKey,
} from "./engine.ts";
import type { KeyVault } from "./key-vault.ts";
import { randomBytes } from "./random.ts";
import { AUTO_ROUTES, type Route, type RoutedPrimitive } from "./routes.ts";
import { runsOver } from "./sealed-run.ts";

export type EngineChoice = "auto" | EngineName;

/** Gives the realm's engine of a name, made when first asked for; undefined where the platform has none. */
export type EngineSource = (name: EngineName) => Engine | undefined;

/** A key in one engine: the handle, to destroy it, and what seals and opens. */
interface AesBinding {
  readonly key: AesKey;
  readonly trusted: TrustedAesKey;
}
export interface RsaBinding {
  readonly rsa: Rsa;
  readonly privateKey: RsaPrivateKey;
  readonly publicKey: RsaPublicKey;
}
export interface EcBinding {
  readonly ecdsa: Ecdsa;
  readonly privateKey: EcPrivateKey;
  readonly publicKey: EcPublicKey;
}
export interface EciesBinding {
  readonly engine: EciesEngine;
  readonly privateKey: EcPrivateKey;
  readonly publicKey: EcPublicKey;
}
/** HMAC takes key bytes, not a handle: they stay here, under the engines, and are wiped with the rest. */
export interface HmacBinding {
  sign(message: Uint8Array): Uint8Array;
}

/** The handles of one key version, by engine for AES and EC since "auto" may use both. */
interface Slot {
  aes: Partial<Record<EngineName, AesBinding>>;
  rsa?: RsaBinding;
  ec: Partial<Record<EngineName, EcBinding>>;
  hmac?: HmacBinding & { readonly keyBytes: Uint8Array };
}

/** Payload length, in bytes, that stands for "large" in the routes. */
const BULK_LENGTH = 65_536;

export class Router {
  readonly #engine: EngineSource;
  readonly #choice: EngineChoice;
  readonly #vault: KeyVault;
  readonly #aesRoutes: readonly Route[];
  readonly #bulkKeys: BulkKeys = new BulkKeys();

  constructor(engine: EngineSource, choice: EngineChoice, vault: KeyVault) {
    this.#engine = engine;
    this.#choice = choice;
    this.#vault = vault;
    this.#aesRoutes = routesOf(choice, "aesGcm");
  }

  #choose(primitive: RoutedPrimitive, byteLength: number): Engine {
    return chooseEngine(this.#engine, this.#choice, primitive, byteLength);
  }

  /**
   * Opens the material of a version for one import and wipes it.
   *
   * @throws KmsError `Rejected.RecordCorrupt` naming the key
   */
  #withMaterial<T>(version: KeyVersion, use: (material: Uint8Array) => T): T {
    const { identity } = version.key;
    const material = this.#vault.open(
      materialIdentity(identity, version.keyVersionId),
      version.sealedMaterial,
    );
    if (material === undefined) {
      throw new KmsError(
        "Rejected.RecordCorrupt",
        `The record of key ${identity.keyId} was changed or damaged and is refused.`,
      );
    }
    try {
      return use(material);
    } finally {
      material.fill(0);
    }
  }

  /** Finds the key of a version in the engine for a payload size. */
  aesGcm(version: KeyVersion, byteLength: number): TrustedAesKey {
    const slot = slotOf(version);
    for (const route of this.#aesRoutes) {
      if (byteLength > route.maxBytes) continue;
      const known = slot.aes[route.engine];
      if (known !== undefined) return known.trusted;
      break;
    }
    return this.#bindAes(version, byteLength, slot);
  }

  #bindAes(version: KeyVersion, byteLength: number, slot: Slot): TrustedAesKey {
    const engine = this.#choose("aesGcm", byteLength);
    const known = slot.aes[engine.name];
    if (known !== undefined) return known.trusted;
    const aesGcm = served(engine.aesGcm);
    const key = this.#withMaterial(version, (material) => aesGcm.importKey(material));
    const trusted = aesGcm.unsafeBind?.(key) ?? checkedKey(aesGcm, key);
    slot.aes[engine.name] = { key, trusted };
    return trusted;
  }

  /** Gives a key that is no record of the store to the engine for large payloads. The caller wipes the bytes. */
  importBulkKey(key: Uint8Array): BulkKey {
    return this.#bulkKeys.import(served(this.#choose("aesGcm", BULK_LENGTH).aesGcm), key);
  }

  /** Wipes the keys of `importBulkKey`; their users are refused from now on. */
  closeBulkKeys(): void {
    this.#bulkKeys.close();
  }

  rsa(version: KeyVersion): RsaBinding {
    const slot = slotOf(version);
    if (slot.rsa !== undefined) return slot.rsa;
    const rsa = served(this.#choose("rsa", 0).rsa);
    const privateKey = this.#withMaterial(version, (material) => rsa.importPrivateKey(material));
    slot.rsa = { rsa, privateKey, publicKey: rsa.publicKey(privateKey) };
    return slot.rsa;
  }

  /** An RSA implementation for public keys that callers bring. */
  rsaForPublicKeys(): Rsa {
    return served(this.#choose("rsa", 0).rsa);
  }

  ec(version: KeyVersion): EcBinding {
    return this.#bindEc(version, this.#choose("ecdsa", 0));
  }

  /** The key for encryption; the engine does all of it, the exchange and the hashes. */
  ecies(version: KeyVersion): EciesBinding {
    const engine = this.#choose("ecdh", 0);
    if (!servesEcies(engine))
      throw new Error("internal: an engine has ECDH but not what ECIES needs with it");
    const { privateKey, publicKey } = this.#bindEc(version, engine);
    return { engine, privateKey, publicKey };
  }

  #bindEc(version: KeyVersion, engine: Engine): EcBinding {
    const { ec } = slotOf(version);
    const known = ec[engine.name];
    if (known !== undefined) return known;
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "ec") throw new Error("internal: not an EC key");
    const ecdsa = served(engine.ecdsa);
    const privateKey = this.#withMaterial(version, (material) =>
      ecdsa.importPrivateKey(facts.curve, material),
    );
    const binding = { ecdsa, privateKey, publicKey: ecdsa.publicKey(privateKey) };
    ec[engine.name] = binding;
    return binding;
  }

  hmac(version: KeyVersion): HmacBinding {
    const slot = slotOf(version);
    if (slot.hmac !== undefined) return slot.hmac;
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "hmac") throw new Error("internal: not an HMAC key");
    const hmac: Hmac = served(this.#choose("hmac", 0).hmac);
    const keyBytes = this.#withMaterial(version, (material) => new Uint8Array(material));
    slot.hmac = { keyBytes, sign: (message) => hmac.sign(facts.hash, keyBytes, message) };
    return slot.hmac;
  }

  /** Hashes public bytes with the first engine that can. */
  hash(hash: HashName, message: Uint8Array): Uint8Array {
    const names: readonly EngineName[] = this.#choice === "auto" ? ["node", "wasm"] : [this.#choice];
    for (const name of names) {
      const serve = this.#engine(name)?.hash;
      if (serve !== undefined) return serve(hash, message);
    }
    throw new KmsError("Rejected.UnsupportedOperation", `No ${this.#choice} engine here serves ${hash}.`);
  }

  /**
   * Makes new material: random bytes, or the PKCS#8 form of a new pair. The caller wipes it.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` when no engine can use such a key
   */
  generateMaterial(facts: KeyMaterialType, options?: GenerateKeyOptions): MaybePromise<Uint8Array> {
    switch (facts.type) {
      case "aes":
        this.#choose("aesGcm", 0);
        return randomBytes(facts.byteLength);
      case "hmac":
        this.#choose("hmac", 0);
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
      const ecdsa = served(this.#choose("ecdsa", 0).ecdsa);
      const { privateKey, publicKey } = await ecdsa.generateKey(facts.curve, options);
      const forms = { pkcs8: ecdsa.exportPkcs8(privateKey), spki: ecdsa.exportSpki(publicKey) };
      privateKey.destroy();
      return forms;
    }
    const rsa = served(this.#choose("rsa", 0).rsa);
    const { privateKey, publicKey } = await rsa.generateKey(facts.modulusBits, options);
    const forms = { pkcs8: rsa.exportPkcs8(privateKey), spki: rsa.exportSpki(publicKey) };
    privateKey.destroy();
    return forms;
  }

  /** Wipes every handle of a version. */
  forget(version: KeyVersion): void {
    const slot = version.engineSlot as Slot | undefined;
    if (slot === undefined) return;
    for (const binding of Object.values(slot.aes)) binding.key.destroy();
    slot.rsa?.privateKey.destroy();
    for (const binding of Object.values(slot.ec)) binding.privateKey.destroy();
    slot.hmac?.keyBytes.fill(0);
    version.engineSlot = undefined;
  }

  /** Returns a lookup that keeps, for each key version, the engine it gave first, and collects what is sealed together. */
  pinned(): { readonly aesGcm: AesLookup; readonly stage: SealStage } {
    return { aesGcm: this.#pinnedLookup(), stage: new BatchStage() };
  }

  #pinnedLookup(): AesLookup {
    const pins = new Map<KeyVersion, TrustedAesKey>();
    let lastVersion: KeyVersion | undefined;
    let lastKey: TrustedAesKey | undefined;
    return (version, byteLength) => {
      if (lastVersion === version && lastKey !== undefined) return lastKey;
      let key = pins.get(version);
      if (key === undefined) {
        key = this.aesGcm(version, byteLength);
        pins.set(version, key);
      }
      lastVersion = version;
      lastKey = key;
      return key;
    };
  }
}

/** The stage of the first engine of a batch that has one; what other engines seal goes past it. */
class BatchStage implements SealStage {
  #stage: SealStage | undefined;
  #isReleased = false;

  add(
    key: TrustedAesKey,
    aad: Uint8Array,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean {
    // What an aborted batch left behind may still come; nobody waits for it.
    if (this.#isReleased) return false;
    this.#stage ??= key.borrowStage?.();
    return this.#stage?.add(key, aad, prefixLength, plaintext, out, offset) ?? false;
  }

  flush(): void {
    this.#stage?.flush();
  }

  release(): void {
    this.#stage?.release();
    this.#stage = undefined;
    this.#isReleased = true;
  }
}

/** Finds the AES-GCM engine and handle for a version and payload size. */
export type AesLookup = (version: KeyVersion, byteLength: number) => TrustedAesKey;

/** Returns the engines to try: those of the table, or the forced one alone. */
function routesOf(choice: EngineChoice, primitive: RoutedPrimitive): readonly Route[] {
  return choice === "auto"
    ? AUTO_ROUTES[primitive]
    : [{ engine: choice, maxBytes: Number.POSITIVE_INFINITY }];
}

/** Makes of an engine's checked calls what the facade calls. */
function checkedKey(aesGcm: AesGcm, key: AesKey): TrustedAesKey {
  const plain: Pick<TrustedAesKey, "sealInto" | "open"> = {
    sealInto: (iv, plaintext, aad, out, offset) => {
      aesGcm.sealInto(key, iv, plaintext, aad, out, offset);
    },
    open: (iv, sealed, aad) => aesGcm.open(key, iv, sealed, aad),
  };
  return { ...plain, ...runsOver(plain) };
}

/**
 * Picks the engine for a primitive and payload size.
 *
 * @throws KmsError `Rejected.UnsupportedOperation`
 */
export function chooseEngine(
  source: EngineSource,
  choice: EngineChoice,
  primitive: RoutedPrimitive,
  byteLength: number,
): Engine {
  for (const route of routesOf(choice, primitive)) {
    if (byteLength > route.maxBytes) continue;
    const engine = source(route.engine);
    if (engine?.[primitive] !== undefined) return engine;
  }
  throw new KmsError("Rejected.UnsupportedOperation", `No ${choice} engine here serves ${primitive}.`);
}

function slotOf(version: KeyVersion): Slot {
  version.engineSlot ??= { aes: {}, ec: {} } satisfies Slot;
  return version.engineSlot as Slot;
}

function served<T>(primitive: T | undefined): T {
  if (primitive === undefined) throw new Error("internal: a route leads to an engine without the primitive");
  return primitive;
}
