/**
 * The engine over the AssemblyScript kernels: runs wherever WebAssembly may be compiled, with no help from Node. The kernels
 * themselves come from elsewhere: `inlined.ts`, `lazy.ts`, or the host.
 */

import { ensure } from "../../errors.ts";
import type { LazyModule, LoadingEngine } from "../choose-engine.ts";
import type { Capabilities, WasmModules } from "../engine.ts";
import { SelfTests } from "../self-test.ts";
import { WasmAesGcm } from "./aes-gcm.ts";
import { WasmSealStage } from "./aes-gcm-stage.ts";
import type { EcKernel } from "./ec-kernel.ts";
import { EcKeys } from "./ec-keys.ts";
import { EcOperations } from "./ec-operations.ts";
import { wasmEcdh } from "./ecdh.ts";
import { WasmEcdsa } from "./ecdsa.ts";
import { wasmHash, wasmHkdf, wasmHmac } from "./hash.ts";
import { hashKernelOf } from "./hash-kernel.ts";
import { wasmAesKw, wasmAesKwp } from "./key-wrap.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { loadOnce } from "./load-once.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import type { ModuleName, RelaxedSimd, WasmBuild } from "./module.ts";
import { WasmRsa } from "./rsa.ts";
import type { RsaKernel } from "./rsa-kernel.ts";
import { RsaOperations } from "./rsa-operations.ts";
import { WasmState } from "./state.ts";

export interface WasmEngineOptions {
  /**
   * Compiled modules of any build, for runtimes that refuse to compile bytes; a bare module is the main one. What is
   * absent must have been provided.
   */
  readonly wasm?: WebAssembly.Module | WasmModules | undefined;
  /**
   * Whether the relaxed SIMD build may run: "auto" where the runtime has it, "off" never, "force" by setting the V8 flag
   * of Node 20 first, which is process-wide and experimental there.
   */
  readonly relaxedSimd?: RelaxedSimd | undefined;
  /** Verifies every ECDSA signature with the public key before it leaves. */
  readonly verifySignatures?: boolean | undefined;
  /** Takes this build or none, for tests and benches. */
  readonly build?: WasmBuild | undefined;
}

const HASH_NAMES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const;
const AES_NAMES = ["AES-128", "AES-192", "AES-256"] as const;
const CURVE_NAMES = ["P-256", "secp256k1"] as const;

/** What each module makes an engine capable of. */
const CAPABILITIES: Readonly<Record<ModuleName, Capabilities>> = {
  main: {
    aesGcm: AES_NAMES,
    hmac: HASH_NAMES,
    hash: HASH_NAMES,
    hkdf: HASH_NAMES,
    aesKw: AES_NAMES,
    aesKwp: AES_NAMES,
  },
  ecc: {
    ecdsa: CURVE_NAMES,
    ecdsaHash: HASH_NAMES,
    ecdsaFormat: ["der", "p1363", "recoverable"],
    ecdsaSignable: ["message", "digest"],
    ecdh: CURVE_NAMES,
  },
  rsa: {
    rsa: ["2048", "3072", "4096"],
    rsaPss: HASH_NAMES,
    rsaPkcs1: HASH_NAMES,
    rsaSignable: ["message", "digest"],
    rsaOaep: HASH_NAMES,
    rsaOaepMgf: ["same", "other"],
  },
};

const MODULE_NAMES: readonly ModuleName[] = ["main", "ecc", "rsa"];
const BUILDS: readonly unknown[] = [undefined, "base", "simd", "relaxed"];

/** Checks the option `wasm` and gives every module its name. */
function readModules(wasm: WasmEngineOptions["wasm"]): WasmModules {
  if (wasm === undefined) return {};
  if (typeof WebAssembly === "object" && wasm instanceof WebAssembly.Module) return { main: wasm };
  const names = typeof wasm === "object" && wasm !== null ? Object.keys(wasm) : [];
  ensure(
    names.length > 0 && names.every((name) => (MODULE_NAMES as readonly string[]).includes(name)),
    "InvalidParameter",
    "wasm must be a WebAssembly.Module, or an object of them by the names main, ecc and rsa.",
  );
  return wasm as WasmModules;
}

