/**
 * The two ways a symmetric key version seals and opens: detached (the caller keeps iv, key and aad) and advance (a
 * self-describing blob). Used by every operation that makes or opens AES-GCM ciphertext.
 */

import { copyBytes, lengthOf } from "../bytes.ts";
import type { AadFrame } from "../engines/engine.ts";
import type { BoundAesKey } from "../engines/key-slot.ts";
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
import { assertSymmetric, type KeyVersion } from "../keys/key.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { contextOf, type OperationContext } from "./context.ts";
import { refuseOnHardware } from "./hardware.ts";
import { refuseGone, withBinding } from "./with-binding.ts";

/** Ciphertext as an operation answers it, with the iv it was made under. */
export interface SealedText {
  /** Ciphertext ‖ tag, or the whole blob. */
  readonly ciphertextBlob: Uint8Array;
  /** Of a blob, a view of it. */
  readonly iv: Uint8Array;
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
  if (version.key.isHardware) refuseOnHardware(context, mode === "advance");
  const counted = context.records.countUse(version, context.mayWait);
  return counted instanceof Promise
    ? sealLater(counted, context, mode, version, plaintext, aad, iv)
    : seal(context, mode, version, plaintext, aad, iv);
}

/** Seals once the store has counted the use. Apart from the usual way, which closures would slow down. */
function sealLater(
  counted: Promise<void>,
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
  iv: Uint8Array | undefined,
): Promise<SealedText> {
  // The caller may change its arrays once the call has returned its promise.
  const [ownPlaintext, ownAad, ownIv] = [
    copyBytes(plaintext),
    copyBytes(aad),
    iv === undefined ? undefined : copyBytes(iv),
  ];
  return counted
    .then(() => {
      refuseGone(context, version, "ENCRYPT/DECRYPT");
      // At once: nobody may be there any more to seal what the batch collects, nor the key.
      const alone = contextOf(context, context.aesGcm);
      return seal(alone, mode, version, ownPlaintext, ownAad, ownIv);
    })
    .finally(() => ownPlaintext.fill(0));
}

function seal(
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
  chosenIv: Uint8Array | undefined,
): MaybePromise<SealedText> {
  const length = lengthOf(plaintext);
  const key = context.aesGcm(version, length);
  return key instanceof Promise
    ? sealWhenBound(key, context, mode, version, plaintext, aad, chosenIv)
    : sealWith(key, context, mode, version, plaintext, length, aad, chosenIv);
}

/** Seals once the engine has the key. Apart from the usual way, which closures would slow down. */
function sealWhenBound(
  key: Promise<BoundAesKey>,
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
  chosenIv: Uint8Array | undefined,
): MaybePromise<SealedText> {
  const inputs = [plaintext, aad, ...(chosenIv === undefined ? [] : [chosenIv])] as const;
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    key,
    inputs,
    (ready, [ownPlaintext, ownAad, ownIv]) =>
      // At once, like what waited for the store.
      sealWith(
        ready,
        contextOf(context, context.aesGcm),
        mode,
        version,
        ownPlaintext,
        ownPlaintext.length,
        ownAad,
        ownIv,
      ),
  );
}

/** @param length of the plaintext, as `lengthOf` says */
function sealWith(
  key: BoundAesKey,
  context: OperationContext,
  mode: FrameMode,
  version: KeyVersion,
  plaintext: Uint8Array,
  length: number,
  aad: Uint8Array,
  chosenIv: Uint8Array | undefined,
): MaybePromise<SealedText> {
  const frame = context.frames.frame(mode, version.blobHeader, aad, aad === context.contexts.bytes);
  if (chosenIv === undefined) context.ivs.fill(frame.iv);
  else frame.ivBytes.set(chosenIv);
  const sealedLength = length + TAG_LENGTH;
  if (mode === "detached" && context.aadFraming === "none") {
    const iv = copyBytes(frame.ivBytes);
    const sealed = context.slab.take(sealedLength);
    return answer(key.sealInto(iv, plaintext, aad, sealed, 0), { ciphertextBlob: sealed, iv });
  }
  // Detached text is put behind its iv all the same: two views of one piece of memory.
  const prefixLength = mode === "advance" ? SEALED_OFFSET : IV_LENGTH;
  const { slab } = context;
  const start = slab.reserve(prefixLength + sealedLength);
  if (start === undefined) return sealApart(key, mode, frame, plaintext);
  const done = sealRun(context, key, frame, prefixLength, plaintext, slab.block, start);
  const blobStart = mode === "advance" ? 0 : IV_LENGTH;
  return answer(done, {
    ciphertextBlob: slab.view(start + blobStart, prefixLength - blobStart + sealedLength),
    iv: slab.view(start + prefixLength - IV_LENGTH, IV_LENGTH),
  });
}

/** Seals now or, in a batch, with others. */
function sealRun(
  context: OperationContext,
  key: BoundAesKey,
  frame: AadFrame,
  prefixLength: number,
  plaintext: Uint8Array,
  out: Uint8Array,
  offset: number,
): MaybePromise<void> {
  if (context.stage?.add(key, frame, prefixLength, plaintext, out, offset) === true) return;
  return key.sealRun(frame, prefixLength, plaintext, out, offset);
}

