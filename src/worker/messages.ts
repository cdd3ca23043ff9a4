/**
 * What a page and the worker that holds its Kms say to one another. Byte arrays change hands: the sender's memory goes
 * with them, so that no second copy of a plaintext stays behind. Keys never cross; the Kms is opened in the worker.
 */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import type { Kms } from "../kms.ts";

/** Every method of a Kms that answers with a promise, but `close`. */
export type RemoteMethod = Exclude<
  {
    [Name in keyof Kms]: Name extends string
      ? Kms[Name] extends (...args: never) => Promise<unknown>
        ? Name
        : never
      : never;
  }[keyof Kms],
  "close"
>;

/** The calls a page may ask for; the type wants each of them here and no other. */
const METHODS: Readonly<Record<RemoteMethod, true>> = {
  encrypt: true,
  encryptBatch: true,
  decrypt: true,
  decryptBatch: true,
  advanceEncrypt: true,
  advanceEncryptBatch: true,
  advanceDecrypt: true,
  advanceDecryptBatch: true,
  generateDataKey: true,
  generateDataKeyBatch: true,
  generateDataKeyWithoutPlaintext: true,
  generateDataKeyWithoutPlaintextBatch: true,
  advanceGenerateDataKey: true,
  advanceGenerateDataKeyBatch: true,
  advanceGenerateDataKeyWithoutPlaintext: true,
  advanceGenerateDataKeyWithoutPlaintextBatch: true,
  reEncrypt: true,
  reEncryptBatch: true,
  sign: true,
  signBatch: true,
  verify: true,
  verifyBatch: true,
  generateMac: true,
  generateMacBatch: true,
  verifyMac: true,
  verifyMacBatch: true,
  generateDataKeyPair: true,
  generateDataKeyPairWithoutPlaintext: true,
  advanceGenerateDataKeyPair: true,
  advanceGenerateDataKeyPairWithoutPlaintext: true,
  exportDataKey: true,
  generateAndExportDataKey: true,
  getPublicKey: true,
  generateRandom: true,
  inspect: true,
  describeKey: true,
  listKeyVersions: true,
  describeKeyVersion: true,
  rotateKey: true,
  enableKey: true,
  disableKey: true,
  scheduleKeyDeletion: true,
  cancelKeyDeletion: true,
  createAlias: true,
  updateAlias: true,
  deleteAlias: true,
  listKeys: true,
  listAliases: true,
  createKey: true,
};

export const REMOTE_METHODS: readonly RemoteMethod[] = /* @__PURE__ */ Object.freeze(
  Object.keys(METHODS) as RemoteMethod[],
);

export function isRemoteMethod(name: unknown): name is RemoteMethod {
  return typeof name === "string" && Object.hasOwn(METHODS, name);
}

/** Tells whether a call answers with a list of which each item may have failed. */
export function isBatch(method: RemoteMethod): boolean {
  return method.endsWith("Batch");
}

/** The first message, to the worker itself; everything else goes through the port it brings. */
export interface Hello {
  readonly keyplane: "connect";
  readonly port: MessagePort;
  readonly setup: unknown;
}

export type ToWorker =
  | {
      readonly type: "call";
      readonly id: number;
      readonly method: RemoteMethod;
      readonly request: unknown;
      readonly wantsProgress: boolean;
    }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "close"; readonly id: number };

export type FromWorker =
  | { readonly type: "open"; readonly engine: Kms["engine"] }
  | { readonly type: "refused"; readonly error: ErrorFacts }
  | { readonly type: "answer"; readonly id: number; readonly response: unknown }
  | { readonly type: "failure"; readonly id: number; readonly error: ErrorFacts }
  | { readonly type: "progress"; readonly id: number; readonly fraction: number };

/** What is left of an error on the way: structured clones of errors lose their class and code. */
export interface ErrorFacts {
  readonly code: KmsErrorCode;
  readonly message: string;
  readonly requestId: string;
}

/** Tells an error's facts. What is no KmsError is our own fault or the worker's, and becomes `InternalFailure`. */
export function factsOf(error: unknown): ErrorFacts {
  if (error instanceof KmsError) {
    const { code, message, requestId } = error;
    return { code, message, requestId };
  }
  return { code: "InternalFailure", message: `The worker failed: ${String(error)}`, requestId: "" };
}

export function errorOf({ code, message, requestId }: ErrorFacts): KmsError {
  return new KmsError(code, message, { requestId });
}

/** A message with the memory that goes with it. */
export interface Parcel {
  readonly value: unknown;
  readonly transfer: ArrayBuffer[];
}

/** Requests are at most a batch of objects with a context inside. */
const MAX_DEPTH = 4;

/**
 * Copies a request's bytes into memory that can be given away. What is neither bytes, list nor plain object is left to the
 * structured clone, and to the checks of the operation behind it.
 *
 * @throws KmsError `InvalidParameter` for bytes in shared or detached memory
 */
export function packRequest(request: unknown): Parcel {
  const transfer: ArrayBuffer[] = [];
  const pack = (value: unknown, name: string, depth: number): unknown => {
    if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
    if (value instanceof Uint8Array) {
      ensureBytes(value, name);
      const copy = copyBytes(value);
      transfer.push(copy.buffer as ArrayBuffer);
      return copy;
    }
    if (Array.isArray(value)) return value.map((each) => pack(each, name, depth + 1));
    if (!isPlain(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([field, each]) => [field, pack(each, field, depth + 1)]),
    );
  };
  return { value: pack(request, "request", 0), transfer };
}

/** Makes an answer ready to be given away: bytes that own their memory as they are, views as copies of their part. */
export function packResponse(response: unknown): Parcel {
  const transfer = new Set<ArrayBuffer>();
  const pack = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Uint8Array) {
      const isOwner =
        value.byteLength === value.buffer.byteLength && !transfer.has(value.buffer as ArrayBuffer);
      const own = isOwner ? value : copyBytes(value);
      transfer.add(own.buffer as ArrayBuffer);
      return own;
    }
    if (Array.isArray(value)) return value.map(pack);
    return Object.fromEntries(Object.entries(value).map(([field, each]) => [field, pack(each)]));
  };
  return { value: pack(response), transfer: [...transfer] };
}

/** Zeroes every byte array below a value; one that was given away has nothing left. */
export function wipeBytes(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Uint8Array) value.fill(0);
  else for (const each of Object.values(value)) wipeBytes(each);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
