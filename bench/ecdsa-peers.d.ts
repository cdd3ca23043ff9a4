/** What the ECDSA bench uses of peers that bring no types. */

declare module "secp256k1" {
  const native: {
    ecdsaSign(digest: Uint8Array, scalar: Uint8Array): unknown;
    ecdsaVerify(pair: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean;
  };
  export default native;
}

declare module "hacl-wasm" {
  interface HaclModule {
    readonly P256: {
      ecdsa_sign_without_hash(digest: Uint8Array, scalar: Uint8Array, nonce: Uint8Array): unknown;
      ecdsa_verif_without_hash(digest: Uint8Array, point: Uint8Array, r: Uint8Array, s: Uint8Array): unknown;
    };
  }
  const hacl: { getInitializedHaclModule(): Promise<HaclModule> };
  export default hacl;
}