/** Seals into a buffer that holds this text alone. */
function sealApart(
  key: BoundAesKey,
  mode: FrameMode,
  frame: AadFrame,
  plaintext: Uint8Array,
): MaybePromise<SealedText> {
  const prefixLength = mode === "advance" ? SEALED_OFFSET : 0;
  const blob = new Uint8Array(prefixLength + lengthOf(plaintext) + TAG_LENGTH);
  const done = key.sealRun(frame, prefixLength, plaintext, blob, 0);
  const iv = mode === "advance" ? blob.subarray(BLOB_HEADER_LENGTH, SEALED_OFFSET) : copyBytes(frame.ivBytes);
  return answer(done, { ciphertextBlob: blob, iv });
}

function answer(done: MaybePromise<void>, text: SealedText): MaybePromise<SealedText> {
  return done === undefined ? text : answerLater(done, text);
}

/** Apart from the usual way, which a closure would slow down. */
async function answerLater(done: MaybePromise<void>, text: SealedText): Promise<SealedText> {
  await done;
  return text;
}

/**
 * Opens detached ciphertext ‖ tag under a version.
 *
 * @throws KmsError `InvalidCiphertext`, whatever was wrong
 */
export function openDetached(
  context: OperationContext,
  version: KeyVersion,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  const length = lengthOf(sealed);
  if (length <= TAG_LENGTH) throw invalidCiphertext();
  const key = context.aesGcm(version, length);
  return key instanceof Promise
    ? openWhenBound(key, context, version, iv, sealed, aad)
    : openWith(key, context, version, iv, sealed, aad);
}

function openWhenBound(
  key: Promise<BoundAesKey>,
  context: OperationContext,
  version: KeyVersion,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    key,
    [iv, sealed, aad] as const,
    (ready, [ownIv, ownSealed, ownAad]) => openWith(ready, context, version, ownIv, ownSealed, ownAad),
  );
}

function openWith(
  key: BoundAesKey,
  context: OperationContext,
  version: KeyVersion,
  iv: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  let authenticated = aad;
  if (context.aadFraming !== "none") {
    const isConstant = aad === context.contexts.bytes;
    const frame = context.frames.frame("detached", version.blobHeader, aad, isConstant);
    frame.ivBytes.set(iv);
    authenticated = frame.bytes;
  }
  return plaintextOf(key.open(iv, sealed, authenticated));
}

/** @throws KmsError `InvalidCiphertext` where nothing was opened */
function plaintextOf(opened: MaybePromise<Uint8Array | undefined>): MaybePromise<Uint8Array> {
  if (opened instanceof Promise) return opened.then(plaintextOf);
  if (opened === undefined) throw invalidCiphertext();
  return opened;
}

/**
 * Finds the version of a blob, matches the key the caller names, then asks policy and state, in this order. Nothing is
 * authenticated yet. A blob that names a version which never sealed, such as one of an RSA key, is forged like one that
 * names none.
 *
 * @param keyId what the caller believes the key to be; a contradiction is a ciphertext that cannot be opened
 * @throws KmsError `InvalidCiphertext`, `Rejected.RecordCorrupt`, `Rejected.Disabled`, `Rejected.PendingDeletion`
 */
export function versionOfBlob(context: OperationContext, blob: Uint8Array, keyId?: string): KeyVersion {
  context.records.refuseClosed();
  // Named first, so that a key whose record is corrupt is told from a wrong one.
  const named = keyId === undefined ? undefined : context.ring.find(keyId);
  const version = isBlob(blob) ? context.ring.findVersion(blob, KEY_VERSION_ID_OFFSET) : undefined;
  if (version?.usage === undefined || context.records.isGone(version.key)) throw invalidCiphertext();
  if (keyId !== undefined && named !== version.key) throw invalidCiphertext();
  assertSymmetric(version.key);
  return version;
}

/** Opens a blob under the version it names. @throws KmsError `InvalidCiphertext` */
export function openBlob(
  context: OperationContext,
  version: KeyVersion,
  blob: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  if (version.key.isHardware) refuseOnHardware(context, true);
  const key = context.aesGcm(version, lengthOf(blob));
  return key instanceof Promise
    ? openBlobWhenBound(key, context, version, blob, aad)
    : openBlobWith(key, context, version, blob, aad);
}

function openBlobWhenBound(
  key: Promise<BoundAesKey>,
  context: OperationContext,
  version: KeyVersion,
  blob: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  return withBinding(
    context,
    version,
    "ENCRYPT/DECRYPT",
    key,
    [blob, aad] as const,
    (ready, [ownBlob, ownAad]) => openBlobWith(ready, context, version, ownBlob, ownAad),
  );
}

function openBlobWith(
  key: BoundAesKey,
  context: OperationContext,
  version: KeyVersion,
  blob: Uint8Array,
  aad: Uint8Array,
): MaybePromise<Uint8Array> {
  const frame = context.frames.frame("advance", version.blobHeader, aad, aad === context.contexts.bytes);
  return plaintextOf(key.openRun(frame, SEALED_OFFSET, blob));
}
