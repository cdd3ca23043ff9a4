/** A token with its keys: finds, makes, brings in and destroys them, and remembers what the token was seen to serve. */

import { equalBytesVartime } from "../../bytes.ts";
import { materialOf } from "../../keys/key-spec.ts";
import { randomBytes } from "../random.ts";
import { CKA, CKM, CKO, MECHANISM_NAMES } from "./constants.ts";
import type { GenerateHsmKeyRequest, HsmCapabilities, HsmKeySpec } from "./hsm.ts";
import { HsmError } from "./hsm-error.ts";
import { importIntoToken } from "./import-key.ts";
import { fromRejection } from "./judge.ts";
import type { KeyIdentityCheck } from "./key-info.ts";
import { type KeyFacts, type KeyPurpose, Templates } from "./templates.ts";
import type { Token } from "./token.ts";
import { type KeyReference, TokenKey } from "./token-key.ts";
import { servedAlgorithms } from "./trials.ts";

const MAX_LISTED = 100_000;
/** Specs that are tried when a token is opened; an RSA pair takes a device seconds to make. */
const TRIED_AT_OPEN: readonly HsmKeySpec[] = ["Aliyun_AES_256", "EC_P256", "EC_P256K"];

export function factsOfSpec(spec: HsmKeySpec): KeyFacts {
  const facts = materialOf(spec);
  if (facts.type === "hmac") throw new Error("internal: HMAC keys are not in hardware");
  return facts;
}

/** Names what is tried once for all keys alike. */
function familyOf(facts: KeyFacts, usage: "encrypt" | "sign"): string {
  if (facts.type === "aes") return "Aliyun_AES";
  return facts.type === "rsa" ? `RSA_${facts.modulusBits} ${usage}` : facts.curve;
}

export class Member {
  readonly token: Token;
  readonly templates: Templates;
  readonly deadlineMs: number;
  #mechanisms: ReadonlySet<number> = new Set();
  readonly #served: Map<string, Promise<ReadonlySet<string>>> = new Map();
  readonly #algorithms: Partial<Record<HsmKeySpec, readonly string[]>> = {};

  constructor(token: Token, deadlineMs: number) {
    this.token = token;
    this.templates = new Templates(token.addon);
    this.deadlineMs = deadlineMs;
  }

  get name(): string {
    return this.token.name;
  }

