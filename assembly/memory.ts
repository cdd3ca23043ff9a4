/**
 * The fixed arena of the main module: which bytes of linear memory belong to whom. The memory never grows and holds no heap;
 * docs/memory-map.md draws the same map and says when each region is wiped. The builds differ from `AES_GCM_CONTEXTS` on.
 * Other modules compile the hashes too, whose regions lie at the same addresses there.
 */

/** Working state of the AES-GCM message in progress; aes-gcm/gcm.ts and aes-gcm/gcm-simd.ts divide it. */
export const AES_GCM_STATE: usize = 0x0400;
export const AES_GCM_STATE_LENGTH: usize = 0x100;
/** Sixteen bytes of the state that the hash of the plain vector build stores to, to keep its loads in order. */
export const AES_GCM_FENCE: usize = 0x0450;

/** Expanded key words while a key is loaded: 4 · 15 words of 4 bytes. */
export const AES_KEY_WORDS: usize = 0x0500;
export const AES_KEY_WORDS_LENGTH: usize = 0xf0;

/** Where the host puts the key to load: 16, 24 or 32 bytes. */
export const KEY: usize = 0x0600;
export const KEY_LENGTH: usize = 32;

/** Where the host puts the IV: 12 bytes, public. */
export const IV: usize = 0x0620;

/** Tag of a message that is worked on in chunks: 16 bytes, in for open, out for seal. */
export const TAG: usize = 0x0630;

/** Message schedule of the block that a hash absorbs; then what hashing and HMAC keep, which one wipe covers. */
export const HASH_SCHEDULE: usize = 0x0640;
export const HASH_SCHEDULE_LENGTH: usize = 0x280;
export const HASH_REGIONS: usize = HASH_SCHEDULE;
export const HASH_REGIONS_LENGTH: usize = 0x4c0;

/** The two states of an HMAC key and the message in progress; hash/hmac.ts divides it. */
export const HMAC_CONTEXT: usize = 0x08c0;

/** The message in progress of a bare hash; hash/hash.ts divides it. */
export const HASH_CONTEXT: usize = 0x0a00;

/** Where the host finds a digest or MAC: up to 64 bytes. */
export const HASH_DIGEST: usize = 0x0ac0;

/** One block and the bit planes while a key is wrapped; aes-kw/index.ts divides it. */
export const AES_KW_STATE: usize = 0x0b00;
export const AES_KW_STATE_LENGTH: usize = 0x80;

/** Round keys while a key is wrapped: 64 · 15 bytes. */
export const AES_KW_ROUND_KEYS: usize = 0x0b80;
export const AES_KW_ROUND_KEYS_LENGTH: usize = 0x3c0;

/** Where the host puts the AAD, or one chunk of it: padded to whole blocks it ends where DATA begins. */
export const AAD: usize = 0x4000;
export const AAD_CAPACITY: u32 = 0x4000;

/** Where the host puts the data, or one chunk of it; worked on in place. A tag fits behind a full chunk. */
export const DATA: usize = 0x8000;
export const DATA_CAPACITY: u32 = 0x10000;

/** Keystream of the message in progress in the vector builds: 512 blocks, and one group more. */
export const AES_GCM_KEYSTREAM: usize = 0x18100;
export const AES_GCM_KEYSTREAM_LENGTH: usize = 0x2200;

/** Where the host describes the messages of a batch: 32 bytes each; aes-gcm/batch.ts divides them. */
export const BATCH: usize = 0x1a400;
export const BATCH_CAPACITY: u32 = 128;

/** What the hash of eight streams works with in the vector builds; aes-gcm/gcm-bulk.ts divides it. */
export const AES_GCM_LANES: usize = 0x2000;
export const AES_GCM_LANES_LENGTH: usize = 0xc60;

/** Where packed records are laid out as messages, some at a time. */
export const WINDOW: usize = 0x1c000;
export const WINDOW_LENGTH: u32 = 0x4000;

/** Key contexts, one slot each: round keys and hash key in working form. */
export const AES_GCM_CONTEXTS: usize = 0x20000;
export const AES_GCM_CONTEXT_LENGTH: usize = ASC_FEATURE_SIMD ? 0x1400 : 0x400;
export const AES_GCM_CONTEXT_COUNT: u32 = 256;

/** Tables for long messages in the vector builds, lent to few keys at a time. */
export const AES_GCM_BULK: usize = 0x160000;
export const AES_GCM_BULK_LENGTH: usize = 0x5000;
export const AES_GCM_BULK_COUNT: u32 = ASC_FEATURE_SIMD ? 16 : 0;
/** From how many bytes on one message is quicker with these tables; never where only batches are. */
export const AES_GCM_BULK_FROM: u32 = ASC_FEATURE_RELAXED_SIMD ? 0x7fffffff : 512;

/**
 * Overwrites a region with zeros.
 *
 * @param address length bytes, out
 * @param length bytes, public
 *
 * Time: depends on length alone.
 */
export function wipe(address: usize, length: usize): void {
  memory.fill(address, 0, length);
}
