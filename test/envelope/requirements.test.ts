/** Every numbered requirement of the specifications is cited by a test, and every citation leads to a requirement. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ID = /\[((?:BLOB|AAD|CTX|VND|REC|ROOT|STR|ECIES|HSM)-\d+)\]/g;

/** Reads every file of a folder with one of these endings. */
function textsOf(folder: string, ...endings: string[]): string[] {
  return readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => readFileSync(`${root}/${folder}/${name}`, "utf8"));
}

const idsIn = (text: string, pattern: RegExp = ID): string[] =>
  [...text.matchAll(pattern)].map(([, id = ""]) => id);
const docs = textsOf("docs", ".md");
/** A requirement is stated in bold at the start of a list item; other mentions refer to it. */
const stated = docs.flatMap((text) => idsIn(text, /^\* \*\*\[([A-Z]+-\d+)\]\*\*/gm));
const cited = new Set(textsOf("test", ".test.ts").flatMap((text) => idsIn(text)));

describe("numbered requirements", () => {
  test("are stated once each", () => {
    expect(stated.filter((id, i) => stated.indexOf(id) !== i)).toEqual([]);
    expect(stated.length).toBeGreaterThan(35);
  });

  test("are numbered without gaps", () => {
    const families = new Map<string, string[]>();
    for (const id of stated) {
      const family = id.replace(/-\d+/, "");
      families.set(family, [...(families.get(family) ?? []), id]);
    }
    expect([...families.keys()]).toEqual(
      expect.arrayContaining(["BLOB", "AAD", "CTX", "VND", "REC", "ROOT", "ECIES"]),
    );
    for (const [family, ids] of families) {
      expect(ids).toEqual(ids.map((_, i) => `${family}-${i + 1}`));
    }
  });

  test("are cited by at least one test each", () => {
    expect(stated.filter((id) => !cited.has(id))).toEqual([]);
  });

  test("are what tests, sources and other pages cite", () => {
    const known = new Set(stated);
    const used = new Set([...cited, ...[...docs, ...textsOf("src", ".ts")].flatMap((text) => idsIn(text))]);
    expect([...used].filter((id) => !known.has(id))).toEqual([]);
  });
});
