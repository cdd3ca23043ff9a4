/** What `keyplane/hsm` gives: a token, or a group of tokens, behind one set of calls. */

import type { HardwareKeys } from "../hardware-keys.ts";
import type { HsmError } from "./hsm-error.ts";
import type { TokenScheme } from "./trials.ts";

/** Specs of keys that an HSM makes and imports. */
export type HsmKeySpec =
  | "Aliyun_AES_256"
  | "Aliyun_AES_192"
  | "Aliyun_AES_128"
  | "RSA_2048"
  | "RSA_3072"
  | "RSA_4096"
  | "EC_P256"
  | "EC_P256K";

/** A key in a token. */
export interface HsmKey {
  /** CKA_ID. */
  readonly id: Uint8Array;
  /** CKA_LABEL. */
  readonly label: string;
  readonly keySpec: HsmKeySpec;
  /** DER SubjectPublicKeyInfo of a key pair. */
  readonly publicKey?: Uint8Array;
  /** Of a secret key, 8 bytes that tell it from others; docs/hsm.md, [HSM-5]. */
  readonly checkValue?: Uint8Array;
  /** Whether the token would give the key away. Keys made here never are. */
  readonly extractable: boolean;
}

/** How to find a key: by CKA_ID, CKA_LABEL or both. */
export interface HsmKeyReference {
  readonly id?: Uint8Array | undefined;
  readonly label?: string | undefined;
  /** A secret key or the private key of a pair; either if absent. */
  readonly kind?: "secret" | "private" | undefined;
  /** Of an AES key, for modules that do not tell its length: SoftHSM for keys it unwrapped. */
  readonly keySpec?: HsmKeySpec | undefined;
  /** The key must be this one, or opening it is `WrongKey`. */
  readonly checkValue?: Uint8Array | undefined;
  /** The same for a key pair. */
  readonly publicKey?: Uint8Array | undefined;
}

export interface GenerateHsmKeyRequest {
  readonly keySpec: HsmKeySpec;
  /** "encrypt" (default for AES and nothing else) or "sign" (default for pairs). */
  readonly usage?: "encrypt" | "sign" | undefined;
  /** CKA_ID, 1 to 64 bytes; 16 random bytes if absent. */
  readonly id?: Uint8Array | undefined;
  readonly label?: string | undefined;
}

export interface ImportHsmKeyRequest extends GenerateHsmKeyRequest {
  /** Raw AES key, or the DER PKCS#8 of a private key. It is unwrapped inside the token; the caller wipes it. */
  readonly keyMaterial: Uint8Array;
}

export interface HsmCallOptions {
  /** Absent: what the Hsm was opened with. */
  readonly deadlineMs?: number | undefined;
  /** Rejects the call as `Cancelled` when it is aborted; `outcome` tells whether the token may have done it. */
  readonly signal?: AbortSignal | undefined;
}

export interface HsmEncryptRequest {
  readonly plaintext: Uint8Array;
  /** AES_GCM if absent. AES_CBC and AES_ECB take whole blocks and add no padding. */
  readonly algorithm?: "AES_GCM" | "AES_CBC" | "AES_ECB" | undefined;
  /** 12 bytes (GCM), 16 (CBC); random if absent. Must be absent for AES_GCM where the token makes the IVs. */
  readonly iv?: Uint8Array | undefined;
  readonly aad?: Uint8Array | undefined;
}

export interface HsmEncryptResponse {
  /** Of AES_GCM, ciphertext ‖ tag. */
  readonly ciphertext: Uint8Array;
  /** Absent for AES_ECB. */
  readonly iv?: Uint8Array;
}

export interface HsmDecryptRequest {
  readonly ciphertext: Uint8Array;
  readonly algorithm?:
    | "AES_GCM"
    | "AES_CBC"
    | "AES_ECB"
    | "RSAES_OAEP_SHA_256"
    | "RSAES_OAEP_SHA_1"
    | undefined;
  readonly iv?: Uint8Array | undefined;
  readonly aad?: Uint8Array | undefined;
}

export interface HsmSignRequest {
  /** As long as the scheme's hash; ECDSA takes 20 to 64 bytes. */
  readonly digest: Uint8Array;
  readonly scheme: TokenScheme;
}

/** The result of one item of a batch. */
export type HsmBatchItem<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: HsmError };

export type BreakerState = "closed" | "open" | "half-open";

/** Figures of one token. Counts are since it was opened. */
export interface HsmMemberStats {
  readonly member: string;
  readonly state: "ready" | "recovering" | "lost" | "locked" | "closed";
  readonly breaker: BreakerState;
  /** Grows with every login. */
  readonly epoch: number;
  readonly outstanding: number;
  readonly queued: number;
  readonly running: number;
  /** Calls that passed their deadline and have not come back. */
  readonly zombies: number;
  readonly sessions: number;
  readonly maxSessions: number;
  readonly submitted: number;
  readonly completed: number;
  readonly failed: number;
  readonly notSent: number;
  readonly timedOut: number;
  readonly retried: number;
  readonly sessionsReplaced: number;
  readonly recoveries: number;
  readonly logins: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly oldestQueuedMs: number;
}

