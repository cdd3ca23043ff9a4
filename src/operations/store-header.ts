/**
 * The store's first record: how the root key is derived, and a sealed check that tells a wrong root key at once.
 * It is plain JSON, for nothing in it is secret. The layout is docs/key-record.md, [ROOT-1] to [ROOT-6].
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { KeyVault } from "../engines/key-vault.ts";
import type { KdfParameters } from "../engines/root-key.ts";
import { isPlainObject } from "../envelope/encryption-context.ts";
import { ensure, KmsError } from "../errors.ts";
import { recordIdentity } from "../keys/key-record.ts";

const FORMAT = 1;

export interface StoreHeader {
  readonly kdf: KdfParameters;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** Sealed under the record key, over the rest of the header. */
  readonly check: Uint8Array;
}

const encoder = new TextEncoder();

function fromHex(text: unknown): Uint8Array {
  ensure(
    typeof text === "string" && /^([0-9a-f]{2})+$/.test(text),
    "Rejected.RecordCorrupt",
    "The store's header is damaged.",
  );
  return hexToBytes(text);
}

/** Binds the check to the parameters, so that a header with weaker ones does not verify. */
function identityOf(kdf: KdfParameters, storeId: Uint8Array): ReturnType<typeof recordIdentity> {
  return recordIdentity("header", `${FORMAT} ${publicToHex(storeId)} ${JSON.stringify(kdf)}`);
}

/** Starts the header of a new store. */
export function newStoreHeader(
  kdf: KdfParameters,
  storeId: Uint8Array,
): {
  readonly kdf: KdfParameters;
  readonly storeId: Uint8Array;
  seal(vault: KeyVault): Promise<Uint8Array>;
} {
  return {
    kdf,
    storeId,
    seal: async (vault) => {
      const check = await vault.seal(identityOf(kdf, storeId), new Uint8Array(0));
      return encoder.encode(
        JSON.stringify({ format: FORMAT, storeId: publicToHex(storeId), kdf, check: publicToHex(check) }),
      );
    },
  };
}

/** Reads a header row. @throws KmsError `Rejected.RecordCorrupt`, `InternalFailure` for a newer format */
export function readStoreHeader(row: Uint8Array): StoreHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(row));
  } catch (cause) {
    throw new KmsError("Rejected.RecordCorrupt", "The store's header is damaged.", { cause });
  }
  ensure(isPlainObject(parsed), "Rejected.RecordCorrupt", "The store's header is damaged.");
  ensure(
    parsed["format"] === FORMAT,
    "InternalFailure",
    "The store is of a format this version does not know.",
  );
  return {
    kdf: readKdf(parsed["kdf"]),
    storeId: fromHex(parsed["storeId"]),
    check: fromHex(parsed["check"]),
  };
}

const MAX_SCRYPT_MEMORY = 2 ** 31;
const MAX_PARALLELISM = 16;
const MAX_ITERATIONS = 100_000_000;

/** Tells the cost parameters scrypt takes: powers of two above 1 (RFC 7914, section 2). */
function isPowerOfTwo(N: number): boolean {
  return N > 1 && Number.isInteger(Math.log2(N));
}

/** Reads KDF parameters within bounds: a forged header must not exhaust the process. */
function readKdf(value: unknown): KdfParameters {
  const kdf = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const count = (name: string): number =>
    Number.isInteger(kdf[name]) && (kdf[name] as number) > 0 ? (kdf[name] as number) : Number.NaN;
  if (kdf["name"] === "none") return { name: "none" };
  if (kdf["name"] === "hsm") return readHardwareKdf(kdf);
  const salt = publicToHex(fromHex(kdf["salt"]));
  if (kdf["name"] === "pbkdf2-sha-256" && count("iterations") <= MAX_ITERATIONS) {
    return { name: "pbkdf2-sha-256", iterations: count("iterations"), salt };
  }
  const [N, r, p] = [count("N"), count("r"), count("p")];
  ensure(
    kdf["name"] === "scrypt" && isPowerOfTwo(N) && 128 * N * r <= MAX_SCRYPT_MEMORY && p <= MAX_PARALLELISM,
    "Rejected.RecordCorrupt",
    "The store's header is damaged.",
  );
  return { name: "scrypt", N, r, p, salt };
}

const MAX_LABEL_LENGTH = 128;
const MAX_KEY_ID_LENGTH = 64;

/** Reads where an HSM has the key that the root key is sealed under. */
function readHardwareKdf(kdf: Record<string, unknown>): KdfParameters {
  const { label } = kdf;
  const [keyId, iv, sealed] = [fromHex(kdf["keyId"]), fromHex(kdf["iv"]), fromHex(kdf["sealed"])];
  ensure(
    typeof label === "string" &&
      label.length <= MAX_LABEL_LENGTH &&
      keyId.length <= MAX_KEY_ID_LENGTH &&
      iv.length === 12 &&
      sealed.length === 48,
    "Rejected.RecordCorrupt",
    "The store's header is damaged.",
  );
  return {
    name: "hsm",
    label,
    keyId: publicToHex(keyId),
    iv: publicToHex(iv),
    sealed: publicToHex(sealed),
  };
}

/** Tells whether the vault's record key is the one the header was sealed with. */
export async function openStoreHeader(header: StoreHeader, vault: KeyVault): Promise<boolean> {
  return (await vault.open(identityOf(header.kdf, header.storeId), header.check)) !== undefined;
}
