/** The Node platform (Bun and Deno too): wasm and node:crypto engines, scrypt, root key files. */

import { randomBytes as nodeRandomBytes, scrypt } from "node:crypto";
import { open } from "node:fs/promises";
import { markAsUntransferable } from "node:worker_threads";
import type { AnyEngine, EngineChoice } from "../engines/choose-engine.ts";
import type { AsyncEngine, Engine, EngineName } from "../engines/engine.ts";
import { createNodeEngine } from "../engines/node/index.ts";
import { type KdfParameters, ROOT_KEY_LENGTH } from "../engines/root-key.ts";
import { createWasmEngine } from "../engines/wasm/inlined.ts";
import { createWebCryptoEngine } from "../engines/webcrypto/index.ts";
import { KmsError } from "../errors.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import { isUnsupported, WasmEngines } from "./engine-cache.ts";
import type { EngineVariant, Platform } from "./platform.ts";

/** scrypt (RFC 7914): 128 MiB and about half a second per guess. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
const SALT_LENGTH = 16;

const wasmEngines: WasmEngines = new WasmEngines();
/** The other engines by whether they verify signatures, once they were asked for. */
const nodeEngines: Map<boolean, Engine> = new Map();
const webCrypto: Map<boolean, AsyncEngine> = new Map();

/** Makes the WebCrypto engine when it is asked for by name: everything it serves, node:crypto serves quicker. */
async function prepare(choice: EngineChoice, variant: EngineVariant): Promise<void> {
  const { verifySignatures } = variant;
  wasmEngines.forgetShortage(variant);
  if (choice !== "webcrypto" || webCrypto.has(verifySignatures)) return;
  webCrypto.set(verifySignatures, await createWebCryptoEngine({ verifySignatures }));
}

function engine(name: EngineName, variant: EngineVariant, isOptional: boolean): AnyEngine | undefined {
  const { verifySignatures } = variant;
  if (name === "webcrypto") return webCrypto.get(verifySignatures);
  if (name === "wasm") return wasmEngine(variant, isOptional);
  const made = nodeEngines.get(verifySignatures) ?? createNodeEngine({ verifySignatures });
  nodeEngines.set(verifySignatures, made);
  return made;
}

/** Gives the wasm engine; undefined where another may serve and there is no WebAssembly, as under `--jitless`. */
function wasmEngine(variant: EngineVariant, isOptional: boolean): Engine | undefined {
  try {
    return wasmEngines.get(variant, () => createWasmEngine(variant));
  } catch (error) {
    if (isOptional && isUnsupported(error)) return undefined;
    throw error;
  }
}

function newKdf(): KdfParameters {
  return { name: "scrypt", ...SCRYPT, salt: nodeRandomBytes(SALT_LENGTH).toString("hex") };
}

async function deriveFromPassphrase(
  passphrase: Uint8Array,
  kdf: KdfParameters,
): Promise<Uint8Array | undefined> {
  if (kdf.name !== "scrypt") return undefined;
  const { N, r, p } = kdf;
  const maxmem = 256 * N * r;
  const salt = Buffer.from(kdf.salt, "hex");
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, ROOT_KEY_LENGTH, { N, r, p, maxmem }, (error, key) => {
      if (error !== null) return reject(error);
      const own = new Uint8Array(key);
      key.fill(0);
      resolve(own);
    });
  });
}

const GROUP_AND_OTHERS = 0o077;

/** Reads a root key file: 32 raw bytes that only its owner may read. @throws KmsError `InvalidRootKey` */
async function readFile(path: string): Promise<Uint8Array> {
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw new KmsError("InvalidRootKey", "The root key file cannot be opened.", { cause });
  });
  const buffer = new Uint8Array(ROOT_KEY_LENGTH + 1);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new KmsError("InvalidRootKey", "The root key file is not a file.");
    if (process.platform !== "win32" && (stats.mode & GROUP_AND_OTHERS) !== 0) {
      throw new KmsError(
        "InvalidRootKey",
        "The root key file must be readable by its owner only (mode 0600).",
      );
    }
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead !== ROOT_KEY_LENGTH) {
      throw new KmsError("InvalidRootKey", "The root key file must hold exactly 32 bytes.");
    }
    return buffer.slice(0, ROOT_KEY_LENGTH);
  } finally {
    buffer.fill(0);
    await handle.close();
  }
}

function newCiphertextBlock(byteLength: number): ArrayBuffer {
  const block = new ArrayBuffer(byteLength);
  markAsUntransferable(block);
  return block;
}

const nodePlatform: Platform = {
  prepare,
  prepareBulk: async () => undefined,
  engine,
  rootKey: { newKdf, deriveFromPassphrase, readFile },
  newCiphertextBlock,
};

/**
 * Writes a fresh root key to a new file that only its owner may read.
 *
 * @throws the file system's error when the file exists or cannot be made
 */
export async function createRootKeyFile(path: string): Promise<void> {
  const key = crypto.getRandomValues(new Uint8Array(ROOT_KEY_LENGTH));
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(key);
    await handle.sync();
  } finally {
    key.fill(0);
    await handle.close();
  }
}

/** A KMS in this process. Open one with `Kms.open`, close it to wipe its keys. */
export class Kms extends PortableKms {
  /**
   * Opens a store (in memory if none is given) and makes its keys usable.
   *
   * @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `ServiceUnavailableTemporary`, `InternalFailure`
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    return new Kms(await PortableKms.openContext(options, nodePlatform));
  }
}
