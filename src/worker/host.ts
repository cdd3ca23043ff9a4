/** The worker's side: opens one Kms when the first page connects, and makes the calls that pages ask for. */

import { ensure } from "../errors.ts";
import type { Kms } from "../kms.ts";
import type { BatchItem } from "../operations/batch.ts";
import {
  type FromWorker,
  factsOf,
  type Hello,
  isBatch,
  isRemoteMethod,
  packResponse,
  type ToWorker,
  wipeBytes,
} from "./messages.ts";

/** What messages from pages arrive at: the global scope of a worker, or a MessagePort. */
export interface KmsWorkerScope {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}

type Method = (request: unknown, options: object) => Promise<unknown>;

/**
 * Serves a Kms to the pages that connect. Call it while the worker's script is first evaluated, before any `await`: what
 * arrives earlier is lost.
 *
 * @param open opens the Kms, once, when somebody connects; gets what the page gave `connectKms` as `setup`. A failure goes
 *   to that page, and the next one to connect has it tried again
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
  let kms: Promise<Kms> | undefined;
  const openOnce = (setup: unknown): Promise<Kms> => {
    kms ??= (async () => open(setup))().catch((error: unknown) => {
      kms = undefined;
      throw error;
    });
    return kms;
  };
  scope.addEventListener("message", ({ data }) => {
    if (isHello(data)) void serve(data.port, openOnce(data.setup));
  });
  // A MessagePort holds messages back until it is started; a worker's own scope has no such thing.
  (scope as { start?(): void }).start?.();
}

function isHello(data: unknown): data is Hello {
  return typeof data === "object" && data !== null && (data as Partial<Hello>).keyplane === "connect";
}

/** Answers one page until it closes the Kms. */
async function serve(port: MessagePort, opening: Promise<Kms>): Promise<void> {
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  let kms: Kms;
  try {
    kms = await opening;
  } catch (error) {
    send({ type: "refused", error: factsOf(error) });
    return;
  }
  send({ type: "open", engine: kms.engine });
  const running = new Map<number, AbortController>();
  const call = async ({ id, method, request, wantsProgress }: ToWorker & { type: "call" }): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      ensure(isRemoteMethod(method), "InvalidParameter", "There is no such call.");
      const onProgress = (fraction: number): void => send({ type: "progress", id, fraction });
      const options = { signal: controller.signal, ...(wantsProgress ? { onProgress } : {}) };
      const response = await (kms[method] as Method).call(kms, request, options);
      const { value, transfer } = packResponse(isBatch(method) ? withFacts(response) : response);
      send({ type: "answer", id, response: value }, transfer);
    } catch (error) {
      send({ type: "failure", id, error: factsOf(error) });
    } finally {
      running.delete(id);
      // The page gave this memory away: it is ours to wipe, and the Kms works on a copy.
      wipeBytes(request);
    }
  };
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === "call") void call(data);
    else if (data.type === "cancel") running.get(data.id)?.abort();
    else void close(data.id);
  };

  async function close(id: number): Promise<void> {
    try {
      await kms.close();
      send({ type: "answer", id, response: undefined });
    } catch (error) {
      send({ type: "failure", id, error: factsOf(error) });
    }
  }
}

/** Takes the errors in a batch's answer apart, which the page puts together again. */
function withFacts(items: unknown): unknown {
  return (items as readonly BatchItem<unknown>[]).map((item) =>
    item.ok ? item : { ok: false, error: factsOf(item.error) },
  );
}
