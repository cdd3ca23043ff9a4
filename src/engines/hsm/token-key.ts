/**
 * One key of one token: finds it, reads its public half, makes sure that it is the key it is taken for, and runs calls
 * with it. After each login it is looked at again before it is used.
 */

import { constants, createHash, createPublicKey, publicEncrypt } from "node:crypto";
import { concatBytes, equalBytesVartime } from "../../bytes.ts";
import { DerReader, DerTag } from "../der.ts";
import { encodeEcSpki, encodeRsaSpki } from "../key-encoding.ts";
import { randomBytes } from "../random.ts";
import type { ResolvedKey, Template, WrapParameter } from "./addon.ts";
import { CKA, CKK, CKM, CKO } from "./constants.ts";
import { HASH_CODE } from "./hashes.ts";
import { HsmError } from "./hsm-error.ts";
import { fromRejection } from "./judge.ts";
import { FLAG, OP } from "./record.ts";
import { ownCall, type TokenCall } from "./record-queue.ts";
import { CURVE_OIDS, type KeyFacts, Templates } from "./templates.ts";
import type { CallOptions, CallResult, CheckedKey, Token } from "./token.ts";
import { unlessAborted } from "./waiting.ts";

/** How to find a key. */
export interface KeyReference {
  /** CKA_ID. */
  readonly id?: Uint8Array | undefined;
  /** CKA_LABEL. */
  readonly label?: string | undefined;
  /** A secret key or a private one; either if absent. */
  readonly kind?: "secret" | "private" | undefined;
  /** Of an AES key, for modules that do not tell: SoftHSM says 0 of a key that it unwrapped. 32 if absent. */
  readonly byteLength?: 16 | 24 | 32 | undefined;
}

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

