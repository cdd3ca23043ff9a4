/**
 * The portable platform (browsers, edge runtimes): the wasm engine, WebCrypto for bulk and where WebAssembly is forbidden,
 * PBKDF2 by Web Cryptography, no files.
 */

import { hexToBytes, publicToHex } from "../bytes.ts";
import type { AsyncEngine, Engine, EngineName } from "../engines/engine.ts";
import { randomBytes } from "../engines/random.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import type { AnyEngine, EngineChoice } from "../engines/router.ts";
import { createWasmEngine } from "../engines/wasm/index.ts";
import { createWebCryptoEngine } from "../engines/webcrypto/index.ts";
import { KmsError } from "../errors.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import type { EngineVariant, Platform } from "./platform.ts";

const PBKDF2_ITERATIONS = 600_000;
const SALT_LENGTH = 16;

/** One wasm engine a variant for the whole realm; undefined inside where the runtime refuses it. */
const engines: Map<string, Engine | undefined> = new Map();
/** WebCrypto engines by whether they verify signatures. */
const webCrypto: Map<boolean, AsyncEngine> = new Map();
let hasWarned = false;

/** Makes WebCrypto ready unless only wasm may serve. A page that is no secure context has none, which is an error only if it is needed. */
async function prepare(choice: EngineChoice, { verifySignatures }: EngineVariant): Promise<void> {
  if (choice === "wasm" || webCrypto.has(verifySignatures)) return;
  try {
    webCrypto.set(verifySignatures, await createWebCryptoEngine({ verifySignatures }));
  } catch (error) {
    if (choice === "webcrypto" || !isUnsupported(error)) throw error;
  }
}

function engine(name: EngineName, variant: EngineVariant, isOptional: boolean): AnyEngine | undefined {
  if (name === "webcrypto") return webCrypto.get(variant.verifySignatures);
  if (name !== "wasm") return undefined;
  const id = `${variant.relaxedSimd} ${variant.verifySignatures}`;
  const known = engines.get(id);
  if (known !== undefined || (isOptional && engines.has(id))) return known;
  const made = makeWasmEngine(variant, isOptional);
  engines.set(id, made);
  return made;
}

function isUnsupported(error: unknown): error is KmsError {
  return error instanceof KmsError && error.code === "Rejected.UnsupportedOperation";
}

/** Makes the wasm engine; where the runtime refuses it and WebCrypto can stand in, says so once. */
function makeWasmEngine(variant: EngineVariant, isOptional: boolean): Engine | undefined {
  try {
    return createWasmEngine(variant);
  } catch (error) {
    if (!isOptional || !isUnsupported(error) || !webCrypto.has(variant.verifySignatures)) throw error;
    if (!hasWarned) {
      hasWarned = true;
      console.warn(
        `keyplane: WebCrypto serves instead of WebAssembly, without secp256k1 and synchronous calls. ${error.message}`,
      );
    }
    return undefined;
  }
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
  prepare,
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
