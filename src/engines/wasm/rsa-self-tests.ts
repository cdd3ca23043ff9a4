/** Known-answer tests of RSA in the wasm engine, one for each padding. */

import { concatBytes, equalBytesVartime } from "../../bytes.ts";
import { readRsaPkcs8 } from "../key-encoding.ts";
import type { SelfTest } from "../self-test.ts";
import { fromHex, RSA_ANSWER } from "../self-test-vectors.ts";
import { hashFacts } from "./hash.ts";
import type { RsaKeys, RsaSecret } from "./rsa-keys.ts";
import type { RsaOperations, RsaSigning } from "./rsa-operations.ts";

export interface RsaSelfTests {
  readonly pkcs1: SelfTest;
  readonly pss: SelfTest;
  readonly oaep: SelfTest;
}

function flipLastBit(bytes: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(bytes);
  flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
  return flipped;
}

export function rsaSelfTests(keys: RsaKeys, rsa: RsaOperations): RsaSelfTests {
  const hash = hashFacts("SHA-256");

  /** Lets a test use the stored key, whose primes are known to be prime. */
  function withKey(test: (secret: RsaSecret, digest: Uint8Array) => Uint8Array): Uint8Array {
    const secret = keys.secretOf(readRsaPkcs8(fromHex(RSA_ANSWER.pkcs8)));
    try {
      return test(secret, rsa.hash(hash, fromHex(RSA_ANSWER.message)));
    } finally {
      keys.wipe(secret);
    }
  }

  /** Verifies signatures one at a time and then all together: a byte each, 1 for a valid one. */
  function verdicts(
    secret: RsaSecret,
    digest: Uint8Array,
    padding: RsaSigning,
    signatures: readonly Uint8Array[],
  ): Uint8Array {
    const jobs = signatures.map((signature) => ({ key: secret.public.raw, digest, signature, padding }));
    return Uint8Array.from([...jobs.map((job) => rsa.verify(job)), ...rsa.verifyMany(jobs)], Number);
  }

  return {
    pkcs1: {
      name: "rsa-pkcs1",
      get expected() {
        return concatBytes(fromHex(RSA_ANSWER.pkcs1), Uint8Array.of(1, 0, 1, 0));
      },
      compute: () =>
        withKey((secret, digest) => {
          const padding: RsaSigning = { scheme: "pkcs1", hash };
          const signature = rsa.sign(secret.raw, digest, padding);
          const stored = fromHex(RSA_ANSWER.pkcs1);
          return concatBytes(signature, verdicts(secret, digest, padding, [stored, flipLastBit(stored)]));
        }),
    },
    pss: {
      name: "rsa-pss",
      expected: Uint8Array.of(1, 0, 1, 1, 0, 1),
      compute: () =>
        withKey((secret, digest) => {
          const padding: RsaSigning = { scheme: "pss", hash, saltLength: 32 };
          const stored = fromHex(RSA_ANSWER.pss);
          const fresh = rsa.sign(secret.raw, digest, padding);
          return verdicts(secret, digest, padding, [stored, flipLastBit(stored), fresh]);
        }),
    },
    oaep: {
      name: "rsa-oaep",
      get expected() {
        return fromHex(RSA_ANSWER.oaepPlaintext);
      },
      compute: () =>
        withKey((secret) => {
          const oaep = { hash, mgfHash: hash, label: fromHex(RSA_ANSWER.oaepLabel) };
          const stored = fromHex(RSA_ANSWER.oaep);
          const plaintext = rsa.decryptOaep(secret.raw, stored, oaep) ?? new Uint8Array(0);
          const again = rsa.decryptOaep(
            secret.raw,
            rsa.encryptOaep(secret.public.raw, plaintext, oaep),
            oaep,
          );
          const forged = rsa.decryptOaep(secret.raw, flipLastBit(stored), oaep);
          const otherLabel = rsa.decryptOaep(secret.raw, stored, { ...oaep, label: new Uint8Array(0) });
          const holds =
            again !== undefined &&
            equalBytesVartime(again, plaintext) &&
            (forged ?? otherLabel) === undefined;
          return holds ? plaintext : new Uint8Array(0);
        }),
    },
  };
}
