/** Brings up the compiled kernels: one instance a realm, shared by every engine, since browsers limit their number. */

import { ensure, KmsError } from "../../errors.ts";
import { BASE_WASM_BASE64 } from "./kernel-bytes.ts";

/** What the kernels export: the functions of assembly/index.ts. Each returns 1, or 0 where it refuses. */
interface KernelFunctions {
  aesGcmLoadKey(slot: number, keyLength: number): number;
  aesGcmDropKey(slot: number): number;
  aesGcmSeal(slot: number, keyLength: number, aadLength: number, dataLength: number): number;
  aesGcmOpen(slot: number, keyLength: number, aadLength: number, sealedLength: number): number;
  aesGcmStart(slot: number, keyLength: number): number;
  aesGcmAad(length: number): number;
  aesGcmEncrypt(length: number): number;
  aesGcmWriteTag(): number;
  aesGcmAuthenticate(length: number): number;
  aesGcmVerify(): number;
  aesGcmDecrypt(length: number): number;
  aesGcmEnd(): void;
}

/** Views of the arena regions the host may touch. They stay valid, because the memory never grows. */
interface KernelRegions {
  /** Everything the module exports, for the bindings of other primitives. */
  readonly exports: WebAssembly.Exports;
  readonly memory: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  readonly aad: Uint8Array;
  /** One chunk and the tag behind it. */
  readonly data: Uint8Array;
  /** Most bytes of data in one call. */
  readonly dataCapacity: number;
  readonly contextCount: number;
}

export interface Kernel extends KernelFunctions, KernelRegions {}

const FUNCTION_NAMES: readonly (keyof KernelFunctions)[] = [
  "aesGcmLoadKey",
  "aesGcmDropKey",
  "aesGcmSeal",
  "aesGcmOpen",
  "aesGcmStart",
  "aesGcmAad",
  "aesGcmEncrypt",
  "aesGcmWriteTag",
  "aesGcmAuthenticate",
  "aesGcmVerify",
  "aesGcmDecrypt",
  "aesGcmEnd",
];

const LONGEST_KEY = 32;
const IV_LENGTH = 12;
const TAG_LENGTH = 16;

let inlineModule: WebAssembly.Module | undefined;
const kernels: WeakMap<WebAssembly.Module, Kernel> = new WeakMap();

/**
 * Returns the kernels of a module, instantiated on first use.
 *
 * @param wasm a compiled `base.wasm`; the inlined one if absent
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime has no WebAssembly or a policy forbids compiling;
 *   `InvalidParameter` where `wasm` is not a module of these kernels
 */
export function loadKernel(wasm?: WebAssembly.Module): Kernel {
  ensure(
    typeof WebAssembly === "object",
    "Rejected.UnsupportedOperation",
    "This runtime has no WebAssembly; use another engine.",
  );
  ensure(
    wasm === undefined || wasm instanceof WebAssembly.Module,
    "InvalidParameter",
    "wasm must be a WebAssembly.Module.",
  );
  const module = wasm ?? compileInlined();
  let kernel = kernels.get(module);
  if (kernel === undefined) {
    kernel = bindExports(instantiate(module));
    kernels.set(module, kernel);
  }
  return kernel;
}

function compileInlined(): WebAssembly.Module {
  if (inlineModule !== undefined) return inlineModule;
  try {
    inlineModule = new WebAssembly.Module(decodeBase64(BASE_WASM_BASE64));
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime refuses to compile WebAssembly (in browsers the page's policy needs 'wasm-unsafe-eval'; " +
        "on edge runtimes pass a precompiled module).",
      { cause },
    );
  }
  return inlineModule;
}

function instantiate(module: WebAssembly.Module): WebAssembly.Exports {
  ensure(
    WebAssembly.Module.imports(module).length === 0,
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels, which imports nothing.",
  );
  try {
    return new WebAssembly.Instance(module).exports;
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime refuses to instantiate the WebAssembly module.",
      { cause },
    );
  }
}

/** Decodes the module text, which is public. `atob` is everywhere; `fromBase64` is quicker where it exists. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function bindExports(exports: WebAssembly.Exports): Kernel {
  const { memory } = exports;
  ensure(
    memory instanceof WebAssembly.Memory &&
      FUNCTION_NAMES.every((name) => typeof exports[name] === "function"),
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels.",
  );
  const bytes = new Uint8Array(memory.buffer);
  const region = (name: string, length: number): Uint8Array => {
    const start = constant(exports, name);
    return bytes.subarray(start, start + length);
  };
  const dataCapacity = constant(exports, "DATA_CAPACITY");
  return {
    ...(exports as unknown as KernelFunctions),
    exports,
    memory: bytes,
    key: region("KEY", LONGEST_KEY),
    iv: region("IV", IV_LENGTH),
    tag: region("TAG", TAG_LENGTH),
    aad: region("AAD", constant(exports, "AAD_CAPACITY")),
    data: region("DATA", dataCapacity + TAG_LENGTH),
    dataCapacity,
    contextCount: constant(exports, "AES_GCM_CONTEXT_COUNT"),
  };
}

function constant(exports: WebAssembly.Exports, name: string): number {
  const global = exports[name];
  ensure(
    global instanceof WebAssembly.Global,
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels.",
  );
  return global.value as number;
}
