/**
 * Tells what vector instructions a runtime really has, by compiling and running a module of one function. `validate` alone
 * accepts modules that some runtimes then fail to compile.
 */

/** The bytes of a module up to the operation, the two operations, and the rest. */
const HEAD: readonly number[] = [
  // Magic and version; type () -> (); one function; one page of memory; exports "f" and "m".
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00,
  0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x09, 0x02, 0x01, 0x66, 0x00, 0x00, 0x01, 0x6d, 0x02, 0x00,
];
/** i32.const 32, v128.load at 0, v128.load at 16; the operation; v128.store. */
const LOADS: readonly number[] = [
  0x41, 0x20, 0x41, 0x00, 0xfd, 0x00, 0x04, 0x00, 0x41, 0x10, 0xfd, 0x00, 0x04, 0x00,
];
const STORE: readonly number[] = [0xfd, 0x0b, 0x04, 0x00, 0x0b];
const SWIZZLE: readonly number[] = [0xfd, 0x0e];
const RELAXED_SWIZZLE: readonly number[] = [0xfd, 0x80, 0x02];

/**
 * Compiles a module with the byte lookup of a build and runs it over every index the kernels use: 0 to 15 give the entry,
 * 128 to 255 give 0.
 *
 * @returns whether it compiles and all results are right
 */
export function probeSwizzle(build: "simd" | "relaxed"): boolean {
  const body = [0x00, ...LOADS, ...(build === "simd" ? SWIZZLE : RELAXED_SWIZZLE), ...STORE];
  const code = [0x01, body.length, ...body];
  try {
    const module = new WebAssembly.Module(Uint8Array.from([...HEAD, 0x0a, code.length, ...code]));
    const { f, m } = new WebAssembly.Instance(module).exports as { f: () => void; m: WebAssembly.Memory };
    const memory = new Uint8Array(m.buffer);
    const indices = Array.from({ length: 144 }, (_, i) => (i < 16 ? i : i + 112));
    for (let i = 0; i < 16; i++) memory[i] = 0xa0 + i;
    for (let start = 0; start < indices.length; start += 16) {
      memory.set(indices.slice(start, start + 16), 16);
      f();
      for (let i = 0; i < 16; i++) {
        const index = indices[start + i] ?? 0;
        if (memory[32 + i] !== (index < 16 ? 0xa0 + index : 0)) return false;
      }
    }
    return true;
  } catch {
    return false;
  }
}
