/** The engine over the platform's Web Cryptography: asynchronous throughout, keys that cannot be exported, no secp256k1. */

import { KmsError } from "../../errors.ts";
import type { AsyncEngine } from "../engine.ts";
import { servesAes, WebAesGcm } from "./aes-gcm.ts";
import { EcKeys } from "./ec-keys.ts";
import { WebEcdsa, webEcdh } from "./ecdsa.ts";
import { webHash, webHkdf, webHmac } from "./hash.ts";
import { webAesKw } from "./key-wrap.ts";
import { WebRsa } from "./rsa.ts";
import { EngineState } from "./state.ts";

const HASH_NAMES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const;
const CURVE_NAMES = ["P-256"] as const;
const AES_LENGTHS = [16, 24, 32] as const;

export interface WebCryptoEngineOptions {
  /** Verifies every ECDSA signature before it leaves; RSA signatures always are. */
  readonly verifySignatures?: boolean | undefined;
}

/**
 * Makes an engine, once it is known what the platform serves.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no SubtleCrypto: in a page that is not a secure context
 */
export async function createWebCryptoEngine({
  verifySignatures = false,
}: WebCryptoEngineOptions = {}): Promise<AsyncEngine> {
  const subtle = (globalThis as { crypto?: { subtle?: SubtleCrypto } }).crypto?.subtle;
  if (subtle === undefined) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime has no crypto.subtle; pages have it in secure contexts only.",
    );
  }
  const served = await Promise.all(AES_LENGTHS.map((length) => servesAes(subtle, length)));
  const lengths = AES_LENGTHS.filter((_, i) => served[i]);
  const aesNames = lengths.map((length) => `AES-${length * 8}`);
  const state = new EngineState(subtle);
  const ecKeys = new EcKeys(state);
  return Object.freeze<AsyncEngine>({
    name: "webcrypto",
    build: "subtle",
    capabilities: Object.freeze({
      aesGcm: aesNames,
      ecdsa: CURVE_NAMES,
      ecdsaHash: HASH_NAMES,
      ecdsaFormat: ["der", "p1363"],
      ecdsaSignable: ["message"],
      ecdh: CURVE_NAMES,
      rsa: ["2048", "3072", "4096"],
      rsaPss: HASH_NAMES,
      rsaPkcs1: HASH_NAMES,
      rsaSignable: ["message"],
      rsaOaep: HASH_NAMES,
      rsaOaepMgf: ["same"],
      hmac: HASH_NAMES,
      hash: HASH_NAMES,
      hkdf: HASH_NAMES,
      aesKw: aesNames,
    }),
    aesGcm: new WebAesGcm(state, lengths),
    ecdsa: new WebEcdsa(state, ecKeys, verifySignatures),
    ecdh: webEcdh(state, ecKeys),
    rsa: new WebRsa(state),
    hmac: webHmac(state),
    hash: webHash(state),
    hkdf: webHkdf(state),
    aesKw: webAesKw(state, lengths),
    close: () => state.close(),
  });
}
