/** Hands the pool records of noise and buffers that go away, and holds that nothing outside a record is touched. */

import { createDecipheriv, randomBytes, randomInt } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ResolvedKey } from "../../src/engines/hsm/addon.ts";
import { RECORD_LENGTH, STATUS, SUBMIT } from "../../src/engines/hsm/record.ts";
import { requireModule, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";
import { Driver } from "../support/native-pool.ts";

const KEY = randomBytes(32);
const RECORDS = 64;
const DATA = 64 * 1024;

let module: TestModule;
let driver: Driver;
let key: ResolvedKey;

beforeAll(async () => {
  if (whyNot("softhsm") !== undefined) return;
  module = startModule("softhsm");
  driver = new Driver(module);
  await driver.pool.open();
  key = await driver.importAes("fuzz", KEY);
});

beforeEach(({ skip }) => requireModule(skip, "softhsm"));

afterAll(async () => {
  await driver?.close();
  module?.dispose();
});

/** A number that is likely to be at a border. */
function hostile(): number {
  const end = RECORDS * RECORD_LENGTH + DATA;
  const borders = [
    0,
    1,
    RECORD_LENGTH,
    RECORDS * RECORD_LENGTH,
    end - 1,
    end,
    end + 1,
    0x7fffffff,
    0xffffffff,
  ];
  return randomInt(2) === 0 ? (borders[randomInt(borders.length)] ?? 0) : randomInt(0x1_0000_0000);
}

test("records with hostile offsets and lengths write to the ranges of good records alone", async () => {
  let pending = 0;
  let wake = () => {};
  const pool = new driver.addon.Pool({
    library: module.library,
    token: { label: module.tokenLabel },
    onDrain(count) {
      for (let i = 0; i < count; i++) pending -= (pool.ring[3 * i + 2] ?? 0) & 0xffffff;
      if (pending === 0) wake();
    },
    onEvent: (code) => {
      if (code === 1) pool.providePin(module.pin());
    },
  });
  await pool.open();
  const { ref } = await pool.resolveKey({ id: new TextEncoder().encode("fuzz"), class: 4 }, []);
  const arena = pool.createArena(RECORDS, DATA);
  const bytes = new Uint8Array(arena.buffer);
  const view = new DataView(arena.buffer);
  let rejected = 0;
  for (let round = 0; round < 200; round++) {
    const canary = randomBytes(DATA);
    bytes.set(canary, RECORDS * RECORD_LENGTH);
    const writable = new Uint8Array(bytes.length);
    for (let record = 0; record < RECORDS; record++) {
      const at = record * RECORD_LENGTH;
      const slot = RECORDS * RECORD_LENGTH + record * 1024;
      bytes.fill(0, at, at + RECORD_LENGTH);
      bytes[at] = 1 + randomInt(2);
      view.setUint32(at + 4, 0x1087, true);
      view.setUint32(at + 8, ref, true);
      bytes[at + 12] = 16;
      const fields = [slot, 12, slot + 16, 16, slot + 64, 200, slot + 512, 300];
      if (randomInt(4) !== 0) fields[randomInt(8)] = hostile();
      if (randomInt(4) === 0) fields[randomInt(8)] = hostile();
      for (const [i, value] of fields.entries()) view.setUint32(at + 16 + 4 * i, value, true);
      // What a good record may write: its output. A range that is outside makes the record a bad one.
      const [, , , , , , output = 0, capacity = 0] = fields;
      if (output >= RECORDS * RECORD_LENGTH && output + capacity <= bytes.length) {
        writable.fill(1, output, output + capacity);
      }
    }
    const done = new Promise<void>((resolve) => {
      wake = resolve;
    });
    pending = RECORDS;
    // Lengths of noise do not count: a bad record is answered, and holds up no other.
    expect(pool.submit(arena.id, 0, RECORDS)).toBe(SUBMIT.ACCEPTED);
    await done;
    for (let record = 0; record < RECORDS; record++) {
      const status = bytes[record * RECORD_LENGTH + 60];
      expect([STATUS.DONE, STATUS.REJECTED]).toContain(status);
      if (status === STATUS.REJECTED) rejected++;
    }
    for (let i = 0; i < DATA; i++) {
      const at = RECORDS * RECORD_LENGTH + i;
      if (writable[at] === 0 && bytes[at] !== canary[i]) throw new Error(`byte ${at} was written`);
    }
  }
  expect(rejected).toBeGreaterThan(100);
  await pool.close(1000);
}, 60_000);

test("submit refuses ranges of records that are not there, or in flight", () => {
  const { pool, arena } = driver;
  for (const [first, count] of [
    [0, 0],
    [256, 1],
    [255, 2],
    [0xffffffff, 1],
    [1, 0xffffffff],
    [-1, 1],
    [0.5, 1],
  ] as const) {
    expect(pool.submit(arena.id, first, count)).toBe(SUBMIT.BAD_RANGE);
  }
  expect(pool.submit(999, 0, 1)).toBe(SUBMIT.BAD_RANGE);
});

test("an arena is not destroyed under its records, and its buffer is detached with it", async () => {
  const sealed = driver.submit([driver.encrypt(key, randomBytes(32))]);
  expect(() => driver.pool.destroyArena(driver.arena.id)).toThrow("in flight");
  await Promise.all(sealed);
  const other = driver.pool.createArena(4, 4096);
  driver.pool.destroyArena(other.id);
  expect(other.buffer.byteLength).toBe(0);
  expect(driver.pool.submit(other.id, 0, 1)).toBe(SUBMIT.BAD_RANGE);
});

test("garbage collection and buffers that callers drop or transfer change no ciphertext", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 20; round++) {
    const plaintexts = Array.from({ length: 64 }, () => randomBytes(512));
    const copies = plaintexts.map((each) => Uint8Array.from(each));
    const running = driver.submit(copies.map((each) => driver.encrypt(key, each)));
    for (const copy of copies) structuredClone(copy.buffer, { transfer: [copy.buffer] });
    collect();
    const outcomes = await Promise.all(running);
    for (const [i, outcome] of outcomes.entries()) {
      const decipher = createDecipheriv("aes-256-gcm", KEY, outcome.iv);
      decipher.setAuthTag(outcome.output.subarray(-16));
      const opened = Buffer.concat([decipher.update(outcome.output.subarray(0, -16)), decipher.final()]);
      expect(opened.equals(plaintexts[i] ?? KEY)).toBe(true);
    }
  }
});
