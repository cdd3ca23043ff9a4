/** The vendor's two blob layouts: docs/ciphertext-blob.md, VND. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blobHeader, encodeBlob } from "../../src/envelope/ciphertext-blob.ts";
import { KmsError } from "../../src/errors.ts";
import { fromVendorBlob, toVendorBlob, type VendorBlobLayout } from "../../src/index.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { hex, refusalOf, toHex, utf8 } from "../support/kms.ts";

const vector = docVectors("ciphertext-blob.md");
const layouts = ["openapi", "transfer"] as const;

/** Random blobs whose version id is a UUID v4. */
const blobs = fc
  .tuple(
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.uint8Array({ minLength: 12, maxLength: 12 }),
    fc.uint8Array({ minLength: 17, maxLength: 60 }),
  )
  .map(([id, iv, sealed]) => {
    id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
    id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
    return encodeBlob(blobHeader(id), iv, sealed);
  });

describe("vendor blobs", () => {
  test("equal the hand-made vectors in both directions [VND-1] [VND-2] [VND-3]", () => {
    for (const layout of layouts) {
      expect(toHex(toVendorBlob(hex(vector("advance-blob")), layout))).toBe(vector(`${layout}-blob`));
      expect(toHex(fromVendorBlob(hex(vector(`${layout}-blob`))))).toBe(vector("advance-blob"));
    }
  });

  test("go there and back without a change [VND-4]", () => {
    fc.assert(
      fc.property(blobs, fc.constantFrom<VendorBlobLayout>(...layouts), (blob, layout) => {
        const vendor = toVendorBlob(blob, layout);
        expect(vendor.length).toBe(blob.length + (layout === "openapi" ? 12 : 15));
        expect(toHex(fromVendorBlob(vendor))).toBe(toHex(blob));
        expect(toHex(toVendorBlob(fromVendorBlob(vendor), layout))).toBe(toHex(vendor));
      }),
    );
  });

  test("are InvalidCiphertext when they are neither layout [VND-3]", async () => {
    const good = hex(vector("openapi-blob"));
    const id = vector("keyVersionId");
    const withId = (text: string): Uint8Array => Uint8Array.from([...utf8(text), ...good.subarray(36)]);
    const bad: Uint8Array[] = [
      new Uint8Array(0),
      hex("241002"),
      hex(vector("advance-blob")),
      withId(id.toUpperCase()),
      withId(id.replace("-4", "-5")),
      withId(`${id.slice(0, 35)}\n`),
      Uint8Array.from([...hex("242002"), ...good]),
      Uint8Array.from([...hex("241102"), ...good]),
      Uint8Array.from([...hex("241001"), ...good]),
      Uint8Array.from([...hex("241002241002"), ...good]),
    ];
    for (let length = 0; length < 65; length++) bad.push(good.subarray(0, length));
    for (const bytes of bad) {
      const refusal = await refusalOf(() => fromVendorBlob(bytes));
      expect([refusal.code, refusal.message]).toEqual([
        "InvalidCiphertext",
        "The ciphertext cannot be opened.",
      ]);
    }
    expect(fromVendorBlob(good.subarray(0, 65))).toHaveLength(53);
  });

  test("are made of Keyplane blobs only [VND-1]", async () => {
    for (const bytes of [
      new Uint8Array(0),
      hex(vector("openapi-blob")),
      hex(vector("advance-blob")).subarray(1),
    ]) {
      for (const layout of layouts) {
        expect((await refusalOf(() => toVendorBlob(bytes, layout))).code).toBe("InvalidCiphertext");
      }
    }
  });

  test("never make the reader fail in another way [VND-3]", () => {
    fc.assert(
      fc.property(fc.constantFrom("", "24", "241002"), fc.uint8Array({ maxLength: 80 }), (start, rest) => {
        try {
          fromVendorBlob(Uint8Array.from([...hex(start), ...rest]));
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
          expect((error as KmsError).code).toBe("InvalidCiphertext");
        }
      }),
    );
  });

  test("refuse arguments of the wrong type and name them [VND-3]", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(70));
    for (const value of [undefined, null, "text", 7, [1], new Uint16Array(40), shared]) {
      const read = await refusalOf(() => fromVendorBlob(value as Uint8Array));
      expect([read.code, read.message]).toEqual(["InvalidParameter", expect.stringContaining("vendorBlob")]);
      const written = await refusalOf(() => toVendorBlob(value as Uint8Array, "openapi"));
      expect([written.code, written.message]).toEqual([
        "InvalidParameter",
        expect.stringContaining("ciphertextBlob"),
      ]);
    }
    const layout = await refusalOf(() => toVendorBlob(hex(vector("advance-blob")), "x" as VendorBlobLayout));
    expect([layout.code, layout.message]).toEqual(["InvalidParameter", expect.stringContaining("layout")]);
  });
});
