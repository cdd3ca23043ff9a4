/**
 * GenerateDataKey and its three siblings: random bytes, sealed detached under the initial version or as a blob under
 * the primary one, with or without the plaintext in the answer.
 */

import { randomBytes } from "../engines/random.ts";
import type { FrameMode } from "../envelope/ciphertext-blob.ts";
import { assertSymmetric } from "../keys/key.ts";
import { type MaybePromise, onFailure, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import {
  type AadFields,
  checkFields,
  fields,
  readAad,
  readChoice,
  readInteger,
  readString,
} from "./input.ts";
import { sealUnder } from "./seal.ts";

export interface DataKeyFields {
  /** 1 to 1024; wins over keySpec. */
  readonly numberOfBytes?: number | undefined;
  /** AES_256 (32 bytes, the default) or AES_128 (16 bytes). */
  readonly keySpec?: "AES_256" | "AES_128" | undefined;
}

export interface GenerateDataKeyRequest extends AadFields, DataKeyFields {
  readonly keyId: string;
}

export interface GenerateDataKeyWithoutPlaintextResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly ciphertextBlob: Uint8Array;
  readonly iv: Uint8Array;
  readonly algorithm: "AES_GCM";
}

export interface GenerateDataKeyResponse extends GenerateDataKeyWithoutPlaintextResponse {
  /** Owns its buffer; the caller wipes it. */
  readonly plaintext: Uint8Array;
}

const FIELDS = fields("keyId", "numberOfBytes", "keySpec", "aad", "encryptionContext");
const SPEC_LENGTHS = { AES_256: 32, AES_128: 16 } as const;

/** Reads how long a data key is to be: numberOfBytes beats keySpec, absent both = 32. */
export function readDataKeyLength(request: DataKeyFields): number {
  const spec = readChoice(request.keySpec, "keySpec", ["AES_256", "AES_128"], "AES_256");
  return readInteger(request.numberOfBytes, "numberOfBytes", 1, 1024, SPEC_LENGTHS[spec]);
}

function makeDataKey(
  context: OperationContext,
  mode: FrameMode,
  request: GenerateDataKeyRequest,
): MaybePromise<GenerateDataKeyResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const length = readDataKeyLength(request);
  const aad = readAad(context, request.aad, request.encryptionContext);

  const key = resolveKey(context, keyId);
  assertSymmetric(key);
  const version = mode === "detached" ? key.initialVersion : key.primaryVersion;
  const plaintext = randomBytes(length);
  const seal = (): MaybePromise<GenerateDataKeyResponse> =>
    whenReady(sealUnder(context, mode, version, plaintext, aad), (sealed) => ({
      plaintext,
      ciphertextBlob: sealed.ciphertextBlob,
      iv: sealed.iv,
      algorithm: "AES_GCM",
      keyId: key.keyId,
      keyVersionId: version.keyVersionId,
      requestId: context.nextRequestId(),
    }));
  return onFailure(seal, () => void plaintext.fill(0));
}

function withoutPlaintext(
  response: MaybePromise<GenerateDataKeyResponse>,
): MaybePromise<GenerateDataKeyWithoutPlaintextResponse> {
  return whenReady(response, ({ plaintext, ...rest }) => {
    plaintext.fill(0);
    return rest;
  });
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.OnlySymmetricKeySupported`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function generateDataKey(
  context: OperationContext,
  request: GenerateDataKeyRequest,
): MaybePromise<GenerateDataKeyResponse> {
  return makeDataKey(context, "detached", request);
}

/** @throws KmsError as `generateDataKey` */
export function generateDataKeyWithoutPlaintext(
  context: OperationContext,
  request: GenerateDataKeyRequest,
): MaybePromise<GenerateDataKeyWithoutPlaintextResponse> {
  return withoutPlaintext(makeDataKey(context, "detached", request));
}

/** @throws KmsError as `generateDataKey` */
export function advanceGenerateDataKey(
  context: OperationContext,
  request: GenerateDataKeyRequest,
): MaybePromise<GenerateDataKeyResponse> {
  return makeDataKey(context, "advance", request);
}

/** @throws KmsError as `generateDataKey` */
export function advanceGenerateDataKeyWithoutPlaintext(
  context: OperationContext,
  request: GenerateDataKeyRequest,
): MaybePromise<GenerateDataKeyWithoutPlaintextResponse> {
  return withoutPlaintext(makeDataKey(context, "advance", request));
}
