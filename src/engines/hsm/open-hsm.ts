/** Opens a token or joins tokens into a group: options are read here. */

import { isAbsolute } from "node:path";
import { ensure } from "../../errors.ts";
import { type Addon, type ClassLimits, loadAddon, type TokenSelector } from "./addon.ts";
import { MAX_DEADLINE_MS } from "./base-hsm.ts";
import { type BreakerOptions, DEFAULT_BREAKER } from "./breaker.ts";
import { GCM_MODES, type IvMode } from "./gcm-modes.ts";
import { GroupHsm } from "./group-hsm.ts";
import type { Hsm } from "./hsm.ts";
import { Member } from "./member.ts";
import type { GroupPolicy } from "./selector.ts";
import { type PinProvider, Token } from "./token.ts";
import { TokenHsm } from "./token-hsm.ts";
import { parseTokenUri } from "./token-uri.ts";

export interface HsmOptions {
  /** Absolute path of the PKCS#11 module; whoever names it runs its code. May be the `module-path` of `uri`. */
  readonly library?: string | undefined;
  /** What some modules want at C_Initialize, such as NSS its database. */
  readonly initArgs?: string | undefined;
  /** Label of the token. Slots have no part in it: their numbers change. */
  readonly tokenLabel?: string | undefined;
  readonly serial?: string | undefined;
  /** RFC 7512; in the place of tokenLabel and serial. */
  readonly uri?: string | undefined;
  /** Asked for the PIN at each login; the bytes are wiped after use. Absent for tokens with a PIN pad. */
  readonly pin?: PinProvider | undefined;
  /** 1 to 64 sessions by default; docs/hsm.md says how many to allow. */
  readonly sessions?: { readonly min?: number; readonly max?: number } | undefined;
  /** Longest that a call takes, waiting and retries included; 10,000 if absent. */
  readonly deadlineMs?: number | undefined;
  /** Calls and bytes that may wait; more are refused as `Busy`. 20,000 and 128 MiB if absent. */
  readonly queue?: { readonly records?: number; readonly bytes?: number } | undefined;
  /** Calls that may be stuck in the module before it is taken for dead; 8 if absent. */
  readonly maxZombies?: number | undefined;
  /** Bounds of the concurrency that is found by itself, for each class of calls. */
  readonly limits?: ClassLimits | undefined;
  /**
   * Who makes the IVs of AES-GCM, and how they travel: "host" (if absent), "host-message" (the same through the message
   * functions of PKCS #11 3.0), "token-pIv" (the token writes them), "token-prefix" (it puts them in front), "message".
   */
  readonly ivMode?: IvMode | undefined;
  /** Works with copies of the keys that live in a session, which some modules serve many times faster; false if absent. */
  readonly sessionCopy?: boolean | undefined;
  /** Binds the module to its own libraries rather than Node's (glibc); true if absent. */
  readonly deepbind?: boolean | undefined;
  /** Names the token in errors and figures; its label or serial if absent. */
  readonly name?: string | undefined;
}

export interface HsmGroupOptions {
  /** "least-outstanding" if absent. */
  readonly policy?: GroupPolicy | undefined;
  readonly breaker?: Partial<BreakerOptions> | undefined;
}

const OPTION_NAMES: readonly string[] = [
  "library",
  "initArgs",
  "tokenLabel",
  "serial",
  "uri",
  "pin",
  "sessions",
  "deadlineMs",
  "queue",
  "maxZombies",
  "limits",
  "ivMode",
  "sessionCopy",
  "deepbind",
  "name",
];
const GROUP_OPTION_NAMES: readonly string[] = ["policy", "breaker"];
const POLICIES: readonly GroupPolicy[] = ["least-outstanding", "round-robin", "primary-standby"];
const DEFAULT_DEADLINE_MS = 10_000;
const MAX_SESSIONS = 1024;
const DEFAULT_QUEUE = { records: 20_000, bytes: 128 * 1024 * 1024 } as const;
/** The pool's own queue must hold what the arenas can; the bound that callers meet is ours. */
const POOL_QUEUE_RECORDS = 1 << 20;
const POOL_QUEUE_BYTES: number = 1 << 30;

function checkNames(options: object, known: readonly string[]): void {
  ensure(typeof options === "object" && options !== null, "InvalidParameter", "options must be an object.");
  for (const name of Object.keys(options)) {
    ensure(known.includes(name), "InvalidParameter", `There is no option ${name}.`);
  }
}

function readText(value: unknown, name: string): string | undefined {
  ensure(
    value === undefined || (typeof value === "string" && value.length > 0 && !value.includes("\0")),
    "InvalidParameter",
    `${name} must be a string that is not empty and holds no NUL.`,
  );
  return value as string | undefined;
}

function readCount(value: unknown, name: string, min: number, max: number, absent: number): number {
  if (value === undefined) return absent;
  ensure(
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max,
    "InvalidParameter",
    `${name} must be an integer from ${min} to ${max}.`,
  );
  return value;
}

