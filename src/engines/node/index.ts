/** The engine over node:crypto: every primitive served by the runtime's OpenSSL. */

import type { Capabilities, Engine } from "../engine.ts";
import { NodeAesGcm, servesAesGcm } from "./aes-gcm.ts";
import { EcKeys, servesCurve } from "./ec-keys.ts";
import { nodeEcdh } from "./ecdh.ts";
import { NodeEcdsa } from "./ecdsa.ts";
import { nodeHash, nodeHkdf, nodeHmac } from "./hash.ts";
import { nodeAesKw, nodeAesKwp } from "./key-wrap.ts";
import { NodeRsa } from "./rsa.ts";
import { usesVectorsForRsa } from "./rsa-vectors.ts";
import { EngineState } from "./state.ts";

const HASH_NAMES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const;
const AES_NAMES = ["AES-128", "AES-192", "AES-256"] as const;
const CURVE_NAMES = ["P-256", "secp256k1"] as const;

/** What node:crypto can do wherever it is; what ciphers and curves it has is asked. */
const CAPABILITIES: Capabilities = {
  ecdsaHash: HASH_NAMES,
  ecdsaFormat: ["der", "p1363"],
  ecdsaSignable: ["message"],
  rsa: ["2048", "3072", "4096"],
  rsaPss: HASH_NAMES,
  rsaPkcs1: HASH_NAMES,
  rsaSignable: ["message", "digest"],
  rsaOaep: HASH_NAMES,
  rsaOaepMgf: ["same"],
  hmac: HASH_NAMES,
  hash: HASH_NAMES,
  hkdf: HASH_NAMES,
};

export interface NodeEngineOptions {
  /** Verifies every ECDSA signature with the public key before it leaves. */
  readonly verifySignatures?: boolean | undefined;
}

/** Makes an engine; it holds nothing outside this process and needs no loading. */
export function createNodeEngine(options: NodeEngineOptions = {}): Engine {
  const state = new EngineState();
  const ecKeys = new EcKeys(state);
  const aesKw = nodeAesKw(state);
  const aesKwp = nodeAesKwp(state);
  return Object.freeze<Engine>({
    name: "node",
    build: process.versions.openssl ?? "unknown",
    capabilities: Object.freeze({
      ...CAPABILITIES,
      aesGcm: AES_NAMES.filter((_, i) => servesAesGcm(16 + 8 * i)),
      ecdsa: CURVE_NAMES.filter(servesCurve),
      ecdh: CURVE_NAMES.filter(servesCurve),
      ...(aesKw === undefined ? {} : { aesKw: AES_NAMES }),
      ...(aesKwp === undefined ? {} : { aesKwp: AES_NAMES }),
    }),
    aesGcm: new NodeAesGcm(state),
    ecdsa: new NodeEcdsa(state, ecKeys, options.verifySignatures === true),
    ecdh: nodeEcdh(state, ecKeys),
    rsa: new NodeRsa(state),
    usesVectorsForRsa,
    hmac: nodeHmac(state),
    hash: nodeHash(state),
    hkdf: nodeHkdf(state),
    ...(aesKw === undefined ? {} : { aesKw }),
    ...(aesKwp === undefined ? {} : { aesKwp }),
    close: () => state.close(),
  });
}
