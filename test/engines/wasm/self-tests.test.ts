/** Breaks each self-test of the wasm engine in turn, and sees that the engine then serves nothing at all. */

import { afterEach, describe, expect, test } from "vitest";
import type { Engine, RsaPublicKey } from "../../../src/engines/engine.ts";
import { encodeRsaSpki, readRsaPkcs8 } from "../../../src/engines/key-encoding.ts";
import { fromHex, RSA_ANSWER } from "../../../src/engines/self-test-vectors.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { codeOf, served } from "../../conformance/engine-support.ts";

const flag = globalThis as { KEYPLANE_BREAK_SELF_TEST?: string | undefined };

const bytes = new Uint8Array(16);
const RSA_KEY = fromHex(RSA_ANSWER.pkcs8);

function publicKeyOf(engine: Engine): RsaPublicKey {
  return served(engine, "rsa").importPublicKey(encodeRsaSpki(readRsaPkcs8(RSA_KEY)));
}

function verifyWith(engine: Engine, verify: "verifyPkcs1" | "verifyPss"): boolean {
  const digest = new Uint8Array(32);
  return served(engine, "rsa")[verify](publicKeyOf(engine), digest, new Uint8Array(256), { hash: "SHA-256" });
}

/** The first call that needs each self-test. */
const CALLS: readonly (readonly [string, (engine: Engine) => unknown])[] = [
  ["aes-gcm", (engine) => served(engine, "aesGcm").importKey(bytes)],
  ["hash", (engine) => served(engine, "hash")("SHA-256", bytes)],
  ["hmac", (engine) => served(engine, "hmac").sign("SHA-256", bytes, bytes)],
  ["hkdf", (engine) => served(engine, "hkdf")("SHA-256", bytes, bytes, bytes, 16)],
  ["aes-kw", (engine) => served(engine, "aesKw").wrap(bytes, bytes)],
  ["aes-kw", (engine) => served(engine, "aesKw").unwrap(bytes, bytes)],
  ["aes-kwp", (engine) => served(engine, "aesKwp").wrap(bytes, bytes)],
  ["aes-kwp", (engine) => served(engine, "aesKwp").unwrap(bytes, bytes)],
  ["rsa-pkcs1", (engine) => served(engine, "rsa").importPrivateKey(RSA_KEY)],
  ["rsa-pkcs1", (engine) => verifyWith(engine, "verifyPkcs1")],
  ["rsa-pss", (engine) => verifyWith(engine, "verifyPss")],
  [
    "rsa-oaep",
    (engine) => served(engine, "rsa").encryptOaep(publicKeyOf(engine), bytes, { hash: "SHA-256" }),
  ],
];

describe("the self-tests of the wasm engine", () => {
  afterEach(() => {
    delete flag.KEYPLANE_BREAK_SELF_TEST;
  });

  test.each(CALLS)(
    "%s passes, and broken it makes the first call that needs it fail, and every later one",
    (name, call) => {
      expect(codeOf(() => call(createWasmEngine()))).toBe("none");
      const engine = createWasmEngine();
      flag.KEYPLANE_BREAK_SELF_TEST = name;
      expect(codeOf(() => call(engine))).toBe("InternalFailure");
      delete flag.KEYPLANE_BREAK_SELF_TEST;
      for (const [, other] of CALLS) expect(codeOf(() => other(engine))).toBe("InternalFailure");
      expect(codeOf(() => call(createWasmEngine()))).toBe("none");
    },
  );

  test("no call is served after close", () => {
    const engine = createWasmEngine();
    for (const [, call] of CALLS) expect(codeOf(() => call(engine))).toBe("none");
    engine.close();
    engine.close();
    for (const [, call] of CALLS) expect(codeOf(() => call(engine))).toBe("InvalidParameter");
  });
});
