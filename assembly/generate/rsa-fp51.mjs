/** Writes rsa/generated/fp51.ts: Montgomery products of pairs of numbers in radix 2^51, by fused multiply-adds. */

import { fileHead, importing, load, range, store } from "./emit.mjs";
import { selectEntry } from "./rsa-select.mjs";

const HEAD = `
Products and Montgomery reduction of pairs of numbers in radix 2^51, two residues side by side in the lanes of vectors, for
any number of limbs that is one more than a multiple of ten. A product of two digits is exact in two fused multiply-adds,
whose bit patterns are integers plus a constant; columns of such integers start at values that take the constants away.
Derivation and bounds: docs/rsa-kernels.md.
`;

const lines = (...parts) => parts.flat(9).join("\n");
/** Steps in the body of an inner loop. */
const UNROLL = 10;

/** Two digits' product as two bit patterns: the multiple of 2^51 and the rest. */
const product = (p, a, b) => [
  `const ${p}h = f64x2.relaxed_madd(${a}, ${b}, high);`,
  `const ${p}l = f64x2.relaxed_madd(${a}, ${b}, f64x2.sub(low, ${p}h));`,
];
const add = (...terms) => terms.reduce((a, b) => `i64x2.add(${a}, ${b})`);

/**
 * One step of two rows: the products of factors f0 and f1 with digit s of \`digits\` go to columns s, s + 1 and s + 2 from
 * \`from\` on, of which the first is stored. Three accumulators take turns.
 */
function step(s, { digits, from, to, retired }) {
  const acc = (n) => `c${(s + n) % 3}`;
  const p = `s${s}`;
  return [
    `const ${p}d = ${load(digits, 16 * s)};`,
    product(`${p}a`, "f0", `${p}d`),
    product(`${p}b`, "f1", `${p}d`),
    retired === undefined
      ? store(to, add(acc(0), `${p}al`), 16 * s)
      : [`const ${retired} = ${add(acc(0), `${p}al`)};`, store(to, retired, 16 * s)],
    `${acc(1)} = ${add(acc(1), `${p}ah`, `${p}bl`)};`,
    `${acc(2)} = ${add(load(from, 16 * (s + 2)), `${p}bh`)};`,
  ];
}

/** Steps 0 to count - 1, the accumulators ending where they began if count is UNROLL + 2. */
const turn = (count) => {
  // After \`count\` steps accumulator count % 3 is the first one; the loop expects c0 and c1.
  const first = count % 3;
  if (first === 0) return [];
  return first === 1
    ? ["const turned = c1;", "c1 = c2;", "c0 = turned;"]
    : ["const turned = c2;", "c1 = c0;", "c0 = turned;"];
};

/** A loop over steps, UNROLL at a time, until \`digits\` reaches \`end\`. */
const loop = ({ digits, from, to, end }) => [
  `while (${digits} < ${end}) {`,
  range(UNROLL).map((s) => step(s, { digits, from, to })),
  turn(UNROLL),
  `${digits} += ${16 * UNROLL};`,
  from === to ? [] : `${from} += ${16 * UNROLL};`,
  `${to} += ${16 * UNROLL};`,
  "}",
];

const constants = ["const high = v128.load(FP51, HIGH);", "const low = v128.load(FP51, LOW);"];

function multiply() {
  return lines(
    `/**
 * Multiplies without reducing.
 *
 * @param columns 2n + 2 vectors, out
 * @param a n digits, secret
 * @param b n digits, secret; may be a
 * @param start 2n + 2 vectors the columns start from
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp51Multiply(columns: usize, a: usize, b: usize, start: usize, n: usize): void {`,
    constants,
    `const end = b + 16 * (n - 1);
let source = start;
for (let row: usize = 0; row < 16 * (n - 1); row += 32) {
const f0 = v128.load(a + row);
const f1 = v128.load(a + row, 16);
let from = source + row;
let to = columns + row;
let digit = b;
let c0 = v128.load(from);
let c1 = v128.load(from, 16);
let c2: v128;`,
    loop({ digits: "digit", from: "from", to: "to", end: "end" }),
    // The last digit: its second column is the topmost of the block, and two more start for the next.
    step(0, { digits: "digit", from: "from", to: "to" }),
    `v128.store(to, c1, 16);
v128.store(to, c2, 32);
const fresh = start + row + 16 * n;
v128.store(to, v128.load(fresh, 32), 48);
v128.store(to, v128.load(fresh, 48), 64);
source = columns;
}
// The last row alone.
const f = v128.load(a + 16 * (n - 1));
let to = columns + 16 * (n - 1);
let c = v128.load(to);
for (let digit = b; digit <= end; digit += 16) {
const d = v128.load(digit);`,
    product("p", "f", "d"),
    `v128.store(to, ${add("c", "pl")});
c = ${add("v128.load(to, 16)", "ph")};
to += 16;
}
v128.store(to, c);
}
`,
  );
}

