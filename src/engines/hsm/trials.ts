/**
 * Finds out what a token serves by doing it: mechanism lists claim more than modules can do (SoftHSM lists OAEP and does
 * it with SHA-1 alone). Signatures and OAEP are checked against node:crypto, so a key pair is tested as a pair too.
 */

import { constants, createHash, createPublicKey, type KeyObject, publicEncrypt, verify } from "node:crypto";
import { equalBytesVartime } from "../../bytes.ts";
import { randomBytes } from "../random.ts";
import { CKM } from "./constants.ts";
import { HASH_CODE } from "./hashes.ts";
import { HsmError } from "./hsm-error.ts";
import { FLAG, OP } from "./record.ts";
import type { CallResult } from "./token.ts";
import { digestInfo, gcmCall, oaepCall, type TokenCall } from "./token-call.ts";
import type { TokenKey } from "./token-key.ts";

type SigningHash = "SHA-256" | "SHA-384" | "SHA-512";

/** A scheme that tokens sign digests with. */
export type TokenScheme =
  | { readonly scheme: "pss"; readonly hash: keyof typeof HASH_CODE; readonly saltLength: number }
  | { readonly scheme: "pkcs1"; readonly hash: keyof typeof HASH_CODE }
  | { readonly scheme: "ecdsa" };

export function signCall(
  key: Pick<TokenKey["info"], "facts">,
  scheme: TokenScheme,
  digest: Uint8Array,
): TokenCall {
  const { facts } = key;
  const base = { op: OP.SIGN, flags: FLAG.RETRY };
  if (scheme.scheme === "ecdsa") {
    return { ...base, mechanism: CKM.ecdsa, input: digest, outputCapacity: 64 };
  }
  const outputCapacity = facts.type === "rsa" ? facts.modulusBits / 8 : 0;
  if (scheme.scheme === "pkcs1") {
    return { ...base, mechanism: CKM.rsaPkcs, input: digestInfo(scheme.hash, digest), outputCapacity };
  }
  const hash = HASH_CODE[scheme.hash];
  const { saltLength } = scheme;
  return { ...base, mechanism: CKM.rsaPss, hash, mgfHash: hash, saltLength, input: digest, outputCapacity };
}

export function blockCall(
  op: number,
  mode: "cbc" | "ecb",
  iv: Uint8Array | undefined,
  input: Uint8Array,
): TokenCall {
  const mechanism = mode === "cbc" ? CKM.aesCbc : CKM.aesEcb;
  return { op, mechanism, flags: FLAG.RETRY | FLAG.FIXED_IV, iv, input, outputCapacity: input.length };
}

const HASHES: readonly SigningHash[] = ["SHA-256", "SHA-384", "SHA-512"];
const suffix = (hash: SigningHash): string => hash.replace("-", "_");
const openssl = (hash: string): string => hash.replace("-", "").toLowerCase();

/** Answers that say that a module does not serve something, in its own way. */
const NOT_SERVED: ReadonlySet<string> = new Set([
  "Unsupported",
  "InvalidArgument",
  "DeviceError",
  "Throttled",
]);

/** Runs one trial; what the module refuses is false, a token that cannot be asked is an error. */
async function serves(trial: () => Promise<boolean>): Promise<boolean> {
  try {
    return await trial();
  } catch (error) {
    // Without a code the module did what it was asked, and wrongly.
    if (error instanceof HsmError && error.ckr !== undefined && NOT_SERVED.has(error.code)) return false;
    throw error;
  }
}

/**
 * Returns the names of the algorithms a key serves.
 *
 * @throws HsmError `DeviceError` when a signature or a decryption comes out wrong
 */
