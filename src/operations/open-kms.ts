/** Opens a Kms: options, store, root key, records, and the timer that carries out deletions. */

import { publicToHex } from "../bytes.ts";
import { type EngineChoice, Engines } from "../engines/choose-engine.ts";
import type { AesGcm, Awaitable, EngineName, WasmModules } from "../engines/engine.ts";
import type { HardwareKeySource } from "../engines/hardware-keys.ts";
import { newHardwareRootKey, openHardwareRootKey } from "../engines/hardware-root-key.ts";
import { KeyVault } from "../engines/key-vault.ts";
import { IvPool, randomBytes } from "../engines/random.ts";
import {
  deriveRecordKey,
  type KdfParameters,
  ROOT_KEY_LENGTH,
  type RootKeyOption,
  resolveRootKey,
} from "../engines/root-key.ts";
import { Router } from "../engines/router.ts";
import { BlobSlab } from "../envelope/blob-slab.ts";
import { ContextCache } from "../envelope/encryption-context.ts";
import { FrameScratch } from "../envelope/frame-scratch.ts";
import { ensure, KmsError } from "../errors.ts";
import { KeyRing } from "../keys/key-ring.ts";
import type { KeyStore, StoredRecord } from "../keys/key-store.ts";
import { GCM_USAGE_LIMIT } from "../keys/usage-counter.ts";
import type { Platform, RelaxedSimd } from "../platform/platform.ts";
import { memoryStore } from "../stores/memory.ts";
import { contextOf, type OperationContext, type OperationFacts } from "./context.ts";
import {
  checkFields,
  fields,
  MAX_PAYLOAD_LENGTH,
  readChoice,
  readInteger,
  readOptionalBoolean,
  readOptionalString,
  STRICT_PLAINTEXT_LENGTH,
} from "./input.ts";
import { KeyRecords } from "./key-records.ts";
import { readHsm, readRootKeyOption, wipeRootKey } from "./root-key-option.ts";
import { storeCall } from "./store-call.ts";
import { newStoreHeader, openStoreHeader, readStoreHeader, type StoreHeader } from "./store-header.ts";

export type { EngineName };

export interface KmsOptions {
  /** In memory if absent; gone with the process. */
  readonly store?: KeyStore | undefined;
  /** Seals the store's records. Required with a persistent store; absent = random, for this process. */
  readonly rootKey?: RootKeyOption | undefined;
  /** "auto" (default) chooses per operation and size; a named engine serves alone or not at all. */
  readonly engine?: EngineChoice | undefined;
  /**
   * Whether the relaxed SIMD build of the kernels may run: "auto" (default) where the runtime has it, "off" never, "force"
   * by setting the V8 flag that Node 20 needs, which is process-wide and experimental there.
   */
  readonly relaxedSimd?: RelaxedSimd | undefined;
  /**
   * Compiled modules of the kernels, for runtimes that refuse to compile bytes and have no entry of their own; a bare module
   * is the main one. What is absent comes from the package where the platform can load it.
   */
  readonly wasm?: WebAssembly.Module | WasmModules | undefined;
  /**
   * Verifies every ECDSA signature with the public key before it leaves, against faults of memory and processor: a wrong one
   * is erased, answers `InternalFailure` and stops the engine for this process. RSA signatures are verified always. Default
   * false; signing then takes about three times as long on P-256.
   */
  readonly verifySignatures?: boolean | undefined;
  /** "instance" (default): plaintexts up to 3 MiB. "strict": the OpenAPI's 6 KiB. */
  readonly limits?: "instance" | "strict" | undefined;
  /** Milliseconds since the epoch; for tests. */
  readonly clock?: (() => number) | undefined;
  /** Part of ARNs; "local" if absent. */
  readonly region?: string | undefined;
  /** Part of ARNs; "0" if absent. */
  readonly accountId?: string | undefined;
  /** AES-GCM uses a key version may see, 1 to 2^32 (the default, SP 800-38D). */
  readonly usageLimit?: number | undefined;
  /** Enables `protectionLevel: "HSM"`: an open Hsm of `keyplane/hsm`. Its owner closes it, after the Kms. */
  readonly hsm?: HardwareKeySource | undefined;
  /** "none" makes detached ciphertext plain GCM over the caller's aad; the key is then not bound. Default "keyplane". */
  readonly aadFraming?: "keyplane" | "none" | undefined;
  /** "aliyun-transfer-v1" is the vendor's ambiguous SHA-256 of `k=v&…`, for migration. Default "keyplane". */
  readonly contextEncoding?: "keyplane" | "aliyun-transfer-v1" | undefined;
}

