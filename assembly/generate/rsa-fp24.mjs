/** Writes rsa/generated/fp24.ts: Montgomery products of pairs of numbers in radix 2^24 or 2^23, by plain vectors of doubles. */

import { fileHead, importing, load, range, store } from "./emit.mjs";
import { selectEntry } from "./rsa-select.mjs";

const HEAD = `
Products and Montgomery reduction of pairs of numbers in radix 2^24 or 2^23, two residues side by side in the lanes of vectors,
for any number of limbs that is three more than a multiple of four. Products of digits and sums of products are integers below
2^53, so doubles hold them exactly. Rows come in fours: a window of four digits slides along the columns.
Derivation and bounds: docs/rsa-kernels.md.
`;

const lines = (...parts) => parts.flat(9).join("\n");
const ROWS = 4;

const multiplied = (a, b) => `f64x2.mul(${a}, ${b})`;
/** Sums from left to right; undefined terms are left out. */
const sum = (...terms) =>
  terms
    .flat()
    .filter(Boolean)
    .reduce((a, b) => `f64x2.add(${a}, ${b})`);

/** Names the digit of a window that holds position s: four take turns. */
const digit = (s) => `w${s % ROWS}`;

/** The products that meet in column s of a block: factor i times digit s - i. */
const meeting = (factors, s) => factors.slice(0, s + 1).map((factor, i) => multiplied(factor, digit(s - i)));

/** The products that meet in column s beyond the last digit, which is in w2, and the two before it in w1 and w0. */
const leftOver = (factors, s) => factors.slice(s + 1).map((factor, i) => multiplied(factor, `w${2 - i}`));

/**
 * Adds the products of factors, whose row is the first of a block, and the digits from \`at\` on to the columns from \`to\` on.
 * \`fresh\` columns were never written; \`extra\` has more terms for the first columns.
 */
function block({ factors, at, to, end, fresh = false, extra = [] }) {
  const rows = factors.length;
  const old = (s) => (fresh ? undefined : load(to, 16 * s));
  const loop = range(ROWS).map((s) => [
    `${digit(s + 3)} = ${load(at, 16 * s)};`,
    store(to, sum(old(s), meeting(factors, s + 3)), 16 * s),
  ]);
  return [
    range(3).map((s) => [
      `let ${digit(s)} = ${load(at, 16 * s)};`,
      store(to, sum(old(s), extra[s], meeting(factors, s)), 16 * s),
    ]),
    "let w3: v128;",
    `${at} += 48;
${to} += 48;
while (${at} < ${end}) {`,
    loop,
    `${at} += 64;
${to} += 64;
}`,
    // The digits 0, 1 and 2 of the window are the last three now, and what they meet was never written.
    range(rows - 1).map((s) => store(to, sum(leftOver(factors, s)), 16 * s)),
  ];
}

const FACTORS = range(ROWS).map((i) => `f${i}`);

function multiply() {
  const factors = (row, count) => range(count).map((i) => `const f${i} = ${load(row, 16 * i)};`);
  return lines(
    `/**
 * Multiplies without reducing.
 *
 * @param columns 2n - 1 vectors, out
 * @param a n digits, secret
 * @param b n digits, secret; may be a
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp24Multiply(columns: usize, a: usize, b: usize, n: usize): void {
const zero = f64x2.splat(0);
const end = b + 16 * n;
{`,
    factors("a", ROWS),
    `let to = columns;
let at = b;`,
    block({ factors: FACTORS, at: "at", to: "to", end: "end", fresh: true }),
    // The first column that the next rows reach beyond these.
    `v128.store(to, zero, 48);
}
for (let row: usize = 64; row < 16 * (n - 3); row += 64) {`,
    factors("a + row", ROWS),
    `let to = columns + row;
let at = b;`,
    block({ factors: FACTORS, at: "at", to: "to", end: "end" }),
    `v128.store(to, zero, 48);
}
{`,
    factors("a + 16 * (n - 3)", 3),
    `let to = columns + 16 * (n - 3);
let at = b;`,
    block({ factors: FACTORS.slice(0, 3), at: "at", to: "to", end: "end" }),
    `}
}
`,
  );
}

