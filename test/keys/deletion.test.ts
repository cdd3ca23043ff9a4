/** Deletion: when it is carried out, what is gone afterwards, and what happens when the store fails in between. */

import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { AesGcm, AesKey } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import type { Kms } from "../../src/index.ts";
import { DAY, openKms, outcome, TestClock } from "./support/kms.ts";
import { TestRows } from "./support/rows.ts";

const plaintext = new Uint8Array(16).fill(3);

interface Doomed {
  readonly kms: Kms;
  readonly rows: TestRows;
  readonly clock: TestClock;
  readonly keyId: string;
  readonly blob: Uint8Array;
  readonly detached: { readonly ciphertextBlob: Uint8Array; readonly iv: Uint8Array };
}

/** Opens a Kms with a key that has two versions, an alias, ciphertexts, and seven days to live. */
async function doomed(rows: TestRows = new TestRows(), clock: TestClock = new TestClock()): Promise<Doomed> {
  const kms = await openKms({ store: rows.handle(), clock: clock.read });
  const { keyId } = await kms.createKey();
  await kms.createAlias({ aliasName: "alias/doomed", keyId });
  const { ciphertextBlob: blob } = await kms.advanceEncrypt({ keyId, plaintext });
  const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext });
  await kms.rotateKey({ keyId });
  await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
  return { kms, rows, clock, keyId, blob, detached: { ciphertextBlob, iv: iv as Uint8Array } };
}

/** Checks that nothing answers for a key any more. */
async function expectGone(kms: Kms, { keyId, blob, detached }: Doomed): Promise<void> {
  const arn = `acs:kms:local:0:key/${keyId}`;
  for (const name of [keyId, arn, "alias/doomed"]) {
    const calls = [
      kms.describeKey({ keyId: name }),
      kms.encrypt({ keyId: name, plaintext }),
      kms.advanceEncrypt({ keyId: name, plaintext }),
      kms.decrypt({ keyId: name, ...detached }),
      kms.advanceDecrypt({ keyId: name, ...detached }),
      kms.cancelKeyDeletion({ keyId: name }),
      kms.enableKey({ keyId: name }),
      kms.rotateKey({ keyId: name }),
      kms.listKeyVersions({ keyId: name }),
      kms.listAliases({ keyId: name }),
      kms.createAlias({ aliasName: "alias/late", keyId: name }),
    ];
    for (const call of calls) expect(await outcome(() => call)).toBe("Forbidden.KeyNotFound");
  }
  expect(await outcome(() => kms.advanceDecrypt({ ciphertextBlob: blob }))).toBe("InvalidCiphertext");
  expect(await outcome(() => kms.advanceDecrypt({ ciphertextBlob: blob, keyId }))).toBe("InvalidCiphertext");
  expect(await outcome(() => kms.reEncrypt({ ciphertextBlob: blob }))).toBe("InvalidCiphertext");
  expect((await kms.inspect({ ciphertextBlob: blob })).keyId).toBeUndefined();
  expect(await outcome(() => kms.deleteAlias({ aliasName: "alias/doomed" }))).toBe("Forbidden.AliasNotFound");
  expect((await kms.listAliases()).totalCount).toBe(0);
  expect((await kms.listKeys()).keys).toEqual([]);
}

/** Rows that belong to keys. */
const keyRows = (rows: TestRows): number =>
  rows.count("key") + rows.count("version") + rows.count("usage") + rows.count("alias");

