/** encryptStream and decryptStream: what they make, what they accept, how they hold and let go of memory and keys. */

import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type BulkKey, BulkKeys } from "../../src/engines/bulk-keys.ts";
import { type EngineChoice, Kms } from "../../src/index.ts";
import { decryptStream, encryptStream } from "../../src/stream.ts";
import {
  chunksOf,
  decryptAll,
  encryptAll,
  FRAME,
  pattern,
  readFile,
  run,
  writeFile,
} from "./stream-support.ts";

const HEADER = 94;
let kms: Kms;
let keyId: string;

beforeAll(async () => {
  kms = await Kms.open();
  ({ keyId } = await kms.createKey());
});
afterAll(() => kms.close());

describe.each<EngineChoice>(["node", "wasm"])("with the %s engine", (engine) => {
  test.each([0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 17])(
    "[STR-6] [STR-7] %i bytes come back, in as few frames as hold them",
    async (length) => {
      await using own = await Kms.open({ engine });
      const key = await own.createKey();
      const plaintext = pattern(length);
      const file = await encryptAll(own, key.keyId, plaintext);
      expect(file.length).toBe(HEADER + length + 16 * Math.max(1, Math.ceil(length / FRAME)));
      const { released, error } = await decryptAll(own, file);
      expect(error).toBeUndefined();
      expect(Buffer.compare(released, plaintext)).toBe(0);
    },
  );
});

