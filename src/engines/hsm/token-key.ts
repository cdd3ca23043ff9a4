/**
 * One key of one token: finds it, makes sure that it is the key it is taken for, and runs calls with it. After each login
 * it is looked at again before it is used.
 */

import { constants, createPublicKey, publicEncrypt } from "node:crypto";
import { equalBytesVartime } from "../../bytes.ts";
import { randomBytes } from "../random.ts";
import type { ResolvedKey, Template, WrapParameter } from "./addon.ts";
import { CKM, CKO } from "./constants.ts";
import { HASH_CODE } from "./hashes.ts";
import { HsmError } from "./hsm-error.ts";
import { fromRejection } from "./judge.ts";
import {
  KEY_ATTRIBUTES,
  type KeyIdentityCheck,
  type KeyInfo,
  readCheckValue,
  readInfo,
  readSpki,
} from "./key-info.ts";
import { OP } from "./record.ts";
import type { CallOptions, CallResult, CheckedKey, Token } from "./token.ts";
import { gcmCall, ownCall, type TokenCall } from "./token-call.ts";
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
        known.facts.type === "aes"
          ? await readCheckValue(token, resolved.ref, deadlineMs)
          : new Uint8Array(0);
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
      return await token.pool.resolveKey(query, KEY_ATTRIBUTES);
    } catch (cause) {
      failure = fromRejection(cause, token.name);
      if (failure.code !== "KeyNotFound") throw failure;
    }
  }
  throw failure ?? new HsmError("The HSM has no such key.", { code: "KeyNotFound", member: token.name });
}

const CLASS_OF = { secret: CKO.secretKey, private: CKO.privateKey } as const;