describe("a key whose deletion date has come", () => {
  test("is gone at once for every call, before its rows are", async () => {
    const subject = await doomed();
    subject.clock.advance(7 * DAY);
    await expectGone(subject.kms, subject);
    expect(keyRows(subject.rows)).toBe(6);
  });

  test("is deleted with all rows, and the store is purged, when the store is opened", async () => {
    const subject = await doomed();
    await subject.kms.close();
    subject.clock.advance(7 * DAY);
    const kms = await openKms({ store: subject.rows.handle(), clock: subject.clock.read });
    expect([keyRows(subject.rows), subject.rows.purges]).toEqual([0, 1]);
    await expectGone(kms, subject);
  });

  test("is deleted when the Kms is closed", async () => {
    const subject = await doomed();
    subject.clock.advance(7 * DAY);
    await subject.kms.close();
    expect([keyRows(subject.rows), subject.rows.purges]).toEqual([0, 1]);
  });

  test("leaves its alias name to others, also before the rows are gone", async () => {
    const { kms, clock, rows } = await doomed();
    const { keyId: heir } = await kms.createKey();
    clock.advance(7 * DAY);
    await kms.createAlias({ aliasName: "alias/doomed", keyId: heir });
    await kms.close();
    const later = await openKms({ store: rows.handle(), clock: clock.read });
    expect((await later.describeKey({ keyId: "alias/doomed" })).keyMetadata.keyId).toBe(heir);
  });

  test("does not take other keys with it", async () => {
    const subject = await doomed();
    const { keyId } = await subject.kms.createKey();
    await subject.kms.createAlias({ aliasName: "alias/alive", keyId });
    const { ciphertextBlob } = await subject.kms.advanceEncrypt({ keyId, plaintext });
    await subject.kms.close();
    subject.clock.advance(7 * DAY);
    const kms = await openKms({ store: subject.rows.handle(), clock: subject.clock.read });
    expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
    expect((await kms.describeKey({ keyId: "alias/alive" })).keyMetadata.keyId).toBe(keyId);
  });
});

describe("the date", () => {
  test.each([7, 30, 366])("of a window of %i days is that many days of 86,400 s ahead", async (days) => {
    const clock = new TestClock();
    const kms = await openKms({ clock: clock.read });
    const { keyId } = await kms.createKey();
    await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: days });
    const { keyMetadata } = await kms.describeKey({ keyId });
    expect(keyMetadata.deleteDate).toBe(new Date(clock.now + days * 86_400_000).toISOString());
    clock.advance(days * 86_400_000 - 1);
    expect(await outcome(() => kms.describeKey({ keyId }))).toBe("ok");
    clock.advance(1);
    expect(await outcome(() => kms.describeKey({ keyId }))).toBe("Forbidden.KeyNotFound");
  });

  test.each([6, 367, 7.5, 0, -7, Number.NaN, "7", null])("refuses a window of %s", async (days) => {
    const kms = await openKms();
    const { keyId } = await kms.createKey();
    const request = { keyId, pendingWindowInDays: days as number };
    expect(await outcome(() => kms.scheduleKeyDeletion(request))).toBe("InvalidParameter");
    expect((await kms.describeKey({ keyId })).keyMetadata.keyState).toBe("Enabled");
  });

  test("must be given", async () => {
    const kms = await openKms();
    const { keyId } = await kms.createKey();
    const request = { keyId } as { keyId: string; pendingWindowInDays: number };
    expect(await outcome(() => kms.scheduleKeyDeletion(request))).toBe("MissingParameter");
  });

  test("can be called off one millisecond before, and the key works again, after a restart too", async () => {
    const { kms, rows, clock, keyId, blob } = await doomed();
    clock.advance(7 * DAY - 1);
    await kms.cancelKeyDeletion({ keyId });
    clock.advance(DAY);
    expect((await kms.describeKey({ keyId })).keyMetadata).not.toHaveProperty("deleteDate");
    await kms.close();
    const later = await openKms({ store: rows.handle(), clock: clock.read });
    expect((await later.advanceDecrypt({ ciphertextBlob: blob })).plaintext).toEqual(plaintext);
    expect((await later.describeKey({ keyId: "alias/doomed" })).keyMetadata.keyState).toBe("Enabled");
  });

  test("cannot be called off once it has come", async () => {
    const { kms, clock, keyId } = await doomed();
    clock.advance(7 * DAY);
    expect(await outcome(() => kms.cancelKeyDeletion({ keyId }))).toBe("Forbidden.KeyNotFound");
  });

  test("stands through a restart", async () => {
    const { kms, rows, clock, keyId } = await doomed();
    const before = (await kms.describeKey({ keyId })).keyMetadata;
    clock.advance(DAY);
    await kms.close();
    const later = await openKms({ store: rows.handle(), clock: clock.read });
    expect((await later.describeKey({ keyId })).keyMetadata).toEqual(before);
  });
});

/** Runs under fake timers; real ones come back however the test ends. */
async function withFakeTimers(work: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  try {
    await work();
  } finally {
    vi.useRealTimers();
  }
}

