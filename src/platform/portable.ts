/**
 * The portable platform (browsers, edge runtimes): the wasm engine, WebCrypto for bulk and where WebAssembly is forbidden,
 * PBKDF2 by Web Cryptography, no files. Where the kernels come from is what tells its entries apart.
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { AnyEngine, LazyModule } from "../engines/choose-engine.ts";
import type { AsyncEngine, EngineName } from "../engines/engine.ts";
import { engineLoader, type LoadEngine } from "../engines/load-engine.ts";
import { randomBytes } from "../engines/random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import { createWasmEngine } from "../engines/wasm/index.ts";
import { createWebCryptoEngine } from "../engines/webcrypto/index.ts";
import type { KmsError } from "../errors.ts";
import { isUnsupported, WasmEngines } from "./engine-cache.ts";
import type { EngineVariant, Platform, RelaxedSimd } from "./platform.ts";

const PBKDF2_ITERATIONS = 600_000;
const SALT_LENGTH = 16;

/** Loads the kernels a wasm engine can choose from. @throws KmsError `Rejected.UnsupportedOperation` */
export type ProvideKernels = (relaxedSimd: RelaxedSimd) => Promise<void>;

/** Loads one module that `ProvideKernels` left out; undefined when it is there. @throws KmsError `Rejected.UnsupportedOperation` */
type ProvideModule = (module: LazyModule, relaxedSimd: RelaxedSimd) => Promise<void> | undefined;

const wasmEngines: WasmEngines = new WasmEngines();
/** WebCrypto engines by whether they verify signatures. */
const webCrypto: Map<boolean, AsyncEngine> = new Map();
/** Whether making one in the background was tried. */
const webCryptoTried: Set<boolean> = new Set();
let hasWarned = false;

/** Makes WebCrypto ready. @throws KmsError `Rejected.UnsupportedOperation` in a page that is no secure context */
async function prepareWebCrypto(verifySignatures: boolean): Promise<void> {
  if (webCrypto.has(verifySignatures)) return;
  webCrypto.set(verifySignatures, await createWebCryptoEngine({ verifySignatures }));
}

/** Makes wasm ready, unless WebCrypto may stand in where there is none. */
async function prepareWasm(
  isOptional: boolean,
  variant: EngineVariant,
  provide: ProvideKernels,
): Promise<void> {
  try {
    if (variant.wasm === undefined) await provide(variant.relaxedSimd);
    wasmEngine(variant);
  } catch (error) {
    if (!isOptional || !isUnsupported(error)) throw error;
    await prepareWebCrypto(variant.verifySignatures).catch(() => {
      throw error;
    });
    warn(error);
  }
}

function wasmEngine(variant: EngineVariant): AnyEngine {
  return wasmEngines.get(variant, () => createWasmEngine(variant));
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
  if (made === undefined && !webCryptoTried.has(verifySignatures)) {
    webCryptoTried.add(verifySignatures);
    prepareWebCrypto(verifySignatures).catch(() => undefined);
  }
  return made;
}

function engine(name: EngineName, variant: EngineVariant, isOptional: boolean): AnyEngine | undefined {
  const { verifySignatures } = variant;
  if (name === "webcrypto") {
    return isOptional ? quickerWebCrypto(verifySignatures) : webCrypto.get(verifySignatures);
  }
  if (name !== "wasm") return undefined;
  try {
    return wasmEngine(variant);
  } catch (error) {
    if (!isOptional || !isUnsupported(error) || !webCrypto.has(verifySignatures)) throw error;
    return undefined;
  }
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
 * @param provideModule where modules are loaded at their first use only
 */
export function portablePlatform(provide: ProvideKernels, provideModule?: ProvideModule): Platform {
  return {
    async prepare(choice, variant) {
      if (choice === "webcrypto") await prepareWebCrypto(variant.verifySignatures);
      else if (choice !== "node") await prepareWasm(choice === "auto", variant, provide);
    },
    engine,
    load: (module, { relaxedSimd, wasm }) =>
      wasm === undefined ? provideModule?.(module, relaxedSimd) : undefined,
    rootKey: { newKdf, deriveFromPassphrase, readFile: async () => undefined },
    newCiphertextBlock: () => undefined,
  };
}

/** Makes `loadEngine` around a source of kernels. */
export function portableEngineLoader(provide: ProvideKernels): LoadEngine {
  return engineLoader({
    async wasm(options) {
      if (options.wasm === undefined) await provide(options.relaxedSimd);
      return createWasmEngine(options);
    },
    webcrypto: createWebCryptoEngine,
  });
}
