/**
 * The search for an RSA key in an instance of the kernels of its own (FIPS 186-5, A.1.3), in steps. It runs in a thread as
 * well, where nothing of this module but the text of the function exists.
 */

import type { RsaKeygenFunctions } from "./rsa-kernel.ts";

/** What the module exports for a search. */
export interface SearchExports extends RsaKeygenFunctions {
  readonly memory: WebAssembly.Memory;
  readonly RSA_KEY_PARTS: WebAssembly.Global;
  readonly RSA_OUTPUT: WebAssembly.Global;
  readonly RSA_RANDOM: WebAssembly.Global;
  readonly RSA_CANDIDATES: WebAssembly.Global;
  readonly RSA_CANDIDATES_LENGTH: WebAssembly.Global;
  rsaSelfTest(): number;
}

/** Bytes of RSA_KEY_PARTS; d follows them in what a search finds. */
export const KEY_PARTS_LENGTH = 0x800;

/**
 * Searches for a key: two candidates at a time, one round of Miller and Rabin for both, and four more for one that passes.
 * Table B.1 asks for five rounds with primes of 1,024 bits and for four with longer ones.
 *
 * Its text is run elsewhere: it must not refer to anything but its arguments and what every realm has.
 *
 * @yields how many steps it has taken, after each
 * @returns KEY_PARTS_LENGTH bytes as RSA_KEY_PARTS has them, then d; the caller wipes them
 */
export function* searchRsaKey(kernel: SearchExports, bits: number): Generator<number, Uint8Array> {
  const memory = new Uint8Array(kernel.memory.buffer);
  const random = kernel.RSA_RANDOM.value as number;
  const candidates = kernel.RSA_CANDIDATES.value as number;
  const length = bits / 16;
  const count = Math.floor((kernel.RSA_CANDIDATES_LENGTH.value as number) / length);
  const fill = (start: number, end: number): void => {
    crypto.getRandomValues(memory.subarray(start, end));
  };
  const test = (): number => {
    fill(random, random + 0x400);
    return kernel.rsaTestCandidates();
  };
  let position = count;
  let steps = 0;
  try {
    // Prepares the instance; its arithmetic is known to be sound, for another instance is in use.
    kernel.rsaSelfTest();
    kernel.rsaGenerateBegin(bits);
    while (true) {
      while (kernel.rsaGenerateWaiting() < 2) {
        if (position === count) {
          fill(candidates, candidates + count * length);
          position = 0;
        }
        position = kernel.rsaGenerateSieve(position, count);
      }
      const verdicts = test();
      yield ++steps;
      if (verdicts === 0) continue;
      kernel.rsaGenerateConfirm((verdicts & 1) === 1 ? 0 : 1);
      let prime = true;
      for (let round = 0; round < 2 && prime; round++) {
        prime = test() === 3;
        yield ++steps;
      }
      if (!prime || kernel.rsaGenerateKeep() < 2) continue;
      if (kernel.rsaGenerateKey() === 1) break;
      kernel.rsaGenerateBegin(bits);
      position = count;
    }
    const parts = kernel.RSA_KEY_PARTS.value as number;
    const output = kernel.RSA_OUTPUT.value as number;
    const key = new Uint8Array(0x800 + bits / 8);
    key.set(memory.subarray(parts, parts + 0x800));
    key.set(memory.subarray(output, output + bits / 8), 0x800);
    return key;
  } finally {
    kernel.rsaWipeKeygen();
  }
}
