/** Signing and verifying many at once, for batches: where an engine does that quicker than one by one. */

import type { CurveName, Ecdsa, EcPrivateKey, EcPublicKey, HashName, Rsa, RsaPublicKey } from "./engine.ts";

type Hash = (name: HashName, message: Uint8Array) => Uint8Array;

/** Work of one kind on items whose keys, and nothing else, may differ. It is done at once. */
export interface Together<Item, Result> {
  /** Equal for equal work. */
  readonly kind: string;
  readonly hash: Hash;
  /** Does all items or throws; the results are those that `alone` would give. */
  together(items: readonly Item[]): readonly Result[];
  alone(item: Item): Result;
}

/** Work, and a key to do it with. */
export interface Keyed<Key, Work> {
  readonly key: Key;
  readonly work: Work;
}

/** A digest to sign. */
export interface ItemToSign {
  readonly key: EcPrivateKey;
  readonly signable: Uint8Array;
}

/** A digest and what may be a signature of it. */
export interface ItemToVerify<Key> {
  readonly key: Key;
  readonly signable: Uint8Array;
  readonly signature: Uint8Array;
}

/** An engine's RSA, its hashes, and a public key there. */
export interface RsaTogether {
  readonly rsa: Rsa;
  readonly hash: Hash;
  readonly publicKey: RsaPublicKey;
}

/** What an RSA signature is verified as. */
export type RsaScheme =
  | { readonly scheme: "pss"; readonly hash: HashName; readonly saltLength: number }
  | { readonly scheme: "pkcs1"; readonly hash: HashName };

/** How signatures are written and read. */
interface EcOptions {
  readonly format: "der" | "p1363";
  readonly lowS: boolean;
}

/** What an engine's ECDSA does on one curve, each kind of it made once, since batches ask for it at every item. */
export class EcCurveTogether {
  readonly #signers: readonly Together<ItemToSign, Uint8Array>[];
  readonly #verifiers: readonly Together<ItemToVerify<EcPublicKey>, boolean>[];

  constructor(ecdsa: Ecdsa, hash: Hash, curve: CurveName) {
    this.#signers = EC_OPTIONS.map((options) => newSigner(ecdsa, hash, curve, options));
    this.#verifiers = EC_OPTIONS.map((options) => newVerifier(ecdsa, hash, curve, options));
  }

  /** Returns what signs with hedged nonces, as single calls of a Kms do. */
  signer(options: EcOptions): Together<ItemToSign, Uint8Array> {
    return this.#signers[placeOf(options)] as Together<ItemToSign, Uint8Array>;
  }

  verifier(options: EcOptions): Together<ItemToVerify<EcPublicKey>, boolean> {
    return this.#verifiers[placeOf(options)] as Together<ItemToVerify<EcPublicKey>, boolean>;
  }
}

type EcTogether = Readonly<Record<CurveName, EcCurveTogether>>;

/** Every kind of options, each at its `placeOf`. */
const EC_OPTIONS: readonly EcOptions[] = [
  { format: "der", lowS: false },
  { format: "p1363", lowS: false },
  { format: "der", lowS: true },
  { format: "p1363", lowS: true },
];

function placeOf({ format, lowS }: EcOptions): number {
  return (format === "der" ? 0 : 1) + (lowS ? 2 : 0);
}

function newSigner(
  ecdsa: Ecdsa,
  hash: Hash,
  curve: CurveName,
  { format, lowS }: EcOptions,
): Together<ItemToSign, Uint8Array> {
  const options = { format, lowS, hedged: true };
  return {
    kind: `sign ${curve} ${format} ${lowS}`,
    hash,
    together: (items) => ecdsa.signBatch(items, options),
    alone: ({ key, signable }) => ecdsa.sign(key, signable, options),
  };
}

function newVerifier(
  ecdsa: Ecdsa,
  hash: Hash,
  curve: CurveName,
  options: EcOptions,
): Together<ItemToVerify<EcPublicKey>, boolean> {
  return {
    kind: `verify ${curve} ${options.format} ${options.lowS}`,
    hash,
    together: (items) => ecdsa.verifyBatch(items, options),
    alone: ({ key, signable, signature }) => ecdsa.verify(key, signable, signature, options),
  };
}

const ofEngines: WeakMap<Ecdsa, EcTogether> = new WeakMap();

/** Returns what an engine's ECDSA does at once. */
export function ecTogetherOf(ecdsa: Ecdsa, hash: Hash): EcTogether {
  let together = ofEngines.get(ecdsa);
  if (together === undefined) {
    together = {
      "P-256": new EcCurveTogether(ecdsa, hash, "P-256"),
      secp256k1: new EcCurveTogether(ecdsa, hash, "secp256k1"),
    };
    ofEngines.set(ecdsa, together);
  }
  return together;
}

export function rsaVerifier(
  { rsa, hash, publicKey }: RsaTogether,
  scheme: RsaScheme,
): Together<ItemToVerify<RsaPublicKey>, boolean> {
  const kind = `verify ${publicKey.modulusBits} ${scheme.scheme} ${scheme.hash}`;
  if (scheme.scheme === "pss") {
    return {
      kind,
      hash,
      together: (items) => rsa.verifyPssBatch(items, scheme),
      alone: ({ key, signable, signature }) => rsa.verifyPss(key, signable, signature, scheme),
    };
  }
  return {
    kind,
    hash,
    together: (items) => rsa.verifyPkcs1Batch(items, scheme),
    alone: ({ key, signable, signature }) => rsa.verifyPkcs1(key, signable, signature, scheme),
  };
}
