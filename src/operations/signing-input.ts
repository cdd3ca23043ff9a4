/** What Sign and Verify read alike: algorithm, message type and the options of ECDSA. */

import { copyBytes } from "../bytes.ts";
import type { HashName, Signable } from "../engines/engine.ts";
import { ensure } from "../errors.ts";
import { assertUsable, type Key } from "../keys/key.ts";
import {
  hashLength,
  isAsymmetric,
  type SignatureAlgorithm,
  type SignatureScheme,
  signatureScheme,
} from "../keys/key-spec.ts";
import { type OperationContext, resolveKey } from "./context.ts";
import { readChoice, readOptionalBoolean, readOptionalString, readPayload, readString } from "./input.ts";

export type MessageType = "RAW" | "DIGEST";

export interface SigningFields {
  readonly keyId: string;
  /** Absent = RSA_PSS_SHA_256 or ECDSA_SHA_256. */
  readonly algorithm?: SignatureAlgorithm | undefined;
  /** RAW: 1 byte to 3 MiB, hashed here. DIGEST: exactly as long as the algorithm's hash. */
  readonly message: Uint8Array;
  /** RAW if absent. A digest passed as RAW is hashed again. */
  readonly messageType?: MessageType | undefined;
  /** ECDSA only: DER (X9.62, the default) or P1363 (r ‖ s, 64 bytes). */
  readonly signatureFormat?: "DER" | "P1363" | undefined;
  /** ECDSA only: sign makes, and verify insists on, s <= n/2. */
  readonly lowS?: boolean | undefined;
}

export const SIGNING_FIELD_NAMES = [
  "keyId",
  "algorithm",
  "message",
  "messageType",
  "signatureFormat",
  "lowS",
] as const;

/** Returns the digest that is signed, in memory of its own. */
export function digestOf(
  { hash }: { readonly hash: (name: HashName, message: Uint8Array) => Uint8Array },
  message: Uint8Array,
  messageType: MessageType,
  name: HashName,
): Uint8Array {
  return messageType === "DIGEST" ? copyBytes(message) : hash(name, message);
}

/** A checked request to sign or verify. */
export interface SigningInput {
  readonly key: Key;
  readonly algorithm: SignatureAlgorithm;
  readonly scheme: SignatureScheme;
  readonly messageType: MessageType;
  readonly message: Uint8Array;
  /** Says of the message, or of a copy of it, whether it is a digest or still to be hashed. */
  readonly toSignable: (message: Uint8Array) => Signable;
  readonly ecdsaOptions: { readonly format: "der" | "p1363"; readonly lowS: boolean };
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion` */
export function readSigningInput(context: OperationContext, request: SigningFields): SigningInput {
  const keyId = readString(request.keyId, "keyId");
  const requested = readOptionalString(request.algorithm, "algorithm");
  const message = readPayload(request.message, "message");
  const messageType = readChoice(request.messageType, "messageType", ["RAW", "DIGEST"], "RAW");
  const { signatureFormat, lowS } = request;
  const format = readChoice(signatureFormat, "signatureFormat", ["DER", "P1363"], "DER");
  readOptionalBoolean(lowS, "lowS");

  const key = resolveKey(context, keyId);
  ensure(isAsymmetric(key.identity.spec), "Rejected.UnsupportedOperation", "The key is not for SIGN/VERIFY.");
  assertUsable(key, "SIGN/VERIFY");
  const { algorithm, scheme } = signatureScheme(key.identity.spec, requested);
  if (scheme.scheme !== "ecdsa") {
    ensure(signatureFormat === undefined, "InvalidParameter", "signatureFormat is for ECDSA only.");
    ensure(lowS === undefined, "InvalidParameter", "lowS is for ECDSA only.");
  }
  if (messageType === "DIGEST") {
    const length = hashLength(scheme.hash);
    ensure(
      message.length === length,
      "InvalidParameter",
      `message must be a digest of ${length} bytes for ${algorithm}.`,
    );
  }
  return {
    key,
    algorithm,
    scheme,
    messageType,
    message,
    toSignable: messageType === "DIGEST" ? (own) => own : (own) => ({ message: own, hash: scheme.hash }),
    ecdsaOptions: { format: format === "DER" ? "der" : "p1363", lowS: lowS ?? false },
  };
}
