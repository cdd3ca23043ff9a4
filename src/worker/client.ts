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
  packRequest,
  REMOTE_METHODS,
  type RemoteMethod,
  type ToWorker,
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
}

/**
 * Connects to a worker in which `serveKms` was called, and waits until its Kms is open.
 *
 * Byte arrays of requests are copied once, and the copy is moved to the worker; byte arrays of answers are moved back. A
 * signal rejects the call at once with its reason, and an answer that comes later is zeroed.
 *
 * @throws KmsError what opening the Kms ended in; `ServiceUnavailableTemporary` when the worker's script does not run;
 *   `InvalidParameter` for a `setup` that cannot be cloned
 */
export function connectKms(worker: KmsWorker, options: ConnectOptions = {}): Promise<RemoteKms> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      worker.removeEventListener("error", onError);
      port1.close();
      reject(error);
    };
    const onError = (): void =>
      fail(new KmsError("ServiceUnavailableTemporary", "The worker's script does not run."));
    worker.addEventListener("error", onError);
    port1.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === "open") {
        worker.removeEventListener("error", onError);
        resolve(remoteKms(data.engine, new Calls(port1)));
      } else if (data.type === "refused") fail(errorOf(data.error));
    };
    try {
      const hello: Hello = { keyplane: "connect", port: port2, setup: options.setup };
      worker.postMessage(hello, [port2]);
    } catch (cause) {
      fail(unclonable("setup", cause));
    }
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

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
  }

  async call(method: RemoteMethod, request: unknown, options: GenerateOptions = {}): Promise<unknown> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw new KmsError("Rejected.Closed", "The Kms is closed.");
    const { value, transfer } = packRequest(request);
    const id = ++this.#lastId;
    const wantsProgress = onProgress !== undefined;
    try {
      this.#send({ type: "call", id, method, request: value, wantsProgress }, transfer);
    } catch (cause) {
      wipeBytes(value);
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

  async #close(): Promise<void> {
    const id = ++this.#lastId;
    this.#send({ type: "close", id });
    await this.#answer(id, "close", undefined);
    this.#port.close();
  }

  #send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #answer(id: number, method: Pending["method"], onProgress: Pending["onProgress"]): Promise<unknown> {
    return new Promise((resolve, reject) => this.#pending.set(id, { method, onProgress, resolve, reject }));
  }

  #receive(message: FromWorker): void {
    if (message.type === "open" || message.type === "refused") return;
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
