/** How the command ends: exit codes, and errors that are the command line's own. docs/cli.md lists both. */

export const EXIT = {
  ok: 0,
  /** Refused by the KMS, or failed: a file, a store, a tampered input. */
  failed: 1,
  /** The command was not understood, or cannot be carried out as it was put. */
  usage: 2,
  /** `verify` found the signature not to be good. */
  badSignature: 3,
  /** 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Reports a failure that did not come from the KMS. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

export function usageError(message: string): CliError {
  return new CliError("Usage", message, EXIT.usage);
}

export function cancelled(exitCode: ExitCode = EXIT.interrupted): CliError {
  return new CliError("Cancelled", "The command was cancelled.", exitCode);
}
