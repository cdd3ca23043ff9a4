/** Verify: answers whether a signature is good; a bad one of any shape is `false`, not an error. */

import { copyBytes, ensureBytes } from "../bytes.ts";
import type { ItemToVerify, Keyed, Together } from "../engines/together.ts";
import { ensure } from "../errors.ts";
import type { SignatureAlgorithm } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields } from "./input.ts";
import type { SignatureStage } from "./signature-stage.ts";
import {
  digestOf,
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
  const answerOf = (value: boolean): Answer => ({
    keyId: key.keyId,
    keyVersionId: key.initialVersion.keyVersionId,
    value,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  });
  return (
    stageVerification(context, input, signature, answerOf) ??
    whenReady(checkSignature(context, input, signature), answerOf)
  );
}

/** A response whose verdict may still be on its way. */
type Answer = Omit<VerifyResponse, "value"> & { value: boolean };

/** Leaves the verdict to the rest of a batch, where an engine verifies many at once; undefined where none does. */
function stageVerification(
  { signatures, router }: OperationContext,
  input: SigningInput,
  signature: Uint8Array,
  answerOf: (value: boolean) => Answer,
): Answer | undefined {
  const { key, scheme, ecdsaOptions } = input;
  if (signatures === undefined) return undefined;
  const version = key.initialVersion;
  if (scheme.scheme === "ecdsa") {
    const binding = router.ec.together(version, "verify");
    if (binding === undefined) return undefined;
    const keyed = { key: binding.publicKey, work: binding.together.verifier(ecdsaOptions) };
    return stageWith(keyed, signatures, input, signature, answerOf);
  }
  const verifier = router.rsa.verifier(version, scheme, signatures.batchSize);
  return verifier && stageWith(verifier, signatures, input, signature, answerOf);
}

function stageWith<Key>(
  { key, work }: Keyed<Key, Together<ItemToVerify<Key>, boolean>>,
  signatures: SignatureStage,
  { message, messageType, scheme }: SigningInput,
  signature: Uint8Array,
  answerOf: (value: boolean) => Answer,
): Answer {
  const item = {
    key,
    signable: digestOf(work, message, messageType, scheme.hash),
    signature: copyBytes(signature),
  };
  const answer = answerOf(false);
  signatures.add(work, item, answer, (value) => {
    answer.value = value;
  });
  return answer;
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
      context.router.ec.find(version, "verify"),
      [message, signature] as const,
      ({ ecdsa, publicKey }, [own, ownSignature]) =>
        ecdsa.verify(publicKey, toSignable(own), ownSignature, ecdsaOptions),
    );
  }
  return withBinding(
    context,
    version,
    "SIGN/VERIFY",
    context.router.rsa.find(version, "public"),
    [message, signature] as const,
    ({ rsa, publicKey }, [own, ownSignature]) =>
      scheme.scheme === "pss"
        ? rsa.verifyPss(publicKey, toSignable(own), ownSignature, scheme)
        : rsa.verifyPkcs1(publicKey, toSignable(own), ownSignature, scheme),
  );
}
