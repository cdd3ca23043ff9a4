/**
 * The portable platform (browsers, edge runtimes): the wasm engine, WebCrypto for bulk and where WebAssembly is forbidden,
 * PBKDF2 by Web Cryptography, no files. Where the kernels come from is what tells its entries apart.
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { AnyEngine, EngineChoice } from "../engines/choose-engine.ts";
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

const wasmEngines: WasmEngines = new WasmEngines();
/** WebCrypto engines by whether they verify signatures. */
const webCrypto: Map<boolean, AsyncEngine> = new Map();
let hasWarned = false;

/** Makes WebCrypto ready unless only wasm may serve. A page that is no secure context has none, which is an error only if it is needed. */
async function prepareWebCrypto(choice: EngineChoice, { verifySignatures }: EngineVariant): Promise<void> {
  if (choice === "wasm" || webCrypto.has(verifySignatures)) return;
  try {
    webCrypto.set(verifySignatures, await createWebCryptoEngine({ verifySignatures }));
  } catch (error) {
    if (choice === "webcrypto" || !isUnsupported(error)) throw error;
  }
}

/** Loads the kernels unless only WebCrypto may serve or the host brings them; without any, WebCrypto may stand in. */
async function prepareWasm(
  choice: EngineChoice,
  { relaxedSimd, wasm, verifySignatures }: EngineVariant,
  provide: ProvideKernels,
): Promise<void> {
  if (choice === "webcrypto" || wasm !== undefined) return;
  try {
    await provide(relaxedSimd);
  } catch (error) {
    if (choice === "wasm" || !isUnsupported(error) || !webCrypto.has(verifySignatures)) throw error;
    warn(error);
  }
}

/** Says once that WebCrypto stands in for wasm. */
function warn({ message }: KmsError): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn(
    `keyplane: WebCrypto serves instead of WebAssembly, without secp256k1 and synchronous calls. ${message}`,
  );
}

function engine(name: EngineName, variant: EngineVariant, isOptional: boolean): AnyEngine | undefined {
  if (name === "webcrypto") return webCrypto.get(variant.verifySignatures);
  if (name !== "wasm") return undefined;
  try {
    return wasmEngines.get(variant, () => createWasmEngine(variant));
  } catch (error) {
    if (!isOptional || !isUnsupported(error) || !webCrypto.has(variant.verifySignatures)) throw error;
    warn(error);
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

/** Makes the platform of browsers and edge runtimes around a source of kernels. */
export function portablePlatform(provide: ProvideKernels): Platform {
  return {
    async prepare(choice, variant) {
      await prepareWebCrypto(choice, variant);
      await prepareWasm(choice, variant, provide);
    },
    engine,
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
