/** Reads what a token says of a key: its names, type and length, its public half, and the check value of an AES key. */

import { createHash } from "node:crypto";
import { equalBytesVartime } from "../../bytes.ts";
import { DerReader, DerTag } from "../der.ts";
import { encodeEcSpki, encodeRsaSpki } from "../key-encoding.ts";
import type { ResolvedKey } from "./addon.ts";
import { CKA, CKK, CKM, CKO } from "./constants.ts";
import { HsmError } from "./hsm-error.ts";
import { fromRejection } from "./judge.ts";
import { FLAG, OP } from "./record.ts";
import { CURVE_OIDS, type KeyFacts, Templates } from "./templates.ts";
import type { Token } from "./token.ts";

/** What a key must prove to be. */
export interface KeyIdentityCheck {
  readonly checkValue: Uint8Array;
  readonly spki: Uint8Array;
}

/** What a token says of a key. */
export interface KeyInfo extends KeyIdentityCheck {
  readonly id: Uint8Array;
  readonly label: string;
  readonly facts: KeyFacts;
  readonly isExtractable: boolean;
}

/** What is asked for when a key is found. */
export const KEY_ATTRIBUTES: readonly number[] = [
  CKA.id,
  CKA.label,
  CKA.valueLength,
  CKA.modulus,
  CKA.publicExponent,
  CKA.ecParams,
  CKA.extractable,
  CKA.sensitive,
];

/**
 * Block whose encryption tells AES keys apart. As a counter block of AES-GCM its counter is 0x6b207631, beyond what any
 * message reaches, so no keystream is shown; and it is not the zero block, whose encryption is the key of GHASH.
 */
const CHECK_BLOCK: Uint8Array = new TextEncoder().encode("keyplanecheck v1");
const CHECK_LENGTH = 8;

const EMPTY: Uint8Array = new Uint8Array(0);
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array(0));

/** Reads a CK_ULONG, little-endian. */
function readUlong(bytes: Uint8Array): number {
  let value = 0;
  for (let i = Math.min(bytes.length, 6) - 1; i >= 0; i--) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

function trimmed(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  return magnitude.slice(start);
}

/** @param byteLength of an AES key, for tokens that do not tell */
export async function readInfo(
  token: Token,
  resolved: ResolvedKey,
  byteLength: 16 | 24 | 32 = 32,
): Promise<Omit<KeyInfo, "checkValue">> {
  const [id, label, valueLength, modulus, , ecParams, extractable, sensitive] = resolved.attributes;
  const named = {
    id: id ?? EMPTY,
    label: text(label),
    isExtractable: extractable?.[0] !== 0 || sensitive?.[0] === 0,
  };
  const facts = factsOf(
    resolved.keyType,
    (valueLength && readUlong(valueLength)) || byteLength,
    modulus,
    ecParams,
  );
  if (facts === undefined) {
    throw new HsmError("The key is of a type, length or curve that Keyplane does not use.", {
      code: "Unsupported",
      member: token.name,
    });
  }
  const spki = facts.type === "aes" ? EMPTY : await readSpki(token, facts, named.id, resolved.attributes);
  return { ...named, facts, spki };
}

function factsOf(
  keyType: number,
  byteLength: number,
  modulus: Uint8Array | undefined,
  ecParams: Uint8Array | undefined,
): KeyFacts | undefined {
  if (keyType === CKK.aes) {
    return byteLength === 16 || byteLength === 24 || byteLength === 32
      ? { type: "aes", byteLength }
      : undefined;
  }
  if (keyType === CKK.rsa && modulus !== undefined) {
    const modulusBits = trimmed(modulus).length * 8;
    return modulusBits === 2048 || modulusBits === 3072 || modulusBits === 4096
      ? { type: "rsa", modulusBits }
      : undefined;
  }
  if (keyType !== CKK.ec || ecParams === undefined) return undefined;
  for (const curve of ["P-256", "secp256k1"] as const) {
    if (equalBytesVartime(CURVE_OIDS[curve], ecParams)) return { type: "ec", curve };
  }
  return undefined;
}

/** Reads the public half: from the private key where it is readable, else from the public key of the same id. */
export async function readSpki(
  token: Token,
  facts: KeyFacts,
  id: Uint8Array,
  attributes: readonly (Uint8Array | undefined)[],
): Promise<Uint8Array> {
  const modulus = attributes[KEY_ATTRIBUTES.indexOf(CKA.modulus)];
  const exponent = attributes[KEY_ATTRIBUTES.indexOf(CKA.publicExponent)];
  if (facts.type === "rsa" && modulus !== undefined && exponent !== undefined && exponent.length > 0) {
    return encodeRsaSpki({ n: trimmed(modulus), e: trimmed(exponent) });
  }
  const templates = new Templates(token.addon);
  const rows = await token.pool
    .find(templates.match(CKO.publicKey, id), [CKA.modulus, CKA.publicExponent, CKA.ecPoint], 1)
    .catch((cause: unknown) => {
      throw fromRejection(cause, token.name);
    });
  const [n, e, point] = rows[0] ?? [];
  if (facts.type === "rsa" && n !== undefined && e !== undefined)
    return encodeRsaSpki({ n: trimmed(n), e: trimmed(e) });
  if (facts.type === "ec" && point !== undefined) return encodeEcSpki(facts.curve, readPoint(point));
  throw new HsmError("The HSM shows no public key for this private key.", {
    code: "Unsupported",
    member: token.name,
  });
}

const POINT_LENGTH = 65;

/** Takes CKA_EC_POINT as the standard has it, a DER OCTET STRING, or bare, as some modules do. */
function readPoint(value: Uint8Array): Uint8Array {
  if (value.length === POINT_LENGTH && value[0] === 4) return value.slice();
  const reader = new DerReader(value);
  const point = reader.read(DerTag.octetString);
  reader.end();
  return point.slice();
}

/** Computes what tells an AES key from others: docs/hsm.md, [HSM-5]. */
export async function readCheckValue(token: Token, ref: number, deadlineMs: number): Promise<Uint8Array> {
  const options = {
    deadline: token.now() + deadlineMs,
    failFast: true,
    prove: () => Promise.resolve(false),
  };
  const block = { op: OP.ENCRYPT, flags: FLAG.RETRY | FLAG.FIXED_IV, input: CHECK_BLOCK, outputCapacity: 32 };
  let output: Uint8Array | undefined;
  try {
    output = (await token.execute({ ...block, mechanism: CKM.aesEcb }, ref, options)).output;
  } catch (error) {
    if (!(error instanceof HsmError) || error.code !== "Unsupported") throw error;
    // CBC of one block under a zero iv is the same encryption.
    const chained = { ...block, mechanism: CKM.aesCbc, iv: new Uint8Array(16) };
    output = (await token.execute(chained, ref, options)).output;
  }
  const digest = createHash("sha256")
    .update("keyplane check value 1")
    .update(output ?? EMPTY)
    .digest();
  return new Uint8Array(digest.subarray(0, CHECK_LENGTH));
}
