/** Reads what a command works on: a file, or standard input. */

import { open } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import { CliError } from "./exit-codes.ts";

const CHUNK_LENGTH = 256 * 1024;

/** An input that is being read. */
export interface Input {
  /** Length of a regular file, in bytes. */
  readonly length: number | undefined;
  readonly stream: ReadableStream<Uint8Array>;
}

/** Opens a file; `-` and undefined are standard input. The signal ends the stream with an error. */
export async function openInput(path: string | undefined, signal: AbortSignal): Promise<Input> {
  if (path === undefined || path === "-") {
    return { length: undefined, stream: webStream(addAbortSignal(signal, process.stdin)) };
  }
  const handle = await open(path, "r");
  const stats = await handle.stat();
  if (stats.isDirectory()) {
    await handle.close();
    throw new CliError("EISDIR", `${path} is a folder.`);
  }
  const readable = addAbortSignal(signal, handle.createReadStream({ highWaterMark: CHUNK_LENGTH }));
  return { length: stats.isFile() ? stats.size : undefined, stream: webStream(readable) };
}

/** Makes a stream that reads on only when asked to, and lets go of its source at once when cancelled. */
function webStream(readable: Readable): ReadableStream<Uint8Array> {
  const chunks = readable.iterator({ destroyOnReturn: true }) as AsyncIterator<Uint8Array>;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel() {
        readable.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Reads at least `length` bytes ahead, or all there is.
 *
 * @returns what was read, and a stream that begins with it
 */
export async function peek(
  stream: ReadableStream<Uint8Array>,
  length: number,
): Promise<{ start: Uint8Array; stream: ReadableStream<Uint8Array> }> {
  const reader = stream.getReader();
  const ahead: Uint8Array[] = [];
  let total = 0;
  while (total < length) {
    const { done, value } = await reader.read();
    if (done) break;
    ahead.push(value);
    total += value.length;
  }
  const rest = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = ahead.shift();
        if (next !== undefined) return controller.enqueue(next);
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { start: Buffer.concat(ahead).subarray(0, length), stream: rest };
}

/**
 * Reads a whole input.
 *
 * @param limit most bytes to take
 * @throws CliError `InputTooLong`
 */
export async function readAll(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  hint: string,
): Promise<Uint8Array> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(Buffer.concat(parts));
    parts.push(value);
    total += value.length;
    if (total > limit) {
      await reader.cancel();
      throw new CliError("InputTooLong", `The input has more than ${limit} bytes. ${hint}`.trimEnd());
    }
  }
}

/** Opens and reads a whole input of at most `limit` bytes. @throws CliError `InputTooLong` */
export async function readInput(
  path: string | undefined,
  limit: number,
  signal: AbortSignal,
  hint = "",
): Promise<Uint8Array> {
  return readAll((await openInput(path, signal)).stream, limit, hint);
}