function square() {
  const pair = (r) => {
    const steps = UNROLL - 1 - 2 * r;
    return [
      "{",
      `const e0 = v128.load(row, ${32 * r});`,
      `const e1 = v128.load(row, ${32 * r + 16});`,
      "const f0 = f64x2.add(e0, e0);",
      "const f1 = f64x2.add(e1, e1);",
      `let from = source + ${64 * r} + at;`,
      `let to = columns + ${64 * r} + at;`,
      product("x", "e0", "e0"),
      product("y", "f0", "e1"),
      product("z", "e1", "e1"),
      store("to", add(load("from"), "xl")),
      store("to", add(load("from", 16), "xh", "yl"), 16),
      "from += 32;",
      "to += 32;",
      `let c0 = ${add(load("from"), "yh", "zl")};`,
      `let c1 = ${add(load("from", 16), "zh")};`,
      "let c2: v128;",
      `let digit = row + ${32 * r + 32};`,
      range(steps).map((s) => step(s, { digits: "digit", from: "from", to: "to" })),
      turn(steps),
      `digit += ${16 * steps};`,
      `from += ${16 * steps};`,
      `to += ${16 * steps};`,
      // turn() declares a name; the loop has a scope of its own.
      loop({ digits: "digit", from: "from", to: "to", end: "end" }),
      "v128.store(to, c0);",
      "v128.store(to, c1, 16);",
      "const fresh = start + (to - columns);",
      "v128.store(to, v128.load(fresh, 32), 32);",
      "v128.store(to, v128.load(fresh, 48), 48);",
      "source = columns;",
      "}",
    ];
  };
  return lines(
    `/**
 * Squares without reducing.
 *
 * @param columns 2n + 2 vectors, out
 * @param a n digits, secret
 * @param start 2n + 2 vectors the columns start from
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp51Square(columns: usize, a: usize, start: usize, n: usize): void {`,
    constants,
    `const end = a + 16 * n;
let source = start;
for (let row = a; row < end - 16; row += ${16 * UNROLL}) {
const at = (row - a) << 1;`,
    range(UNROLL / 2).map(pair),
    `}
const d = v128.load(end - 16);
const to = columns + 32 * (n - 1);`,
    product("p", "d", "d"),
    `v128.store(to, ${add("v128.load(to)", "pl")});
v128.store(to, ${add("v128.load(to, 16)", "ph")}, 16);
}
`,
  );
}

const digitOf = (value) =>
  `f64x2.sub(v128.or(v128.and(${value}, v128.load(FP51, DIGIT)), v128.load(FP51, EXPONENT)), v128.load(FP51, CENTRE))`;

/** From columns u0 and u1, complete but for the carry, the next two quotient digits and what they carry on. */
const nextDigits = (complete) => [
  `const m0 = ${digitOf("u0")};`,
  product("m", "m0", "first"),
  `const u2 = ${add("u1", "i64x2.shr_u(u0, 51)", "ml")};`,
  `const m1 = ${digitOf("u2")};`,
  `if (!ASC_NO_ASSERT && ${complete}) {
assertColumns(u0);
assertColumns(u2);
}`,
  "v128.store(FP51_QUOTIENT, m0);",
  "v128.store(FP51_QUOTIENT, m1, 16);",
  `v128.store(FP51_QUOTIENT, ${add("i64x2.shr_u(u2, 51)", "mh")}, 32);`,
];

