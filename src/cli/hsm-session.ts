/** Which token a command means, and its PIN: from a file, the environment's file or the terminal; never an argument. */

import { open } from "node:fs/promises";
import { Hsm } from "../hsm.ts";
import { usageError } from "./exit-codes.ts";
import type { GlobalOptions } from "./options.ts";
import { MAX_PASSPHRASE_LENGTH, promptSecret } from "./passphrase.ts";

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** The module that options or the environment name. @throws CliError without one */
export function readModule(options: GlobalOptions): { readonly library: string; readonly initArgs?: string } {
  const library = options.hsmLibrary ?? process.env["KEYPLANE_HSM_LIBRARY"];
  const initArgs = options.hsmInitArgs ?? process.env["KEYPLANE_HSM_INIT_ARGS"];
  if (!library) throw usageError("No HSM: give --hsm-library FILE, or set KEYPLANE_HSM_LIBRARY.");
  return initArgs ? { library, initArgs } : { library };
}

/** Tells whether options or the environment name an HSM. */
export function namesHsm(options: GlobalOptions): boolean {
  return Boolean(options.hsmLibrary ?? process.env["KEYPLANE_HSM_LIBRARY"]);
}

/** Logs in to the token that options or the environment name. */
export async function openHsm(options: GlobalOptions, signal: AbortSignal): Promise<Hsm> {
  const named = options.hsmToken ?? process.env["KEYPLANE_HSM_TOKEN"];
  if (!named)
    throw usageError("No token: give --hsm-token LABEL or a pkcs11: URI, or set KEYPLANE_HSM_TOKEN.");
  const token = named.startsWith("pkcs11:") ? { uri: named } : { tokenLabel: named };
  // A PIN that cannot be had is not one that was refused, which is all that the token's error says.
  let failure: unknown;
  const pin = (): Promise<Uint8Array> =>
    readPin(pinFile(options), "PIN", signal).catch((error: unknown) => {
      failure = error;
      throw error;
    });
  try {
    return await Hsm.open({ ...readModule(options), ...token, pin });
  } catch (error) {
    throw failure ?? error;
  }
}

function pinFile(options: GlobalOptions): string | undefined {
  return options.hsmPinFile ?? (process.env["KEYPLANE_HSM_PIN_FILE"] || undefined);
}

/** Lends a PIN for one use and wipes it after. */
export async function withPin<T>(
  source: GlobalOptions | { readonly file: string; readonly prompt: string },
  signal: AbortSignal,
  use: (pin: Uint8Array) => Promise<T>,
): Promise<T> {
  const [file, prompt] = "prompt" in source ? [source.file, source.prompt] : [pinFile(source), "PIN"];
  const pin = await readPin(file, prompt, signal);
  try {
    return await use(pin);
  } finally {
    pin.fill(0);
  }
}

/** Reads a PIN; a line end at the end of its file is not part of it. The caller wipes the bytes. */
async function readPin(file: string | undefined, prompt: string, signal: AbortSignal): Promise<Uint8Array> {
  if (file === undefined) {
    const typed = await promptSecret(prompt, signal);
    if (typed !== undefined) return typed;
    throw usageError("No PIN: give --hsm-pin-file FILE, or set KEYPLANE_HSM_PIN_FILE.");
  }
  const buffer = new Uint8Array(MAX_PASSPHRASE_LENGTH + 2);
  const handle = await open(file, "r");
  try {
    let { bytesRead: length } = await handle.read(buffer, 0, buffer.length, 0);
    if (buffer[length - 1] === LINE_FEED) length -= buffer[length - 2] === RETURN ? 2 : 1;
    if (length <= 0) throw usageError("The PIN file is empty.");
    return buffer.slice(0, length);
  } finally {
    buffer.fill(0);
    await handle.close();
  }
}
