/** The calls that a token and a group have alike: arguments are checked here, and made into calls of a key. */

import { EventEmitter } from "node:events";
import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HardwareKeys } from "../hardware-keys.ts";
import { randomBytes } from "../random.ts";
import type {
  GenerateHsmKeyRequest,
  Hsm,
  HsmBatchItem,
  HsmCallOptions,
  HsmCapabilities,
  HsmDecryptRequest,
  HsmEncryptRequest,
  HsmEncryptResponse,
  HsmEvents,
  HsmHealth,
  HsmKey,
  HsmKeyReference,
  HsmKeySpec,
  HsmSignRequest,
  HsmStats,
  ImportHsmKeyRequest,
} from "./hsm.ts";
import { HsmError } from "./hsm-error.ts";
import type { KeyInfo } from "./key-info.ts";
import { OP } from "./record.ts";
import type { KeyFacts } from "./templates.ts";
import type { CallResult } from "./token.ts";
import { gcmCall, oaepCall, type TokenCall } from "./token-call.ts";
import { blockCall, signCall } from "./trials.ts";

/** Far less than half of the time in which the clock of records comes round. */
export const MAX_DEADLINE_MS = 3_600_000;

/** Where the calls of one key go. */
export interface KeyBackend {
  /** Undefined output: the ciphertext could not be opened. */
  run(call: TokenCall, deadlineMs: number, signal?: AbortSignal): Promise<CallResult>;
  /** Names of the algorithms the key was seen to serve; asks the token once. */
  served(usage: "encrypt" | "sign"): Promise<ReadonlySet<string>>;
  release(): void;
}

/** The one implementation of `HsmKey`; it carries the way to its token. */
export class KeyHandle implements HsmKey {
  readonly id: Uint8Array;
  readonly label: string;
  readonly keySpec: HsmKeySpec;
  declare readonly publicKey?: Uint8Array;
  declare readonly checkValue?: Uint8Array;
  readonly extractable: boolean;
  readonly #info: KeyInfo;
  readonly #owner: object;
  readonly #backend: KeyBackend;

  constructor(owner: object, info: KeyInfo, backend: KeyBackend) {
    this.id = info.id;
    this.label = info.label;
    this.keySpec = specOf(info.facts);
    if (info.spki.length > 0) this.publicKey = info.spki;
    if (info.checkValue.length > 0) this.checkValue = info.checkValue;
    this.extractable = info.isExtractable;
    this.#info = info;
    this.#owner = owner;
    this.#backend = backend;
  }

