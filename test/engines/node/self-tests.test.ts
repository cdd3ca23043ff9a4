/** Breaks each self-test of the node engine in turn, and sees that the engine then serves nothing at all. */

import { afterEach, describe, expect, test } from "vitest";
import type { Engine } from "../../../src/engines/engine.ts";
import { createNodeEngine } from "../../../src/engines/node/index.ts";
import { ECDSA_ANSWERS, fromHex, RSA_ANSWER } from "../../../src/engines/self-test-vectors.ts";
import { codeOf, codeOfAsync, served } from "../../conformance/engine-support.ts";

const flag = globalThis as { KEYPLANE_BREAK_SELF_TEST?: string | undefined };

const bytes = new Uint8Array(16);
const message = { message: bytes, hash: "SHA-256" } as const;
const rsaHash = { hash: "SHA-256" } as const;

/** The first call that needs each self-test. */
const CALLS: readonly (readonly [string, (engine: Engine) => unknown])[] = [
  ["aes-gcm", (engine) => served(engine, "aesGcm").importKey(bytes)],
  [
    "ecdsa-p256",
    (engine) => served(engine, "ecdsa").importPrivateKey("P-256", fromHex(ECDSA_ANSWERS["P-256"].scalar)),
  ],
  [
    "ecdsa-secp256k1",
    (engine) => served(engine, "ecdsa").importPublicKey("secp256k1", fromHex(ECDSA_ANSWERS.secp256k1.point)),
  ],
  [
    "ecdh",
    (engine) => {
      const key = served(engine, "ecdsa").importPrivateKey("P-256", fromHex(ECDSA_ANSWERS["P-256"].scalar));
      return served(engine, "ecdh").deriveBits(key, served(engine, "ecdsa").publicKey(key));
    },
  ],
  ["rsa-pkcs1", (engine) => served(engine, "rsa").importPrivateKey(fromHex(RSA_ANSWER.pkcs8))],
  [
    "rsa-pss",
    (engine) => {
      const rsa = served(engine, "rsa");
      return rsa.signPss(rsa.importPrivateKey(fromHex(RSA_ANSWER.pkcs8)), message, rsaHash);
    },
  ],
  [
    "rsa-oaep",
    (engine) => {
      const rsa = served(engine, "rsa");
      return rsa.encryptOaep(rsa.publicKey(rsa.importPrivateKey(fromHex(RSA_ANSWER.pkcs8))), bytes, rsaHash);
    },
  ],
  ["hash", (engine) => served(engine, "hash")("SHA-256", bytes)],
  ["hmac", (engine) => served(engine, "hmac").sign("SHA-256", bytes, bytes)],
  ["hkdf", (engine) => served(engine, "hkdf")("SHA-256", bytes, bytes, bytes, 16)],
  ["aes-kw", (engine) => served(engine, "aesKw").wrap(bytes, bytes)],
  ["aes-kwp", (engine) => served(engine, "aesKwp").wrap(bytes, bytes)],
];

