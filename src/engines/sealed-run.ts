/** `sealRun` and `openRun` for engines to which a prefix in front of the ciphertext is nothing special. */

import type { TrustedAesKey } from "./engine.ts";

const IV_LENGTH = 12;

/** Builds the two calls from the two plain ones. */
export function runsOver({
  sealInto,
  open,
}: Pick<TrustedAesKey, "sealInto" | "open">): Pick<TrustedAesKey, "sealRun" | "openRun"> {
  return {
    sealRun: (aad, prefixLength, plaintext, out, offset) => {
      sealInto(aad.subarray(aad.length - IV_LENGTH), plaintext, aad, out, offset + prefixLength);
      if (prefixLength > 0) out.set(aad.subarray(aad.length - prefixLength), offset);
    },
    openRun: (aad, prefixLength, run) => {
      const ownAad = new Uint8Array(aad);
      const prefix = run.subarray(0, prefixLength);
      ownAad.set(prefix, aad.length - prefixLength);
      return open(prefix.subarray(prefixLength - IV_LENGTH), run.subarray(prefixLength), ownAad);
    },
  };
}
