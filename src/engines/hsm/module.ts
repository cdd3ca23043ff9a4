/** Looks into a PKCS#11 module: which one it is, which tokens it sees, what they can do. */

import { isAbsolute } from "node:path";
import { ensure } from "../../errors.ts";
import { loadAddon, type ModuleInfo } from "./addon.ts";
import { HsmError } from "./hsm-error.ts";

/**
 * Loads a module, asks what it and its tokens are, and unloads it, off the main thread. Whoever names a library runs its code.
 *
 * @param library absolute path of the module; a bare name would be searched for where others may write
 * @throws KmsError `InvalidParameter`; `Rejected.UnsupportedOperation` where there is no addon
 * @throws HsmError if the library is no module, or with the code of the function that failed
 */
export async function probeModule(library: string): Promise<ModuleInfo> {
  ensure(typeof library === "string", "InvalidParameter", "library must be a string.");
  ensure(!library.includes("\0"), "InvalidParameter", "library must not contain NUL.");
  ensure(isAbsolute(library), "InvalidParameter", "library must be an absolute path.");
  const addon = loadAddon();
  try {
    return await addon.probe(library);
  } catch (cause) {
    const { message, ckr, ckrName } = cause as Error & { ckr?: number; ckrName?: string };
    throw new HsmError(message, { ckr, ckrName, cause });
  }
}
