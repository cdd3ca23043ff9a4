/** Inspect: reads what a blob says about itself, without opening it. */

import { BLOB_FORMAT_VERSION, parseBlob } from "../envelope/ciphertext-blob.ts";
import { formatKeyVersionId } from "../envelope/key-version-id.ts";
import { invalidCiphertext } from "../errors.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields, readCiphertextBlob } from "./input.ts";

export interface InspectRequest {
  readonly ciphertextBlob: Uint8Array;
}

export interface InspectResponse extends ResponseMetadata {
  /** Absent when no key here has that version. */
  readonly keyId?: string;
  readonly keyVersionId: string;
  readonly algorithm: "AES_GCM";
  readonly formatVersion: number;
  /** Nothing was verified: a forger can write any of the above. */
  readonly authenticated: false;
}

const FIELDS = fields("ciphertextBlob");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `InvalidCiphertext` when it is no blob of ours */
export function inspect(context: OperationContext, request: InspectRequest): InspectResponse {
  checkFields(request, FIELDS);
  const parts = parseBlob(readCiphertextBlob(request.ciphertextBlob));
  if (parts === undefined) throw invalidCiphertext();
  const version = context.ring.findVersion(parts.keyVersionId);
  const key = version === undefined || context.records.isGone(version.key) ? undefined : version.key;
  return {
    ...(key === undefined ? {} : { keyId: key.keyId }),
    keyVersionId: formatKeyVersionId(parts.keyVersionId),
    algorithm: "AES_GCM",
    formatVersion: BLOB_FORMAT_VERSION,
    authenticated: false,
    requestId: context.nextRequestId(),
  };
}
