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

/** How a module is loaded. */
export interface ModuleOptions {
  /** The text for `pReserved` of C_Initialize's arguments, which some modules want (NSS: its configuration). */
  readonly initArgs?: string;
  /** Binds the module to its own libcrypto instead of Node's; on by default, glibc only. */
  readonly deepbind?: boolean;
}

/** What a new token gets. The bytes of both PINs are copied; the caller wipes its own. */
export interface InitTokenOptions extends ModuleOptions {
  readonly library: string;
  readonly slotId: number;
  /** At most 32 bytes of UTF-8. */
  readonly label: string;
  readonly soPin: Uint8Array;
  readonly userPin: Uint8Array;
}

/** Which token; all given ones must match, and exactly one token. */
export interface TokenSelector {
  readonly label?: string;
  readonly serial?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly slotId?: number;
}

/** Bounds of how many threads work on one class of operations; min = max fixes the number. */
export interface ClassLimit {
  readonly min: number;
  readonly max: number;
}

/** By class: AES and HMAC, ECDSA, RSA, the rest. */
export interface ClassLimits {
  readonly sym?: ClassLimit;
  readonly ec?: ClassLimit;
  readonly rsa?: ClassLimit;
  readonly other?: ClassLimit;
}

export interface PoolOptions extends ModuleOptions {
  readonly library: string;
  readonly token: TokenSelector;
  readonly minSessions?: number;
  readonly maxSessions?: number;
  readonly queueRecords?: number;
  readonly queueBytes?: number;
  readonly maxZombies?: number;
  /** Most records a thread takes at once. */
  readonly maxChunk?: number;
  readonly limits?: ClassLimits;
  /** How long opening looks for the token; modules whose token is being made see it late. */
  readonly discoverMs?: number;
  /** How long a recovery may take, apart from the wait for a PIN. */
  readonly recoveryMs?: number;
  /** How long a task of the admin lane may take. */
  readonly taskMs?: number;
  /** Where the clock of `now` begins: records have 32 bits of it, which come round after 49 days. */
  readonly clockStartMs?: number;
  /** Takes `count` ranges of the ring; called at most once a turn of the event loop. */
  readonly onDrain: (count: number) => void;
  readonly onEvent: (code: number, a: number, b: number) => void;
}

/** The token of a pool, as it was when the pool found it. */
export interface PoolToken extends TokenInfo {
  readonly cryptokiVersion: Version;
  readonly moduleManufacturer: string;
  /** The module has the message functions of PKCS #11 3.0. */
  readonly messageApi: boolean;
  readonly protectedAuthenticationPath: boolean;
}

/** Type (CKA_…) and value of attributes; a CK_ULONG is `Addon.ulong(n)`, a CK_BBOOL one byte. */
export type Template = readonly (readonly [type: number, value: Uint8Array])[];

export interface KeyQuery {
  readonly id?: Uint8Array;
  /** UTF-8. */
  readonly label?: Uint8Array;
  /** CKO_… */
  readonly class: number;
  /** CKK_… */
  readonly keyType?: number;
  /** Asks for a session object with the same key, which many modules serve faster. */
  readonly sessionCopy?: boolean;
}

export interface ResolvedKey {
  readonly ref: number;
  readonly sessionCopy: boolean;
  readonly class: number;
  readonly keyType: number;
  /** In the order asked for; undefined where the token does not tell. */
  readonly attributes: readonly (Uint8Array | undefined)[];
}

export interface MechanismInfo {
  readonly type: number;
  readonly minKeySize: number;
  readonly maxKeySize: number;
  readonly flags: number;
}

export type WrapParameter =
  | null
  | { readonly oaep: { readonly hash: number; readonly mgfHash: number; readonly label?: Uint8Array } }
  | { readonly iv: Uint8Array };

/** Native memory: `records` slots of 64 bytes, then data. */
export interface Arena {
  readonly id: number;
  readonly buffer: ArrayBuffer;
}

/** One token with its threads and sessions; see native/pool.h. What its promises reject with is a `NativeError`. */
export interface NativePool {
  readonly ring: Uint32Array;
  open(): Promise<PoolToken>;
  providePin(pin: Uint8Array | null | false): void;
  recover(): Promise<void>;
  createArena(records: number, dataBytes: number): Arena;
  destroyArena(id: number): void;
  submit(arena: number, first: number, count: number): number;
  cancel(arena: number, record: number): number;
  now(): number;
  state(): number;
  resolveKey(query: KeyQuery, attributes: readonly number[]): Promise<ResolvedKey>;
  releaseKey(ref: number): void;
  setLimits(limits: ClassLimits): void;
  stats(into: Float64Array): void;
  close(drainMs: number): Promise<void>;

  find(template: Template, attributes: readonly number[], max: number): Promise<(Uint8Array | undefined)[][]>;
  generateKey(mechanism: number, template: Template): Promise<void>;
  generateKeyPair(mechanism: number, publicTemplate: Template, privateTemplate: Template): Promise<void>;
  createObject(template: Template): Promise<void>;
  setAttributes(match: Template, template: Template): Promise<number>;
  destroyObjects(match: Template): Promise<number>;
  wrapKey(
    mechanism: number,
    parameter: WrapParameter,
    wrappingRef: number,
    keyRef: number,
  ): Promise<Uint8Array>;
  unwrapKey(
    mechanism: number,
    parameter: WrapParameter,
    unwrappingRef: number,
    wrapped: Uint8Array,
    template: Template,
  ): Promise<void>;
  mechanisms(): Promise<MechanismInfo[]>;
  tokenInfo(): Promise<TokenInfo>;
  sessionState(): Promise<number>;
}

/** What the promises of the addon reject with. */
export interface NativeError extends Error {
  readonly ckr?: number;
  readonly ckrName?: string;
  /** The function that refused, as "C_Login". */
  readonly fn?: string;
  readonly reason?: string;
}

/** The functions of native/addon.cc. */
export interface Addon {
  probe(library: string, options?: ModuleOptions): Promise<ModuleInfo>;
  initToken(options: InitTokenOptions): Promise<void>;
  ckrName(ckr: number): string | undefined;
  /** Encodes a CK_ULONG of this platform. */
  ulong(value: number): Uint8Array;
  /** Names of the functions that a record's `fn` counts. */
  readonly functionNames: readonly string[];
  readonly Pool: new (options: PoolOptions) => NativePool;
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
      "The native addon is not built: run npx keyplane hsm build, which needs a C++ compiler.",
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
