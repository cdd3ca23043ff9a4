/** Verify: answers whether a signature is good; a bad one of any shape is `false`, not an error. */

import { ensureBytes } from "../bytes.ts";
import { ensure } from "../errors.ts";
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
export function verify(context: OperationContext, request: VerifyRequest): MaybePromise<VerifyResponse> {
  checkFields(request, FIELDS);
  const { signature } = request;
  ensure(signature !== undefined, "MissingParameter", "signature is required.");
  ensureBytes(signature, "signature");
  const input = readSigningInput(context, request);
  const { key, algorithm, messageType } = input;
  return whenReady(checkSignature(context, input, signature), (value) => ({
    keyId: key.keyId,
    keyVersionId: key.initialVersion.keyVersionId,
    value,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  }));
}

function checkSignature(
  context: OperationContext,
  input: SigningInput,
  signature: Uint8Array,
): MaybePromise<boolean> {
  const { key, scheme, message, toSignable, ecdsaOptions } = input;
  const version = key.initialVersion;
  if (scheme.scheme === "ecdsa") {
    return withBinding(
      context,
      version,
      "SIGN/VERIFY",
      context.router.ec(version, "verify"),
      [message, signature] as const,
      ({ ecdsa, publicKey }, [own, ownSignature]) =>
        ecdsa.verify(publicKey, toSignable(own), ownSignature, ecdsaOptions),
    );
  }
  return withBinding(
    context,
    version,
    "SIGN/VERIFY",
    context.router.rsa(version, "public"),
    [message, signature] as const,
    ({ rsa, publicKey }, [own, ownSignature]) =>
      scheme.scheme === "pss"
        ? rsa.verifyPss(publicKey, toSignable(own), ownSignature, scheme)
        : rsa.verifyPkcs1(publicKey, toSignable(own), ownSignature, scheme),
  );
}
