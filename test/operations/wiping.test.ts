/** A data key that is refused at the last moment does not stay in memory. */

import { expect, test, vi } from "vitest";
import { Kms, memoryStore } from "../../src/index.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

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

/** Collects the arrays of 40 bytes that are filled with random bytes while a call runs. */
async function randomArrays(run: () => Promise<void>): Promise<Uint8Array[]> {
  const made: Uint8Array[] = [];
  const original = crypto.getRandomValues.bind(crypto);
  const spy = vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    if (array instanceof Uint8Array && array.length === 40) made.push(array);
    return original(array);
  });
  try {
    await run();
  } finally {
    spy.mockRestore();
  }
  return made;
}

test("a data key of a synchronous call that would have to wait is wiped, and no use is spent", async () => {
  const inner = memoryStore();
  const commits: (() => void)[] = [];
  let slow = false;
  const store = {
    persistent: false,
    open: () => inner.open(),
    commit: async (changes: Parameters<typeof inner.commit>[0]) => {
      if (slow) await new Promise<void>((resolve) => commits.push(resolve));
      return inner.commit(changes);
    },
    purge: () => inner.purge(),
    close: () => inner.close(),
  };
  const kms = await openKms({ store });
  const keyId = await newKey(kms);
  slow = true;
  const made = await randomArrays(async () => {
    for (const call of ["generateDataKeySync", "advanceGenerateDataKeySync"] as const) {
      await expectRefusal(() => kms[call]({ keyId, numberOfBytes: 40 }), "Rejected.UnsupportedOperation");
    }
    slow = false;
    for (const commit of commits) commit();
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  expect(made).toEqual([new Uint8Array(40), new Uint8Array(40)]);
  expect(commits).toHaveLength(1);
  expect((await kms.describeKey({ keyId })).keyMetadata.usageCount).toBe(0);
  // What the refused call asked the store for serves the next one.
  expect(kms.generateDataKeySync({ keyId }).plaintext).toHaveLength(32);
  expect((await kms.describeKey({ keyId })).keyMetadata.usageCount).toBe(1);
});

test("a batch that is aborted wipes the plaintexts it has made, those still to come as well", async () => {
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => {
    now += 1000;
    return now;
  });
  const kms = await openKms();
  const keyId = await newKey(kms);
  const ec = await newKey(kms, { keySpec: "EC_P256", keyUsage: "ENCRYPT/DECRYPT" });
  const reason = new Error("enough");
  try {
    const made = await randomArrays(async () => {
      const abort = new AbortController();
      const requests = Array.from({ length: 50 }, () => ({ keyId, numberOfBytes: 40 }));
      const batch = kms.generateDataKeyBatch(requests, { signal: abort.signal });
      setTimeout(() => abort.abort(reason), 0);
      await expect(batch).rejects.toBe(reason);
    });
    expect(made.length).toBeGreaterThan(0);
    expect(made.length).toBeLessThan(50);
    for (const plaintext of made) expect(plaintext).toEqual(new Uint8Array(40));

    const { ciphertextBlob } = await kms.encrypt({ keyId: ec, plaintext: patterned(77) });
    const opened: Uint8Array[] = [];
    const set = Uint8Array.prototype.fill;
    const abort = new AbortController();
    const requests = Array.from({ length: 50 }, () => ({ keyId: ec, ciphertextBlob }));
    const batch = kms.decryptBatch(requests, { signal: abort.signal });
    Uint8Array.prototype.fill = function (this: Uint8Array, ...args: [number]) {
      if (this.length === 77 && this[1] === patterned(2)[1]) opened.push(this);
      return set.apply(this, args);
    } as typeof set;
    setTimeout(() => abort.abort(reason), 0);
    try {
      await expect(batch).rejects.toBe(reason);
    } finally {
      Uint8Array.prototype.fill = set;
    }
    expect(opened.length).toBeGreaterThan(0);
    for (const plaintext of opened) expect(plaintext).toEqual(new Uint8Array(77));
  } finally {
    clock.mockRestore();
  }
});
