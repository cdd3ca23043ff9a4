/** Sign: RSA-PSS, RSA PKCS#1 v1.5 or ECDSA over a message or its digest. */

import type { SignatureAlgorithm } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields } from "./input.ts";
import {
  digestOf,
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
  const answerOf = (signature: Uint8Array): Answer => ({
    keyId: key.keyId,
    keyVersionId: key.initialVersion.keyVersionId,
    signature,
    algorithm,
    messageType,
    requestId: context.nextRequestId(),
  });
  return stageSignature(context, input, answerOf) ?? whenReady(makeSignature(context, input), answerOf);
}

/** A response whose signature may still be on its way. */
type Answer = Omit<SignResponse, "signature"> & { signature: Uint8Array };

const NO_SIGNATURE: Uint8Array = new Uint8Array(0);

/** Leaves the signature to the rest of a batch, where the engine makes many at once; undefined where it does not. */
function stageSignature(
  { signatures, router }: OperationContext,
  { key, scheme, message, messageType, ecdsaOptions }: SigningInput,
  answerOf: (signature: Uint8Array) => Answer,
): Answer | undefined {
  if (signatures === undefined || scheme.scheme !== "ecdsa") return undefined;
  const binding = router.ec.together(key.initialVersion, "sign");
  if (binding === undefined) return undefined;
  const signer = binding.together.signer(ecdsaOptions);
  const item = { key: binding.privateKey, signable: digestOf(signer, message, messageType, scheme.hash) };
  const answer = answerOf(NO_SIGNATURE);
  signatures.add(signer, item, answer, (signature) => {
    answer.signature = signature;
  });
  return answer;
}

function makeSignature(context: OperationContext, input: SigningInput): MaybePromise<Uint8Array> {
  const { key, scheme, message, toSignable, ecdsaOptions } = input;
  const version = key.initialVersion;
  if (scheme.scheme === "ecdsa") {
    return withBinding(
      context,
      version,
      "SIGN/VERIFY",
      context.router.ec.find(version, "sign"),
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
    context.router.rsa.find(version, "private"),
    [message] as const,
    ({ rsa, privateKey }, [own]) =>
      scheme.scheme === "pss"
        ? rsa.signPss(privateKey, toSignable(own), scheme)
        : rsa.signPkcs1(privateKey, toSignable(own), scheme),
  );
}
