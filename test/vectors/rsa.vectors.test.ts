/**
 * Wycheproof's RSA vectors: PKCS#1 v1.5 and PSS verification, PKCS#1 v1.5 generation, OAEP decryption. Signatures are
 * verified over the message and over its digest, which are different paths.
 */

import { createHash } from "node:crypto";
import type { HashName, Signable } from "../../src/engines/engine.ts";
import { readRsaPkcs8 } from "../../src/engines/key-encoding.ts";
import { codeOf, OPENSSL_HASH, served } from "../conformance/engine-support.ts";
import {
  countTests,
  describeWycheproof,
  type Group,
  hashField,
  hexField,
  judge,
  same,
  type Vector,
  type Verdict,
} from "./wycheproof.ts";

function isOfServedHash(group: Group): boolean {
  return hashField(group, "sha") !== undefined;
}

function hasEqualPrimes(group: Group): boolean {
  const { n, p, q } = readRsaPkcs8(hexField(group, "privateKeyPkcs8"));
  return [p, q].every((prime) => 2 * prime.length === n.length && (prime[0] ?? 0) >= 0x80);
}

function hasMgfHashOfItsOwn(group: Group): boolean {
  return group["sha"] !== group["mgfSha"];
}

/** Verifies the message and its digest; both must agree, and a missing NULL is refused although it may be taken. */
function judgeSignature(vector: Vector, hash: HashName, verify: (signable: Signable) => boolean): Verdict {
  const message = hexField(vector, "msg");
  const digest = new Uint8Array(createHash(OPENSSL_HASH[hash]).update(message).digest());
  const accepted = verify({ message, hash });
  if (verify(digest) !== accepted) return "wrong";
  if (accepted && vector.flags.includes("MissingNull")) return "wrong";
  return judge(vector, accepted);
}

describeWycheproof({
  family: "RSA PKCS#1 v1.5 verification",
  primitive: "rsa",
  files: /^rsa_signature_(2048|3072|4096)_sha(1|256|384|512)_test\.json$/,
  group(engine, group) {
    const rsa = served(engine, "rsa");
    const hash = hashField(group, "sha");
    if (hash === undefined) return "unserved";
    const key = rsa.importPublicKey(hexField(group, "publicKeyDer"));
    return (vector) =>
      judgeSignature(vector, hash, (signable) =>
        rsa.verifyPkcs1(key, signable, hexField(vector, "sig"), { hash }),
      );
  },
});

describeWycheproof({
  family: "RSA PSS verification",
  primitive: "rsa",
  files: /^rsa_pss_(2048|3072|4096)_sha(1|256|384|512)_mgf1_\d+_test\.json$/,
  group(engine, group) {
    const rsa = served(engine, "rsa");
    const hash = hashField(group, "sha");
    if (hash === undefined || hasMgfHashOfItsOwn(group)) return "unserved";
    const key = rsa.importPublicKey(hexField(group, "publicKeyDer"));
    const options = { hash, saltLength: Number(group["sLen"]) };
    return (vector) =>
      judgeSignature(vector, hash, (signable) =>
        rsa.verifyPss(key, signable, hexField(vector, "sig"), options),
      );
  },
});

describeWycheproof({
  family: "RSA PKCS#1 v1.5 generation",
  primitive: "rsa",
  files: /^rsa_pkcs1_(2048|3072|4096)_sig_gen_test\.json$/,
  group(engine, group) {
    const rsa = served(engine, "rsa");
    const hash = hashField(group, "sha");
    if (hash === undefined) return "unserved";
    if (engine.name === "wasm" && !hasEqualPrimes(group)) {
      const refusal = codeOf(() => rsa.importPrivateKey(hexField(group, "privateKeyPkcs8")));
      return refusal === "Rejected.UnsupportedOperation" ? "unserved" : () => "wrong";
    }
    const key = rsa.importPrivateKey(hexField(group, "privateKeyPkcs8"));
    return (vector) => {
      const message = hexField(vector, "msg");
      const digest = new Uint8Array(createHash(OPENSSL_HASH[hash]).update(message).digest());
      const signatures = [{ message, hash }, digest].map((signable) =>
        rsa.signPkcs1(key, signable, { hash }),
      );
      return signatures.every((signature) => same(signature, hexField(vector, "sig"))) ? "right" : "wrong";
    };
  },
  // SHA-224 is no hash of any engine, and the wasm engine takes primes of one length.
  unserved: (engine, _file, groups) =>
    countTests(groups, (group) => !isOfServedHash(group) || (engine === "wasm" && !hasEqualPrimes(group))),
});

describeWycheproof({
  family: "RSA OAEP decryption",
  primitive: "rsa",
  files: /^rsa_oaep_(2048|3072|4096)_sha(1|256|384|512)_mgf1sha(1|256|384|512)_test\.json$/,
  group(engine, group) {
    const rsa = served(engine, "rsa");
    const hash = hashField(group, "sha");
    const mgfHash = hashField(group, "mgfSha");
    if (hash === undefined || mgfHash === undefined) return "unserved";
    const key = rsa.importPrivateKey(hexField(group, "privateKeyPkcs8"));
    return (vector) => {
      const options = { hash, mgfHash, label: hexField(vector, "label") };
      const decrypt = (): Uint8Array | undefined => rsa.decryptOaep(key, hexField(vector, "ct"), options);
      if (codeOf(decrypt) === "Rejected.UnsupportedOperation") return "unserved";
      const plaintext = decrypt();
      if (plaintext !== undefined && !same(plaintext, hexField(vector, "msg"))) return "wrong";
      return judge(vector, plaintext !== undefined);
    };
  },
  unserved: (engine, _file, groups) => (engine === "node" ? countTests(groups, hasMgfHashOfItsOwn) : 0),
});
