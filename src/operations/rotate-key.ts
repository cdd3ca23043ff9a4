/** RotateKey: gives a symmetric key a new primary version, at once. */

import { randomBytes } from "../engines/random.ts";
import { KmsError } from "../errors.ts";
import { materialOf } from "../keys/key-spec.ts";
import { stateAfter } from "../keys/key-state.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { KEY_ID_FIELDS, type KeyIdRequest } from "./describe-key.ts";
import { refuseOnHardware } from "./hardware.ts";
import { withHardwareMaterial } from "./hardware-material.ts";
import { checkFields, readString } from "./input.ts";

export interface RotateKeyResponse extends ResponseMetadata {
  readonly keyId: string;
  /** The new primary version. */
  readonly keyVersionId: string;
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.PendingImport` */
export async function rotateKey(
  context: OperationContext,
  request: KeyIdRequest,
): Promise<RotateKeyResponse> {
  checkFields(request, KEY_ID_FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const version = await context.records.inTurn(async () => {
    const key = resolveKey(context, keyId);
    const facts = materialOf(key.identity.spec);
    if (facts.type !== "aes")
      throw new KmsError("Rejected.UnsupportedOperation", "Only symmetric encryption keys rotate.");
    stateAfter("RotateKey", key.status.state);
    const status = { ...key.status, lastRotationAt: context.clock() };
    if (key.isHardware) {
      refuseOnHardware(context, true);
      const random = randomBytes(16);
      return withHardwareMaterial(context, key.identity, random, (reference) =>
        context.records.addVersion(key, status, reference, random),
      );
    }
    const material = await context.router.generateMaterial(facts);
    return context.records.addVersion(key, status, material, randomBytes(16));
  });
  return { keyId: version.key.keyId, keyVersionId: version.keyVersionId, requestId: context.nextRequestId() };
}
