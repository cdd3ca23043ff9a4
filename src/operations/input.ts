/**
 * Reads requests at the edge: every field is looked at once, checked and named in the refusal. Absent and undefined
 * are the same; null is refused; so is every property the call does not know.
 */

import { ensureBytes, lengthOf } from "../bytes.ts";
import { IV_LENGTH } from "../envelope/ciphertext-blob.ts";
import { type EncryptionContext, transferContextText } from "../envelope/encryption-context.ts";
import { ensure, KmsError } from "../errors.ts";
import type { OperationContext } from "./context.ts";

/** The vendor's instance API takes bodies of 3 MB; this is the share of the payload. */
export const MAX_PAYLOAD_LENGTH: number = 3 * 1024 * 1024;
/** The OpenAPI's cap for symmetric plaintexts, under `limits: "strict"`. */
export const STRICT_PLAINTEXT_LENGTH: number = 6 * 1024;
const MAX_BLOB_LENGTH: number = MAX_PAYLOAD_LENGTH + 1024;
const MAX_AAD_LENGTH = 8192;
const MAX_NAME_LENGTH = 2048;

const NO_AAD: Uint8Array = new Uint8Array(0);

/** The two ways to give what is authenticated but not encrypted; never both. */
export interface AadFields {
  /** At most 8192 bytes; absent = zero-length. */
  readonly aad?: Uint8Array | undefined;
  /** At most 8192 characters as JSON. */
  readonly encryptionContext?: EncryptionContext | undefined;
}

/** Names of the fields a call knows. */
export type Fields = readonly string[];

export function fields(...names: readonly string[]): Fields {
  return names;
}

/**
 * Checks that a request is an object with known fields only: a misspelt `aad` must not silently drop it.
 *
 * @throws KmsError `InvalidParameter` naming the field
 */
export function checkFields(request: object, known: Fields): void {
  ensure(
    typeof request === "object" && request !== null && !Array.isArray(request),
    "InvalidParameter",
    "The request must be an object.",
  );
  for (const name in request) {
    if (!isKnown(name, known)) {
      throw new KmsError("InvalidParameter", `${name.slice(0, 64)} is not a parameter of this call.`);
    }
  }
}

/** Names are few and interned: comparing them one by one is quicker than hashing. */
function isKnown(name: string, known: Fields): boolean {
  for (let i = 0; i < known.length; i++) if (known[i] === name) return true;
  return false;
}

/** Refuses a field. Called behind an `if`: a message built for nothing costs as much as all checks together. */
function refuse(code: "MissingParameter" | "InvalidParameter", name: string, fault: string): never {
  throw new KmsError(code, `${name} ${fault}`);
}

function ensurePresent(value: unknown, name: string): void {
  if (value === undefined) refuse("MissingParameter", name, "is required.");
}

/** Reads a name: a key reference, an alias, an algorithm. */
export function readString(value: unknown, name: string): string {
  ensurePresent(value, name);
  if (typeof value !== "string") return refuse("InvalidParameter", name, "must be a string.");
  if (value.length === 0) refuse("MissingParameter", name, "must not be empty.");
  if (value.length > MAX_NAME_LENGTH) refuse("InvalidParameter", name, "is too long.");
  return value;
}

export function readOptionalString(value: unknown, name: string): string | undefined {
  return value === undefined ? undefined : readString(value, name);
}

/** Reads one of a list of literals. */
export function readChoice<T extends string>(
  value: unknown,
  name: string,
  choices: readonly T[],
  absent?: T,
): T {
  if (value === undefined && absent !== undefined) return absent;
  ensurePresent(value, name);
  if (!choices.includes(value as T))
    refuse("InvalidParameter", name, `must be one of ${choices.join(", ")}.`);
  return value as T;
}

export function readOptionalBoolean(value: unknown, name: string): boolean | undefined {
  if (value !== undefined && typeof value !== "boolean") {
    return refuse("InvalidParameter", name, "must be a boolean.");
  }
  return value;
}

export function readInteger(value: unknown, name: string, min: number, max: number, absent?: number): number {
  if (value === undefined && absent !== undefined) return absent;
  ensurePresent(value, name);
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    return refuse("InvalidParameter", name, `must be an integer from ${min} to ${max}.`);
  }
  return value;
}

/** Reads the algorithm of a call that has only one. */
export function readGcm(value: unknown): void {
  if (value !== undefined && readString(value, "algorithm") !== "AES_GCM") {
    refuse("InvalidParameter", "algorithm", "must be AES_GCM.");
  }
}

/** Reads bytes that must be there: not empty, at most `max` long. */
export function readPayload(value: unknown, name: string, max: number = MAX_PAYLOAD_LENGTH): Uint8Array {
  ensurePresent(value, name);
  ensureBytes(value, name);
  const length = lengthOf(value);
  if (length === 0) refuse("MissingParameter", name, "must not be empty.");
  if (length > max) refuse("InvalidParameter", name, `must have at most ${max} bytes.`);
  return value;
}

/** Reads a ciphertext; an empty one is a ciphertext that cannot be opened, not a missing one. */
export function readCiphertextBlob(value: unknown): Uint8Array {
  ensurePresent(value, "ciphertextBlob");
  ensureBytes(value, "ciphertextBlob");
  if (lengthOf(value) > MAX_BLOB_LENGTH) {
    refuse("InvalidParameter", "ciphertextBlob", `must have at most ${MAX_BLOB_LENGTH} bytes.`);
  }
  return value;
}

export function readOptionalIv(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  ensureBytes(value, "iv");
  ensure(lengthOf(value) === IV_LENGTH, "InvalidParameter", "iv must be 12 bytes.");
  return value;
}

/**
 * Reads `aad` or `encryptionContext` into the bytes to authenticate.
 *
 * @param names what the request calls the two fields, for messages
 */
export function readAad(
  context: OperationContext,
  aad: unknown,
  encryptionContext: unknown,
  names: { readonly aad: string; readonly context: string } = { aad: "aad", context: "encryptionContext" },
): Uint8Array {
  if (encryptionContext !== undefined) {
    if (aad !== undefined) refuse("InvalidParameter", names.aad, `and ${names.context} exclude each other.`);
    return context.contextEncoding === "keyplane"
      ? context.contexts.encode(encryptionContext, names.context)
      : context.router.hash("SHA-256", transferContextText(encryptionContext, names.context));
  }
  if (aad === undefined) return NO_AAD;
  ensureBytes(aad, names.aad);
  if (lengthOf(aad) > MAX_AAD_LENGTH) {
    refuse("InvalidParameter", names.aad, `must have at most ${MAX_AAD_LENGTH} bytes.`);
  }
  return aad;
}
