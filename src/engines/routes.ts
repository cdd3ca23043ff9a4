/**
 * Which engine serves what when the caller leaves the choice to us ("auto"): per primitive the engines in order of
 * preference, each up to a payload size. The sizes are measured by `npm run bench -- routes`.
 */

import type { EngineName } from "./engine.ts";

export type RoutedPrimitive = "aesGcm" | "rsa" | "ecdsa" | "ecdh" | "hmac";

/** Takes payloads of at most `maxBytes`. */
export interface Route {
  readonly engine: EngineName;
  readonly maxBytes: number;
}

const ANY_SIZE: number = Number.POSITIVE_INFINITY;

export const AUTO_ROUTES: Readonly<Record<RoutedPrimitive, readonly Route[]>> = {
  aesGcm: [
    { engine: "wasm", maxBytes: 1024 },
    { engine: "node", maxBytes: ANY_SIZE },
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
  ],
  rsa: [
    { engine: "node", maxBytes: ANY_SIZE },
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
  ],
  ecdsa: [
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "node", maxBytes: ANY_SIZE },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
  ],
  ecdh: [
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "node", maxBytes: ANY_SIZE },
  ],
  hmac: [
    { engine: "node", maxBytes: ANY_SIZE },
    { engine: "wasm", maxBytes: ANY_SIZE },
    { engine: "webcrypto", maxBytes: ANY_SIZE },
  ],
};
