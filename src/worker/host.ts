/** The worker's side: opens one Kms when the first page connects, and makes the calls that pages ask for. */

import { ensure, KmsError } from "../errors.ts";
import type { Kms } from "../kms.ts";
import type { BatchItem } from "../operations/batch.ts";
import {
  type FromWorker,
  factsOf,
  isBatch,
  isHello,
  isOpening,
  isRemoteMethod,
  isToWorker,
  packResponse,
  type ToWorker,
  webLocks,
  wipeBytes,
} from "./messages.ts";

/** What messages from pages arrive at: the global scope of a worker, or a MessagePort. */
export interface KmsWorkerScope {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}

type Method = (request: unknown, options: object) => Promise<unknown>;

/** A call that was begun, and how to end it early. */
interface Running {
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

/** The Kms that pages share, with the calls of all of them. */
interface Served {
  readonly kms: Kms;
  readonly running: Set<Running>;
  /** Ends the running calls, and answers when each of them has been answered and the Kms is closed. */
  close(): Promise<void>;
}

/**
 * Serves a Kms to the pages that connect. Call it while the worker's script is first evaluated, before any `await`: what
 * arrives earlier is lost.
 *
 * @param open opens the Kms, once, when somebody connects; gets what the page gave `connectKms` as `setup`. A KmsError goes
 *   to that page, any other error as `InternalFailure` without its text; the next one to connect has it tried again, as has
 *   one who connects after the Kms was closed
 * @throws KmsError `Rejected.UnsupportedOperation` in a page, where messages may come from anywhere
 */
export function serveKms(
  open: (setup: unknown) => Promise<Kms>,
  scope: KmsWorkerScope = globalThis as unknown as KmsWorkerScope,
): void {
  ensure(
    scope !== (globalThis as unknown) || !("document" in globalThis),
    "Rejected.UnsupportedOperation",
    "serveKms runs in a worker, not in a page.",
  );
  let served: Promise<Served> | undefined;
  let closed: Promise<unknown> = Promise.resolve();
  const openOnce = (setup: unknown): Promise<Served> => {
    if (served !== undefined) return served;
    const opening = (async () => {
      // The one before may still hold the store.
      await closed;
      return share(await open(setup), (closing) => {
        closed = closing.catch(() => undefined);
        served = undefined;
      });
    })();
    served = opening;
    opening.catch(() => {
      served = undefined;
    });
    return opening;
  };
  let life: Promise<string | undefined> | undefined;
  scope.addEventListener("message", ({ data }) => {
    if (!isHello(data)) return;
    life ??= holdLife();
    serve(data.port, openOnce, life);
  });
  // A MessagePort holds messages back until it is started; a worker's own scope has no such thing.
  (scope as { start?(): void }).start?.();
}

/** Holds a lock for as long as this worker lives, and names it: who waits for it learns that the worker was terminated. */
async function holdLife(): Promise<string | undefined> {
  const locks = webLocks();
  if (locks === undefined) return undefined;
  const name = `keyplane-worker-${crypto.randomUUID()}`;
  return new Promise((resolve) => {
    const hold = (): Promise<never> => {
      resolve(name);
      return new Promise(() => undefined);
    };
    locks.request(name, hold).catch(() => resolve(undefined));
  });
}

function share(kms: Kms, onClose: (closing: Promise<void>) => void): Served {
  const running = new Set<Running>();
  const closeAll = async (): Promise<void> => {
    const reason = new KmsError("Rejected.Closed", "The Kms is closed.");
    for (const { controller } of running) controller.abort(reason);
    // Refuses new calls and wipes the keys now, as it does where it is called directly.
    const closing = kms.close();
    onClose(closing);
    await Promise.allSettled([closing, ...[...running].map(({ ended }) => ended)]);
    await closing;
  };
  let closing: Promise<void> | undefined;
  return {
    kms,
    running,
    close: () => {
      closing ??= closeAll();
      return closing;
    },
  };
}

type Send = (message: FromWorker, transfer?: ArrayBuffer[]) => void;

/** Listens to one page: first for what the Kms is to be opened with, then for calls. */
function serve(
  port: MessagePort,
  openOnce: (setup: unknown) => Promise<Served>,
  life: Promise<string | undefined>,
): void {
  const send: Send = (message, transfer = []) => port.postMessage(message, transfer);
  let obey: ((message: ToWorker) => void) | undefined;
  let asked = false;
  const open = async (opening: () => Promise<Served>): Promise<void> => {
    asked = true;
    try {
      const served = opening();
      // It may be refused before the lock is there, when nobody listens yet.
      served.catch(() => undefined);
      // Whoever waits for the Kms must learn that this worker was terminated meanwhile.
      send({ type: "alive", life: await life });
      const { kms } = await served;
      obey = answerer(await served, send);
      send({ type: "open", engine: kms.engine });
    } catch (error) {
      send({ type: "refused", error: factsOf(error) });
    }
  };
  port.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (!asked && isOpening(data)) void open(() => openOnce(data.setup));
    else if (isToWorker(data)) obey?.(data);
  };
  port.onmessageerror = () => {
    if (asked) send({ type: "unread" });
    else void open(refuseSetup);
  };
}

async function refuseSetup(): Promise<never> {
  throw new KmsError("InvalidParameter", "setup has something that the worker cannot read.");
}

/** Returns what carries out the messages of one page. */
function answerer(served: Served, send: Send): (message: ToWorker) => void {
  const { kms, running } = served;
  const controllers = new Map<number, AbortController>();
  const call = async (
    { id, method, request, wantsProgress }: ToWorker & { type: "call" },
    signal: AbortSignal,
  ): Promise<void> => {
    try {
      ensure(isRemoteMethod(method), "InvalidParameter", "There is no such call.");
      const onProgress = (fraction: number): void => send({ type: "progress", id, fraction });
      const options = { signal, ...(wantsProgress ? { onProgress } : {}) };
      const response = await (kms[method] as Method).call(kms, request, options);
      const { value, transfer } = packResponse(isBatch(method) ? withFacts(response) : response);
      send({ type: "answer", id, response: value }, transfer);
    } catch (error) {
      send({ type: "failure", id, error: factsOf(error) });
    } finally {
      // The page gave this memory away: it is ours to wipe, and the Kms works on a copy.
      wipeBytes(request);
    }
  };
  const begin = async (message: ToWorker & { type: "call" }): Promise<void> => {
    const controller = new AbortController();
    controllers.set(message.id, controller);
    const entry: Running = { controller, ended: call(message, controller.signal) };
    running.add(entry);
    await entry.ended.finally(() => {
      running.delete(entry);
      controllers.delete(message.id);
    });
  };
  const close = async (id: number): Promise<void> => {
    try {
      await served.close();
      send({ type: "answer", id, response: undefined });
    } catch (error) {
      send({ type: "failure", id, error: factsOf(error) });
    }
  };
  return (message) => {
    if (message.type === "call") void begin(message);
    else if (message.type === "cancel") controllers.get(message.id)?.abort();
    else void close(message.id);
  };
}

/** Takes the errors in a batch's answer apart, which the page puts together again. */
function withFacts(items: unknown): unknown {
  return (items as readonly BatchItem<unknown>[]).map((item) =>
    item.ok ? item : { ok: false, error: factsOf(item.error) },
  );
}
