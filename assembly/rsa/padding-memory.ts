/** Divides RSA_PADDING: what padding works on and shares with the host. */

import { wipe } from "../memory";
import { RSA_PADDING, RSA_PADDING_LENGTH, RSA_RANDOM, RSA_RANDOM_LENGTH } from "./memory";

/** A message before it is encrypted and after it was decrypted: up to 470 bytes, and as many zeros behind them. */
export const RSA_MESSAGE: usize = RSA_PADDING;
export const RSA_MESSAGE_LENGTH: usize = 0x400;

/** The one right block to compare with. */
export const RSA_EXPECTED: usize = RSA_PADDING + 0x400;

/** Two digests of up to 64 bytes: of what is signed or verified, or of a label. */
export const RSA_DIGESTS: usize = RSA_PADDING + 0x600;
export const RSA_DIGEST_LENGTH: usize = 0x40;

/** The seal of PSS that is compared, one block of a mask, its counter, eight zeros. */
export const RSA_SEAL: usize = RSA_PADDING + 0x680;
export const RSA_MASK: usize = RSA_PADDING + 0x6c0;
export const RSA_COUNTER: usize = RSA_PADDING + 0x700;
export const RSA_ZEROS: usize = RSA_PADDING + 0x708;

/** The hash in progress. */
export const RSA_HASH_CONTEXT: usize = RSA_PADDING + 0x740;

/** Wipes all of it, and the random bytes. Time: constant. */
export function wipePadding(): void {
  wipe(RSA_PADDING, RSA_PADDING_LENGTH);
  wipe(RSA_RANDOM, RSA_RANDOM_LENGTH);
}
