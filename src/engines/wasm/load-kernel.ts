/**
 * Picks the best build of the kernels that the runtime supports and proves it before it serves: one instance a build and
 * realm, shared by every engine, since browsers limit their number.
 */

import { equalBytesVartime } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import { aesGcmKnownAnswers } from "../aes-gcm-vectors.ts";
import { instantiateKernel, type Kernel, type WasmBuild } from "./kernel.ts";
import { BASE_WASM_BASE64, RELAXED_WASM_BASE64, SIMD_WASM_BASE64 } from "./kernel-bytes.ts";
import { probeSwizzle } from "./probe.ts";
import { allowRelaxedSimd } from "./v8-flag.ts";

/** Whether the relaxed SIMD build may run: where the runtime has it, never, or by setting the V8 flag first. */
export type RelaxedSimd = "auto" | "off" | "force";

const kernelsOfModule: WeakMap<WebAssembly.Module, Kernel> = new WeakMap();
/** A kernel once its build was proved; undefined inside where this runtime has not that build. */
const kernelsOfBuild: Map<WasmBuild, { readonly kernel: Kernel | undefined }> = new Map();

/**
 * Returns the kernels of a module the host compiled.
 *
 * @throws KmsError `InvalidParameter` where it is not a module of these kernels, `Rejected.UnsupportedOperation` where the
 *   runtime refuses it
 */
export function kernelOfModule(module: WebAssembly.Module): Kernel {
  ensureWebAssembly();
  ensure(module instanceof WebAssembly.Module, "InvalidParameter", "wasm must be a WebAssembly.Module.");
  let kernel = kernelsOfModule.get(module);
  if (kernel === undefined) {
    kernel = instantiateKernel(module);
    kernelsOfModule.set(module, kernel);
  }
  return kernel;
}

/**
 * Returns the kernels of the best build that this runtime supports: relaxed, simd, base.
 *
 * @param build the one build to take, for tests and benches
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime has no WebAssembly, a policy forbids compiling, or
 *   the build asked for is not supported
 */
export function bestKernel(relaxedSimd: RelaxedSimd, build?: WasmBuild): Kernel {
  ensureWebAssembly();
  if (build !== "base" && build !== "simd" && relaxedSimd !== "off") {
    const kernel = kernelOfBuild("relaxed", relaxedSimd === "force");
    if (kernel !== undefined) return kernel;
  }
  if (build === undefined || build === "simd") {
    const kernel = kernelOfBuild("simd", false);
    if (kernel !== undefined) return kernel;
  }
  if (build === undefined || build === "base") {
    const kernel = kernelOfBuild("base", false);
    if (kernel !== undefined) return kernel;
  }
  throw new KmsError("Rejected.UnsupportedOperation", `This runtime does not support the ${build} build.`);
}

function ensureWebAssembly(): void {
  ensure(
    typeof WebAssembly === "object",
    "Rejected.UnsupportedOperation",
    "This runtime has no WebAssembly; use another engine.",
  );
}

function kernelOfBuild(build: WasmBuild, force: boolean): Kernel | undefined {
  const known = kernelsOfBuild.get(build);
  // A flag set later may bring the relaxed build after all.
  if (known !== undefined && !(force && known.kernel === undefined)) return known.kernel;
  const kernel = build === "base" ? instantiateKernel(compileBase()) : kernelOfVectorBuild(build, force);
  kernelsOfBuild.set(build, { kernel });
  return kernel;
}

/** Returns the kernels of a vector build; undefined where the runtime cannot compile it or its answers are wrong. */
function kernelOfVectorBuild(build: "simd" | "relaxed", force: boolean): Kernel | undefined {
  if (!probeSwizzle(build) && !(force && allowRelaxedSimd() && probeSwizzle(build))) return undefined;
  try {
    const text = build === "simd" ? SIMD_WASM_BASE64 : RELAXED_WASM_BASE64;
    const kernel = instantiateKernel(new WebAssembly.Module(decodeBase64(text)));
    return answersRightly(kernel) ? kernel : undefined;
  } catch {
    return undefined;
  }
}

/** Seals and opens the known answers in the kernel itself; leaves nothing behind. Keys and messages are public. */
function answersRightly(kernel: Kernel): boolean {
  let right = true;
  for (const { key, iv, aad, plaintext, sealed } of aesGcmKnownAnswers()) {
    const { memory, dataStart } = kernel;
    kernel.key.set(key);
    kernel.aesGcmLoadKey(0, key.length);
    kernel.iv.set(iv);
    memory.set(aad, dataStart - ((aad.length + 15) & ~15));
    memory.set(plaintext, dataStart);
    right = kernel.aesGcmSeal(0, key.length, aad.length, plaintext.length, 0) === 1 && right;
    right = equalBytesVartime(memory.subarray(dataStart, dataStart + sealed.length), sealed) && right;
    memory.set(aad, dataStart - ((aad.length + 15) & ~15));
    right = kernel.aesGcmOpen(0, key.length, aad.length, sealed.length, 0) === 1 && right;
    right = equalBytesVartime(memory.subarray(dataStart, dataStart + plaintext.length), plaintext) && right;
    memory.fill(0, dataStart, dataStart + sealed.length);
    kernel.aesGcmDropKey(0);
  }
  return right;
}

function compileBase(): WebAssembly.Module {
  try {
    return new WebAssembly.Module(decodeBase64(BASE_WASM_BASE64));
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime refuses to compile WebAssembly (in browsers the page's policy needs 'wasm-unsafe-eval'; " +
        "on edge runtimes pass a precompiled module).",
      { cause },
    );
  }
}

/** Decodes the module text, which is public. `atob` is everywhere; `fromBase64` and Node's Buffer are quicker. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const { Buffer } = globalThis as {
    Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
  };
  if (Buffer !== undefined) return Buffer.from(text, "base64");
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