export async function servedAlgorithms(
  key: TokenKey,
  usage: "encrypt" | "sign",
  deadlineMs: number,
): Promise<ReadonlySet<string>> {
  const served = new Set<string>();
  const run = async (call: TokenCall): Promise<Uint8Array | undefined> =>
    (await key.run(call, key.token.now() + deadlineMs, true)).output;
  const add = async (name: string, trial: () => Promise<boolean>): Promise<void> => {
    if (await serves(trial)) served.add(name);
  };
  const { facts } = key.info;
  if (facts.type === "aes") {
    await add("AES_GCM", () => tryGcm((call) => key.run(call, key.token.now() + deadlineMs, true)));
    await add("AES_CBC", () => tryBlocks(run, "cbc", randomBytes(16)));
    await add("AES_ECB", () => tryBlocks(run, "ecb", undefined));
    return served;
  }
  const publicKey = createPublicKey({ key: Buffer.from(key.info.spki), format: "der", type: "spki" });
  if (facts.type === "ec") {
    await add("ECDSA", () => trySign(run, key, publicKey, { scheme: "ecdsa" }, "SHA-256"));
    return served;
  }
  if (usage === "encrypt") {
    await add("RSAES_OAEP_SHA_256", () => tryOaep(run, publicKey, "SHA-256", facts.modulusBits));
    await add("RSAES_OAEP_SHA_1", () => tryOaep(run, publicKey, "SHA-1", facts.modulusBits));
    return served;
  }
  for (const hash of HASHES) {
    const saltLength = createHash(openssl(hash)).digest().length;
    const pss = { scheme: "pss", hash, saltLength } as const;
    await add(`RSA_PSS_${suffix(hash)}`, () => trySign(run, key, publicKey, pss, hash));
    await add(`RSA_PKCS1_${suffix(hash)}`, () =>
      trySign(run, key, publicKey, { scheme: "pkcs1", hash }, hash),
    );
  }
  return served;
}

type Run = (call: TokenCall) => Promise<Uint8Array | undefined>;

/**
 * Seals twice, so that a token that makes its IVs shows that it makes them: the pool refuses a key whose IV comes twice
 * or is the zeros that the module was given.
 */
async function tryGcm(run: (call: TokenCall) => Promise<CallResult>): Promise<boolean> {
  return (await sealsGcm(run)) && (await sealsGcm(run));
}

async function sealsGcm(run: (call: TokenCall) => Promise<CallResult>): Promise<boolean> {
  const [iv, aad, plaintext] = [randomBytes(12), randomBytes(20), randomBytes(24)];
  const { output: sealed, iv: used } = await run(gcmCall(OP.ENCRYPT, iv, aad, plaintext, false));
  if (sealed === undefined || sealed.length !== plaintext.length + 16) return false;
  const { output: opened } = await run(gcmCall(OP.DECRYPT, used ?? iv, aad, sealed, true));
  return opened !== undefined && equalBytesVartime(opened, plaintext);
}

async function tryBlocks(run: Run, mode: "cbc" | "ecb", iv: Uint8Array | undefined): Promise<boolean> {
  const plaintext = randomBytes(32);
  const encrypted = await run(blockCall(OP.ENCRYPT, mode, iv, plaintext));
  if (encrypted === undefined || encrypted.length !== plaintext.length) return false;
  const decrypted = await run(blockCall(OP.DECRYPT, mode, iv, encrypted));
  return decrypted !== undefined && equalBytesVartime(decrypted, plaintext);
}

async function tryOaep(
  run: Run,
  key: KeyObject,
  hash: "SHA-1" | "SHA-256",
  modulusBits: number,
): Promise<boolean> {
  const plaintext = randomBytes(20);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const sealed = publicEncrypt({ key, padding, oaepHash: openssl(hash) }, plaintext);
  const opened = await run(oaepCall(hash, new Uint8Array(sealed), modulusBits));
  return opened !== undefined && equalBytesVartime(opened, plaintext);
}

async function trySign(
  run: Run,
  { info, token }: TokenKey,
  key: KeyObject,
  scheme: TokenScheme,
  hash: SigningHash,
): Promise<boolean> {
  const message = randomBytes(32);
  const digest = createHash(openssl(hash)).update(message).digest();
  const signature = await run(signCall(info, scheme, digest));
  const options = {
    key,
    dsaEncoding: "ieee-p1363",
    padding: scheme.scheme === "pss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING,
    ...(scheme.scheme === "pss" ? { saltLength: scheme.saltLength } : {}),
  } as const;
  if (signature !== undefined && verify(openssl(hash), message, options, signature)) return true;
  throw new HsmError("The HSM made a signature that its public key does not verify.", {
    code: "DeviceError",
    member: token.name,
  });
}
