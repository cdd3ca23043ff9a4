/** Key pair generation on libuv's thread pool, with prompt cancellation. */

import type { KeyObject } from "node:crypto";
import { ensure, KmsError } from "../../errors.ts";
import type { GenerateKeyOptions } from "../engine.ts";
import { checkOptions } from "./arguments.ts";

/** Two halves of one generated key. */
export interface NodeKeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** The callback form of generateKeyPair, every other argument bound. */
export type StartGeneration = (
  done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void,
) => void;

/**
 * Runs a generation. An abort rejects at once with the signal's reason; the thread runs on and its key is dropped.
 *
 * @throws KmsError `InvalidParameter`, `InternalFailure`; the signal's reason
 */
export function generateKeyPairWith(
  options: GenerateKeyOptions | undefined,
  start: StartGeneration,
): Promise<NodeKeyPair> {
  const { signal, onProgress } = checkOptions(options);
  ensure(
    signal === undefined || signal instanceof AbortSignal,
    "InvalidParameter",
    "signal must be an AbortSignal.",
  );
  ensure(
    onProgress === undefined || typeof onProgress === "function",
    "InvalidParameter",
    "onProgress must be a function.",
  );
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    start((error, publicKey, privateKey) => {
      signal?.removeEventListener("abort", onAbort);
      if (error) reject(new KmsError("InternalFailure", "The key could not be generated.", { cause: error }));
      else if (!signal?.aborted) resolve({ publicKey, privateKey });
    });
  });
}
