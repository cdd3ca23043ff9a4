/** Writes the reading of a table of powers of pairs, one vector a digit, for the files of rsa/generated. */

import { load, range, store } from "./emit.mjs";

const pass = (count) => [
  range(count).map((i) => `let t${i} = v128.and(${load("entry", 16 * i)}, first);`),
  `let at = entry;
let number = one;
for (let i: u32 = 1; i < 32; ++i) {
at += 16 * n;
const chosen = i64x2.eq(number, digits);
number = i64x2.add(number, one);`,
  range(count).map((i) => `t${i} = v128.or(t${i}, v128.and(${load("at", 16 * i)}, chosen));`),
  "}",
  range(count).map((i) => store("out", `t${i}`, 16 * i)),
  `out += ${16 * count};
entry += ${16 * count};`,
];

/**
 * Returns the text of a function that picks an entry for each lane.
 *
 * @param {{ name: string, first: number, next: number }} options the vectors of an entry that the first pass over the table
 *   takes, and each pass after it: n is the first and a multiple of the second
 */
export function selectEntry({ name, first, next }) {
  return [
    `/**
 * Picks an entry of a table for each lane by reading all of it.
 *
 * @param out n digits
 * @param table 32 entries of n digits, secret
 * @param digits the numbers of the entries, 0 to 31, secret
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function ${name}(out: usize, table: usize, digits: v128, n: usize): void {
const one = i64x2.splat(1);
const first = i64x2.eq(digits, i64x2.splat(0));
let entry = table;
{`,
    pass(first),
    `}
while (entry < table + 16 * n) {`,
    pass(next),
    `}
}
`,
  ].flat(9);
}
