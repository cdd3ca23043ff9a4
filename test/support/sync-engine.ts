/**
 * A synchronous door to the WebCrypto engine, so that the conformance suites of the other engines run on it as they are:
 * the engine lives in a worker thread, and each call here sleeps until its promise there has settled.
 */

import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Engine } from "../../src/engines/engine.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";

/** What crosses the thread border in place of things that cannot. */
interface Reply {
  readonly value?: unknown;
  readonly error?: { readonly code?: KmsErrorCode; readonly name: string; readonly message: string };
  /** The output array as the call left it. */
  readonly out?: Uint8Array;
}

const signal = new Int32Array(new SharedArrayBuffer(4));
const { port1: port, port2 } = new MessageChannel();
const worker = new Worker(new URL("./sync-engine-child.mjs", import.meta.url), {
  workerData: { signal, port: port2 },
  transferList: [port2],
});
worker.unref();
port.unref();

/** No call takes this long, not even on a machine with other work to do. */
const PATIENCE_MS = 60_000;

/** Where `out` stands among the arguments of calls that write into an array. */
const OUTPUT_AT: Readonly<Record<string, number>> = {
  sealInto: 4,
  openInto: 4,
  sealPacked: 3,
  openPacked: 3,
};
const PRIMITIVES = ["aesGcm", "ecdsa", "ecdh", "rsa", "hmac", "aesKw", "aesKwp"] as const;

const handleIds: WeakMap<object, number> = new WeakMap();
let asyncCalls = 0;
const pending = new Map<number, { resolve: (reply: Reply) => void; onProgress: unknown }>();

worker.on("message", (message: { call: number; reply?: Reply; progress?: number }) => {
  const call = pending.get(message.call);
  if (message.progress !== undefined)
    (call?.onProgress as ((fraction: number) => void) | undefined)?.(message.progress);
  else if (message.reply !== undefined) {
    pending.delete(message.call);
    call?.resolve(message.reply);
    if (pending.size === 0) worker.unref();
  }
});

function isDetached(view: ArrayBufferView): boolean {
  try {
    return new Uint8Array(view.buffer).length < 0;
  } catch {
    return true;
  }
}

/** Replaces handles, and what cannot be cloned, by what the worker makes them from. */
function encode(value: unknown): unknown {
  if (typeof value === "function") return { $function: true };
  if (typeof value !== "object" || value === null) return value;
  const id = handleIds.get(value);
  if (id !== undefined) return { $handle: id };
  if (ArrayBuffer.isView(value)) return isDetached(value) ? { $detached: true } : value;
  if (value instanceof SharedArrayBuffer) return value;
  if (Array.isArray(value)) return Array.from(value, encode);
  if (Object.getPrototypeOf(value) !== Object.prototype) return { $foreign: true };
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, encode(field)]));
}

function decode(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(decode);
  const fields = value as Record<string, unknown>;
  const { $handle, $facts } = fields;
  if (typeof $handle !== "number") {
    return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, decode(field)]));
  }
  const handle = { ...($facts as object), destroy: () => void call({ destroy: $handle }) };
  handleIds.set(handle, $handle);
  return handle;
}

function errorOf({ code, name, message }: NonNullable<Reply["error"]>): Error {
  return code === undefined ? new Error(`${name}: ${message}`) : new KmsError(code, message);
}

function call(message: object): Reply {
  const flags = globalThis as { KEYPLANE_BREAK_SELF_TEST?: string };
  Atomics.store(signal, 0, 0);
  port.postMessage({ ...message, broken: flags.KEYPLANE_BREAK_SELF_TEST });
  // A late notification of the call before may wake this one.
  while (Atomics.load(signal, 0) === 0) {
    if (Atomics.wait(signal, 0, 0, PATIENCE_MS) === "timed-out") {
      throw new Error("The thread of the WebCrypto engine does not answer; it runs the engine of dist/.");
    }
  }
  return (receiveMessageOnPort(port) as { message: Reply }).message;
}

function callSync(engine: number, path: readonly string[], args: readonly unknown[]): unknown {
  const outAt = OUTPUT_AT[path.at(-1) ?? ""];
  const { value, error, out } = call({ engine, path, args: encode(args), outAt });
  if (error !== undefined) throw errorOf(error);
  const target = outAt === undefined ? undefined : args[outAt];
  if (out !== undefined && target instanceof Uint8Array) target.set(out);
  return decode(value);
}

/** Starts a generation, whose cancellation and progress cross the border as messages. */
async function generate(engine: number, path: readonly string[], args: readonly unknown[]): Promise<unknown> {
  const options = args.at(-1);
  const fields = typeof options === "object" && options !== null ? (options as Record<string, unknown>) : {};
  const { signal: abortSignal, onProgress } = fields;
  const id = asyncCalls++;
  const isSignal = abortSignal instanceof AbortSignal;
  const hasProgress = typeof onProgress === "function";
  const sent = [...args];
  if (isSignal || hasProgress) {
    sent[sent.length - 1] = {
      ...fields,
      ...(isSignal && { signal: { $signal: true } }),
      ...(hasProgress && { onProgress: { $progress: true } }),
    };
  }
  const encoded = encode(sent);
  const settled = new Promise<Reply>((resolve) => pending.set(id, { resolve, onProgress }));
  worker.ref();
  if (isSignal && abortSignal.aborted) worker.postMessage({ abort: id });
  worker.postMessage({ call: id, engine, path, args: encoded });
  if (isSignal) abortSignal.addEventListener("abort", () => worker.postMessage({ abort: id }));
  const { value, error } = await settled;
  if (isSignal && abortSignal.aborted && error !== undefined) throw abortSignal.reason;
  if (error !== undefined) throw errorOf(error);
  return decode(value);
}

/** Makes an engine over WebCrypto whose calls are synchronous. */
export function createSyncWebCryptoEngine(): Engine {
  const made = call({ create: true }).value as {
    engine: number;
    build: string;
    capabilities: Record<string, string[]>;
    served: Record<string, string[]>;
  };
  const { engine, served } = made;
  const facade: Record<string, unknown> = {
    name: "webcrypto",
    build: made.build,
    capabilities: made.capabilities,
    close: () => void call({ close: engine }),
  };
  for (const primitive of PRIMITIVES) {
    const names = served[primitive];
    if (names === undefined) continue;
    facade[primitive] = Object.fromEntries(
      names.map((name) => [
        name,
        name === "generateKey"
          ? (...args: unknown[]) => generate(engine, [primitive, name], args)
          : (...args: unknown[]) => callSync(engine, [primitive, name], args),
      ]),
    );
  }
  for (const name of ["hash", "hkdf"]) facade[name] = (...args: unknown[]) => callSync(engine, [name], args);
  return facade as unknown as Engine;
}