function readToken(options: HsmOptions): { readonly token: TokenSelector; readonly library: string } {
  const label = readText(options.tokenLabel, "tokenLabel");
  const serial = readText(options.serial, "serial");
  const uri = readText(options.uri, "uri");
  let library = readText(options.library, "library");
  let token: TokenSelector;
  if (uri === undefined) {
    token = { ...(label === undefined ? {} : { label }), ...(serial === undefined ? {} : { serial }) };
    ensure(
      Object.keys(token).length > 0,
      "InvalidParameter",
      "tokenLabel, serial or uri must name the token.",
    );
  } else {
    ensure(
      label === undefined && serial === undefined,
      "InvalidParameter",
      "uri excludes tokenLabel and serial.",
    );
    const parsed = parseTokenUri(uri);
    token = parsed.token;
    library ??= parsed.library;
  }
  ensure(
    library !== undefined && isAbsolute(library),
    "InvalidParameter",
    "library must be an absolute path.",
  );
  return { token, library };
}

/**
 * Logs in to a token and tries what it serves.
 *
 * @throws KmsError `InvalidParameter`; `Rejected.UnsupportedOperation` where the addon is not built
 * @throws HsmError `TokenNotFound`, `LoginFailed`, `ModuleError` and what the module fails with
 */
export function openHsm(options: HsmOptions): Promise<Hsm> {
  return openWith(loadAddon(), options);
}

async function openWith(addon: Addon, options: HsmOptions): Promise<Hsm> {
  checkNames(options, OPTION_NAMES);
  const { token, library } = readToken(options);
  const { pin, deepbind, ivMode = "host", sessionCopy = false, limits } = options;
  ensure(pin === undefined || typeof pin === "function", "InvalidParameter", "pin must be a function.");
  ensure(
    deepbind === undefined || typeof deepbind === "boolean",
    "InvalidParameter",
    "deepbind must be a boolean.",
  );
  const modes = Object.keys(GCM_MODES);
  ensure(modes.includes(ivMode), "InvalidParameter", `ivMode must be one of ${modes.join(", ")}.`);
  ensure(typeof sessionCopy === "boolean", "InvalidParameter", "sessionCopy must be a boolean.");
  const initArgs = readText(options.initArgs, "initArgs");
  const deadlineMs = readCount(options.deadlineMs, "deadlineMs", 1, MAX_DEADLINE_MS, DEFAULT_DEADLINE_MS);
  const maxSessions = readCount(options.sessions?.max, "sessions.max", 1, MAX_SESSIONS, 64);
  const minSessions = readCount(options.sessions?.min, "sessions.min", 1, maxSessions, 1);
  const { records, bytes } = { ...DEFAULT_QUEUE, ...options.queue };
  const name = readText(options.name, "name") ?? token.label ?? token.serial ?? "token";
  const member = new Member(
    new Token(addon, {
      name,
      pin,
      ivMode,
      sessionCopy,
      queue: {
        records: readCount(records, "queue.records", 1, POOL_QUEUE_RECORDS, DEFAULT_QUEUE.records),
        bytes: readCount(bytes, "queue.bytes", 1, POOL_QUEUE_BYTES, DEFAULT_QUEUE.bytes),
      },
      pool: {
        library,
        token,
        minSessions,
        maxSessions,
        queueRecords: POOL_QUEUE_RECORDS,
        queueBytes: POOL_QUEUE_BYTES,
        maxZombies: readCount(options.maxZombies, "maxZombies", 1, MAX_SESSIONS, 8),
        ...(initArgs === undefined ? {} : { initArgs }),
        ...(deepbind === undefined ? {} : { deepbind }),
        ...(limits === undefined ? {} : { limits }),
      },
    }),
    deadlineMs,
  );
  await member.open();
  return new TokenHsm(member);
}

/**
 * Joins open tokens that hold the same keys. They belong to the group from now on: close the group, not them.
 *
 * @throws KmsError `InvalidParameter`
 */
export function groupHsm(members: readonly Hsm[], options: HsmGroupOptions = {}): Hsm {
  checkNames(options, GROUP_OPTION_NAMES);
  ensure(
    Array.isArray(members) && members.length > 0,
    "InvalidParameter",
    "members must be an array of Hsm.",
  );
  const { policy = "least-outstanding", breaker = {} } = options;
  ensure(POLICIES.includes(policy), "InvalidParameter", `policy must be one of ${POLICIES.join(", ")}.`);
  const tokens = members.map((member) => {
    ensure(member instanceof TokenHsm, "InvalidParameter", "members must be what Hsm.open gave.");
    return member.member;
  });
  const names = new Set(tokens.map(({ name }) => name));
  ensure(names.size === tokens.length, "InvalidParameter", "members must have different names.");
  return new GroupHsm(tokens, policy, { ...DEFAULT_BREAKER, ...breaker });
}
