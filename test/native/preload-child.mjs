/** Plays a scene in a process with preload.node; started by test/support/preloaded.ts, prints what came of it as JSON. */

import { openSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const { addonFile, library, tokenLabel, pin, scene } = JSON.parse(process.argv[2] ?? "{}");
const addon = createRequire(import.meta.url)(addonFile);
const page = openSync(process.env.PRELOAD_PAGE ?? "", "r+");
const RECORDS = 64;
const RANDOM = 5;
const ROUNDS = 30;
/** Of struct Finished in native/mailbox.h. */
const FINISHED_BYTES = 32;

/** What struct Page of preload.cc holds. */
function preload(...words) {
  writeSync(page, new Uint8Array(Uint32Array.from(words).buffer), 0, 4 * words.length, 0);
}

/** Makes a pool of one class whose records take random bytes, all into one place. */
function makePool() {
  /** Kinds of RING by record, in the order in which they were told. */
  const told = Array.from({ length: RECORDS }, () => []);
  const pool = new addon.Pool({
    library,
    token: { label: tokenLabel },
    onDrain(count) {
      for (let i = 0; i < count; i++) {
        const first = pool.ring[3 * i + 1];
        const tail = pool.ring[3 * i + 2];
        for (let record = first; record < first + (tail & 0xffffff); record++) told[record].push(tail >>> 24);
      }
    },
    onEvent(code) {
      if (code === 1) pool.providePin(new TextEncoder().encode(pin));
    },
    limits: { other: { min: 1, max: 1 } },
  });
  const arena = pool.createArena(RECORDS, 64);
  const view = new DataView(arena.buffer);
  const submit = (first, ...deadlines) => {
    for (const [i, deadline] of deadlines.entries()) {
      const at = 64 * (first + i);
      view.setUint8(at, RANDOM);
      view.setUint32(at + 40, RECORDS * 64, true);
      view.setUint32(at + 44, 16, true);
      view.setUint32(at + 48, deadline, true);
    }
    if (pool.submit(arena.id, first, deadlines.length) !== 0) throw new Error("submit");
  };
  return { pool, submit, told };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const reasonOf = (promise) => promise.then(() => "none").catch(({ reason }) => reason);

const SCENES = {
  /** Closes and opens pools while no thread can be had; the first record hangs. */
  async noThreads() {
    const { pool, submit, told } = makePool();
    await pool.open();
    submit(0, ...new Array(RECORDS).fill(0));
    preload(1);
    const closed = await reasonOf(pool.close(0));
    const settled = told.filter((kinds) => kinds.length === 1).length;
    const again = await reasonOf(pool.close(0));
    const other = makePool().pool;
    const refused = await reasonOf(other.open());
    const neverOpen = await reasonOf(other.close(0));
    return { closed, settled, again, refused, neverOpen };
  },

  /** The only thread hangs while no other can be had, which passes before the next record's deadline. */
  async threadsAgain() {
    const { pool, submit, told } = makePool();
    await pool.open();
    submit(0, pool.now() + 50);
    await sleep(20);
    preload(1);
    await sleep(100);
    submit(1, pool.now() + 3000);
    await sleep(50);
    preload(0);
    const begun = performance.now();
    while (told[1].length === 0) await sleep(5);
    return { told: told.slice(0, 2), isEarly: performance.now() - begun < 1500 };
  },

  /** The monitor is late in the middle of giving up the first of two records of one thread, which ends meanwhile. */
  async nextRecord() {
    const { pool, submit, told } = makePool();
    await pool.open();
    // Until a thread takes two records at once: it does when they are short.
    for (let round = 1; round <= ROUNDS; round++) {
      submit(32, ...new Array(32).fill(0));
      while (told.slice(32).some((kinds) => kinds.length < round)) await sleep(1);
    }
    await sleep(20);
    preload(0, FINISHED_BYTES, 150_000);
    submit(0, pool.now() + 2, pool.now() + 400);
    await sleep(1000);
    const wasLate = new Uint32Array(3);
    readSync(page, wasLate, 0, 12, 0);
    return { told: told.slice(0, 2), wasLate: wasLate[1] === 0 };
  },
};

const outcome = await SCENES[scene]();
preload(0, 0);
process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
