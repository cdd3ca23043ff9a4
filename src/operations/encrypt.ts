/** Encrypt: detached ciphertext under the initial version of a symmetric key, RSA-OAEP, or ECIES. */

import { encryptEcies } from "../engines/ecies.ts";
import { randomBytes } from "../engines/random.ts";
import { ensure } from "../errors.ts";
import { assertUsable, type Key, type KeyVersion } from "../keys/key.ts";
import {
  type BlockAlgorithm,
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  isBlockAlgorithm,
  materialOf,
  OAEP_HASHES,
  oaepMaxPlaintext,
} from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import {
  BLOCK_LENGTH,
  encryptBlocks,
  ensureNoContext,
  type PaddingMode,
  readBlockIv,
  readPaddingMode,
} from "./hardware-cipher.ts";
import {
  type AadFields,
  checkFields,
  fields,
  readAad,
  readOptionalIv,
  readOptionalString,
  readPayload,
  readString,
} from "./input.ts";
import { sealUnder } from "./seal.ts";
import { withBinding } from "./with-binding.ts";

export interface EncryptRequest extends AadFields {
  readonly keyId: string;
  /** 1 byte to 3 MiB (strict: 6 KiB); RSA: at most k - 2h - 2 bytes. */
  readonly plaintext: Uint8Array;
  readonly algorithm?: EncryptionAlgorithm | undefined;
  /** 12 bytes (AES_CBC: 16); better left absent. A repeated iv under one key breaks its confidentiality and authenticity. */
  readonly iv?: Uint8Array | undefined;
  /** Of AES_CBC and AES_ECB, which hardware keys have: PKCS7_PADDING (the default) or NO_PADDING. */
  readonly paddingMode?: string | undefined;
}

/** What the caller must keep to decrypt: keyId, ciphertextBlob, algorithm, iv and the aad. */
export interface EncryptResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** Ciphertext ‖ tag, or the OAEP or ECIES ciphertext. */
  readonly ciphertextBlob: Uint8Array;
  readonly iv?: Uint8Array;
  readonly algorithm: EncryptionAlgorithm;
  readonly paddingMode?: PaddingMode;
}

const FIELDS = fields("keyId", "plaintext", "algorithm", "aad", "encryptionContext", "iv", "paddingMode");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.KeyExhausted` */
export function encrypt(context: OperationContext, request: EncryptRequest): MaybePromise<EncryptResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const plaintext = readPayload(request.plaintext, "plaintext");
  const requested = readOptionalString(request.algorithm, "algorithm");

  const key = resolveKey(context, keyId);
  assertUsable(key, "ENCRYPT/DECRYPT");
  const algorithm = encryptionAlgorithm(key.identity.spec, requested, key.isHardware);
  if (isBlockAlgorithm(algorithm)) return encryptInBlocks(context, key, algorithm, plaintext, request);
  ensure(
    request.paddingMode === undefined,
    "InvalidParameter",
    "paddingMode is for AES_CBC and AES_ECB only.",
  );
  if (algorithm !== "AES_GCM") return encryptAsymmetric(context, key, algorithm, plaintext, request);

  readPayload(plaintext, "plaintext", context.maxPlaintextLength);
  const aad = readAad(context, request.aad, request.encryptionContext);
  const version = key.initialVersion;
  return whenReady(
    sealUnder(context, "detached", version, plaintext, aad, readOptionalIv(request.iv)),
    (sealed) => ({
      keyId: key.keyId,
      keyVersionId: version.keyVersionId,
      ciphertextBlob: sealed.ciphertextBlob,
      iv: sealed.iv,
      algorithm,
      requestId: context.nextRequestId(),
    }),
  );
}

/** AES_CBC and AES_ECB of a hardware key. */
async function encryptInBlocks(
  context: OperationContext,
  key: Key,
  algorithm: BlockAlgorithm,
  plaintext: Uint8Array,
  request: EncryptRequest,
): Promise<EncryptResponse> {
  ensureNoContext(request);
  readPayload(plaintext, "plaintext", context.maxPlaintextLength);
  const paddingMode = readPaddingMode(request.paddingMode);
  const chosen = readBlockIv(algorithm, request.iv);
  const iv = algorithm === "AES_ECB" ? undefined : (chosen ?? randomBytes(BLOCK_LENGTH));
  const version = key.initialVersion;
  const ciphertextBlob = await encryptBlocks(context, version, algorithm, paddingMode, iv, plaintext);
  return {
    keyId: key.keyId,
    keyVersionId: version.keyVersionId,
    ciphertextBlob,
    ...(iv === undefined ? {} : { iv }),
    algorithm,
    paddingMode,
    requestId: context.nextRequestId(),
  };
}

function encryptAsymmetric(
  context: OperationContext,
  key: Key,
  algorithm: Exclude<EncryptionAlgorithm, "AES_GCM" | BlockAlgorithm>,
  plaintext: Uint8Array,
  request: EncryptRequest,
): MaybePromise<EncryptResponse> {
  ensureNoAad(request);
  const version = key.initialVersion;
  const encrypted =
    algorithm === "ECIES_DH_SHA_1_XOR_HMAC"
      ? encryptToEc(context, version, plaintext)
      : encryptOaep(context, version, algorithm, plaintext);
  return whenReady(encrypted, (ciphertextBlob) => ({
    keyId: key.keyId,
    keyVersionId: version.keyVersionId,
    ciphertextBlob,
    algorithm,
    requestId: context.nextRequestId(),
  }));
}

function encryptToEc(
  context: OperationContext,
  version: KeyVersion,
  plaintext: Uint8Array,
): MaybePromise<Uint8Array> {
  readPayload(plaintext, "plaintext", context.maxPlaintextLength);
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    context.router.ec.ecies(version, "encrypt"),
    [plaintext] as const,
    ({ engine, publicKey }, [message]) => encryptEcies(engine, publicKey, message),
  );
}

function encryptOaep(
  context: OperationContext,
  version: KeyVersion,
  algorithm: keyof typeof OAEP_HASHES,
  plaintext: Uint8Array,
): MaybePromise<Uint8Array> {
  const facts = materialOf(version.key.identity.spec);
  const hash = OAEP_HASHES[algorithm];
  const max = facts.type === "rsa" ? oaepMaxPlaintext(facts.modulusBits, hash) : 0;
  ensure(
    plaintext.length <= max,
    "InvalidParameter",
    `plaintext must have at most ${max} bytes for ${algorithm}.`,
  );
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    context.router.rsa.find(version, "public"),
    [plaintext] as const,
    ({ rsa, publicKey }, [message]) => rsa.encryptOaep(publicKey, message, { hash }),
  );
}

/** Refuses what asymmetric algorithms cannot bind, rather than dropping it. @throws KmsError `InvalidParameter` */
export function ensureNoAad(request: AadFields & { readonly iv?: unknown }): void {
  for (const name of ["aad", "encryptionContext", "iv"] as const) {
    ensure(request[name] === undefined, "InvalidParameter", `${name} is for symmetric keys only.`);
  }
}