/** Every method with arguments that would pass; handles come from a time when the engine still served. */
async function everyCall(
  engine: Engine,
  handles: Awaited<ReturnType<typeof makeHandles>>,
): Promise<Map<string, string>> {
  const { aes, ecPrivate, ecPublic, rsaPrivate, rsaPublic } = handles;
  const [aesGcm, ecdsa, ecdh, rsa] = [
    served(engine, "aesGcm"),
    served(engine, "ecdsa"),
    served(engine, "ecdh"),
    served(engine, "rsa"),
  ];
  const iv = new Uint8Array(12);
  const out = new Uint8Array(64);
  const shape = { count: 0, aadLength: 0, plaintextLength: 0 };
  const calls: Record<string, () => unknown> = {
    "aesGcm.importKey": () => aesGcm.importKey(bytes),
    "aesGcm.seal": () => aesGcm.seal(aes, iv, bytes),
    "aesGcm.open": () => aesGcm.open(aes, iv, bytes),
    "aesGcm.sealInto": () => aesGcm.sealInto(aes, iv, bytes, undefined, out, 0),
    "aesGcm.openInto": () => aesGcm.openInto(aes, iv, bytes, undefined, out, 0),
    "aesGcm.sealBatch": () => aesGcm.sealBatch(aes, []),
    "aesGcm.openBatch": () => aesGcm.openBatch(aes, []),
    "aesGcm.sealPacked": () => aesGcm.sealPacked(aes, new Uint8Array(0), shape),
    "aesGcm.openPacked": () => aesGcm.openPacked(aes, new Uint8Array(0), shape),
    "ecdsa.importPrivateKey": () => ecdsa.importPrivateKey("P-256", new Uint8Array(32).fill(1)),
    "ecdsa.importPublicKey": () => ecdsa.importPublicKey("P-256", fromHex(ECDSA_ANSWERS["P-256"].point)),
    "ecdsa.publicKey": () => ecdsa.publicKey(ecPrivate),
    "ecdsa.exportPkcs8": () => ecdsa.exportPkcs8(ecPrivate),
    "ecdsa.exportSpki": () => ecdsa.exportSpki(ecPublic),
    "ecdsa.exportPoint": () => ecdsa.exportPoint(ecPublic),
    "ecdsa.sign": () => ecdsa.sign(ecPrivate, message),
    "ecdsa.verify": () => ecdsa.verify(ecPublic, message, bytes),
    "ecdsa.signBatch": () => ecdsa.signBatch([]),
    "ecdsa.verifyBatch": () => ecdsa.verifyBatch([]),
    "ecdh.deriveBits": () => ecdh.deriveBits(ecPrivate, ecPublic),
    "rsa.importPrivateKey": () => rsa.importPrivateKey(fromHex(RSA_ANSWER.pkcs8)),
    "rsa.importPublicKey": () => rsa.importPublicKey(handles.spki),
    "rsa.publicKey": () => rsa.publicKey(rsaPrivate),
    "rsa.exportPkcs8": () => rsa.exportPkcs8(rsaPrivate),
    "rsa.exportSpki": () => rsa.exportSpki(rsaPublic),
    "rsa.signPss": () => rsa.signPss(rsaPrivate, message, rsaHash),
    "rsa.verifyPss": () => rsa.verifyPss(rsaPublic, message, bytes, rsaHash),
    "rsa.signPkcs1": () => rsa.signPkcs1(rsaPrivate, message, rsaHash),
    "rsa.verifyPkcs1": () => rsa.verifyPkcs1(rsaPublic, message, bytes, rsaHash),
    "rsa.signPssBatch": () => rsa.signPssBatch([], rsaHash),
    "rsa.verifyPssBatch": () => rsa.verifyPssBatch([], rsaHash),
    "rsa.signPkcs1Batch": () => rsa.signPkcs1Batch([], rsaHash),
    "rsa.verifyPkcs1Batch": () => rsa.verifyPkcs1Batch([], rsaHash),
    "rsa.encryptOaep": () => rsa.encryptOaep(rsaPublic, bytes, rsaHash),
    "rsa.decryptOaep": () => rsa.decryptOaep(rsaPrivate, bytes, rsaHash),
    "hmac.sign": () => engine.hmac?.sign("SHA-256", bytes, bytes),
    hash: () => engine.hash?.("SHA-256", bytes),
    hkdf: () => engine.hkdf?.("SHA-256", bytes, bytes, bytes, 16),
    "aesKw.wrap": () => engine.aesKw?.wrap(bytes, bytes),
    "aesKw.unwrap": () => engine.aesKw?.unwrap(bytes, bytes),
    "aesKwp.wrap": () => engine.aesKwp?.wrap(bytes, bytes),
    "aesKwp.unwrap": () => engine.aesKwp?.unwrap(bytes, bytes),
  };
  const codes = new Map(Object.entries(calls).map(([name, call]) => [name, codeOf(call)]));
  codes.set("ecdsa.generateKey", await codeOfAsync(() => ecdsa.generateKey("P-256")));
  // A short generation is enough here: what is refused is refused before it starts.
  codes.set("rsa.generateKey", await codeOfAsync(() => rsa.generateKey(2048)));
  return codes;
}

async function makeHandles(engine: Engine) {
  const ecdsa = served(engine, "ecdsa");
  const rsa = served(engine, "rsa");
  const ec = await ecdsa.generateKey("P-256");
  const rsaPrivate = rsa.importPrivateKey(fromHex(RSA_ANSWER.pkcs8));
  const rsaPublic = rsa.publicKey(rsaPrivate);
  return {
    aes: served(engine, "aesGcm").importKey(bytes),
    ecPrivate: ec.privateKey,
    ecPublic: ec.publicKey,
    rsaPrivate,
    rsaPublic,
    spki: rsa.exportSpki(rsaPublic),
  };
}

describe("the self-tests of the node engine", () => {
  afterEach(() => {
    delete flag.KEYPLANE_BREAK_SELF_TEST;
  });

  test.each(CALLS)(
    "%s passes, and broken it makes the first call that needs it fail, and every later one",
    (name, call) => {
      expect(codeOf(() => call(createNodeEngine()))).toBe("none");
      const engine = createNodeEngine();
      flag.KEYPLANE_BREAK_SELF_TEST = name;
      expect(codeOf(() => call(engine))).toBe("InternalFailure");
      delete flag.KEYPLANE_BREAK_SELF_TEST;
      for (const [, other] of CALLS) expect(codeOf(() => other(engine))).toBe("InternalFailure");
    },
  );

  test("no method serves after a failed self-test, and none after close", async () => {
    const engine = createNodeEngine();
    const handles = await makeHandles(engine);
    const before = await everyCall(engine, handles);
    expect([...before].filter(([, code]) => code !== "none")).toEqual([]);

    const failing = createNodeEngine();
    flag.KEYPLANE_BREAK_SELF_TEST = "hash";
    expect(codeOf(() => failing.hash?.("SHA-256", bytes))).toBe("InternalFailure");
    const after = await everyCall(failing, handles);
    expect([...after].filter(([, code]) => code !== "InternalFailure")).toEqual([]);

    engine.close();
    engine.close();
    const closed = await everyCall(engine, handles);
    expect([...closed].filter(([, code]) => code !== "InvalidParameter")).toEqual([]);
    expect(closed.size).toBe(before.size);
  });

  test("a broken engine leaves others alone", () => {
    flag.KEYPLANE_BREAK_SELF_TEST = "hmac";
    const broken = createNodeEngine();
    expect(codeOf(() => broken.hmac?.sign("SHA-256", bytes, bytes))).toBe("InternalFailure");
    delete flag.KEYPLANE_BREAK_SELF_TEST;
    expect(codeOf(() => createNodeEngine().hmac?.sign("SHA-256", bytes, bytes))).toBe("none");
  });
});
