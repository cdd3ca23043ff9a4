/** The package as the runtime or bundler resolves it by name. */

import { Kms, KmsError } from "keyplane";
import { loadEngine } from "keyplane/engine";
import { decryptStream, encryptStream } from "keyplane/stream";
import type { Library } from "./support.ts";

export const library: Library = { Kms, KmsError, loadEngine, encryptStream, decryptStream };
