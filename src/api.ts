/** The names that every platform's entry exports alike. Nothing is defined here. */

export type { EngineChoice } from "./engines/choose-engine.ts";
export type { RootKeyOption } from "./engines/root-key.ts";
export type { EncryptionContext } from "./envelope/encryption-context.ts";
export { fromVendorBlob, toVendorBlob, type VendorBlobLayout } from "./envelope/vendor-blob.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";
export type { KeyOrigin, ProtectionLevel } from "./keys/key.ts";
export type {
  EncryptionAlgorithm,
  KeyPairSpec,
  KeySpec,
  KeyUsage,
  MacAlgorithm,
  SignatureAlgorithm,
} from "./keys/key-spec.ts";
export type { KeyState } from "./keys/key-state.ts";
export type { KeyStore, RecordKind, StoreChange, StoredRecord } from "./keys/key-store.ts";
export type { CallOptions, GenerateOptions } from "./kms.ts";
export type { AdvanceDecryptRequest, AdvanceDecryptResponse } from "./operations/advance-decrypt.ts";
export type { AdvanceEncryptRequest, AdvanceEncryptResponse } from "./operations/advance-encrypt.ts";
export type {
  AliasMetadata,
  AliasRequest,
  DeleteAliasRequest,
  ListAliasesRequest,
  ListAliasesResponse,
} from "./operations/aliases.ts";
export type { BatchItem } from "./operations/batch.ts";
export type { ScheduleKeyDeletionRequest } from "./operations/change-key-state.ts";
export type { ResponseMetadata } from "./operations/context.ts";
export type { CreateKeyRequest, CreateKeyResponse, Tag } from "./operations/create-key.ts";
export type { DecryptRequest, DecryptResponse } from "./operations/decrypt.ts";
export type {
  DescribeKeyResponse,
  DescribeKeyVersionRequest,
  DescribeKeyVersionResponse,
  KeyIdRequest,
  ListKeysRequest,
  ListKeysResponse,
  ListKeyVersionsRequest,
  ListKeyVersionsResponse,
} from "./operations/describe-key.ts";
export type { EncryptRequest, EncryptResponse } from "./operations/encrypt.ts";
export type {
  ExportDataKeyRequest,
  ExportDataKeyResponse,
  WrappingAlgorithm,
  WrappingFields,
  WrappingKeySpec,
} from "./operations/export-data-key.ts";
export type {
  GenerateAndExportDataKeyRequest,
  GenerateAndExportDataKeyResponse,
} from "./operations/generate-and-export-data-key.ts";
export type {
  DataKeyFields,
  GenerateDataKeyRequest,
  GenerateDataKeyResponse,
  GenerateDataKeyWithoutPlaintextResponse,
} from "./operations/generate-data-key.ts";
export type {
  GenerateDataKeyPairRequest,
  GenerateDataKeyPairResponse,
  GenerateDataKeyPairWithoutPlaintextResponse,
  KeyFormat,
} from "./operations/generate-data-key-pair.ts";
export type {
  GenerateMacRequest,
  GenerateMacResponse,
  VerifyMacRequest,
  VerifyMacResponse,
} from "./operations/generate-mac.ts";
export type { GenerateRandomRequest, GenerateRandomResponse } from "./operations/generate-random.ts";
export type { GetPublicKeyRequest, GetPublicKeyResponse } from "./operations/get-public-key.ts";
export type { AadFields } from "./operations/input.ts";
export type { InspectRequest, InspectResponse } from "./operations/inspect.ts";
export type { KeyMetadata, KeyVersionMetadata, KeyVersionUsage } from "./operations/key-metadata.ts";
export type { KmsOptions } from "./operations/open-kms.ts";
export type { PageRequest, PageResponse } from "./operations/paging.ts";
export type { ReEncryptRequest, ReEncryptResponse } from "./operations/re-encrypt.ts";
export type { RotateKeyResponse } from "./operations/rotate-key.ts";
export type { SignRequest, SignResponse } from "./operations/sign.ts";
export type { MessageType, SigningFields } from "./operations/signing-input.ts";
export type { VerifyRequest, VerifyResponse } from "./operations/verify.ts";
export { memoryStore } from "./stores/memory.ts";
