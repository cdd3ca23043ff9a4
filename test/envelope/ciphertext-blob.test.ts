/** The layout of blobs and of the frame that AES-GCM authenticates: docs/ciphertext-blob.md, BLOB and AAD. */

import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BLOB_OVERHEAD,
  blobHeader,
  encodeBlob,
  type FrameMode,
  frameLength,
  parseBlob,
  writeFrame,
} from "../../src/envelope/ciphertext-blob.ts";
import { formatKeyVersionId, parseKeyVersionId } from "../../src/envelope/key-version-id.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { hex, toHex } from "../support/kms.ts";

const vector = docVectors("ciphertext-blob.md");
const idBytes = hex(vector("keyVersionId").replaceAll("-", ""));
const header = blobHeader(idBytes);
const iv = hex(vector("iv"));
const aad = hex(vector("context-encoded"));

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const idArbitrary = bytesOf(16);
const ivArbitrary = bytesOf(12);
const mode = fc.constantFrom<FrameMode>("detached", "advance");
/** Short strings over few values, zeros and mode bytes first, so that near-collisions are frequent. */
const craftedAad = fc.array(fc.constantFrom(0, 1, 2, 0x4b), { maxLength: 40 }).map((a) => Uint8Array.from(a));

/** Builds a frame in memory that was used before, as the facade does. */
function frameAad(
  frameMode: FrameMode,
  ofVersion: Uint8Array,
  nonce: Uint8Array,
  own: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(frameLength(own.length)).fill(0xa5);
  writeFrame(frame, frameMode, ofVersion, nonce, own);
  return frame;
}

/** Seals with node:crypto alone. */
function sealOutside(authenticated: Uint8Array): string {
  const cipher = createCipheriv("aes-256-gcm", hex(vector("key")), iv);
  cipher.setAAD(authenticated);
  const body = Buffer.concat([cipher.update(hex(vector("plaintext"))), cipher.final()]);
  return Buffer.concat([body, cipher.getAuthTag()]).toString("hex");
}

