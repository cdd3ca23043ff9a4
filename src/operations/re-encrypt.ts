/** ReEncrypt: moves a blob to the newest version, another key or another context; the plaintext never leaves this call. */

import { copyBytes, equalBytesVartime } from "../bytes.ts";
import type { EncryptionContext } from "../envelope/encryption-context.ts";
import { ensure } from "../errors.ts";
import { assertSymmetric, type KeyVersion } from "../keys/key.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { refuseOnHardware } from "./hardware.ts";
import { checkFields, fields, readAad, readCiphertextBlob, readOptionalString } from "./input.ts";
import { openBlob, sealUnder, versionOfBlob } from "./seal.ts";
import { refuseGone } from "./with-binding.ts";

export interface ReEncryptRequest {
  /** A blob of an advance* operation. */
  readonly ciphertextBlob: Uint8Array;
  readonly sourceAad?: Uint8Array | undefined;
  readonly sourceEncryptionContext?: EncryptionContext | undefined;
  /** Absent = the key the blob is under. */
  readonly destinationKeyId?: string | undefined;
  /** Absent = kept, null = none. */
  readonly destinationAad?: Uint8Array | null | undefined;
  /** Absent = kept, null = none. */
  readonly destinationEncryptionContext?: EncryptionContext | null | undefined;
}

export interface ReEncryptResponse extends ResponseMetadata {
  readonly ciphertextBlob: Uint8Array;
  /** Of the source. */
  readonly keyId: string;
  /** Of the source. */
  readonly keyVersionId: string;
  readonly destinationKeyId: string;
  readonly destinationKeyVersionId: string;
  /** False when the blob was current already: the same bytes come back, authenticated all the same. */
  readonly changed: boolean;
}

const FIELDS = fields(
  "ciphertextBlob",
  "sourceAad",
  "sourceEncryptionContext",
  "destinationKeyId",
  "destinationAad",
  "destinationEncryptionContext",
);

function readDestinationAad(
  context: OperationContext,
  request: ReEncryptRequest,
  sourceAad: Uint8Array,
): Uint8Array {
  const { destinationAad, destinationEncryptionContext } = request;
  if (destinationAad === undefined && destinationEncryptionContext === undefined) return sourceAad;
  ensure(
    destinationAad === undefined || destinationEncryptionContext === undefined,
    "InvalidParameter",
    "destinationAad and destinationEncryptionContext exclude each other.",
  );
  return readAad(context, destinationAad ?? undefined, destinationEncryptionContext ?? undefined, {
    aad: "destinationAad",
    context: "destinationEncryptionContext",
  });
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `InvalidCiphertext`, `Forbidden.KeyNotFound`, `Forbidden.OnlySymmetricKeySupported`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function reEncrypt(
  context: OperationContext,
  request: ReEncryptRequest,
): MaybePromise<ReEncryptResponse> {
  checkFields(request, FIELDS);
  const blob = readCiphertextBlob(request.ciphertextBlob);
  const destinationKeyId = readOptionalString(request.destinationKeyId, "destinationKeyId");
  const sourceAad = readAad(context, request.sourceAad, request.sourceEncryptionContext, {
    aad: "sourceAad",
    context: "sourceEncryptionContext",
  });
  const destinationAad = readDestinationAad(context, request, sourceAad);

  const source = versionOfBlob(context, blob);
  const destinationKey = destinationKeyId === undefined ? source.key : resolveKey(context, destinationKeyId);
  assertSymmetric(destinationKey);
  if (destinationKey.isHardware) refuseOnHardware(context, true);
  const destination = destinationKey.primaryVersion;

  const isCurrent = source === destination && equalBytesVartime(sourceAad, destinationAad);
  const opened = openBlob(context, source, blob, sourceAad);
  // The caller may change its arrays once the call has returned its promise.
  const isLater = opened instanceof Promise;
  const [ownBlob, ownAad] = isLater ? [copyBytes(blob), copyBytes(destinationAad)] : [blob, destinationAad];
  return whenReady(opened, (plaintext) => {
    if (isCurrent) {
      plaintext.fill(0);
      return answer(context, source, destination, isLater ? ownBlob : copyBytes(blob), false);
    }
    const seal = (): MaybePromise<ReEncryptResponse> => {
      if (isLater) refuseGone(context, destination, "ENCRYPT/DECRYPT");
      return whenReady(sealUnder(context, "advance", destination, plaintext, ownAad), ({ ciphertextBlob }) =>
        answer(context, source, destination, ciphertextBlob, true),
      );
    };
    return finallyRun(seal, () => void plaintext.fill(0));
  });
}

function answer(
  context: OperationContext,
  source: KeyVersion,
  destination: KeyVersion,
  ciphertextBlob: Uint8Array,
  changed: boolean,
): ReEncryptResponse {
  return {
    ciphertextBlob,
    keyId: source.key.keyId,
    keyVersionId: source.keyVersionId,
    destinationKeyId: destination.key.keyId,
    destinationKeyVersionId: destination.keyVersionId,
    changed,
    requestId: context.nextRequestId(),
  };
}
