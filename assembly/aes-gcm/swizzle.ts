/** The byte lookup of the vector kernels: one instruction in the relaxed build, an index check more in the plain one. */

/**
 * Looks up 16 bytes in a table of 16.
 *
 * @param table 16 entries
 * @param index 16 indices, each 0..=15, or 128..=255 for which the result is 0; others differ between machines; may be
 *   secret
 *
 * Time: constant. Source: WebAssembly core, i8x16.swizzle and i8x16.relaxed_swizzle.
 */
export function swizzle(table: v128, index: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, index);
  return i8x16.swizzle(table, index);
}
