/**
 * The portable platform (browsers, edge runtimes): the wasm engine, WebCrypto for bulk and where WebAssembly is forbidden,
 * PBKDF2 by Web Cryptography, no files. Where the kernels come from is what tells its entries apart.
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { AnyEngine, LoadingEngine } from "../engines/choose-engine.ts";
import type { AsyncEngine } from "../engines/engine.ts";
import { engineLoader, type LoadEngine } from "../engines/load-engine.ts";
import { randomBytes } from "../engines/random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import { createWasmEngine, missingModules } from "../engines/wasm/index.ts";
import type { ModuleName } from "../engines/wasm/module.ts";
import { createWebCryptoEngine } from "../engines/webcrypto/index.ts";
import type { KmsError } from "../errors.ts";
import { isUnsupported, WasmEngines } from "./engine-cache.ts";
import type { EngineVariant, Platform, RelaxedSimd } from "./platform.ts";

const PBKDF2_ITERATIONS = 600_000;
const SALT_LENGTH = 16;

/** Provides the best builds of some modules to the wasm engine. @throws KmsError `Rejected.UnsupportedOperation` */
export type ProvideKernels = (relaxedSimd: RelaxedSimd, modules: readonly ModuleName[]) => Promise<void>;

/** The realm's wasm engines, by when their kernels are loaded: some lack what others can load. */
const ENGINES: Readonly<Record<"opened" | "used", WasmEngines>> = {
  opened: new WasmEngines(),
  used: new WasmEngines(),
};
/** WebCrypto engines by whether they verify signatures. */
const webCrypto: Map<boolean, AsyncEngine> = new Map();
/** Whether one was begun to be made while wasm serves. */
const webCryptoBegun: Set<boolean> = new Set();
let hasWarned = false;

/** Makes WebCrypto ready. @throws KmsError `Rejected.UnsupportedOperation` in a page that is no secure context */
async function prepareWebCrypto(verifySignatures: boolean): Promise<void> {
  if (webCrypto.has(verifySignatures)) return;
  webCrypto.set(verifySignatures, await createWebCryptoEngine({ verifySignatures }));
}

/** Makes wasm ready; where there is none, WebCrypto may stand in, with a warning. */
async function prepareWasm(
  isOptional: boolean,
  variant: EngineVariant,
  prepare: (variant: EngineVariant) => Promise<unknown>,
): Promise<void> {
  try {
    await prepare(variant);
  } catch (error) {
    if (!isOptional || !isUnsupported(error)) throw error;
    await prepareWebCrypto(variant.verifySignatures).catch(() => {
      throw error;
    });
    warn(error);
  }
}

/** @throws the error, unless it says that there is no such engine here */
function unlessUnsupported(error: unknown): void {
  if (!isUnsupported(error)) throw error;
}

/** Says once that WebCrypto stands in for wasm. */
function warn({ message }: KmsError): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn(
    `keyplane: WebCrypto serves instead of WebAssembly, without secp256k1 and synchronous calls. ${message}`,
  );
}

/**
 * Gives WebCrypto, or begins to make it where it is the quicker one only: asking the platform what it serves takes
 * milliseconds, which no page is to wait for before its first call. Until it is ready, and where there is none, wasm serves.
 */
function quickerWebCrypto(verifySignatures: boolean): AnyEngine | undefined {
  const made = webCrypto.get(verifySignatures);
  if (made === undefined && !webCryptoBegun.has(verifySignatures)) {
    webCryptoBegun.add(verifySignatures);
    prepareWebCrypto(verifySignatures).catch(() => undefined);
  }
  return made;
}

function newKdf(): KdfParameters {
  const salt = publicToHex(randomBytes(SALT_LENGTH));
  return { name: "pbkdf2-sha-256", iterations: PBKDF2_ITERATIONS, salt };
}

async function deriveFromPassphrase(
  passphrase: Uint8Array,
  kdf: KdfParameters,
): Promise<Uint8Array | undefined> {
  if (kdf.name !== "pbkdf2-sha-256") return undefined;
  const imported = await crypto.subtle.importKey(
    "raw",
    passphrase as Uint8Array<ArrayBuffer>,
    "PBKDF2",
    false,
    ["deriveBits"],
  );
  const salt = hexToBytes(kdf.salt) as Uint8Array<ArrayBuffer>;
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations: kdf.iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, imported, ROOT_KEY_LENGTH * 8));
}

/**
 * Makes the platform of browsers and edge runtimes around a source of kernels.
 *
 * @param when "used" loads the modules of elliptic curves and of RSA with the first key that needs them, and makes WebCrypto
 *   ready with the first long message; "opened" has all of it ready before a Kms is
 */
export function portablePlatform(provide: ProvideKernels, when: "opened" | "used"): Platform {
  const isLazy = when === "used";
  const wasmEngines = ENGINES[when];
  const wasmEngine = (variant: EngineVariant): LoadingEngine =>
    wasmEngines.get(variant, () =>
      createWasmEngine(variant, isLazy ? (module) => provide(variant.relaxedSimd, [module]) : undefined),
    );
  const prepareEngine = async (variant: EngineVariant): Promise<void> => {
    const missing = missingModules(variant.wasm);
    await provide(variant.relaxedSimd, isLazy ? missing.filter((name) => name === "main") : missing);
    // Kernels may have been refused for want of what is there now, also while it was fetched.
    wasmEngines.forgetRefusal(variant);
    wasmEngine(variant);
  };
  return {
    async prepare(choice, variant) {
      const { verifySignatures } = variant;
      if (choice === "webcrypto") return prepareWebCrypto(verifySignatures);
      if (choice === "auto" && !isLazy) await prepareWebCrypto(verifySignatures).catch(unlessUnsupported);
      if (choice !== "node") await prepareWasm(choice === "auto", variant, prepareEngine);
    },
    engine(name, variant, isOptional) {
      const { verifySignatures } = variant;
      if (name === "webcrypto") {
        return isLazy && isOptional ? quickerWebCrypto(verifySignatures) : webCrypto.get(verifySignatures);
      }
      if (name !== "wasm") return undefined;
      try {
        return wasmEngine(variant);
      } catch (error) {
        if (!isOptional || !isUnsupported(error) || !webCrypto.has(verifySignatures)) throw error;
        return undefined;
      }
    },
    rootKey: { newKdf, deriveFromPassphrase, readFile: async () => undefined },
    newCiphertextBlock: () => undefined,
  };
}

/** Makes `loadEngine` around a source of kernels. */
export function portableEngineLoader(provide: ProvideKernels): LoadEngine {
  return engineLoader({
    async wasm(options) {
      const loading = provide(options.relaxedSimd, missingModules(options.wasm));
      // An engine lacks what its owner did not bring and nobody can load.
      await (options.wasm === undefined ? loading : loading.catch(unlessUnsupported));
      return createWasmEngine(options);
    },
    webcrypto: createWebCryptoEngine,
  });
}
