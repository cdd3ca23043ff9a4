/** Frames for bound keys, made of plain bytes. */

import type { AadFrame } from "../../src/engines/engine.ts";

/** Copies additional data, of which the last 12 bytes are the IV, into a frame of its own. */
export function frameOf(aad: Uint8Array): AadFrame {
  const bytes = new Uint8Array(aad);
  const ivStart = bytes.length - 12;
  return {
    bytes,
    iv: new Int32Array(bytes.buffer, ivStart, 3),
    ivBytes: bytes.subarray(ivStart),
    revision: 0,
  };
}
