/** The portable platform (browsers, edge runtimes): the wasm engine, PBKDF2 by Web Cryptography, no files. */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { Engine, EngineName } from "../engines/engine.ts";
import { randomBytes } from "../engines/random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import { createWasmEngine } from "../engines/wasm/index.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import type { EngineVariant, Platform } from "./platform.ts";

const PBKDF2_ITERATIONS = 600_000;
const SALT_LENGTH = 16;

/** One wasm engine a variant for the whole realm. */
const engines: Map<string, Engine> = new Map();

function engine(name: EngineName, variant: EngineVariant): Engine | undefined {
  if (name !== "wasm") return undefined;
  const id = `${variant.relaxedSimd} ${variant.verifySignatures}`;
  const known = engines.get(id);
  if (known !== undefined) return known;
  const made = createWasmEngine(variant);
  engines.set(id, made);
  return made;
}

function newKdf(): KdfParameters {
  const salt = publicToHex(randomBytes(SALT_LENGTH));
  return { name: "pbkdf2-sha-256", iterations: PBKDF2_ITERATIONS, salt };
}

async function deriveFromPassphrase(
  passphrase: Uint8Array,
  kdf: KdfParameters,
): Promise<Uint8Array | undefined> {
  if (kdf.name !== "pbkdf2-sha-256") return undefined;
  const imported = await crypto.subtle.importKey(
    "raw",
    passphrase as Uint8Array<ArrayBuffer>,
    "PBKDF2",
    false,
    ["deriveBits"],
  );
  const salt = hexToBytes(kdf.salt) as Uint8Array<ArrayBuffer>;
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations: kdf.iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, imported, ROOT_KEY_LENGTH * 8));
}

const webPlatform: Platform = {
  engine,
  rootKey: { newKdf, deriveFromPassphrase, readFile: async () => undefined },
  newCiphertextBlock: () => undefined,
};

/** A KMS in this page or worker. Open one with `Kms.open`, close it to wipe its keys. */
export class Kms extends PortableKms {
  /**
   * Opens a store (in memory if none is given) and makes its keys usable.
   *
   * @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `ServiceUnavailableTemporary`, `InternalFailure`
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    return new Kms(await PortableKms.openContext(options, webPlatform));
  }
}
