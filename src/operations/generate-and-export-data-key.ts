/** GenerateAndExportDataKey: one random data key in two wrappings, a blob of ours and the caller's RSA key. */

import { copyBytes } from "../bytes.ts";
import { randomBytes } from "../engines/random.ts";
import { ensure } from "../errors.ts";
import { assertSymmetric } from "../keys/key.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, resolveKey } from "./context.ts";
import {
  type ExportDataKeyResponse,
  readWrapping,
  type Wrapping,
  type WrappingFields,
} from "./export-data-key.ts";
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
  if (!(wrapping instanceof Promise)) return makeAndWrap(context, keyId, length, aad, wrapping);
  const ownAad = copyBytes(aad);
  return wrapping.then((ready) => makeAndWrap(context, keyId, length, ownAad, ready));
}

function makeAndWrap(
  context: OperationContext,
  keyId: string,
  length: number,
  aad: Uint8Array,
  wrapping: Wrapping,
): MaybePromise<GenerateAndExportDataKeyResponse> {
  ensure(length <= wrapping.maxLength, "InvalidParameter", "numberOfBytes is too large for wrappingKeySpec.");

  const key = resolveKey(context, keyId);
  assertSymmetric(key);
  const version = key.primaryVersion;
  const dataKey = randomBytes(length);
  const seal = (): MaybePromise<GenerateAndExportDataKeyResponse> => {
    const wrapped = wrapping.wrap(dataKey);
    // Two waits at most, in parallel: neither of them reads the caller's arrays after this.
    if (wrapped instanceof Promise) wrapped.catch(() => undefined);
    const sealing = sealUnder(context, "advance", version, dataKey, aad);
    return whenReady(sealing, (sealed) =>
      whenReady(wrapped, (exportedDataKey) => ({
        keyId: key.keyId,
        keyVersionId: version.keyVersionId,
        exportedDataKey,
        ciphertextBlob: sealed.ciphertextBlob,
        iv: sealed.iv,
        algorithm: "AES_GCM",
        requestId: context.nextRequestId(),
      })),
    );
  };
  return finallyRun(seal, () => void dataKey.fill(0));
}