  /** @throws KmsError `InvalidParameter` for what is no key of this Hsm */
  static of(owner: object, key: HsmKey): { readonly info: KeyInfo; readonly backend: KeyBackend } {
    ensure(
      key instanceof KeyHandle && key.#owner === owner,
      "InvalidParameter",
      "key must be a key of this Hsm.",
    );
    return { info: key.#info, backend: key.#backend };
  }
}

function specOf(facts: KeyFacts): HsmKeySpec {
  if (facts.type === "aes") return `Aliyun_AES_${(facts.byteLength * 8) as 128 | 192 | 256}`;
  if (facts.type === "rsa") return `RSA_${facts.modulusBits}`;
  return facts.curve === "P-256" ? "EC_P256" : "EC_P256K";
}

const GCM_IV_LENGTH = 12;
const BLOCK_LENGTH = 16;
const DEFAULT_DRAIN_MS = 5000;
const NO_AAD: Uint8Array = new Uint8Array(0);

export abstract class BaseHsm implements Hsm {
  abstract readonly name: string;
  abstract readonly capabilities: HsmCapabilities;
  abstract readonly hardwareKeys: HardwareKeys;
  readonly #emitter: EventEmitter = new EventEmitter();
  readonly #deadlineMs: number;
  #closing: Promise<void> | undefined;

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  abstract key(reference: HsmKeyReference): Promise<HsmKey>;
  abstract generateKey(request: GenerateHsmKeyRequest): Promise<HsmKey>;
  abstract importKey(request: ImportHsmKeyRequest): Promise<HsmKey>;
  abstract destroyKey(key: HsmKey): Promise<void>;
  abstract listKeys(): Promise<readonly HsmKey[]>;
  abstract stats(): HsmStats;
  abstract health(): Promise<HsmHealth>;
  abstract recover(): Promise<void>;
  protected abstract closeTokens(drainMs: number): Promise<void>;
  /** Runs a call that needs no key. */
  protected abstract runKeyless(
    call: TokenCall,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<CallResult>;
  /** Whether a token makes the IVs of AES-GCM: callers cannot choose them. */
  abstract readonly makesIvs: boolean;

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  encrypt(
    key: HsmKey,
    request: HsmEncryptRequest,
    options: HsmCallOptions = {},
  ): Promise<HsmEncryptResponse> {
    try {
      const { info, backend } = KeyHandle.of(this, key);
      const { call, iv } = encryptCall(info, request);
      return backend
        .run(call, this.#deadline(options), signalOf(options))
        .then(({ output, iv: used }) => encrypted(output, used ?? iv));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  decrypt(key: HsmKey, request: HsmDecryptRequest, options: HsmCallOptions = {}): Promise<Uint8Array> {
    try {
      const { info, backend } = KeyHandle.of(this, key);
      return backend.run(decryptCall(info, request), this.#deadline(options), signalOf(options)).then(opened);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  sign(key: HsmKey, request: HsmSignRequest, options: HsmCallOptions = {}): Promise<Uint8Array> {
    try {
      const { info, backend } = KeyHandle.of(this, key);
      ensureBytes(request.digest, "digest");
      ensure(info.facts.type !== "aes", "InvalidParameter", "key must be a key pair.");
      ensure(
        (info.facts.type === "ec") === (request.scheme.scheme === "ecdsa"),
        "InvalidParameter",
        "scheme is not one of this key.",
      );
      return backend
        .run(signCall(info, request.scheme, request.digest), this.#deadline(options), signalOf(options))
        .then(opened);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  encryptBatch(
    key: HsmKey,
    requests: readonly HsmEncryptRequest[],
    options: HsmCallOptions = {},
  ): Promise<HsmBatchItem<HsmEncryptResponse>[]> {
    return settled(requests, (request) => this.encrypt(key, request, options));
  }

  decryptBatch(
    key: HsmKey,
    requests: readonly HsmDecryptRequest[],
    options: HsmCallOptions = {},
  ): Promise<HsmBatchItem<Uint8Array>[]> {
    return settled(requests, (request) => this.decrypt(key, request, options));
  }

  signBatch(
    key: HsmKey,
    requests: readonly HsmSignRequest[],
    options: HsmCallOptions = {},
  ): Promise<HsmBatchItem<Uint8Array>[]> {
    return settled(requests, (request) => this.sign(key, request, options));
  }

  async generateRandom(length: number, options: HsmCallOptions = {}): Promise<Uint8Array> {
    ensure(
      Number.isInteger(length) && length >= 1 && length <= 1024,
      "InvalidParameter",
      "length must be an integer from 1 to 1024.",
    );
    return opened(await this.runKeyless(randomCall(length), this.#deadline(options), signalOf(options)));
  }

  on<Name extends keyof HsmEvents>(event: Name, listener: (details: HsmEvents[Name]) => void): this {
    this.#emitter.on(event, listener);
    return this;
  }

  off<Name extends keyof HsmEvents>(event: Name, listener: (details: HsmEvents[Name]) => void): this {
    this.#emitter.off(event, listener);
    return this;
  }

  protected emit<Name extends keyof HsmEvents>(event: Name, details: HsmEvents[Name]): void {
    this.#emitter.emit(event, details);
  }

  close({ drainMs = DEFAULT_DRAIN_MS }: { readonly drainMs?: number | undefined } = {}): Promise<void> {
    this.#closing ??= this.closeTokens(drainMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #deadline({ deadlineMs = this.#deadlineMs }: HsmCallOptions): number {
    ensure(
      Number.isInteger(deadlineMs) && deadlineMs >= 1 && deadlineMs <= MAX_DEADLINE_MS,
      "InvalidParameter",
      "deadlineMs must be an integer from 1 to 3,600,000.",
    );
    return deadlineMs;
  }
}

function signalOf({ signal }: HsmCallOptions): AbortSignal | undefined {
  ensure(
    signal === undefined || signal instanceof AbortSignal,
    "InvalidParameter",
    "signal must be an AbortSignal.",
  );
  return signal;
}

/** Asks the token's generator for bytes; also the smallest call there is, to see whether a token answers. */
export function randomCall(length: number): TokenCall {
  return { op: OP.RANDOM, mechanism: 0, flags: 1, input: NO_AAD, outputCapacity: length };
}

function encryptCall(
  { facts }: KeyInfo,
  request: HsmEncryptRequest,
): { call: TokenCall; iv: Uint8Array | undefined } {
  const { plaintext, algorithm = "AES_GCM", aad = NO_AAD } = request;
  ensureBytes(plaintext, "plaintext");
  ensure(facts.type === "aes", "InvalidParameter", "key must be an AES key.");
  const iv = readIv(algorithm, request.iv, true);
  if (algorithm === "AES_GCM") {
    ensureBytes(aad, "aad");
    const own = iv ?? NO_AAD;
    return { call: gcmCall(OP.ENCRYPT, own, aad, plaintext, request.iv !== undefined), iv: own };
  }
  ensureWholeBlocks(plaintext, "plaintext");
  return { call: blockCall(OP.ENCRYPT, algorithm === "AES_CBC" ? "cbc" : "ecb", iv, plaintext), iv };
}

function decryptCall({ facts }: KeyInfo, request: HsmDecryptRequest): TokenCall {
  const { ciphertext, aad = NO_AAD } = request;
  const algorithm = request.algorithm ?? (facts.type === "aes" ? "AES_GCM" : "RSAES_OAEP_SHA_256");
  ensureBytes(ciphertext, "ciphertext");
  if (algorithm === "RSAES_OAEP_SHA_256" || algorithm === "RSAES_OAEP_SHA_1") {
    ensure(facts.type === "rsa", "InvalidParameter", "algorithm is not one of this key.");
    return oaepCall(algorithm === "RSAES_OAEP_SHA_256" ? "SHA-256" : "SHA-1", ciphertext, facts.modulusBits);
  }
  ensure(facts.type === "aes", "InvalidParameter", "algorithm is not one of this key.");
  const iv = readIv(algorithm, request.iv, false);
  if (algorithm === "AES_GCM") {
    ensureBytes(aad, "aad");
    return gcmCall(OP.DECRYPT, iv ?? NO_AAD, aad, ciphertext, true);
  }
  ensureWholeBlocks(ciphertext, "ciphertext");
  return blockCall(OP.DECRYPT, algorithm === "AES_CBC" ? "cbc" : "ecb", iv, ciphertext);
}

function readIv(
  algorithm: "AES_GCM" | "AES_CBC" | "AES_ECB",
  iv: Uint8Array | undefined,
  mayBeAbsent: boolean,
): Uint8Array | undefined {
  if (algorithm === "AES_ECB") {
    ensure(iv === undefined, "InvalidParameter", "iv is not for AES_ECB.");
    return undefined;
  }
  const length = algorithm === "AES_GCM" ? GCM_IV_LENGTH : BLOCK_LENGTH;
  if (iv === undefined && mayBeAbsent) return randomBytes(length);
  ensureBytes(iv, "iv");
  ensure(iv.length === length, "InvalidParameter", `iv must be ${length} bytes for ${algorithm}.`);
  return iv;
}

function ensureWholeBlocks(bytes: Uint8Array, name: string): void {
  ensure(
    bytes.length > 0 && bytes.length % BLOCK_LENGTH === 0,
    "InvalidParameter",
    `${name} must be whole blocks of 16 bytes.`,
  );
}

function encrypted(output: Uint8Array | undefined, iv: Uint8Array | undefined): HsmEncryptResponse {
  if (output === undefined) throw new Error("internal: an encryption without a result");
  return iv === undefined ? { ciphertext: output } : { ciphertext: output, iv };
}

function opened({ output }: CallResult): Uint8Array {
  if (output === undefined)
    throw new HsmError("The ciphertext cannot be opened.", { code: "InvalidCiphertext" });
  return output;
}

/** Starts every call of a batch before it waits for one, so that they reach the token together. */
function settled<Request, Response>(
  requests: readonly Request[],
  run: (request: Request) => Promise<Response>,
): Promise<HsmBatchItem<Response>[]> {
  return Promise.all(
    requests.map((request) =>
      run(request).then(
        (value): HsmBatchItem<Response> => ({ ok: true, value }),
        (error: unknown): HsmBatchItem<Response> => {
          if (error instanceof HsmError) return { ok: false, error };
          throw error;
        },
      ),
    ),
  );
}
