/** Uses a key in an engine, at once where it is there already and after a wait where the engine still takes it in. */

import { copyBytes } from "../bytes.ts";
import { KmsError } from "../errors.ts";
import { assertUsable, type KeyVersion } from "../keys/key.ts";
import type { KeyUsage } from "../keys/key-spec.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { type OperationContext, resolveKey } from "./context.ts";

/**
 * Looks again after a wait: a key deleted or disabled meanwhile must not be used once more.
 *
 * @throws KmsError `Rejected.Closed`, `Forbidden.KeyNotFound`, `Rejected.Disabled`, `Rejected.PendingDeletion`
 */
export function refuseGone(context: OperationContext, version: KeyVersion, usage: KeyUsage): void {
  context.records.refuseClosed();
  if (context.ring.findVersion(version.idBytes) !== version) resolveKey(context, version.key.keyId);
  assertUsable(version.key, usage);
}

/**
 * Calls `use` with a binding of a version and the caller's arrays: these themselves when the binding is there, copies
 * that are wiped in the end when it is to come, since the caller may change its own once the call has returned.
 */
export function withBinding<Binding, Inputs extends readonly Uint8Array[], Answer>(
  context: OperationContext,
  version: KeyVersion,
  usage: KeyUsage,
  binding: MaybePromise<Binding>,
  inputs: Inputs,
  use: (binding: Binding, inputs: Inputs) => MaybePromise<Answer>,
): MaybePromise<Answer> {
  if (!(binding instanceof Promise)) return use(binding, inputs);
  if (!context.mayWait) throw notThereYet(binding);
  const copies = inputs.map(copyBytes) as readonly Uint8Array[] as Inputs;
  return binding
    .then(
      (ready) => {
        refuseGone(context, version, usage);
        return use(ready, copies);
      },
      (error: unknown) => {
        // Of a key that was let go meanwhile the wait ends badly: what became of it is the better answer.
        refuseGone(context, version, usage);
        throw error;
      },
    )
    .finally(() => {
      for (const copy of copies) copy.fill(0);
    });
}

/** Refuses a call that must answer at once; what it would have waited for goes on, for later ones. */
function notThereYet(binding: Promise<unknown>): KmsError {
  binding.catch(() => undefined);
  return new KmsError(
    "Rejected.UnsupportedOperation",
    "What this key needs is still being loaded, or answers asynchronously; use the async call, once at least.",
  );
}
