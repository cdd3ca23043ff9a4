/** The SQLite store under violence: killed at random moments, and out of disk. */

import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import type { StoredRecord } from "../../src/keys/key-store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { bundleStore, describeEachDriver, startChild, temporaryFolder } from "./sqlite-support.ts";

const folder = temporaryFolder();
let bundle = "";
beforeAll(async () => {
  bundle = await bundleStore(folder);
});

/** Kills in one run, and the longest life of a child after its first commit in milliseconds. */
const KILLS = 32;
const LONGEST_LIFE = 250;

/** Checks that the rows are those after transaction `last`, no more and no less, and returns it. */
function expectWhole(records: readonly StoredRecord[]): number {
  const counter = records.find((record) => record.kind === "usage");
  if (counter === undefined) {
    expect(records).toEqual([]);
    return 0;
  }
  const last = Number(new TextDecoder().decode(counter.bytes));
  const rows = new Map(
    records.filter((record) => record.kind === "version").map((record) => [record.id, record.bytes]),
  );
  const first = Math.max(1, last - 49);
  expect(rows.size).toBe((last - first + 1) * 5);
  for (let n = first; n <= last; n++) {
    for (let part = 0; part < 5; part++) {
      const expected = Buffer.alloc(1500, (n + part) & 0xff);
      expect(expected.equals(rows.get(`${n}/${part}`) ?? new Uint8Array(0)), `row ${n}/${part}`).toBe(true);
    }
  }
  return last;
}

describeEachDriver("the SQLite store", (driver) => {
  const home = join(folder, driver.replace(":", "-"));
  mkdirSync(home);

  test(`no acknowledged transaction is lost and none is torn when the process is killed ${KILLS} times`, async () => {
    const file = join(home, "killed.db");
    let afterCommit = 0;
    let acknowledged = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = startChild(bundle, "write", file, driver);
      // Every fourth child dies around its start, while the store is created or recovered.
      if (kill % 4 === 0) await sleep(randomInt(30, 120));
      else {
        await child.line(`${acknowledged + 1}`);
        await sleep(randomInt(0, LONGEST_LIFE));
      }
      child.process.kill("SIGKILL");
      await child.ended;
      const numbers = child.lines.filter((line) => /^\d+$/.test(line)).map(Number);
      const newest = numbers.at(-1) ?? acknowledged;
      if (numbers.length > 0) afterCommit++;

      const store = sqliteStore({ file, driver });
      const last = expectWhole(await store.open());
      await store.close();
      // One transaction may be durable without its number having been heard.
      expect(last).toBeGreaterThanOrEqual(newest);
      expect(last).toBeLessThanOrEqual(newest + 1);
      acknowledged = last;
    }
    expect(afterCommit).toBeGreaterThanOrEqual((KILLS * 3) / 4);
    expect(acknowledged).toBeGreaterThan(KILLS);
  }, 60_000);

  test.skipIf(process.platform === "win32")(
    "a full disk is an error, and what was acknowledged before it is there",
    async () => {
      const file = join(home, "full.db");
      const child = startChild(bundle, "fill", file, driver, 600);
      const [, count, code, cause, number] = (await child.line("failed")).split(" ");
      await child.ended;
      expect(code).toBe("InternalFailure");
      expect(`${cause} ${number}`).toMatch(/SQLITE_(FULL|IOERR)|ERR_SQLITE_ERROR \d+/);
      expect(Number(count)).toBeGreaterThan(3);
      const store = sqliteStore({ file, driver });
      expect((await store.open()).length).toBe(3 * Number(count));
      await store.close();
    },
  );
});
