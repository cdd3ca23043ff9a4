/**
 * A child process over a SQLite store, started by the tests: `node sqlite-child.mjs BUNDLE MODE FILE DRIVER`.
 * hold: opens the store, forgets it, collects garbage and waits. write: commits numbered transactions until it is
 * killed. fill: commits until it fails. Every mode says so when the store is refused.
 */

import { writeSync } from "node:fs";

const [bundle, mode, file, driver] = process.argv.slice(2);
const { sqliteStore } = await import(bundle);
const store = sqliteStore({ file, driver });

/** Writes at once, so that a line that was read is a fact even after SIGKILL. */
function say(line) {
  writeSync(1, `${line}\n`);
}

/** Builds transaction n: five rows, a counter, and the removal of the transaction fifty before. */
function transaction(n) {
  const changes = [{ action: "put", kind: "usage", id: "last", bytes: new TextEncoder().encode(`${n}`) }];
  for (let part = 0; part < 5; part++) {
    const bytes = new Uint8Array(1500).fill((n + part) & 0xff);
    changes.push({ action: "put", kind: "version", id: `${n}/${part}`, bytes });
    changes.push({ action: "delete", kind: "version", id: `${n - 50}/${part}` });
  }
  return changes;
}

const records = await store.open().catch((error) => {
  say(`refused ${error.code} ${error.message}`);
  process.exit(1);
});
say("open");

if (mode === "hold") {
  // Nothing refers to the store from here on; its file must stay held even so.
  setTimeout(() => globalThis.gc(), 10);
  setTimeout(() => say("holding"), 40);
  setInterval(() => {}, 1000);
} else if (mode === "write") {
  const last = records.find((record) => record.id === "last");
  let n = last === undefined ? 0 : Number(new TextDecoder().decode(last.bytes));
  for (;;) {
    n++;
    store.commit(transaction(n));
    say(`${n}`);
    if (n % 40 === 0) store.purge();
  }
} else if (mode === "fill") {
  let n = 0;
  try {
    for (;;) {
      store.commit(
        [0, 1, 2].map((part) => ({
          action: "put",
          kind: "key",
          id: `${n}/${part}`,
          bytes: new Uint8Array(3000),
        })),
      );
      n++;
    }
  } catch (error) {
    say(`failed ${n} ${error.code} ${error.cause?.code} ${error.cause?.errcode}`);
  }
}
