/** The one error class of the public API, its codes, and the guard that raises it. */

/** Codes with the HTTP status the vendor's gateways answer for them; the last five are Keyplane's own. */
const HTTP_STATUS = {
  MissingParameter: 400,
  InvalidParameter: 400,
  AliasAlreadyExists: 400,
  InvalidKeyMaterial: 400,
  "Unsupported.Origin": 400,
  "Unsupported.Alias": 400,
  "Unsupported.ProtectionLevel": 400,
  "Rejected.UnsupportedOperation": 400,
  "Rejected.LimitExceeded": 400,
  "Forbidden.NoPermission": 403,
  "Forbidden.KeyNotFound": 404,
  "Forbidden.KeyVersionNotFound": 404,
  "Forbidden.AliasNotFound": 404,
  "Forbidden.OnlySymmetricKeySupported": 404,
  "Rejected.Enabled": 409,
  "Rejected.Disabled": 409,
  "Rejected.PendingDeletion": 409,
  "Rejected.PendingImport": 409,
  "Rejected.StateModifiedFailed": 409,
  "Rejected.Throttling": 429,
  InternalFailure: 500,
  ServiceUnavailableTemporary: 503,
  InvalidCiphertext: 400,
  InvalidRootKey: 403,
  "Rejected.KeyExhausted": 409,
  "Rejected.Closed": 409,
  "Rejected.RecordCorrupt": 500,
} as const;

/** Stable identifiers of everything that can go wrong. */
export type KmsErrorCode = keyof typeof HTTP_STATUS;

/**
 * Reports why a call was refused. `code` is stable, `message` is for people; neither ever holds key material,
 * plaintext, or a hint at which check of a decryption failed.
 */
export class KmsError extends Error {
  override readonly name: string = "KmsError";
  readonly code: KmsErrorCode;
  /** The status a KMS gateway would answer with. */
  readonly httpStatus: number;
  /** Names the failed call in logs; empty when the error did not come through a `Kms`. */
  requestId: string;

  constructor(code: KmsErrorCode, message: string, options: { cause?: unknown; requestId?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.httpStatus = HTTP_STATUS[code];
    this.requestId = options.requestId ?? "";
  }

  /** Lists the enumerable facts, so that logging the error as JSON keeps them. */
  toJSON(): { code: KmsErrorCode; httpStatus: number; message: string; requestId: string } {
    return { code: this.code, httpStatus: this.httpStatus, message: this.message, requestId: this.requestId };
  }
}

/** Throws a `KmsError` unless the condition holds. */
export function ensure(condition: unknown, code: KmsErrorCode, message: string): asserts condition {
  if (!condition) throw new KmsError(code, message);
}

/** Builds the single error that every failed decryption of every algorithm ends in. */
export function invalidCiphertext(): KmsError {
  return new KmsError("InvalidCiphertext", "The ciphertext cannot be opened.");
}