describe("the timer", () => {
  test("deletes on the date, without a call, and not before", async () => {
    await withFakeTimers(async () => {
      const rows = new TestRows();
      const kms = await openKms({ store: rows.handle() });
      const { keyId } = await kms.createKey();
      await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
      await vi.advanceTimersByTimeAsync(7 * DAY - 1);
      expect(rows.count("key")).toBe(1);
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect([keyRows(rows), rows.purges]).toEqual([0, 1]);
    });
  });

  test("stops when the Kms is closed", async () => {
    await withFakeTimers(async () => {
      const kms = await openKms();
      expect(vi.getTimerCount()).toBe(1);
      await kms.close();
      expect(vi.getTimerCount()).toBe(0);
    });
  });

  test("tries again when the store fails, and the key is refused meanwhile", async () => {
    await withFakeTimers(async () => {
      const subject = await doomed();
      let attempts = 0;
      subject.rows.hooks.commit = () => {
        attempts += 1;
        throw new Error("disk full");
      };
      subject.clock.advance(7 * DAY);
      await vi.advanceTimersByTimeAsync(2 * 60 * 60 * 1000);
      expect(attempts).toBeGreaterThan(2);
      expect(keyRows(subject.rows)).toBe(6);
      expect(await outcome(() => subject.kms.describeKey({ keyId: subject.keyId }))).toBe(
        "Forbidden.KeyNotFound",
      );
      delete subject.rows.hooks.commit;
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect([keyRows(subject.rows), subject.rows.purges]).toEqual([0, 1]);
      await expectGone(subject.kms, subject);
    });
  });

  test("purges again when the purge failed", async () => {
    await withFakeTimers(async () => {
      const subject = await doomed();
      subject.rows.hooks.purge = () => {
        throw new Error("disk full");
      };
      subject.clock.advance(7 * DAY);
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect([keyRows(subject.rows), subject.rows.purges]).toEqual([0, 0]);
      delete subject.rows.hooks.purge;
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect(subject.rows.purges).toBe(1);
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect(subject.rows.purges).toBe(1);
    });
  });
});

describe("a store that fails", () => {
  test("or a process that dies between removal and purge has the purge made up for at the next opening", async () => {
    const subject = await doomed();
    await subject.kms.close();
    subject.clock.advance(7 * DAY);
    subject.rows.hooks.purge = () => {
      subject.rows.crash();
      throw new Error("killed");
    };
    const options = { clock: subject.clock.read };
    await openKms({ store: subject.rows.handle(), ...options });
    expect([keyRows(subject.rows), subject.rows.purges]).toEqual([0, 0]);
    delete subject.rows.hooks.purge;
    for (let openings = 0; openings < 2; openings++) {
      const kms = await openKms({ store: subject.rows.handle(), ...options });
      expect(subject.rows.purges).toBe(1);
      await kms.close();
    }
    expect(subject.rows.rows.size).toBe(1);
  });

  test("does not keep a Kms from opening; the due key is refused and deleted later", async () => {
    const subject = await doomed();
    const { keyId } = await subject.kms.createKey();
    await subject.kms.close();
    subject.clock.advance(7 * DAY);
    subject.rows.hooks.commit = () => {
      throw new Error("disk full");
    };
    const kms = await openKms({ store: subject.rows.handle(), clock: subject.clock.read });
    expect(await outcome(() => kms.describeKey({ keyId }))).toBe("ok");
    expect(await outcome(() => kms.describeKey({ keyId: subject.keyId }))).toBe("Forbidden.KeyNotFound");
    delete subject.rows.hooks.commit;
    await kms.close();
    expect([subject.rows.count("key"), subject.rows.purges]).toEqual([1, 1]);
  });

  test("makes close report what it could not delete, and lets go of everything all the same", async () => {
    const subject = await doomed();
    subject.clock.advance(7 * DAY);
    subject.rows.hooks.commit = () => {
      throw new Error("disk full");
    };
    expect(await outcome(() => subject.kms.close())).toBe("InternalFailure");
    expect(await outcome(() => subject.kms.listKeys())).toBe("Rejected.Closed");
  });

  test("refuses changes with InternalFailure and leaves keys as they were", async () => {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle() });
    const { keyId } = await kms.createKey();
    await kms.createAlias({ aliasName: "alias/a", keyId });
    const before = await describeAll(kms);
    const failure = new Error("disk full");
    for (const commit of [
      () => {
        throw failure;
      },
      () => Promise.reject(failure),
    ]) {
      rows.hooks.commit = commit;
      const changes = [
        () => kms.createKey(),
        () => kms.rotateKey({ keyId }),
        () => kms.disableKey({ keyId }),
        () => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 }),
        () => kms.createAlias({ aliasName: "alias/b", keyId }),
        () => kms.updateAlias({ aliasName: "alias/a", keyId }),
        () => kms.deleteAlias({ aliasName: "alias/a" }),
        () => kms.encrypt({ keyId, plaintext }),
      ];
      for (const change of changes) expect(await outcome(change)).toBe("InternalFailure");
    }
    delete rows.hooks.commit;
    expect(await describeAll(kms)).toEqual(before);
    await kms.close();
    const later = await openKms({ store: rows.handle() });
    expect(await describeAll(later)).toEqual(before);
  });
});

