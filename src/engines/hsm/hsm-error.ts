/** The error of everything a PKCS#11 module does wrong. Caller's mistakes stay `KmsError`. */

/**
 * Reports that a module refused a call, or that a library could not be used as a module. The message names the
 * function or the library and never holds a PIN or key material.
 */
export class HsmError extends Error {
  override readonly name: string = "HsmError";
  /** The code the module answered (CKR_…, PKCS #11 2.40, 5.1); absent when the library did not get that far. */
  declare readonly ckr?: number;
  /** The standard's name of `ckr`; absent for codes of vendors. */
  declare readonly ckrName?: string;

  constructor(
    message: string,
    options: { ckr?: number | undefined; ckrName?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    if (options.ckr !== undefined) this.ckr = options.ckr;
    if (options.ckrName !== undefined) this.ckrName = options.ckrName;
  }
}
