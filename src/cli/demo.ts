/**
 * The main job, run by `npm start [-- FILE]`: every kind of key, a file through envelope encryption and a rotation,
 * refusals, signatures checked by somebody else, and what one core can do. Exits with 0 only if all of it held.
 */

import { constants, createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import { createReadStream, createWriteStream, rmSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Readable, Writable } from "node:stream";
import {
  createRootKeyFile,
  type KeySpec,
  type KeyStore,
  Kms,
  KmsError,
  type KmsErrorCode,
  memoryStore,
} from "../index.ts";
import { sqliteStore } from "../stores/sqlite.ts";
import { decryptStream, encryptStream } from "../stream.ts";
import { type DemoSource, fileSource, trackedFiles } from "./demo-source.ts";
import { measureTable } from "./demo-table.ts";

const SPECS: readonly KeySpec[] = [
  "Aliyun_AES_256",
  "Aliyun_AES_192",
  "Aliyun_AES_128",
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "EC_P256",
  "EC_P256K",
];
const SIGNING_SPECS: readonly KeySpec[] = ["RSA_2048", "RSA_3072", "RSA_4096", "EC_P256", "EC_P256K"];
const ENCRYPTION_CONTEXT = { purpose: "demonstration", tenant: "alpha" };
const TABLE_MS = 5000;

type KeyIds = ReadonlyMap<KeySpec, string>;

let failures = 0;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints one finding; a false one makes the whole run fail. */
function check(holds: boolean, text: string): void {
  if (!holds) failures += 1;
  say(`  ${holds ? "ok    " : "FAILED"} ${text}`);
}

/** Shows that a long step is alive: a line that overwrites itself on a terminal, nothing in a pipe. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Passes a stream on, digesting it and showing how far it is. */
async function* observed(
  source: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
  step: string,
  length: number,
): AsyncIterable<Uint8Array> {
  let done = 0;
  for await (const chunk of source) {
    hash.update(chunk);
    done += chunk.length;
    progress(`${step} ${Math.floor((100 * done) / Math.max(1, length))} %`);
    yield chunk;
  }
  progress("");
}

async function createKeys(kms: Kms): Promise<KeyIds> {
  say("Keys, one of every spec");
  const keyIds = new Map<KeySpec, string>();
  for (const keySpec of SPECS) {
    progress(`creating ${keySpec} …`);
    const { keyId, keyMetadata } = await kms.createKey({ keySpec });
    progress("");
    keyIds.set(keySpec, keyId);
    check(keyMetadata.keyState === "Enabled", `${keySpec.padEnd(15)} ${keyId}  ${keyMetadata.keyUsage}`);
  }
  return keyIds;
}

/** Encrypts the source under a data key of `keyId` and returns its SHA-256. */
async function encryptSource(kms: Kms, keyId: string, source: DemoSource, target: string): Promise<string> {
  const hash = createHash("sha256");
  const plaintext = Readable.toWeb(Readable.from(observed(source.read(), hash, "encrypting", source.length)));
  const stream = encryptStream(kms, { keyId, encryptionContext: ENCRYPTION_CONTEXT });
  await (plaintext as ReadableStream<Uint8Array>)
    .pipeThrough(stream)
    .pipeTo(Writable.toWeb(createWriteStream(target, { mode: 0o600 })));
  return hash.digest("hex");
}

async function decryptFile(
  kms: Kms,
  file: string,
  encryptionContext: Record<string, string>,
): Promise<string> {
  const hash = createHash("sha256");
  const { size } = await stat(file);
  const sealed = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  const plaintext = sealed.pipeThrough(decryptStream(kms, { encryptionContext }));
  for await (const _ of observed(
    plaintext as unknown as AsyncIterable<Uint8Array>,
    hash,
    "decrypting",
    size,
  )) {
    // Digesting is all that is done with it.
  }
  return hash.digest("hex");
}

async function expectRefusal(what: string, code: KmsErrorCode, call: () => Promise<unknown>): Promise<void> {
  const outcome = await call().then(
    () => "not refused",
    (error: unknown) => (error instanceof KmsError ? error.code : String(error)),
  );
  check(outcome === code, `${what}: ${outcome}`);
}

async function showRefusals(kms: Kms, keyIds: KeyIds, file: string): Promise<void> {
  say("Refusals");
  const keyId = keyIds.get("Aliyun_AES_256") ?? "";
  const encryptionContext = ENCRYPTION_CONTEXT;
  const { ciphertextBlob } = await kms.advanceGenerateDataKey({ keyId, encryptionContext });
  await expectRefusal("the file under a wrong context", "InvalidCiphertext", () =>
    decryptFile(kms, file, { purpose: "theft" }),
  );
  const flipped = new Uint8Array(ciphertextBlob);
  flipped[flipped.length - 20] = (flipped[flipped.length - 20] ?? 0) ^ 1;
  await expectRefusal("a blob with a flipped bit", "InvalidCiphertext", () =>
    kms.advanceDecrypt({ ciphertextBlob: flipped, encryptionContext }),
  );

  const other = await Kms.open();
  const foreignKey = await other.createKey();
  const foreign = await other.advanceGenerateDataKey({ keyId: foreignKey.keyId, encryptionContext });
  await other.close();
  await expectRefusal("a foreign blob", "InvalidCiphertext", () =>
    kms.advanceDecrypt({ ciphertextBlob: foreign.ciphertextBlob, encryptionContext }),
  );

  await kms.disableKey({ keyId });
  await expectRefusal("a disabled key", "Rejected.Disabled", () =>
    kms.advanceDecrypt({ ciphertextBlob, encryptionContext }),
  );
  await kms.enableKey({ keyId });
}

/** Verifies with node:crypto alone, from the PEM that anybody can get. */
function verifyOutside(
  spec: KeySpec,
  publicKeyPem: string,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = createPublicKey(publicKeyPem);
  const options = spec.startsWith("RSA")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    : { dsaEncoding: "der" as const };
  return nodeVerify("sha256", message, { key, ...options }, signature);
}

async function signManifest(kms: Kms, keyIds: KeyIds, source: DemoSource, digest: string): Promise<void> {
  say("Signatures over a manifest, verified outside Keyplane");
  const message = new TextEncoder().encode(JSON.stringify({ name: basename(source.name), sha256: digest }));
  for (const spec of SIGNING_SPECS) {
    const keyId = keyIds.get(spec) ?? "";
    const { signature, algorithm } = await kms.sign({ keyId, message, messageType: "RAW" });
    const { publicKey } = await kms.getPublicKey({ keyId });
    check(
      verifyOutside(spec, publicKey, message, signature),
      `${spec.padEnd(9)} ${algorithm}, ${signature.length} bytes`,
    );
  }
}

/** Encrypts to EC keys, which have to be made for it, and finds one bit too many in what comes back. */
async function encryptToEc(kms: Kms): Promise<void> {
  say("Encryption to EC keys (ECIES)");
  const plaintext = new TextEncoder().encode("to whom it may concern");
  for (const keySpec of ["EC_P256", "EC_P256K"] as const) {
    const { keyId } = await kms.createKey({ keySpec, keyUsage: "ENCRYPT/DECRYPT" });
    const { ciphertextBlob, algorithm } = await kms.encrypt({ keyId, plaintext });
    const opened = await kms.decrypt({ keyId, ciphertextBlob });
    check(
      Buffer.compare(opened.plaintext, plaintext) === 0,
      `${keySpec.padEnd(9)} ${algorithm}, ${ciphertextBlob.length} bytes`,
    );
    ciphertextBlob[70] = (ciphertextBlob[70] ?? 0) ^ 1;
    await expectRefusal("a flipped bit", "InvalidCiphertext", () => kms.decrypt({ keyId, ciphertextBlob }));
  }
}

/** Gives SQLite, or where this runtime has no driver one memory store, which outlives a closed Kms but not the process. */
async function storeSource(file: string): Promise<() => KeyStore> {
  const trial = sqliteStore({ file });
  try {
    await trial.open();
  } catch (error) {
    if (!(error instanceof KmsError) || error.code !== "Rejected.UnsupportedOperation") throw error;
    say(`No SQLite here (${error.message}) The keys stay in memory.`);
    const memory = memoryStore();
    return () => memory;
  }
  await trial.close();
  return () => sqliteStore({ file });
}

async function run(folder: string, source: DemoSource): Promise<void> {
  const rootKeyFile = join(folder, "root.key");
  const encrypted = join(folder, "file.keyplane");
  await createRootKeyFile(rootKeyFile);
  const newStore = await storeSource(join(folder, "keys.db"));
  const open = (): Promise<Kms> => Kms.open({ store: newStore(), rootKey: { file: rootKeyFile } });

  let kms = await open();
  const keyIds = await createKeys(kms);
  const keyId = keyIds.get("Aliyun_AES_256") ?? "";

  say(`Envelope encryption of ${source.name} (${source.length.toLocaleString("en-US")} bytes)`);
  const digest = await encryptSource(kms, keyId, source, encrypted);
  say(`  SHA-256 before   ${digest}`);
  const before = await kms.listKeyVersions({ keyId });
  const rotated = await kms.rotateKey({ keyId });
  check(
    rotated.keyVersionId !== before.keyVersions[0]?.keyVersionId,
    `rotated: the primary version is ${rotated.keyVersionId}`,
  );
  await kms.close();
  kms = await open();
  check((await kms.listKeys()).totalCount === SPECS.length, "closed and opened again");
  const after = await decryptFile(kms, encrypted, ENCRYPTION_CONTEXT);
  say(`  SHA-256 after    ${after}`);
  check(after === digest, "the digests are equal");

  await showRefusals(kms, keyIds, encrypted);
  await signManifest(kms, keyIds, source, digest);
  await encryptToEc(kms);
  say("One core of this machine");
  await measureTable(kms, keyIds, TABLE_MS, say);
  await kms.close();
}

const folder = await mkdtemp(join(tmpdir(), "keyplane-"));
process.once("SIGINT", () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(130);
});
try {
  const [path] = process.argv.slice(2);
  await run(folder, path === undefined ? trackedFiles() : fileSource(path));
} catch (error) {
  failures += 1;
  say(`FAILED ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
say(failures === 0 ? "All of it held." : `${failures} of it did not hold.`);
process.exitCode = failures === 0 ? 0 : 1;
