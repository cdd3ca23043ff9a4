/**
 * Reads what became of a call: modules answer different codes for one cause, so the code alone says little. Function,
 * kind of call and code together are judged here, and nowhere else. docs/hsm.md lists what was seen.
 */

import type { Addon, NativeError } from "./addon.ts";
import { CKR, MECHANISM_NAMES } from "./constants.ts";
import { HsmError, type HsmErrorCode, type HsmOutcome } from "./hsm-error.ts";
import { OP, REASON, STATUS } from "./record.ts";
import type { TokenAnswer, TokenCall } from "./token-call.ts";

export interface Verdict {
  readonly code: HsmErrorCode;
  readonly outcome: HsmOutcome;
  /**
   * A code that some modules give for a forged ciphertext and others for a broken device. Only a ciphertext known to be
   * good tells which: were it counted as a fault, whoever sends forged ones could take the HSM out of service.
   */
  readonly isSuspect?: boolean;
}

/** Codes of a final call that say the ciphertext is at fault. */
const CIPHERTEXT_FAULTS: ReadonlySet<number> = new Set([
  CKR.encryptedDataInvalid,
  CKR.encryptedDataLenRange,
  CKR.aeadDecryptFailed,
  CKR.dataInvalid,
  CKR.dataLenRange,
]);
/** Codes that SoftHSM and others give for a wrong tag or padding as well. */
const AMBIGUOUS: ReadonlySet<number> = new Set([CKR.generalError, CKR.functionFailed]);

const BY_CODE: ReadonlyMap<number, HsmErrorCode> = new Map<number, HsmErrorCode>([
  [CKR.hostMemory, "Throttled"],
  [CKR.deviceMemory, "Throttled"],
  [CKR.functionFailed, "Throttled"],
  [CKR.operationActive, "Throttled"],
  [CKR.sessionCount, "Throttled"],
  [CKR.deviceRemoved, "TokenLost"],
  [CKR.tokenNotPresent, "TokenLost"],
  [CKR.sessionHandleInvalid, "TokenLost"],
  [CKR.cryptokiNotInitialized, "TokenLost"],
  [CKR.keyHandleInvalid, "KeyNotFound"],
  [CKR.objectHandleInvalid, "KeyNotFound"],
  [CKR.mechanismInvalid, "Unsupported"],
  [CKR.mechanismParamInvalid, "Unsupported"],
  [CKR.functionNotSupported, "Unsupported"],
  [CKR.keyTypeInconsistent, "Unsupported"],
  [CKR.keyFunctionNotPermitted, "Unsupported"],
  [CKR.keySizeRange, "Unsupported"],
  [CKR.curveNotSupported, "Unsupported"],
  [CKR.domainParamsInvalid, "Unsupported"],
  [CKR.pinIncorrect, "LoginFailed"],
  [CKR.pinExpired, "LoginFailed"],
  [CKR.pinLocked, "LoginFailed"],
  [CKR.userAnotherAlreadyLoggedIn, "LoginFailed"],
  [CKR.dataInvalid, "InvalidArgument"],
  [CKR.dataLenRange, "InvalidArgument"],
  [CKR.argumentsBad, "DeviceError"],
]);

const NOT_SENT: ReadonlyMap<number, HsmErrorCode> = new Map<number, HsmErrorCode>([
  [REASON.NONE, "Busy"],
  [REASON.DEADLINE, "Timeout"],
  [REASON.CANCELLED, "Cancelled"],
  [REASON.CLOSED, "Closed"],
  [REASON.LOST, "TokenLost"],
  [REASON.LOCKED, "LoginFailed"],
  [REASON.KEY_NOT_FOUND, "KeyNotFound"],
  [REASON.BAD_KEY_REF, "KeyNotFound"],
  [REASON.SESSION, "TokenLost"],
]);