function square() {
  const within = (count) => [
    range(count).map((i) => `const e${i} = ${load("row", 16 * i)};`),
    range(count).map((i) => `const f${i} = f64x2.add(e${i}, e${i});`),
  ];
  /** Products of the digits of a block with one another that meet in column s. */
  const own = (count, s) =>
    range(count).flatMap((i) => {
      const j = s - i;
      if (j < i || j >= count) return [];
      return [i === j ? multiplied(`e${i}`, `e${i}`) : multiplied(`f${i}`, `e${j}`)];
    });
  const rows = (fresh) => [
    within(ROWS),
    range(ROWS).map((s) => store("to", sum(fresh ? undefined : load("to", 16 * s), own(ROWS, s)), 16 * s)),
    `to += 64;
let at = row + 64;`,
    block({
      factors: FACTORS,
      at: "at",
      to: "to",
      end: "end",
      fresh,
      extra: range(3).map((s) => own(ROWS, ROWS + s)),
    }),
    "v128.store(to, zero, 48);",
  ];
  return lines(
    `/**
 * Squares without reducing.
 *
 * @param columns 2n - 1 vectors, out
 * @param a n digits, secret
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp24Square(columns: usize, a: usize, n: usize): void {
const zero = f64x2.splat(0);
const end = a + 16 * n;
let row = a;
{
let to = columns;`,
    rows(true),
    `}
for (row += 64; row < end - 48; row += 64) {
let to = columns + ((row - a) << 1);`,
    rows(false),
    `}
const to = columns + 32 * (n - 3);`,
    within(3),
    range(5).map((s) => store("to", sum(s < 3 ? load("to", 16 * s) : undefined, own(3, s)), 16 * s)),
    `}
`,
  );
}

/** The multiple of the radix that is nearest. */
const nearestMultiple = (u) => `f64x2.sub(f64x2.add(${u}, round), round)`;

/**
 * Quotient digit s of the four that clear the columns from `at` on: complete but for one another and the carry between them.
 * A digit waits for the one before it; what comes between two of them hides that.
 */
const quotientDigit = (at, s) => [
  "{",
  `const t = ${sum(
    load(at, 16 * s),
    // The latest come last.
    range(Math.max(0, s - 1)).map((i) =>
      multiplied(load("FP24_QUOTIENT", 16 * i), load("scaled", 16 * (s - 1 - i))),
    ),
    s === 0 ? [] : ["carry", multiplied("latest", load("scaled"))],
  )};
if (!ASC_NO_ASSERT) assertColumns(t);`,
  // What the row of the modulus itself starts from, if it is the next.
  s === 2 ? store("FP24_QUOTIENT", "t", 16 * ROWS + 16) : [],
  `const above = ${nearestMultiple("t")};
latest = f64x2.sub(t, above);
carry = f64x2.mul(above, down);`,
  store("FP24_QUOTIENT", "latest", 16 * s),
  "}",
];

