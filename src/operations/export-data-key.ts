/** ExportDataKey: opens a blob and hands its plaintext out encrypted to the caller's RSA public key. */

import { copyBytes, ensureBytes } from "../bytes.ts";
import type { Awaitable, Rsa, RsaPublicKey } from "../engines/engine.ts";
import { ensure, KmsError } from "../errors.ts";
import { materialOf, OAEP_HASHES, oaepMaxPlaintext } from "../keys/key-spec.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
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
  wrap(dataKey: Uint8Array): MaybePromise<Uint8Array>;
}

/**
 * Reads the wrapping fields of a request.
 *
 * @throws KmsError `InvalidParameter` when the key does not parse or is not of the spec
 */
export function readWrapping(context: OperationContext, request: WrappingFields): MaybePromise<Wrapping> {
  const { publicKeyBlob } = request;
  ensure(publicKeyBlob !== undefined, "MissingParameter", "publicKeyBlob is required.");
  ensureBytes(publicKeyBlob, "publicKeyBlob");
  const spec = readChoice(request.wrappingKeySpec, "wrappingKeySpec", ["RSA_2048", "RSA_3072", "RSA_4096"]);
  const algorithm = readChoice(request.wrappingAlgorithm, "wrappingAlgorithm", [
    "RSAES_OAEP_SHA_256",
    "RSAES_OAEP_SHA_1",
  ]);
  const facts = materialOf(spec);
  if (facts.type !== "rsa") throw new Error("internal: not an RSA spec");
  const hash = OAEP_HASHES[algorithm];
  const maxLength = oaepMaxPlaintext(facts.modulusBits, hash);
  const ready = context.router.rsa.forPublicKeys(facts.modulusBits);
  // The caller may change its own once the call has returned.
  const spki = ready instanceof Promise ? copyBytes(publicKeyBlob) : publicKeyBlob;
  return whenReady(ready, (rsa) =>
    whenReady(importPublicKey(rsa, spki), (publicKey) => {
      ensure(
        publicKey.modulusBits === facts.modulusBits,
        "InvalidParameter",
        "publicKeyBlob is not of wrappingKeySpec.",
      );
      return { maxLength, wrap: (dataKey) => rsa.encryptOaep(publicKey, dataKey, { hash }) };
    }),
  );
}

function importPublicKey(rsa: Awaitable<Rsa>, spki: Uint8Array): MaybePromise<RsaPublicKey> {
  const refuse = (cause: unknown): never => {
    throw new KmsError(
      "InvalidParameter",
      "publicKeyBlob must be a DER SubjectPublicKeyInfo of an RSA key.",
      { cause },
    );
  };
  try {
    const imported = rsa.importPublicKey(spki);
    return imported instanceof Promise ? imported.catch(refuse) : imported;
  } catch (cause) {
    return refuse(cause);
  }
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `InvalidCiphertext`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.UnsupportedOperation` */
export function exportDataKey(
  context: OperationContext,
  request: ExportDataKeyRequest,
): MaybePromise<ExportDataKeyResponse> {
  checkFields(request, FIELDS);
  const blob = readCiphertextBlob(request.ciphertextBlob);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const wrapping = readWrapping(context, request);
  if (!(wrapping instanceof Promise)) return openAndWrap(context, blob, aad, wrapping);
  const [ownBlob, ownAad] = [copyBytes(blob), copyBytes(aad)];
  return wrapping.then((ready) => openAndWrap(context, ownBlob, ownAad, ready));
}

function openAndWrap(
  context: OperationContext,
  blob: Uint8Array,
  aad: Uint8Array,
  wrapping: Wrapping,
): MaybePromise<ExportDataKeyResponse> {
  const version = versionOfBlob(context, blob);
  return whenReady(openBlob(context, version, blob, aad), (dataKey) =>
    finallyRun(
      () => {
        ensure(
          dataKey.length <= wrapping.maxLength,
          "InvalidParameter",
          "wrappingKeySpec is too small for this data key.",
        );
        return whenReady(wrapping.wrap(dataKey), (exportedDataKey) => ({
          keyId: version.key.keyId,
          keyVersionId: version.keyVersionId,
          exportedDataKey,
          requestId: context.nextRequestId(),
        }));
      },
      () => void dataKey.fill(0),
    ),
  );
}
