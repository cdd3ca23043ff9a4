/**
 * Brings key material into a token without its ever being an attribute in the clear: it is wrapped here and unwrapped
 * there. Secret keys go under RSA-OAEP, private keys under AES key wrap with padding (RFC 5649) with an AES key that went
 * the first way.
 */

import { constants, createCipheriv, createPrivateKey, createPublicKey, publicEncrypt } from "node:crypto";
import { randomBytes } from "../random.ts";
import { CKA, CKM, CKO } from "./constants.ts";
import { HASH_CODE } from "./hashes.ts";
import { HsmError } from "./hsm-error.ts";
import { fromRejection } from "./judge.ts";
import { CURVE_OIDS, type KeyFacts, type KeyPurpose, type Templates } from "./templates.ts";
import type { Token } from "./token.ts";
import { TokenKey } from "./token-key.ts";

/** The alternative initial value of RFC 5649, 3. */
const KWP_IV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
const UNWRAPPING_LENGTH = 32;

/** The token that a key is brought into. */
export interface ImportTarget {
  readonly name: string;
  readonly token: Token;
  readonly templates: Templates;
  readonly deadlineMs: number;
  destroy(id: Uint8Array): Promise<void>;
}

/**
 * @param material raw AES key, or PKCS#8
 * @throws HsmError `Unsupported` when the module cannot unwrap, `InvalidArgument` for material that is no such key
 */
export async function importIntoToken(
  member: ImportTarget,
  purpose: KeyPurpose,
  facts: KeyFacts,
  material: Uint8Array,
): Promise<void> {
  const numbers = facts.type === "aes" ? undefined : publicNumbers(member, facts, material);
  if (facts.type === "aes" && material.length !== facts.byteLength) {
    throw new HsmError(`keyMaterial must be ${facts.byteLength} bytes.`, { code: "InvalidArgument" });
  }
  const { pool } = member.token;
  const pairId = randomBytes(16);
  const unwrappingId = randomBytes(16);
  let pair: TokenKey | undefined;
  try {
    const { publicKey, privateKey } = member.templates.importPair(pairId);
    await pool.generateKeyPair(CKM.rsaKeyPairGen, publicKey, privateKey);
    pair = await TokenKey.open(member.token, { id: pairId, kind: "private" }, member.deadlineMs);
    if (numbers === undefined) {
      await unwrapSecret(pair, material, member.templates.secretKey(purpose, undefined));
      return;
    }
    const wrappingKey = randomBytes(UNWRAPPING_LENGTH);
    try {
      const temporary = {
        id: unwrappingId,
        label: "keyplane import",
        usage: "encrypt",
        isTokenObject: false,
      } as const;
      await unwrapSecret(pair, wrappingKey, member.templates.unwrappingKey(temporary));
      const { ref } = await pool.resolveKey({ id: unwrappingId, class: CKO.secretKey }, []);
      try {
        await unwrapPrivate(member, ref, wrapPadded(wrappingKey, material), purpose, facts);
      } finally {
        pool.releaseKey(ref);
      }
    } finally {
      wrappingKey.fill(0);
    }
    await pool.createObject(member.templates.knownPublicKey(purpose, facts, numbers));
  } catch (cause) {
    throw fromRejection(cause, member.name);
  } finally {
    pair?.release();
    await member.destroy(unwrappingId).catch(() => undefined);
    await member.destroy(pairId).catch(() => undefined);
  }
}

/** Wraps with OAEP and unwraps in the token; SHA-256 first, SHA-1 for modules that have no other. */
async function unwrapSecret(
  pair: TokenKey,
  secret: Uint8Array,
  template: Parameters<TokenKey["unwrap"]>[3],
): Promise<void> {
  const key = createPublicKey({ key: Buffer.from(pair.info.spki), format: "der", type: "spki" });
  let failure: unknown;
  for (const [hash, oaepHash] of [
    ["SHA-256", "sha256"],
    ["SHA-1", "sha1"],
  ] as const) {
    const wrapped = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, secret);
    const code = HASH_CODE[hash];
    try {
      await pair.unwrap(
        CKM.rsaOaep,
        { oaep: { hash: code, mgfHash: code } },
        new Uint8Array(wrapped),
        template,
      );
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw unsupported("unwraps no key with CKM_RSA_PKCS_OAEP", failure);
}

/** Unwraps PKCS#8: the standard's two names for RFC 5649 mean different things to different modules. */
async function unwrapPrivate(
  member: ImportTarget,
  ref: number,
  wrapped: Uint8Array,
  purpose: KeyPurpose,
  facts: KeyFacts,
): Promise<void> {
  let failure: unknown;
  for (const mechanism of [CKM.aesKeyWrapKwp, CKM.aesKeyWrapPad]) {
    try {
      const template = member.templates.privateKey(purpose, facts);
      await member.token.pool.unwrapKey(mechanism, null, ref, wrapped, template);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw unsupported("unwraps no private key with CKM_AES_KEY_WRAP_KWP or CKM_AES_KEY_WRAP_PAD", failure);
}

function unsupported(what: string, cause: unknown): HsmError {
  const { ckr, ckrName, fn } = fromRejection(cause, "");
  return new HsmError(`The HSM ${what}.`, { code: "Unsupported", ckr, ckrName, fn, cause });
}

/** AES key wrap with padding (RFC 5649). */
function wrapPadded(key: Uint8Array, material: Uint8Array): Uint8Array {
  const cipher = createCipheriv("id-aes256-wrap-pad", key, KWP_IV);
  const [head, tail] = [cipher.update(material), cipher.final()];
  return new Uint8Array(Buffer.concat([head, tail]));
}

/** Reads the public half that a token wants beside a private key. */
function publicNumbers(
  member: ImportTarget,
  facts: Exclude<KeyFacts, { type: "aes" }>,
  pkcs8: Uint8Array,
): (readonly [number, Uint8Array])[] {
  try {
    const privateKey = createPrivateKey({
      key: Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length),
      format: "der",
      type: "pkcs8",
    });
    const jwk = createPublicKey(privateKey).export({ format: "jwk" });
    const bytes = (text: string | undefined): Uint8Array =>
      new Uint8Array(Buffer.from(text ?? "", "base64url"));
    if (facts.type === "rsa" && privateKey.asymmetricKeyDetails?.modulusLength === facts.modulusBits) {
      return [
        [CKA.modulus, bytes(jwk.n)],
        [CKA.publicExponent, bytes(jwk.e)],
      ];
    }
    if (facts.type === "ec" && jwk.crv === facts.curve) {
      // DER OCTET STRING of the uncompressed point (PKCS #11 2.40, 2.3.3).
      const point = Buffer.concat([Uint8Array.of(4, 65, 4), bytes(jwk.x), bytes(jwk.y)]);
      return [
        [CKA.ecParams, CURVE_OIDS[facts.curve]],
        [CKA.ecPoint, new Uint8Array(point)],
      ];
    }
  } catch (cause) {
    throw new HsmError("keyMaterial does not parse as PKCS#8.", {
      code: "InvalidArgument",
      member: member.name,
      cause,
    });
  }
  throw new HsmError("keyMaterial is no key of keySpec.", { code: "InvalidArgument", member: member.name });
}