function reduce() {
  const columns = (target) => range(ROWS).map((s) => [`${digit(s + 3)} = ${load("at", 16 * s)};`, target(s)]);
  const next = ["at += 64;", "to += 64;"];
  const turn = columns((s) => store("to", sum(load("to", 16 * s), meeting(FACTORS, s + 3)), 16 * s));
  return lines(
    `/**
 * Reduces a product in Montgomery form: out ← columns / 2^(bits n) modulo the moduli, between minus one and one modulus.
 *
 * @param out n digits
 * @param columns 2n - 1 vectors from \`fp24Multiply\` or \`fp24Square\`, secret; overwritten
 * @param modulus the moduli, n digits; behind them the scaled moduli plus one, divided by the radix; behind those the factors
 * @param radix what rounds to a multiple of it, and its inverse
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp24Reduce(out: usize, columns: usize, modulus: usize, radix: usize, n: usize): void {
const round = v128.load(radix);
const down = v128.load(radix, 16);
const scaled = modulus + 16 * n;
const end = scaled + 16 * n;
let carry = f64x2.splat(0);
let latest = carry;`,
    range(ROWS).map((s) => quotientDigit("columns", s)),
    "for (let row = columns; row < columns + 16 * (n - 3); row += 64) {",
    range(ROWS - 1).map((i) => `const f${i} = ${load("FP24_QUOTIENT", 16 * i)};`),
    `const f3 = latest;
let to = row + 64;
let at = scaled + 48;`,
    range(3).map((s) => `let w${s} = ${load("scaled", 16 * s)};`),
    "let w3: v128;",
    columns((s) => {
      const met = meeting(FACTORS, s + 3);
      return store("to", sum(load("to", 16 * s), met.slice(0, 3), s === 0 ? ["carry"] : [], met[3]), 16 * s);
    }),
    "const digits = to;",
    next,
    // No size has fewer columns than these.
    range(ROWS).map((s) => [quotientDigit("digits", s), turn, next]),
    "while (at < end) {",
    turn,
    next,
    "}",
    range(3).map((s) => store("to", sum(load("to", 16 * s), leftOver(FACTORS, s)), 16 * s)),
    `}
// The last row makes the result a multiple of the power of the radix with the moduli themselves; two more are still to be added.
const f0 = v128.load(FP24_QUOTIENT);
const f1 = v128.load(FP24_QUOTIENT, 16);
const t = f64x2.mul(v128.load(FP24_QUOTIENT, 32), v128.load(end));`,
    `const f2 = f64x2.sub(t, ${nearestMultiple("t")});`,
    `const cleared = ${sum(load("FP24_QUOTIENT", 16 * ROWS + 16), multiplied("f2", "v128.load(modulus)"))};
if (!ASC_NO_ASSERT) assertColumns(cleared);
// Columns are carried twice, side by side: what the second carry leaves is a digit and a little more.
carry = f64x2.mul(cleared, down);
let again = f64x2.splat(0);
let w1 = v128.load(scaled, 16);
let digit = modulus + 16;
let column = columns + 16 * n;
let x: v128;
for (; digit < scaled - 16; digit += 16) {
const w2 = v128.load(digit + 16 * n, 16);`,
    `x = ${sum("v128.load(column)", multiplied("f0", "w2"), multiplied("f1", "w1"), multiplied("f2", "v128.load(digit)"))};`,
    carryTwice(),
    `w1 = w2;
column += 16;
}
x = ${sum("v128.load(column)", multiplied("f1", "w1"), multiplied("f2", "v128.load(digit)"))};`,
    carryTwice(),
    `v128.store(out, f64x2.add(carry, again));
}
`,
  );
}

/** Carries column x once, with what the column below carried, and once more, and stores a digit. */
function carryTwice() {
  return [
    `if (!ASC_NO_ASSERT) assertColumns(x);
const above = ${nearestMultiple("x")};
const y = f64x2.add(f64x2.sub(x, above), carry);
carry = f64x2.mul(above, down);
const more = ${nearestMultiple("y")};
v128.store(out, f64x2.add(f64x2.sub(y, more), again));
again = f64x2.mul(more, down);
out += 16;`,
  ];
}

export function rsaFp24() {
  return lines(
    fileHead(HEAD),
    importing(["assertColumns"], "../fp24-bounds"),
    importing(["FP24_QUOTIENT"], "../memory"),
    multiply(),
    square(),
    reduce(),
    // Powers are of numbers of up to 2048 bits: 43, 67 or 91 digits.
    selectEntry({ name: "fp24Select", first: 3, next: 8 }),
  );
}
