/** `keyplane data-key`: a fresh key in clear, in a file of its owner's alone, and sealed. */

import { resolve } from "node:path";
import type { Command } from "commander";
import type { GenerateDataKeyRequest } from "../index.ts";
import { usageError } from "./exit-codes.ts";
import {
  type ContextOptions,
  type GlobalOptions,
  integer,
  type OutputOptions,
  type Run,
  withContextOption,
  withOutputOptions,
} from "./options.ts";
import { AS_UMASK_SAYS, checkOutput, OWNER_ONLY, withOutput } from "./output.ts";
import { printResult } from "./report.ts";
import { withKms } from "./session.ts";

interface DataKeyOptions extends GlobalOptions, OutputOptions, ContextOptions {
  readonly key: string;
  readonly bytes?: number;
  readonly plaintextOut?: string;
}

export function addDataKeyCommand(program: Command, run: Run): void {
  const command = program
    .command("data-key")
    .description("make a data key; decrypt opens its sealed form again")
    .requiredOption("--key <key>", "id, alias or ARN of a symmetric key")
    .option("--bytes <n>", "length of the data key, 1 to 1024", integer(1, 1024), 32)
    .option("--plaintext-out <file>", "write the data key in clear to this file, mode 0600");
  withOutputOptions(withContextOption(command)).action((_: object, self: Command) =>
    makeDataKey(self.optsWithGlobals<DataKeyOptions>(), run),
  );
}

async function makeDataKey(options: DataKeyOptions, run: Run): Promise<void> {
  const { plaintextOut, output, json } = options;
  if (plaintextOut === "-") throw usageError("--plaintext-out must be a file.");
  if (plaintextOut !== undefined && output !== undefined && resolve(plaintextOut) === resolve(output)) {
    throw usageError("--plaintext-out and -o must be two files.");
  }
  const isInDocument = json === true && output === undefined;
  if (!isInDocument) checkOutput(options);
  const request: GenerateDataKeyRequest = {
    keyId: options.key,
    numberOfBytes: options.bytes,
    encryptionContext: options.context,
  };
  const sealed = await withKms(options, run.signal, async (kms) => {
    const { plaintext, ...rest } = await kms.advanceGenerateDataKey(request, { signal: run.signal });
    const writeSealed = async (): Promise<void> => {
      if (!isInDocument) await withOutput(output, AS_UMASK_SAYS, (file) => file.write(rest.ciphertextBlob));
    };
    try {
      if (plaintextOut === undefined) await writeSealed();
      else {
        await withOutput(plaintextOut, OWNER_ONLY, async (file) => {
          await file.write(plaintext);
          await writeSealed();
        });
      }
    } finally {
      plaintext.fill(0);
    }
    return rest;
  });
  if (json === true) printResult(true, { ...sealed, plaintextOut, output }, "");
}
