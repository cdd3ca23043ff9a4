/** The handles that a key version has in the engines, and what calls get of them. */

import type { KeyVersion } from "../keys/key.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { EciesEngine } from "./ecies.ts";
import type {
  AesGcm,
  AesKey,
  Awaitable,
  EcPrivateKey,
  EcPublicKey,
  EngineName,
  RsaPrivateKey,
  RsaPublicKey,
  TrustedAesKey,
} from "./engine.ts";
import type { EcCalls, RsaCalls } from "./hardware-bindings.ts";
import type { HardwareKey } from "./hardware-keys.ts";
import { runsOver } from "./sealed-run.ts";
import type { EcCurveTogether, RsaTogether } from "./together.ts";

/** What seals and opens under one key; see `TrustedAesKey`. Arguments are read before a call returns. */
export type BoundAesKey = Awaitable<TrustedAesKey>;

/** A key in one engine: the handle, to destroy it, and what seals and opens. */
export interface AesBinding {
  readonly key: AesKey;
  readonly trusted: BoundAesKey;
}
export interface RsaBinding {
  readonly rsa: RsaCalls;
  readonly privateKey: RsaPrivateKey;
  readonly publicKey: RsaPublicKey;
}
export interface EcBinding {
  readonly ecdsa: EcCalls;
  readonly privateKey: EcPrivateKey;
  readonly publicKey: EcPublicKey;
  /** Where the engine does many at once. */
  readonly together?: EcCurveTogether | undefined;
}
export interface EciesBinding {
  readonly engine: EciesEngine;
  readonly privateKey: EcPrivateKey;
  readonly publicKey: EcPublicKey;
}
/** A key in a token, as itself and as what seals and opens. */
export interface HardwareBinding {
  readonly key: HardwareKey;
  readonly aes: BoundAesKey;
}
/** HMAC takes key bytes, not a handle: they stay here, under the engines, and are wiped with the rest. */
export interface HmacBinding {
  sign(message: Uint8Array): MaybePromise<Uint8Array>;
}

/** The handles of one key version, by engine where "auto" may use several. */
export interface Slot {
  aes: Partial<Record<EngineName, AesBinding>>;
  rsa: Partial<Record<EngineName, RsaBinding>>;
  /** The public half of the RSA key in the engine that verifies batches. */
  rsaTogether?: RsaTogether | undefined;
  ec: Partial<Record<EngineName, EcBinding>>;
  hmac?: HmacBinding & { readonly keyBytes: Uint8Array };
  /** Of a key in a token, which then has no handle in another engine but for its public half. */
  hardware?: HardwareBinding;
  /** Bindings that an engine still makes, by primitive and engine, so that none is made twice. */
  readonly pending: Map<string, Promise<unknown>>;
  /** The version was let go: what arrives late is destroyed. */
  isForgotten: boolean;
}

/** Returns the slot of a version, empty at first. */
export function slotOf(version: KeyVersion): Slot {
  version.engineSlot ??= { aes: {}, rsa: {}, ec: {}, pending: new Map(), isForgotten: false } satisfies Slot;
  return version.engineSlot as Slot;
}

/** Wipes every handle. */
export function destroySlot(slot: Slot): void {
  slot.isForgotten = true;
  for (const binding of Object.values(slot.aes)) binding.key.destroy();
  for (const binding of Object.values(slot.rsa)) binding.privateKey.destroy();
  slot.rsaTogether?.publicKey.destroy();
  for (const binding of Object.values(slot.ec)) binding.privateKey.destroy();
  slot.hmac?.keyBytes.fill(0);
  slot.hardware?.key.release();
}

/** Makes of an engine's checked calls what the facade calls. */
export function checkedKey(aesGcm: Awaitable<AesGcm>, key: AesKey): BoundAesKey {
  const plain: Pick<BoundAesKey, "sealInto" | "open"> = {
    sealInto: (iv, plaintext, aad, out, offset) =>
      whenReady(aesGcm.sealInto(key, iv, plaintext, aad, out, offset), () => undefined),
    open: (iv, sealed, aad) => aesGcm.open(key, iv, sealed, aad),
  };
  return { ...plain, ...runsOver(plain) };
}