const ATTRIBUTES: readonly number[] = [
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

export class TokenKey {
  readonly token: Token;
  readonly info: KeyInfo;
  readonly #ref: number;
  #checkedEpoch: number;
  #checking: Promise<void> | undefined;
  #isReleased = false;
  /** Ciphertexts known to be good, by mechanism and hash. */
  readonly #samples: Map<string, TokenCall> = new Map();
  #proof: Promise<boolean> | undefined;
  #nextProof: Promise<boolean> | undefined;

  private constructor(token: Token, ref: number, info: KeyInfo, epoch: number) {
    this.token = token;
    this.info = info;
    this.#ref = ref;
    this.#checkedEpoch = epoch;
  }

  /**
   * Finds a key and checks it.
   *
   * @param expected what it must be; absent: whatever is found is taken
   * @throws HsmError `KeyNotFound`, `WrongKey`, `Unsupported` and what the token fails with
   */
  static async open(
    token: Token,
    reference: KeyReference,
    deadlineMs: number,
    expected?: KeyIdentityCheck,
  ): Promise<TokenKey> {
    // Before anything is read: what is read later is of this epoch or a later one, where it is looked at again.
    const epoch = token.epoch;
    const resolved = await resolve(token, reference);
    try {
      const known = await readInfo(token, resolved, reference.byteLength);
      const checkValue =
        known.facts.type === "aes" ? await readCheckValue(token, resolved.ref, deadlineMs) : EMPTY;
      const key = new TokenKey(token, resolved.ref, { ...known, checkValue }, epoch);
      if (expected !== undefined && !key.is(expected)) throw wrongKey(token.name);
      return key;
    } catch (error) {
      token.pool.releaseKey(resolved.ref);
      throw error;
    }
  }

  /** Tells whether this is a certain key, by its check value or public half. */
  is(expected: KeyIdentityCheck): boolean {
    return (
      equalBytesVartime(expected.checkValue, this.info.checkValue) &&
      equalBytesVartime(expected.spki, this.info.spki)
    );
  }

  /** Runs a call under this key; undefined output: the ciphertext could not be opened. */
  run(
    call: TokenCall,
    deadline: number,
    failFast: boolean,
    signal?: AbortSignal | undefined,
  ): Promise<CallResult> {
    if (this.#isReleased) {
      const facts = { code: "KeyNotFound", outcome: "not-sent", member: this.token.name } as const;
      return Promise.reject(new HsmError("The key was released.", facts));
    }
    const prove = (doubtful: TokenCall): Promise<boolean> => this.#prove(doubtful, deadline);
    const options = { deadline, failFast, prove, signal, checked: this.#checked(deadline, signal) };
    if (this.#checkedEpoch === this.token.epoch) return this.token.execute(call, this.#ref, options);
    // The caller may change its arrays while the key is looked at.
    const own = ownCall(call);
    return this.#check(deadline, signal).then(
      () => this.token.execute(own, this.#ref, options).finally(() => own.input.fill(0)),
      (error: unknown) => {
        if (failFast) this.token.keepFailedCall(error, own);
        else own.input.fill(0);
        throw error;
      },
    );
  }

  #checked(deadline: number, signal: AbortSignal | undefined): CheckedKey {
    return { epoch: () => this.#checkedEpoch, again: () => this.#check(deadline, signal) };
  }

  /** Looks at the key again after a login: an object of the same name may have taken its place. */
  #check(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    this.#checking ??= this.#checkNow(deadline).finally(() => {
      this.#checking = undefined;
    });
    return signal === undefined ? this.#checking : unlessAborted(this.#checking, signal, this.token.name);
  }

  async #checkNow(deadline: number): Promise<void> {
    const epoch = this.token.epoch;
    const left = Math.max(1, deadline - this.token.now());
    if (this.info.facts.type === "aes") {
      const checkValue = await readCheckValue(this.token, this.#ref, left);
      if (!equalBytesVartime(checkValue, this.info.checkValue)) throw wrongKey(this.token.name);
    } else {
      const spki = await readSpki(this.token, this.info.facts, this.info.id, []);
      if (!equalBytesVartime(spki, this.info.spki)) throw wrongKey(this.token.name);
    }
    this.#checkedEpoch = epoch;
  }

  /**
   * Opens a ciphertext known to be good: true says that the device is sound and those that failed before were forged. A
   * proof that began before the doubt is none, so the callers of the meantime share the next one.
   */
  #prove(doubtful: TokenCall, deadline: number): Promise<boolean> {
    const open = (): Promise<boolean> => this.#openSample(doubtful, deadline);
    const isOver = (): void => {
      this.#proof = this.#nextProof;
      this.#nextProof = undefined;
    };
    if (this.#proof === undefined) {
      this.#proof = open().finally(isOver);
      return this.#proof;
    }
    this.#nextProof ??= this.#proof.then(open, open).finally(isOver);
    return this.#nextProof;
  }

  async #openSample(doubtful: TokenCall, deadline: number): Promise<boolean> {
    const checked = this.#checked(deadline, undefined);
    const options = { deadline, failFast: true, prove: () => Promise.resolve(false), checked };
    const name = `${doubtful.mechanism} ${doubtful.hash}`;
    const sample = this.#samples.get(name) ?? (await this.#makeSample(doubtful, options));
    this.#samples.set(name, sample);
    return (await this.token.execute(sample, this.#ref, options)).output !== undefined;
  }

  /** Makes a ciphertext that is good: the token seals a zero block, or OAEP is done here under the public key. */
  async #makeSample(doubtful: TokenCall, options: CallOptions): Promise<TokenCall> {
    const { facts, spki } = this.info;
    if (facts.type === "rsa") {
      const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      const oaepHash = doubtful.hash === HASH_CODE["SHA-1"] ? "sha1" : "sha256";
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const sealed = publicEncrypt({ key, padding, oaepHash }, new Uint8Array(8));
      return { ...doubtful, input: new Uint8Array(sealed) };
    }
    // Without a tag every block is good.
    if (doubtful.mechanism !== CKM.aesGcm) return { ...doubtful, input: new Uint8Array(16) };
    const iv = randomBytes(12);
    const sealing = gcmCall(OP.ENCRYPT, iv, new Uint8Array(0), new Uint8Array(16), false);
    const { output, iv: used } = await this.token.execute(sealing, this.#ref, options);
    return gcmCall(OP.DECRYPT, used ?? iv, new Uint8Array(0), output ?? new Uint8Array(0), true);
  }

  /** Unwraps a key inside the token, under this one. */
  unwrap(
    mechanism: number,
    parameter: WrapParameter,
    wrapped: Uint8Array,
    template: Template,
  ): Promise<void> {
    return this.token.pool.unwrapKey(mechanism, parameter, this.#ref, wrapped, template);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (!this.token.isClosed) this.token.pool.releaseKey(this.#ref);
  }
}

const EMPTY: Uint8Array = new Uint8Array(0);
const TAG_LENGTH = 16;

/** @param isFixed keeps the iv if the pool sends the call again; the same message under the same iv gives nothing away */
export function gcmCall(
  op: number,
  iv: Uint8Array,
  aad: Uint8Array,
  input: Uint8Array,
  isFixed: boolean,
): TokenCall {
  return {
    op,
    mechanism: CKM.aesGcm,
    flags: isFixed ? FLAG.RETRY | FLAG.FIXED_IV : FLAG.RETRY,
    iv,
    aux: aad,
    input,
    // Some modules want as much room for a plaintext as the ciphertext has.
    outputCapacity: op === OP.ENCRYPT ? input.length + TAG_LENGTH : input.length,
  };
}

export function oaepCall(
  hash: keyof typeof HASH_CODE,
  ciphertext: Uint8Array,
  modulusBits: number,
): TokenCall {
  const code = HASH_CODE[hash];
  return {
    op: OP.DECRYPT,
    mechanism: CKM.rsaOaep,
    flags: FLAG.RETRY,
    hash: code,
    mgfHash: code,
    input: ciphertext,
    outputCapacity: modulusBits / 8,
  };
}

function wrongKey(member: string): HsmError {
  return new HsmError("The HSM has another key in the place of this one.", { code: "WrongKey", member });
}

async function resolve(token: Token, reference: KeyReference): Promise<ResolvedKey> {
  const { kind } = reference;
  const classes = kind === undefined ? [CKO.secretKey, CKO.privateKey] : [CLASS_OF[kind]];
  const names = {
    ...(reference.id === undefined ? {} : { id: reference.id }),
    ...(reference.label === undefined ? {} : { label: new TextEncoder().encode(reference.label) }),
  };
  let failure: HsmError | undefined;
  for (const objectClass of classes) {
    try {
      const query = { ...names, class: objectClass, sessionCopy: token.sessionCopy };
      return await token.pool.resolveKey(query, ATTRIBUTES);
    } catch (cause) {
      failure = fromRejection(cause, token.name);
      if (failure.code !== "KeyNotFound") throw failure;
    }
  }
  throw failure ?? new HsmError("The HSM has no such key.", { code: "KeyNotFound", member: token.name });
}

const CLASS_OF = { secret: CKO.secretKey, private: CKO.privateKey } as const;

async function readInfo(
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
async function readSpki(
  token: Token,
  facts: KeyFacts,
  id: Uint8Array,
  attributes: readonly (Uint8Array | undefined)[],
): Promise<Uint8Array> {
  const modulus = attributes[ATTRIBUTES.indexOf(CKA.modulus)];
  const exponent = attributes[ATTRIBUTES.indexOf(CKA.publicExponent)];
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
async function readCheckValue(token: Token, ref: number, deadlineMs: number): Promise<Uint8Array> {
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

/** Joins what a signature scheme wants in front of a digest (RFC 8017, 9.2). */
export function digestInfo(hash: DigestHash, digest: Uint8Array): Uint8Array {
  return concatBytes(DIGEST_INFO[hash], digest);
}

type DigestHash = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

const DIGEST_INFO: Readonly<Record<DigestHash, Uint8Array>> = {
  "SHA-1": Uint8Array.of(0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0xe, 3, 2, 0x1a, 5, 0, 4, 20),
  "SHA-256": Uint8Array.of(0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32),
  "SHA-384": Uint8Array.of(0x30, 0x41, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 48),
  "SHA-512": Uint8Array.of(0x30, 0x51, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 64),
};
