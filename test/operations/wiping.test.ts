/** A data key that is refused at the last moment does not stay in memory. */

import { expect, test, vi } from "vitest";
import { Kms } from "../../src/index.ts";

test("a data key that cannot be sealed is wiped", async () => {
  const kms = await Kms.open({ usageLimit: 1 });
  const { keyId } = await kms.createKey();
  const made: Uint8Array[] = [];
  const original = crypto.getRandomValues.bind(crypto);
  const spy = vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    if (array instanceof Uint8Array && array.length === 40) made.push(array);
    return original(array);
  });
  try {
    const { plaintext } = await kms.generateDataKey({ keyId, numberOfBytes: 40 });
    expect(plaintext.some((byte) => byte !== 0)).toBe(true);
    await expect(kms.generateDataKey({ keyId, numberOfBytes: 40 })).rejects.toMatchObject({
      code: "Rejected.KeyExhausted",
    });
  } finally {
    spy.mockRestore();
    await kms.close();
  }
  expect(made).toHaveLength(2);
  expect(made[1]).toEqual(new Uint8Array(40));
});
