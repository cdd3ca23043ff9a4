/**
 * Numbers of the 64-byte records that the native addon reads and writes; native/record.h holds the same layout.
 *
 *      0 op  1 flags  2 hash  3 mgfHash  4 mechanism  8 keyRef  12 tagLength  13 ivMode  14 saltLength
 *     16 iv offset, length  24 aux offset, length  32 input offset, length  40 output offset, capacity  48 deadline
 *     52 ckr  56 outputLength  60 status  61 reason  62 fn  63 result            (from 52 on: written by the addon)
 *
 * What is submitted has at 52 the login epoch in which the key was looked at, or 0: in another epoch it is STALE.
 */

export const RECORD_LENGTH = 64;

export const OP = { ENCRYPT: 1, DECRYPT: 2, SIGN: 3, VERIFY: 4, RANDOM: 5 } as const;

export const FLAG = { RETRY: 1, FIXED_IV: 2, WIPE_INPUT: 4 } as const;

export const HASH = { NONE: 0, SHA1: 1, SHA256: 2, SHA384: 3, SHA512: 4, SHA224: 5 } as const;

/** Who makes the IV of AES-GCM, and how it travels. */
export const IV_MODE = { HOST: 0, TOKEN_PIV: 1, TOKEN_PREFIX: 2, MESSAGE: 3, MESSAGE_HOST_IV: 4 } as const;

export const STATUS = { DONE: 1, NOT_SENT: 2, UNKNOWN: 3, REJECTED: 4 } as const;

export const REASON = {
  NONE: 0,
  DEADLINE: 1,
  CANCELLED: 2,
  CLOSED: 3,
  LOST: 4,
  LOCKED: 5,
  KEY_NOT_FOUND: 6,
  BAD_RECORD: 7,
  BAD_KEY_REF: 8,
  BAD_ANSWER: 9,
  DUPLICATE_IV: 10,
  SESSION: 11,
  STALE: 12,
} as const;

export const RESULT = { FRESH_IV: 1, RETRIED: 2 } as const;

export const SUBMIT = {
  ACCEPTED: 0,
  BUSY_RECORDS: 1,
  BUSY_BYTES: 2,
  CLOSED: 3,
  BAD_RANGE: 4,
  IN_FLIGHT: 5,
} as const;

/** Kinds of ring entries. */
export const RING = { COMPLETED: 0, TIMED_OUT: 1, RELEASED: 2 } as const;

export const EVENT = {
  PIN_NEEDED: 1,
  RECOVERY_STARTED: 2,
  RECOVERED: 3,
  RECOVERY_FAILED: 4,
  SESSION_REPLACED: 5,
  SESSION_LIMIT: 6,
  ZOMBIE: 7,
  ZOMBIE_RETURNED: 8,
  ZOMBIE_LIMIT: 9,
  DUPLICATE_IV: 10,
  KEY_LOST: 11,
  LIMIT: 12,
} as const;

export const STATE = {
  NEW: 0,
  OPENING: 1,
  READY: 2,
  RECOVERING: 3,
  LOST: 4,
  LOCKED: 5,
  CLOSING: 6,
  CLOSED: 7,
} as const;
