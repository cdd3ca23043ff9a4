/** What the facade reuses from call to call must never show: frames, contexts, memory of blobs. [AAD-1] [CTX-1] */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlobSlab } from "../../src/envelope/blob-slab.ts";
import { type FrameMode, frameLength, writeFrame } from "../../src/envelope/ciphertext-blob.ts";
import { ContextCache, encodeContext } from "../../src/envelope/encryption-context.ts";
import { FrameScratch } from "../../src/envelope/frame-scratch.ts";

const HEADERS = [new Uint8Array(24).fill(1), new Uint8Array(24).fill(2)];
const AADS = [0, 1, 43, 43, 44, 9000, 9000].map((length, i) => new Uint8Array(length).fill(i + 1));

/** A step of a history of frames: which header, mode, aad, whether it is said to be constant, and its iv. */
const step = fc.record({
  header: fc.nat(1),
  mode: fc.constantFrom<FrameMode>("detached", "advance"),
  aad: fc.nat(AADS.length - 1),
  constant: fc.boolean(),
  iv: fc.uint8Array({ minLength: 12, maxLength: 12 }),
});

describe("reused frames", () => {
  test("equal fresh ones in any history", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (history) => {
        const scratch = new FrameScratch();
        for (const { header, mode, aad, constant, iv } of history) {
          const [ofVersion, own] = [HEADERS[header] ?? iv, AADS[aad] ?? iv];
          const fresh = new Uint8Array(frameLength(own.length));
          writeFrame(fresh, mode, ofVersion, iv, own);
          const frame = scratch.frame(mode, ofVersion, own, constant).bytes;
          new Uint8Array(scratch.iv.buffer, scratch.iv.byteOffset, 12).set(iv);
          expect(Buffer.compare(frame, fresh)).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("follow an aad that its caller changes", () => {
    const scratch = new FrameScratch();
    const own = new Uint8Array(16);
    const header = HEADERS[0] ?? own;
    const before = new Uint8Array(scratch.frame("advance", header, own, false).bytes);
    own[3] = 1;
    expect(scratch.frame("advance", header, own, false).bytes).not.toEqual(before);
  });
});

describe("the context cache", () => {
  test("answers like the encoder for any two contexts in turn", () => {
    const name = fc.constantFrom("a", "b", "", "\u00e9", "tenant");
    const context = fc.dictionary(name, name, { maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(context, { maxLength: 12 }), (contexts) => {
        const cache = new ContextCache();
        for (const each of contexts) expect(cache.encode(each, "c")).toEqual(encodeContext(each, "c"));
      }),
      { numRuns: 500 },
    );
  });

  test("answers like the encoder where one value changes, whatever its length, order and characters", () => {
    const names = fc.constantFrom(["a", "b", "c"], ["c", "a"], ["\u00e9", "a"], ["only"], ["1", "b"]);
    const text = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom("", "\u00fc", "\ud83d\ude00", "x".repeat(1340), "\u0001".repeat(1400)),
    );
    const change = fc.record({ which: fc.nat(2), value: text });
    const outcome = (encode: () => Uint8Array): unknown => {
      try {
        return Buffer.from(encode()).toString("hex");
      } catch (error) {
        return (error as Error).message;
      }
    };
    fc.assert(
      fc.property(names, fc.array(change, { maxLength: 8 }), (keys, changes) => {
        const cache = new ContextCache();
        const context = Object.fromEntries(keys.map((key) => [key, "start"]));
        for (const { which, value } of changes) {
          context[keys[which % keys.length] ?? "a"] = value;
          const expected = outcome(() => encodeContext(context, "c"));
          expect(outcome(() => cache.encode({ ...context }, "c"))).toBe(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("leaves an encoding that it gave out as it is", () => {
    const cache = new ContextCache();
    const first = cache.encode({ a: "1", b: "2" }, "c");
    const copy = new Uint8Array(first);
    cache.encode({ a: "1", b: "3" }, "c");
    expect(first).toEqual(copy);
  });

  test("follows an object that changes", () => {
    const cache = new ContextCache();
    const context: Record<string, string> = { a: "1" };
    const first = cache.encode(context, "c");
    context["a"] = "2";
    expect(cache.encode(context, "c")).not.toEqual(first);
    context["b"] = "";
    expect(cache.encode(context, "c")).toEqual(encodeContext({ a: "2", b: "" }, "c"));
  });

  test("returns the same bytes for another object with the same pairs", () => {
    const cache = new ContextCache();
    expect(cache.encode({ a: "1" }, "c")).toBe(cache.encode({ a: "1" }, "c"));
  });

  test("takes no inherited pair for an own one", () => {
    const cache = new ContextCache();
    const filled = cache.encode({ a: "1" }, "c");
    const everywhere = { value: "1", enumerable: true, configurable: true, writable: true };
    Object.defineProperty(Object.prototype, "a", everywhere);
    let empty: Uint8Array;
    try {
      empty = cache.encode({}, "c");
    } finally {
      Reflect.deleteProperty(Object.prototype, "a");
    }
    expect(empty).not.toEqual(filled);
  });

  test.each([[null], [[]], [new Map()], ["a"], [{ a: 1 }], [{ a: "\ud800" }]])(
    "refuses %j after a hit",
    (wrong) => {
      const cache = new ContextCache();
      cache.encode({ a: "1" }, "c");
      expect(() => cache.encode(wrong, "c")).toThrow(expect.objectContaining({ code: "InvalidParameter" }));
    },
  );
});

describe("the slab", () => {
  test("hands out disjoint zeroed memory of the asked length", () => {
    const slab = new BlobSlab((length) => new ArrayBuffer(length));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1100 }), { maxLength: 60 }), (lengths) => {
        const slices = lengths.map((length) => slab.take(length));
        for (const [i, slice] of slices.entries()) {
          expect(slice.length).toBe(lengths[i]);
          expect(slice.some((byte) => byte !== 0)).toBe(false);
          slice.fill(0xff);
        }
      }),
    );
  });

  test("starts anew when its block was transferred away", () => {
    const slab = new BlobSlab((length) => new ArrayBuffer(length));
    const first = slab.take(100);
    structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] });
    expect(slab.take(100)).toEqual(new Uint8Array(100));
  });

  test("gives each ciphertext its own buffer where the platform has no blocks", () => {
    const slab = new BlobSlab(() => undefined);
    expect(slab.take(84).buffer.byteLength).toBe(84);
  });
});
