/**
 * Makes of a key in a token what operations call on keys of every other engine. Only what needs the private half goes to
 * the token; hashing and everything with a public key is done in software.
 */

import { KmsError } from "../errors.ts";
import type { SignatureScheme } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { encodeDerSignature, lowerS, readP1363Signature } from "./ecdsa-signature.ts";
import type {
  Awaitable,
  CurveName,
  Ecdsa,
  EcPublicKey,
  HashName,
  Rsa,
  RsaPublicKey,
  Signable,
  TrustedAesKey,
} from "./engine.ts";
import type { HardwareKey } from "./hardware-keys.ts";
import { runsOver } from "./sealed-run.ts";

/** What operations call on RSA keys. */
export type RsaCalls = Awaitable<
  Pick<
    Rsa,
    "signPss" | "signPkcs1" | "verifyPss" | "verifyPkcs1" | "encryptOaep" | "decryptOaep" | "exportSpki"
  >
>;
/** What operations call on EC keys. */
export type EcCalls = Awaitable<Pick<Ecdsa, "sign" | "verify" | "exportSpki">>;

type Hash = (hash: HashName, message: Uint8Array) => MaybePromise<Uint8Array>;

function faultySignature(): KmsError {
  return new KmsError("ServiceUnavailableTemporary", "The HSM made a signature that does not verify.");
}

/** Returns a copy of the digest: the caller may change its own while the token signs. */
function digestOf(hash: Hash, signable: Signable): MaybePromise<Uint8Array> {
  return signable instanceof Uint8Array ? new Uint8Array(signable) : hash(signable.hash, signable.message);
}

export function hardwareAes(key: HardwareKey): Awaitable<TrustedAesKey> {
  const plain: Pick<Awaitable<TrustedAesKey>, "sealInto" | "open"> = {
    sealInto: (iv, plaintext, aad, out, offset) =>
      key.seal(iv, plaintext, aad).then((sealed) => out.set(sealed, offset)),
    open: (iv, sealed, aad) => key.open(iv, sealed, aad),
  };
  return { ...plain, ...runsOver(plain) };
}

/** Finds the key in its token; fails where there is none, which is no matter to the public half. */
type FindKey = () => MaybePromise<HardwareKey>;

/** @param software serves the public half, whose handle is `publicKey` */
export function hardwareRsa(
  find: FindKey,
  software: Awaitable<Rsa>,
  publicKey: RsaPublicKey,
  hash: Hash,
): RsaCalls {
  // Verified before it leaves: one faulty signature made with the Chinese remainder theorem gives the factors away.
  const sign = (signable: Signable, scheme: SignatureScheme): MaybePromise<Uint8Array> =>
    whenReady(digestOf(hash, signable), async (digest) => {
      const key = await find();
      const signature = await key.sign(scheme, digest);
      const isGood =
        scheme.scheme === "pss"
          ? software.verifyPss(publicKey, digest, signature, scheme)
          : software.verifyPkcs1(publicKey, digest, signature, scheme);
      if (!(await isGood)) throw faultySignature();
      return signature;
    });
  return {
    signPss: (_key, signable, { hash: name, saltLength = 0 }) =>
      sign(signable, { scheme: "pss", hash: name, saltLength }),
    signPkcs1: (_key, signable, { hash: name }) => sign(signable, { scheme: "pkcs1", hash: name }),
    verifyPss: (...args) => software.verifyPss(...args),
    verifyPkcs1: (...args) => software.verifyPkcs1(...args),
    encryptOaep: (...args) => {
      // Whoever has the public key can encrypt, but what the token cannot open must not be made here.
      const encrypted = software.encryptOaep(...args);
      const name = `RSAES_OAEP_${args[2].hash.replace("-", "_")}`;
      return whenReady(find(), (key) => key.ensureServes(name).then(() => encrypted));
    },
    decryptOaep: (_key, ciphertext, { hash: name }) => {
      const found = find();
      if (!(found instanceof Promise)) return found.decryptOaep(name, ciphertext);
      const own = new Uint8Array(ciphertext);
      return found.then((key) => key.decryptOaep(name, own));
    },
    exportSpki: (handle) => software.exportSpki(handle),
  };
}

/** @param software serves the public half */
export function hardwareEc(find: FindKey, curve: CurveName, software: Awaitable<Ecdsa>, hash: Hash): EcCalls {
  return {
    sign: (_key, signable, { format = "der", lowS = false } = {}) =>
      whenReady(digestOf(hash, signable), async (digest) => {
        const key = await find();
        const signature = await key.sign({ scheme: "ecdsa", hash: "SHA-256" }, digest);
        const pair = readP1363Signature(curve, signature);
        if (pair === undefined) throw faultySignature();
        if (lowS) lowerS(curve, pair);
        return format === "der" ? encodeDerSignature(pair) : pair;
      }),
    verify: (publicKey: EcPublicKey, ...rest) => software.verify(publicKey, ...rest),
    exportSpki: (handle) => software.exportSpki(handle),
  };
}
