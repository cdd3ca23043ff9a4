/** Compares message authentication codes: the one comparison of secrets outside the kernels. */

/** Compares without stopping at the first difference; the lengths are public. */
export function equalMacs(expected: Uint8Array, given: Uint8Array): boolean {
  if (expected.length !== given.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= (expected[i] ?? 0) ^ (given[i] ?? 0);
  return difference === 0;
}
