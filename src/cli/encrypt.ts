/** `keyplane encrypt` and `decrypt`: files and pipes of any length, through the streaming format. */

import type { Command } from "commander";
import { isBlobStart } from "../envelope/ciphertext-blob.ts";
import type { Kms } from "../index.ts";
import { decryptStream, encryptStream } from "../stream.ts";
import { openInput, peek, readAll } from "./input.ts";
import {
  type ContextOptions,
  type GlobalOptions,
  type OutputOptions,
  type Run,
  withContextOption,
  withOutputOptions,
} from "./options.ts";
import { AS_UMASK_SAYS, checkOutput, type Output, OWNER_ONLY, withOutput } from "./output.ts";
import { startProgress } from "./progress.ts";
import { printResult } from "./report.ts";
import { withKms } from "./session.ts";

/** Longest CiphertextBlob that `decrypt` takes, in bytes: what AdvanceDecrypt takes. */
const MAX_BLOB_LENGTH: number = 3 * 1024 * 1024 + 1024;

type CryptOptions = GlobalOptions & OutputOptions & ContextOptions & { readonly key?: string };

type Crypt = (
  kms: Kms,
  options: CryptOptions,
  input: ReadableStream<Uint8Array>,
  to: Destination,
) => Promise<void>;

/** Where the result goes, and what ends the work. */
interface Destination {
  readonly output: Output;
  readonly signal: AbortSignal;
}

export function addCryptCommands(program: Command, run: Run): void {
  const encrypt = program
    .command("encrypt [file]")
    .description("encrypt a file, or standard input, under a key")
    .requiredOption("--key <key>", "id, alias or ARN of a symmetric key");
  withOutputOptions(withContextOption(encrypt)).action(
    (file: string | undefined, _: object, command: Command) =>
      crypt(command.optsWithGlobals<CryptOptions>(), file, run, AS_UMASK_SAYS, encryptTo),
  );
  const decrypt = program
    .command("decrypt [file]")
    .description(
      "decrypt what encrypt or data-key made; with -o nothing is left unless all of it is authentic",
    )
    .option("--key <key>", "refuse a file that was encrypted under another key");
  withOutputOptions(withContextOption(decrypt)).action(
    (file: string | undefined, _: object, command: Command) =>
      crypt(command.optsWithGlobals<CryptOptions>(), file, run, OWNER_ONLY, decryptTo),
  );
}

const encryptTo: Crypt = (kms, { key, context }, input, to) => {
  return pipe(input, encryptStream(kms, { keyId: key ?? "", encryptionContext: context }), to);
};

/** Opens a streamed file, or a CiphertextBlob, which is small and opened whole. */
const decryptTo: Crypt = async (kms, { key, context }, input, to) => {
  const { start, stream } = await peek(input, 4);
  if (!isBlobStart(start)) {
    return pipe(stream, decryptStream(kms, { keyId: key, encryptionContext: context }), to);
  }
  const ciphertextBlob = await readAll(stream, MAX_BLOB_LENGTH, "");
  const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob, keyId: key, encryptionContext: context });
  try {
    await to.output.write(plaintext);
  } finally {
    plaintext.fill(0);
  }
};

function pipe(
  input: ReadableStream<Uint8Array>,
  transform: TransformStream<Uint8Array, Uint8Array>,
  { output, signal }: Destination,
): Promise<void> {
  const sink = new WritableStream<Uint8Array>({ write: (bytes) => output.write(bytes) });
  return input.pipeThrough(transform).pipeTo(sink, { signal });
}

/** Counts what passes. */
function counter(count: (length: number) => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      count(chunk.length);
      controller.enqueue(chunk);
    },
  });
}

async function crypt(
  options: CryptOptions,
  file: string | undefined,
  run: Run,
  mode: number,
  work: Crypt,
): Promise<void> {
  checkOutput(options);
  let bytesRead = 0;
  let bytesWritten = 0;
  await withKms(options, run.signal, async (kms) => {
    const input = await openInput(file, run.signal);
    const progress = startProgress(input.length, options.quiet === true);
    const counted = input.stream.pipeThrough(
      counter((length) => {
        bytesRead += length;
        progress.advance(length);
      }),
    );
    try {
      await withOutput(options.output, mode, (output) => {
        const write = (bytes: Uint8Array): Promise<void> => {
          bytesWritten += bytes.length;
          return output.write(bytes);
        };
        return work(kms, options, counted, { output: { write }, signal: run.signal });
      });
    } finally {
      progress.done();
    }
  });
  const result = { input: file ?? "-", output: options.output, bytesRead, bytesWritten };
  if (options.json === true) printResult(true, result, "");
}
