/**
 * The fixed arena of the RSA module: which bytes of linear memory belong to whom. Below `RSA` it is laid out as
 * assembly/memory.ts says, so that hashing works in both modules; docs/memory-map.md draws the map.
 */

export const RSA: usize = 0x20000;

/** Whether pairs are vectors of doubles in radix 2^24, without fused multiply-adds: twice as long as others. */
export const IS_FP24: bool = ASC_FEATURE_SIMD && !ASC_FEATURE_RELAXED_SIMD;

/** Bytes of a pair number of up to 2048 bits a half, of one of up to 4096, and of the context of moduli of up to 2048. */
export const PAIR_LENGTH: usize = IS_FP24 ? 0x5b0 : 0x2a0;
export const PAIR_LONG_LENGTH: usize = IS_FP24 ? 0xb30 : 0x520;
export const PAIR_CONTEXT_LENGTH: usize = IS_FP24 ? 0x16e0 : 0xe00;

/** Where the host puts the numbers of a key to load, big-endian. */
export const RSA_KEY_PARTS: usize = RSA;
export const RSA_KEY_PARTS_LENGTH: usize = 0x800;

/** Where the host puts random bytes: one half for each lane. */
export const RSA_RANDOM: usize = RSA + 0x800;
export const RSA_RANDOM_LENGTH: usize = 0x400;

/** Where numbers to raise to a power go in and come out, big-endian: two of up to 512 bytes each. */
export const RSA_INPUT: usize = RSA + 0xc00;
export const RSA_OUTPUT: usize = RSA + 0x1000;
export const RSA_BLOCKS_LENGTH: usize = 0x400;
export const RSA_BLOCK_LENGTH: usize = 0x200;

/** What encoding and decoding of messages work with. */
export const RSA_PADDING: usize = RSA + 0x1400;
export const RSA_PADDING_LENGTH: usize = 0xc00;

/** What key generation and validation work with. */
export const RSA_KEYGEN: usize = RSA + 0x2000;
export const RSA_KEYGEN_LENGTH: usize = 0x4000;

/** Working numbers of int/nat.ts. */
export const NAT_WORK: usize = RSA + 0x6000;
export const NAT_WORK_LENGTH: usize = 0x1000;

/** Everything that a product, a power or an operation leaves behind, which one wipe covers; what follows divides it. */
export const PAIR_WORK: usize = RSA + 0x7000;
export const PAIR_WORK_LENGTH: usize = IS_FP24 ? 0x11100 : 0x9000;
/** Quotient digits of a Montgomery reduction and what they carry. */
export const FP51_QUOTIENT: usize = PAIR_WORK;
export const FP24_QUOTIENT: usize = PAIR_WORK + 0x2a0;
/** A small factor, and a number as words that bits are read from or written to. */
export const PAIR_PRODUCT: usize = PAIR_WORK + 0x40;
export const PAIR_BITS: usize = PAIR_WORK + 0x80;
/** Columns of a product. */
export const PAIR_COLUMNS: usize = PAIR_WORK + 0x300;
/** What pair.ts and the operations work with. */
export const PAIR_NUMBERS: usize = PAIR_WORK + (IS_FP24 ? 0x1960 : 0xe00);
export const RSA_STATE: usize = PAIR_WORK + (IS_FP24 ? 0x3480 : 0x1d00);
/** Thirty-two entries of a table of powers. */
export const PAIR_TABLE: usize = PAIR_WORK + (IS_FP24 ? 0x5b00 : 0x3a00);

/** Loaded private and public keys, one slot each; private.ts and public.ts divide them. */
export const RSA_PRIVATE: usize = IS_FP24 ? 0x40000 : 0x30000;
export const RSA_PRIVATE_LENGTH: usize = IS_FP24 ? 0x3000 : 0x2000;
export const RSA_PRIVATE_COUNT: u32 = 32;
export const RSA_PUBLIC: usize = IS_FP24 ? 0xa0000 : 0x70000;
export const RSA_PUBLIC_LENGTH: usize = IS_FP24 ? 0x2400 : 0x1800;
export const RSA_PUBLIC_COUNT: u32 = 32;

/** The moduli of two public keys side by side. */
export const RSA_PUBLIC_PAIR: usize = IS_FP24 ? 0xe8000 : 0xa0000;

/** What columns start from in the arithmetic in radix 2^51, public. */
export const FP51_STARTS: usize = 0xa2000;
