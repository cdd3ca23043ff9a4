/** Helpers of the stream tests: pipes that note what was released, and a second implementation of the format over noble. */

import { gcm } from "@noble/ciphers/aes.js";
import type { Kms } from "../../src/index.ts";
import { type DecryptStreamOptions, decryptStream, encryptStream } from "../../src/stream.ts";

export const FRAME = 65_536;
export const SEALED_FRAME: number = FRAME + 16;

/** Splits bytes into chunks of one length. */
export function chunksOf(bytes: Uint8Array, length: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += length) chunks.push(bytes.subarray(i, i + length));
  return chunks;
}

/** What came out of a stream before it ended or failed. */
export interface Outcome {
  readonly released: Uint8Array;
  readonly error?: unknown;
}

export async function run(
  chunks: readonly Uint8Array[],
  stream: TransformStream<Uint8Array, Uint8Array>,
): Promise<Outcome> {
  const parts: Uint8Array[] = [];
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  try {
    for await (const part of source.pipeThrough(stream) as unknown as AsyncIterable<Uint8Array>)
      parts.push(part);
    return { released: new Uint8Array(Buffer.concat(parts)) };
  } catch (error) {
    return { released: new Uint8Array(Buffer.concat(parts)), error };
  }
}

export async function encryptAll(
  kms: Kms,
  keyId: string,
  plaintext: Uint8Array,
  encryptionContext?: Record<string, string>,
): Promise<Uint8Array> {
  const { released, error } = await run([plaintext], encryptStream(kms, { keyId, encryptionContext }));
  if (error !== undefined) throw error;
  return released;
}

export function decryptAll(
  kms: Kms,
  file: Uint8Array,
  options: DecryptStreamOptions = {},
  chunkLength: number = file.length || 1,
): Promise<Outcome> {
  return run(chunksOf(file, chunkLength), decryptStream(kms, options));
}

/** Bytes that differ from frame to frame, so that no two frames can be taken for one another. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i ^ (i >>> 8) ^ (i >>> 16)) & 0xff);
}

/** Header and sealed frames of a file with frames of 64 KiB. */
export function parts(file: Uint8Array): { header: Uint8Array; frames: Uint8Array[] } {
  const length = 10 + (((file[8] ?? 0) << 8) | (file[9] ?? 0));
  return { header: file.subarray(0, length), frames: chunksOf(file.subarray(length), SEALED_FRAME) };
}

export function join(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

function nonceOf(index: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce[11] = isLast ? 1 : 0;
  return new Uint8Array(nonce);
}

/** Writes a file by the words of docs/streaming-format.md, with frames of any kind, good or bad. */
export function writeFile(
  dataKey: Uint8Array,
  blob: Uint8Array,
  exponent: number,
  frames: readonly { plaintext: Uint8Array; index?: number; isLast?: boolean }[],
): Uint8Array {
  const header = join(
    Uint8Array.of(0x4b, 0x53, 0x54, 0x52, 1, 1, exponent, 0, blob.length >> 8, blob.length & 255),
    blob,
  );
  const sealed = frames.map(({ plaintext, index, isLast }, i) =>
    gcm(dataKey, nonceOf(index ?? i, isLast ?? i === frames.length - 1), header).encrypt(plaintext),
  );
  return join(header, ...sealed);
}

/** Reads a file by the words of docs/streaming-format.md. */
export function readFile(dataKey: Uint8Array, file: Uint8Array): Uint8Array {
  const { header, frames } = parts(file);
  return join(
    ...frames.map((frame, i) => gcm(dataKey, nonceOf(i, i === frames.length - 1), header).decrypt(frame)),
  );
}