/** @param answer of a call that did not succeed */
export function judge(addon: Addon, call: TokenCall, answer: TokenAnswer): Verdict {
  const { status, reason, ckr } = answer;
  if (status === STATUS.NOT_SENT) return { code: NOT_SENT.get(reason) ?? "TokenLost", outcome: "not-sent" };
  if (status === STATUS.UNKNOWN) return { code: "Timeout", outcome: "unknown" };
  const isRejected = status === STATUS.REJECTED;
  if (reason === REASON.DUPLICATE_IV)
    return { code: "KeyRefused", outcome: isRejected ? "not-sent" : "failed" };
  if (reason === REASON.BAD_KEY_REF) return { code: "KeyNotFound", outcome: "not-sent" };
  if (isRejected) return { code: "InvalidArgument", outcome: "not-sent" };
  if (reason === REASON.KEY_NOT_FOUND) return { code: "KeyNotFound", outcome: "failed" };
  if (reason === REASON.BAD_ANSWER) return { code: "DeviceError", outcome: "unknown" };
  const isFinal = !(addon.functionNames[answer.fn] ?? "").endsWith("Init");
  if (call.op === OP.DECRYPT && isFinal) {
    if (CIPHERTEXT_FAULTS.has(ckr)) return { code: "InvalidCiphertext", outcome: "failed" };
    if (AMBIGUOUS.has(ckr)) return { code: "InvalidCiphertext", outcome: "failed", isSuspect: true };
  }
  // SoftHSM says so of OAEP parameters that it does not take.
  if (ckr === CKR.argumentsBad && !isFinal) return { code: "Unsupported", outcome: "failed" };
  // The login was lost once more while the call was made again. A key that is gone is not found by the next recovery.
  if (ckr === CKR.keyHandleInvalid || ckr === CKR.objectHandleInvalid)
    return { code: "TokenLost", outcome: "failed" };
  return { code: BY_CODE.get(ckr) ?? "DeviceError", outcome: "failed" };
}

const MESSAGES: Readonly<Partial<Record<HsmErrorCode, string>>> = {
  Busy: "The queue for the HSM is full.",
  Timeout: "The HSM did not answer within the deadline.",
  TokenLost: "The HSM cannot be reached.",
  LoginFailed: "The HSM refused the login; no further attempt is made.",
  KeyNotFound: "The HSM has no such key.",
  KeyRefused: "The key was refused, for the HSM repeated an IV or made none.",
  InvalidCiphertext: "The ciphertext cannot be opened.",
  Cancelled: "The call was cancelled.",
  Closed: "This Hsm is closed.",
};

/** Makes the error of a verdict. */
export function errorOf(
  addon: Addon,
  call: TokenCall,
  answer: TokenAnswer,
  verdict: Verdict,
  member: string,
  cause?: unknown,
): HsmError {
  const fn = answer.fn === 0 ? undefined : addon.functionNames[answer.fn];
  const ckrName = answer.ckr === 0 ? undefined : addon.ckrName(answer.ckr);
  const said = fn === undefined ? "" : ` ${fn} answered ${ckrName ?? `0x${answer.ckr.toString(16)}`}.`;
  const mechanism = MECHANISM_NAMES.get(call.mechanism) ?? `mechanism 0x${call.mechanism.toString(16)}`;
  const message =
    verdict.code === "Unsupported"
      ? `The HSM does not serve ${mechanism} with these parameters or this key.`
      : (MESSAGES[verdict.code] ?? `The HSM failed at ${mechanism}.`);
  return new HsmError(`${message}${verdict.code === "InvalidCiphertext" ? "" : said}`, {
    code: verdict.code,
    outcome: verdict.outcome,
    member,
    ...(answer.ckr === 0 ? {} : { ckr: answer.ckr, ckrName }),
    fn,
    cause,
  });
}

const BY_REASON: Readonly<Record<string, HsmErrorCode>> = {
  "key-not-found": "KeyNotFound",
  "key-ambiguous": "WrongKey",
  "token-not-found": "TokenNotFound",
  "token-ambiguous": "TokenNotFound",
  locked: "LoginFailed",
  lost: "TokenLost",
  closed: "Closed",
  busy: "Busy",
  timeout: "Timeout",
  "bad-argument": "InvalidArgument",
  "no-module": "ModuleError",
  "bad-answer": "DeviceError",
};

const ATTRIBUTE_CODES: ReadonlySet<number> = new Set([0x10, 0x12, 0x13, 0xd0, 0xd1]);

/** Makes an `HsmError` of what a promise of the addon rejected with. */
export function fromRejection(cause: unknown, member: string | undefined): HsmError {
  if (cause instanceof HsmError) return cause;
  const { message, ckr, ckrName, fn, reason } = cause as NativeError;
  let code: HsmErrorCode | undefined = reason === undefined ? undefined : BY_REASON[reason];
  // A template that a module takes no part of means that it lacks a key type, a length or a curve.
  if (code === undefined && ckr !== undefined) {
    code = ATTRIBUTE_CODES.has(ckr) ? "Unsupported" : (BY_CODE.get(ckr) ?? "DeviceError");
  }
  return new HsmError(message, { code: code ?? "ModuleError", ckr, ckrName, fn, member, cause });
}

/** Tells faults of the device from faults of the call: only these are held against a member of a group. */
export function isDeviceFault(code: HsmErrorCode): boolean {
  return code === "DeviceError" || code === "TokenLost" || code === "Timeout" || code === "LoginFailed";
}
