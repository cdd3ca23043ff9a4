/**
 * Runs one operation over many requests: input order, one result an item, no bad item spoils another. Long batches
 * let the event loop breathe and can be cancelled in between.
 */

import { byteLengthOf, copyBytes, ensureBytes } from "../bytes.ts";
import { isPlainObject } from "../envelope/encryption-context.ts";
import { ensure, KmsError } from "../errors.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { contextOf, type OperationContext } from "./context.ts";
import { SignatureStage } from "./signature-stage.ts";

export type BatchItem<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: KmsError };

const MAX_ITEMS = 10_000;
const MAX_BYTES: number = 64 * 1024 * 1024;
/** Longest the batch holds the event loop at a stretch, in milliseconds. */
const SLICE_MS = 8;

/**
 * @throws KmsError `InvalidParameter` when `requests` is no array; `Rejected.LimitExceeded` above 10,000 items or 64 MiB
 * @throws the signal's reason once it is aborted
 */
export async function runBatch<Request extends object, Response>(
  context: OperationContext,
  operation: (context: OperationContext, request: Request) => MaybePromise<Response>,
  requests: readonly Request[],
  signal: AbortSignal | undefined,
): Promise<BatchItem<Response>[]> {
  ensure(Array.isArray(requests), "InvalidParameter", "requests must be an array.");
  ensure(requests.length <= MAX_ITEMS, "Rejected.LimitExceeded", `A batch has at most ${MAX_ITEMS} items.`);
  ensure(byteCount(requests) <= MAX_BYTES, "Rejected.LimitExceeded", "A batch has at most 64 MiB.");

  const { aesGcm, stage } = context.router.pinned();
  const signatures = new SignatureStage(requests.length);
  const batchContext = contextOf(context, aesGcm, stage, signatures);
  const results: MaybePromise<BatchItem<Response>>[] = [];
  const count = requests.length;
  let rest: readonly Request[] = requests;
  let copies: Uint8Array[] | undefined;
  const clock = new SliceClock();
  // Kernels that cannot be loaded are asked for again once; from then on items try together, and each hears of it.
  let failures = 0;
  try {
    for (;;) {
      const stop = runSlice(batchContext, operation, rest, count, results, clock, failures < 2);
      if (stop === "done") break;
      if (copies === undefined) {
        // From here on the caller may change its arrays, so the batch goes on with copies.
        copies = [];
        rest = copyRequests(requests, results.length, copies);
      }
      stage.flush();
      signatures.flush();
      if (stop === "cold" && !(await succeeds(results[results.length - 1], signal))) failures += 1;
      await nextTurn();
      signal?.throwIfAborted();
      clock.restart();
    }
    // Before the wait for others: until it is over the keys may be gone. What comes after is sealed at once.
    stage.flush();
    stage.release();
    signatures.flush();
    const isPending = results.some((result) => result instanceof Promise);
    const items = isPending ? await Promise.all(results) : (results as BatchItem<Response>[]);
    return signatures.hasFailures ? items.map((item) => orRefusal(context, item, signatures)) : items;
  } catch (error) {
    for (const result of results) wipeItem(result);
    throw error;
  } finally {
    stage.release();
    signatures.release();
    for (const copy of copies ?? []) copy.fill(0);
  }
}

/**
 * Adds results until there are `count`, or the clock says stop, or, where it `waits`, the last item may need kernels that are
 * being loaded: others would wait with it, and then run with nothing between them. Apart from its caller, because engines make
 * slower code of asynchronous functions.
 */
function runSlice<Request, Response>(
  context: OperationContext,
  operation: (context: OperationContext, request: Request) => MaybePromise<Response>,
  requests: readonly Request[],
  count: number,
  results: MaybePromise<BatchItem<Response>>[],
  clock: SliceClock,
  waits: boolean,
): "done" | "over" | "cold" {
  const start = results.length;
  for (let i = start; i < count; i++) {
    if (i > start && clock.isOver()) return "over";
    const result = runItem(context, operation, requests[i] as Request);
    results.push(result);
    if (!(result instanceof Promise)) continue;
    // It may fail for good while the batch waits for its next turn; the end of the batch hears of it.
    result.catch(() => undefined);
    if (waits && context.router.isCold) return "cold";
  }
  return "done";
}

