/** The error of everything a PKCS#11 module does wrong, or is asked in vain. Caller's mistakes stay `KmsError`. */

/**
 * Stable names of what went wrong; docs/hsm.md says what to do about each.
 *
 * Busy: our own queue is full. Throttled: the device asked for a pause. Timeout: no answer within the deadline.
 * TokenLost: the token is gone or does not recover. DeviceError: the device failed. LoginFailed: no further attempt is
 * made. Cancelled: by its caller. Unsupported: the module lacks what the message names. ModuleError: the library is no module, or breaks the rules.
 */
export type HsmErrorCode =
  | "Busy"
  | "Throttled"
  | "Timeout"
  | "TokenLost"
  | "TokenNotFound"
  | "DeviceError"
  | "LoginFailed"
  | "KeyNotFound"
  | "WrongKey"
  | "KeyRefused"
  | "Unsupported"
  | "InvalidCiphertext"
  | "InvalidArgument"
  | "Cancelled"
  | "ModuleError"
  | "Closed";

/** not-sent: the token never saw the call. failed: it refused. unknown: it may have done the work. */
export type HsmOutcome = "not-sent" | "failed" | "unknown";

const RETRYABLE: ReadonlySet<HsmErrorCode> = new Set([
  "Busy",
  "Throttled",
  "Timeout",
  "TokenLost",
  "DeviceError",
]);

export interface HsmErrorFacts {
  readonly code?: HsmErrorCode | undefined;
  readonly ckr?: number | undefined;
  readonly ckrName?: string | undefined;
  readonly fn?: string | undefined;
  readonly outcome?: HsmOutcome | undefined;
  readonly member?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Reports that a module refused a call, that a token cannot be reached, or that a library could not be used as a module.
 * The message names the function or the library and never holds a PIN or key material.
 */
export class HsmError extends Error {
  override readonly name: string = "HsmError";
  readonly code: HsmErrorCode;
  /** The code the module answered (CKR_…, PKCS #11 2.40, 5.1); absent when it was not asked. */
  declare readonly ckr?: number;
  /** The standard's name of `ckr`; absent for codes of vendors. */
  declare readonly ckrName?: string;
  /** The function that answered `ckr`, such as C_Sign. */
  declare readonly fn?: string;
  /** Whether the same call may be made again, for it can succeed then. */
  readonly retryable: boolean;
  readonly outcome: HsmOutcome;
  /** Name of the member of a group, or of the token. */
  declare readonly member?: string;

  constructor(message: string, facts: HsmErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code ?? "ModuleError";
    this.retryable = RETRYABLE.has(this.code);
    this.outcome = facts.outcome ?? "failed";
    if (facts.ckr !== undefined) this.ckr = facts.ckr;
    if (facts.ckrName !== undefined) this.ckrName = facts.ckrName;
    if (facts.fn !== undefined) this.fn = facts.fn;
    if (facts.member !== undefined) this.member = facts.member;
  }
}
