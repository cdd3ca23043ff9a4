/** The public subpath `keyplane/aes-gcm`: AES-GCM without a KMS and without the kernels of other primitives. */

export type { AesGcm, AesKey, OpenItem, PackedShape, SealItem } from "./engines/engine.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";
export { type AesGcmEngine, type LoadAesGcmOptions, loadAesGcm } from "./platform/aes-gcm.ts";
