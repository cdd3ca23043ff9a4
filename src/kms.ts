/** The facade: one method an operation, no logic. What each call does is in the file of its operation. */

import { KmsError } from "./errors.ts";
import type { MaybePromise } from "./maybe-promise.ts";
import {
  type AdvanceDecryptRequest,
  type AdvanceDecryptResponse,
  advanceDecrypt,
} from "./operations/advance-decrypt.ts";
import {
  type AdvanceEncryptRequest,
  type AdvanceEncryptResponse,
  advanceEncrypt,
} from "./operations/advance-encrypt.ts";
import * as aliases from "./operations/aliases.ts";
import { type BatchItem, runBatch, wipePlaintext } from "./operations/batch.ts";
import { type BulkKey, importBulkKey } from "./operations/bulk-key.ts";
import * as states from "./operations/change-key-state.ts";
import type { OperationContext, ResponseMetadata } from "./operations/context.ts";
import { type CreateKeyRequest, type CreateKeyResponse, createKey } from "./operations/create-key.ts";
import { type DecryptRequest, type DecryptResponse, decrypt } from "./operations/decrypt.ts";
import * as descriptions from "./operations/describe-key.ts";
import { type EncryptRequest, type EncryptResponse, encrypt } from "./operations/encrypt.ts";
import {
  type ExportDataKeyRequest,
  type ExportDataKeyResponse,
  exportDataKey,
} from "./operations/export-data-key.ts";
import {
  type GenerateAndExportDataKeyRequest,
  type GenerateAndExportDataKeyResponse,
  generateAndExportDataKey,
} from "./operations/generate-and-export-data-key.ts";
import * as dataKeys from "./operations/generate-data-key.ts";
import * as dataKeyPairs from "./operations/generate-data-key-pair.ts";
import * as macs from "./operations/generate-mac.ts";
import {
  type GenerateRandomRequest,
  type GenerateRandomResponse,
  generateRandom,
} from "./operations/generate-random.ts";
import {
  type GetPublicKeyRequest,
  type GetPublicKeyResponse,
  getPublicKey,
} from "./operations/get-public-key.ts";
import { type InspectRequest, type InspectResponse, inspect } from "./operations/inspect.ts";
import { type EngineName, type KmsOptions, type OpenKms, openKms } from "./operations/open-kms.ts";
import { type ReEncryptRequest, type ReEncryptResponse, reEncrypt } from "./operations/re-encrypt.ts";
import { type RotateKeyResponse, rotateKey } from "./operations/rotate-key.ts";
import { type SignRequest, type SignResponse, sign } from "./operations/sign.ts";
import { type VerifyRequest, type VerifyResponse, verify } from "./operations/verify.ts";
import type { Platform } from "./platform/platform.ts";