function reduce() {
  return lines(
    `/**
 * Reduces a product in Montgomery form: out ← columns / 2^(51 n) modulo the moduli, between minus one and one modulus.
 *
 * @param out n digits
 * @param columns 2n vectors from \`fp51Multiply\` or \`fp51Square\`, secret; overwritten
 * @param modulus the moduli, n digits; behind them the scaled moduli plus one, divided by 2^51; behind those the factors
 * @param n limbs, public
 *
 * Time: depends on n alone.
 */
export function fp51Reduce(out: usize, columns: usize, modulus: usize, n: usize): void {`,
    constants,
    `const scaled = modulus + 16 * n;
const end = scaled + 16 * n;
const first = v128.load(scaled);
{
const u0 = v128.load(columns);
const u1 = v128.load(columns, 16);`,
    nextDigits("true"),
    `}
for (let row = columns; row < columns + 16 * (n - 1); row += 32) {
const f0 = v128.load(FP51_QUOTIENT);
const f1 = v128.load(FP51_QUOTIENT, 16);
const carry = v128.load(FP51_QUOTIENT, 32);`,
    product("b", "f1", "first"),
    `let c0 = ${add("v128.load(row, 32)", "carry", "bl")};
let c1 = ${add("v128.load(row, 48)", "bh")};
let c2: v128;
let to = row + 32;
let digit = scaled + 16;`,
    // Columns 2 and 3 of the block are the next to be cleared.
    range(2).map((s) => step(s, { digits: "digit", from: "to", to: "to", retired: `u${s}` })),
    // In the last block the last row is still to come.
    nextDigits("row < columns + 16 * (n - 3)"),
    range(UNROLL - 2).map((s) => step(s + 2, { digits: "digit", from: "to", to: "to" })),
    turn(UNROLL),
    `digit += ${16 * UNROLL};
to += ${16 * UNROLL};`,
    loop({ digits: "digit", from: "to", to: "to", end: "end" }),
    `v128.store(to, c0);
v128.store(to, c1, 16);
}
// The last row makes the result a multiple of 2^(51 n) with the moduli themselves.
let column = columns + 16 * (n - 1);
let u = v128.load(column);
const t = ${digitOf("u")};
const factor = v128.load(end);`,
    product("q", "t", "factor"),
    `const m = f64x2.sub(ql, v128.load(FP51, UNIT));
let digit = modulus;
let d = v128.load(digit);`,
    product("p", "m", "d"),
    `u = i64x2.add(u, pl);
if (!ASC_NO_ASSERT) assertColumns(u);
let below = i64x2.shr_u(u, 51);
let above = ph;
const digits = v128.load(FP51, DIGIT);
const exponent = v128.load(FP51, EXPONENT);
const centre = v128.load(FP51, CENTRE_CARRIED);
while (true) {
column += 16;
digit += 16;
u = i64x2.add(v128.load(column), above);
if (digit === scaled) break;
d = v128.load(digit);
const h = f64x2.relaxed_madd(m, d, high);
u = i64x2.add(u, f64x2.relaxed_madd(m, d, f64x2.sub(low, h)));
if (!ASC_NO_ASSERT) assertColumns(u);
above = h;
v128.store(out, f64x2.sub(v128.or(i64x2.add(v128.and(u, digits), below), exponent), centre));
below = i64x2.shr_u(u, 51);
out += 16;
}
v128.store(out, f64x2.sub(v128.or(i64x2.add(v128.and(u, digits), below), exponent), centre));
}
`,
  );
}

export function rsaFp51() {
  return lines(
    fileHead(HEAD),
    importing(
      ["CENTRE", "CENTRE_CARRIED", "DIGIT", "EXPONENT", "FP51", "HIGH", "LOW", "UNIT"],
      "../fp51-constants",
    ),
    importing(["assertColumns"], "../fp51-bounds"),
    importing(["FP51_QUOTIENT"], "../memory"),
    multiply(),
    square(),
    reduce(),
    selectEntry({ name: "fp51Select", first: UNROLL + 1, next: UNROLL }),
  );
}