const FIELDS = fields(
  "store",
  "rootKey",
  "engine",
  "relaxedSimd",
  "wasm",
  "verifySignatures",
  "limits",
  "clock",
  "region",
  "accountId",
  "usageLimit",
  "aadFraming",
  "contextEncoding",
  "hsm",
);
const ENGINES: readonly EngineChoice[] = ["auto", "wasm", "node", "webcrypto"];
/** What records are sealed with, as capabilities name it. */
const RECORD_CIPHER = "AES-256";

/** An open store with all that operations need, and how to let it go. */
export interface OpenKms {
  readonly context: OperationContext;
  /** The context of calls that must answer at once; undefined where the engine never does. */
  readonly syncContext: OperationContext | undefined;
  /** What seals small plaintexts. */
  readonly engine: EngineName;
  close(): Promise<void>;
}

/** @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `ServiceUnavailableTemporary`, `InternalFailure` */
export async function openKms(options: KmsOptions, platform: Platform): Promise<OpenKms> {
  checkFields(options, FIELDS);
  const choice = readChoice(options.engine, "engine", ENGINES, "auto");
  const hardware = readHsm(options.hsm, "hsm");
  const relaxedSimd = readChoice<RelaxedSimd>(
    options.relaxedSimd,
    "relaxedSimd",
    ["auto", "off", "force"],
    "auto",
  );
  const verifySignatures = readOptionalBoolean(options.verifySignatures, "verifySignatures") ?? false;
  const variant = { relaxedSimd, verifySignatures, wasm: options.wasm };
  const engines = new Engines((name) => platform.engine(name, variant, choice === "auto"), choice);
  const limits = readChoice(options.limits, "limits", ["instance", "strict"], "instance");
  const region = readOptionalString(options.region, "region") ?? "local";
  const accountId = readOptionalString(options.accountId, "accountId") ?? "0";
  const usageLimit = readInteger(options.usageLimit, "usageLimit", 1, GCM_USAGE_LIMIT, GCM_USAGE_LIMIT);
  const aadFraming = readChoice(options.aadFraming, "aadFraming", ["keyplane", "none"], "keyplane");
  const contextEncoding = readChoice(
    options.contextEncoding,
    "contextEncoding",
    ["keyplane", "aliyun-transfer-v1"],
    "keyplane",
  );
  const clock = options.clock ?? Date.now;
  ensure(typeof clock === "function", "InvalidParameter", "clock must be a function.");
  const store = options.store ?? memoryStore();
  ensure(typeof store?.open === "function", "InvalidParameter", "store must be a KeyStore.");
  const rootKey = readRootKeyOption(options.rootKey);
  ensure(
    rootKey !== undefined || !store.persistent,
    "MissingParameter",
    "rootKey is required with a persistent store.",
  );

  const rows = await platform
    .prepare(choice, variant)
    .then(() => store.open())
    .catch((error: unknown) => {
      wipeRootKey(rootKey);
      throw error;
    });
  let vault: KeyVault | undefined;
  try {
    vault = await openVault(store, rows, rootKey, platform, engines).finally(() => wipeRootKey(rootKey));
    const router = new Router(engines, vault, hardware);
    const ring = new KeyRing({ region, accountId });
    const records = new KeyRecords({ store, vault, ring, router, clock, usageLimit });
    await records.load(rows);
    // A store that takes no changes just now still serves its other keys; the timer tries again.
    await records.deleteDue().catch(() => undefined);
    const ivs = new IvPool();
    const facts: OperationFacts = {
      ring,
      records,
      router,
      ivs,
      slab: new BlobSlab(platform.newCiphertextBlock),
      frames: new FrameScratch(),
      contexts: new ContextCache(),
      scope: { region, accountId },
      clock,
      isStrict: limits === "strict",
      maxPlaintextLength: limits === "strict" ? STRICT_PLAINTEXT_LENGTH : MAX_PAYLOAD_LENGTH,
      aadFraming,
      contextEncoding,
      mayWait: true,
      prepareBulk: () => platform.prepareBulk(choice, variant),
      nextRequestId: requestIds(),
    };
    const context = contextOf(facts, (version, byteLength) => router.aes.find(version, byteLength));
    const engine = engines.choose("aesGcm", 0, RECORD_CIPHER).name;
    const stopTimer = startDeletionTimer(records, clock);
    return {
      context,
      syncContext:
        engine === "webcrypto"
          ? undefined
          : contextOf({ ...facts, mayWait: false }, router.aes.synchronous()),
      engine,
      close: async () => {
        stopTimer();
        ivs.wipe();
        router.aes.closeBulk();
        await records.deleteDue().finally(() => records.close());
      },
    };
  } catch (error) {
    vault?.close();
    await store.close();
    throw error;
  }
}

