/** Keeps the WebCrypto engines of a realm, each proved before it serves, and says where one stands in for wasm or fails. */

import type { AsyncEngine } from "../engines/engine.ts";
import { KmsError } from "../errors.ts";

/** Makes an engine. @throws KmsError `Rejected.UnsupportedOperation` where there is none, or it cannot be loaded */
export type CreateWebCrypto = (options: { readonly verifySignatures: boolean }) => Promise<AsyncEngine>;

/** The engines that are ready, by whether they verify signatures. */
const ready: Map<boolean, AsyncEngine> = new Map();
/** Those that are being made. */
const making: Map<boolean, Promise<void>> = new Map();
/** Those whose self-test failed where wasm serves as well: they are not asked again. */
const failed: Set<boolean> = new Set();
const said: Set<string> = new Set();

/** Gives the engine that is ready. */
export function webCryptoEngine(verifySignatures: boolean): AsyncEngine | undefined {
  return ready.get(verifySignatures);
}

/**
 * Makes an engine ready, once for all who ask meanwhile.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` in a page that is no secure context, `InternalFailure` where AES-GCM fails
 *   its self-test
 */
export async function prepareWebCrypto(verifySignatures: boolean, create: CreateWebCrypto): Promise<void> {
  if (ready.has(verifySignatures)) return;
  let wait = making.get(verifySignatures);
  if (wait === undefined) {
    wait = make(verifySignatures, create).finally(() => making.delete(verifySignatures));
    making.set(verifySignatures, wait);
  }
  await wait;
}

async function make(verifySignatures: boolean, create: CreateWebCrypto): Promise<void> {
  const engine = await create({ verifySignatures });
  // The first key has the self-test run.
  (await engine.aesGcm?.importKey(new Uint8Array(32)))?.destroy();
  ready.set(verifySignatures, engine);
  failed.delete(verifySignatures);
}

/**
 * Makes an engine ready where it would be the quicker one, no more: where there is none, or it cannot be loaded just now, wasm
 * serves, and where it fails its self-test as well, with a warning.
 */
export async function tryWebCrypto(verifySignatures: boolean, create: CreateWebCrypto): Promise<void> {
  if (failed.has(verifySignatures)) return;
  try {
    await prepareWebCrypto(verifySignatures, create);
  } catch (error) {
    // Anything else may be better the next time.
    if (!(error instanceof KmsError && error.code === "InternalFailure")) return;
    failed.add(verifySignatures);
    warn("WebCrypto is left alone and WebAssembly serves", error);
  }
}

/** Says what became of an engine, once a realm. @param cause whose message is told */
export function warn(what: string, cause?: unknown): void {
  if (said.has(what)) return;
  said.add(what);
  console.warn(`keyplane: ${what}.${cause instanceof Error ? ` ${cause.message}` : ""}`);
}
