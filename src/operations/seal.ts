/**
 * The two ways a symmetric key version seals and opens: detached (the caller keeps iv, key and aad) and advance (a
 * self-describing blob). Used by every operation that makes or opens AES-GCM ciphertext.
 */

import { copyBytes, copyShort } from "../bytes.ts";
import {
  BLOB_HEADER_LENGTH,
  type FrameMode,
  IV_LENGTH,
  isBlob,
  KEY_VERSION_ID_OFFSET,
  SEALED_OFFSET,
  TAG_LENGTH,
} from "../envelope/ciphertext-blob.ts";
import { invalidCiphertext } from "../errors.ts";
import { assertSymmetric, assertUsable, type KeyVersion } from "../keys/key.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type OperationContext, resolveKey } from "./context.ts";

/** Ciphertext as an operation answers it, with the iv it was made under. */
export interface SealedText {
  /** Ciphertext ‖ tag, or the whole blob. */
  readonly ciphertextBlob: Uint8Array;
  /** Of a blob, a view of it. */
  readonly iv: Uint8Array;
}

function authenticated(
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  iv: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  return mode === "detached" && context.aadFraming === "none"
    ? aad
    : context.frames.frame(mode, version.blobHeader, iv, aad, aad === context.contexts.bytes);
}

/**
 * Seals under a version, counting the use first.
 *
 * @param iv the caller's own choice; absent = random, which is what to use
 * @throws KmsError `Rejected.KeyExhausted`
 */
export function sealUnder(
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
  iv?: Uint8Array,
): MaybePromise<SealedText> {
  const counted = context.records.countUse(version);
  if (!(counted instanceof Promise)) return seal(context, mode, version, plaintext, aad, iv);
  // The caller may change its arrays once the call has returned its promise.
  const [ownPlaintext, ownAad, ownIv] = [
    copyBytes(plaintext),
    copyBytes(aad),
    iv === undefined ? undefined : copyBytes(iv),
  ];
  return counted
    .then(() => {
      context.records.refuseClosed();
      refuseGone(context, version);
      return seal(context, mode, version, ownPlaintext, ownAad, ownIv);
    })
    .finally(() => ownPlaintext.fill(0));
}

/** Looks again after a wait: a key deleted or disabled meanwhile must not have its material opened once more. */
function refuseGone(context: OperationContext, version: KeyVersion): void {
  if (context.ring.findVersion(version.idBytes) !== version) resolveKey(context, version.key.keyId);
  assertUsable(version.key, "ENCRYPT/DECRYPT");
}

function seal(
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
  chosenIv: Uint8Array | undefined,
): SealedText {
  const key = context.aesGcm(version, plaintext.length);
  if (mode === "detached") {
    const iv = context.slab.take(IV_LENGTH);
    if (chosenIv === undefined) context.ivs.fill(iv);
    else iv.set(chosenIv);
    const sealed = context.slab.take(plaintext.length + TAG_LENGTH);
    key.sealInto(iv, plaintext, authenticated(context, mode, version, iv, aad), sealed, 0);
    return { ciphertextBlob: sealed, iv };
  }
  const blob = context.slab.take(SEALED_OFFSET + plaintext.length + TAG_LENGTH);
  copyShort(version.blobHeader, 0, blob, 0, BLOB_HEADER_LENGTH);
  const iv = blob.subarray(BLOB_HEADER_LENGTH, SEALED_OFFSET);
  if (chosenIv === undefined) context.ivs.fill(iv);
  else iv.set(chosenIv);
  key.sealInto(iv, plaintext, authenticated(context, mode, version, iv, aad), blob, SEALED_OFFSET);
  return { ciphertextBlob: blob, iv };
}

/**
 * Opens ciphertext ‖ tag under a version.
 *
 * @throws KmsError `InvalidCiphertext`, whatever was wrong
 */
export function openUnder(
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  if (sealed.length <= TAG_LENGTH) throw invalidCiphertext();
  const key = context.aesGcm(version, sealed.length);
  const plaintext = key.open(iv, sealed, authenticated(context, mode, version, iv, aad));
  if (plaintext === undefined) throw invalidCiphertext();
  return plaintext;
}

/** A blob whose version is known here, usable and the caller's to open; not yet authenticated. */
export interface LocatedBlob {
  readonly version: KeyVersion;
  readonly iv: Uint8Array;
  readonly sealed: Uint8Array;
}

/**
 * Parses a blob, finds its version, matches the key the caller names, then asks policy and state, in this order.
 * A blob that names a version which never sealed, such as one of an RSA key, is forged like one that names none.
 *
 * @param keyId what the caller believes the key to be; a contradiction is a ciphertext that cannot be opened
 * @throws KmsError `InvalidCiphertext`, `Rejected.RecordCorrupt`, `Rejected.Disabled`, `Rejected.PendingDeletion`
 */
export function locateBlob(context: OperationContext, blob: Uint8Array, keyId?: string): LocatedBlob {
  context.records.refuseClosed();
  // Named first, so that a key whose record is corrupt is told from a wrong one.
  const named = keyId === undefined ? undefined : context.ring.find(keyId);
  const version = isBlob(blob) ? context.ring.findVersion(blob, KEY_VERSION_ID_OFFSET) : undefined;
  if (version?.usage === undefined || context.records.isGone(version.key)) throw invalidCiphertext();
  if (keyId !== undefined && named !== version.key) throw invalidCiphertext();
  assertSymmetric(version.key);
  return {
    version,
    iv: blob.subarray(BLOB_HEADER_LENGTH, SEALED_OFFSET),
    sealed: blob.subarray(SEALED_OFFSET),
  };
}

/** Opens a located blob. @throws KmsError `InvalidCiphertext` */
export function openBlob(context: OperationContext, blob: LocatedBlob, aad: Uint8Array): Uint8Array {
  return openUnder(context, "advance", blob.version, blob.iv, blob.sealed, aad);
}
