/** Verify: answers whether a signature is good; a bad one of any shape is `false`, not an error. */

import { ensureBytes } from "../bytes.ts";
import { ensure } from "../errors.ts";
import type { SignatureAlgorithm } from "../keys/key-spec.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields } from "./input.ts";
import {
  type MessageType,
  readSigningInput,
  SIGNING_FIELD_NAMES,
  type SigningFields,
} from "./signing-input.ts";

export interface VerifyRequest extends SigningFields {
  readonly signature: Uint8Array;
}

export interface VerifyResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly value: boolean;
  readonly algorithm: SignatureAlgorithm;
  readonly messageType: MessageType;
}

const FIELDS = fields(...SIGNING_FIELD_NAMES, "signature");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion` */
export function verify(context: OperationContext, request: VerifyRequest): VerifyResponse {
  checkFields(request, FIELDS);
  const { signature } = request;
  ensure(signature !== undefined, "MissingParameter", "signature is required.");
  ensureBytes(signature, "signature");
  const { key, algorithm, scheme, messageType, signable, ecdsaOptions } = readSigningInput(context, request);
  const version = key.initialVersion;

  let value: boolean;
  if (scheme.scheme === "ecdsa") {
    const { ecdsa, publicKey } = context.router.ec(version);
    value = ecdsa.verify(publicKey, signable, signature, ecdsaOptions);
  } else {
    const { rsa, publicKey } = context.router.rsa(version);
    value =
      scheme.scheme === "pss"
        ? rsa.verifyPss(publicKey, signable, signature, scheme)
        : rsa.verifyPkcs1(publicKey, signable, signature, scheme);
  }
  return {
    keyId: key.keyId,
    keyVersionId: version.keyVersionId,
    value,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  };
}