/** Waits for an item and tells whether it succeeded. @throws the signal's reason once it is aborted */
async function succeeds(
  item: MaybePromise<BatchItem<unknown>> | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  signal?.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal?.reason);
  });
  signal?.addEventListener("abort", stop);
  try {
    const done = Promise.resolve(item).then(
      (answer) => answer?.ok === true,
      () => false,
    );
    return await Promise.race([done, aborted]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Wipes the plaintext of an item that nobody is going to be given, now or when it comes. */
function wipeItem(result: MaybePromise<BatchItem<unknown>>): void {
  if (result instanceof Promise) result.then(wipeItem, () => undefined);
  else if (result.ok) wipePlaintext(result.value);
}

/** Wipes the plaintext in an answer that nobody is going to be given. */
export function wipePlaintext(answer: unknown): void {
  const { plaintext } = answer as { readonly plaintext?: unknown };
  if (plaintext instanceof Uint8Array) plaintext.fill(0);
}

/** Tells when a slice is over, looking at the clock seldom while items are quick and at each item while they are slow. */
class SliceClock {
  #lastLook: number = performance.now();
  #end: number = this.#lastLook + SLICE_MS;
  #stride = 1;
  #left = 1;

  isOver(): boolean {
    this.#left -= 1;
    if (this.#left > 0) return false;
    const now = performance.now();
    const isQuick = now - this.#lastLook < SLICE_MS / 32;
    this.#stride = isQuick ? Math.min(2 * this.#stride, 64) : 1;
    this.#left = this.#stride;
    this.#lastLook = now;
    return now >= this.#end;
  }

  restart(): void {
    this.#lastLook = performance.now();
    this.#end = this.#lastLook + SLICE_MS;
  }
}

function runItem<Request, Response>(
  context: OperationContext,
  operation: (context: OperationContext, request: Request) => MaybePromise<Response>,
  request: Request,
): MaybePromise<BatchItem<Response>> {
  try {
    const value = operation(context, request);
    return value instanceof Promise ? itemOf(context, value) : { ok: true, value };
  } catch (error) {
    return refusal(context, error);
  }
}

async function itemOf<Response>(
  context: OperationContext,
  response: Promise<Response>,
): Promise<BatchItem<Response>> {
  try {
    return { ok: true, value: await response };
  } catch (error) {
    return refusal(context, error);
  }
}

/** Makes an item of a refusal. Anything else is a broken invariant of ours and must not pass for an item's result. */
function refusal(
  context: OperationContext,
  error: unknown,
): { readonly ok: false; readonly error: KmsError } {
  if (!(error instanceof KmsError)) throw error;
  if (error.requestId === "") error.requestId = context.nextRequestId();
  return { ok: false, error };
}

/** Replaces an item whose answer was never completed. */
function orRefusal<Response>(
  context: OperationContext,
  item: BatchItem<Response>,
  signatures: SignatureStage,
): BatchItem<Response> {
  const error = item.ok ? signatures.failureOf(item.value) : undefined;
  return error === undefined ? item : refusal(context, error);
}

function byteCount(requests: readonly object[]): number {
  let bytes = 0;
  for (const request of requests) {
    if (typeof request !== "object" || request === null) continue;
    for (const name in request) bytes += byteLengthOf(request[name as keyof typeof request]);
  }
  return bytes;
}

/** Copies the requests from `start` on; the bytes are listed in `made` as well. */
function copyRequests<Request extends object>(
  requests: readonly Request[],
  start: number,
  made: Uint8Array[],
): readonly Request[] {
  return Array.from(requests, (request, index) => {
    if (index < start || typeof request !== "object" || request === null || Array.isArray(request))
      return request;
    return copyRequest(request, made);
  });
}

/**
 * Copies a request so that the operation sees what it would have seen in the original, with its bytes and contexts
 * copied too. What is not valid is left for the operation to refuse.
 */
function copyRequest<Request extends object>(request: Request, made: Uint8Array[]): Request {
  const copy: object = {};
  const source = request as Record<string, unknown>;
  const add = (name: string, enumerable: boolean): void => {
    // Not an assignment: that of `__proto__` would hide a property which the operation must refuse.
    const value = copyValue(source[name], made);
    Object.defineProperty(copy, name, { value, enumerable });
  };
  for (const name in request) add(name, true);
  if (isPlainObject(request)) return copy as Request;
  // Instances of classes have getters on their prototypes, which an operation reads like fields.
  for (let owner: object = request; !isRoot(owner); owner = Object.getPrototypeOf(owner) as object) {
    for (const name of Object.getOwnPropertyNames(owner)) if (!Object.hasOwn(copy, name)) add(name, false);
  }
  return copy as Request;
}

function isRoot(owner: object | null): boolean {
  return owner === null || Object.getPrototypeOf(owner) === null;
}

function copyValue(value: unknown, made: Uint8Array[]): unknown {
  if (ArrayBuffer.isView(value)) {
    if (!isBytes(value)) return value;
    const bytes = copyBytes(value);
    made.push(bytes);
    return bytes;
  }
  return isPlainObject(value) ? { ...value } : value;
}

/** Tells whether an operation takes a value as bytes; shared and detached memory it does not. */
function isBytes(value: unknown): value is Uint8Array {
  try {
    ensureBytes(value, "value");
    return true;
  } catch {
    return false;
  }
}

/** Lets timers and I/O run. A message channel is the quickest turn of browsers; edge runtimes may have timers alone. */
function nextTurn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  if (typeof MessageChannel === "undefined") return new Promise((resolve) => setTimeout(resolve, 0));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