export interface HsmStats {
  readonly members: readonly HsmMemberStats[];
  readonly failovers: number;
}

/** The outcome of a real call to each token. */
export interface HsmHealth {
  /** True when at least one token answers. */
  readonly healthy: boolean;
  readonly members: readonly {
    readonly member: string;
    readonly healthy: boolean;
    readonly breaker: BreakerState;
    readonly latencyMs?: number;
    readonly error?: HsmError;
  }[];
}

/** What an Hsm tells its listeners. */
export interface HsmEvents {
  relogin: { readonly member: string; readonly epoch: number };
  failover: { readonly from: string; readonly to: string; readonly error: HsmError };
  breaker: { readonly member: string; readonly state: BreakerState; readonly error?: HsmError };
  sessionReplaced: { readonly member: string; readonly ckr: number };
  zombie: { readonly member: string; readonly count: number };
  /** A member has no such key, or another one in its place; it takes no calls for it. */
  keyRefused: { readonly member: string; readonly error: HsmError };
}

/** What a token or the tokens of a group were seen to do. */
export interface HsmCapabilities {
  /** Mechanism numbers that the token lists; of a group, those that all list. */
  readonly mechanisms: readonly number[];
  /** By key spec, the algorithms that were tried and served. RSA is tried when the first RSA key is opened. */
  readonly algorithms: Readonly<Partial<Record<HsmKeySpec, readonly string[]>>>;
}

export interface Hsm {
  /** Label of the token, or the names of the members. */
  readonly name: string;
  readonly capabilities: HsmCapabilities;
  /** For Kms.open({ hsm }). */
  readonly hardwareKeys: HardwareKeys;

  /** Finds a key. @throws HsmError `KeyNotFound`, `WrongKey`, `Unsupported` */
  key(reference: HsmKeyReference): Promise<HsmKey>;
  /** Makes a key that never leaves the token. @throws HsmError `Unsupported` naming what the module lacks */
  generateKey(request: GenerateHsmKeyRequest): Promise<HsmKey>;
  /** Brings a key in by unwrapping it inside the token; of a group, inside every member. @throws HsmError `Unsupported` */
  importKey(request: ImportHsmKeyRequest): Promise<HsmKey>;
  /** Destroys the objects of a key; the handle is of no use afterwards. */
  destroyKey(key: HsmKey): Promise<void>;
  /** Lists secret and private keys. */
  listKeys(): Promise<readonly HsmKey[]>;

  /** @throws HsmError; `KmsError` `InvalidParameter` for what the caller got wrong */
  encrypt(key: HsmKey, request: HsmEncryptRequest, options?: HsmCallOptions): Promise<HsmEncryptResponse>;
  /** @throws HsmError `InvalidCiphertext` for whatever cannot be opened */
  decrypt(key: HsmKey, request: HsmDecryptRequest, options?: HsmCallOptions): Promise<Uint8Array>;
  /** Signs a digest: an RSA signature, or r ‖ s. */
  sign(key: HsmKey, request: HsmSignRequest, options?: HsmCallOptions): Promise<Uint8Array>;
  encryptBatch(
    key: HsmKey,
    requests: readonly HsmEncryptRequest[],
    options?: HsmCallOptions,
  ): Promise<HsmBatchItem<HsmEncryptResponse>[]>;
  decryptBatch(
    key: HsmKey,
    requests: readonly HsmDecryptRequest[],
    options?: HsmCallOptions,
  ): Promise<HsmBatchItem<Uint8Array>[]>;
  signBatch(
    key: HsmKey,
    requests: readonly HsmSignRequest[],
    options?: HsmCallOptions,
  ): Promise<HsmBatchItem<Uint8Array>[]>;
  /** Returns bytes of the token's own generator. @param length 1 to 1024 */
  generateRandom(length: number, options?: HsmCallOptions): Promise<Uint8Array>;

  stats(): HsmStats;
  /** Asks every token for a few random bytes. */
  health(): Promise<HsmHealth>;
  /** Logs in again after a refused PIN, and brings lost tokens back at once. */
  recover(): Promise<void>;
  on<Name extends keyof HsmEvents>(event: Name, listener: (details: HsmEvents[Name]) => void): this;
  off<Name extends keyof HsmEvents>(event: Name, listener: (details: HsmEvents[Name]) => void): this;
  /**
   * Lets calls end for `drainMs` (5000 if absent), ends the others and lets go of the tokens. Idempotent. Calls that hang in a
   * module are left there.
   *
   * @throws HsmError `Timeout` where a module does not answer within 2.5 s when it is finalised, `DeviceError` where it refuses
   */
  close(options?: { readonly drainMs?: number | undefined }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
