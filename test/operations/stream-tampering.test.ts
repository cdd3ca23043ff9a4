/** decryptStream against files that were changed: one error for all of them, and nothing released from the change on. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../../src/index.ts";
import type { DecryptStreamOptions } from "../../src/stream.ts";
import {
  decryptAll,
  encryptAll,
  FRAME,
  join,
  parts,
  pattern,
  SEALED_FRAME,
  writeFile,
} from "./stream-support.ts";

const CONTEXT = { purpose: "backup" };
const PLAINTEXT = pattern(3 * FRAME + 100);
let kms: Kms;
let keyId: string;
let file: Uint8Array;
let header: Uint8Array;
let frames: Uint8Array[];

beforeAll(async () => {
  kms = await Kms.open();
  ({ keyId } = await kms.createKey());
  file = await encryptAll(kms, keyId, PLAINTEXT, CONTEXT);
  ({ header, frames } = parts(file));
});
afterAll(() => kms.close());

/** Opens a changed file and checks the one error, and that exactly the first `whole` frames came out. */
async function expectRefused(
  changed: Uint8Array,
  whole: number,
  options: DecryptStreamOptions = { encryptionContext: CONTEXT },
  chunkLength = 10_000,
): Promise<void> {
  const { released, error } = await decryptAll(kms, changed, options, chunkLength);
  expect(error).toMatchObject({ code: "InvalidCiphertext", message: "The ciphertext cannot be opened." });
  expect(released.length).toBeLessThanOrEqual(whole * FRAME);
  expect(Buffer.compare(released, PLAINTEXT.subarray(0, released.length))).toBe(0);
}

function frame(index: number): Uint8Array {
  return frames[index] ?? new Uint8Array(0);
}

