/** The numbers of a key in RSA_KEY_PARTS, and what is asked of them. */

// Division of RSA_KEY_PARTS, big-endian: the modulus, the primes and what belongs to them, and e at the end of 32 bytes.
export const PART_N: usize = 0;
export const PART_P: usize = 0x200;
export const PART_Q: usize = 0x300;
export const PART_DP: usize = 0x400;
export const PART_DQ: usize = 0x500;
export const PART_QINV: usize = 0x600;
export const PART_E: usize = 0x700;

/** Tells whether keys of so many bits are served. */
export function isKeySize(bits: u32): bool {
  return bits === 2048 || bits === 3072 || bits === 4096;
}

/** Tells whether a number is odd and has its top bit set, as all ones or zero. Time: depends on words alone. */
export function isModulus(a: usize, words: u32): u32 {
  return 0 - (load<u32>(a) & (load<u32>(a + 4 * <usize>words - 4) >> 31));
}

/** Returns how many bits a public number has. */
export function bitLength(a: usize, words: u32): u32 {
  for (let i: u32 = words; i > 0; --i) {
    const word = load<u32>(a + 4 * <usize>(i - 1));
    if (word !== 0) return 32 * i - <u32>clz<u32>(word);
  }
  return 0;
}

/** Tells whether a public number of eight words is odd and at least 3. */
export function isPublicExponent(e: usize): bool {
  return (load<u32>(e) & 1) === 1 && bitLength(e, 8) > 1;
}
