/** Loads the native addon, the only code that talks to PKCS#11, and says how its functions look from here. */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { KmsError } from "../../errors.ts";

/** A version as PKCS#11 counts: 2.40 is newer than 2.9. */
export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** A slot with a token in it. */
export interface TokenInfo {
  /** Names the slot until the module is loaded anew; tokens are told apart by label and serial. */
  readonly slotId: number;
  /** Empty while the token is not initialised. */
  readonly tokenLabel: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly serial: string;
  /** CKF_… bits of CK_TOKEN_INFO. */
  readonly flags: number;
  /** CKM_… numbers the token lists; some tokens serve them only in part. */
  readonly mechanisms: readonly number[];
}

/** What a module says about itself and its tokens. */
export interface ModuleInfo {
  readonly cryptokiVersion: Version;
  readonly manufacturer: string;
  readonly description: string;
  readonly libraryVersion: Version;
  readonly slots: readonly TokenInfo[];
}

/** The functions of native/addon.cc. What they reject with has `ckr` and `ckrName` where a module gave a code. */
export interface Addon {
  probe(library: string): Promise<ModuleInfo>;
}

// The same three steps up from src/engines/hsm/ and from dist/engines/hsm/.
const ADDON_FILE = fileURLToPath(new URL("../../../build/Release/keyplane.node", import.meta.url));

/**
 * Loads the addon when it is first needed; a missing one is looked for again at the next call.
 *
 * @param file the compiled addon
 * @throws KmsError `Rejected.UnsupportedOperation` if it is not built or does not run on this platform
 */
export function loadAddon(file: string = ADDON_FILE): Addon {
  if (!existsSync(file)) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "The native addon is not built: run node .config/build-addon.mjs, which needs a C++ compiler.",
    );
  }
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    throw new KmsError("Rejected.UnsupportedOperation", "The native addon does not run on this platform.", {
      cause,
    });
  }
}
