/**
 * The words every engine speaks: one interface a primitive, the same in every engine's tree. An engine
 * that does not serve a primitive leaves the property undefined. Handles are opaque; key bytes never leave one.
 *
 * Every method of the "wasm" and "node" engines is synchronous but `generateKey`; every method of "webcrypto" but
 * `destroy` and `close` answers with a promise, and has read its arguments when it returns. Errors are `KmsError`s:
 * `InvalidParameter` (argument shape, IV length, a destroyed or foreign handle), `InvalidKeyMaterial` (a key that
 * does not parse or is not valid), `Rejected.UnsupportedOperation` (known but not served),
 * `InternalFailure` (a self-test, a pairwise test or the check of a signature failed: the engine refuses every call).
 */

import type { MaybePromise } from "../maybe-promise.ts";

export type EngineName = "wasm" | "node" | "webcrypto";
export type HashName = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";
export type CurveName = "P-256" | "secp256k1";
export type RsaModulusBits = 2048 | 3072 | 4096;
/** "recoverable" is r ‖ s ‖ v of 65 bytes: v is 1 where y of the nonce's point is odd, and 2 more where its x was above n. */
export type EcdsaFormat = "der" | "p1363" | "recoverable";

declare const handleBrand: unique symbol;

/** What all key handles share. `destroy` wipes the key at once; using the handle afterwards is `InvalidParameter`. */
interface Handle<Kind extends string> {
  readonly [handleBrand]?: Kind;
  destroy(): void;
}

/** An AES key with whatever its engine caches for it. */
export interface AesKey extends Handle<"aes"> {
  /** Key length in bytes: 16, 24 or 32. */
  readonly byteLength: number;
}
export interface EcPrivateKey extends Handle<"ec-private"> {
  readonly curve: CurveName;
}
export interface EcPublicKey extends Handle<"ec-public"> {
  readonly curve: CurveName;
}
export interface RsaPrivateKey extends Handle<"rsa-private"> {
  readonly modulusBits: number;
}
export interface RsaPublicKey extends Handle<"rsa-public"> {
  readonly modulusBits: number;
}

/** What is signed: a digest as it is, or a message that the engine hashes first. */
export type Signable = Uint8Array | { readonly message: Uint8Array; readonly hash: HashName };

export interface GenerateKeyOptions {
  readonly signal?: AbortSignal;
  /** Called with a fraction from 0 to 1 now and then; engines that cannot tell call it with 1 at the end. */
  readonly onProgress?: (fraction: number) => void;
}

export interface SealItem {
  readonly key?: AesKey;
  readonly iv: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly aad?: Uint8Array | undefined;
}
export interface OpenItem {
  readonly key?: AesKey;
  readonly iv: Uint8Array;
  readonly sealed: Uint8Array;
  readonly aad?: Uint8Array | undefined;
}
/** Shape of equally long records laid end to end: iv (12) ‖ aad ‖ plaintext or sealed. */
export interface PackedShape {
  readonly count: number;
  readonly aadLength: number;
  readonly plaintextLength: number;
}

/** Additional authenticated data that its maker rewrites from message to message. An engine that answers later copies it. */
export interface AadFrame {
  /** A multiple of 16 bytes, the last 12 of them the IV of the message. */
  readonly bytes: Uint8Array;
  /** The IV, as three words over the end of `bytes`. */
  readonly iv: Int32Array;
  /** The IV, as a view of the end of `bytes`. */
  readonly ivBytes: Uint8Array;
  /** Changes whenever `bytes` does in anything but the IV, so that what is in place need not be moved again. */
  readonly revision: number;
}

