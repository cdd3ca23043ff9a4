/** Decrypt: opens the detached output of Encrypt and GenerateDataKey, RSA-OAEP, and ECIES. */

import { decryptEcies } from "../engines/ecies.ts";
import { ensure, invalidCiphertext } from "../errors.ts";
import { assertUsable, type KeyVersion } from "../keys/key.ts";
import {
  type BlockAlgorithm,
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  isBlockAlgorithm,
  OAEP_HASHES,
} from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { ensureNoAad } from "./encrypt.ts";
import { decryptBlocks, ensureNoContext, readBlockIv, readPaddingMode } from "./hardware-cipher.ts";
import {
  type AadFields,
  checkFields,
  fields,
  readAad,
  readCiphertextBlob,
  readOptionalIv,
  readOptionalString,
  readString,
} from "./input.ts";
import { openDetached } from "./seal.ts";
import { withBinding } from "./with-binding.ts";

export interface DecryptRequest extends AadFields {
  readonly keyId: string;
  readonly ciphertextBlob: Uint8Array;
  /** The 12 bytes that `encrypt` returned; required for AES_GCM. */
  readonly iv?: Uint8Array | undefined;
  readonly algorithm?: EncryptionAlgorithm | undefined;
  /** As `encrypt` returned it. */
  readonly paddingMode?: string | undefined;
}

export interface DecryptResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** Owns its buffer; the caller wipes it. */
  readonly plaintext: Uint8Array;
  readonly algorithm: EncryptionAlgorithm;
}

const FIELDS = fields(
  "keyId",
  "ciphertextBlob",
  "iv",
  "algorithm",
  "aad",
  "encryptionContext",
  "paddingMode",
);

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `InvalidCiphertext` */
export function decrypt(context: OperationContext, request: DecryptRequest): MaybePromise<DecryptResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const sealed = readCiphertextBlob(request.ciphertextBlob);
  const requested = readOptionalString(request.algorithm, "algorithm");

  const key = resolveKey(context, keyId);
  assertUsable(key, "ENCRYPT/DECRYPT");
  const algorithm = encryptionAlgorithm(key.identity.spec, requested, key.isHardware);
  const version = key.initialVersion;
  const identified = { keyId: key.keyId, keyVersionId: version.keyVersionId };

  if (isBlockAlgorithm(algorithm)) {
    ensureNoContext(request);
    const paddingMode = readPaddingMode(request.paddingMode);
    const iv = readBlockIv(algorithm, request.iv);
    ensure(iv !== undefined || algorithm === "AES_ECB", "MissingParameter", "iv is required for AES_CBC.");
    return decryptBlocks(context, version, algorithm, paddingMode, iv, sealed).then((plaintext) => ({
      ...identified,
      plaintext,
      algorithm,
      requestId: context.nextRequestId(),
    }));
  }
  ensure(
    request.paddingMode === undefined,
    "InvalidParameter",
    "paddingMode is for AES_CBC and AES_ECB only.",
  );
  if (algorithm !== "AES_GCM") {
    ensureNoAad(request);
    return whenReady(decryptAsymmetric(context, version, algorithm, sealed), (plaintext) => {
      if (plaintext === undefined) throw invalidCiphertext();
      return { ...identified, plaintext, algorithm, requestId: context.nextRequestId() };
    });
  }
  const aad = readAad(context, request.aad, request.encryptionContext);
  const iv = readOptionalIv(request.iv);
  ensure(iv !== undefined, "MissingParameter", "iv is required for AES_GCM.");
  return whenReady(openDetached(context, version, iv, sealed, aad), (plaintext) => ({
    ...identified,
    plaintext,
    algorithm,
    requestId: context.nextRequestId(),
  }));
}

function decryptAsymmetric(
  context: OperationContext,
  version: KeyVersion,
  algorithm: Exclude<EncryptionAlgorithm, "AES_GCM" | BlockAlgorithm>,
  ciphertext: Uint8Array,
): MaybePromise<Uint8Array | undefined> {
  if (algorithm === "ECIES_DH_SHA_1_XOR_HMAC") {
    return withBinding(
      context,
      version,
      "ENCRYPT/DECRYPT",
      context.router.ec.ecies(version, "decrypt"),
      [ciphertext] as const,
      ({ engine, privateKey }, [own]) => decryptEcies(engine, privateKey, own),
    );
  }
  const hash = OAEP_HASHES[algorithm];
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    context.router.rsa.find(version, "private"),
    [ciphertext] as const,
    ({ rsa, privateKey }, [own]) => rsa.decryptOaep(privateKey, own, { hash }),
  );
}