async function describeAll(kms: Kms): Promise<unknown> {
  const { keys } = await kms.listKeys();
  const { aliases } = await kms.listAliases();
  const described = [];
  for (const { keyId } of keys) {
    described.push(
      (await kms.describeKey({ keyId })).keyMetadata,
      (await kms.listKeyVersions({ keyId })).keyVersions,
    );
  }
  return { described, aliases };
}

describe.each(["node", "wasm"] as const)("handles of the %s engine", (name) => {
  test("refuse use once their key is deleted, and those of other keys once the Kms is closed", async () => {
    const engine = name === "node" ? createNodeEngine() : createWasmEngine();
    const imports = vi.spyOn(Object.getPrototypeOf(engine.aesGcm) as AesGcm, "importKey");
    onTestFinished(() => imports.mockRestore());
    await withFakeTimers(async () => {
      const clock = new TestClock();
      const kms = await openKms({ clock: clock.read, engine: name });
      const { keyId } = await kms.createKey();
      const { keyId: other } = await kms.createKey();
      imports.mockClear();
      await kms.encrypt({ keyId, plaintext });
      await kms.encrypt({ keyId: other, plaintext });
      const works = (index: number): Promise<string> =>
        outcome(() => {
          const aesGcm = imports.mock.contexts[index] as AesGcm;
          return aesGcm.seal(imports.mock.results[index]?.value as AesKey, new Uint8Array(12), plaintext);
        });
      expect([await works(0), await works(1)]).toEqual(["ok", "ok"]);
      await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
      clock.advance(7 * DAY);
      await vi.advanceTimersByTimeAsync(60 * 60 * 1000);
      expect([await works(0), await works(1)]).toEqual(["InvalidParameter", "ok"]);
      await kms.close();
      expect([await works(0), await works(1)]).toEqual(["InvalidParameter", "InvalidParameter"]);
    });
  });
});

describe("a reservation of uses that is under way when its key is deleted", () => {
  test("leaves no row behind, whichever change arrives first", async () => {
    for (const order of ["reservation first", "deletion first"] as const) {
      const waiting: { readonly kind: string; readonly go: () => void }[] = [];
      let holds = false;
      const rows = new TestRows({
        commit: (changes) => {
          const [first] = changes;
          if (!holds || first === undefined || first.id === "purge-due") return undefined;
          return new Promise((go) => waiting.push({ kind: `${first.action} ${first.kind}`, go }));
        },
      });
      const subject = await doomed(rows);
      await subject.kms.cancelKeyDeletion({ keyId: subject.keyId });
      // The second version has no uses reserved yet.
      holds = true;
      const sealing = outcome(() => subject.kms.advanceEncrypt({ keyId: subject.keyId, plaintext }));
      await vi.waitFor(() => expect(waiting.map(({ kind }) => kind)).toEqual(["put usage"]));
      holds = false;
      await subject.kms.scheduleKeyDeletion({ keyId: subject.keyId, pendingWindowInDays: 7 });
      subject.clock.advance(7 * DAY);
      holds = true;
      const closing = subject.kms.close();
      for (let i = 0; i < 20; i++) await Promise.resolve();
      if (order === "deletion first") waiting.find(({ kind }) => kind === "delete key")?.go();
      for (let i = 0; i < 20; i++) await Promise.resolve();
      holds = false;
      for (const { go } of waiting) go();
      expect(await sealing).not.toBe("none");
      await vi.waitFor(() => {
        for (const { go } of waiting) go();
        expect(rows.count("key")).toBe(0);
      });
      await closing;
      expect([order, keyRows(rows)]).toEqual([order, 0]);
    }
  });
});
