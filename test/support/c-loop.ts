/** Loads the test addon that loops over a module's function table as a C program would (test/native/c_loop.cc). */

import { createRequire } from "node:module";
import { resolve } from "node:path";

export interface LoopRequest {
  readonly library: string;
  readonly slotId: number;
  readonly keyId: Uint8Array;
  /** AES-GCM sealing, ECDSA, RSA-PSS, or sealing by messages of PKCS #11 3.0. */
  readonly operation: "gcm" | "ecdsa" | "pss" | "message";
  readonly textLength: number;
  readonly threads: number;
  readonly milliseconds: number;
  /** Uses a session copy of the key. */
  readonly copies: boolean;
}

interface CLoop {
  /** Returns operations a second. */
  loop(request: LoopRequest): Promise<number>;
  /** Calls C_Finalize, and returns its code. */
  finalize(library: string): number;
}

const FILE = resolve("build/Release/c_loop.node");

export function loadCLoop(file: string = FILE): CLoop {
  return createRequire(import.meta.url)(file) as CLoop;
}
