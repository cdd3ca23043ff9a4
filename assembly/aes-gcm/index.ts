/**
 * AES-GCM as the host sees it. These functions take slots and lengths, never addresses, and check both, so that no argument
 * makes a kernel leave its regions; all arguments and results are public.
 */

import {
  AAD,
  AAD_CAPACITY,
  AES_GCM_BULK_COUNT,
  AES_GCM_BULK_LENGTH,
  AES_GCM_CONTEXT_COUNT,
  AES_GCM_CONTEXT_LENGTH,
  BATCH_CAPACITY,
  DATA,
  DATA_CAPACITY,
  KEY,
  KEY_LENGTH,
  TAG,
  WINDOW_LENGTH,
  wipe,
} from "../memory";
import {
  bulkOf,
  contextOf,
  descriptionOf,
  gather,
  isDescribed,
  messageLength,
  workOnBatch,
  workOnPacked,
} from "./batch";
import {
  absorbAad,
  alignUp,
  authenticate,
  decrypt,
  encrypt,
  end,
  loadKey,
  openWhole,
  sealWhole,
  start,
  TAG_LENGTH,
  verify,
  writeTag,
} from "./gcm";
import { blocksOf, loadBulkOf, wipeBlocks } from "./gcm-simd";

export {
  AAD,
  AAD_CAPACITY,
  AES_GCM_BULK_COUNT,
  AES_GCM_BULK_FROM,
  AES_GCM_CONTEXT_COUNT,
  BATCH,
  BATCH_CAPACITY,
  DATA,
  DATA_CAPACITY,
  IV,
  KEY,
  TAG,
  WINDOW_LENGTH,
} from "../memory";

/** Which build this is: 0 scalar, 1 with SIMD128, 2 with relaxed SIMD as well. */
export const BUILD: u32 = ASC_FEATURE_RELAXED_SIMD ? 2 : ASC_FEATURE_SIMD ? 1 : 0;

/** Tells whether a slot and a key length are in range: 1 or 0. Time: public facts alone. */
function isContext(slot: u32, keyLength: u32): u32 {
  const knownLength: u32 = keyLength === 16 || keyLength === 24 || keyLength === 32 ? 1 : 0;
  return slot < AES_GCM_CONTEXT_COUNT ? knownLength : 0;
}

/** Tells whether the number of tables is 0 for none or in range: 1 or 0. Time: public facts alone. */
function isBulk(bulk: u32): u32 {
  return bulk <= AES_GCM_BULK_COUNT ? 1 : 0;
}

/**
 * Builds the key context of a slot from the key in KEY, which is wiped in any case.
 *
 * @param slot 0..=255, public
 * @param keyLength 16, 24 or 32, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on keyLength alone.
 */
export function aesGcmLoadKey(slot: u32, keyLength: u32): u32 {
  if (isContext(slot, keyLength) === 0) {
    wipe(KEY, KEY_LENGTH);
    return 0;
  }
  loadKey(contextOf(slot), keyLength);
  return 1;
}

/**
 * Wipes a context slot, and with it any message in progress.
 *
 * @param slot 0..=255, public
 * @returns 1, or 0 where it is out of range
 *
 * Time: constant.
 */
export function aesGcmDropKey(slot: u32): u32 {
  if (slot >= AES_GCM_CONTEXT_COUNT) return 0;
  end();
  wipe(contextOf(slot), AES_GCM_CONTEXT_LENGTH);
  return 1;
}

/**
 * Builds the tables of a key for long messages. The base build has none.
 *
 * @param bulk number of the tables, 0..=15, public
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on keyLength alone.
 */
export function aesGcmLoadBulk(bulk: u32, slot: u32, keyLength: u32): u32 {
  if (bulk >= AES_GCM_BULK_COUNT || isContext(slot, keyLength) === 0) return 0;
  if (ASC_FEATURE_SIMD) loadBulkOf(bulkOf(bulk + 1), contextOf(slot), keyLength);
  return 1;
}

/** Wipes the tables of a key for long messages: 1, or 0 where the number is out of range. Time: constant. */
export function aesGcmDropBulk(bulk: u32): u32 {
  if (bulk >= AES_GCM_BULK_COUNT) return 0;
  wipe(bulkOf(bulk + 1), AES_GCM_BULK_LENGTH);
  return 1;
}

/**
 * Seals a whole message in place: DATA ← ciphertext ‖ tag. Wipes the state; the AAD, which is public, stays for the next.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param aadLength bytes of AAD, 0..=AAD_CAPACITY, public; padded to whole blocks they end where DATA begins
 * @param dataLength bytes in DATA, 0..=DATA_CAPACITY, public
 * @param bulk 0, or one more than the number of the key's tables for long messages, public
 * @param aadStays 1 where all blocks of the AAD but the last are those of the whole message before, public: their hash is
 *   then made once for all such messages
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the lengths and what was kept, which is public. Source: SP 800-38D, 7.1.
 */
