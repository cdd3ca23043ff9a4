/** The names of keys: ids, version ids, aliases and ARNs. Pure: random bytes are passed in. */

import { ensure } from "../errors.ts";

const KEY_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const KEY_ID_RANDOM_LENGTH = 20;

/** Bytes of randomness `newKeyId` may draw from; a byte above the largest multiple of 36 is skipped. */
export const KEY_ID_ENTROPY_LENGTH = 64;

/**
 * Makes `"key-"` + 20 characters of [0-9a-z], about 103 bits.
 *
 * @param random 64 uniformly random bytes
 */
export function newKeyId(random: Uint8Array): string {
  const unbiased = Array.from(random).filter((byte) => byte < 252);
  ensure(unbiased.length >= KEY_ID_RANDOM_LENGTH, "InternalFailure", "The random source is broken.");
  const letters = unbiased.slice(0, KEY_ID_RANDOM_LENGTH).map((byte) => KEY_ID_ALPHABET[byte % 36]);
  return `key-${letters.join("")}`;
}

/**
 * Turns 16 random bytes into the bytes of a UUID v4 (RFC 9562, 5.4), in place.
 */
export function newKeyVersionIdBytes(random: Uint8Array): Uint8Array {
  random[6] = ((random[6] ?? 0) & 0x0f) | 0x40;
  random[8] = ((random[8] ?? 0) & 0x3f) | 0x80;
  return random;
}

/** Where a `Kms` says its keys are; part of every ARN. */
export interface ArnScope {
  readonly region: string;
  readonly accountId: string;
}

export function keyArn(scope: ArnScope, keyId: string): string {
  return `acs:kms:${scope.region}:${scope.accountId}:key/${keyId}`;
}

export function aliasArn(scope: ArnScope, aliasName: string): string {
  return `acs:kms:${scope.region}:${scope.accountId}:${aliasName}`;
}

/** Strips the ARN of this scope off a key reference; other references come back unchanged. */
export function stripArn(scope: ArnScope, reference: string): string {
  const prefix = `acs:kms:${scope.region}:${scope.accountId}:key/`;
  return reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
}

const ALIAS = /^alias\/[A-Za-z0-9_\-/]+$/;

/** @throws KmsError `InvalidParameter` for a malformed alias, `Unsupported.Alias` for the reserved `alias/acs` */
export function ensureAliasName(alias: string): void {
  const valid = ALIAS.test(alias) && alias.length <= "alias/".length + 255;
  ensure(
    valid,
    "InvalidParameter",
    "aliasName must be alias/ and 1 to 255 letters, digits, '_', '-' or '/'.",
  );
  ensure(!alias.startsWith("alias/acs"), "Unsupported.Alias", "aliasName must not start with alias/acs.");
}
