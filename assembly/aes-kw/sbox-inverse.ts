/** The inverse AES S-box as a Boolean circuit: the forward one between two affine maps, so no table here either. */

import { subBytes } from "../aes-gcm/sbox-bitsliced";

/**
 * Undoes the affine map of the S-box on each of 64 bytes: bit i ← bits i + 2, i + 5 and i + 7, plus 0x05.
 *
 * @param planes 8 words of 8 bytes, secret; bit i of word b is bit b of byte i; in and out
 *
 * Time: constant. Source: FIPS 197, 5.3.2.
 */
function undoAffineMap(planes: usize): void {
  const x0: u64 = load<u64>(planes);
  const x1: u64 = load<u64>(planes, 8);
  const x2: u64 = load<u64>(planes, 16);
  const x3: u64 = load<u64>(planes, 24);
  const x4: u64 = load<u64>(planes, 32);
  const x5: u64 = load<u64>(planes, 40);
  const x6: u64 = load<u64>(planes, 48);
  const x7: u64 = load<u64>(planes, 56);
  store<u64>(planes, ~(x2 ^ x5 ^ x7));
  store<u64>(planes, x3 ^ x6 ^ x0, 8);
  store<u64>(planes, ~(x4 ^ x7 ^ x1), 16);
  store<u64>(planes, x5 ^ x0 ^ x2, 24);
  store<u64>(planes, x6 ^ x1 ^ x3, 32);
  store<u64>(planes, x7 ^ x2 ^ x4, 40);
  store<u64>(planes, x0 ^ x3 ^ x5, 48);
  store<u64>(planes, x1 ^ x4 ^ x6, 56);
}

/**
 * Replaces each of 64 bytes by its value under the inverse S-box.
 *
 * The S-box is S = A ∘ I with the inversion I, its own inverse, and the affine map A. So the inverse is I ∘ A⁻¹, and with
 * I = A⁻¹ ∘ S that is A⁻¹ ∘ S ∘ A⁻¹.
 *
 * @param planes 8 words of 8 bytes, secret; bit i of word b is bit b of byte i; in and out
 *
 * Time: constant. Source: FIPS 197, 5.3.2.
 */
export function inverseSubBytes(planes: usize): void {
  undoAffineMap(planes);
  subBytes(planes);
  undoAffineMap(planes);
}
