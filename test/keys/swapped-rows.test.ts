/** Rows that changed places in the store: each is bound to its kind, its id and its key, and is refused elsewhere. */

import { expect, test } from "vitest";
import type { RecordKind } from "../../src/keys/key-store.ts";
import { openKms, outcome } from "./support/kms.ts";
import { TestRows } from "./support/rows.ts";

/** Lets two rows of a kind change places. */
function swap(rows: TestRows, kind: RecordKind): void {
  const [one, two] = [...rows.rows].filter(([, row]) => row.kind === kind);
  if (one === undefined || two === undefined) throw new Error(`there are no two rows of kind ${kind}`);
  rows.rows.set(one[0], { ...one[1], bytes: two[1].bytes });
  rows.rows.set(two[0], { ...two[1], bytes: one[1].bytes });
}

test.each(["key", "version", "usage", "alias"] as const)("two %s rows swapped are refused", async (kind) => {
  const rows = new TestRows();
  const kms = await openKms({ store: rows.handle() });
  for (const name of ["alias/one", "alias/two"]) {
    const { keyId } = await kms.createKey();
    await kms.createAlias({ aliasName: name, keyId });
  }
  await kms.close();
  swap(rows, kind);
  const later = await openKms({ store: rows.handle() });
  for (const keyId of ["alias/one", "alias/two"]) {
    expect(await outcome(() => later.describeKey({ keyId }))).toBe("Rejected.RecordCorrupt");
  }
});
