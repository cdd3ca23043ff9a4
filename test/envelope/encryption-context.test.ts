/** Encryption contexts as bytes: docs/ciphertext-blob.md, CTX. */

import { createHash } from "node:crypto";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeContext, transferContextText } from "../../src/envelope/encryption-context.ts";
import { KmsError } from "../../src/errors.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { toHex } from "../support/kms.ts";

const vector = docVectors("ciphertext-blob.md");
const encode = (context: unknown): string => toHex(encodeContext(context, "encryptionContext"));

/** Gives the message of the InvalidParameter that encoding ends in. */
function refusal(context: unknown): string {
  try {
    encode(context);
  } catch (error) {
    if (error instanceof KmsError && error.code === "InvalidParameter") return error.message;
    throw error;
  }
  return "not refused";
}

/** Reads an encoding back, written from the specification alone. */
function decode(bytes: Uint8Array): [string, string][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 3;
  const read = (): string => {
    const length = view.getUint16(offset);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(offset + 2, offset + 2 + length),
    );
    offset += 2 + length;
    return text;
  };
  expect(bytes[0]).toBe(1);
  const pairs = Array.from({ length: view.getUint16(1) }, (): [string, string] => [read(), read()]);
  expect(offset).toBe(bytes.length);
  return pairs;
}

