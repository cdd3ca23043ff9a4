/** Tables of a key for long messages, built when its first one comes. */

/**
 * Builds the tables.
 *
 * @param tables AES_GCM_BULK_LENGTH bytes, out
 * @param context a context from `loadKey`, secret
 * @param keyLength the length it was loaded with, public
 *
 * Time: depends on keyLength alone.
 */
export function loadBulk(tables: usize, context: usize, keyLength: u32): void {}