export function aesGcmSeal(
  slot: u32,
  keyLength: u32,
  aadLength: u32,
  dataLength: u32,
  bulk: u32,
  aadStays: u32,
): u32 {
  if (isContext(slot, keyLength) === 0 || isBulk(bulk) === 0) return 0;
  if (aadLength > AAD_CAPACITY || dataLength > DATA_CAPACITY) return 0;
  sealWhole(contextOf(slot), keyLength, bulkOf(bulk), DATA, aadLength, dataLength, aadStays);
  return 1;
}

/**
 * Opens a whole message in place: DATA ← plaintext, the bytes of the tag zeroed. Wipes the state; the AAD stays.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param aadLength bytes of AAD, 0..=AAD_CAPACITY, public; padded to whole blocks they end where DATA begins
 * @param sealedLength bytes of ciphertext ‖ tag in DATA, 16..=DATA_CAPACITY + 16, public
 * @param bulk 0, or one more than the number of the key's tables for long messages, public
 * @returns 1; or 0 where the tag is wrong (DATA zeroed) or an argument is out of range
 *
 * Time: depends on the lengths and on the outcome, which is public. Source: SP 800-38D, 7.2.
 */
export function aesGcmOpen(slot: u32, keyLength: u32, aadLength: u32, sealedLength: u32, bulk: u32): u32 {
  if (isContext(slot, keyLength) === 0 || isBulk(bulk) === 0) return 0;
  if (aadLength > AAD_CAPACITY || sealedLength < TAG_LENGTH || sealedLength > DATA_CAPACITY + TAG_LENGTH)
    return 0;
  const dataLength: u32 = sealedLength - TAG_LENGTH;
  return openWhole(contextOf(slot), keyLength, bulkOf(bulk), DATA, aadLength, dataLength);
}

/**
 * Begins a message that is given in chunks, under the IV in IV.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param bulk 0, or one more than the number of the key's tables for long messages, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on keyLength alone.
 */
export function aesGcmStart(slot: u32, keyLength: u32, bulk: u32): u32 {
  if (isContext(slot, keyLength) === 0 || isBulk(bulk) === 0) return 0;
  start(contextOf(slot), keyLength, bulkOf(bulk));
  return 1;
}

/** Absorbs `length` bytes of AAD that end, padded, where DATA begins, a multiple of 16 but for the last chunk: 1, or 0 out of order. Time: length alone. */
export function aesGcmAad(length: u32): u32 {
  return length > AAD_CAPACITY ? 0 : absorbAad(DATA - alignUp(length), length);
}

/** Encrypts `length` bytes of DATA, a multiple of 16 but for the last chunk: 1, or 0 out of order. Time: length alone. */
export function aesGcmEncrypt(length: u32): u32 {
  return length > DATA_CAPACITY ? 0 : encrypt(DATA, length);
}

/** Writes the tag of an encrypted message to TAG and ends it: 1, or 0 out of order. Time: constant. */
export function aesGcmWriteTag(): u32 {
  return writeTag(TAG);
}

/** Absorbs `length` bytes of ciphertext in DATA, a multiple of 16 but for the last: 1, or 0 out of order. Time: length alone. */
export function aesGcmAuthenticate(length: u32): u32 {
  return length > DATA_CAPACITY ? 0 : authenticate(DATA, length);
}

/** Compares TAG with the tag of the authenticated ciphertext: 1 or 0. Time: constant up to the outcome, which is public. */
export function aesGcmVerify(): u32 {
  return verify(TAG);
}

/** Decrypts `length` bytes of DATA of a verified message: 1, or 0 and DATA zeroed. Time: length alone. */
export function aesGcmDecrypt(length: u32): u32 {
  return length > DATA_CAPACITY ? 0 : decrypt(DATA, length);
}

/** Ends a message that was given in chunks: wipes the state, the tag and both chunk regions. Time: constant. */
export function aesGcmEnd(): void {
  end();
  wipe(TAG, TAG_LENGTH);
  wipe(AAD, AAD_CAPACITY);
  wipe(DATA, DATA_CAPACITY + TAG_LENGTH);
}

/** Tells whether the first `count` descriptions of BATCH are in order: 1 or 0. Time: public facts alone. */
function isBatch(count: u32): u32 {
  if (count > BATCH_CAPACITY) return 0;
  for (let i: u32 = 0; i < count; ++i) {
    if (isDescribed(descriptionOf(i), DATA_CAPACITY + TAG_LENGTH, AES_GCM_CONTEXT_COUNT) === 0) return 0;
  }
  return 1;
}