describe("the blob", () => {
  test("has the published layout of 24, 12, n and 16 bytes [BLOB-1] [BLOB-2] [BLOB-3] [BLOB-4] [BLOB-5] [BLOB-6]", () => {
    const sealed = hex(vector("advance-blob")).subarray(36);
    expect(toHex(header)).toBe(vector("header"));
    expect(toHex(encodeBlob(header, iv, sealed))).toBe(vector("advance-blob"));
    expect(vector("advance-blob").length / 2).toBe(vector("plaintext").length / 2 + BLOB_OVERHEAD);
    expect([...header.subarray(0, 8)]).toEqual([0x4b, 0x50, 1, 2, 0, 0, 0, 0]);
    expect(formatKeyVersionId(header.subarray(8))).toBe(vector("keyVersionId"));
  });

  test("begins with a header that depends on the key version alone [BLOB-7]", () => {
    fc.assert(
      fc.property(idArbitrary, idArbitrary, ivArbitrary, ivArbitrary, (a, b, iv1, iv2) => {
        const first = encodeBlob(blobHeader(a), iv1, new Uint8Array(17)).subarray(0, 24);
        const second = encodeBlob(blobHeader(Uint8Array.from(a)), iv2, new Uint8Array(30)).subarray(0, 24);
        expect(toHex(first)).toBe(toHex(second));
        expect(toHex(blobHeader(a)) === toHex(blobHeader(b))).toBe(toHex(a) === toHex(b));
      }),
    );
  });

  test("parses into the parts it was made of [BLOB-8]", () => {
    fc.assert(
      fc.property(
        idArbitrary,
        ivArbitrary,
        fc.uint8Array({ minLength: 17, maxLength: 80 }),
        (id, nonce, sealed) => {
          const parts = parseBlob(encodeBlob(blobHeader(id), nonce, sealed));
          expect(parts).toEqual({ keyVersionId: id, iv: nonce, sealed });
        },
      ),
    );
  });

  test("parses no other byte string, and never throws [BLOB-8]", () => {
    const prefix = fc.constantFrom("", "4b", "4b50", "4b5001", "4b500102", "4b50010200000000");
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 90 }), (start, rest) => {
        const bytes = Uint8Array.from([...hex(start), ...rest]);
        const parts = parseBlob(bytes);
        const wellFormed = bytes.length >= 53 && toHex(bytes.subarray(0, 8)) === "4b50010200000000";
        expect(parts !== undefined).toBe(wellFormed);
        if (parts === undefined) return;
        const again = encodeBlob(blobHeader(parts.keyVersionId), parts.iv, parts.sealed);
        expect(toHex(again)).toBe(toHex(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test("is refused with any other value in one of its first eight bytes [BLOB-2] [BLOB-3] [BLOB-4] [BLOB-5]", () => {
    const blob = hex(vector("advance-blob"));
    for (let offset = 0; offset < 8; offset++) {
      for (let value = 0; value < 256; value++) {
        const changed = Uint8Array.from(blob);
        changed[offset] = value;
        expect(parseBlob(changed) !== undefined).toBe(value === blob[offset]);
      }
    }
  });

  test("is refused at every length below 53 bytes [BLOB-8]", () => {
    const blob = hex(vector("advance-blob")).subarray(0, 53);
    for (let length = 0; length < 53; length++) expect(parseBlob(blob.subarray(0, length))).toBeUndefined();
    expect(parseBlob(blob)).toBeDefined();
  });
});

describe("the frame", () => {
  test("equals the published vectors [AAD-1] [AAD-2] [AAD-3]", () => {
    expect(toHex(frameAad("detached", header, iv, aad))).toBe(vector("detached-frame"));
    expect(toHex(frameAad("advance", header, iv, aad))).toBe(vector("advance-frame"));
    expect(toHex(frameAad("advance", header, iv, new Uint8Array(0)))).toBe(vector("empty-aad-frame"));
  });

  test("gives the published ciphertexts under node:crypto [AAD-1] [AAD-5]", () => {
    expect(sealOutside(frameAad("detached", header, iv, aad))).toBe(vector("detached-sealed"));
    expect(vector("header") + vector("iv") + sealOutside(frameAad("advance", header, iv, aad))).toBe(
      vector("advance-blob"),
    );
    expect(sealOutside(aad)).toBe(vector("unframed-sealed"));
  });

  test("is the shortest multiple of 16 that holds its parts [AAD-3]", () => {
    for (let length = 0; length <= 64; length++) {
      const frame = frameAad("detached", header, iv, new Uint8Array(length));
      expect(frame.length % 16).toBe(0);
      expect(frame.length - (length + 37)).toBeLessThan(16);
      expect(frame.length).toBeGreaterThanOrEqual(length + 37);
    }
  });

  test("can be read back in one way, so it is injective [AAD-4]", () => {
    fc.assert(
      fc.property(mode, idArbitrary, ivArbitrary, craftedAad, (frameMode, id, nonce, own) => {
        const frame = frameAad(frameMode, blobHeader(id), nonce, own);
        // An independent reader, from the end.
        const body = [...frame.subarray(0, -36)];
        while (body.at(-1) === 0) body.pop();
        expect(body.pop()).toBe(frameMode === "detached" ? 1 : 2);
        expect(body).toEqual([...own]);
        expect(toHex(frame.subarray(-36, -12))).toBe(toHex(blobHeader(id)));
        expect(toHex(frame.subarray(-12))).toBe(toHex(nonce));
      }),
      { numRuns: 500 },
    );
  });

  test("differs whenever mode, key version, iv or aad differs [AAD-2] [AAD-4]", () => {
    const few = fc.constantFrom(
      new Uint8Array(16),
      Uint8Array.from({ length: 16 }, () => 1),
      idBytes,
    );
    const fewIvs = fc.constantFrom(new Uint8Array(12), iv);
    const input = fc.tuple(mode, few, fewIvs, craftedAad);
    fc.assert(
      fc.property(input, input, (a, b) => {
        const same =
          a[0] === b[0] && [1, 2, 3].every((i) => toHex(a[i] as Uint8Array) === toHex(b[i] as Uint8Array));
        const [first, second] = [a, b].map(([m, id, n, own]) => toHex(frameAad(m, blobHeader(id), n, own)));
        expect(first === second).toBe(same);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("key version ids", () => {
  test("go to bytes and back [BLOB-6]", () => {
    fc.assert(
      fc.property(fc.uuid({ version: 4 }), (id) => {
        const bytes = parseKeyVersionId(id);
        expect(bytes && formatKeyVersionId(bytes)).toBe(id);
        expect(bytes && toHex(bytes)).toBe(id.replaceAll("-", ""));
      }),
    );
  });

  test("are read as lower-case UUID v4 only [BLOB-6]", () => {
    const id = vector("keyVersionId");
    const others = [
      "",
      id.toUpperCase(),
      id.replaceAll("-", ""),
      `{${id}}`,
      `${id}\n`,
      ` ${id}`,
      id.replace("-4", "-1"),
      id.replace("-9c", "-7c"),
    ];
    for (const other of others) expect(parseKeyVersionId(other)).toBeUndefined();
  });
});
