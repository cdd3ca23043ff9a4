/** Asks for a passphrase on the terminal, without echo. The passphrase is bytes from key to KMS, never a string. */

import { openSync } from "node:fs";
import { ReadStream } from "node:tty";
import { cancelled, usageError } from "./exit-codes.ts";

/** Longest passphrase, in bytes. */
export const MAX_PASSPHRASE_LENGTH = 1024;

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const CTRL_U = 0x15;
const DELETE = 0x7f;

/** Collects a line of raw key strokes. */
export class PassphraseLine {
  readonly #bytes: Uint8Array = new Uint8Array(MAX_PASSPHRASE_LENGTH);
  #length = 0;

  /** Takes one byte; tells whether the line is done, given up, or goes on. */
  push(byte: number): "more" | "done" | "cancelled" {
    if (byte === RETURN || byte === LINE_FEED) return "done";
    if (byte === CTRL_C || (byte === CTRL_D && this.#length === 0)) return "cancelled";
    if (byte === BACKSPACE || byte === DELETE) this.#removeCharacter();
    else if (byte === CTRL_U) this.wipe();
    else if (this.#length < MAX_PASSPHRASE_LENGTH) this.#bytes[this.#length++] = byte;
    return "more";
  }

  /** Copies what was typed; the caller wipes it. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  /** Removes a UTF-8 sequence: its continuation bytes and the byte that leads them. */
  #removeCharacter(): void {
    while (this.#length > 0) {
      this.#length -= 1;
      const byte = this.#bytes[this.#length] ?? 0;
      this.#bytes[this.#length] = 0;
      if ((byte & 0xc0) !== 0x80) return;
    }
  }
}

/** Opens the terminal: standard input, or the controlling one when standard input carries data. */
function openTerminal(): ReadStream {
  if (process.stdin.isTTY) return process.stdin;
  return new ReadStream(openSync("/dev/tty", "r"));
}

/** Reads one line of a terminal in raw mode. */
function readLine(terminal: ReadStream, signal: AbortSignal): Promise<Uint8Array> {
  const line = new PassphraseLine();
  return new Promise<Uint8Array>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    terminal.on("data", (chunk: Buffer) => {
      for (const byte of chunk) {
        const state = line.push(byte);
        if (state === "more") continue;
        signal.removeEventListener("abort", onAbort);
        if (state === "done") resolve(line.take());
        else reject(cancelled());
        break;
      }
      chunk.fill(0);
    });
    terminal.resume();
  }).finally(() => {
    line.wipe();
    terminal.removeAllListeners("data");
    terminal.pause();
  });
}

type Ask = (question: string) => Promise<Uint8Array>;

/** Lends the terminal in raw mode, which echoes nothing. Standard output may carry data, so questions go to standard error. */
async function withTerminal<T>(signal: AbortSignal, use: (ask: Ask) => Promise<T>): Promise<T> {
  const terminal = openTerminal();
  // Before the first question: what is typed until raw mode begins would be shown.
  terminal.setRawMode(true);
  try {
    return await use(async (question) => {
      process.stderr.write(question);
      return readLine(terminal, signal).finally(() => process.stderr.write("\r\n"));
    });
  } finally {
    terminal.setRawMode(false);
    if (terminal !== process.stdin) terminal.destroy();
  }
}

/** Asks for a secret once; undefined when there is no terminal to ask on. The caller wipes the bytes. */
export async function promptSecret(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (process.stderr.isTTY !== true) return undefined;
  return withTerminal(signal, async (ask) => {
    const secret = await ask(`${name}: `);
    if (secret.length === 0) throw usageError(`The ${name} is empty.`);
    return secret;
  });
}

/**
 * Asks for the passphrase of a store, twice when it is new. The caller wipes the bytes.
 *
 * @returns undefined when there is no terminal to ask on
 * @throws CliError when it is empty or the two differ
 */
export async function promptPassphrase(isNew: boolean, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (process.stderr.isTTY !== true) return undefined;
  return withTerminal(signal, async (ask) => {
    const passphrase = await ask("Passphrase of the store: ");
    if (passphrase.length === 0) throw usageError("The passphrase is empty.");
    if (!isNew) return passphrase;
    const again = await ask("The same again: ");
    // Both were typed by the same person a moment ago: their comparison tells nobody anything.
    const isSame = Buffer.compare(passphrase, again) === 0;
    again.fill(0);
    if (isSame) return passphrase;
    passphrase.fill(0);
    throw usageError("The two passphrases differ.");
  });
}