/**
 * Lists the modules that the option `wasm` leaves out.
 *
 * @throws KmsError `InvalidParameter`
 */
export function missingModules(wasm: WasmEngineOptions["wasm"]): readonly ModuleName[] {
  const given = readModules(wasm);
  return MODULE_NAMES.filter((name) => given[name] === undefined);
}

/**
 * Creates an engine with keys and self-tests of its own over the realm's one instance of the best build of each module.
 * The modules of elliptic curves and of RSA are compiled at their first use, unless they are given; an engine has not what
 * neither was given nor provided nor can be loaded.
 *
 * @param load loads one of these modules for an engine that is asked to (`LoadingEngine.load`) before it is used
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime refuses WebAssembly or the build asked for;
 *   `InvalidParameter` for a module that is not of these kernels
 */
export function createWasmEngine(
  options: WasmEngineOptions = {},
  load?: (module: LazyModule) => Promise<void>,
): LoadingEngine {
  const { wasm, relaxedSimd = "auto", build } = options;
  ensure(BUILDS.includes(build), "InvalidParameter", "build must be base, simd or relaxed.");
  const { main, ecc, rsa } = readModules(wasm);
  const kernel = main === undefined ? mainLoader.best(relaxedSimd, build) : mainLoader.ofModule(main);
  const givenEcKernel = ecc === undefined ? undefined : ecLoader.ofModule(ecc);
  const givenRsaKernel = rsa === undefined ? undefined : rsaLoader.ofModule(rsa);
  const findEc = (): EcKernel | undefined => givenEcKernel ?? ecLoader.find(relaxedSimd, build);
  const findRsa = (): RsaKernel | undefined => givenRsaKernel ?? rsaLoader.find(relaxedSimd, build);
  const hasEc = givenEcKernel !== undefined || load !== undefined || ecLoader.sources.size > 0;
  const hasRsa = givenRsaKernel !== undefined || load !== undefined || rsaLoader.sources.size > 0;
  const selfTests = new SelfTests();
  const state = new WasmState(selfTests);
  const hashKernel = hashKernelOf(kernel);
  const aesGcm = new WasmAesGcm(kernel, selfTests, WasmSealStage);
  const ecOperations = new EcOperations(() => givenEcKernel ?? ecLoader.best(relaxedSimd, build));
  const ecKeys = new EcKeys(ecOperations);
  const rsaKernel = (): RsaKernel => givenRsaKernel ?? rsaLoader.best(relaxedSimd, build);
  const wasmRsa = new WasmRsa(state, new RsaOperations(rsaKernel, hashKernel));
  return {
    name: "wasm",
    build: kernel.build,
    capabilities: {
      ...CAPABILITIES.main,
      ...(hasEc ? CAPABILITIES.ecc : {}),
      ...(hasRsa ? CAPABILITIES.rsa : {}),
    },
    ...(load === undefined
      ? {}
      : { load: loadOnce(load, (module) => (module === "ecc" ? findEc() : findRsa()) !== undefined) }),
    aesGcm,
    ...(hasEc
      ? {
          ecdsa: new WasmEcdsa(state, ecKeys, ecOperations, hashKernel, options.verifySignatures === true),
          ecdh: wasmEcdh(state, ecKeys, ecOperations),
        }
      : {}),
    ...(hasRsa ? { rsa: wasmRsa } : {}),
    // Before the module is loaded there is no telling, and nothing depends on it: where it is loaded late, no engine is quicker.
    usesVectorsForRsa: () => {
      try {
        return findRsa()?.build === "relaxed";
      } catch {
        // What hinders them is told by the call that needs them; others may serve it.
        return false;
      }
    },
    hmac: wasmHmac(hashKernel, state),
    hash: wasmHash(hashKernel, state),
    hkdf: wasmHkdf(hashKernel, state),
    aesKw: wasmAesKw(hashKernel, state),
    aesKwp: wasmAesKwp(hashKernel, state),
    close() {
      state.close();
      aesGcm.close();
      ecKeys.destroyAll();
      ecOperations.close();
      wasmRsa.close();
    },
  };
}
