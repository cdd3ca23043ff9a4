/** The page's side: an object with the calls of a Kms, each of which is a message to the worker that has it. */

import { KmsError } from "../errors.ts";
import type { GenerateOptions, Kms } from "../kms.ts";
import type { BatchItem } from "../operations/batch.ts";
import {
  type ErrorFacts,
  errorOf,
  type FromWorker,
  type Hello,
  isBatch,
  type Opening,
  packRequest,
  REMOTE_METHODS,
  type RemoteMethod,
  type ToWorker,
  webLocks,
  wipeBytes,
} from "./messages.ts";

/** The calls of a Kms that lives elsewhere: all but the synchronous ones, with the same requests, answers and errors. */
export interface RemoteKms extends Pick<Kms, RemoteMethod> {
  /** Names the engine that runs in the worker. */
  readonly engine: Kms["engine"];
  /** Closes the Kms in the worker, which wipes its keys; for every page that is connected to it. */
  close(): Promise<void>;
}

/** What `serveKms` was called in: a Worker, or the other end of its MessagePort. */
export interface KmsWorker {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "error", listener: (event: unknown) => void): void;
  removeEventListener(type: "error", listener: (event: unknown) => void): void;
}

export interface ConnectOptions {
  /**
   * Handed to the worker's `open` as a structured clone. A CryptoKey may go here; bytes of a key should not, for they stay in
   * this page's memory.
   */
  readonly setup?: unknown;
  /** Ends the wait for the Kms with its reason. The worker is not told, and opens it, with this `setup`, for whoever connects next. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to a worker in which `serveKms` was called, and waits until its Kms is open.
 *
 * Byte arrays of requests are copied once, and the copy is moved to the worker; byte arrays of answers are moved back. A
 * signal rejects the call at once with its reason, and an answer that comes later is zeroed. When the worker fails, which
 * is an error that it does not catch, a message of it that cannot be read, or its end where the platform has Web Locks, every
 * call rejects with `ServiceUnavailableTemporary`, those under way and those after; a worker that lives can be connected to
 * anew. A call that came in a message which the worker cannot read rejects likewise, with all that were under way then.
 *
 * @throws KmsError what opening the Kms ended in; `ServiceUnavailableTemporary` when the worker's script does not run, or it
 *   ends before the Kms is open; `InvalidParameter` for a `setup` that cannot be cloned, here or there
 */
export function connectKms(worker: KmsWorker, options: ConnectOptions = {}): Promise<RemoteKms> {
  const { setup, signal: waiting } = options;
  return new Promise((resolve, reject) => {
    waiting?.throwIfAborted();
    const { port1, port2 } = new MessageChannel();
    let calls: Calls | undefined;
    const watch = new AbortController();
    const release = (): void => {
      worker.removeEventListener("error", onError);
      port1.removeEventListener("close", onGone);
      port1.removeEventListener("messageerror", onError);
      waiting?.removeEventListener("abort", onAbort);
      watch.abort();
    };
    const refuse = (error: unknown): void => {
      release();
      port1.close();
      reject(error);
    };
    const onError = (): void => {
      if (calls === undefined) refuse(unavailable("The worker's script does not run."));
      else calls.fail();
    };
    const onGone = (): void => {
      onError();
      port1.close();
    };
    const onAbort = (): void => refuse(waiting?.reason);
    waiting?.addEventListener("abort", onAbort);
    worker.addEventListener("error", onError);
    port1.addEventListener("close", onGone);
    port1.addEventListener("messageerror", onError);
    port1.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === "alive") {
        if (data.life === undefined) return;
        const { signal } = watch;
        webLocks()
          ?.request(data.life, { mode: "shared", signal }, onGone)
          .catch(() => undefined);
      } else if (data.type === "open") {
        waiting?.removeEventListener("abort", onAbort);
        calls = new Calls(port1, release);
        resolve(remoteKms(data.engine, calls));
      } else if (data.type === "refused") refuse(errorOf(data.error));
    };
    try {
      port1.postMessage({ type: "open", setup } satisfies Opening);
    } catch (cause) {
      refuse(unclonable("setup", cause));
      return;
    }
    worker.postMessage({ keyplane: "connect", port: port2 } satisfies Hello, [port2]);
  });
}

