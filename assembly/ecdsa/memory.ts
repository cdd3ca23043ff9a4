/**
 * The fixed arena of the ECC module, but for the regions of the hashes, which assembly/memory.ts places. docs/memory-map.md
 * draws the map and says when each region is wiped.
 */

/** Everything of the elliptic curves lies from here on: first what one wipe covers, then public tables. */
export const ECC: usize = 0x10000;

/** Working numbers of a modular inversion; int/inverse.ts divides it. */
export const ECC_INVERSE: usize = ECC;

/** Elements that field, point and scalar arithmetic work on; ecdsa/state.ts divides it. */
export const ECC_STATE: usize = ECC + 0x100;
export const ECC_SECRETS_LENGTH: usize = 0x1000;

/** What the host asks for and gets, item by item; ecdsa/index.ts divides an item. */
export const ECC_ITEMS: usize = ECC + 0x1000;
export const ECC_ITEM_LENGTH: usize = 0x300;
export const ECC_ITEM_COUNT: u32 = 32;

/** Pairs of elements in the relaxed build; ecdsa/pair-state.ts divides it. */
export const ECC_PAIRS: usize = ECC + 0x7000;
export const ECC_PAIRS_LENGTH: usize = 0x600;

/** Points whose multiples become a table, and small tables of affine points. */
export const ECC_POINTS: usize = ECC + 0x8000;
export const ECC_SMALL_TABLES: usize = ECC + 0xe000;

/** What stands for the key of zeros that every generator of nonces starts with, for each hash. */
export const ECC_FIRST_KEYS: usize = ECC + 0xf000;

/** Tables of the generators of both curves, built at first use. */
export const ECC_TABLES: usize = ECC + 0x10000;
export const ECC_TABLE_LENGTH: usize = 0x25000;

/** The odd multiples of P-256's generator up to 127 as pairs, in the relaxed build. */
export const ECC_GENERATOR_PAIRS: usize = ECC + 0x5b000;

/** Tables of the generators with windows of ten bits, for the verification of keys that have a table. */
export const ECC_WIDE_TABLES: usize = ECC + 0x60000;
export const ECC_WIDE_TABLE_LENGTH: usize = 0xd0000;

/** Tables of public keys that verify often, as long as those of the generators; the memory ends behind them. */
export const ECC_KEY_TABLES: usize = ECC + 0x200000;
export const ECC_KEY_COUNT: u32 = 32;
