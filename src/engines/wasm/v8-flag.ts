/** Switches on what V8 keeps behind a flag. Reaches Node's modules at run time alone, so that bundles for the web stay free of them. */

/**
 * Sets the V8 flag for relaxed SIMD, for the whole process.
 *
 * @returns whether this runtime is one that has flags to set
 */
export function allowRelaxedSimd(): boolean {
  const host = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const v8 = host?.getBuiltinModule?.("node:v8") as
    | { setFlagsFromString?: (flag: string) => void }
    | undefined;
  if (v8?.setFlagsFromString === undefined) return false;
  v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
  return true;
}
