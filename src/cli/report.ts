/** What people and programs get to read: results on standard output, errors on standard error. Never key material. */

import { CommanderError } from "commander";
import { KmsError } from "../errors.ts";
import { CliError, EXIT, type ExitCode } from "./exit-codes.ts";

/** C0 and C1 controls, line and paragraph separators, and the marks that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Escapes what a terminal would obey rather than show: names and descriptions come from strangers. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Lays out facts as aligned lines; absent ones are left out. */
export function factLines(facts: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`).join("");
}

/** Lays out rows as columns. */
export function tableLines(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(printable));
  const widths = (shown[0] ?? []).map((_, column) => {
    return Math.max(...shown.map((row) => (row[column] ?? "").length));
  });
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return shown.map((row) => `${line(row)}\n`).join("");
}

function asBase64(this: unknown, name: string, value: unknown): unknown {
  const raw: unknown = (this as Record<string, unknown>)[name];
  return raw instanceof Uint8Array ? Buffer.from(raw).toString("base64") : value;
}

/** Prints a result: one JSON document with binary values in base64, or the text for people. */
export function printResult(isJson: boolean | undefined, result: object, text: string): void {
  process.stdout.write(isJson === true ? `${JSON.stringify(result, asBase64, 2)}\n` : text);
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

function describe(error: unknown): Failure {
  if (error instanceof CliError) return error;
  if (error instanceof KmsError) return { code: error.code, message: error.message, exitCode: EXIT.failed };
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    return { code: "Usage", message, exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code === "string" && typeof message === "string") {
    return { code, message: message.replace(`${code}: `, ""), exitCode: EXIT.failed };
  }
  return { code: "InternalFailure", message: String(message ?? error), exitCode: EXIT.failed };
}

/**
 * Prints `keyplane: CODE: message` and returns the exit code.
 *
 * @param reason why the command was cancelled, if it was; what then failed is only its consequence
 */
export function reportFailure(error: unknown, reason: unknown): ExitCode {
  const { code, message, exitCode } = describe(reason ?? error);
  const isHelp = error instanceof CommanderError && error.code === "commander.help";
  if (exitCode !== EXIT.ok && !isHelp) process.stderr.write(`keyplane: ${code}: ${printable(message)}\n`);
  return exitCode;
}