describe("a file is refused", () => {
  test("[STR-9] [STR-11] when any one bit is changed, and the frames before it are all it gives", async () => {
    /** Positions in the whole file; the header, the tags and the edges of frames more often than their share. */
    const position = fc.oneof(
      fc.nat(header.length - 1),
      fc.nat(file.length - 1),
      fc
        .tuple(fc.nat(3), fc.integer({ min: -16, max: 16 }))
        .map(([index, delta]) => Math.min(file.length - 1, header.length + index * SEALED_FRAME + delta)),
      fc.nat(115).map((back) => file.length - 1 - back),
    );
    await fc.assert(
      fc.asyncProperty(position, fc.nat(7), async (at, bit) => {
        const changed = file.slice();
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        const index = Math.max(0, Math.floor((at - header.length) / SEALED_FRAME));
        await expectRefused(changed, at < header.length ? 0 : index);
      }),
      { numRuns: 200 },
    );
  });

  test("[STR-9] with the frames before the change released", async () => {
    const changed = file.slice();
    const at = header.length + 2 * SEALED_FRAME + 5;
    changed[at] = (changed[at] ?? 0) ^ 1;
    const { released, error } = await decryptAll(kms, changed, { encryptionContext: CONTEXT }, SEALED_FRAME);
    expect(error).toMatchObject({ code: "InvalidCiphertext" });
    expect(Buffer.compare(released, PLAINTEXT.subarray(0, 2 * FRAME))).toBe(0);
  });

  test("[STR-10] when it is cut anywhere", async () => {
    const cuts = [0, 1, 9, 10, 11, header.length - 1, header.length, header.length + 1, header.length + 15];
    for (let i = 0; i < 4; i++) {
      const edge = header.length + i * SEALED_FRAME;
      cuts.push(edge, edge + 16, edge + SEALED_FRAME - 17, edge + SEALED_FRAME - 1);
    }
    cuts.push(file.length - 1, file.length - 16, file.length - 100);
    for (const cut of cuts.filter((length) => length < file.length)) {
      const whole = Math.max(0, Math.floor((cut - header.length - 1) / SEALED_FRAME));
      await expectRefused(file.subarray(0, cut), whole);
    }
  });

  test("[STR-10] when it is extended", async () => {
    for (const extra of [1, 15, 16, 17, 100, SEALED_FRAME, 2 * SEALED_FRAME]) {
      await expectRefused(join(file, new Uint8Array(extra)), 3);
    }
    await expectRefused(join(file, frame(3)), 3);
    await expectRefused(join(file, file), 3);
  });

  test("[STR-10] when frames are swapped, repeated, dropped or moved to the end", async () => {
    await expectRefused(join(header, frame(1), frame(0), frame(2), frame(3)), 0);
    await expectRefused(join(header, frame(0), frame(2), frame(1), frame(3)), 1);
    await expectRefused(join(header, frame(0), frame(0), frame(1), frame(2), frame(3)), 1);
    await expectRefused(join(header, frame(1), frame(2), frame(3)), 0);
    await expectRefused(join(header, frame(0), frame(2), frame(3)), 1);
    await expectRefused(join(header, frame(0), frame(1), frame(3)), 2);
    await expectRefused(join(header, frame(0), frame(1), frame(2)), 2);
    await expectRefused(join(header, frame(3)), 0);
    await expectRefused(header, 0);
  });

  test("[STR-10] when it is mixed with another file of the same key, context and plaintext", async () => {
    const other = parts(await encryptAll(kms, keyId, PLAINTEXT, CONTEXT));
    await expectRefused(join(other.header, ...frames), 0);
    for (let i = 0; i < 4; i++) {
      await expectRefused(
        join(header, ...frames.map((own, k) => (k === i ? (other.frames[i] ?? own) : own))),
        i,
      );
    }
  });

  test("[STR-10] when its header names another frame length", async () => {
    for (let exponent = 0; exponent < 256; exponent++) {
      if (exponent === 16) continue;
      const changed = file.slice();
      changed[6] = exponent;
      await expectRefused(changed, 0, undefined, file.length);
    }
  });

  test("[STR-11] with another context, none, an empty one, or another key named", async () => {
    const other = await kms.createKey();
    await expectRefused(file, 0, { encryptionContext: { purpose: "other" } });
    await expectRefused(file, 0, {});
    await expectRefused(file, 0, { encryptionContext: {} });
    await expectRefused(file, 0, { encryptionContext: CONTEXT, keyId: other.keyId });
    await expectRefused(file, 0, { encryptionContext: CONTEXT, keyId: "alias/none" });
    const { error } = await decryptAll(kms, file, { encryptionContext: CONTEXT, keyId });
    expect(error).toBeUndefined();
  });

  test("[STR-11] by a Kms that does not have its key", async () => {
    await using stranger = await Kms.open();
    await stranger.createKey();
    const { released, error } = await decryptAll(stranger, file, { encryptionContext: CONTEXT });
    expect(released).toHaveLength(0);
    expect(error).toMatchObject({ code: "InvalidCiphertext" });
  });

  test("[STR-11] when it is no file of this format at all", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: pattern(50) });
    await expectRefused(ciphertextBlob, 0, {});
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => expectRefused(bytes, 0, {})),
      { numRuns: 50 },
    );
  });
});

describe("a file that its own key sealed is refused", () => {
  const make = async (
    list: readonly { plaintext: Uint8Array; index?: number; isLast?: boolean }[],
    numberOfBytes = 32,
  ): Promise<Uint8Array> => {
    const key = await kms.advanceGenerateDataKey({ keyId, numberOfBytes, encryptionContext: CONTEXT });
    return writeFile(key.plaintext, key.ciphertextBlob, 12, list);
  };
  const full = PLAINTEXT.subarray(0, 4096);

  test("[STR-7] unless only its only frame is empty", async () => {
    const empty = new Uint8Array(0);
    expect(await decryptAll(kms, await make([{ plaintext: empty }]), { encryptionContext: CONTEXT })).toEqual(
      {
        released: empty,
      },
    );
    await expectRefused(await make([{ plaintext: full }, { plaintext: empty }]), 1);
  });

  test("[STR-7] when no frame is marked as last", async () => {
    await expectRefused(await make([{ plaintext: full, isLast: false }]), 0);
    await expectRefused(await make([{ plaintext: full }, { plaintext: full, isLast: false }]), 1);
  });

  test("[STR-7] when a frame before its end is marked as last", async () => {
    await expectRefused(await make([{ plaintext: full, isLast: true }, { plaintext: full }]), 0);
  });

  test("[STR-5] when its counter does not start at 0", async () => {
    await expectRefused(await make([{ plaintext: full, index: 1 }]), 0);
  });

  test("[STR-3] when its data key has another length", async () => {
    await expectRefused(await make([{ plaintext: full }], 16), 0);
    await expectRefused(await make([{ plaintext: full }], 24), 0);
  });
});
