/**
 * ECIES_DH_SHA_1_XOR_HMAC, docs/ecies.md, over the ECDH, hash and HMAC of one engine. What is secret (the ephemeral key,
 * the shared x, the derived keys) is wiped here; the arithmetic is the engine's.
 */

import { concatBytes } from "../bytes.ts";
import { KmsError } from "../errors.ts";
import { isPrivateScalar, SCALAR_LENGTH } from "./ec-scalar.ts";
import type { CurveName, Ecdh, Ecdsa, EcPrivateKey, EcPublicKey, Engine, Hmac } from "./engine.ts";
import { equalMacs } from "./equal-macs.ts";
import { POINT_LENGTH } from "./key-encoding.ts";
import { randomBytes } from "./random.ts";

/** Of SHA-1: a block of the key derivation, the MAC key and the tag are all as long. */
const DIGEST_LENGTH = 20;
const COUNTER_LENGTH = 4;

/** Bytes that a ciphertext has beyond its plaintext [ECIES-1]. */
const OVERHEAD: number = POINT_LENGTH + DIGEST_LENGTH;

/** What ECIES asks of an engine; the keys are handles of its `ecdsa`. */
export interface EciesEngine {
  readonly ecdsa: Ecdsa;
  readonly ecdh: Ecdh;
  readonly hmac: Hmac;
  readonly hash: NonNullable<Engine["hash"]>;
}

/** Tells whether an engine serves all that ECIES asks for. */
export function servesEcies(engine: Engine): engine is Engine & EciesEngine {
  return (
    engine.ecdsa !== undefined &&
    engine.ecdh !== undefined &&
    engine.hmac !== undefined &&
    engine.hash !== undefined
  );
}

/**
 * Encrypts to a public key.
 *
 * @returns R ‖ EM ‖ D
 */
export function encryptEcies(engine: EciesEngine, publicKey: EcPublicKey, plaintext: Uint8Array): Uint8Array {
  const { ecdsa } = engine;
  const ephemeral = ephemeralKey(ecdsa, publicKey.curve);
  try {
    const point = ecdsa.exportPoint(ecdsa.publicKey(ephemeral));
    return withKeys(engine, ephemeral, publicKey, plaintext.length, (encryptionKey, macKey) => {
      // The key becomes the ciphertext.
      xorInto(encryptionKey, plaintext);
      return concatBytes(point, encryptionKey, engine.hmac.sign("SHA-1", macKey, encryptionKey));
    });
  } finally {
    ephemeral.destroy();
  }
}

/** Decrypts; undefined for any failure, whatever was wrong [ECIES-9]. The result owns its ArrayBuffer. */
export function decryptEcies(
  engine: EciesEngine,
  privateKey: EcPrivateKey,
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  const length = ciphertext.length - OVERHEAD;
  if (length < 1) return undefined;
  const sender = readPoint(engine.ecdsa, privateKey.curve, ciphertext.subarray(0, POINT_LENGTH));
  if (sender === undefined) return undefined;
  const encrypted = ciphertext.subarray(POINT_LENGTH, POINT_LENGTH + length);
  const given = ciphertext.subarray(POINT_LENGTH + length);
  return withKeys(engine, privateKey, sender, length, (encryptionKey, macKey) => {
    const tag = engine.hmac.sign("SHA-1", macKey, encrypted);
    const isAuthentic = equalMacs(tag, given);
    tag.fill(0);
    if (!isAuthentic) return undefined;
    const plaintext = new Uint8Array(encrypted);
    xorInto(plaintext, encryptionKey);
    return plaintext;
  });
}

/** Takes random scalars until one is in range [ECIES-3]; synchronously, which key generation is not. */
function ephemeralKey(ecdsa: Ecdsa, curve: CurveName): EcPrivateKey {
  while (true) {
    const scalar = randomBytes(SCALAR_LENGTH);
    try {
      if (isPrivateScalar(curve, scalar)) return ecdsa.importPrivateKey(curve, scalar);
    } finally {
      scalar.fill(0);
    }
  }
}

/** Reads R, which is as long as an uncompressed point; undefined for bytes that are no point of the curve [ECIES-2]. */
function readPoint(ecdsa: Ecdsa, curve: CurveName, point: Uint8Array): EcPublicKey | undefined {
  try {
    return ecdsa.importPublicKey(curve, point);
  } catch (error) {
    if (error instanceof KmsError && error.code === "InvalidKeyMaterial") return undefined;
    throw error;
  }
}

/** Derives EK ‖ MK [ECIES-4] [ECIES-5] [ECIES-6] for one use and wipes them. */
function withKeys<T>(
  { ecdh, hash }: EciesEngine,
  privateKey: EcPrivateKey,
  publicKey: EcPublicKey,
  length: number,
  use: (encryptionKey: Uint8Array, macKey: Uint8Array) => T,
): T {
  const input = new Uint8Array(SCALAR_LENGTH + COUNTER_LENGTH);
  const keys = new Uint8Array(length + DIGEST_LENGTH);
  try {
    const shared = ecdh.deriveBits(privateKey, publicKey);
    input.set(shared);
    shared.fill(0);
    const counter = new DataView(input.buffer, SCALAR_LENGTH);
    for (let offset = 0, i = 1; offset < keys.length; offset += DIGEST_LENGTH, i++) {
      counter.setUint32(0, i);
      const block = hash("SHA-1", input);
      keys.set(block.subarray(0, keys.length - offset), offset);
      block.fill(0);
    }
    return use(keys.subarray(0, length), keys.subarray(length));
  } finally {
    input.fill(0);
    keys.fill(0);
  }
}

function xorInto(target: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] ?? 0) ^ (mask[i] ?? 0);
}
