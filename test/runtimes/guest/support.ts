/** Small means of the checks inside a runtime: no assertion library, no host modules. */

import type { Row } from "./protocol.ts";

/** What a guest hands to the suite: the package as it was resolved there. */
export interface Library {
  readonly Kms: typeof import("keyplane").Kms;
  readonly KmsError: typeof import("keyplane").KmsError;
  readonly loadEngine: typeof import("keyplane/engine").loadEngine;
  readonly encryptStream: typeof import("keyplane/stream").encryptStream;
  readonly decryptStream: typeof import("keyplane/stream").decryptStream;
}

export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Makes `length` bytes that differ from their neighbours. */
export function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + 7) & 0xff);
}

export function same(actual: Uint8Array | undefined, expected: Uint8Array | string, what: string): void {
  const wanted = typeof expected === "string" ? expected : toHex(expected);
  const got = actual === undefined ? "undefined" : toHex(actual);
  if (got !== wanted) throw new Error(`${what}: ${got.slice(0, 80)} instead of ${wanted.slice(0, 80)}`);
}

export function is<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

/** Gives the code a call ends with: that of a KmsError, or what else was thrown. */
export async function codeOf(library: Library, call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof library.KmsError) return error.code;
    return `foreign error ${String(error)}`;
  }
  return "none";
}

/** Runs named checks in order and keeps what came of each. */
export class Checks {
  readonly passed: string[] = [];
  readonly failed: string[] = [];

  async run(name: string, check: () => unknown): Promise<void> {
    try {
      await check();
      this.passed.push(name);
    } catch (error) {
      this.failed.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
}

/** Makes a store that holds rows and takes changes, gone with the guest. */
export function rowsStore(initial: readonly Row[]) {
  const rows = new Map(
    initial.map(([kind, id, bytes]) => [`${kind} ${id}`, { kind, id, bytes: fromHex(bytes) }]),
  );
  return {
    persistent: true,
    open: async () => Array.from(rows.values(), (row) => ({ ...row, bytes: Uint8Array.from(row.bytes) })),
    commit: (changes: readonly { action: string; kind: string; id: string; bytes?: Uint8Array }[]) => {
      for (const { kind, id, bytes } of changes) {
        if (bytes === undefined) rows.delete(`${kind} ${id}`);
        else rows.set(`${kind} ${id}`, { kind, id, bytes: Uint8Array.from(bytes) });
      }
    },
    purge: () => undefined,
    close: async () => undefined,
    rows: (): Row[] => Array.from(rows.values(), ({ kind, id, bytes }) => [kind, id, toHex(bytes)] as const),
  };
}

/** Sends bytes through a stream in pieces of odd sizes. */
export async function through(
  bytes: Uint8Array,
  transform: TransformStream<Uint8Array, Uint8Array>,
): Promise<Uint8Array> {
  let at = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      const length = at % 3 === 0 ? 1000 : 30_011;
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at + length));
      at += length;
      if (at >= bytes.length) controller.close();
    },
  });
  const chunks: Uint8Array[] = [];
  let total = 0;
  const reader = source.pipeThrough(transform).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    total += value.length;
  }
  const joined = new Uint8Array(total);
  total = 0;
  for (const chunk of chunks) {
    joined.set(chunk, total);
    total += chunk.length;
  }
  return joined;
}
