/** Sign: RSA-PSS, RSA PKCS#1 v1.5 or ECDSA over a message or its digest. */

import type { SignatureAlgorithm } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields } from "./input.ts";
import {
  type MessageType,
  readSigningInput,
  SIGNING_FIELD_NAMES,
  type SigningFields,
  type SigningInput,
} from "./signing-input.ts";
import { withBinding } from "./with-binding.ts";

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
export function sign(context: OperationContext, request: SignRequest): MaybePromise<SignResponse> {
  checkFields(request, FIELDS);
  const input = readSigningInput(context, request);
  const { key, algorithm, messageType } = input;
  return whenReady(makeSignature(context, input), (signature) => ({
    keyId: key.keyId,
    keyVersionId: key.initialVersion.keyVersionId,
    signature,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  }));
}

function makeSignature(context: OperationContext, input: SigningInput): MaybePromise<Uint8Array> {
  const { key, scheme, message, toSignable, ecdsaOptions } = input;
  const version = key.initialVersion;
  if (scheme.scheme === "ecdsa") {
    return withBinding(
      context,
      version,
      "SIGN/VERIFY",
      context.router.ec(version, "sign"),
      [message] as const,
      ({ ecdsa, privateKey }, [own]) =>
        // Hedged: a nonce that only message and key decide is the same on two curves, and under a fault.
        ecdsa.sign(privateKey, toSignable(own), { ...ecdsaOptions, hedged: true }),
    );
  }
  return withBinding(
    context,
    version,
    "SIGN/VERIFY",
    context.router.rsa(version, "private"),
    [message] as const,
    ({ rsa, privateKey }, [own]) =>
      scheme.scheme === "pss"
        ? rsa.signPss(privateKey, toSignable(own), scheme)
        : rsa.signPkcs1(privateKey, toSignable(own), scheme),
  );
}
