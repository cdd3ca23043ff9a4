/** Checks of arguments and small helpers that every primitive of the WebCrypto engine shares. */

import { ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import type { GenerateKeyOptions, HashName, Signable } from "../engine.ts";

export const HASH_LENGTHS: Readonly<Record<HashName, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};

/** @throws KmsError `InvalidParameter` for anything but the name of a hash */
export function checkHash(hash: unknown): asserts hash is HashName {
  ensure(
    typeof hash === "string" && Object.hasOwn(HASH_LENGTHS, hash),
    "InvalidParameter",
    "hash must be SHA-1, SHA-256, SHA-384 or SHA-512.",
  );
}

/** Hands checked bytes to SubtleCrypto, whose types want to be told that the memory is not shared. */
export function asSource(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

/**
 * Takes a message with its hash; SubtleCrypto signs and verifies nothing else.
 *
 * @throws KmsError `InvalidParameter` for what is neither that nor a digest, `Rejected.UnsupportedOperation` for a digest
 */
export function messageOf(signable: Signable): { readonly message: Uint8Array; readonly hash: HashName } {
  if (typeof signable === "object" && signable !== null && "message" in signable) {
    const { message, hash } = signable;
    ensureBytes(message, "message");
    checkHash(hash);
    return { message, hash };
  }
  ensureBytes(signable, "signable");
  throw new KmsError(
    "Rejected.UnsupportedOperation",
    "The WebCrypto engine signs and verifies a message with its hash, not a digest.",
  );
}

/** Refuses what is not an object of options; undefined stands for none. */
export function checkOptions<T extends object>(options: T | undefined): T | Record<string, never> {
  if (options === undefined) return {};
  ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
  return options;
}

/** Refuses what is not an array of objects. */
export function checkItems(items: readonly unknown[]): void {
  ensure(
    Array.isArray(items) && items.every((item) => typeof item === "object" && item !== null),
    "InvalidParameter",
    "items must be an array of objects.",
  );
}

/**
 * Runs a generation that nothing can stop: an abort rejects at once with the signal's reason, and what comes is dropped.
 *
 * @throws KmsError `InvalidParameter`; the signal's reason
 */
export async function generateWith<T>(
  options: GenerateKeyOptions | undefined,
  generate: () => Promise<T>,
): Promise<T> {
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
  signal?.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal?.reason);
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const made = await Promise.race([generate(), aborted]);
    onProgress?.(1);
    return made;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
