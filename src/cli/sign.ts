/** `keyplane sign`, `verify` and `public-key`: signatures of files up to 3 MiB, or of digests made elsewhere. */

import type { Command } from "commander";
import type { SignRequest, VerifyRequest } from "../index.ts";
import { EXIT } from "./exit-codes.ts";
import { readInput } from "./input.ts";
import { type GlobalOptions, type OutputOptions, type Run, withOutputOptions } from "./options.ts";
import { AS_UMASK_SAYS, checkOutput, withOutput } from "./output.ts";
import { printResult } from "./report.ts";
import { withKms } from "./session.ts";

/** What Sign takes as a message, in bytes. */
const MAX_MESSAGE_LENGTH: number = 3 * 1024 * 1024;
/** Any signature is shorter. */
const MAX_SIGNATURE_LENGTH = 4096;
const HINT = "Hash it and give the digest with --digest.";

interface SigningOptions extends GlobalOptions, OutputOptions {
  readonly key: string;
  readonly algorithm?: string;
  readonly digest?: boolean;
  readonly signatureFormat?: string;
  readonly lowS?: boolean;
}

function withSigningOptions(command: Command): Command {
  return command
    .requiredOption("--key <key>", "id, alias or ARN of an asymmetric key")
    .option("--algorithm <name>", "such as RSA_PSS_SHA_256, RSA_PKCS1_SHA_256 or ECDSA_SHA_256")
    .option("--digest", "FILE holds the digest of the message, as bytes")
    .option("--signature-format <format>", "of ECDSA: DER (the default) or P1363")
    .option("--low-s", "of ECDSA: make, and insist on, the smaller s");
}

function signingRequest(options: SigningOptions, message: Uint8Array): SignRequest {
  return {
    keyId: options.key,
    message,
    algorithm: options.algorithm as SignRequest["algorithm"],
    messageType: options.digest === true ? "DIGEST" : "RAW",
    signatureFormat: options.signatureFormat as SignRequest["signatureFormat"],
    lowS: options.lowS,
  };
}

export function addSignCommands(program: Command, run: Run): void {
  const sign = withSigningOptions(
    program.command("sign [file]").description("sign a file, or standard input"),
  );
  withOutputOptions(sign).action((file: string | undefined, _: object, command: Command) =>
    signFile(command.optsWithGlobals<SigningOptions>(), file, run),
  );
  withSigningOptions(
    program
      .command("verify [file]")
      .description("check a signature: exit code 0 if it is good, 3 if it is not")
      .requiredOption("--signature <file>", "the signature"),
  ).action((file: string | undefined, _: object, command: Command) =>
    verifyFile(command.optsWithGlobals<SigningOptions & { readonly signature: string }>(), file, run),
  );
  withOutputOptions(
    program
      .command("public-key <key>")
      .description("print the public key as PEM")
      .option("--der", "write DER instead"),
  ).action((keyId: string, _: object, command: Command) =>
    printPublicKey(command.optsWithGlobals<PublicKeyOptions>(), keyId, run),
  );
}

async function signFile(options: SigningOptions, file: string | undefined, run: Run): Promise<void> {
  const isInDocument = options.json === true && options.output === undefined;
  if (!isInDocument) checkOutput(options);
  const answer = await withKms(options, run.signal, async (kms) => {
    const message = await readInput(file, MAX_MESSAGE_LENGTH, run.signal, HINT);
    return kms.sign(signingRequest(options, message), { signal: run.signal });
  });
  if (!isInDocument) {
    await withOutput(options.output, AS_UMASK_SAYS, (output) => output.write(answer.signature));
  }
  if (options.json === true) printResult(true, { ...answer, output: options.output }, "");
}

async function verifyFile(
  options: SigningOptions & { readonly signature: string },
  file: string | undefined,
  run: Run,
): Promise<void> {
  const answer = await withKms(options, run.signal, async (kms) => {
    const signature = await readInput(options.signature, MAX_SIGNATURE_LENGTH, run.signal);
    const message = await readInput(file, MAX_MESSAGE_LENGTH, run.signal, HINT);
    const request: VerifyRequest = { ...signingRequest(options, message), signature };
    return kms.verify(request, { signal: run.signal });
  });
  if (!answer.value) run.exitCode = EXIT.badSignature;
  printResult(options.json, answer, answer.value ? "good\n" : "bad\n");
}

interface PublicKeyOptions extends GlobalOptions, OutputOptions {
  readonly der?: boolean;
}

async function printPublicKey(options: PublicKeyOptions, keyId: string, run: Run): Promise<void> {
  const { der, output, json } = options;
  if (der === true && !(json === true && output === undefined)) checkOutput(options);
  const answer = await withKms(options, run.signal, (kms) => kms.getPublicKey({ keyId }));
  const bytes = der === true ? answer.publicKeyDer : new TextEncoder().encode(answer.publicKey);
  if (json !== true || output !== undefined) {
    await withOutput(output, AS_UMASK_SAYS, (file) => file.write(bytes));
  }
  if (json === true) printResult(true, { ...answer, output }, "");
}
