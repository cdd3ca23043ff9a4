/** The wasm kernels against node:crypto and noble over far more random cases than `npm test` has time for. */

import { createCipheriv, createHash, createHmac, createSecretKey, randomBytes, randomInt } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";

const GCM_CASES = 100_000;
const HASH_CASES = 20_000;
const SIGNATURES = 3000;

function served<T>(primitive: T | undefined): T {
  if (primitive === undefined) throw new Error("the engine does not serve this primitive");
  return primitive;
}

/** Lengths are mostly short, at times long enough for the bulk kernels. */
function randomLength(): number {
  return randomInt(8) === 0 ? randomInt(5000) : randomInt(200);
}

describe.each(["base", "simd", "relaxed"] as const)("the %s build", (build) => {
  const engine: Engine = createWasmEngine({ build, relaxedSimd: "force" });

  test(`seals and opens ${GCM_CASES} random messages like node:crypto`, () => {
    const aesGcm = served(engine.aesGcm);
    for (let i = 0; i < GCM_CASES; ) {
      const keyBytes = randomBytes([16, 24, 32][i % 3] ?? 32);
      const key = aesGcm.importKey(keyBytes);
      const keyObject = createSecretKey(keyBytes);
      const cipherName = `aes-${keyBytes.length * 8}-gcm` as "aes-256-gcm";
      for (let j = 0; j < 50; j++, i++) {
        const iv = randomBytes(12);
        const plaintext = randomBytes(randomLength());
        const aad = randomBytes(randomInt(120));
        const cipher = createCipheriv(cipherName, keyObject, iv).setAAD(aad);
        const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
        const sealed = aesGcm.seal(key, iv, plaintext, aad);
        if (!expected.equals(sealed)) throw new Error(`case ${i}: the ciphertexts differ`);
        const opened = aesGcm.open(key, iv, sealed, aad);
        if (opened === undefined || !plaintext.equals(opened)) throw new Error(`case ${i}: not opened`);
        const flipped = randomInt(sealed.length * 8);
        sealed[flipped >> 3] = (sealed[flipped >> 3] ?? 0) ^ (1 << (flipped & 7));
        if (aesGcm.open(key, iv, sealed, aad) !== undefined)
          throw new Error(`case ${i}: a forgery was opened`);
      }
      key.destroy();
    }
  });

  test.each(["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const)(
    "hashes and MACs with %s like node:crypto",
    (hash) => {
      const name = hash.toLowerCase().replace("-", "");
      for (let i = 0; i < HASH_CASES; i++) {
        const message = randomBytes(randomLength());
        const key = randomBytes(randomInt(1, 200));
        const digest = createHash(name).update(message).digest();
        const mac = createHmac(name, key).update(message).digest();
        if (!digest.equals(served(engine.hash)(hash, message)))
          throw new Error(`case ${i}: the digests differ`);
        if (!mac.equals(served(engine.hmac).sign(hash, key, message)))
          throw new Error(`case ${i}: the MACs differ`);
      }
    },
  );

  test.each([
    ["P-256", p256],
    ["secp256k1", secp256k1],
  ] as const)("signs and verifies on %s with node:crypto and noble", async (curve, noble) => {
    const node = createNodeEngine();
    const [ours, theirs] = [served(engine.ecdsa), served(node.ecdsa)];
    for (let i = 0; i < SIGNATURES; ) {
      const scalar = noble.utils.randomSecretKey();
      const ourKey = ours.importPrivateKey(curve, scalar);
      const theirKey = theirs.importPrivateKey(curve, scalar);
      const [ourPublic, theirPublic] = [ours.publicKey(ourKey), theirs.publicKey(theirKey)];
      expect(Buffer.compare(ours.exportSpki(ourPublic), theirs.exportSpki(theirPublic))).toBe(0);
      for (let j = 0; j < 50; j++, i++) {
        const signable = { message: randomBytes(randomInt(100)), hash: "SHA-256" } as const;
        const signature = ours.sign(ourKey, signable, { format: "p1363", lowS: true });
        if (!theirs.verify(theirPublic, signable, signature, { format: "p1363" }))
          throw new Error(`case ${i}: node says no`);
        const expected = noble.sign(signable.message, scalar, { lowS: true });
        if (Buffer.compare(signature, expected) !== 0)
          throw new Error(`case ${i}: not the RFC 6979 signature`);
        if (!ours.verify(ourPublic, signable, theirs.sign(theirKey, signable)))
          throw new Error(`case ${i}: we say no`);
      }
    }
    node.close();
  });
});
