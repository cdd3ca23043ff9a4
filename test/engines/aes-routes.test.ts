/** Where "auto" hands AES-GCM over to another engine. */

import { expect, test } from "vitest";
import type { EngineName } from "../../src/engines/engine.ts";
import { autoRoutes } from "../../src/engines/routes.ts";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
const CHROME =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const SAFARI =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15";

/** The engine for a size where these engines are there. */
function engineOf(
  userAgent: string | undefined,
  byteLength: number,
  ...there: EngineName[]
): string | undefined {
  return autoRoutes("aesGcm", userAgent).find(
    ({ engine, maxBytes }) => byteLength <= maxBytes && there.includes(engine),
  )?.engine;
}

test.each([
  ["Firefox", FIREFOX, 16_384],
  ["Chrome", CHROME, 2048],
  ["Safari", SAFARI, 2048],
  ["a runtime without a name", undefined, 2048],
])("in %s WebCrypto takes over from wasm", (_, userAgent, border) => {
  expect(engineOf(userAgent, border, "wasm", "webcrypto")).toBe("wasm");
  expect(engineOf(userAgent, border + 1, "wasm", "webcrypto")).toBe("webcrypto");
  expect(engineOf(userAgent, border + 1, "wasm")).toBe("wasm");
  expect(engineOf(userAgent, 0, "webcrypto")).toBe("webcrypto");
});

test("node:crypto takes over from wasm above 1 KiB, whatever the name", () => {
  for (const userAgent of [FIREFOX, CHROME, "Node.js/24", undefined]) {
    expect(engineOf(userAgent, 1024, "wasm", "node", "webcrypto")).toBe("wasm");
    expect(engineOf(userAgent, 1025, "wasm", "node", "webcrypto")).toBe("node");
  }
});