/** Text of every plane, separators of the ambiguous encodings, prototype names, often empty. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom("a", "b", "1", "=", "&", '"', "\0", "\uFEFF", "\uE000", "\u{1F511}"),
    maxLength: 6,
  }),
  fc.constantFrom("", "__proto__", "constructor", "toString"),
);
const contexts = fc.dictionary(text, text, { maxKeys: 6, noNullPrototype: false });
const wellFormed = contexts.filter((context) =>
  Object.entries(context)
    .flat()
    .every((value) => !/\p{Surrogate}/u.test(value)),
);

describe("a context's encoding", () => {
  test("equals the published vectors [CTX-4] [CTX-5]", () => {
    expect(encode(JSON.parse(vector("context")))).toBe(vector("context-encoded"));
    expect(encode(JSON.parse(vector("astral-context")))).toBe(vector("astral-encoded"));
  });

  test("holds exactly the context's pairs, so it is injective [CTX-4]", () => {
    fc.assert(
      fc.property(wellFormed, (context) => {
        const pairs = decode(encodeContext(context, "encryptionContext"));
        expect(pairs.length).toBe(Object.keys(context).length);
        for (const [key, value] of pairs) expect([key, context[key]]).toEqual([key, value]);
      }),
      { numRuns: 500 },
    );
  });

  test("is sorted by the bytes of the keys and ignores the order of the object [CTX-5]", () => {
    fc.assert(
      fc.property(wellFormed, (context) => {
        const bytes = encodeContext(context, "encryptionContext");
        const keys = decode(bytes).map(([key]) => Buffer.from(key));
        for (let i = 1; i < keys.length; i++) {
          expect(Buffer.compare(keys[i - 1] as Buffer, keys[i] as Buffer)).toBe(-1);
        }
        const reversed = Object.fromEntries(Object.entries(context).reverse());
        expect(encode(reversed)).toBe(toHex(bytes));
      }),
      { numRuns: 300 },
    );
  });

  test("sorts keys of astral planes after the private use area [CTX-5]", () => {
    const keys = decode(encodeContext({ "\u{1F511}": "", "\uE000": "", a: "" }, "c")).map(([key]) => key);
    expect(keys).toEqual(["a", "\uE000", "\u{1F511}"]);
  });

  test.each([
    [{ a: "1&b=2" }, { a: "1", b: "2" }],
    [{ ab: "c" }, { a: "bc" }],
    [{ a: "b=c" }, { "a=b": "c" }],
    [{ a: "", b: "" }, { a: "b" }],
    [{ a: '1","b":"2' }, { a: "1", b: "2" }],
    [{}, { "": "" }],
    [{ a: "\u00e9" }, { a: "e\u0301" }],
    [{ a: "\0" }, { a: "" }],
    [{ a: "\uFEFFx" }, { a: "x" }],
    [{ "a\0b": "" }, { a: "\0b" }],
    [{ a: "1" }, { A: "1" }],
  ])("tells %j from %j [CTX-2] [CTX-4]", (first, second) => {
    expect(encode(first)).not.toBe(encode(second));
  });

  test("gives the empty contexts encodings of their own [CTX-6]", () => {
    expect(encode({})).toBe("010000");
    expect(encode({ "": "" })).toBe("01000100000000");
  });
});

describe("what is a context", () => {
  class Labels {
    readonly a: string = "1";
  }
  const nullRoot: object = Object.create(null);
  class Rootless extends (null as unknown as ObjectConstructor) {}

  test.each([
    ["null", null],
    ["a string", "a=1"],
    ["a number", 7],
    ["true", true],
    ["a function", () => ({})],
    ["a symbol", Symbol("a")],
    ["an array", ["a", "1"]],
    ["an empty array", []],
    ["a Map", new Map([["a", "1"]])],
    ["a Set", new Set(["a"])],
    ["a Date", new Date(0)],
    ["a Uint8Array", new Uint8Array(2)],
    ["a boxed string", Object("abc")],
    ["an instance of a class", new Labels()],
    ["an instance of a class without a root", Object.create(Rootless.prototype)],
    [
      "an object that inherits from a rootless one",
      Object.create(nullRoot, { a: { value: "1", enumerable: true } }),
    ],
    ["an object that inherits pairs", Object.create({ a: "1" })],
  ])("refuses %s [CTX-1]", (_, context) => {
    expect(refusal(context)).toBe("encryptionContext must be a plain object of strings.");
  });

  test.each([
    ["a number", 1],
    ["null", null],
    ["undefined", undefined],
    ["true", true],
    ["an object", { b: "1" }],
    ["an array", ["1"]],
    ["a boxed string", Object("1")],
    ["bytes", new Uint8Array(1)],
  ])("refuses %s as a value [CTX-1]", (_, value) => {
    expect(refusal({ a: "1", b: value })).toBe("encryptionContext must have string values only.");
  });

  test("takes objects without a prototype and of another realm [CTX-1]", () => {
    expect(encode(Object.assign(Object.create(null), { a: "1" }))).toBe(encode({ a: "1" }));
    expect(encode(runInNewContext("({ a: '1' })"))).toBe(encode({ a: "1" }));
  });

  test("takes prototype names as keys like any other [CTX-1]", () => {
    const own = JSON.parse('{"__proto__":"1","constructor":"2","toString":"3"}');
    expect(decode(encodeContext(own, "c"))).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
      ["toString", "3"],
    ]);
    expect(encode(own)).not.toBe(encode({ constructor: "2", toString: "3" }));
    expect(refusal(JSON.parse('{"__proto__":{"a":"1"}}'))).toBe(
      "encryptionContext must have string values only.",
    );
  });

  test("counts own enumerable string keys only and reads each getter once [CTX-1]", () => {
    let reads = 0;
    const context = {
      get a() {
        reads += 1;
        return String(reads);
      },
      [Symbol("b")]: "2",
    };
    Object.defineProperty(context, "hidden", { value: "3", enumerable: false });
    expect(encode(context)).toBe(encode({ a: "1" }));
    expect(reads).toBe(1);
  });

  test.each(["\ud800", "\udc00", "a\ud83d", "\udd11\ud83d", "\ud83d\ud83d\udd11"])(
    "refuses the lone surrogate of %j in keys and values [CTX-2]",
    (lone) => {
      expect(refusal({ [lone]: "1" })).toBe("encryptionContext must not hold lone surrogates.");
      expect(refusal({ a: lone })).toBe("encryptionContext must not hold lone surrogates.");
    },
  );

  test("has at most 8192 characters as JSON, escapes included [CTX-3]", () => {
    const tooLong = "encryptionContext must have at most 8192 characters as JSON.";
    const overhead = JSON.stringify({ a: "" }).length;
    expect(decode(encodeContext({ a: "x".repeat(8192 - overhead) }, "c"))).toHaveLength(1);
    expect(refusal({ a: "x".repeat(8193 - overhead) })).toBe(tooLong);
    // A quote takes two characters, a control character six, an astral one two units.
    expect(refusal({ a: '"'.repeat((8192 - overhead) / 2) })).toBe("not refused");
    expect(refusal({ a: `${'"'.repeat((8192 - overhead) / 2)}x` })).toBe(tooLong);
    expect(refusal({ a: "\u0001".repeat(Math.ceil((8193 - overhead) / 6)) })).toBe(tooLong);
    expect(refusal({ a: "\u0001".repeat(Math.floor((8192 - overhead) / 6)) })).toBe("not refused");
    expect(refusal({ a: "\u{1F511}".repeat((8192 - overhead) / 2 + 1) })).toBe(tooLong);
  });

  test("is measured exactly near the limit [CTX-3]", () => {
    const units = fc.constantFrom("x", '"', "\\", "\n", "\u0001", "\u2028", "ü", "\u{1F511}");
    const value = fc.tuple(units, fc.integer({ min: 100, max: 2100 })).map(([unit, n]) => unit.repeat(n));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), (values) => {
        const context = Object.fromEntries(values.map((entry, i) => [`k${i}`, entry]));
        expect(refusal(context) === "not refused").toBe(JSON.stringify(context).length <= 8192);
      }),
      { numRuns: 300 },
    );
  });

  test("may have as many pairs as fit [CTX-3] [CTX-4]", () => {
    const context: Record<string, string> = {};
    for (let i = 0; JSON.stringify(context).length <= 8192 - 12; i++) context[i.toString(36)] = "";
    expect(decode(encodeContext(context, "c"))).toHaveLength(Object.keys(context).length);
  });
});

describe("the transfer text", () => {
  test("is the vendor's sorted join, ambiguities included [CTX-7]", () => {
    const context = JSON.parse(vector("context"));
    const hash = createHash("sha256").update(transferContextText(context, "c")).digest("hex");
    expect(hash).toBe(vector("transfer-context"));
    expect(transferContextText({ a: "1&b=2" }, "c")).toEqual(transferContextText({ b: "2", a: "1" }, "c"));
    expect(transferContextText({}, "c")).toHaveLength(0);
    const astral = { "\u{1F511}": "x", "\uE000": "y" };
    expect(new TextDecoder().decode(transferContextText(astral, "c"))).toBe("\uE000=y&\u{1F511}=x");
  });

  test("takes what the other encoding takes and refuses what it refuses [CTX-7]", () => {
    for (const context of [null, [], new Map(), { a: 1 }, { a: "\ud800" }, { a: "x".repeat(8192) }]) {
      expect(() => transferContextText(context, "c")).toThrow(KmsError);
    }
  });
});
