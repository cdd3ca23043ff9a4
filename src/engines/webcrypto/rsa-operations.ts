/** What SubtleCrypto does with RSA keys, on checked arguments: signatures are verified before they leave, and every failed decryption is one. */

import { ensure } from "../../errors.ts";
import type { Oaep, Scheme } from "./rsa-arguments.ts";
import { privateKeyFor, publicKeyFor, type RsaPrivateSecret, type RsaPublicSecret } from "./rsa-keys.ts";
import type { EngineState } from "./state.ts";

/** What SubtleCrypto is told of a scheme; the hash goes with the key. */
function parameters({ name, saltLength }: Scheme): AlgorithmIdentifier | RsaPssParams {
  return saltLength === undefined ? name : { name, saltLength };
}

export async function verifyRaw(
  state: EngineState,
  secret: RsaPublicSecret,
  message: Uint8Array,
  signature: Uint8Array,
  scheme: Scheme,
): Promise<boolean> {
  if (signature.length !== secret.modulusLength) return false;
  const [own, ownSignature] = [new Uint8Array(message), new Uint8Array(signature)];
  const key = await publicKeyFor(state, secret, scheme.name, scheme.hash);
  try {
    return await state.subtle.verify(parameters(scheme), key, ownSignature, own);
  } catch {
    return false;
  }
}

/** Signs, and verifies the result before it leaves: a faulty one would give the key away (Boneh, DeMillo, Lipton). */
export async function signRaw(
  state: EngineState,
  secret: RsaPrivateSecret,
  message: Uint8Array,
  scheme: Scheme,
): Promise<Uint8Array> {
  const own = new Uint8Array(message);
  const key = await privateKeyFor(state, secret, scheme.name, scheme.hash);
  const signature = new Uint8Array(await state.subtle.sign(parameters(scheme), key, own));
  const isRight = await verifyRaw(state, secret, own, signature, scheme);
  ensure(isRight, "InternalFailure", "An RSA signature did not verify and is withheld.");
  return signature;
}

export async function encryptRaw(
  state: EngineState,
  secret: RsaPublicSecret,
  plaintext: Uint8Array,
  { hash, label }: Oaep,
): Promise<Uint8Array> {
  const [own, ownLabel] = [new Uint8Array(plaintext), new Uint8Array(label)];
  try {
    const key = await publicKeyFor(state, secret, "RSA-OAEP", hash);
    const ciphertext = await state.subtle.encrypt({ name: "RSA-OAEP", label: ownLabel }, key, own);
    return new Uint8Array(ciphertext);
  } finally {
    own.fill(0);
  }
}

export async function decryptRaw(
  state: EngineState,
  secret: RsaPrivateSecret,
  ciphertext: Uint8Array,
  { hash, label }: Oaep,
): Promise<Uint8Array | undefined> {
  if (ciphertext.length !== secret.modulusLength) return undefined;
  const [own, ownLabel] = [new Uint8Array(ciphertext), new Uint8Array(label)];
  const key = await privateKeyFor(state, secret, "RSA-OAEP", hash);
  try {
    return new Uint8Array(await state.subtle.decrypt({ name: "RSA-OAEP", label: ownLabel }, key, own));
  } catch {
    return undefined;
  }
}