/** Opens the vault with the root key, writing the header of a new store. @throws KmsError `InvalidRootKey` */
async function openVault(
  store: KeyStore,
  rows: readonly StoredRecord[],
  rootKey: RootKeyOption | undefined,
  platform: Platform,
  engines: Engines,
): Promise<KeyVault> {
  const aesGcm: Awaitable<AesGcm> | undefined = engines.choose("aesGcm", 0, RECORD_CIPHER).aesGcm;
  if (aesGcm === undefined) throw new Error("internal: the chosen engine has no AES-GCM");
  const row = rows.find(({ kind, id }) => kind === "header" && id === "store");
  if (row === undefined) {
    ensure(rows.length === 0, "Rejected.RecordCorrupt", "The store has records but no header.");
    const storeId = randomBytes(16);
    const { kdf, rootKey: root } = await newRootKey(rootKey, storeId, platform);
    const header = newStoreHeader(kdf, storeId);
    const vault = await KeyVault.create(aesGcm, await deriveRecordKey(root, header.storeId));
    try {
      const bytes = await header.seal(vault);
      await storeCall(() => store.commit([{ action: "put", kind: "header", id: "store", bytes }]));
    } catch (error) {
      vault.close();
      throw error;
    }
    return vault;
  }
  ensure(rootKey !== undefined, "MissingParameter", "rootKey is required: the store has records.");
  const header = readStoreHeader(row.bytes);
  const root =
    "hsm" in rootKey
      ? await openHardwareRoot(rootKey, header)
      : await resolveRootKey(rootKey, header.kdf, platform.rootKey);
  const vault = await KeyVault.create(aesGcm, await deriveRecordKey(root, header.storeId));
  if (!(await openStoreHeader(header, vault))) {
    vault.close();
    throw new KmsError("InvalidRootKey", "The root key does not open this store.");
  }
  return vault;
}

/** Obtains the root key of a new store and what its header is to say of it. */
async function newRootKey(
  option: RootKeyOption | undefined,
  storeId: Uint8Array,
  platform: Platform,
): Promise<{ readonly kdf: KdfParameters; readonly rootKey: Uint8Array | CryptoKey }> {
  if (option === undefined) return { kdf: { name: "none" }, rootKey: randomBytes(ROOT_KEY_LENGTH) };
  if ("hsm" in option) return newHardwareRootKey(option.hsm.hardwareKeys, option.label, storeId);
  const kdf: KdfParameters = "passphrase" in option ? platform.rootKey.newKdf() : { name: "none" };
  return { kdf, rootKey: await resolveRootKey(option, kdf, platform.rootKey) };
}

/** @throws KmsError `InvalidRootKey` when the store's root key is not in an HSM, or under another label */
async function openHardwareRoot(
  option: Extract<RootKeyOption, { readonly hsm: HardwareKeySource }>,
  { kdf, storeId }: StoreHeader,
): Promise<Uint8Array> {
  ensure(
    kdf.name === "hsm" && kdf.label === option.label,
    "InvalidRootKey",
    "This store's root key is not under this label of an HSM.",
  );
  return openHardwareRootKey(option.hsm.hardwareKeys, kdf, storeId);
}

/** Low digits of request ids, so that a number is formatted once in 1024 ids; each is made when it first comes. */
const LOW_DIGITS: string[] = [];
const LOW_COUNT = 1024;

/** Makes request ids: a random prefix for this Kms and a counter. */
function requestIds(): () => string {
  const prefix = publicToHex(randomBytes(8));
  let high = 0;
  let low = 0;
  let start = `${prefix}-0`;
  return () => {
    if (low === LOW_COUNT) {
      low = 0;
      high += 1;
      start = `${prefix}-${high.toString(32)}`;
    }
    LOW_DIGITS[low] ??= low.toString(32).padStart(2, "0");
    return start + LOW_DIGITS[low++];
  };
}

/** Looks for due deletions at least this often, whatever the clock says. */
const MAX_TIMER_MS = 3_600_000;
const MIN_TIMER_MS = 1000;

/**
 * Carries out deletions when their date passes. A failed attempt is made again at the next turn of the timer, and a
 * last time, with its error, at close; meanwhile the key is refused all the same.
 */
function startDeletionTimer(records: KeyRecords, clock: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const schedule = (): void => {
    if (stopped) return;
    const next = records.nextDeletion();
    const delay =
      next === undefined ? MAX_TIMER_MS : Math.min(MAX_TIMER_MS, Math.max(MIN_TIMER_MS, next - clock()));
    timer = setTimeout(() => void records.deleteDue().then(schedule, schedule), delay);
    (timer as { unref?: () => void }).unref?.();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
