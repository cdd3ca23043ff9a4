/** Looks into a PKCS#11 module and initialises tokens: which module it is, which tokens it sees, what they can do. */

import { isAbsolute } from "node:path";
import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import { type InitTokenOptions, loadAddon, type ModuleInfo, type ModuleOptions } from "./addon.ts";
import { fromRejection } from "./judge.ts";

function checkLibrary(library: unknown): asserts library is string {
  ensure(typeof library === "string", "InvalidParameter", "library must be a string.");
  ensure(!library.includes("\0"), "InvalidParameter", "library must not contain NUL.");
  ensure(isAbsolute(library), "InvalidParameter", "library must be an absolute path.");
}

/**
 * Loads a module, asks what it and its tokens are, and unloads it, off the main thread. Whoever names a library runs its code.
 *
 * @param library absolute path of the module; a bare name would be searched for where others may write
 * @throws KmsError `InvalidParameter`; `Rejected.UnsupportedOperation` where there is no addon
 * @throws HsmError if the library is no module, or with the code of the function that failed
 */
export async function probeModule(library: string, options: ModuleOptions = {}): Promise<ModuleInfo> {
  checkLibrary(library);
  const addon = loadAddon();
  try {
    return await addon.probe(library, options);
  } catch (cause) {
    throw fromRejection(cause, undefined);
  }
}

const MAX_LABEL_BYTES = 32;

/**
 * Initialises the token of a slot and sets the user's PIN. Everything in the token is lost.
 *
 * @throws KmsError `InvalidParameter`; `Rejected.UnsupportedOperation` where there is no addon
 * @throws HsmError with the code of the function that failed
 */
export async function initToken(options: InitTokenOptions): Promise<void> {
  checkLibrary(options.library);
  ensureBytes(options.soPin, "soPin");
  ensureBytes(options.userPin, "userPin");
  const length = new TextEncoder().encode(options.label).length;
  ensure(
    length >= 1 && length <= MAX_LABEL_BYTES,
    "InvalidParameter",
    "label must be 1 to 32 bytes of UTF-8.",
  );
  const addon = loadAddon();
  try {
    await addon.initToken(options);
  } catch (cause) {
    throw fromRejection(cause, undefined);
  }
}
