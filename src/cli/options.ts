/** Options that commands share, and how their values are read. */

import { type Command, InvalidArgumentError } from "commander";
import type { EncryptionContext } from "../envelope/encryption-context.ts";
import type { ExitCode } from "./exit-codes.ts";

/** Options of every command. */
export interface GlobalOptions {
  readonly store?: string;
  readonly rootKey?: string;
  readonly passphraseFile?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly hsmLibrary?: string;
  readonly hsmInitArgs?: string;
  /** Label or pkcs11: URI. */
  readonly hsmToken?: string;
  readonly hsmPinFile?: string;
}

/** Where a command writes binary data. */
export interface OutputOptions {
  readonly output?: string;
  readonly force?: boolean;
}

export interface ContextOptions {
  readonly context?: EncryptionContext;
}

/** One run of the program, as commands see it. */
export interface Run {
  /** Aborted by SIGINT and SIGTERM, with the `CliError` to report. */
  readonly signal: AbortSignal;
  exitCode: ExitCode;
}

/** Adds `-o` and `--force`. */
export function withOutputOptions(command: Command): Command {
  return command
    .option("-o, --output <file>", "write to this file, whole or not at all; - is standard output")
    .option("--force", "write binary data even to a terminal");
}

/** Adds `--context`, which may be given many times. */
export function withContextOption(command: Command): Command {
  return command.option(
    "--context <name=value>",
    "add a pair to the encryption context; may be repeated",
    readPair,
  );
}

function readPair(text: string, pairs: EncryptionContext = {}): EncryptionContext {
  const split = text.indexOf("=");
  if (split < 0) throw new InvalidArgumentError("It must be name=value.");
  const name = text.slice(0, split);
  if (Object.hasOwn(pairs, name)) throw new InvalidArgumentError("The name was given before.");
  return { ...pairs, [name]: text.slice(split + 1) };
}

/** Makes a reader of whole numbers; the KMS checks ranges where none is given here. */
export function integer(min = 0, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(
        max === Number.MAX_SAFE_INTEGER
          ? "It must be a whole number."
          : `It must be a whole number from ${min} to ${max}.`,
      );
    }
    return value;
  };
}