  get capabilities(): HsmCapabilities {
    return { mechanisms: [...this.#mechanisms], algorithms: { ...this.#algorithms } };
  }

  /** Logs in and tries what can be tried with keys of the session. */
  async open(): Promise<void> {
    await this.token.open();
    try {
      const { ivMode, info } = this.token;
      if ((ivMode === "message" || ivMode === "host-message") && !info.messageApi) {
        throw new HsmError("The module lacks the message functions of PKCS #11 3.0.", {
          code: "Unsupported",
          outcome: "not-sent",
          member: this.name,
        });
      }
      const listed = await this.#admin(() => this.token.pool.mechanisms());
      this.#mechanisms = new Set(listed.map(({ type }) => type));
      for (const spec of TRIED_AT_OPEN) await this.#tryAtOpen(spec);
    } catch (error) {
      await this.token.close(0).catch(() => undefined);
      throw error;
    }
  }

  async #tryAtOpen(keySpec: HsmKeySpec): Promise<void> {
    const id = randomBytes(16);
    const usage = keySpec === "Aliyun_AES_256" ? "encrypt" : "sign";
    const purpose: KeyPurpose = { id, label: "keyplane trial", usage, isTokenObject: false };
    const facts = factsOfSpec(keySpec);
    let key: TokenKey | undefined;
    try {
      this.#ensureListed(facts);
      await this.#generate(purpose, facts);
      key = await this.openKey({ id });
      await this.served(key, usage);
    } catch (error) {
      // A token that makes no such keys is no worse for the others.
      if (!(error instanceof HsmError) || error.code === "LoginFailed" || error.code === "TokenLost")
        throw error;
    } finally {
      key?.release();
      await this.destroy(id).catch(() => undefined);
    }
  }

  async #admin<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      throw fromRejection(cause, this.name);
    }
  }

  openKey(reference: KeyReference, expected?: KeyIdentityCheck): Promise<TokenKey> {
    return TokenKey.open(this.token, reference, this.deadlineMs, expected);
  }

  /** Tells what a key serves; tried once for each kind of key. @throws HsmError */
  served(key: TokenKey, usage: "encrypt" | "sign"): Promise<ReadonlySet<string>> {
    const { facts } = key.info;
    const family = familyOf(facts, usage);
    let known = this.#served.get(family);
    if (known === undefined) {
      known = servedAlgorithms(key, usage, this.deadlineMs).then((served) => {
        this.#note(facts, served);
        return served;
      });
      this.#served.set(family, known);
      // A token that could not be asked is asked again.
      known.catch(() => this.#served.delete(family));
    }
    return known;
  }

  #note(facts: KeyFacts, served: ReadonlySet<string>): void {
    const specs: readonly HsmKeySpec[] =
      facts.type === "aes"
        ? ["Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128"]
        : facts.type === "rsa"
          ? [`RSA_${facts.modulusBits}`]
          : [facts.curve === "P-256" ? "EC_P256" : "EC_P256K"];
    for (const spec of specs) {
      this.#algorithms[spec] = [...new Set([...(this.#algorithms[spec] ?? []), ...served])];
    }
  }

  /** @throws HsmError `Unsupported` naming the mechanism */
  #ensureListed(facts: KeyFacts): void {
    const mechanism = GENERATORS[facts.type];
    if (this.#mechanisms.has(mechanism)) return;
    throw new HsmError(`The HSM does not list ${MECHANISM_NAMES.get(mechanism)}.`, {
      code: "Unsupported",
      outcome: "not-sent",
      member: this.name,
    });
  }

  async #generate(purpose: KeyPurpose, facts: KeyFacts): Promise<void> {
    const { pool } = this.token;
    await this.#admin(() =>
      facts.type === "aes"
        ? pool.generateKey(CKM.aesKeyGen, this.templates.secretKey(purpose, facts.byteLength))
        : pool.generateKeyPair(
            GENERATORS[facts.type],
            this.templates.generatedPublicKey(purpose, facts),
            this.templates.privateKey(purpose, facts),
          ),
    );
  }

  /**
   * Makes a key and tries it; one that turns out to be of no use is destroyed.
   *
   * @throws HsmError `Unsupported` naming what the module lacks
   */
  async generateKey(request: GenerateHsmKeyRequest): Promise<TokenKey> {
    const facts = factsOfSpec(request.keySpec);
    const purpose = purposeOf(request, facts);
    this.#ensureListed(facts);
    await this.ensureFree(purpose.id);
    await this.#generate(purpose, facts);
    return this.accept(purpose, facts);
  }

  async importKey(request: GenerateHsmKeyRequest, material: Uint8Array): Promise<TokenKey> {
    const facts = factsOfSpec(request.keySpec);
    const purpose = purposeOf(request, facts);
    await this.ensureFree(purpose.id);
    try {
      await importIntoToken(this, purpose, facts, material);
    } catch (error) {
      await this.destroy(purpose.id).catch(() => undefined);
      throw error;
    }
    return this.accept(purpose, facts);
  }

  /** Refuses to make a second key of one id: neither could be told from the other. */
  async ensureFree(id: Uint8Array): Promise<void> {
    const rows = await this.#admin(() => this.token.pool.find([[CKA.id, id]], [CKA.id], 1));
    if (rows.length === 0) return;
    throw new HsmError("The HSM has a key of this id already.", {
      code: "InvalidArgument",
      member: this.name,
    });
  }

  /** Opens a key that was just made and makes sure that it stays inside and does its work. */
  async accept(purpose: KeyPurpose, facts: KeyFacts): Promise<TokenKey> {
    let key: TokenKey | undefined;
    try {
      key = await this.openKey({
        id: purpose.id,
        kind: facts.type === "aes" ? "secret" : "private",
        byteLength: facts.type === "aes" ? facts.byteLength : undefined,
      });
      if (key.info.isExtractable) {
        throw new HsmError("The HSM made a key that it would give away.", {
          code: "Unsupported",
          member: this.name,
        });
      }
      const served = await this.served(key, purpose.usage);
      if (served.size === 0) {
        throw new HsmError(`The HSM serves no algorithm of ${familyOf(facts, purpose.usage)}.`, {
          code: "Unsupported",
          member: this.name,
        });
      }
      return key;
    } catch (error) {
      key?.release();
      await this.destroy(purpose.id).catch(() => undefined);
      throw error;
    }
  }

  /** Destroys all objects of an id; none is no error. */
  async destroy(id: Uint8Array): Promise<void> {
    await this.#admin(() => this.token.pool.destroyObjects([[CKA.id, id]]));
  }

  /** Lists the ids and classes of the keys that are neither public nor of a session. */
  async listKeys(): Promise<{ readonly id: Uint8Array; readonly kind: "secret" | "private" }[]> {
    const found: { id: Uint8Array; kind: "secret" | "private" }[] = [];
    for (const kind of ["secret", "private"] as const) {
      const objectClass = kind === "secret" ? CKO.secretKey : CKO.privateKey;
      const template = [this.templates.ulong(CKA.class, objectClass), [CKA.token, Uint8Array.of(1)]] as const;
      const rows = await this.#admin(() => this.token.pool.find(template, [CKA.id], MAX_LISTED));
      for (const [id] of rows) {
        if (id === undefined || id.length === 0) continue;
        if (!found.some((other) => other.kind === kind && equalBytesVartime(other.id, id)))
          found.push({ id, kind });
      }
    }
    return found;
  }
}

const GENERATORS = { aes: CKM.aesKeyGen, rsa: CKM.rsaKeyPairGen, ec: CKM.ecKeyPairGen } as const;

function purposeOf(request: GenerateHsmKeyRequest, facts: KeyFacts): KeyPurpose {
  return {
    id: request.id ?? randomBytes(16),
    label: request.label ?? "",
    usage: facts.type === "aes" ? "encrypt" : (request.usage ?? "sign"),
    isTokenObject: true,
  };
}
