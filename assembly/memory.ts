/**
 * The fixed arena: which bytes of linear memory belong to whom. The memory never grows and holds no heap;
 * docs/memory-map.md draws the same map and says when each region is wiped.
 */

/** Working state of the AES-GCM message in progress; aes-gcm/gcm.ts divides it. */
export const AES_GCM_STATE: usize = 0x0400;
export const AES_GCM_STATE_LENGTH: usize = 0x100;

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

/** Where the host puts the AAD, or one chunk of it. */
export const AAD: usize = 0x1000;
export const AAD_CAPACITY: u32 = 0x4000;

/** Where the host puts the data, or one chunk of it; worked on in place. A tag fits behind a full chunk. */
export const DATA: usize = 0x8000;
export const DATA_CAPACITY: u32 = 0x10000;

/** Key contexts, one slot each: round keys and hash key in working form. */
export const AES_GCM_CONTEXTS: usize = 0x20000;
export const AES_GCM_CONTEXT_LENGTH: usize = 0x400;
export const AES_GCM_CONTEXT_COUNT: u32 = 256;

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
