/** ExportDataKey: opens a blob and hands its plaintext out encrypted to the caller's RSA public key. */

import { ensureBytes } from "../bytes.ts";
import type { Rsa, RsaPublicKey } from "../engines/engine.ts";
import { ensure, KmsError } from "../errors.ts";
import { materialOf, OAEP_HASHES, oaepMaxPlaintext } from "../keys/key-spec.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { type AadFields, checkFields, fields, readAad, readChoice, readCiphertextBlob } from "./input.ts";
import { openBlob, versionOfBlob } from "./seal.ts";

export type WrappingKeySpec = "RSA_2048" | "RSA_3072" | "RSA_4096";
export type WrappingAlgorithm = "RSAES_OAEP_SHA_256" | "RSAES_OAEP_SHA_1";

/** The public key a data key is exported to. */
export interface WrappingFields {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKeyBlob: Uint8Array;
  readonly wrappingKeySpec: WrappingKeySpec;
  readonly wrappingAlgorithm: WrappingAlgorithm;
}

export interface ExportDataKeyRequest extends AadFields, WrappingFields {
  /** A blob of an advance* operation, of reEncrypt or of generateAndExportDataKey. */
  readonly ciphertextBlob: Uint8Array;
}

export interface ExportDataKeyResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** OAEP ciphertext, as long as the modulus. */
  readonly exportedDataKey: Uint8Array;
}

const FIELDS = fields(
  "ciphertextBlob",
  "aad",
  "encryptionContext",
  "publicKeyBlob",
  "wrappingKeySpec",
  "wrappingAlgorithm",
);

/** A checked wrapping key and the most it can wrap. */
export interface Wrapping {
  readonly maxLength: number;
  wrap(dataKey: Uint8Array): Uint8Array;
}

/**
 * Reads the wrapping fields of a request.
 *
 * @throws KmsError `InvalidParameter` when the key does not parse or is not of the spec
 */
export function readWrapping(context: OperationContext, request: WrappingFields): Wrapping {
  const { publicKeyBlob } = request;
  ensure(publicKeyBlob !== undefined, "MissingParameter", "publicKeyBlob is required.");
  ensureBytes(publicKeyBlob, "publicKeyBlob");
  const spec = readChoice(request.wrappingKeySpec, "wrappingKeySpec", ["RSA_2048", "RSA_3072", "RSA_4096"]);
  const algorithm = readChoice(request.wrappingAlgorithm, "wrappingAlgorithm", [
    "RSAES_OAEP_SHA_256",
    "RSAES_OAEP_SHA_1",
  ]);
  const rsa = context.router.rsaForPublicKeys();
  const publicKey = importPublicKey(rsa, publicKeyBlob);
  const facts = materialOf(spec);
  ensure(
    facts.type === "rsa" && publicKey.modulusBits === facts.modulusBits,
    "InvalidParameter",
    "publicKeyBlob is not of wrappingKeySpec.",
  );
  const hash = OAEP_HASHES[algorithm];
  const maxLength = oaepMaxPlaintext(facts.modulusBits, hash);
  return { maxLength, wrap: (dataKey) => rsa.encryptOaep(publicKey, dataKey, { hash }) };
}

function importPublicKey(rsa: Rsa, spki: Uint8Array): RsaPublicKey {
  try {
    return rsa.importPublicKey(spki);
  } catch (cause) {
    throw new KmsError(
      "InvalidParameter",
      "publicKeyBlob must be a DER SubjectPublicKeyInfo of an RSA key.",
      { cause },
    );
  }
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `InvalidCiphertext`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.UnsupportedOperation` */
export function exportDataKey(
  context: OperationContext,
  request: ExportDataKeyRequest,
): ExportDataKeyResponse {
  checkFields(request, FIELDS);
  const blob = readCiphertextBlob(request.ciphertextBlob);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const wrapping = readWrapping(context, request);

  const version = versionOfBlob(context, blob);
  const dataKey = openBlob(context, version, blob, aad);
  try {
    ensure(
      dataKey.length <= wrapping.maxLength,
      "InvalidParameter",
      "wrappingKeySpec is too small for this data key.",
    );
    return {
      keyId: version.key.keyId,
      keyVersionId: version.keyVersionId,
      exportedDataKey: wrapping.wrap(dataKey),
      requestId: context.nextRequestId(),
    };
  } finally {
    dataKey.fill(0);
  }
}
