/**
 * Encrypt and Decrypt under hardware keys, beyond AES-GCM: the vendor's AES_CBC and AES_ECB with their paddings. Padding is
 * done here, for modules agree on whole blocks and on little else.
 */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { ensure, invalidCiphertext } from "../errors.ts";
import type { KeyVersion } from "../keys/key.ts";
import type { BlockAlgorithm } from "../keys/key-spec.ts";
import type { OperationContext } from "./context.ts";
import { refuseOnHardware } from "./hardware.ts";
import type { AadFields } from "./input.ts";
import { withBinding } from "./with-binding.ts";

export type PaddingMode = "PKCS7_PADDING" | "NO_PADDING";

export const BLOCK_LENGTH = 16;
const PADDING_MODES: readonly PaddingMode[] = ["PKCS7_PADDING", "NO_PADDING"];
const NO_IV: Uint8Array = new Uint8Array(0);

/** Refuses what modes without authentication cannot bind. @throws KmsError `InvalidParameter` */
export function ensureNoContext(request: AadFields): void {
  for (const name of ["aad", "encryptionContext"] as const) {
    ensure(request[name] === undefined, "InvalidParameter", `${name} is for AES_GCM only.`);
  }
}

/** Reads the padding of AES_CBC and AES_ECB. @throws KmsError `InvalidParameter` */
export function readPaddingMode(value: unknown): PaddingMode {
  if (value === undefined) return "PKCS7_PADDING";
  ensure(
    PADDING_MODES.includes(value as PaddingMode),
    "InvalidParameter",
    "paddingMode must be one of PKCS7_PADDING, NO_PADDING.",
  );
  return value as PaddingMode;
}

/** Reads and copies the iv that an algorithm takes: 16 bytes for CBC, none for ECB. @throws KmsError `InvalidParameter` */
export function readBlockIv(algorithm: BlockAlgorithm, iv: unknown): Uint8Array | undefined {
  if (iv === undefined) return undefined;
  ensure(algorithm !== "AES_ECB", "InvalidParameter", "iv is not for AES_ECB.");
  ensureBytes(iv, "iv");
  ensure(iv.length === BLOCK_LENGTH, "InvalidParameter", "iv must be 16 bytes for AES_CBC.");
  return copyBytes(iv);
}

/** Encrypts whole blocks, padded as PKCS #7 (RFC 5652, 6.3) unless the caller pads. @throws KmsError `InvalidParameter` */
export async function encryptBlocks(
  context: OperationContext,
  version: KeyVersion,
  algorithm: BlockAlgorithm,
  paddingMode: PaddingMode,
  iv: Uint8Array | undefined,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  refuseOnHardware(context, false);
  const padded = paddingMode === "NO_PADDING" ? copyBytes(plaintext) : padPkcs7(plaintext);
  try {
    ensure(
      padded.length % BLOCK_LENGTH === 0,
      "InvalidParameter",
      "plaintext must be a multiple of 16 bytes with NO_PADDING.",
    );
    return await withBinding(
      context,
      version,
      "ENCRYPT/DECRYPT",
      context.router.hardware.find(version),
      [padded] as const,
      (key, [own]) => key.encryptBlocks(algorithm === "AES_CBC" ? "cbc" : "ecb", iv, own),
    );
  } finally {
    padded.fill(0);
  }
}

/** @throws KmsError `InvalidCiphertext` for a length or a padding that encryption cannot have made */
export async function decryptBlocks(
  context: OperationContext,
  version: KeyVersion,
  algorithm: BlockAlgorithm,
  paddingMode: PaddingMode,
  iv: Uint8Array | undefined,
  ciphertext: Uint8Array,
): Promise<Uint8Array> {
  refuseOnHardware(context, false);
  if (ciphertext.length === 0 || ciphertext.length % BLOCK_LENGTH !== 0) throw invalidCiphertext();
  const padded = await withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    context.router.hardware.find(version),
    [ciphertext, iv ?? NO_IV] as const,
    (key, [own, ownIv]) =>
      algorithm === "AES_CBC"
        ? key.decryptBlocks("cbc", ownIv, own)
        : key.decryptBlocks("ecb", undefined, own),
  );
  if (paddingMode === "NO_PADDING") return padded;
  try {
    return unpadPkcs7(padded);
  } finally {
    padded.fill(0);
  }
}

function padPkcs7(plaintext: Uint8Array): Uint8Array {
  const padding = BLOCK_LENGTH - (plaintext.length % BLOCK_LENGTH);
  const padded = new Uint8Array(plaintext.length + padding).fill(padding);
  padded.set(plaintext);
  return padded;
}

/** Looks at every byte of the last block alike, whatever the padding is. */
function unpadPkcs7(padded: Uint8Array): Uint8Array {
  const padding = padded[padded.length - 1] ?? 0;
  let bad = padding === 0 || padding > BLOCK_LENGTH ? 1 : 0;
  for (let i = 1; i <= BLOCK_LENGTH; i++) {
    const isPadding = (i - 1 - padding) >> 31;
    bad |= isPadding & ((padded[padded.length - i] ?? 0) ^ padding);
  }
  if (bad !== 0) throw invalidCiphertext();
  return padded.slice(0, padded.length - padding);
}
