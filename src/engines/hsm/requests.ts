/** Reads what callers say of keys. */

import { copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { KEY_SPECS } from "../../keys/key-spec.ts";
import type { GenerateHsmKeyRequest, HsmKeyReference, HsmKeySpec, ImportHsmKeyRequest } from "./hsm.ts";
import type { KeyIdentityCheck } from "./key-info.ts";
import type { KeyReference } from "./token-key.ts";

const MAX_ID_LENGTH = 64;
const MAX_LABEL_LENGTH = 128;

const AES_LENGTHS: Readonly<Partial<Record<HsmKeySpec, 16 | 24 | 32>>> = {
  Aliyun_AES_128: 16,
  Aliyun_AES_192: 24,
  Aliyun_AES_256: 32,
};

function ensureSpec(keySpec: HsmKeySpec): void {
  ensure(
    KEY_SPECS.includes(keySpec) && !keySpec.startsWith("HMAC"),
    "InvalidParameter",
    "keySpec is not one that an HSM makes.",
  );
}

function readId(id: unknown): Uint8Array | undefined {
  if (id === undefined) return undefined;
  ensureBytes(id, "id");
  ensure(id.length >= 1 && id.length <= MAX_ID_LENGTH, "InvalidParameter", "id must be 1 to 64 bytes.");
  return copyBytes(id);
}

function readLabel(label: unknown): string | undefined {
  if (label === undefined) return undefined;
  ensure(
    typeof label === "string" && label.length <= MAX_LABEL_LENGTH,
    "InvalidParameter",
    "label must be a string of at most 128 characters.",
  );
  return label;
}

/** @throws KmsError `InvalidParameter` */
export function readReference(request: HsmKeyReference): {
  readonly reference: KeyReference;
  readonly expected: KeyIdentityCheck | undefined;
} {
  const id = readId(request.id);
  const label = readLabel(request.label);
  const { kind, checkValue, publicKey } = request;
  ensure(id !== undefined || label !== undefined, "InvalidParameter", "id or label must name the key.");
  ensure(
    kind === undefined || kind === "secret" || kind === "private",
    "InvalidParameter",
    "kind must be secret or private.",
  );
  if (checkValue !== undefined) ensureBytes(checkValue, "checkValue");
  if (publicKey !== undefined) ensureBytes(publicKey, "publicKey");
  const expected =
    checkValue === undefined && publicKey === undefined
      ? undefined
      : {
          checkValue: copyBytes(checkValue ?? new Uint8Array(0)),
          spki: copyBytes(publicKey ?? new Uint8Array(0)),
        };
  const { keySpec } = request;
  if (keySpec !== undefined) ensureSpec(keySpec);
  const byteLength = keySpec === undefined ? undefined : AES_LENGTHS[keySpec];
  return { reference: { id, label, kind, byteLength }, expected };
}

/** @throws KmsError `InvalidParameter` */
export function readGenerateRequest(request: GenerateHsmKeyRequest): GenerateHsmKeyRequest {
  const { keySpec, usage } = request;
  ensureSpec(keySpec);
  ensure(
    usage === undefined || usage === "encrypt" || usage === "sign",
    "InvalidParameter",
    "usage must be encrypt or sign.",
  );
  ensure(usage !== "encrypt" || !keySpec.startsWith("EC_"), "InvalidParameter", "EC keys sign.");
  return { keySpec, usage, id: readId(request.id), label: readLabel(request.label) };
}

/** @returns with a copy of the material, which the caller wipes. @throws KmsError `InvalidParameter` */
export function readImportRequest(
  request: ImportHsmKeyRequest,
): GenerateHsmKeyRequest & { readonly material: Uint8Array } {
  ensureBytes(request.keyMaterial, "keyMaterial");
  return { ...readGenerateRequest(request), material: copyBytes(request.keyMaterial) };
}
