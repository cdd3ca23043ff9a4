/** Types of the second implementation of ECIES. */

import type { KeyObject } from "node:crypto";

export function oracleEncrypt(
  publicKey: KeyObject,
  plaintext: Uint8Array,
  ephemeral?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): Uint8Array;
export function oracleDecrypt(privateKey: KeyObject, ciphertext: Uint8Array): Uint8Array | null;
