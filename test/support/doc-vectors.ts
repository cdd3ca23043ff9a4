/** Reads the labelled test vectors of a documentation page: lines of four spaces, a label, spaces and a value. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Gives a reader of one page's vectors, which throws for a label the page does not have. */
export function docVectors(page: string): (label: string) => string {
  const text = readFileSync(fileURLToPath(new URL(`../../docs/${page}`, import.meta.url)), "utf8");
  const [, section = ""] = text.split("## Test vectors");
  const values = new Map(
    [...section.matchAll(/^ {4}(\S+) +(\S.*)$/gm)].map(([, label = "", value = ""]) => [label, value]),
  );
  return (label) => {
    const value = values.get(label);
    if (value === undefined) throw new Error(`docs/${page} has no vector ${label}`);
    return value;
  };
}
