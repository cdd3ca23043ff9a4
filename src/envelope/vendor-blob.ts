/**
 * The vendor's two published ciphertext layouts, for migration: the OpenAPI blob and the 0x24 blob of the transfer
 * SDKs. Re-laying out neither decrypts nor re-encrypts; what was authenticated stays as it was.
 * The layout is docs/ciphertext-blob.md, [VND-1] to [VND-4].
 *
 *     OpenAPI   key version id (36 ASCII) ‖ iv (12) ‖ ciphertext ‖ tag
 *     0x24      0x24 ‖ format version << 4 | padding mode ‖ algorithm ‖ OpenAPI blob
 */

import { concatBytes, ensureBytes } from "../bytes.ts";
import { ensure, invalidCiphertext } from "../errors.ts";
import {
  ALGORITHM_AES_GCM,
  blobHeader,
  encodeBlob,
  IV_LENGTH,
  parseBlob,
  TAG_LENGTH,
} from "./ciphertext-blob.ts";
import { formatKeyVersionId, parseKeyVersionId } from "./key-version-id.ts";

export type VendorBlobLayout = "openapi" | "transfer";

const TRANSFER_MAGIC = 0x24;
const TRANSFER_VERSION_1_NO_PADDING = 0x10;
const TRANSFER_PREFIX = Uint8Array.of(TRANSFER_MAGIC, TRANSFER_VERSION_1_NO_PADDING, ALGORITHM_AES_GCM);
const ID_LENGTH = 36;
const encoder = new TextEncoder();

/**
 * Writes a Keyplane blob in a vendor layout.
 *
 * @throws KmsError `InvalidParameter`; `InvalidCiphertext` when `ciphertextBlob` is not a Keyplane blob
 */
export function toVendorBlob(ciphertextBlob: Uint8Array, layout: VendorBlobLayout): Uint8Array {
  ensure(
    layout === "openapi" || layout === "transfer",
    "InvalidParameter",
    "layout must be openapi or transfer.",
  );
  ensureBytes(ciphertextBlob, "ciphertextBlob");
  const parts = parseBlob(ciphertextBlob);
  if (parts === undefined) throw invalidCiphertext();
  const id = encoder.encode(formatKeyVersionId(parts.keyVersionId));
  const prefix = layout === "transfer" ? TRANSFER_PREFIX : new Uint8Array(0);
  return concatBytes(prefix, id, parts.iv, parts.sealed);
}

/**
 * Reads either vendor layout into a Keyplane blob.
 *
 * @throws KmsError `InvalidParameter`; `InvalidCiphertext` when it is neither layout, or its key version id is not a lower-case UUID v4
 */
export function fromVendorBlob(vendorBlob: Uint8Array): Uint8Array {
  ensureBytes(vendorBlob, "vendorBlob");
  const isTransfer = TRANSFER_PREFIX.every((byte, i) => vendorBlob[i] === byte);
  const body = isTransfer ? vendorBlob.subarray(TRANSFER_PREFIX.length) : vendorBlob;
  const id = parseKeyVersionId(String.fromCharCode(...body.subarray(0, ID_LENGTH)));
  if (id === undefined || body.length <= ID_LENGTH + IV_LENGTH + TAG_LENGTH) throw invalidCiphertext();
  const iv = body.subarray(ID_LENGTH, ID_LENGTH + IV_LENGTH);
  return encodeBlob(blobHeader(id), iv, body.subarray(ID_LENGTH + IV_LENGTH));
}
