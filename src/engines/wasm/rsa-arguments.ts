/** Checks of what callers hand to RSA, before any of it is copied into the arena. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type {
  GenerateKeyOptions,
  OaepOptions,
  Pkcs1Options,
  PssOptions,
  Signable,
  VerifyPssOptions,
} from "../engine.ts";
import { type CheckedSignable, checkOptions, checkSignable } from "./ec-arguments.ts";
import { hashFacts } from "./hash.ts";
import { maxSaltLength, type RsaOaep, type RsaPadding, type RsaSigning } from "./rsa-operations.ts";

const NO_LABEL: Uint8Array = new Uint8Array(0);

/** Checks that a signable goes with the hash of the padding. */
export function signableFor({ hash }: RsaPadding, signable: Signable): CheckedSignable {
  const checked = checkSignable(signable);
  ensure(
    checked.kind === "digest" ? checked.digest.length === hash.byteLength : hashFacts(checked.hash) === hash,
    "InvalidParameter",
    "The digest or the message's hash must be of options.hash.",
  );
  return checked;
}

export function pkcs1Padding(options: Pkcs1Options): RsaSigning {
  return { scheme: "pkcs1", hash: hashFacts(checkOptions(options).hash) };
}

export function pssPadding(options: PssOptions, modulusLength: number): RsaSigning {
  const { hash: name, saltLength } = checkOptions(options);
  const hash = hashFacts(name);
  if (saltLength === undefined) return { scheme: "pss", hash, saltLength: hash.byteLength };
  ensure(
    Number.isInteger(saltLength) && saltLength >= 0 && saltLength <= maxSaltLength(hash, modulusLength),
    "InvalidParameter",
    "saltLength must be a non-negative integer that fits the modulus.",
  );
  return { scheme: "pss", hash, saltLength };
}

export function pssPaddingToVerify(options: VerifyPssOptions, modulusLength: number): RsaPadding {
  const { hash, saltLength } = checkOptions(options);
  if (saltLength !== "auto") return pssPadding(options as PssOptions, modulusLength);
  return { scheme: "pss", hash: hashFacts(hash), saltLength };
}

export function checkOaep(options: OaepOptions): RsaOaep {
  const { hash, mgfHash = hash, label } = checkOptions(options);
  const facts = { hash: hashFacts(hash), mgfHash: hashFacts(mgfHash) };
  if (label === undefined) return { ...facts, label: NO_LABEL };
  ensureBytes(label, "label");
  return { ...facts, label };
}

export function checkGenerateOptions(options: GenerateKeyOptions | undefined): GenerateKeyOptions {
  const checked = checkOptions(options);
  const { signal, onProgress } = checked;
  ensure(
    signal === undefined || signal instanceof AbortSignal,
    "InvalidParameter",
    "signal must be an AbortSignal.",
  );
  ensure(
    onProgress === undefined || typeof onProgress === "function",
    "InvalidParameter",
    "onProgress must be a function.",
  );
  return checked;
}
