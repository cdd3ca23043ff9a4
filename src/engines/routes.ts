/**
 * Which engine serves what when the caller leaves the choice to us ("auto"): per primitive the engines in order of
 * preference, each up to a payload size; for EC and RSA keys per curve or size, and operation. `npm run bench -- routes` measures it all, the
 * benchmark of `npm run page` the border between wasm and WebCrypto in browsers.
 */

import type { CurveName, EngineName } from "./engine.ts";

export type RoutedPrimitive = "aesGcm" | "rsa" | "ecdsa" | "hmac";

/** Takes payloads of at most `maxBytes`. */
export interface Route {
  readonly engine: EngineName;
  readonly maxBytes: number;
  /** Takes RSA keys only where the engine has vector instructions for private operations of their size. */
  readonly needsVectors?: true;
}

/** What a stored RSA key is asked for: signing and decrypting take the private half. */
export type RsaOperation = "private" | "public";

const ANY_SIZE: number = Number.POSITIVE_INFINITY;

const NODE_FIRST: readonly Route[] = [
  { engine: "node", maxBytes: ANY_SIZE },
  { engine: "wasm", maxBytes: ANY_SIZE },
  { engine: "webcrypto", maxBytes: ANY_SIZE },
];

/** Up to so many bytes wasm is quicker than a call of WebCrypto, which takes five times as long to answer in Gecko. */
const WASM_BYTES = 2048;
const WASM_BYTES_IN_GECKO = 16_384;

const AUTO_ROUTES: Readonly<Record<Exclude<RoutedPrimitive, "aesGcm">, readonly Route[]>> = {
  // For generating pairs and for the public keys of others; stored keys go by RSA_ROUTES.
  rsa: NODE_FIRST,
  ecdsa: [
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "node", maxBytes: ANY_SIZE },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
  ],
  hmac: NODE_FIRST,
};

/**
 * Returns the engines for a primitive in order of preference.
 *
 * @param userAgent what the platform calls itself. It decides nothing but where WebCrypto takes over, and so nothing but speed:
 *   a clock fine enough to measure that is not given to pages.
 */
export function autoRoutes(
  primitive: RoutedPrimitive,
  userAgent: string | undefined = platformName(),
): readonly Route[] {
  if (primitive !== "aesGcm") return AUTO_ROUTES[primitive];
  // Others only say that they are like Gecko.
  const maxBytes = userAgent?.includes("Gecko/") ? WASM_BYTES_IN_GECKO : WASM_BYTES;
  return [
    { engine: "wasm", maxBytes: 1024 },
    { engine: "node", maxBytes: ANY_SIZE },
    // Where there is no node:crypto.
    { engine: "wasm", maxBytes },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
    { engine: "wasm", maxBytes: ANY_SIZE },
  ];
}

function platformName(): string | undefined {
  return typeof navigator === "undefined" ? undefined : navigator.userAgent;
}

/** What a stored EC key is asked for; `verify` is that of its own public key. */
export type EcOperation = "sign" | "verify" | "encrypt" | "decrypt";

const WASM_FIRST: readonly Route[] = [
  { engine: "wasm", maxBytes: ANY_SIZE },
  { engine: "node", maxBytes: ANY_SIZE },
  { engine: "webcrypto", maxBytes: ANY_SIZE },
];

/**
 * Routes of EC keys, by curve and operation. The wasm engine leads everywhere, on P-256 for three reasons that
 * `npm run bench -- routes` shows:
 *
 * * sign: node:crypto is the quicker one by a fifth with OpenSSL 3.0 and takes twice as long with 3.5. It takes no digest,
 *   holds the private key in memory that nobody can wipe, and its import costs sixty signatures of advantage.
 * * verify: node:crypto with OpenSSL 3.0 takes three quarters of the time as long as the kernel has no table for the key,
 *   for twenty verifications; importing the key there costs what eleven of them save.
 * * encrypt and decrypt: the exchange alone is quicker in node:crypto with OpenSSL 3.5, but each message brings a new public
 *   key, and importing that takes longer than the exchange.
 */
export const EC_ROUTES: Readonly<Record<CurveName, Readonly<Record<EcOperation, readonly Route[]>>>> = {
  "P-256": { sign: WASM_FIRST, verify: WASM_FIRST, encrypt: WASM_FIRST, decrypt: WASM_FIRST },
  secp256k1: { sign: WASM_FIRST, verify: WASM_FIRST, encrypt: WASM_FIRST, decrypt: WASM_FIRST },
};

const VECTORS_FIRST: readonly Route[] = [
  { engine: "node", maxBytes: ANY_SIZE, needsVectors: true },
  { engine: "wasm", maxBytes: ANY_SIZE, needsVectors: true },
  ...NODE_FIRST,
];

/**
 * Routes of RSA keys, by the bits of the modulus and operation. Private operations of 3072 and 4096 bits are the quicker ones in
 * the relaxed build unless OpenSSL has AVX512-IFMA for them, which takes half the time; of 2048 bits OpenSSL is ahead either
 * way. The base build takes four times as long as OpenSSL, and serves where there is none. One verification is quicker in
 * node:crypto at every size.
 */
export const RSA_ROUTES: Readonly<Record<number, Readonly<Record<RsaOperation, readonly Route[]>>>> = {
  2048: { private: NODE_FIRST, public: NODE_FIRST },
  3072: { private: VECTORS_FIRST, public: NODE_FIRST },
  4096: { private: VECTORS_FIRST, public: NODE_FIRST },
};

/**
 * Where a batch of RSA signatures is verified, whatever engine has the private key, if it has vector instructions: it does
 * two at once and is then the quicker one by a half and more, from so many items on that they pay for the import of the
 * public key. `npm run bench -- routes` measures it.
 */
export const RSA_BATCH_ROUTE: { readonly engine: "wasm"; readonly minItems: number } = {
  engine: "wasm",
  minItems: 16,
};
