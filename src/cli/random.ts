/** `keyplane random`: bytes of the system's generator, raw or as text. */

import { type Command, Option } from "commander";
import { type GlobalOptions, integer, type OutputOptions, type Run, withOutputOptions } from "./options.ts";
import { checkOutput, OWNER_ONLY, withOutput } from "./output.ts";
import { printResult } from "./report.ts";
import { withKms } from "./session.ts";

interface RandomOptions extends GlobalOptions, OutputOptions {
  readonly format: "raw" | "hex" | "base64";
}

export function addRandomCommand(program: Command, run: Run): void {
  const command = program
    .command("random")
    .description("make random bytes, 1 to 1024")
    .argument("<length>", "how many", integer(1, 1024))
    .addOption(
      new Option("--format <format>", "how to write them").choices(["raw", "hex", "base64"]).default("raw"),
    );
  withOutputOptions(command).action((length: number, _: object, self: Command) =>
    makeRandom(self.optsWithGlobals<RandomOptions>(), length, run),
  );
}

async function makeRandom(options: RandomOptions, length: number, run: Run): Promise<void> {
  const { format, output, json } = options;
  const isInDocument = json === true && output === undefined;
  if (format === "raw" && !isInDocument) checkOutput(options);
  const { random, requestId } = await withKms(options, run.signal, (kms) => kms.generateRandom({ length }));
  if (isInDocument) return printResult(true, { random, requestId }, "");
  const bytes =
    format === "raw" ? random : new TextEncoder().encode(`${Buffer.from(random).toString(format)}\n`);
  await withOutput(output, OWNER_ONLY, (file) => file.write(bytes));
  if (json === true) printResult(true, { length, output, requestId }, "");
}
