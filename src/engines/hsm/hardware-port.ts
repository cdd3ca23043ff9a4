/** The facade's port to hardware keys, over any `Hsm`; what the HSM refuses becomes a `KmsError` here. */

import { KmsError, type KmsErrorCode } from "../../errors.ts";
import type { SignatureScheme } from "../../keys/key-spec.ts";
import type { HashName } from "../engine.ts";
import type {
  BlockMode,
  HardwareKey,
  HardwareKeySpec,
  HardwareKeys,
  HardwareReference,
} from "../hardware-keys.ts";
import { type BaseHsm, KeyHandle } from "./base-hsm.ts";
import type { HsmKey, HsmKeySpec } from "./hsm.ts";
import { HsmError, type HsmErrorCode } from "./hsm-error.ts";
import { OP } from "./record.ts";
import { gcmCall, oaepCall, type TokenCall } from "./token-call.ts";
import { blockCall, signCall } from "./trials.ts";

const CODES: Readonly<Partial<Record<HsmErrorCode, KmsErrorCode>>> = {
  Busy: "Rejected.Throttling",
  Throttled: "Rejected.Throttling",
  KeyNotFound: "Forbidden.KeyNotFound",
  WrongKey: "Rejected.RecordCorrupt",
  Unsupported: "Rejected.UnsupportedOperation",
  InvalidArgument: "InternalFailure",
};

/** @returns a `KmsError` with the HSM's error as its cause; other errors as they are */
function translate(error: unknown): unknown {
  if (!(error instanceof HsmError)) return error;
  return new KmsError(CODES[error.code] ?? "ServiceUnavailableTemporary", error.message, { cause: error });
}

async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translate(error);
  }
}

const rethrow = (error: unknown): never => {
  throw translate(error);
};

export function hardwareKeysOf(hsm: BaseHsm): HardwareKeys {
  return {
    generate: ({ facts, usage, id, label }) =>
      translated(async () => {
        if (facts.type === "aes") refuseTokenIvs(hsm);
        const key = await hsm.generateKey({ keySpec: specOf(facts), usage, id, label });
        const { info, backend } = KeyHandle.of(hsm, key);
        backend.release();
        return { id: info.id, checkValue: info.checkValue, spki: info.spki };
      }),
    bind: (reference, facts, usage) => new BoundKey(hsm, reference, facts, usage),
    destroy: (reference, facts) =>
      translated(async () => {
        let key: KeyHandle;
        try {
          key = await openReference(hsm, reference, facts);
        } catch (error) {
          // Gone already, or not ours to destroy.
          if (error instanceof HsmError && (error.code === "KeyNotFound" || error.code === "WrongKey"))
            return;
          throw error;
        }
        await hsm.destroyKey(key);
      }),
    wrappingKey: (label, id) =>
      translated(async () => {
        refuseTokenIvs(hsm);
        const key = await openWrappingKey(hsm, label, id);
        const { info, backend } = KeyHandle.of(hsm, key);
        backend.release();
        const found = { id: info.id, checkValue: info.checkValue, spki: info.spki };
        return { id: info.id, key: new BoundKey(hsm, found, info.facts, "encrypt") };
      }),
  };
}

/** Ciphertexts of the facade have their IV in what is authenticated with them: it must be known before. */
function refuseTokenIvs(hsm: BaseHsm): void {
  if (!hsm.makesIvs) return;
  const facts = { code: "Unsupported", outcome: "not-sent", member: hsm.name } as const;
  throw new HsmError("The HSM makes the IVs of AES-GCM itself; a Kms has no AES keys in it.", facts);
}

function specOf(facts: HardwareKeySpec["facts"]): HsmKeySpec {
  if (facts.type === "aes") return `Aliyun_AES_${(facts.byteLength * 8) as 128 | 192 | 256}`;
  if (facts.type === "rsa") return `RSA_${facts.modulusBits}`;
  return facts.curve === "P-256" ? "EC_P256" : "EC_P256K";
}

async function openWrappingKey(hsm: BaseHsm, label: string, id: Uint8Array | undefined): Promise<HsmKey> {
  try {
    return await hsm.key({ id, label, kind: "secret" });
  } catch (error) {
    const isMissing = error instanceof HsmError && error.code === "KeyNotFound";
    if (!isMissing || id !== undefined) throw error;
    return hsm.generateKey({ keySpec: "Aliyun_AES_256", label });
  }
}

async function openReference(
  hsm: BaseHsm,
  { id, checkValue, spki }: HardwareReference,
  facts: HardwareKeySpec["facts"],
): Promise<KeyHandle> {
  const kind = facts.type === "aes" ? "secret" : "private";
  return (await hsm.key({ id, kind, keySpec: specOf(facts), checkValue, publicKey: spki })) as KeyHandle;
}

