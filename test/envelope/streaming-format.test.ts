/** The header and nonces of the streaming format, against the numbers of docs/streaming-format.md. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeStreamHeader,
  FrameCutter,
  frameLength,
  frameNonce,
  maxFrames,
  parseStreamPrefix,
} from "../../src/envelope/streaming-format.ts";

const BLOB = Uint8Array.from({ length: 84 }, (_, i) => i);

describe("the header", () => {
  test("[STR-1] [STR-3] has magic, version, algorithm, exponent, zero, blob length and blob", () => {
    const header = encodeStreamHeader(16, BLOB);
    expect(Buffer.from(header.subarray(0, 10)).toString("hex")).toBe("4b5354520101100000" + "54");
    expect(header.subarray(10)).toEqual(BLOB);
  });

  test("[STR-2] [STR-3] is read back for every exponent and blob length of the format", () => {
    for (let exponent = 12; exponent <= 20; exponent++) {
      for (const length of [1, 84, 255, 256, 1024]) {
        expect(parseStreamPrefix(encodeStreamHeader(exponent, new Uint8Array(length)))).toEqual({
          frameExponent: exponent,
          dataKeyBlobLength: length,
        });
      }
    }
  });

  test.each([11, 21, 0, 255])("[STR-2] with exponent %i is refused", (exponent) => {
    expect(parseStreamPrefix(encodeStreamHeader(exponent, BLOB))).toBeUndefined();
  });

  test.each([0, 1025, 65_535])("[STR-3] with a blob of %i bytes is refused", (length) => {
    expect(parseStreamPrefix(encodeStreamHeader(16, new Uint8Array(length)))).toBeUndefined();
  });

  test("[STR-1] with any other fixed byte is refused", () => {
    for (const position of [0, 1, 2, 3, 4, 5, 7]) {
      for (let change = 1; change < 256; change++) {
        const header = encodeStreamHeader(16, BLOB);
        header[position] = (header[position] ?? 0) ^ change;
        expect(parseStreamPrefix(header), `byte ${position} ^ ${change}`).toBeUndefined();
      }
    }
  });

  test("[STR-1] that is cut short is refused", () => {
    const header = encodeStreamHeader(16, BLOB);
    for (let length = 0; length < 10; length++) {
      expect(parseStreamPrefix(header.subarray(0, length))).toBeUndefined();
    }
  });
});

describe("a frame", () => {
  test("[STR-5] has a nonce of seven zeros, the counter and the last flag", () => {
    expect(Buffer.from(frameNonce(0, false)).toString("hex")).toBe("000000000000000000000000");
    expect(Buffer.from(frameNonce(0x01020304, true)).toString("hex")).toBe("000000000000000102030401");
    expect(Buffer.from(frameNonce(2 ** 32 - 1, false)).toString("hex")).toBe("00000000000000ffffffff00");
  });

  test("[STR-8] can be counted in 4 bytes, up to 2^44 bytes of plaintext", () => {
    for (let exponent = 12; exponent <= 20; exponent++) {
      expect(maxFrames(exponent) * frameLength(exponent)).toBe(2 ** 44);
      expect(maxFrames(exponent)).toBeLessThanOrEqual(2 ** 32);
    }
  });
});

describe("FrameCutter", () => {
  /** Lengths around the frame length 8, zero included. */
  const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 12 });

  test("[STR-7] keeps the division into frames whatever the division into chunks", () => {
    fc.assert(
      fc.property(pieces, (chunks) => {
        const cutter = new FrameCutter(8);
        const frames: Uint8Array[] = [];
        for (const chunk of chunks) cutter.push(chunk, (frame) => frames.push(frame.slice()));
        const all = Buffer.concat(chunks);
        const full = Math.max(0, Math.ceil(all.length / 8) - 1);
        expect(frames.map((frame) => Buffer.from(frame).toString("hex"))).toEqual(
          Array.from({ length: full }, (_, i) => all.subarray(8 * i, 8 * i + 8).toString("hex")),
        );
        expect(Buffer.from(cutter.rest()).toString("hex")).toBe(all.subarray(8 * full).toString("hex"));
      }),
    );
  });

  test("[STR-13] holds nothing once it is wiped", () => {
    const cutter = new FrameCutter(8);
    cutter.push(Uint8Array.of(1, 2, 3), () => undefined);
    const kept = cutter.rest();
    cutter.wipe();
    expect(kept).toEqual(new Uint8Array(3));
    expect(cutter.rest()).toHaveLength(0);
  });
});
