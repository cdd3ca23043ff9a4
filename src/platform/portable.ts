/**
 * The portable platform (browsers, edge runtimes): the wasm engine, WebCrypto for bulk and where WebAssembly is forbidden,
 * PBKDF2 by Web Cryptography, no files. Where the kernels come from is what tells its entries apart.
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { LoadingEngine } from "../engines/choose-engine.ts";
import { engineLoader, type LoadEngine } from "../engines/load-engine.ts";
import { randomBytes } from "../engines/random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import { createWasmEngine, missingModules } from "../engines/wasm/index.ts";
import type { ModuleName } from "../engines/wasm/module.ts";
import { mayCompile } from "../engines/wasm/probe.ts";
import { isUnsupported, WasmEngines } from "./engine-cache.ts";
import type { EngineVariant, Platform, RelaxedSimd } from "./platform.ts";
import {
  type CreateWebCrypto,
  prepareWebCrypto,
  tryWebCrypto,
  warn,
  webCryptoEngine,
} from "./webcrypto-engines.ts";

const PBKDF2_ITERATIONS = 600_000;
const SALT_LENGTH = 16;

/** Provides the best builds of some modules to the wasm engine. @throws KmsError `Rejected.UnsupportedOperation` */
export type ProvideKernels = (relaxedSimd: RelaxedSimd, modules: readonly ModuleName[]) => Promise<void>;

/** The realm's wasm engines, by when their kernels are loaded: some lack what others can load. */
const ENGINES: Readonly<Record<"opened" | "used", WasmEngines>> = {
  opened: new WasmEngines(),
  used: new WasmEngines(),
};

/** Where the engines of a platform come from. */
export interface EngineSources {
  readonly provideKernels: ProvideKernels;
  readonly createWebCrypto: CreateWebCrypto;
}

const STANDS_IN = "WebCrypto serves instead of WebAssembly, without secp256k1 and synchronous calls";
const STANDS_IN_FOR_KEYS =
  "WebCrypto serves EC or RSA keys, without secp256k1, ECIES and synchronous calls: the option wasm has no kernels for them, " +
  "and this runtime compiles none";

/** @throws the error, unless it says that there is no such engine here */
function unlessUnsupported(error: unknown): void {
  if (!isUnsupported(error)) throw error;
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
 * Makes the platform of browsers and edge runtimes around its sources.
 *
 * @param when "used" loads the modules of elliptic curves and of RSA with the first key that needs them, and makes WebCrypto
 *   ready with the first long message or stream; "opened" has all of it ready before a Kms is
 */
export function portablePlatform(
  { provideKernels, createWebCrypto }: EngineSources,
  when: "opened" | "used",
): Platform {
  const isLazy = when === "used";
  const wasmEngines = ENGINES[when];
  const wasmEngine = (variant: EngineVariant): LoadingEngine =>
    wasmEngines.get(variant, () => {
      // Where nothing is compiled, only what the host compiled can be had.
      const canLoad = isLazy && mayCompile();
      return createWasmEngine(
        variant,
        canLoad ? (module) => provideKernels(variant.relaxedSimd, [module]) : undefined,
      );
    });
  const prepareEngine = async (variant: EngineVariant): Promise<LoadingEngine> => {
    const missing = missingModules(variant.wasm);
    await provideKernels(variant.relaxedSimd, isLazy ? missing.filter((name) => name === "main") : missing);
    // Kernels may have been refused for want of what is there now, also while it was fetched.
    wasmEngines.forgetRefusal(variant);
    return wasmEngine(variant);
  };
  /** Makes wasm ready. Where there is none, or none for some keys, WebCrypto may stand in, with a warning. */
  const prepareWasm = async (variant: EngineVariant, isOptional: boolean): Promise<void> => {
    const { verifySignatures } = variant;
    try {
      const { capabilities } = await prepareEngine(variant);
      const isWhole = "ecdsa" in capabilities && "rsa" in capabilities;
      if (isWhole || !isOptional) return;
    } catch (error) {
      if (!isOptional || !isUnsupported(error)) throw error;
      await prepareWebCrypto(verifySignatures, createWebCrypto).catch((reason: unknown) => {
        throw isUnsupported(reason) ? error : reason;
      });
      warn(STANDS_IN, error);
      return;
    }
    await tryWebCrypto(verifySignatures, createWebCrypto);
    if (webCryptoEngine(verifySignatures) !== undefined) warn(STANDS_IN_FOR_KEYS);
  };
  return {
    async prepare(choice, variant) {
      const { verifySignatures } = variant;
      if (choice === "webcrypto") return prepareWebCrypto(verifySignatures, createWebCrypto);
      if (choice === "auto" && !isLazy) await tryWebCrypto(verifySignatures, createWebCrypto);
      if (choice !== "node") await prepareWasm(variant, choice === "auto");
    },
    engine(name, variant, isOptional) {
      const { verifySignatures } = variant;
      const webCrypto = webCryptoEngine(verifySignatures);
      if (name === "webcrypto") {
        // Asking the platform what it serves takes milliseconds, which no page is to wait for before its first call.
        if (webCrypto === undefined && isLazy && isOptional)
          void tryWebCrypto(verifySignatures, createWebCrypto);
        return webCrypto;
      }
      if (name !== "wasm") return undefined;
      try {
        return wasmEngine(variant);
      } catch (error) {
        if (!isOptional || !isUnsupported(error) || webCrypto === undefined) throw error;
        return undefined;
      }
    },
    prepareBulk: async (choice, { verifySignatures }) => {
      if (choice === "auto") await tryWebCrypto(verifySignatures, createWebCrypto);
    },
    rootKey: { newKdf, deriveFromPassphrase, readFile: async () => undefined },
    newCiphertextBlock: () => undefined,
  };
}

/** Makes `loadEngine` around the sources of engines. */
export function portableEngineLoader({ provideKernels, createWebCrypto }: EngineSources): LoadEngine {
  return engineLoader({
    async wasm(options) {
      const loading = provideKernels(options.relaxedSimd, missingModules(options.wasm));
      // An engine lacks what its owner did not bring and nobody can load.
      await (options.wasm === undefined ? loading : loading.catch(unlessUnsupported));
      return createWasmEngine(options);
    },
    webcrypto: createWebCrypto,
  });
}
