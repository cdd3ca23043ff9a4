/** Calls that change keys, all at once: each takes its turn, and what is in memory is what is in the store. */

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Kms } from "../../src/index.ts";
import { openKms, outcome } from "./support/kms.ts";
import { sleep, TestRows } from "./support/rows.ts";

const plaintext = new Uint8Array(16).fill(8);

/** Everything a Kms tells about its keys. */
async function everything(kms: Kms): Promise<unknown> {
  const { keys } = await kms.listKeys({ pageSize: 100 });
  const { aliases } = await kms.listAliases({ pageSize: 100 });
  const described = [];
  for (const { keyId } of keys) {
    const { keyMetadata } = await kms.describeKey({ keyId });
    const { keyVersions } = await kms.listKeyVersions({ keyId, pageSize: 100 });
    described.push(keyMetadata, keyVersions);
  }
  return { keys, aliases, described };
}

/** Closes a Kms and compares what it told with what its rows tell. */
async function expectSameAfterRestart(kms: Kms, rows: TestRows): Promise<Kms> {
  const before = await everything(kms);
  await kms.close();
  delete rows.hooks.commit;
  const later = await openKms({ store: rows.handle() });
  expect(await everything(later)).toEqual(before);
  return later;
}

/** A store whose commits take 0 to 3 ms, the earlier ones longer than the later ones. */
function uneven(): TestRows {
  let commits = 0;
  return new TestRows({
    commit: () => {
      commits += 1;
      return sleep(3 - (commits % 4));
    },
  });
}

test("rotations at once give as many versions, one primary, and every ciphertext opens", async () => {
  const rows = uneven();
  const kms = await openKms({ store: rows.handle() });
  const { keyId } = await kms.createKey();
  const work = Array.from({ length: 12 }, async () => {
    const { keyVersionId } = await kms.rotateKey({ keyId });
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    return { keyVersionId, ciphertextBlob };
  });
  const done = await Promise.all(work);
  const { keyVersions } = await kms.listKeyVersions({ keyId, pageSize: 100 });
  expect(keyVersions.map((version) => version.keyVersionId).slice(1)).toEqual(
    done.map((rotation) => rotation.keyVersionId),
  );
  expect(keyVersions.filter((version) => version.isPrimary)).toHaveLength(1);
  const later = await expectSameAfterRestart(kms, rows);
  for (const { ciphertextBlob } of done) {
    expect((await later.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
  }
});

test("creations at once all come to be, in one order before and after a restart", async () => {
  const rows = uneven();
  const kms = await openKms({ store: rows.handle(), clock: () => 0 });
  const specs = ["Aliyun_AES_256", "EC_P256", "HMAC_SHA_256", "RSA_2048"] as const;
  await Promise.all(Array.from({ length: 12 }, (_, i) => kms.createKey({ keySpec: specs[i % 4] })));
  expect((await kms.listKeys()).totalCount).toBe(12);
  await expectSameAfterRestart(kms, rows);
});

test("of creations of one alias at once exactly one succeeds", async () => {
  const rows = uneven();
  const kms = await openKms({ store: rows.handle() });
  const keyIds = await Promise.all([1, 2, 3, 4].map(async () => (await kms.createKey()).keyId));
  const outcomes = await Promise.all(
    keyIds.map((keyId) => outcome(() => kms.createAlias({ aliasName: "alias/one", keyId }))),
  );
  expect(outcomes).toEqual(["ok", "AliasAlreadyExists", "AliasAlreadyExists", "AliasAlreadyExists"]);
  const later = await expectSameAfterRestart(kms, rows);
  expect((await later.describeKey({ keyId: "alias/one" })).keyMetadata.keyId).toBe(keyIds[0]);
});

test("of schedulings at once exactly one succeeds, and of cancellations too", async () => {
  const kms = await openKms({ store: uneven().handle() });
  const { keyId } = await kms.createKey();
  const request = { keyId, pendingWindowInDays: 7 };
  const schedule = await Promise.all([1, 2, 3].map(() => outcome(() => kms.scheduleKeyDeletion(request))));
  expect(schedule).toEqual(["ok", "Rejected.StateModifiedFailed", "Rejected.StateModifiedFailed"]);
  const cancel = await Promise.all([1, 2, 3].map(() => outcome(() => kms.cancelKeyDeletion({ keyId }))));
  expect(cancel).toEqual(["ok", "Rejected.StateModifiedFailed", "Rejected.StateModifiedFailed"]);
});

test("changes of any kind at once, with commits that fail at times, leave memory and store in step", async () => {
  const changes = [
    "rotate",
    "enable",
    "disable",
    "schedule",
    "cancel",
    "alias",
    "point",
    "drop",
    "seal",
  ] as const;
  const step = fc.record({
    change: fc.constantFrom(...changes),
    key: fc.nat({ max: 1 }),
    fails: fc.nat({ max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 20 }), async (steps) => {
      const rows = new TestRows();
      const kms = await openKms({ store: rows.handle() });
      const keyIds = [(await kms.createKey()).keyId, (await kms.createKey()).keyId];
      let commits = 0;
      rows.hooks.commit = async () => {
        const { fails } = steps[commits % steps.length] as { fails: number };
        commits += 1;
        if (fails % 2 === 0) await Promise.resolve();
        if (fails === 4) throw new Error("disk full");
      };
      const calls = steps.map(({ change, key }) => {
        const keyId = keyIds[key] as string;
        const aliasName = "alias/a";
        const run = {
          rotate: () => kms.rotateKey({ keyId }),
          enable: () => kms.enableKey({ keyId }),
          disable: () => kms.disableKey({ keyId }),
          schedule: () => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 }),
          cancel: () => kms.cancelKeyDeletion({ keyId }),
          alias: () => kms.createAlias({ aliasName, keyId }),
          point: () => kms.updateAlias({ aliasName, keyId }),
          drop: () => kms.deleteAlias({ aliasName }),
          seal: () => kms.advanceEncrypt({ keyId, plaintext }),
        };
        return outcome(run[change]);
      });
      await Promise.all(calls);
      delete rows.hooks.commit;
      const later = await expectSameAfterRestart(kms, rows);
      await later.close();
    }),
    { numRuns: 150 },
  );
}, 30_000);
