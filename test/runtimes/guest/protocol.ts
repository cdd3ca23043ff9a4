/** What the host of a runtime test and the guest inside the runtime say to one another, as JSON. Bytes are hex: all keys are test keys. */

/** A row of the store every guest opens: kind, id, bytes. */
export type Row = readonly [kind: string, id: string, bytes: string];

/** What each key of the shared store is for. */
export type Role = "aes256" | "aes128" | "p256" | "secp256k1" | "rsa" | "hmac";

/** Answers that others computed; `engine` checks name the primitive they are for. */
export interface Answers {
  readonly hash: readonly { hash: string; message: string; digest: string }[];
  readonly hmac: readonly { hash: string; key: string; message: string; mac: string }[];
  readonly hkdf: readonly { hash: string; ikm: string; salt: string; info: string; okm: string }[];
  readonly aesGcm: readonly { key: string; iv: string; aad: string; plaintext: string; sealed: string }[];
  readonly aesKw: readonly { kek: string; key: string; wrapped: string }[];
  readonly aesKwp: readonly { kek: string; key: string; wrapped: string }[];
  readonly ecdsa: readonly {
    curve: string;
    hash: string;
    pkcs8: string;
    spki: string;
    message: string;
    /** Of RFC 6979, as r ‖ s. */
    signature: string;
    deterministic: boolean;
  }[];
  readonly ecdh: readonly { curve: string; pkcs8: string; spki: string; shared: string }[];
  readonly rsa: readonly {
    pkcs8: string;
    spki: string;
    message: string;
    pss: string;
    pkcs1: string;
    plaintext: string;
    oaep: string;
  }[];
}

/** What one runtime sealed and signed with the shared keys. */
export interface Sealed {
  readonly by: string;
  readonly advance: string;
  readonly detached: { readonly ciphertextBlob: string; readonly iv: string };
  readonly dataKey: { readonly ciphertextBlob: string; readonly plaintext: string };
  readonly stream: string;
  /** By role; a role the runtime does not serve is absent. */
  readonly signatures: Readonly<Partial<Record<Role, string>>>;
  readonly mac: string;
}

export interface SuiteRequest {
  readonly runtime: string;
  readonly rootKey: string;
  readonly rows: readonly Row[];
  readonly keyIds: Readonly<Record<Role, string>>;
  readonly answers: Answers;
  /** Engines of `keyplane/engine` to check; each must load. */
  readonly engines: readonly string[];
  /** Opens these instead of running the checks. */
  readonly open?: readonly Sealed[];
}

export interface SuiteReport {
  readonly runtime: string;
  /** Name and build of each raw engine. */
  readonly engines: Readonly<Record<string, string>>;
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Primitives and key types this runtime answers with Rejected.UnsupportedOperation. */
  readonly refused: readonly string[];
  readonly sealed?: Sealed;
}
