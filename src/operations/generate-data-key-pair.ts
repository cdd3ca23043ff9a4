/**
 * GenerateDataKeyPair and its three siblings: a fresh key pair whose private half is sealed like a data key.
 * Private keys are PKCS#8, public keys SPKI; PEM is built as bytes and never as a string.
 */

import type { GenerateKeyOptions } from "../engines/engine.ts";
import type { FrameMode } from "../envelope/ciphertext-blob.ts";
import { encodePem } from "../envelope/pem.ts";
import { assertSymmetric } from "../keys/key.ts";
import { type KeyPairSpec, materialOf } from "../keys/key-spec.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { type AadFields, checkFields, fields, readAad, readChoice, readString } from "./input.ts";
import { type SealedText, sealUnder } from "./seal.ts";

export type KeyFormat = "PEM" | "DER";

export interface GenerateDataKeyPairRequest extends AadFields {
  readonly keyId: string;
  readonly keyPairSpec: KeyPairSpec;
  /** PEM if absent. */
  readonly keyFormat?: KeyFormat | undefined;
}

export interface GenerateDataKeyPairWithoutPlaintextResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly keyPairSpec: KeyPairSpec;
  readonly privateKeyCiphertextBlob: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly algorithm: "AES_GCM";
}

export interface GenerateDataKeyPairResponse extends GenerateDataKeyPairWithoutPlaintextResponse {
  /** Owns its buffer; the caller wipes it. */
  readonly privateKeyPlaintext: Uint8Array;
}

const FIELDS = fields("keyId", "keyPairSpec", "keyFormat", "aad", "encryptionContext");
const PAIR_SPECS: readonly KeyPairSpec[] = ["RSA_2048", "RSA_3072", "RSA_4096", "EC_P256", "EC_P256K"];

async function makePair(
  context: OperationContext,
  mode: FrameMode,
  request: GenerateDataKeyPairRequest,
  options: GenerateKeyOptions,
): Promise<GenerateDataKeyPairResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const keyPairSpec = readChoice(request.keyPairSpec, "keyPairSpec", PAIR_SPECS);
  const keyFormat = readChoice(request.keyFormat, "keyFormat", ["PEM", "DER"], "PEM");
  const aad = new Uint8Array(readAad(context, request.aad, request.encryptionContext));
  const key = resolveKey(context, keyId);
  assertSymmetric(key);

  const facts = materialOf(keyPairSpec);
  if (facts.type !== "rsa" && facts.type !== "ec") throw new Error("internal: not a key pair spec");
  const pair = await context.router.generateKeyPair(facts, options);
  try {
    // The key may have been disabled, rotated or deleted while the pair was made.
    const current = resolveKey(context, keyId);
    assertSymmetric(current);
    const version = mode === "detached" ? current.initialVersion : current.primaryVersion;
    const privateKey =
      keyFormat === "PEM" ? encodePem("PRIVATE KEY", pair.pkcs8) : new Uint8Array(pair.pkcs8);
    const sealed = await sealOrWipe(() => sealUnder(context, mode, version, privateKey, aad), privateKey);
    return {
      keyId: current.keyId,
      keyVersionId: version.keyVersionId,
      keyPairSpec,
      privateKeyPlaintext: privateKey,
      privateKeyCiphertextBlob: sealed.ciphertextBlob,
      publicKey: keyFormat === "PEM" ? encodePem("PUBLIC KEY", pair.spki) : pair.spki,
      iv: sealed.iv,
      algorithm: "AES_GCM",
      requestId: context.nextRequestId(),
    };
  } finally {
    pair.pkcs8.fill(0);
  }
}

/** Wipes the private key when it cannot be sealed: nobody is going to be given it. */
async function sealOrWipe(seal: () => MaybePromise<SealedText>, privateKey: Uint8Array): Promise<SealedText> {
  try {
    return await seal();
  } catch (error) {
    privateKey.fill(0);
    throw error;
  }
}

async function withoutPlaintext(
  response: Promise<GenerateDataKeyPairResponse>,
): Promise<GenerateDataKeyPairWithoutPlaintextResponse> {
  const { privateKeyPlaintext, ...rest } = await response;
  privateKeyPlaintext.fill(0);
  return rest;
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.OnlySymmetricKeySupported`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function generateDataKeyPair(
  context: OperationContext,
  request: GenerateDataKeyPairRequest,
  options: GenerateKeyOptions = {},
): Promise<GenerateDataKeyPairResponse> {
  return makePair(context, "detached", request, options);
}

/** @throws KmsError as `generateDataKeyPair` */
export function generateDataKeyPairWithoutPlaintext(
  context: OperationContext,
  request: GenerateDataKeyPairRequest,
  options: GenerateKeyOptions = {},
): Promise<GenerateDataKeyPairWithoutPlaintextResponse> {
  return withoutPlaintext(makePair(context, "detached", request, options));
}

/** @throws KmsError as `generateDataKeyPair` */
export function advanceGenerateDataKeyPair(
  context: OperationContext,
  request: GenerateDataKeyPairRequest,
  options: GenerateKeyOptions = {},
): Promise<GenerateDataKeyPairResponse> {
  return makePair(context, "advance", request, options);
}

/** @throws KmsError as `generateDataKeyPair` */
export function advanceGenerateDataKeyPairWithoutPlaintext(
  context: OperationContext,
  request: GenerateDataKeyPairRequest,
  options: GenerateKeyOptions = {},
): Promise<GenerateDataKeyPairWithoutPlaintextResponse> {
  return withoutPlaintext(makePair(context, "advance", request, options));
}
