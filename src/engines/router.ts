/**
 * Finds the engine for a key version and the handle it has there; makes the handle on first use. A forced engine never
 * becomes another one, and a batch keeps the engine it began with for each key. Where an engine answers with promises,
 * so does the router; everything else it gives at once.
 */

import type { KeyVersion } from "../keys/key.ts";
import { type KeyMaterialType, materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { AesKeys, aesName } from "./aes-keys.ts";
import { type AesLookup, BatchStage, pinnedLookup } from "./batch-stage.ts";
import { type Engines, served } from "./choose-engine.ts";
import { EcKeys } from "./ec-keys.ts";
import type { Awaitable, Ecdsa, GenerateKeyOptions, HashName, Hmac, Rsa, SealStage } from "./engine.ts";
import type { HardwareKeys } from "./hardware-keys.ts";
import { KeyBinder, loading } from "./key-binder.ts";
import { destroySlot, type HmacBinding, type Slot, slotOf } from "./key-slot.ts";
import type { KeyVault } from "./key-vault.ts";
import { randomBytes } from "./random.ts";
import { RsaKeys } from "./rsa-keys.ts";
import { TokenKeys } from "./token-keys.ts";

export class Router {
  readonly #engines: Engines;
  readonly #binder: KeyBinder;
  readonly aes: AesKeys;
  readonly rsa: RsaKeys;
  readonly ec: EcKeys;
  readonly hardware: TokenKeys;

  constructor(engines: Engines, vault: KeyVault, token?: HardwareKeys) {
    const binder = new KeyBinder(vault);
    const hardware = new TokenKeys(engines, binder, token);
    this.#engines = engines;
    this.#binder = binder;
    this.hardware = hardware;
    this.aes = new AesKeys(engines, binder, hardware);
    this.rsa = new RsaKeys(engines, binder, hardware);
    this.ec = new EcKeys(engines, binder, hardware);
  }

  /** Whether there are keys that wait for kernels to be loaded. */
  get isCold(): boolean {
    return this.#binder.isCold;
  }

  hmac(version: KeyVersion): MaybePromise<HmacBinding> {
    const slot = slotOf(version);
    if (slot.hmac !== undefined) return slot.hmac;
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "hmac") throw new Error("internal: not an HMAC key");
    const { hash } = facts;
    const hmac: Awaitable<Hmac> = served(this.#engines.choose("hmac", 0, hash).hmac);
    return this.#binder.keep<NonNullable<Slot["hmac"]>>(
      slot,
      "hmac",
      () =>
        whenReady(
          this.#binder.withMaterial(version, (material) => new Uint8Array(material)),
          (keyBytes) => ({ keyBytes, sign: (message) => hmac.sign(hash, keyBytes, message) }),
        ),
      (made) => {
        slot.hmac = made;
      },
      ({ keyBytes }) => void keyBytes.fill(0),
    );
  }

  /** Hashes public bytes at once. @throws KmsError `Rejected.UnsupportedOperation` */
  hash(hash: HashName, message: Uint8Array): Uint8Array {
    return this.#engines.hash(hash, message);
  }

  /**
   * Makes new material: random bytes, or the PKCS#8 form of a new pair. The caller wipes it.
   *
   * @throws KmsError `Rejected.UnsupportedOperation` when no engine can use such a key
   */
  generateMaterial(facts: KeyMaterialType, options?: GenerateKeyOptions): MaybePromise<Uint8Array> {
    switch (facts.type) {
      case "aes":
        this.#engines.choose("aesGcm", 0, aesName(facts.byteLength));
        return randomBytes(facts.byteLength);
      case "hmac":
        this.#engines.choose("hmac", 0, facts.hash);
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
      const engine = this.#engines.choose("ecdsa", 0, facts.curve);
      await loading(engine, "ecc");
      const ecdsa: Awaitable<Ecdsa> = served(engine.ecdsa);
      const { privateKey, publicKey } = await ecdsa.generateKey(facts.curve, options);
      const spki = await ecdsa.exportSpki(publicKey);
      const pkcs8 = await ecdsa.exportPkcs8(privateKey);
      privateKey.destroy();
      return { pkcs8, spki };
    }
    const engine = this.#engines.choose("rsa", 0, String(facts.modulusBits));
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

  /** Returns a lookup that keeps, for each key version, the engine it gave first, and collects what is sealed together. */
  pinned(): { readonly aesGcm: AesLookup; readonly stage: SealStage } {
    return {
      aesGcm: pinnedLookup((version, byteLength) => this.aes.find(version, byteLength)),
      stage: new BatchStage(),
    };
  }
}
