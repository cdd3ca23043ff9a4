/** The engine over node:crypto: every primitive served by the runtime's OpenSSL. */

import type { Capabilities, Engine } from "../engine.ts";
import { NodeAesGcm } from "./aes-gcm.ts";
import { EcKeys } from "./ec-keys.ts";
import { nodeEcdh } from "./ecdh.ts";
import { NodeEcdsa } from "./ecdsa.ts";
import { nodeHash, nodeHkdf, nodeHmac } from "./hash.ts";
import { nodeAesKw, nodeAesKwp } from "./key-wrap.ts";
import { NodeRsa } from "./rsa.ts";
import { EngineState } from "./state.ts";

const HASH_NAMES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const;
const AES_NAMES = ["AES-128", "AES-192", "AES-256"] as const;
const CURVE_NAMES = ["P-256", "secp256k1"] as const;

/** What node:crypto can do of each primitive. */
const CAPABILITIES: Capabilities = Object.freeze({
  aesGcm: AES_NAMES,
  ecdsa: CURVE_NAMES,
  ecdsaHash: HASH_NAMES,
  ecdsaFormat: ["der", "p1363"],
  ecdsaSignable: ["message"],
  ecdh: CURVE_NAMES,
  rsa: ["2048", "3072", "4096"],
  rsaPss: HASH_NAMES,
  rsaPkcs1: HASH_NAMES,
  rsaSignable: ["message", "digest"],
  rsaOaep: HASH_NAMES,
  rsaOaepMgf: ["same"],
  hmac: HASH_NAMES,
  hash: HASH_NAMES,
  hkdf: HASH_NAMES,
  aesKw: AES_NAMES,
  aesKwp: AES_NAMES,
});

/** Makes an engine; it holds nothing outside this process and needs no loading. */
export function createNodeEngine(): Engine {
  const state = new EngineState();
  const ecKeys = new EcKeys(state);
  return Object.freeze<Engine>({
    name: "node",
    build: process.versions.openssl ?? "unknown",
    capabilities: CAPABILITIES,
    aesGcm: new NodeAesGcm(state),
    ecdsa: new NodeEcdsa(state, ecKeys),
    ecdh: nodeEcdh(state, ecKeys),
    rsa: new NodeRsa(state),
    hmac: nodeHmac(state),
    hash: nodeHash(state),
    hkdf: nodeHkdf(state),
    aesKw: nodeAesKw(state),
    aesKwp: nodeAesKwp(state),
    close: () => state.close(),
  });
}
