/** The most frames a file may have, with the limit lowered to three: 16 TiB are not for a test. */

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Kms } from "../../src/index.ts";
import { encryptStream } from "../../src/stream.ts";
import { decryptAll, encryptAll, FRAME, pattern, run, writeFile } from "./stream-support.ts";

vi.mock("../../src/envelope/streaming-format.ts", async (original) => ({
  ...(await original<typeof import("../../src/envelope/streaming-format.ts")>()),
  maxFrames: () => 3,
}));

let kms: Kms;
let keyId: string;

beforeAll(async () => {
  kms = await Kms.open();
  ({ keyId } = await kms.createKey());
});
afterAll(() => kms.close());

test("[STR-8] a full file is written and read", async () => {
  const file = await encryptAll(kms, keyId, pattern(3 * FRAME));
  const { released, error } = await decryptAll(kms, file);
  expect(error).toBeUndefined();
  expect(released).toHaveLength(3 * FRAME);
});

test("[STR-8] a writer refuses one byte more", async () => {
  const { error } = await run([pattern(3 * FRAME + 1)], encryptStream(kms, { keyId }));
  expect(error).toMatchObject({ code: "Rejected.LimitExceeded" });
});

test("[STR-8] a reader refuses a file with a frame more", async () => {
  const key = await kms.advanceGenerateDataKey({ keyId });
  const frames = [1, 2, 3, 4].map(() => ({ plaintext: pattern(4096) }));
  const { error } = await decryptAll(kms, writeFile(key.plaintext, key.ciphertextBlob, 12, frames));
  expect(error).toMatchObject({ code: "InvalidCiphertext" });
});