/** Finds its key in the token when it is first used, and again if that failed. */
class BoundKey implements HardwareKey {
  readonly #hsm: BaseHsm;
  readonly #reference: HardwareReference;
  readonly #facts: HardwareKeySpec["facts"];
  readonly #usage: HardwareKeySpec["usage"];
  #opened: ReturnType<typeof KeyHandle.of> | undefined;
  #served: ReadonlySet<string> | undefined;
  #opening: Promise<void> | undefined;

  constructor(
    hsm: BaseHsm,
    reference: HardwareReference,
    facts: HardwareKeySpec["facts"],
    usage: HardwareKeySpec["usage"],
  ) {
    this.#hsm = hsm;
    this.#reference = reference;
    this.#facts = facts;
    this.#usage = usage;
  }

  /** @throws HsmError */
  #open(): Promise<void> {
    this.#opening ??= this.#openNow().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openNow(): Promise<void> {
    const key = await openReference(this.#hsm, this.#reference, this.#facts);
    const opened = KeyHandle.of(this.#hsm, key);
    this.#served = await opened.backend.served(this.#usage);
    this.#opened = opened;
  }

  ensureServes(algorithm: string): Promise<void> {
    return translated(async () => {
      if (this.#opened === undefined) await this.#open();
      this.#refuseUnserved(algorithm);
    });
  }

  #refuseUnserved(algorithm: string): void {
    if (this.#served?.has(algorithm) === true) return;
    const message = `The HSM does not serve ${algorithm}.`;
    throw new HsmError(message, { code: "Unsupported", outcome: "not-sent", member: this.#hsm.name });
  }

  /** Runs a call at once, or with its arguments copied when the key is yet to be found. */
  #run(algorithm: string, call: TokenCall): Promise<Uint8Array | undefined> {
    const opened = this.#opened;
    if (opened === undefined) return this.#openAndRun(algorithm, call);
    try {
      this.#refuseUnserved(algorithm);
    } catch (error) {
      return Promise.reject(translate(error));
    }
    return opened.backend.run(call, this.#hsm.deadlineMs).then(outputOf, rethrow);
  }

  async #openAndRun(algorithm: string, call: TokenCall): Promise<Uint8Array | undefined> {
    const own: TokenCall = {
      ...call,
      iv: call.iv === undefined ? undefined : new Uint8Array(call.iv),
      aux: call.aux === undefined ? undefined : new Uint8Array(call.aux),
      input: new Uint8Array(call.input),
    };
    try {
      await translated(() => this.#open());
      if (this.#opened === undefined) throw new Error("internal: the key was not opened");
      return await this.#run(algorithm, own);
    } finally {
      own.input.fill(0);
    }
  }

  async #must(algorithm: string, call: TokenCall): Promise<Uint8Array> {
    const output = await this.#run(algorithm, call);
    if (output === undefined) throw new Error("internal: a call without a tag or padding was not opened");
    return output;
  }

  seal(iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Promise<Uint8Array> {
    // The iv is part of the aad, so a call that is sent again must keep it; the message is the same too.
    return this.#run("AES_GCM", gcmCall(OP.ENCRYPT, iv, aad, plaintext, true)).then(there);
  }

  open(iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#run("AES_GCM", gcmCall(OP.DECRYPT, iv, aad, sealed, true));
  }

  encryptBlocks(mode: BlockMode, iv: Uint8Array | undefined, data: Uint8Array): Promise<Uint8Array> {
    return this.#must(mode === "cbc" ? "AES_CBC" : "AES_ECB", blockCall(OP.ENCRYPT, mode, iv, data));
  }

  decryptBlocks(mode: BlockMode, iv: Uint8Array | undefined, data: Uint8Array): Promise<Uint8Array> {
    return this.#must(mode === "cbc" ? "AES_CBC" : "AES_ECB", blockCall(OP.DECRYPT, mode, iv, data));
  }

  sign(scheme: SignatureScheme, digest: Uint8Array): Promise<Uint8Array> {
    const facts = { facts: this.#facts };
    const hash = scheme.hash.replace("-", "_");
    if (scheme.scheme === "ecdsa")
      return this.#run("ECDSA", signCall(facts, { scheme: "ecdsa" }, digest)).then(there);
    const name = scheme.scheme === "pss" ? `RSA_PSS_${hash}` : `RSA_PKCS1_${hash}`;
    return this.#run(name, signCall(facts, scheme, digest)).then(there);
  }

  decryptOaep(hash: HashName, ciphertext: Uint8Array): Promise<Uint8Array | undefined> {
    const bits = this.#facts.type === "rsa" ? this.#facts.modulusBits : 0;
    return this.#run(`RSAES_OAEP_${hash.replace("-", "_")}`, oaepCall(hash, ciphertext, bits));
  }

  release(): void {
    this.#opened?.backend.release();
    this.#opened = undefined;
  }
}

const outputOf = ({ output }: { readonly output: Uint8Array | undefined }): Uint8Array | undefined => output;

function there(output: Uint8Array | undefined): Uint8Array {
  if (output === undefined) throw new Error("internal: a call that opens nothing was not opened");
  return output;
}