describe("the format", () => {
  test("[STR-2] [STR-4] [STR-5] is what an independent reader expects", async () => {
    for (const length of [0, 5, FRAME, FRAME + 5]) {
      const file = await encryptAll(kms, keyId, pattern(length), { a: "b" });
      expect(file[6]).toBe(16);
      const blob = file.subarray(10, HEADER);
      const dataKey = await kms.advanceDecrypt({ ciphertextBlob: blob, encryptionContext: { a: "b" } });
      expect(Buffer.compare(readFile(dataKey.plaintext, file), pattern(length))).toBe(0);
    }
  });

  test("[STR-2] is read with frames of every length", async () => {
    const key = await kms.advanceGenerateDataKey({ keyId });
    for (let exponent = 12; exponent <= 20; exponent++) {
      const frames = [pattern(2 ** exponent), pattern(2 ** exponent), pattern(7)].map((plaintext) => ({
        plaintext,
      }));
      const file = writeFile(key.plaintext, key.ciphertextBlob, exponent, frames);
      const { released, error } = await decryptAll(kms, file, {}, 50_000);
      expect(error).toBeUndefined();
      expect(released.length).toBe(2 * 2 ** exponent + 7);
    }
  });

  test("[STR-4] has a fresh data key in every file", async () => {
    const [a, b] = [await encryptAll(kms, keyId, pattern(100)), await encryptAll(kms, keyId, pattern(100))];
    expect(Buffer.compare(a.subarray(HEADER), b.subarray(HEADER))).not.toBe(0);
  });

  test("[STR-7] does not depend on the chunks that carry it", async () => {
    /** Chunk lengths, with frame edges and empty chunks among them. */
    const cuts = fc.array(
      fc.oneof(fc.nat(5), fc.nat(2 * FRAME), fc.constantFrom(FRAME - 1, FRAME, FRAME + 1, FRAME + 16)),
      { maxLength: 10 },
    );
    const cut = (bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] => {
      const chunks: Uint8Array[] = [];
      let offset = 0;
      for (const length of lengths) {
        chunks.push(bytes.subarray(offset, offset + length));
        offset += length;
      }
      return [...chunks, bytes.subarray(offset)];
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(3 * FRAME), cuts, cuts, async (length, writeCuts, readCuts) => {
        const plaintext = pattern(length);
        const encrypted = await run(cut(plaintext, writeCuts), encryptStream(kms, { keyId }));
        expect(encrypted.released.length).toBe(HEADER + length + 16 * Math.max(1, Math.ceil(length / FRAME)));
        const decrypted = await run(cut(encrypted.released, readCuts), decryptStream(kms));
        expect(decrypted.error).toBeUndefined();
        expect(Buffer.compare(decrypted.released, plaintext)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test("[STR-7] comes through one byte at a time", async () => {
    const file = await encryptAll(kms, keyId, pattern(300));
    const { released } = await decryptAll(kms, file, {}, 1);
    expect(released).toEqual(pattern(300));
  });

  test("survives a rotation of the key, and a key named by its alias", async () => {
    await using own = await Kms.open();
    const key = await own.createKey();
    await own.createAlias({ keyId: key.keyId, aliasName: "alias/files" });
    const file = await encryptAll(own, "alias/files", pattern(9));
    await own.rotateKey({ keyId: key.keyId });
    expect((await decryptAll(own, file, { keyId: "alias/files" })).released).toEqual(pattern(9));
  });
});

describe("the calls", () => {
  test("refuse wrong options at once, naming them", () => {
    const call = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    };
    expect(call(() => encryptStream(kms, {} as never))).toBe("MissingParameter");
    expect(call(() => encryptStream(kms, { keyId, aad: new Uint8Array(1) } as never))).toBe(
      "InvalidParameter",
    );
    expect(call(() => encryptStream(kms, { keyId, encryptionContext: { a: 1 } } as never))).toBe(
      "InvalidParameter",
    );
    expect(call(() => decryptStream({} as never))).toBe("InvalidParameter");
    expect(call(() => decryptStream(kms, { encryptionContext: [] } as never))).toBe("InvalidParameter");
  });

  test("keep the context as it was when they were made", async () => {
    const context: Record<string, string> = { a: "1" };
    const stream = encryptStream(kms, { keyId, encryptionContext: context });
    context["a"] = "2";
    const { released: file } = await run([pattern(4)], stream);
    expect((await decryptAll(kms, file, { encryptionContext: { a: "1" } })).released).toEqual(pattern(4));
  });

  test("answer the code of the KMS for a key that cannot encrypt", async () => {
    const rsa = await kms.createKey({ keySpec: "EC_P256" });
    const unknown = await run([pattern(1)], encryptStream(kms, { keyId: "alias/none" }));
    expect(unknown.error).toMatchObject({ code: "Forbidden.KeyNotFound" });
    const asymmetric = await run([pattern(1)], encryptStream(kms, { keyId: rsa.keyId }));
    expect(asymmetric.error).toMatchObject({ code: "Forbidden.OnlySymmetricKeySupported" });
  });

  test("refuse chunks that are not bytes", async () => {
    const { error } = await run(["text" as never], encryptStream(kms, { keyId }));
    expect(error).toMatchObject({ code: "InvalidParameter" });
  });

  test("[STR-11] answer the state of a key that may not decrypt", async () => {
    await using own = await Kms.open();
    const key = await own.createKey();
    const file = await encryptAll(own, key.keyId, pattern(9));
    await own.disableKey({ keyId: key.keyId });
    const { released, error } = await decryptAll(own, file);
    expect(released).toHaveLength(0);
    expect(error).toMatchObject({ code: "Rejected.Disabled" });
  });
});

describe("memory", () => {
  test("[STR-14] holds a frame or two of 256 MiB on the way through both directions", {
    timeout: 60_000,
  }, async () => {
    const total = 256 * 1024 * 1024;
    const chunk = pattern(FRAME);
    let read = 0;
    let most = 0;
    let written = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (read === total) return controller.close();
          read += chunk.length;
          most = Math.max(most, read - written);
          controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
    const sink = new WritableStream<Uint8Array>({
      async write(part) {
        if (written % (16 * 1024 * 1024) < FRAME) await turn();
        written += part.length;
      },
    });
    await source.pipeThrough(encryptStream(kms, { keyId })).pipeThrough(decryptStream(kms)).pipeTo(sink);
    expect(written).toBe(total);
    expect(most).toBeLessThanOrEqual(10 * FRAME);
  });

  test("[STR-14] takes nothing more from a source whose reader rests", async () => {
    let pulls = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulls += 1;
          controller.enqueue(pattern(FRAME));
        },
      },
      { highWaterMark: 0 },
    );
    const reader = source.pipeThrough(encryptStream(kms, { keyId })).getReader();
    await reader.read();
    for (let i = 0; i < 50; i++) await turn();
    expect(pulls).toBeLessThanOrEqual(4);
    await reader.cancel();
  });
});

describe("keys", () => {
  /** Watches the keys that streams are given; counts those not yet destroyed. */
  function watchKeys(): { live: () => number; made: () => number; [Symbol.dispose](): void } {
    const live = new Set<BulkKey>();
    let made = 0;
    const { import: original } = BulkKeys.prototype;
    const spy = vi.spyOn(BulkKeys.prototype, "import").mockImplementation(async function (
      this: BulkKeys,
      ...args
    ) {
      const key = await original.apply(this, args);
      const watched: BulkKey = {
        ...key,
        destroy: () => {
          live.delete(watched);
          key.destroy();
        },
      };
      live.add(watched);
      made += 1;
      return watched;
    });
    return { live: () => live.size, made: () => made, [Symbol.dispose]: () => spy.mockRestore() };
  }

  test("[STR-13] are gone after the end and after a failure, of either direction", async () => {
    using keys = watchKeys();
    const file = await encryptAll(kms, keyId, pattern(100));
    await decryptAll(kms, file);
    file[120] = (file[120] ?? 0) ^ 1;
    expect((await decryptAll(kms, file)).error).toMatchObject({ code: "InvalidCiphertext" });
    await run([pattern(3), "no bytes" as never], encryptStream(kms, { keyId }));
    expect(keys.made()).toBe(4);
    expect(keys.live()).toBe(0);
  });

  test("[STR-13] are gone after cancel and abort", async () => {
    using keys = watchKeys();
    const cancelled = encryptStream(kms, { keyId });
    const writer = cancelled.writable.getWriter();
    const reader = cancelled.readable.getReader();
    void writer.write(pattern(10)).catch(() => undefined);
    await reader.read();
    expect(keys.live()).toBe(1);
    await reader.cancel();
    expect(keys.live()).toBe(0);

    const aborted = encryptStream(kms, { keyId });
    const second = aborted.writable.getWriter();
    const read = aborted.readable.getReader();
    void second.write(pattern(10)).catch(() => undefined);
    await read.read();
    expect(keys.live()).toBe(1);
    await second.abort().catch(() => undefined);
    expect(keys.live()).toBe(0);
  });

  test("[STR-13] that arrive after a cancel are let go", async () => {
    using keys = watchKeys();
    const file = await encryptAll(kms, keyId, pattern(100));
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const original = kms.advanceDecrypt.bind(kms);
    const spy = vi.spyOn(kms, "advanceDecrypt").mockImplementation(async (request) => {
      await answered;
      return original(request);
    });
    const stream = decryptStream(kms);
    const reader = stream.readable.getReader();
    const reading = reader.read();
    const writing = stream.writable
      .getWriter()
      .write(file)
      .catch(() => undefined);
    await vi.waitFor(() => expect(spy).toHaveBeenCalled());
    await reader.cancel();
    answer();
    await Promise.all([reading, writing]);
    await turn();
    expect(keys.made()).toBe(2);
    expect(keys.live()).toBe(0);
    spy.mockRestore();
  });

  test("[STR-13] leave no bytes behind in what the KMS answered", async () => {
    const make = vi.spyOn(kms, "advanceGenerateDataKey");
    const open = vi.spyOn(kms, "advanceDecrypt");
    const file = await encryptAll(kms, keyId, pattern(100));
    await decryptAll(kms, file);
    for (const spy of [make, open]) {
      const answer = (await spy.mock.results[0]?.value) as { plaintext: Uint8Array } | undefined;
      expect(answer?.plaintext).toEqual(new Uint8Array(32));
    }
    vi.restoreAllMocks();
  });

  test("[STR-13] end with the Kms: a running stream fails with Rejected.Closed", async () => {
    const own = await Kms.open();
    const key = await own.createKey();
    const stream = encryptStream(own, { keyId: key.keyId });
    const writer = stream.writable.getWriter();
    const reader = stream.readable.getReader();
    const first = writer.write(pattern(10));
    await reader.read();
    await first;
    await own.close();
    writer.close().catch(() => undefined);
    await expect(reader.read()).rejects.toMatchObject({ code: "Rejected.Closed" });
    const late = await run(chunksOf(pattern(9), 3), encryptStream(own, { keyId: key.keyId }));
    expect(late.error).toMatchObject({ code: "Rejected.Closed" });
  });
});
