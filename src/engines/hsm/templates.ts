/**
 * Attribute templates of the keys made here: sensitive, never extractable, found again by CKA_ID. docs/hsm.md, [HSM-1]
 * to [HSM-3], says what each attribute is.
 */

import type { HardwareKeySpec } from "../hardware-keys.ts";
import type { Addon, Template } from "./addon.ts";
import { CKA, CKK, CKO } from "./constants.ts";

export type KeyFacts = HardwareKeySpec["facts"];
type Attribute = readonly [type: number, value: Uint8Array];

/** DER of the named curves (SEC 2). */
export const CURVE_OIDS: Readonly<Record<"P-256" | "secp256k1", Uint8Array>> = {
  "P-256": Uint8Array.of(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  secp256k1: Uint8Array.of(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a),
};

/** 65537. */
const PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);

/** What is said of a key beyond its type and size. */
export interface KeyPurpose {
  /** CKA_ID. */
  readonly id: Uint8Array;
  readonly label: string;
  readonly usage: "encrypt" | "sign";
  /** Session objects end with the session that made them. */
  readonly isTokenObject: boolean;
}

const flag = (type: number, value: boolean): Attribute => [type, Uint8Array.of(value ? 1 : 0)];

export class Templates {
  readonly #addon: Addon;

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  ulong(type: number, value: number): Attribute {
    return [type, this.#addon.ulong(value)];
  }

  /** Finds the objects of one id. */
  match(objectClass: number, id: Uint8Array): Template {
    return [this.ulong(CKA.class, objectClass), [CKA.id, id]];
  }

  #named({ id, label, isTokenObject }: KeyPurpose): Attribute[] {
    return [flag(CKA.token, isTokenObject), [CKA.id, id], [CKA.label, new TextEncoder().encode(label)]];
  }

  #guarded(): Attribute[] {
    return [flag(CKA.private, true), flag(CKA.sensitive, true), flag(CKA.extractable, false)];
  }

  /** @param byteLength absent where the module takes it from what it unwraps */
  secretKey(purpose: KeyPurpose, byteLength: number | undefined): Template {
    return [
      this.ulong(CKA.class, CKO.secretKey),
      this.ulong(CKA.keyType, CKK.aes),
      ...this.#named(purpose),
      ...this.#guarded(),
      ...(byteLength === undefined ? [] : [this.ulong(CKA.valueLength, byteLength)]),
      flag(CKA.encrypt, true),
      flag(CKA.decrypt, true),
    ];
  }

  /** A secret key that unwraps one private key and is gone with its session. */
  unwrappingKey(purpose: KeyPurpose): Template {
    return [
      this.ulong(CKA.class, CKO.secretKey),
      this.ulong(CKA.keyType, CKK.aes),
      ...this.#named(purpose),
      ...this.#guarded(),
      flag(CKA.unwrap, true),
    ];
  }

  privateKey(purpose: KeyPurpose, facts: KeyFacts): Template {
    const { usage } = purpose;
    return [
      this.ulong(CKA.class, CKO.privateKey),
      this.ulong(CKA.keyType, facts.type === "rsa" ? CKK.rsa : CKK.ec),
      ...this.#named(purpose),
      ...this.#guarded(),
      flag(CKA.sign, usage === "sign"),
      ...(facts.type === "rsa" ? [flag(CKA.decrypt, usage === "encrypt")] : []),
    ];
  }

  /** The public half of a pair that the token is to generate. */
  generatedPublicKey(purpose: KeyPurpose, facts: KeyFacts): Template {
    const shape: Attribute[] =
      facts.type === "rsa"
        ? [this.ulong(CKA.modulusBits, facts.modulusBits), [CKA.publicExponent, PUBLIC_EXPONENT]]
        : facts.type === "ec"
          ? [[CKA.ecParams, CURVE_OIDS[facts.curve]]]
          : [];
    return [...this.#publicKey(purpose, facts), ...shape];
  }

  /** The public half of a pair whose numbers are known; `numbers` are its CKA_MODULUS or CKA_EC_POINT and the like. */
  knownPublicKey(purpose: KeyPurpose, facts: KeyFacts, numbers: Template): Template {
    return [...this.#publicKey(purpose, facts), ...numbers];
  }

  #publicKey(purpose: KeyPurpose, facts: KeyFacts): Attribute[] {
    return [
      this.ulong(CKA.class, CKO.publicKey),
      this.ulong(CKA.keyType, facts.type === "rsa" ? CKK.rsa : CKK.ec),
      ...this.#named(purpose),
      flag(CKA.verify, purpose.usage === "sign"),
      ...(facts.type === "rsa" ? [flag(CKA.encrypt, purpose.usage === "encrypt")] : []),
    ];
  }

  /** A pair of this session for importing: its private half unwraps. */
  importPair(id: Uint8Array): { readonly publicKey: Template; readonly privateKey: Template } {
    const named = this.#named({ id, label: "keyplane import", usage: "encrypt", isTokenObject: false });
    return {
      publicKey: [
        this.ulong(CKA.class, CKO.publicKey),
        this.ulong(CKA.keyType, CKK.rsa),
        ...named,
        this.ulong(CKA.modulusBits, 2048),
        [CKA.publicExponent, PUBLIC_EXPONENT],
        flag(CKA.wrap, true),
        flag(CKA.encrypt, true),
      ],
      privateKey: [
        this.ulong(CKA.class, CKO.privateKey),
        this.ulong(CKA.keyType, CKK.rsa),
        ...named,
        ...this.#guarded(),
        flag(CKA.unwrap, true),
        flag(CKA.decrypt, true),
      ],
    };
  }
}
