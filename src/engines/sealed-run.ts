/** `sealRun` and `openRun` for engines to which a prefix in front of the ciphertext is nothing special. */

import { copyShort } from "../bytes.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { TrustedAesKey } from "./engine.ts";

const IV_LENGTH = 12;

/** The two plain calls, whose answers may take their time. */
interface Plain<Sealed extends MaybePromise<void>, Opened extends MaybePromise<Uint8Array | undefined>> {
  readonly sealInto: (...args: Parameters<TrustedAesKey["sealInto"]>) => Sealed;
  readonly open: (...args: Parameters<TrustedAesKey["open"]>) => Opened;
}

/** The two calls with a prefix. */
interface Runs<Sealed, Opened> {
  readonly sealRun: (...args: Parameters<TrustedAesKey["sealRun"]>) => Sealed;
  readonly openRun: (...args: Parameters<TrustedAesKey["openRun"]>) => Opened;
}

/** Builds the two calls from the two plain ones. */
export function runsOver<
  Sealed extends MaybePromise<void>,
  Opened extends MaybePromise<Uint8Array | undefined>,
>({ sealInto, open }: Plain<Sealed, Opened>): Runs<Sealed, Opened> {
  return {
    sealRun: ({ bytes, ivBytes }, prefixLength, plaintext, out, offset) => {
      const done = sealInto(ivBytes, plaintext, bytes, out, offset + prefixLength);
      copyShort(bytes, bytes.length - prefixLength, out, offset, prefixLength);
      return done;
    },
    openRun: ({ bytes }, prefixLength, run) => {
      const ownAad = new Uint8Array(bytes);
      const prefix = run.subarray(0, prefixLength);
      ownAad.set(prefix, bytes.length - prefixLength);
      return open(prefix.subarray(prefixLength - IV_LENGTH), run.subarray(prefixLength), ownAad);
    },
  };
}
