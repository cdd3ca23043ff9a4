/** What operations ask before they use a key in a token. */

import { KmsError } from "../errors.ts";
import type { OperationContext } from "./context.ts";

/**
 * Refuses calls that a key in a token does not take, before anything is spent on them.
 *
 * @param isAdvance under `limits: "strict"` the vendor's advance* calls and rotation are for software keys only
 * @throws KmsError `Rejected.UnsupportedOperation`
 */
export function refuseOnHardware(context: OperationContext, isAdvance: boolean): void {
  if (isAdvance && context.isStrict) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "Hardware keys take no advance* calls and do not rotate.",
    );
  }
  if (!context.mayWait) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "The key is in an HSM, which answers asynchronously; use the async call.",
    );
  }
}
