/**
 * Every name the kernels export. These functions take slots and lengths, never addresses, and check both, so that no
 * argument makes a kernel leave its regions; all arguments and results are public.
 */

import {
  absorbAad,
  authenticate,
  decrypt,
  encrypt,
  end,
  loadKey,
  start,
  TAG_LENGTH,
  verify,
  writeTag,
} from "./aes-gcm/gcm";
import {
  AAD,
  AAD_CAPACITY,
  AES_GCM_CONTEXT_COUNT,
  AES_GCM_CONTEXT_LENGTH,
  AES_GCM_CONTEXTS,
  DATA,
  DATA_CAPACITY,
  KEY,
  KEY_LENGTH,
  TAG,
  wipe,
} from "./memory";

export * from "./aes-kw/index";
export * from "./hash/index";
export { AAD, AAD_CAPACITY, AES_GCM_CONTEXT_COUNT, DATA, DATA_CAPACITY, IV, KEY, TAG } from "./memory";

/** Tells whether a slot and a key length are in range: 1 or 0. Time: public facts alone. */
function isContext(slot: u32, keyLength: u32): u32 {
  const knownLength: u32 = keyLength === 16 || keyLength === 24 || keyLength === 32 ? 1 : 0;
  return slot < AES_GCM_CONTEXT_COUNT ? knownLength : 0;
}

/** Returns the address of a context slot. Time: constant. */
function contextOf(slot: u32): usize {
  return AES_GCM_CONTEXTS + AES_GCM_CONTEXT_LENGTH * <usize>slot;
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
 * Seals a whole message in place: DATA ← ciphertext ‖ tag. Wipes the AAD and the state.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param aadLength bytes in AAD, 0..=AAD_CAPACITY, public
 * @param dataLength bytes in DATA, 0..=DATA_CAPACITY, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on the lengths alone. Source: SP 800-38D, 7.1.
 */
export function aesGcmSeal(slot: u32, keyLength: u32, aadLength: u32, dataLength: u32): u32 {
  if (isContext(slot, keyLength) === 0) return 0;
  if (aadLength > AAD_CAPACITY || dataLength > DATA_CAPACITY) return 0;
  start(contextOf(slot), keyLength);
  absorbAad(AAD, aadLength);
  encrypt(DATA, dataLength);
  writeTag(DATA + <usize>dataLength);
  wipe(AAD, aadLength);
  return 1;
}

/**
 * Opens a whole message in place: DATA ← plaintext, the bytes of the tag zeroed. Wipes the AAD and the state.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @param aadLength bytes in AAD, 0..=AAD_CAPACITY, public
 * @param sealedLength bytes of ciphertext ‖ tag in DATA, 16..=DATA_CAPACITY + 16, public
 * @returns 1; or 0 where the tag is wrong (DATA zeroed) or an argument is out of range
 *
 * Time: depends on the lengths and on the outcome, which is public. Source: SP 800-38D, 7.2.
 */
export function aesGcmOpen(slot: u32, keyLength: u32, aadLength: u32, sealedLength: u32): u32 {
  if (isContext(slot, keyLength) === 0) return 0;
  if (aadLength > AAD_CAPACITY || sealedLength < TAG_LENGTH || sealedLength > DATA_CAPACITY + TAG_LENGTH)
    return 0;
  const dataLength: u32 = sealedLength - TAG_LENGTH;
  const tag: usize = DATA + <usize>dataLength;
  start(contextOf(slot), keyLength);
  absorbAad(AAD, aadLength);
  authenticate(DATA, dataLength);
  const verified: u32 = verify(tag);
  if (verified !== 0) {
    decrypt(DATA, dataLength);
    wipe(tag, TAG_LENGTH);
  } else {
    wipe(DATA, sealedLength);
  }
  wipe(AAD, aadLength);
  return verified;
}

/**
 * Begins a message that is given in chunks, under the IV in IV.
 *
 * @param slot a loaded context, 0..=255, public
 * @param keyLength the length it was loaded with, public
 * @returns 1, or 0 where an argument is out of range
 *
 * Time: depends on keyLength alone.
 */
export function aesGcmStart(slot: u32, keyLength: u32): u32 {
  if (isContext(slot, keyLength) === 0) return 0;
  start(contextOf(slot), keyLength);
  return 1;
}

/** Absorbs `length` bytes of AAD, a multiple of 16 but for the last chunk: 1, or 0 out of order. Time: length alone. */
export function aesGcmAad(length: u32): u32 {
  return length > AAD_CAPACITY ? 0 : absorbAad(AAD, length);
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
