/** Tests of primality in the kernels (FIPS 186-5, B.3.1), for the primes of keys that are imported. */

import type { RsaPrivateFields } from "../key-encoding.ts";
import { expectDone } from "./hash-kernel.ts";
import type { RsaKernel } from "./rsa-kernel.ts";

/**
 * Rounds for each prime of a key of unknown origin. One round lets a composite pass with a probability below 1/4 whoever
 * chose it, and below 2^-80 if it was found at random.
 */
const ROUNDS = 8;
const BOTH = 3;

/** Where p and q of a key lie among its parts (assembly/rsa/memory.ts). */
const PART_P = 0x200;
const PART_Q = 0x300;

/** Tells whether p and q, odd and of half the bits of n each, are prime. Time: depends on their length and the outcome. */
export function arePrimes(kernel: RsaKernel, { n, p, q }: RsaPrivateFields): boolean {
  try {
    kernel.keyParts.set(p, PART_P);
    kernel.keyParts.set(q, PART_Q);
    expectDone(kernel.rsaLoadPrimes(8 * n.length));
    for (let round = 0; round < ROUNDS; round++) {
      crypto.getRandomValues(kernel.random);
      if (kernel.rsaTestCandidates() !== BOTH) return false;
    }
    return true;
  } finally {
    kernel.rsaWipeKeygen();
  }
}