function remoteKms(engine: Kms["engine"], calls: Calls): RemoteKms {
  const methods = REMOTE_METHODS.map((method) => [
    method,
    (request: unknown, options?: GenerateOptions) => calls.call(method, request, options),
  ]);
  return Object.freeze({ ...Object.fromEntries(methods), engine, close: () => calls.close() }) as RemoteKms;
}

function unclonable(name: string, cause: unknown): KmsError {
  return new KmsError("InvalidParameter", `${name} has something that cannot be sent to a worker.`, {
    cause,
  });
}

function unavailable(message = "The worker failed."): KmsError {
  return new KmsError("ServiceUnavailableTemporary", message);
}

function closed(): KmsError {
  return new KmsError("Rejected.Closed", "The Kms is closed.");
}

interface Pending {
  readonly method: RemoteMethod | "close";
  readonly onProgress: ((fraction: number) => void) | undefined;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** Calls that wait for their answers, by number. */
class Calls {
  readonly #port: MessagePort;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closing: Promise<void> | undefined;
  #failed = false;
  readonly #release: () => void;

  /** `release` is called when nothing more is to be heard of the worker but late answers, which are wiped. */
  constructor(port: MessagePort, release: () => void) {
    this.#port = port;
    this.#release = release;
    port.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
  }

  async call(method: RemoteMethod, request: unknown, options: GenerateOptions = {}): Promise<unknown> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw closed();
    if (this.#failed) throw unavailable();
    const { value, transfer } = packRequest(request);
    const id = ++this.#lastId;
    const wantsProgress = onProgress !== undefined;
    try {
      this.#send({ type: "call", id, method, request: value, wantsProgress }, transfer);
    } catch (cause) {
      // The copies alone: what cannot be sent is among things that were not copied.
      wipeBytes(transfer);
      throw unclonable("The request", cause);
    }
    const onAbort = (): void => {
      this.#pending.get(id)?.reject(signal?.reason);
      this.#pending.delete(id);
      this.#send({ type: "cancel", id });
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await this.#answer(id, method, onProgress);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends all calls, now and later: whether the worker still does them nobody can tell. */
  fail(): void {
    this.#failed = true;
    this.#release();
    this.#rejectAll(unavailable());
  }

  /** Ends the calls under way, one of which never reached the Kms: which one nobody can tell. */
  #endUnread(): void {
    for (const [id, { method, reject }] of this.#pending) {
      if (method === "close") continue;
      this.#pending.delete(id);
      reject(unavailable("The worker could not read a message."));
    }
  }

  async #close(): Promise<void> {
    const id = ++this.#lastId;
    try {
      // A worker that failed and lives on wipes its keys all the same.
      this.#send({ type: "close", id });
      if (this.#failed) throw unavailable();
      await this.#answer(id, "close", undefined);
    } finally {
      this.#rejectAll(closed());
      this.#port.close();
      this.#release();
    }
  }

  #rejectAll(error: KmsError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }

  #send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #answer(id: number, method: Pending["method"], onProgress: Pending["onProgress"]): Promise<unknown> {
    return new Promise((resolve, reject) => this.#pending.set(id, { method, onProgress, resolve, reject }));
  }

  #receive(message: FromWorker): void {
    if (message.type === "unread") this.#endUnread();
    if (!("id" in message)) return;
    const pending = this.#pending.get(message.id);
    if (message.type === "progress") {
      pending?.onProgress?.(message.fraction);
      return;
    }
    this.#pending.delete(message.id);
    if (message.type === "failure") pending?.reject(errorOf(message.error));
    else if (pending === undefined) wipeBytes(message.response);
    else pending.resolve(isBatchAnswer(pending) ? withErrors(message.response) : message.response);
  }
}

function isBatchAnswer({ method }: Pending): boolean {
  return method !== "close" && isBatch(method);
}

/** Puts the errors of a batch's answer together again. */
function withErrors(items: unknown): BatchItem<unknown>[] {
  return (items as readonly (BatchItem<unknown> | { ok: false; error: ErrorFacts })[]).map((item) =>
    item.ok ? item : { ok: false, error: errorOf(item.error) },
  );
}
