/** GenerateAndExportDataKey: one random data key in two wrappings, a blob of ours and the caller's RSA key. */

import { randomBytes } from "../engines/random.ts";
import { ensure } from "../errors.ts";
import { assertSymmetric } from "../keys/key.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, resolveKey } from "./context.ts";
import { type ExportDataKeyResponse, readWrapping, type WrappingFields } from "./export-data-key.ts";
import { type DataKeyFields, readDataKeyLength } from "./generate-data-key.ts";
import { type AadFields, checkFields, fields, readAad, readString } from "./input.ts";
import { sealUnder } from "./seal.ts";

export interface GenerateAndExportDataKeyRequest extends AadFields, DataKeyFields, WrappingFields {
  readonly keyId: string;
}

export interface GenerateAndExportDataKeyResponse extends ExportDataKeyResponse {
  /** A blob for advanceDecrypt and exportDataKey. */
  readonly ciphertextBlob: Uint8Array;
  readonly iv: Uint8Array;
  readonly algorithm: "AES_GCM";
}

const FIELDS = fields(
  "keyId",
  "numberOfBytes",
  "keySpec",
  "aad",
  "encryptionContext",
  "publicKeyBlob",
  "wrappingKeySpec",
  "wrappingAlgorithm",
);

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.OnlySymmetricKeySupported`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function generateAndExportDataKey(
  context: OperationContext,
  request: GenerateAndExportDataKeyRequest,
): MaybePromise<GenerateAndExportDataKeyResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const length = readDataKeyLength(request);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const wrapping = readWrapping(context, request);
  ensure(length <= wrapping.maxLength, "InvalidParameter", "numberOfBytes is too large for wrappingKeySpec.");

  const key = resolveKey(context, keyId);
  assertSymmetric(key);
  const version = key.primaryVersion;
  const dataKey = randomBytes(length);
  const seal = (): MaybePromise<GenerateAndExportDataKeyResponse> => {
    const exportedDataKey = wrapping.wrap(dataKey);
    return whenReady(sealUnder(context, "advance", version, dataKey, aad), (sealed) => ({
      keyId: key.keyId,
      keyVersionId: version.keyVersionId,
      exportedDataKey,
      ciphertextBlob: sealed.ciphertextBlob,
      iv: sealed.iv,
      algorithm: "AES_GCM",
      requestId: context.nextRequestId(),
    }));
  };
  return finallyRun(seal, () => void dataKey.fill(0));
}