/** One AES key for a caller that has checked every argument itself: nothing is checked again but that the key lives. */
export interface TrustedAesKey {
  /** Writes ciphertext ‖ tag at `offset` of `out`. */
  sealInto(iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array, out: Uint8Array, offset: number): void;
  /** Returns undefined for any failure. The result owns its ArrayBuffer. */
  open(iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /**
   * Seals under the IV that the frame ends with and writes its last `prefixLength` bytes ‖ ciphertext ‖ tag at `offset` of
   * `out`: what is stored in front of a ciphertext is authenticated and moved with it in one piece.
   *
   * @param prefixLength 0, or 12 and more: the IV is a part of what is written, or nothing is
   */
  sealRun(
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void;
  /**
   * Opens what `sealRun` wrote: a prefix, which stands for the end of the frame, and ciphertext ‖ tag. Returns undefined for
   * any failure. The result owns its ArrayBuffer.
   *
   * @param prefixLength 12 and more
   */
  openRun(frame: AadFrame, prefixLength: number, run: Uint8Array): Uint8Array | undefined;
  /** Where the engine does many messages at once better than one by one: borrows what collects them. */
  borrowStage?(): SealStage;
}

/** Collects messages that are sealed together. One batch holds it at a time and gives it back, come what may. */
export interface SealStage {
  /**
   * Copies a message for `sealRun`, which a later `add` or `flush` does at the latest; false where that has to be done at
   * once, because the key is another engine's or the message is long.
   *
   * @throws KmsError what `sealRun` of an earlier message would throw
   */
  add(
    key: Awaitable<TrustedAesKey>,
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean;
  /** Seals all there is. */
  flush(): void;
  /** Wipes what was not sealed and gives the stage back to its engine. */
  release(): void;
}

/** AES-GCM with 96-bit IVs and 128-bit tags (SP 800-38D). `sealed` is ciphertext ‖ tag. */
export interface AesGcm {
  /** @param key 16, 24 or 32 bytes; copied */
  importKey(key: Uint8Array): AesKey;
  seal(key: AesKey, iv: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array;
  /** Returns undefined for any failure, a too short input included. The result owns its ArrayBuffer. */
  open(key: AesKey, iv: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined;
  /** Writes ciphertext ‖ tag at `offset` of `out` (may be the plaintext's own buffer, in place); returns the bytes written. */
  sealInto(
    key: AesKey,
    iv: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number;
  /** Writes the plaintext at `offset` of `out`; on failure zeroes that range and returns undefined. */
  openInto(
    key: AesKey,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    out: Uint8Array,
    offset: number,
  ): number | undefined;
  /** Seals every item under its own key, or `key` where it has none. */
  sealBatch(key: AesKey | undefined, items: readonly SealItem[]): Uint8Array[];
  openBatch(key: AesKey | undefined, items: readonly OpenItem[]): (Uint8Array | undefined)[];
  /**
   * Binds a key for the facade, in engines where checking twice would show. Unsafe for others: wrong lengths, shared or
   * detached memory and ranges outside `out` are not noticed.
   */
  unsafeBind?(key: AesKey): TrustedAesKey;
  /** Reads records of iv ‖ aad ‖ plaintext; returns (or fills `out` with) the sealed parts end to end. */
  sealPacked(key: AesKey, records: Uint8Array, shape: PackedShape, out?: Uint8Array): Uint8Array;
  /** Reads records of iv ‖ aad ‖ sealed; `ok[i]` is 1 where record i opened, its plaintext is zeroed where not. */
  openPacked(
    key: AesKey,
    records: Uint8Array,
    shape: PackedShape,
    out?: Uint8Array,
  ): { plaintexts: Uint8Array; ok: Uint8Array };
}

export interface SignEcdsaOptions {
  readonly format?: EcdsaFormat;
  readonly lowS?: boolean;
  /** Hash of the RFC 6979 nonce generator when a bare digest is signed. */
  readonly hash?: HashName;
  /**
   * Mixes 32 fresh random bytes into a deterministic nonce (RFC 6979, 3.6); nonces that are random anyway ignore it. Without,
   * never use one scalar on two curves: they would share nonces.
   */
  readonly hedged?: boolean;
}
export interface VerifyEcdsaOptions {
  readonly format?: "der" | "p1363";
  /** Refuses a signature whose s is above n/2. */
  readonly lowS?: boolean;
}

/** ECDSA over P-256 and secp256k1 (FIPS 186-5, SEC 1), and the EC key formats. */
export interface Ecdsa {
  /** @param key PKCS#8 (RFC 5915 inside) or the 32-byte scalar, 1 <= d < n; named curves only */
  importPrivateKey(curve: CurveName, key: Uint8Array): EcPrivateKey;
  /** @param key SPKI, or a SEC 1 point of 33 or 65 bytes on the curve */
  importPublicKey(curve: CurveName, key: Uint8Array): EcPublicKey;
  generateKey(
    curve: CurveName,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: EcPrivateKey; publicKey: EcPublicKey }>;
  publicKey(privateKey: EcPrivateKey): EcPublicKey;
  exportPkcs8(key: EcPrivateKey): Uint8Array;
  exportSpki(key: EcPublicKey): Uint8Array;
  exportPoint(key: EcPublicKey, options?: { readonly compressed?: boolean }): Uint8Array;
  sign(key: EcPrivateKey, signable: Signable, options?: SignEcdsaOptions): Uint8Array;
  /** Never throws on a signature: anything that is not a valid one, of any shape, is false. */
  verify(key: EcPublicKey, signable: Signable, signature: Uint8Array, options?: VerifyEcdsaOptions): boolean;
  signBatch(
    items: readonly { key: EcPrivateKey; signable: Signable }[],
    options?: SignEcdsaOptions,
  ): Uint8Array[];
  verifyBatch(
    items: readonly { key: EcPublicKey; signable: Signable; signature: Uint8Array }[],
    options?: VerifyEcdsaOptions,
  ): boolean[];
}

/** ECDH (SP 800-56A, 5.7.1.2) on the handles of `Ecdsa`. */
export interface Ecdh {
  /** Returns the shared x coordinate, 32 bytes. */
  deriveBits(privateKey: EcPrivateKey, publicKey: EcPublicKey): Uint8Array;
}

export interface PssOptions {
  readonly hash: HashName;
  /** Bytes; the hash length if absent. */
  readonly saltLength?: number;
}
export interface VerifyPssOptions {
  readonly hash: HashName;
  /** Bytes; the hash length if absent. "auto" takes the length that the signature was made with. */
  readonly saltLength?: number | "auto";
}
export interface Pkcs1Options {
  readonly hash: HashName;
}
export interface OaepOptions {
  readonly hash: HashName;
  /** Hash of MGF1; `hash` if absent. */
  readonly mgfHash?: HashName;
  readonly label?: Uint8Array;
}

/** RSA (RFC 8017) with moduli of 2048, 3072 and 4096 bits. */
export interface Rsa {
  importPrivateKey(pkcs8: Uint8Array): RsaPrivateKey;
  importPublicKey(spki: Uint8Array): RsaPublicKey;
  generateKey(
    modulusBits: RsaModulusBits,
    options?: GenerateKeyOptions,
  ): Promise<{ privateKey: RsaPrivateKey; publicKey: RsaPublicKey }>;
  publicKey(privateKey: RsaPrivateKey): RsaPublicKey;
  exportPkcs8(key: RsaPrivateKey): Uint8Array;
  exportSpki(key: RsaPublicKey): Uint8Array;
  signPss(key: RsaPrivateKey, signable: Signable, options: PssOptions): Uint8Array;
  verifyPss(key: RsaPublicKey, signable: Signable, signature: Uint8Array, options: VerifyPssOptions): boolean;
  signPkcs1(key: RsaPrivateKey, signable: Signable, options: Pkcs1Options): Uint8Array;
  verifyPkcs1(key: RsaPublicKey, signable: Signable, signature: Uint8Array, options: Pkcs1Options): boolean;
  signPssBatch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: PssOptions,
  ): Uint8Array[];
  verifyPssBatch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: VerifyPssOptions,
  ): boolean[];
  signPkcs1Batch(
    items: readonly { key: RsaPrivateKey; signable: Signable }[],
    options: Pkcs1Options,
  ): Uint8Array[];
  verifyPkcs1Batch(
    items: readonly { key: RsaPublicKey; signable: Signable; signature: Uint8Array }[],
    options: Pkcs1Options,
  ): boolean[];
  encryptOaep(key: RsaPublicKey, plaintext: Uint8Array, options: OaepOptions): Uint8Array;
  /** Returns undefined on any padding failure or wrong length. */
  decryptOaep(key: RsaPrivateKey, ciphertext: Uint8Array, options: OaepOptions): Uint8Array | undefined;
}

/** HMAC (FIPS 198-1) with raw key bytes. */
export interface Hmac {
  sign(hash: HashName, key: Uint8Array, message: Uint8Array): Uint8Array;
}

/** AES key wrap (RFC 3394) or with padding (RFC 5649), raw key bytes; `unwrap` returns undefined on failure. */
export interface KeyWrap {
  wrap(kek: Uint8Array, key: Uint8Array): Uint8Array;
  unwrap(kek: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined;
}

export type Hkdf = (
  hash: HashName,
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
) => Uint8Array;

/** What an engine serves, as data: per primitive the parameter values it takes. */
export type Capabilities = Readonly<Record<string, readonly string[]>>;

/** Compiled modules of the wasm engine, each of any of its builds. */
export interface WasmModules {
  /** AES-GCM, hashes, HMAC and AES key wrap: `base.wasm`, `simd.wasm` or `relaxed.wasm`. */
  readonly main?: WebAssembly.Module | undefined;
  /** Elliptic curves: `ecc-base.wasm`, `ecc-simd.wasm` or `ecc-relaxed.wasm`. */
  readonly ecc?: WebAssembly.Module | undefined;
  /** RSA: `rsa-base.wasm` or `rsa-relaxed.wasm`. */
  readonly rsa?: WebAssembly.Module | undefined;
}

/** The same words with every answer a promise. */
export type Promised<Primitive> = Primitive extends (...args: infer Arguments) => infer Answer
  ? (...args: Arguments) => Promise<Awaited<Answer>>
  : {
      readonly [Name in keyof Primitive]: Primitive[Name] extends (...args: infer Arguments) => infer Answer
        ? (...args: Arguments) => Promise<Awaited<Answer>>
        : Primitive[Name];
    };

/** The same words with every answer a value or a promise, as whoever may face either kind of engine sees them. */
export type Awaitable<Primitive> = Primitive extends (...args: infer Arguments) => infer Answer
  ? (...args: Arguments) => MaybePromise<Awaited<Answer>>
  : {
      readonly [Name in keyof Primitive]: Primitive[Name] extends (...args: infer Arguments) => infer Answer
        ? (...args: Arguments) => MaybePromise<Awaited<Answer>>
        : Primitive[Name];
    };

/** What each primitive is called, and its words in a synchronous engine. */
interface Primitives {
  readonly aesGcm?: AesGcm;
  readonly ecdsa?: Ecdsa;
  readonly ecdh?: Ecdh;
  readonly rsa?: Rsa;
  readonly hmac?: Hmac;
  readonly hash?: (hash: HashName, message: Uint8Array) => Uint8Array;
  readonly hkdf?: Hkdf;
  readonly aesKw?: KeyWrap;
  readonly aesKwp?: KeyWrap;
}

/** What an engine says of itself. */
interface EngineFacts<Name extends EngineName> {
  readonly name: Name;
  /** Which build runs: for wasm "base", "simd" or "relaxed", for node the OpenSSL version, for webcrypto the platform's name. */
  readonly build: string;
  readonly capabilities: Capabilities;
  /** Wipes every key the engine holds; later calls are `InvalidParameter`. */
  close(): void;
}

/** A set of primitives over one implementation. An unserved primitive is undefined. */
export interface Engine extends Primitives, EngineFacts<"wasm" | "node"> {
  /**
   * Tells whether RSA private operations on a modulus of so many bits run on vector instructions: fused multiply-adds of the
   * relaxed build, AVX512-IFMA of OpenSSL. It decides which engine is the quicker one.
   */
  usesVectorsForRsa?(modulusBits: number): boolean;
}

/** An engine whose every answer is a promise. */
export interface AsyncEngine extends EngineFacts<"webcrypto"> {
  readonly aesGcm?: Promised<Omit<AesGcm, "unsafeBind">>;
  readonly ecdsa?: Promised<Ecdsa>;
  readonly ecdh?: Promised<Ecdh>;
  readonly rsa?: Promised<Rsa>;
  readonly hmac?: Promised<Hmac>;
  readonly hash?: Promised<NonNullable<Primitives["hash"]>>;
  readonly hkdf?: Promised<Hkdf>;
  readonly aesKw?: Promised<KeyWrap>;
  readonly aesKwp?: Promised<KeyWrap>;
}
