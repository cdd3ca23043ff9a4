/**
 * Tells what vector instructions a runtime really has, by compiling and running modules of one function. `validate` alone
 * accepts modules that some runtimes then fail to compile.
 */

/** The bytes of a module up to the code. */
const HEAD: readonly number[] = [
  // Magic and version; type () -> (); one function; one page of memory; exports "f" and "m".
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00,
  0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x09, 0x02, 0x01, 0x66, 0x00, 0x00, 0x01, 0x6d, 0x02, 0x00,
];
/** i32.const and v128.load, of vectors 16 bytes apart from address 0 on. */
const load = (operand: number): number[] => [0x41, 16 * operand, 0xfd, 0x00, 0x04, 0x00];
const STORE: readonly number[] = [0xfd, 0x0b, 0x04, 0x00, 0x0b];
/** Where the result goes: behind three operands. */
const RESULT = 48;

const SWIZZLE: readonly number[] = [0xfd, 0x0e];
const RELAXED_SWIZZLE: readonly number[] = [0xfd, 0x80, 0x02];
const RELAXED_MADD: readonly number[] = [0xfd, 0x87, 0x02];

/** Compiles a function that applies an instruction to the vectors at 0, 16, … and stores the result at RESULT. */
function instantiate(
  operands: number,
  instruction: readonly number[],
): { readonly run: () => void; readonly memory: Uint8Array<ArrayBuffer> } {
  const loads = Array.from({ length: operands }, (_, operand) => load(operand)).flat();
  const body = [0x00, 0x41, RESULT, ...loads, ...instruction, ...STORE];
  const code = [0x01, body.length, ...body];
  const module = new WebAssembly.Module(Uint8Array.from([...HEAD, 0x0a, code.length, ...code]));
  const { f, m } = new WebAssembly.Instance(module).exports as { f: () => void; m: WebAssembly.Memory };
  return { run: f, memory: new Uint8Array(m.buffer) };
}

/**
 * Tells a want of memory or of instances, which may pass, from what is so for good: a RangeError in V8 and JavaScriptCore, in
 * Firefox a string.
 */
export function isWantOfMemory(error: unknown): boolean {
  return error instanceof RangeError || typeof error === "string";
}

/** Answers that there is no such instruction. @throws the error where it is a want of memory, which says nothing */
function isNone(error: unknown): false {
  if (isWantOfMemory(error)) throw error;
  return false;
}

/**
 * Compiles a module with the byte lookup of a build and runs it over every index the kernels use: 0 to 15 give the entry,
 * 128 to 255 give 0.
 *
 * @returns whether it compiles and all results are right
 * @throws what tells of it, where there is no memory for it just now
 */
export function probeSwizzle(build: "simd" | "relaxed"): boolean {
  try {
    const { run, memory } = instantiate(2, build === "simd" ? SWIZZLE : RELAXED_SWIZZLE);
    const indices = Array.from({ length: 144 }, (_, i) => (i < 16 ? i : i + 112));
    for (let i = 0; i < 16; i++) memory[i] = 0xa0 + i;
    for (let start = 0; start < indices.length; start += 16) {
      memory.set(indices.slice(start, start + 16), 16);
      run();
      for (let i = 0; i < 16; i++) {
        const index = indices[start + i] ?? 0;
        if (memory[RESULT + i] !== (index < 16 ? 0xa0 + index : 0)) return false;
      }
    }
    return true;
  } catch (error) {
    return isNone(error);
  }
}

/**
 * Gives a, b, c and the one a·b + c that a single rounding gives; two roundings give another number each time. A function,
 * which bundlers leave out where nobody calls it.
 */
const fused = (): readonly (readonly [a: number, b: number, c: number, result: number])[] => [
  [2 ** 27 + 1, 2 ** 27 + 1, -(2 ** 54 + 2 ** 28), 1],
  [2 ** 43 - 1, 2 ** 43 - 1, -(2 ** 86 - 2 ** 44), 1],
  [-(2 ** 43 - 1), 2 ** 43 - 1, 2 ** 86 - 2 ** 44, -1],
  [2 ** 52 + 1, 2 ** 51 + 1, -(2 ** 103), 2 ** 52 + 2 ** 51 + 1],
];

/**
 * Compiles a module with the relaxed multiplication and addition of doubles and runs it in both lanes.
 *
 * @returns whether it compiles and rounds once, as a fused instruction does
 * @throws what tells of it, where there is no memory for it just now
 */
export function probeFusedMultiplyAdd(): boolean {
  try {
    const { run, memory } = instantiate(3, RELAXED_MADD);
    const lanes = new Float64Array(memory.buffer);
    const isRight = (lane: number, [a, b, c, right]: ReturnType<typeof fused>[number]): boolean => {
      [lanes[lane], lanes[2 + lane], lanes[4 + lane]] = [a, b, c];
      run();
      return lanes[6 + lane] === right;
    };
    return [0, 1].every((lane) => fused().every((numbers) => isRight(lane, numbers)));
  } catch (error) {
    return isNone(error);
  }
}

/** Tells whether this runtime compiles anything at all: policies forbid it, and so do some hosts. */
export function mayCompile(): boolean {
  try {
    // Magic and version alone are a module.
    return new WebAssembly.Module(Uint8Array.from(HEAD.slice(0, 8))) !== undefined;
  } catch (error) {
    return isWantOfMemory(error);
  }
}
