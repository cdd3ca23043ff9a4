/**
 * Division of candidates by the odd primes below 2^13. The table is computed from nothing secret: products of a few
 * primes each, and for each prime its inverse modulo 2^32, with which a multiplication tells multiples from other numbers.
 */

import { zeroBit64 } from "../ct";
import { natResidueScaled, negativeInverse32 } from "../int/nat";
import { SMALL_PRIMES } from "./keygen-memory";

/** The primes tried are below this. */
const BOUND: u32 = 0x2000;

/** Products come first: the product and how many primes it has, a word each; the primes in their order lie behind. */
const PRODUCT_STEP: usize = 8;
const PRIMES: usize = SMALL_PRIMES + 0x2000;
const PRIME_STEP: usize = 8;
/** Marks of composites while the table is made. */
const MARKS: usize = SMALL_PRIMES + 0x6000;

// How many products there are. A public fact.
let productCount: u32 = 0;

/** Makes the table that `hasSmallFactor` reads. Source: the sieve of Eratosthenes over odd numbers. Time: constant. */
export function makeSmallPrimes(): void {
  productCount = 0;
  const half: u32 = BOUND >> 1;
  memory.fill(MARKS, 0, <usize>half);
  let prime: usize = PRIMES;
  let product: u64 = 1;
  let members: u32 = 0;
  for (let i: u32 = 1; i < half; ++i) {
    if (load<u8>(MARKS + <usize>i) !== 0) continue;
    const odd: u32 = 2 * i + 1;
    for (let j: u32 = i + odd; j < half; j += odd) store<u8>(MARKS + <usize>j, 1);
    store<u32>(prime, 0 - negativeInverse32(odd));
    store<u32>(prime, 0xffffffff / odd, 4);
    prime += PRIME_STEP;
    if (product * <u64>odd >= 0x80000000) {
      storeProduct(<u32>product, members);
      product = 1;
      members = 0;
    }
    product *= <u64>odd;
    members += 1;
  }
  storeProduct(<u32>product, members);
}

function storeProduct(product: u32, members: u32): void {
  const at: usize = SMALL_PRIMES + PRODUCT_STEP * <usize>productCount;
  store<u32>(at, product);
  store<u32>(at, members, 4);
  productCount += 1;
}

/**
 * Tells whether a number is a multiple of a small prime, or is to be thrown away anyhow: 1 or 0.
 *
 * @param number words of 32 bits, secret while the answer is 0
 * @param words public
 * @param unfit not 0 where it is to be thrown away anyhow, secret
 *
 * Time: depends on words and on the first product of primes that has a factor in common with the number. Such a number is
 * thrown away, and the next one owes it nothing; for one that is kept the time is always the same.
 */
export function hasSmallFactor(number: usize, words: u32, unfit: u32): u32 {
  let multiples: u32 = unfit;
  let prime: usize = PRIMES;
  const end: usize = SMALL_PRIMES + PRODUCT_STEP * <usize>productCount;
  for (let at: usize = SMALL_PRIMES; at < end; at += PRODUCT_STEP) {
    const residue: u32 = natResidueScaled(number, words, load<u32>(at));
    const last: usize = prime + PRIME_STEP * <usize>load<u32>(at, 4);
    for (; prime < last; prime += PRIME_STEP) {
      // A multiple of p times the inverse of p is the quotient, so at most (2^32 - 1) / p; no other number's product is.
      const quotient: u64 = <u64>(residue * load<u32>(prime));
      multiples |= <u32>((quotient - <u64>load<u32>(prime, 4) - 1) >> 63);
    }
    // From here on it is public whether the number is thrown away.
    if (zeroBit64(<u64>multiples) === 1) continue;
    return 1;
  }
  return 0;
}
