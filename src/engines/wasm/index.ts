/**
 * The engine over the AssemblyScript kernels: runs wherever WebAssembly may be compiled, with no help from Node. The kernels
 * themselves come from elsewhere: `inlined.ts`, `lazy.ts`, or the host.
 */

import { ensure } from "../../errors.ts";
import type { Capabilities, Engine, WasmModules } from "../engine.ts";
import { SelfTests } from "../self-test.ts";
import { WasmAesGcm } from "./aes-gcm.ts";
import { WasmSealStage } from "./aes-gcm-stage.ts";
import { EcKeys } from "./ec-keys.ts";
import { EcOperations } from "./ec-operations.ts";
import { wasmEcdh } from "./ecdh.ts";
import { WasmEcdsa } from "./ecdsa.ts";
import { wasmHash, wasmHkdf, wasmHmac } from "./hash.ts";
import { hashKernelOf } from "./hash-kernel.ts";
import { wasmAesKw, wasmAesKwp } from "./key-wrap.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import type { RelaxedSimd, WasmBuild } from "./module.ts";
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

const CAPABILITIES: Capabilities = {
  aesGcm: AES_NAMES,
  ecdsa: CURVE_NAMES,
  ecdsaHash: HASH_NAMES,
  ecdsaFormat: ["der", "p1363", "recoverable"],
  ecdsaSignable: ["message", "digest"],
  ecdh: CURVE_NAMES,
  rsa: ["2048", "3072", "4096"],
  rsaPss: HASH_NAMES,
  rsaPkcs1: HASH_NAMES,
  rsaSignable: ["message", "digest"],
  rsaOaep: HASH_NAMES,
  rsaOaepMgf: ["same", "other"],
  hmac: HASH_NAMES,
  hash: HASH_NAMES,
  hkdf: HASH_NAMES,
  aesKw: AES_NAMES,
  aesKwp: AES_NAMES,
};

const MODULE_NAMES: readonly string[] = ["main", "ecc", "rsa"];
const BUILDS: readonly unknown[] = [undefined, "base", "simd", "relaxed"];

/** Checks the option `wasm` and gives every module its name. */
function readModules(wasm: WasmEngineOptions["wasm"]): WasmModules {
  if (wasm === undefined) return {};
  if (typeof WebAssembly === "object" && wasm instanceof WebAssembly.Module) return { main: wasm };
  const names = typeof wasm === "object" && wasm !== null ? Object.keys(wasm) : [];
  ensure(
    names.length > 0 && names.every((name) => MODULE_NAMES.includes(name)),
    "InvalidParameter",
    "wasm must be a WebAssembly.Module, or an object of them by the names main, ecc and rsa.",
  );
  return wasm as WasmModules;
}

/**
 * Creates an engine with keys and self-tests of its own over the realm's one instance of the best build of each module.
 * The modules of elliptic curves and of RSA are compiled at their first use, unless they are given.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime refuses WebAssembly or the build asked for;
 *   `InvalidParameter` for a module that is not of these kernels
 */
export function createWasmEngine(options: WasmEngineOptions = {}): Engine {
  const { wasm, relaxedSimd = "auto", build } = options;
  ensure(BUILDS.includes(build), "InvalidParameter", "build must be base, simd or relaxed.");
  const { main, ecc, rsa } = readModules(wasm);
  const kernel = main === undefined ? mainLoader.best(relaxedSimd, build) : mainLoader.ofModule(main);
  const givenEcKernel = ecc === undefined ? undefined : ecLoader.ofModule(ecc);
  const givenRsaKernel = rsa === undefined ? undefined : rsaLoader.ofModule(rsa);
  const selfTests = new SelfTests();
  const state = new WasmState(selfTests);
  const hashKernel = hashKernelOf(kernel);
  const aesGcm = new WasmAesGcm(kernel, selfTests, WasmSealStage);
  const ecOperations = new EcOperations(() => givenEcKernel ?? ecLoader.best(relaxedSimd, build));
  const ecKeys = new EcKeys(ecOperations);
  // The module of RSA has no build between the plain and the relaxed one.
  const rsaBuild = build === "simd" ? "base" : build;
  const rsaKernel = (): RsaKernel => givenRsaKernel ?? rsaLoader.best(relaxedSimd, rsaBuild);
  const wasmRsa = new WasmRsa(state, new RsaOperations(rsaKernel, hashKernel));
  return {
    name: "wasm",
    build: kernel.build,
    capabilities: CAPABILITIES,
    aesGcm,
    ecdsa: new WasmEcdsa(state, ecKeys, ecOperations, hashKernel, options.verifySignatures === true),
    ecdh: wasmEcdh(state, ecKeys, ecOperations),
    rsa: wasmRsa,
    usesVectorsForRsa: () => rsaKernel().build === "relaxed",
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
