/** Breaks each self-test of the wasm engine in turn, and sees that the engine then serves nothing at all. */

import { afterEach, describe, expect, test } from "vitest";
import type { Engine } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { codeOf, served } from "../../conformance/engine-support.ts";

const flag = globalThis as { KEYPLANE_BREAK_SELF_TEST?: string | undefined };

const bytes = new Uint8Array(16);

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
