/** Checks of what callers hand to ECDSA and ECDH, before any of it is copied into the arena. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { CurveName, HashName, Signable } from "../engine.ts";
import { hashFacts } from "./hash.ts";

/** Shortest and longest digest of the hashes in use, in bytes. */
const DIGEST_LENGTHS: readonly [number, number] = [20, 64];

/** A signable after its shape was checked. */
export type CheckedSignable =
  | { readonly kind: "digest"; readonly digest: Uint8Array }
  | { readonly kind: "message"; readonly message: Uint8Array; readonly hash: HashName };

/** @throws KmsError `InvalidParameter` for anything but the name of a curve */
export function checkCurve(curve: unknown): asserts curve is CurveName {
  ensure(curve === "P-256" || curve === "secp256k1", "InvalidParameter", "curve must be P-256 or secp256k1.");
}

/** @throws KmsError `InvalidParameter` unless it is a digest of 20 to 64 bytes, or a message with the name of a hash */
export function checkSignable(signable: Signable): CheckedSignable {
  if (typeof signable === "object" && signable !== null && "message" in signable) {
    const { message, hash } = signable;
    ensureBytes(message, "message");
    hashFacts(hash);
    return { kind: "message", message, hash };
  }
  ensureBytes(signable, "signable");
  const [shortest, longest] = DIGEST_LENGTHS;
  ensure(
    signable.length >= shortest && signable.length <= longest,
    "InvalidParameter",
    "A digest has 20 to 64 bytes.",
  );
  return { kind: "digest", digest: signable };
}

const NO_OPTIONS = Object.freeze({});

/** Refuses what is not an object of options; undefined stands for none. */
export function checkOptions<T extends object>(options: T | undefined): T | Record<string, never> {
  if (options === undefined) return NO_OPTIONS;
  ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
  return options;
}

/** Refuses what is neither a boolean nor absent. */
export function checkFlag(flag: unknown, name: string): void {
  ensure(flag === undefined || typeof flag === "boolean", "InvalidParameter", `${name} must be a boolean.`);
}

/** Refuses what is not an array of objects. */
export function checkItems(items: readonly unknown[]): void {
  ensure(
    Array.isArray(items) && items.every((item) => typeof item === "object" && item !== null),
    "InvalidParameter",
    "items must be an array of objects.",
  );
}
