/** The others that seal with AES-GCM, each used as its documentation shows, with whatever it can cache cached. */

import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { gcm } from "@noble/ciphers/aes.js";
import { AES } from "@stablelib/aes";
import { GCM } from "@stablelib/gcm";

/** Seals under one key; the result is ciphertext and tag in whatever form the peer gives. */
export type Seal = (iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array) => unknown;

export interface Peers {
  readonly "node:crypto": Seal;
  readonly "node:crypto open": (iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array) => unknown;
  readonly "@noble/ciphers": Seal;
  readonly "@stablelib/gcm": Seal;
  readonly sjcl: Seal;
  readonly "@transcend-io (Rust wasm)": Seal;
}

interface Sjcl {
  readonly cipher: { readonly aes: new (key: readonly number[]) => unknown };
  readonly codec: { readonly bytes: { toBits(bytes: ArrayLike<number>): readonly number[] } };
  readonly mode: {
    readonly gcm: {
      encrypt(
        cipher: unknown,
        plaintext: readonly number[],
        iv: readonly number[],
        aad: readonly number[],
        tagLength: number,
      ): readonly number[];
    };
  };
}

interface Encryptor {
  init_adata(aad: Uint8Array): void;
  update(chunk: Uint8Array): Uint8Array;
  finalize(): Uint8Array;
}

/** @param key 32 bytes */
export async function loadPeers(key: Uint8Array): Promise<Peers> {
  const cipherName = `aes-${key.length * 8}-gcm` as "aes-256-gcm";
  const keyObject = createSecretKey(key);
  const stablelib = new GCM(new AES(key));
  return {
    "node:crypto": (iv, plaintext, aad) => {
      const cipher = createCipheriv(cipherName, keyObject, iv).setAAD(aad);
      return [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
    },
    "node:crypto open": (iv, sealed, aad) => {
      const decipher = createDecipheriv(cipherName, keyObject, iv).setAAD(aad);
      decipher.setAuthTag(sealed.subarray(sealed.length - 16));
      return [decipher.update(sealed.subarray(0, sealed.length - 16)), decipher.final()];
    },
    "@noble/ciphers": (iv, plaintext, aad) => gcm(key, iv, aad).encrypt(plaintext),
    "@stablelib/gcm": (iv, plaintext, aad) => stablelib.seal(iv, plaintext, aad),
    sjcl: await sjclSeal(key),
    "@transcend-io (Rust wasm)": await transcendSeal(key),
  };
}

async function sjclSeal(key: Uint8Array): Promise<Seal> {
  const { default: sjcl } = (await import("sjcl" as string)) as { default: Sjcl };
  // The stock build has neither GCM nor byte arrays where it was made without them.
  if (sjcl.mode.gcm === undefined) throw new Error("this build of sjcl has no GCM");
  const bits = (bytes: Uint8Array): readonly number[] => {
    const words: number[] = [];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i + 4 <= bytes.length; i += 4) words.push(view.getInt32(i));
    return words;
  };
  const aes = new sjcl.cipher.aes(bits(key));
  return (iv, plaintext, aad) => sjcl.mode.gcm.encrypt(aes, bits(plaintext), bits(iv), bits(aad), 128);
}

async function transcendSeal(key: Uint8Array): Promise<Seal> {
  const folder = new URL("../wasm/", import.meta.resolve("@transcend-io/encrypt-web-streams"));
  const glue = (await import(new URL("aes_gcm_stream_wasm.js", folder).href)) as {
    initSync(options: { module: Uint8Array }): void;
    Encryptor: new (key: Uint8Array, iv: Uint8Array) => Encryptor;
  };
  glue.initSync({ module: readFileSync(new URL("aes_gcm_stream_wasm_bg.wasm", folder)) });
  return (iv, plaintext, aad) => {
    const encryptor = new glue.Encryptor(key, iv);
    encryptor.init_adata(aad);
    return [encryptor.update(plaintext), encryptor.finalize()];
  };
}
