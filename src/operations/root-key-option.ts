/** Reads where the root key of a store comes from, copies what is secret in it, and wipes the copy. */

import { copyBytes, ensureBytes } from "../bytes.ts";
import type { HardwareKeySource, HardwareKeys } from "../engines/hardware-keys.ts";
import { ROOT_KEY_LENGTH, type RootKeyOption } from "../engines/root-key.ts";
import { ensure } from "../errors.ts";

const KINDS = ["bytes", "passphrase", "file", "cryptoKey"] as const;
const SHAPE = "rootKey must be { bytes }, { passphrase }, { file }, { cryptoKey } or { hsm, label }.";
const MAX_LABEL_LENGTH = 128;

/** @throws KmsError `InvalidParameter` */
export function readRootKeyOption(rootKey: unknown): RootKeyOption | undefined {
  if (rootKey === undefined) return undefined;
  ensure(typeof rootKey === "object" && rootKey !== null, "InvalidParameter", SHAPE);
  const kinds = Object.keys(rootKey);
  if (kinds.length === 2 && kinds.includes("hsm") && kinds.includes("label")) {
    return readHardwareOption(rootKey as Readonly<Record<"hsm" | "label", unknown>>);
  }
  const kind = KINDS.find((name) => name === kinds[0]);
  ensure(kinds.length === 1 && kind !== undefined, "InvalidParameter", SHAPE);
  return copyRootKey(kind, (rootKey as Record<string, unknown>)[kind]);
}

/** Takes what `keyplane/hsm` made. @throws KmsError `InvalidParameter` */
export function readHsm(hsm: unknown, name: string): HardwareKeys | undefined {
  if (hsm === undefined) return undefined;
  const port =
    typeof hsm === "object" && hsm !== null ? (hsm as Partial<HardwareKeySource>).hardwareKeys : undefined;
  ensure(typeof port?.generate === "function", "InvalidParameter", `${name} must be an Hsm of keyplane/hsm.`);
  return port;
}

function readHardwareOption({ hsm, label }: Readonly<Record<"hsm" | "label", unknown>>): RootKeyOption {
  const port = readHsm(hsm, "rootKey.hsm");
  ensure(port !== undefined, "InvalidParameter", SHAPE);
  ensure(
    typeof label === "string" && label.length >= 1 && label.length <= MAX_LABEL_LENGTH,
    "InvalidParameter",
    "rootKey.label must be a string of 1 to 128 characters.",
  );
  return { hsm: { hardwareKeys: port }, label };
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Copies the secret before the first wait: its owner may wipe the original as soon as the call has returned.
 *
 * @throws KmsError `InvalidParameter`
 */
function copyRootKey(kind: (typeof KINDS)[number], value: unknown): RootKeyOption {
  if (kind === "cryptoKey") return { cryptoKey: readCryptoKey(value) };
  if (kind !== "bytes" && typeof value === "string") {
    ensure(value.length > 0, "InvalidParameter", `rootKey.${kind} must not be empty.`);
    // UTF-8 has no form of its own for these: two passphrases would be one.
    ensure(!LONE_SURROGATE.test(value), "InvalidParameter", `rootKey.${kind} must not hold lone surrogates.`);
    return kind === "file" ? { file: value } : { passphrase: value };
  }
  ensure(kind !== "file", "InvalidParameter", "rootKey.file must be a string.");
  ensureBytes(value, `rootKey.${kind}`);
  ensure(value.length > 0, "InvalidParameter", `rootKey.${kind} must not be empty.`);
  if (kind === "passphrase") return { passphrase: copyBytes(value) };
  ensure(value.length === ROOT_KEY_LENGTH, "InvalidParameter", "rootKey.bytes must be 32 bytes.");
  return { bytes: copyBytes(value) };
}

/** Takes a key of WebCrypto that the record key can be derived from, [ROOT-7]. */
function readCryptoKey(value: unknown): CryptoKey {
  const { CryptoKey: Class } = globalThis as { CryptoKey?: abstract new () => CryptoKey };
  ensure(
    Class !== undefined && value instanceof Class,
    "InvalidParameter",
    "rootKey.cryptoKey must be a CryptoKey.",
  );
  ensure(
    value.algorithm.name === "HKDF" && value.usages.includes("deriveBits"),
    "InvalidParameter",
    "rootKey.cryptoKey must be an HKDF key with the usage deriveBits.",
  );
  return value;
}

export function wipeRootKey(rootKey: RootKeyOption | undefined): void {
  if (rootKey === undefined) return;
  if ("bytes" in rootKey) rootKey.bytes.fill(0);
  else if ("passphrase" in rootKey && typeof rootKey.passphrase !== "string") rootKey.passphrase.fill(0);
}