export interface CallOptions {
  /** Cancels the call before it starts, between items of a batch and during key generation; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of calls that make key pairs. */
export interface GenerateOptions extends CallOptions {
  /** Called with a fraction from 0 to 1. */
  readonly onProgress?: ((fraction: number) => void) | undefined;
}

type Operation<Request, Response> = (context: OperationContext, request: Request) => MaybePromise<Response>;
type Generation<Request, Response> = (
  context: OperationContext,
  request: Request,
  options: { signal?: AbortSignal; onProgress?: (fraction: number) => void },
) => Promise<Response>;

let importKeyFor: (kms: Kms, dataKey: Uint8Array) => Promise<BulkKey>;
let prepareBulkFor: (kms: Kms) => Promise<void>;

export class Kms {
  static {
    importKeyFor = (kms, dataKey) => importBulkKey(kms.#open(), dataKey);
    prepareBulkFor = (kms) => kms.#open().prepareBulk();
  }

  readonly #kms: OpenKms;
  #closing: Promise<void> | undefined;

  protected constructor(kms: OpenKms) {
    this.#kms = kms;
  }

  /**
   * Names the engine that runs: the one that seals a small plaintext. "auto" may give large ones, and what this one does
   * not serve, to another.
   */
  get engine(): EngineName {
    return this.#kms.engine;
  }

  /** Opens the store for a platform's `Kms.open`. */
  protected static openContext(options: KmsOptions, platform: Platform): Promise<OpenKms> {
    return openKms(options, platform);
  }

  /** Encrypts under the initial version (detached ciphertext) or with RSA-OAEP. */
  encrypt(request: EncryptRequest, options: CallOptions = {}): Promise<EncryptResponse> {
    return this.#call(encrypt, request, options);
  }

  /** Runs `encrypt` over many requests; see `BatchItem`. */
  encryptBatch(
    requests: readonly EncryptRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<EncryptResponse>[]> {
    return this.#batch(encrypt, requests, options);
  }

  /** Does `encrypt` at once; software keys only. Errors are thrown. */
  encryptSync(request: EncryptRequest): EncryptResponse {
    return this.#callSync(encrypt, request);
  }

  /** Opens the output of `encrypt` and `generateDataKey`. */
  decrypt(request: DecryptRequest, options: CallOptions = {}): Promise<DecryptResponse> {
    return this.#call(decrypt, request, options);
  }

  /** Runs `decrypt` over many requests; see `BatchItem`. */
  decryptBatch(
    requests: readonly DecryptRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<DecryptResponse>[]> {
    return this.#batch(decrypt, requests, options);
  }

  /** Does `decrypt` at once; software keys only. Errors are thrown. */
  decryptSync(request: DecryptRequest): DecryptResponse {
    return this.#callSync(decrypt, request);
  }

  /** Encrypts under the primary version into a self-describing blob. */
  advanceEncrypt(request: AdvanceEncryptRequest, options: CallOptions = {}): Promise<AdvanceEncryptResponse> {
    return this.#call(advanceEncrypt, request, options);
  }

  /** Runs `advanceEncrypt` over many requests; see `BatchItem`. */
  advanceEncryptBatch(
    requests: readonly AdvanceEncryptRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<AdvanceEncryptResponse>[]> {
    return this.#batch(advanceEncrypt, requests, options);
  }

  /** Does `advanceEncrypt` at once; software keys only. Errors are thrown. */
  advanceEncryptSync(request: AdvanceEncryptRequest): AdvanceEncryptResponse {
    return this.#callSync(advanceEncrypt, request);
  }

  /** Opens the output of every symmetric producer. */
  advanceDecrypt(request: AdvanceDecryptRequest, options: CallOptions = {}): Promise<AdvanceDecryptResponse> {
    return this.#call(advanceDecrypt, request, options);
  }

  /** Runs `advanceDecrypt` over many requests; see `BatchItem`. */
  advanceDecryptBatch(
    requests: readonly AdvanceDecryptRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<AdvanceDecryptResponse>[]> {
    return this.#batch(advanceDecrypt, requests, options);
  }

  /** Does `advanceDecrypt` at once; software keys only. Errors are thrown. */
  advanceDecryptSync(request: AdvanceDecryptRequest): AdvanceDecryptResponse {
    return this.#callSync(advanceDecrypt, request);
  }

  /** Makes a data key, sealed under the initial version (detached). */
  generateDataKey(
    request: dataKeys.GenerateDataKeyRequest,
    options: CallOptions = {},
  ): Promise<dataKeys.GenerateDataKeyResponse> {
    return this.#call(dataKeys.generateDataKey, request, options);
  }

  /** Runs `generateDataKey` over many requests; see `BatchItem`. */
  generateDataKeyBatch(
    requests: readonly dataKeys.GenerateDataKeyRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<dataKeys.GenerateDataKeyResponse>[]> {
    return this.#batch(dataKeys.generateDataKey, requests, options);
  }

  /** Does `generateDataKey` at once; software keys only. Errors are thrown. */
  generateDataKeySync(request: dataKeys.GenerateDataKeyRequest): dataKeys.GenerateDataKeyResponse {
    return this.#callSync(dataKeys.generateDataKey, request);
  }

  /** Makes a data key and returns only its sealed form (detached). */
  generateDataKeyWithoutPlaintext(
    request: dataKeys.GenerateDataKeyRequest,
    options: CallOptions = {},
  ): Promise<dataKeys.GenerateDataKeyWithoutPlaintextResponse> {
    return this.#call(dataKeys.generateDataKeyWithoutPlaintext, request, options);
  }

  /** Runs `generateDataKeyWithoutPlaintext` over many requests; see `BatchItem`. */
  generateDataKeyWithoutPlaintextBatch(
    requests: readonly dataKeys.GenerateDataKeyRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<dataKeys.GenerateDataKeyWithoutPlaintextResponse>[]> {
    return this.#batch(dataKeys.generateDataKeyWithoutPlaintext, requests, options);
  }

  /** Makes a data key, sealed under the primary version into a blob. */
  advanceGenerateDataKey(
    request: dataKeys.GenerateDataKeyRequest,
    options: CallOptions = {},
  ): Promise<dataKeys.GenerateDataKeyResponse> {
    return this.#call(dataKeys.advanceGenerateDataKey, request, options);
  }

  /** Runs `advanceGenerateDataKey` over many requests; see `BatchItem`. */
  advanceGenerateDataKeyBatch(
    requests: readonly dataKeys.GenerateDataKeyRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<dataKeys.GenerateDataKeyResponse>[]> {
    return this.#batch(dataKeys.advanceGenerateDataKey, requests, options);
  }

  /** Does `advanceGenerateDataKey` at once; software keys only. Errors are thrown. */
  advanceGenerateDataKeySync(request: dataKeys.GenerateDataKeyRequest): dataKeys.GenerateDataKeyResponse {
    return this.#callSync(dataKeys.advanceGenerateDataKey, request);
  }

  /** Makes a data key and returns only its blob. */
  advanceGenerateDataKeyWithoutPlaintext(
    request: dataKeys.GenerateDataKeyRequest,
    options: CallOptions = {},
  ): Promise<dataKeys.GenerateDataKeyWithoutPlaintextResponse> {
    return this.#call(dataKeys.advanceGenerateDataKeyWithoutPlaintext, request, options);
  }

  /** Runs `advanceGenerateDataKeyWithoutPlaintext` over many requests; see `BatchItem`. */
  advanceGenerateDataKeyWithoutPlaintextBatch(
    requests: readonly dataKeys.GenerateDataKeyRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<dataKeys.GenerateDataKeyWithoutPlaintextResponse>[]> {
    return this.#batch(dataKeys.advanceGenerateDataKeyWithoutPlaintext, requests, options);
  }

  /** Moves a blob to the newest version, another key or another context without showing its plaintext. */
  reEncrypt(request: ReEncryptRequest, options: CallOptions = {}): Promise<ReEncryptResponse> {
    return this.#call(reEncrypt, request, options);
  }

  /** Runs `reEncrypt` over many requests; see `BatchItem`. */
  reEncryptBatch(
    requests: readonly ReEncryptRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<ReEncryptResponse>[]> {
    return this.#batch(reEncrypt, requests, options);
  }

  /** Signs a message or its digest. */
  sign(request: SignRequest, options: CallOptions = {}): Promise<SignResponse> {
    return this.#call(sign, request, options);
  }

  /** Runs `sign` over many requests; see `BatchItem`. */
  signBatch(requests: readonly SignRequest[], options: CallOptions = {}): Promise<BatchItem<SignResponse>[]> {
    return this.#batch(sign, requests, options);
  }

  /** Tells whether a signature is good; a bad one is `value: false`. */
  verify(request: VerifyRequest, options: CallOptions = {}): Promise<VerifyResponse> {
    return this.#call(verify, request, options);
  }

  /** Runs `verify` over many requests; see `BatchItem`. */
  verifyBatch(
    requests: readonly VerifyRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<VerifyResponse>[]> {
    return this.#batch(verify, requests, options);
  }

  /** Computes an HMAC. */
  generateMac(
    request: macs.GenerateMacRequest,
    options: CallOptions = {},
  ): Promise<macs.GenerateMacResponse> {
    return this.#call(macs.generateMac, request, options);
  }

  /** Runs `generateMac` over many requests; see `BatchItem`. */
  generateMacBatch(
    requests: readonly macs.GenerateMacRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<macs.GenerateMacResponse>[]> {
    return this.#batch(macs.generateMac, requests, options);
  }

  /** Tells whether an HMAC is good; a bad one is `value: false`. */
  verifyMac(request: macs.VerifyMacRequest, options: CallOptions = {}): Promise<macs.VerifyMacResponse> {
    return this.#call(macs.verifyMac, request, options);
  }

  /** Runs `verifyMac` over many requests; see `BatchItem`. */
  verifyMacBatch(
    requests: readonly macs.VerifyMacRequest[],
    options: CallOptions = {},
  ): Promise<BatchItem<macs.VerifyMacResponse>[]> {
    return this.#batch(macs.verifyMac, requests, options);
  }

  /** Makes a key pair whose private half is sealed like `generateDataKey` seals. */
  generateDataKeyPair(
    request: dataKeyPairs.GenerateDataKeyPairRequest,
    options: GenerateOptions = {},
  ): Promise<dataKeyPairs.GenerateDataKeyPairResponse> {
    return this.#generate(dataKeyPairs.generateDataKeyPair, request, options);
  }

  /** Makes a key pair whose private half is sealed like `generateDataKey` seals. */
  generateDataKeyPairWithoutPlaintext(
    request: dataKeyPairs.GenerateDataKeyPairRequest,
    options: GenerateOptions = {},
  ): Promise<dataKeyPairs.GenerateDataKeyPairWithoutPlaintextResponse> {
    return this.#generate(dataKeyPairs.generateDataKeyPairWithoutPlaintext, request, options);
  }

  /** Makes a key pair whose private half is sealed like `advanceGenerateDataKey` seals. */
  advanceGenerateDataKeyPair(
    request: dataKeyPairs.GenerateDataKeyPairRequest,
    options: GenerateOptions = {},
  ): Promise<dataKeyPairs.GenerateDataKeyPairResponse> {
    return this.#generate(dataKeyPairs.advanceGenerateDataKeyPair, request, options);
  }

  /** Makes a key pair whose private half is sealed like `advanceGenerateDataKey` seals. */
  advanceGenerateDataKeyPairWithoutPlaintext(
    request: dataKeyPairs.GenerateDataKeyPairRequest,
    options: GenerateOptions = {},
  ): Promise<dataKeyPairs.GenerateDataKeyPairWithoutPlaintextResponse> {
    return this.#generate(dataKeyPairs.advanceGenerateDataKeyPairWithoutPlaintext, request, options);
  }

  /** Opens a blob and returns its data key encrypted to an RSA public key. */
  exportDataKey(request: ExportDataKeyRequest, options: CallOptions = {}): Promise<ExportDataKeyResponse> {
    return this.#call(exportDataKey, request, options);
  }

  /** Makes a data key in two wrappings: a blob and an RSA public key. */
  generateAndExportDataKey(
    request: GenerateAndExportDataKeyRequest,
    options: CallOptions = {},
  ): Promise<GenerateAndExportDataKeyResponse> {
    return this.#call(generateAndExportDataKey, request, options);
  }

  /** Returns the public key of an asymmetric key. */
  getPublicKey(request: GetPublicKeyRequest, options: CallOptions = {}): Promise<GetPublicKeyResponse> {
    return this.#call(getPublicKey, request, options);
  }

  /** Returns random bytes. */
  generateRandom(request: GenerateRandomRequest, options: CallOptions = {}): Promise<GenerateRandomResponse> {
    return this.#call(generateRandom, request, options);
  }

  /** Reads key version and algorithm from a blob without opening it; nothing is authenticated. */
  inspect(request: InspectRequest, options: CallOptions = {}): Promise<InspectResponse> {
    return this.#call(inspect, request, options);
  }

  /** Returns a key's metadata. */
  describeKey(
    request: descriptions.KeyIdRequest,
    options: CallOptions = {},
  ): Promise<descriptions.DescribeKeyResponse> {
    return this.#call(descriptions.describeKey, request, options);
  }

  /** Lists a key's versions, oldest first. */
  listKeyVersions(
    request: descriptions.ListKeyVersionsRequest,
    options: CallOptions = {},
  ): Promise<descriptions.ListKeyVersionsResponse> {
    return this.#call(descriptions.listKeyVersions, request, options);
  }

  /** Returns a key version with its usage count. */
  describeKeyVersion(
    request: descriptions.DescribeKeyVersionRequest,
    options: CallOptions = {},
  ): Promise<descriptions.DescribeKeyVersionResponse> {
    return this.#call(descriptions.describeKeyVersion, request, options);
  }

  /** Gives a symmetric key a new primary version. */
  rotateKey(request: descriptions.KeyIdRequest, options: CallOptions = {}): Promise<RotateKeyResponse> {
    return this.#call(rotateKey, request, options);
  }

  /** Enables a key. */
  enableKey(request: descriptions.KeyIdRequest, options: CallOptions = {}): Promise<ResponseMetadata> {
    return this.#call(states.enableKey, request, options);
  }

  /** Disables a key. */
  disableKey(request: descriptions.KeyIdRequest, options: CallOptions = {}): Promise<ResponseMetadata> {
    return this.#call(states.disableKey, request, options);
  }

  /** Schedules a key for deletion in 7 to 366 days. */
  scheduleKeyDeletion(
    request: states.ScheduleKeyDeletionRequest,
    options: CallOptions = {},
  ): Promise<ResponseMetadata> {
    return this.#call(states.scheduleKeyDeletion, request, options);
  }

  /** Takes a key back from scheduled deletion and enables it. */
  cancelKeyDeletion(
    request: descriptions.KeyIdRequest,
    options: CallOptions = {},
  ): Promise<ResponseMetadata> {
    return this.#call(states.cancelKeyDeletion, request, options);
  }

  /** Gives a key a name. */
  createAlias(request: aliases.AliasRequest, options: CallOptions = {}): Promise<ResponseMetadata> {
    return this.#call(aliases.createAlias, request, options);
  }

  /** Points a name to another key. */
  updateAlias(request: aliases.AliasRequest, options: CallOptions = {}): Promise<ResponseMetadata> {
    return this.#call(aliases.updateAlias, request, options);
  }

  /** Removes a name. */
  deleteAlias(request: aliases.DeleteAliasRequest, options: CallOptions = {}): Promise<ResponseMetadata> {
    return this.#call(aliases.deleteAlias, request, options);
  }

  /** Lists keys, oldest first. */
  listKeys(
    request: descriptions.ListKeysRequest = {},
    options: CallOptions = {},
  ): Promise<descriptions.ListKeysResponse> {
    return this.#call(descriptions.listKeys, request, options);
  }

  /** Lists names, in order. */
  listAliases(
    request: aliases.ListAliasesRequest = {},
    options: CallOptions = {},
  ): Promise<aliases.ListAliasesResponse> {
    return this.#call(aliases.listAliases, request, options);
  }

  /** Creates a key with its first version, enabled. */
  createKey(request: CreateKeyRequest = {}, options: GenerateOptions = {}): Promise<CreateKeyResponse> {
    return this.#generate(createKey, request, options);
  }

  /** Stores what is pending, wipes every key and releases the store. Later calls are `Rejected.Closed`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#kms.close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(signal?: AbortSignal): OperationContext {
    signal?.throwIfAborted();
    if (this.#closing !== undefined)
      throw this.#identify(new KmsError("Rejected.Closed", "This Kms is closed."));
    return this.#kms.context;
  }

  /** Gives a refusal the request id that logs can be searched for. */
  #identify(error: unknown): unknown {
    if (error instanceof KmsError && error.requestId === "")
      error.requestId = this.#kms.context.nextRequestId();
    return error;
  }

  /** Not an asynchronous function: for an answer that is there at once, its frame would cost more than the promise. */
  #call<Request, Response>(
    operation: Operation<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    try {
      const response = operation(this.#open(options.signal), request);
      return response instanceof Promise ? this.#identified(response) : Promise.resolve(response);
    } catch (error) {
      return Promise.reject(this.#identify(error));
    }
  }

  async #identified<Response>(pending: Promise<Response>): Promise<Response> {
    try {
      return await pending;
    } catch (error) {
      throw this.#identify(error);
    }
  }

  #callSync<Request, Response>(operation: Operation<Request, Response>, request: Request): Response {
    this.#open();
    const context = this.#kms.syncContext;
    let response: MaybePromise<Response>;
    try {
      if (context === undefined) throw asynchronous();
      response = operation(context, request);
    } catch (error) {
      throw this.#identify(error);
    }
    if (!(response instanceof Promise)) return response;
    response.then(wipePlaintext, () => undefined);
    throw this.#identify(asynchronous());
  }

  async #batch<Request extends object, Response>(
    operation: Operation<Request, Response>,
    requests: readonly Request[],
    options: CallOptions,
  ): Promise<BatchItem<Response>[]> {
    const context = this.#open(options.signal);
    try {
      return await runBatch(context, operation, requests, options.signal);
    } catch (error) {
      throw this.#identify(error);
    }
  }

  async #generate<Request, Response>(
    generation: Generation<Request, Response>,
    request: Request,
    options: GenerateOptions,
  ): Promise<Response> {
    const context = this.#open(options.signal);
    const { signal, onProgress } = options;
    try {
      return await generation(context, request, {
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined ? {} : { onProgress }),
      });
    } catch (error) {
      throw this.#identify(error);
    }
  }
}

function asynchronous(): KmsError {
  return new KmsError(
    "Rejected.UnsupportedOperation",
    "This key, store or engine answers asynchronously; use the async call.",
  );
}

/**
 * Gives a data key to the engines of a Kms, for the streaming format. No entry exports it.
 *
 * @throws KmsError `Rejected.Closed`
 */
export function bulkKeyOf(kms: Kms, dataKey: Uint8Array): Promise<BulkKey> {
  return importKeyFor(kms, dataKey);
}

/**
 * Waits for the engine that data keys of the streaming format go to, before one is open. No entry exports it.
 *
 * @throws KmsError `Rejected.Closed`
 */
export function prepareBulk(kms: Kms): Promise<void> {
  return prepareBulkFor(kms);
}
