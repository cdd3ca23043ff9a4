/** AdvanceDecrypt: opens the output of all four producers; a blob by itself, detached ciphertext with keyId and iv. */

import { ensure } from "../errors.ts";
import { assertSymmetric, type KeyVersion } from "../keys/key.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type OperationContext, resolveKey } from "./context.ts";
import type { DecryptResponse } from "./decrypt.ts";
import { refuseOnHardware } from "./hardware.ts";
import {
  type AadFields,
  checkFields,
  fields,
  readAad,
  readCiphertextBlob,
  readGcm,
  readOptionalIv,
  readOptionalString,
} from "./input.ts";
import { openBlob, openDetached, versionOfBlob } from "./seal.ts";

export interface AdvanceDecryptRequest extends AadFields {
  readonly ciphertextBlob: Uint8Array;
  /** Checked against the blob when given; required with `iv`. */
  readonly keyId?: string | undefined;
  /** The iv of detached ciphertext, as `encrypt` and `generateDataKey` returned it. */
  readonly iv?: Uint8Array | undefined;
  readonly algorithm?: "AES_GCM" | undefined;
}

export interface AdvanceDecryptResponse extends DecryptResponse {
  readonly algorithm: "AES_GCM";
}

const FIELDS = fields("ciphertextBlob", "aad", "encryptionContext", "keyId", "iv", "algorithm");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound` and `Forbidden.OnlySymmetricKeySupported` (with iv), `Rejected.Disabled`, `Rejected.PendingDeletion`, `InvalidCiphertext` */
export function advanceDecrypt(
  context: OperationContext,
  request: AdvanceDecryptRequest,
): MaybePromise<AdvanceDecryptResponse> {
  checkFields(request, FIELDS);
  const blob = readCiphertextBlob(request.ciphertextBlob);
  const keyId = readOptionalString(request.keyId, "keyId");
  readGcm(request.algorithm);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const iv = readOptionalIv(request.iv);

  if (iv === undefined) {
    const version = versionOfBlob(context, blob, keyId);
    return answer(context, version, openBlob(context, version, blob, aad));
  }
  ensure(keyId !== undefined, "MissingParameter", "keyId is required with iv.");
  const key = resolveKey(context, keyId);
  assertSymmetric(key);
  const version = key.initialVersion;
  if (key.isHardware) refuseOnHardware(context, true);
  return answer(context, version, openDetached(context, version, iv, blob, aad));
}

function answer(
  context: OperationContext,
  version: KeyVersion,
  opened: MaybePromise<Uint8Array>,
): MaybePromise<AdvanceDecryptResponse> {
  if (opened instanceof Promise) return opened.then((plaintext) => answer(context, version, plaintext));
  return {
    keyId: version.key.keyId,
    keyVersionId: version.keyVersionId,
    plaintext: opened,
    algorithm: "AES_GCM",
    requestId: context.nextRequestId(),
  };
}
