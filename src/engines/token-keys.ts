/** Finds the keys of protection level HSM in their token: the hardware's part of the router. */

import { KmsError } from "../errors.ts";
import type { KeyIdentity, KeyVersion } from "../keys/key.ts";
import { materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { Engines } from "./choose-engine.ts";
import type { Awaitable, CurveName, Ecdsa, HashName, Rsa } from "./engine.ts";
import { hardwareAes, hardwareEc, hardwareRsa } from "./hardware-bindings.ts";
import {
  decodeReference,
  type HardwareKey,
  type HardwareKeySpec,
  type HardwareKeys,
  type HardwareReference,
} from "./hardware-keys.ts";
import type { KeyBinder } from "./key-binder.ts";
import { type EcBinding, type HardwareBinding, type RsaBinding, slotOf } from "./key-slot.ts";

export class TokenKeys {
  readonly #engines: Engines;
  readonly #binder: KeyBinder;
  readonly #token: HardwareKeys | undefined;

  constructor(engines: Engines, binder: KeyBinder, token: HardwareKeys | undefined) {
    this.#engines = engines;
    this.#binder = binder;
    this.#token = token;
  }

  /** Whether a token was given to `Kms.open`. */
  get isThere(): boolean {
    return this.#token !== undefined;
  }

  /** The token that keys of protection level HSM live in. @throws KmsError `ServiceUnavailableTemporary` without one */
  token(): HardwareKeys {
    if (this.#token === undefined) {
      throw new KmsError(
        "ServiceUnavailableTemporary",
        "The key is in an HSM, and none was given to Kms.open.",
      );
    }
    return this.#token;
  }

  /** Finds a version of a hardware key. @throws KmsError `ServiceUnavailableTemporary` without a token */
  find(version: KeyVersion): MaybePromise<HardwareKey> {
    return whenReady(this.bind(version), ({ key }) => key);
  }

  /** Finds a version of a hardware key, as itself and as what seals and opens. */
  bind(version: KeyVersion): MaybePromise<HardwareBinding> {
    const slot = slotOf(version);
    if (slot.hardware !== undefined) return slot.hardware;
    const token = this.token();
    const { facts, usage } = hardwareFacts(version.key.identity);
    return this.#binder.keep<HardwareBinding>(
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
    return this.#binder.withRecord(version, decodeReference);
  }

  readonly #hash = (name: HashName, message: Uint8Array): MaybePromise<Uint8Array> =>
    this.#engines.hash(name, message);

  /** Makes the binding of an RSA key: its private half in the token, its public half in a software engine. */
  bindRsa(version: KeyVersion, software: Awaitable<Rsa>, modulusBits: number): MaybePromise<RsaBinding> {
    return whenReady(this.#reference(version), ({ spki }) =>
      whenReady(software.importPublicKey(spki), (publicKey) => ({
        rsa: hardwareRsa(() => this.find(version), software, publicKey, this.#hash),
        privateKey: { modulusBits, destroy: () => publicKey.destroy() },
        publicKey,
      })),
    );
  }

  /** Makes the binding of an EC key: its private half in the token, its public half in a software engine. */
  bindEc(version: KeyVersion, software: Awaitable<Ecdsa>, curve: CurveName): MaybePromise<EcBinding> {
    return whenReady(this.#reference(version), ({ spki }) =>
      whenReady(software.importPublicKey(curve, spki), (publicKey) => ({
        ecdsa: hardwareEc(() => this.find(version), curve, software, this.#hash),
        privateKey: { curve, destroy: () => publicKey.destroy() },
        publicKey,
      })),
    );
  }

  /** Destroys the objects of key versions in their token. @throws KmsError `ServiceUnavailableTemporary` */
  async destroy(versions: readonly KeyVersion[]): Promise<void> {
    const token = this.token();
    for (const version of versions) {
      const { facts } = hardwareFacts(version.key.identity);
      await token.destroy(await this.#reference(version), facts);
    }
  }
}

/** Returns what a hardware key is, as its token sees it. */
export function hardwareFacts(identity: KeyIdentity): Pick<HardwareKeySpec, "facts" | "usage"> {
  const facts = materialOf(identity.spec);
  if (facts.type === "hmac") throw new Error("internal: HMAC keys are not in hardware");
  return { facts, usage: identity.usage === "SIGN/VERIFY" ? "sign" : "encrypt" };
}
