/** The `keyplane` command as a whole: its options, its commands, its way to end. docs/cli.md is its manual. */

import { Command } from "commander";
import { addAliasCommands } from "./aliases.ts";
import { addDataKeyCommand } from "./data-key.ts";
import { addCryptCommands } from "./encrypt.ts";
import { cancelled, EXIT, type ExitCode } from "./exit-codes.ts";
import { addHsmCommands } from "./hsm.ts";
import { addInitCommand } from "./init.ts";
import { addInspectCommand } from "./inspect.ts";
import { addKeyCommands } from "./keys.ts";
import type { Run } from "./options.ts";
import { addRandomCommand } from "./random.ts";
import { reportFailure } from "./report.ts";
import { addSignCommands } from "./sign.ts";
import { VERSION } from "./version.ts";

function buildProgram(run: Run): Command {
  const program = new Command("keyplane")
    .description(
      "A key management service in a file: encrypt, sign and make data keys with keys that stay in a store.",
    )
    .version(VERSION)
    .option("--store <file>", "the store (KEYPLANE_STORE; default: keyplane.db)")
    .option("--root-key <file>", "root key file, 32 bytes, mode 0600 (KEYPLANE_ROOT_KEY_FILE)")
    .option(
      "--passphrase-file <file>",
      "file that holds the passphrase (KEYPLANE_PASSPHRASE: the passphrase itself)",
    )
    .option("--hsm-library <file>", "PKCS#11 module (KEYPLANE_HSM_LIBRARY)")
    .option("--hsm-init-args <text>", "what the module wants at its initialisation (KEYPLANE_HSM_INIT_ARGS)")
    .option("--hsm-token <label>", "label or pkcs11: URI of the token (KEYPLANE_HSM_TOKEN)")
    .option("--hsm-pin-file <file>", "file that holds the token's PIN (KEYPLANE_HSM_PIN_FILE)")
    .option("--json", "print one JSON document; binary values are base64")
    .option("--quiet", "draw no progress line")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  addInitCommand(program, run);
  addKeyCommands(program, run);
  addAliasCommands(program, run);
  addCryptCommands(program, run);
  addDataKeyCommand(program, run);
  addSignCommands(program, run);
  addRandomCommand(program, run);
  addInspectCommand(program, run);
  addHsmCommands(program, run);
  return program;
}

/** Turns the first SIGINT or SIGTERM into an orderly end; the second one ends the process at once. */
function cancelOnSignals(): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const onInterrupt = (): void => controller.abort(cancelled(EXIT.interrupted));
  const onTerminate = (): void => controller.abort(cancelled(EXIT.terminated));
  process.once("SIGINT", onInterrupt);
  process.once("SIGTERM", onTerminate);
  return {
    signal: controller.signal,
    stop: () => {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
    },
  };
}

/** Runs one command line and returns its exit code. */
export async function runProgram(args: readonly string[]): Promise<ExitCode> {
  // A reader that went away is reported by the write that failed; without a listener it would be a crash.
  process.stdout.on("error", () => undefined);
  const { signal, stop } = cancelOnSignals();
  const run: Run = { signal, exitCode: EXIT.ok };
  try {
    await buildProgram(run).parseAsync(args, { from: "user" });
    return run.exitCode;
  } catch (error) {
    return reportFailure(error, signal.aborted ? signal.reason : undefined);
  } finally {
    stop();
  }
}