/**
 * Seals the messages that BATCH describes, each in place in DATA. Abandons a message in progress.
 *
 * @param count 0..=BATCH_CAPACITY, public
 * @returns 1, or 0 where a description is out of range and nothing was done
 *
 * Time: depends on the descriptions alone.
 */
export function aesGcmSealBatch(count: u32): u32 {
  if (isBatch(count) === 0) return 0;
  workOnBatch(DATA, count, true);
  return 1;
}

/**
 * Moves the messages that BATCH describes, sealed by `aesGcmSealBatch`, together: from the start of DATA on lies, of each, what
 * is before its data as its description says, ciphertext and tag.
 *
 * @param count 0..=BATCH_CAPACITY, public
 * @returns 1; or 0 where a description is out of range and nothing was done, or at the first message that lies before the end
 *   of those gathered before it
 *
 * Time: depends on the descriptions alone.
 */
export function aesGcmGather(count: u32): u32 {
  return isBatch(count) === 0 ? 0 : gather(DATA, count);
}

/**
 * Opens the messages that BATCH describes, each in place in DATA; zeroes those whose tag is wrong. Abandons a message in
 * progress.
 *
 * @param count 0..=BATCH_CAPACITY, public
 * @returns 1, with the verdicts in the descriptions; or 0 where a description is out of range and nothing was done
 *
 * Time: depends on the descriptions and on the outcomes, which are public.
 */
export function aesGcmOpenBatch(count: u32): u32 {
  if (isBatch(count) === 0) return 0;
  workOnBatch(DATA, count, false);
  return 1;
}

/** Tells whether packed records of a shape fit DATA, behind 4 bytes of room each, and AAD for the verdicts: 1 or 0. */
function isPacked(count: u32, aadLength: u32, dataLength: u32): u32 {
  if (count > AAD_CAPACITY || aadLength > WINDOW_LENGTH || dataLength > WINDOW_LENGTH) return 0;
  if (messageLength(aadLength, dataLength) > WINDOW_LENGTH) return 0;
  const recordLength: u64 = 12 + 4 + <u64>aadLength + <u64>dataLength + <u64>TAG_LENGTH;
  return recordLength * <u64>count <= <u64>DATA_CAPACITY ? 1 : 0;
}

/**
 * Seals packed records of iv ‖ aad ‖ plaintext that lie in DATA from 4 · count on: DATA ← the sealed parts end to end.
 * Abandons a message in progress.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param count records; 32 + aadLength + dataLength bytes of DATA for each, public
 * @param aadLength public
 * @param dataLength bytes of plaintext, public
 * @param bulk 0, or one more than the number of the key's tables for long messages, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the arguments alone.
 */
export function aesGcmSealPacked(
  slot: u32,
  keyLength: u32,
  count: u32,
  aadLength: u32,
  dataLength: u32,
  bulk: u32,
): u32 {
  if (isContext(slot, keyLength) === 0 || isBulk(bulk) === 0 || isPacked(count, aadLength, dataLength) === 0)
    return 0;
  workOnPacked(slot, keyLength, bulk, DATA, DATA + 4 * <usize>count, count, aadLength, dataLength, true);
  return 1;
}

/**
 * Opens packed records of iv ‖ aad ‖ sealed that lie in DATA from 4 · count on: DATA ← the plaintexts end to end, zeroed
 * where a tag is wrong; AAD ← a byte of 1 or 0 a record. Abandons a message in progress.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param count records; 32 + aadLength + dataLength bytes of DATA for each, public
 * @param aadLength public
 * @param dataLength bytes of plaintext, public
 * @param bulk 0, or one more than the number of the key's tables for long messages, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the arguments and on the outcomes, which are public.
 */
export function aesGcmOpenPacked(
  slot: u32,
  keyLength: u32,
  count: u32,
  aadLength: u32,
  dataLength: u32,
  bulk: u32,
): u32 {
  if (isContext(slot, keyLength) === 0 || isBulk(bulk) === 0 || isPacked(count, aadLength, dataLength) === 0)
    return 0;
  workOnPacked(slot, keyLength, bulk, DATA, DATA + 4 * <usize>count, count, aadLength, dataLength, false);
  return 1;
}

/** Wipes the first `length` bytes of DATA: 1, or 0 where that is more than it holds. Time: length alone. */
export function aesGcmWipeData(length: u32): u32 {
  if (length > DATA_CAPACITY + TAG_LENGTH) return 0;
  if (ASC_FEATURE_SIMD) {
    if (length <= 256) {
      // Whole blocks: quicker than a call of memory.fill, and what follows in the last one is padding.
      wipeBlocks(DATA, blocksOf(length));
      return 1;
    }
  }
  wipe(DATA, length);
  return 1;
}
