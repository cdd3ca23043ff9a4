/** AdvanceEncrypt: a self-describing blob under the primary version of a symmetric key. */

import { assertSymmetric, type KeyVersion } from "../keys/key.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import {
  type AadFields,
  checkFields,
  fields,
  readAad,
  readGcm,
  readOptionalIv,
  readPayload,
  readString,
} from "./input.ts";
import { type SealedText, sealUnder } from "./seal.ts";

export interface AdvanceEncryptRequest extends AadFields {
  readonly keyId: string;
  /** 1 byte to 3 MiB (strict: 6 KiB). */
  readonly plaintext: Uint8Array;
  /** 12 bytes; better left absent. */
  readonly iv?: Uint8Array | undefined;
  readonly algorithm?: "AES_GCM" | undefined;
}

/** What the caller must keep to decrypt: ciphertextBlob and the aad. */
export interface AdvanceEncryptResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly ciphertextBlob: Uint8Array;
  readonly iv: Uint8Array;
  readonly algorithm: "AES_GCM";
}

const FIELDS = fields("keyId", "plaintext", "encryptionContext", "aad", "iv", "algorithm");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.OnlySymmetricKeySupported`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function advanceEncrypt(
  context: OperationContext,
  request: AdvanceEncryptRequest,
): MaybePromise<AdvanceEncryptResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const plaintext = readPayload(request.plaintext, "plaintext", context.maxPlaintextLength);
  readGcm(request.algorithm);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const iv = readOptionalIv(request.iv);

  const key = resolveKey(context, keyId);
  assertSymmetric(key);
  const version = key.primaryVersion;
  const sealed = sealUnder(context, "advance", version, plaintext, aad, iv);
  return sealed instanceof Promise ? answerLater(context, version, sealed) : answer(context, version, sealed);
}

/** Apart from the usual way, which a closure would slow down. */
function answerLater(
  context: OperationContext,
  version: KeyVersion,
  sealed: Promise<SealedText>,
): Promise<AdvanceEncryptResponse> {
  return sealed.then((done) => answer(context, version, done));
}

function answer(
  context: OperationContext,
  version: KeyVersion,
  { ciphertextBlob, iv }: SealedText,
): AdvanceEncryptResponse {
  return {
    keyId: version.key.keyId,
    keyVersionId: version.keyVersionId,
    ciphertextBlob,
    iv,
    algorithm: "AES_GCM",
    requestId: context.nextRequestId(),
  };
}
