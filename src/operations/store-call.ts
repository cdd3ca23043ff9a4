/** Calls of the key store, whose implementations may throw anything. */

import { KmsError } from "../errors.ts";
import type { MaybePromise } from "../maybe-promise.ts";

/** Calls the store; an error that is not a `KmsError` becomes `InternalFailure`, for callers and batches know no others. */
export function storeCall(call: () => void | Promise<void>): MaybePromise<void> {
  try {
    const done = call();
    return done === undefined ? undefined : Promise.resolve(done).catch(refuse);
  } catch (error) {
    return refuse(error);
  }
}

function refuse(cause: unknown): never {
  if (cause instanceof KmsError) throw cause;
  throw new KmsError("InternalFailure", "The store failed to keep a change.", { cause });
}
