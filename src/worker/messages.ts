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

/**
 * The first message, to the worker itself; everything else goes through the port it brings, so that this one always can be
 * read.
 */
export interface Hello {
  readonly keyplane: "connect";
  readonly port: MessagePort;
}

/** The first message through the port; the others follow when the Kms is open. */
export interface Opening {
  readonly type: "open";
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

/** `alive` comes before `open` or `refused`; `unread` means that one of the calls came in a message that could not be read. */
export type FromWorker =
  | { readonly type: "alive"; readonly life: string | undefined }
  | { readonly type: "open"; readonly engine: Kms["engine"] }
  | { readonly type: "refused"; readonly error: ErrorFacts }
  | { readonly type: "unread" }
  | { readonly type: "answer"; readonly id: number; readonly response: unknown }
  | { readonly type: "failure"; readonly id: number; readonly error: ErrorFacts }
  | { readonly type: "progress"; readonly id: number; readonly fraction: number };

/** The Web Locks of a page or worker, where there are any: not in an insecure context, nor in Node 20. */
export function webLocks(): LockManager | undefined {
  return (globalThis as { readonly navigator?: { readonly locks?: LockManager } }).navigator?.locks;
}

/** Tells whether somebody asks to be connected, and can be answered. */
export function isHello(data: unknown): data is Hello {
  const { keyplane, port } = partsOf(data);
  return keyplane === "connect" && port instanceof MessagePort;
}

/** Tells whether somebody who is connected asks for the Kms. */
export function isOpening(data: unknown): data is Opening {
  return partsOf(data).type === "open";
}

/** Tells a message that can be answered or obeyed from anything else; its method and request are still unchecked. */
export function isToWorker(data: unknown): data is ToWorker {
  const { type, id } = partsOf(data);
  return typeof id === "number" && (type === "call" || type === "cancel" || type === "close");
}

function partsOf(data: unknown): Readonly<Record<"keyplane" | "port" | "type" | "id", unknown>> {
  return (typeof data === "object" && data !== null ? data : {}) as ReturnType<typeof partsOf>;
}

/** What is left of an error on the way: structured clones of errors lose their class and code. */
export interface ErrorFacts {
  readonly code: KmsErrorCode;
  readonly message: string;
  readonly requestId: string;
}

/**
 * Tells an error's facts. What is no KmsError is our own fault or the worker's, and becomes `InternalFailure` without a word
 * of its own: such texts quote what they stumbled over (V8's for JSON does), which may be a key file.
 */
export function factsOf(error: unknown): ErrorFacts {
  if (error instanceof KmsError) {
    const { code, message, requestId } = error;
    return { code, message, requestId };
  }
  return { code: "InternalFailure", message: "The worker failed.", requestId: "" };
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

/**
 * Zeroes all bytes below a value, which a page may have nested as it likes, also within itself. What was given away has
 * nothing left, and takes no `fill`.
 */
export function wipeBytes(value: unknown): void {
  const seen = new Set<unknown>();
  const waiting = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== "object" || next === null || seen.has(next)) continue;
    seen.add(next);
    if (ArrayBuffer.isView(next)) {
      if (next.byteLength > 0) new Uint8Array(next.buffer, next.byteOffset, next.byteLength).fill(0);
    } else if (next instanceof ArrayBuffer) {
      if (next.byteLength > 0) new Uint8Array(next).fill(0);
    } else for (const each of Object.values(next)) waiting.push(each);
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
