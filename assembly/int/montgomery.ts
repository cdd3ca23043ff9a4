/** Multiplication modulo any odd number of 256 bits in Montgomery form with R = 2^261; the curves' orders use it. */

import { assertProduct, LIMB_MASK } from "./limbs";

/**
 * Multiplies: out ← a · b / R, below a · b / R + modulus, with limbs of 29 bits.
 *
 * @param out one element; may overlap a and b
 * @param a one element with limbs below 2^30, secret
 * @param b one element with limbs below 2^30, secret
 * @param modulus one element, odd, public
 * @param inverse -modulus^-1 mod 2^29, public
 *
 * Time: constant. Source: Montgomery's reduction, one limb a row; docs/ecc-kernels.md has the bounds.
 */
export function montgomeryMultiply(out: usize, a: usize, b: usize, modulus: usize, inverse: u64): void {
  if (!ASC_NO_ASSERT) assertProduct(a, b);
  let t0: u64 = 0;
  let t1: u64 = 0;
  let t2: u64 = 0;
  let t3: u64 = 0;
  let t4: u64 = 0;
  let t5: u64 = 0;
  let t6: u64 = 0;
  let t7: u64 = 0;
  for (let row: usize = 0; row < 72; row += 8) {
    const digit: u64 = load<u64>(a + row);
    t0 += digit * load<u64>(b);
    const m: u64 = (t0 * inverse) & LIMB_MASK;
    // The lowest limb becomes a multiple of 2^29 and leaves; a column takes part in nine rows before it does.
    t0 = ((t0 + m * load<u64>(modulus)) >> 29) + t1 + digit * load<u64>(b, 8) + m * load<u64>(modulus, 8);
    t1 = t2 + digit * load<u64>(b, 16) + m * load<u64>(modulus, 16);
    t2 = t3 + digit * load<u64>(b, 24) + m * load<u64>(modulus, 24);
    t3 = t4 + digit * load<u64>(b, 32) + m * load<u64>(modulus, 32);
    t4 = t5 + digit * load<u64>(b, 40) + m * load<u64>(modulus, 40);
    t5 = t6 + digit * load<u64>(b, 48) + m * load<u64>(modulus, 48);
    t6 = t7 + digit * load<u64>(b, 56) + m * load<u64>(modulus, 56);
    t7 = digit * load<u64>(b, 64) + m * load<u64>(modulus, 64);
  }
  t1 += t0 >> 29;
  t2 += t1 >> 29;
  t3 += t2 >> 29;
  t4 += t3 >> 29;
  t5 += t4 >> 29;
  t6 += t5 >> 29;
  t7 += t6 >> 29;
  store<u64>(out, t0 & LIMB_MASK);
  store<u64>(out, t1 & LIMB_MASK, 8);
  store<u64>(out, t2 & LIMB_MASK, 16);
  store<u64>(out, t3 & LIMB_MASK, 24);
  store<u64>(out, t4 & LIMB_MASK, 32);
  store<u64>(out, t5 & LIMB_MASK, 40);
  store<u64>(out, t6 & LIMB_MASK, 48);
  store<u64>(out, t7 & LIMB_MASK, 56);
  store<u64>(out, t7 >> 29, 64);
}
