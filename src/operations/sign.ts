/** Sign: RSA-PSS, RSA PKCS#1 v1.5 or ECDSA over a message or its digest. */

import type { SignatureAlgorithm } from "../keys/key-spec.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields } from "./input.ts";
import {
  type MessageType,
  readSigningInput,
  SIGNING_FIELD_NAMES,
  type SigningFields,
} from "./signing-input.ts";

export interface SignRequest extends SigningFields {}

export interface SignResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly signature: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  readonly messageType: MessageType;
}

const FIELDS = fields(...SIGNING_FIELD_NAMES);

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion` */
export function sign(context: OperationContext, request: SignRequest): SignResponse {
  checkFields(request, FIELDS);
  const { key, algorithm, scheme, messageType, signable, ecdsaOptions } = readSigningInput(context, request);
  const version = key.initialVersion;

  let signature: Uint8Array;
  if (scheme.scheme === "ecdsa") {
    const { ecdsa, privateKey } = context.router.ec(version);
    // Hedged: a nonce that only message and key decide is the same on two curves, and under a fault.
    signature = ecdsa.sign(privateKey, signable, { ...ecdsaOptions, hedged: true });
  } else {
    const { rsa, privateKey } = context.router.rsa(version);
    signature =
      scheme.scheme === "pss"
        ? rsa.signPss(privateKey, signable, scheme)
        : rsa.signPkcs1(privateKey, signable, scheme);
  }
  return {
    keyId: key.keyId,
    keyVersionId: version.keyVersionId,
    signature,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  };
}
