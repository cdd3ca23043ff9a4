/** GetPublicKey: the public half of an asymmetric key, as PEM text and as DER. */

import { encodePem } from "../envelope/pem.ts";
import { ensure, KmsError } from "../errors.ts";
import { assertUsable } from "../keys/key.ts";
import { isAsymmetric, materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { checkFields, fields, readOptionalString, readString } from "./input.ts";
import { withBinding } from "./with-binding.ts";

export interface GetPublicKeyRequest {
  readonly keyId: string;
  readonly keyVersionId?: string | undefined;
}

export interface GetPublicKeyResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** PEM of the SubjectPublicKeyInfo. */
  readonly publicKey: string;
  /** DER SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
}

const FIELDS = fields("keyId", "keyVersionId");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.KeyVersionNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion` */
export function getPublicKey(
  context: OperationContext,
  request: GetPublicKeyRequest,
): MaybePromise<GetPublicKeyResponse> {
  checkFields(request, FIELDS);
  const keyId = readString(request.keyId, "keyId");
  const keyVersionId = readOptionalString(request.keyVersionId, "keyVersionId");
  const key = resolveKey(context, keyId);
  ensure(isAsymmetric(key.identity.spec), "Rejected.UnsupportedOperation", "The key has no public key.");
  const { usage } = key.identity;
  assertUsable(key, usage);

  const version =
    keyVersionId === undefined
      ? key.initialVersion
      : key.versions.find((candidate) => candidate.keyVersionId === keyVersionId);
  if (version === undefined)
    throw new KmsError("Forbidden.KeyVersionNotFound", "keyVersionId names no version of this key.");
  const exported =
    materialOf(key.identity.spec).type === "rsa"
      ? withBinding(
          context,
          version,
          usage,
          context.router.rsa.find(version, "public"),
          [],
          ({ rsa, publicKey }) => rsa.exportSpki(publicKey),
        )
      : withBinding(
          context,
          version,
          usage,
          context.router.ec.find(version, "verify"),
          [],
          ({ ecdsa, publicKey }) => ecdsa.exportSpki(publicKey),
        );
  return whenReady(exported, (publicKeyDer) => ({
    keyId: key.keyId,
    keyVersionId: version.keyVersionId,
    publicKey: new TextDecoder().decode(encodePem("PUBLIC KEY", publicKeyDer)),
    publicKeyDer,
    requestId: context.nextRequestId(),
  }));
}
