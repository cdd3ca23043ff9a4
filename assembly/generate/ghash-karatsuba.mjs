/** Writes aes-gcm/generated/ghash-karatsuba.ts: GHASH of eight streams at once by two levels of Karatsuba. */

import { and, fileHead, importing, load, pick, range, store, swizzle, unpack, xor } from "./emit.mjs";

const HEAD = `
GHASH (SP 800-38D, 6.4) of eight streams at once. A vector holds the same dword of four blocks, one a stream, so that all
lanes share a power of the hash key, and two such vectors share the loads of its tables; two levels of Karatsuba leave 9 products of dwords instead of 16. Each product is a sum
of nibble lookups as in ghash-permute.ts, with 5 result bytes: 10 tables of 16 bytes, 160 bytes a product, 1440 a power.
Streams are summed over many blocks before they are shifted, combined and reduced once.
`;

/** The dwords whose sum is each factor. */
const FACTORS = [[0], [1], [0, 1], [2], [3], [2, 3], [0, 2], [1, 3], [0, 1, 2, 3]];

const lines = (...parts) => parts.flat(9).join("\n");

/** Sums of dwords, each from two sums before it. */
const sums = (name) => [
  `const ${name}01 = ${xor(`${name}0`, `${name}1`)};`,
  `const ${name}23 = ${xor(`${name}2`, `${name}3`)};`,
  `const ${name}02 = ${xor(`${name}0`, `${name}2`)};`,
  `const ${name}13 = ${xor(`${name}1`, `${name}3`)};`,
  `const ${name}0123 = ${xor(`${name}01`, `${name}23`)};`,
];

/** Transposes a 4 by 4 matrix of dwords. */
const transpose = (from, to) => [
  `const ${to}a = ${unpack("low", `${from}0`, `${from}1`, 4)};`,
  `const ${to}b = ${unpack("low", `${from}2`, `${from}3`, 4)};`,
  `const ${to}c = ${unpack("high", `${from}0`, `${from}1`, 4)};`,
  `const ${to}d = ${unpack("high", `${from}2`, `${from}3`, 4)};`,
  `const ${to}0 = ${unpack("low", `${to}a`, `${to}b`, 8)};`,
  `const ${to}1 = ${unpack("high", `${to}a`, `${to}b`, 8)};`,
  `const ${to}2 = ${unpack("low", `${to}c`, `${to}d`, 8)};`,
  `const ${to}3 = ${unpack("high", `${to}c`, `${to}d`, 8)};`,
];

function prepare() {
  return lines(
    `/**
 * Lays out one block of each stream as the nine factors of Karatsuba.
 *
 * @param factors 144 bytes, out, secret
 * @param block0 16 bytes of stream 0, may be secret; block1 to block3 alike
 * @param lanes 64 bytes to add to the blocks, secret; or 0 for none
 *
 * Time: depends on whether lanes is 0, which is public.
 */
export function layOutLanes(
factors: usize, block0: usize, block1: usize, block2: usize, block3: usize, lanes: usize,
): void {`,
    range(4).map((l) => `let b${l} = v128.load(block${l});`),
    "if (lanes !== 0) {",
    range(4).map((l) => `b${l} = ${xor(`b${l}`, load("lanes", 16 * l))};`),
    "}",
    transpose("b", "x"),
    sums("x"),
    FACTORS.map((factor, p) => store("factors", `x${factor.join("")}`, 16 * p)),
    "}\n",
  );
}

/** Sums for each factor over the powers, for both sets of streams. */
function sumProducts() {
  const sets = ["a", "b"];
  return [
    `for (let p: usize = 0; p < 9; ++p) {`,
    sets.map((name) => range(5).map((o) => `let ${name}${o} = i64x2(0, 0);`)),
    `let factor: usize = factors + 16 * p;
for (let power: usize = powers; power < end; power += 4) {
const table: usize = <usize>load<u32>(power) + 160 * p;`,
    sets.map((name, set) => [
      `const ${name}x = ${load("factor", 144 * set)};`,
      `const ${name}low = ${and(`${name}x`, "nibble")};`,
      `const ${name}high = ${and(`i16x8.shr_u(${name}x, 4)`, "nibble")};`,
    ]),
    range(5).map((o) => [
      ["high", "low"].map((nibble, half) => [
        `const ${nibble}${o} = ${load("table", 32 * o + 16 * half)};`,
        sets.map(
          (name) => `${name}${o} = ${xor(`${name}${o}`, swizzle(`${nibble}${o}`, `${name}${nibble}`))};`,
        ),
      ]),
      // Keep old V8 from hoisting all loads to the top of the loop and spilling them.
      sets.map((name, set) => `if (!ASC_FEATURE_RELAXED_SIMD) ${store("sum", `${name}${o}`, 288 * set)}`),
    ]),
    `factor += 288;
}`,
    sets.map((a, set) => [
      store(
        "sum",
        xor(xor(`${a}0`, `i32x4.shl(${a}1, 8)`), xor(`i32x4.shl(${a}2, 16)`, `i32x4.shl(${a}3, 24)`)),
        288 * set,
      ),
      store(
        "sum",
        xor(xor(`${a}4`, `i32x4.shr_u(${a}1, 24)`), xor(`i32x4.shr_u(${a}2, 16)`, `i32x4.shr_u(${a}3, 8)`)),
        288 * set + 16,
      ),
    ]),
    `sum += 32;
}`,
  ];
}

function absorb() {
  const product = (p, half) => `p${p}${half}`;
  const threeProducts = (name, first) => {
    const [a, b, c] = [first, first + 1, first + 2];
    return [
      `const ${name}0 = ${product(a, "low")};`,
      `const ${name}1 = ${xor(xor(product(a, "high"), product(c, "low")), xor(product(a, "low"), product(b, "low")))};`,
      `const ${name}2 = ${xor(xor(product(b, "low"), product(c, "high")), xor(product(a, "high"), product(b, "high")))};`,
      `const ${name}3 = ${product(b, "high")};`,
    ];
  };
  return lines(
    `/**
 * Multiplies and sums: for each stream, lanes ← block 0 · P0 + block 1 · P1 + … , with the powers that \`powers\` lists.
 *
 * @param lanes 128 bytes, out, secret: a block in GCM order for each stream
 * @param scratch 576 bytes, out, secret
 * @param factors 288 · count bytes, secret: for each power two layouts of \`layOutLanes\`, streams 0 to 3 and 4 to 7
 * @param powers addresses of the tables of count powers, each from \`buildLaneTable\`, 4 bytes each, public
 * @param count 1..=8, public
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.4; Karatsuba and Ofman.
 */
export function absorbLanes(lanes: usize, scratch: usize, factors: usize, powers: usize, count: u32): void {
const nibble = v128.load(TABLES, NIBBLE);
const end: usize = powers + 4 * <usize>count;
let sum: usize = scratch;`,
    sumProducts(),
    `reduceLanes(lanes, scratch);
reduceLanes(lanes + 64, scratch + 288);
}

/**
 * Combines the nine products of four streams and reduces.
 *
 * @param lanes 64 bytes, out, secret: a block in GCM order for each stream
 * @param scratch 288 bytes: two dwords a product and stream, secret
 *
 * Time: constant.
 */
function reduceLanes(lanes: usize, scratch: usize): void {
const nibble = v128.load(TABLES, NIBBLE);`,
    range(9).map((p) => [
      `const p${p}low = ${load("scratch", 32 * p)};`,
      `const p${p}high = ${load("scratch", 32 * p + 16)};`,
    ]),
    threeProducts("l", 0),
    threeProducts("h", 3),
    threeProducts("m", 6),
    range(4).map((d) => `const c${d} = ${xor(`m${d}`, xor(`l${d}`, `h${d}`))};`),
    // Dwords 4 to 7 of the products fold back: x^128 is 1 + x + x^2 + x^7.
    [
      ["u4", xor("h0", "c2")],
      ["u5", xor("h1", "c3")],
      ["u6", "h2"],
      ["u7", "h3"],
    ].map(([name, value]) => [
      `const ${name} = ${value};`,
      `const ${name}low = ${and(name, "nibble")};`,
      `const ${name}high = ${and(`i16x8.shr_u(${name}, 4)`, "nibble")};`,
      `const ${name}same = ${xor(swizzle("v128.load(TABLES, FOLD_LOW)", `${name}low`), swizzle("v128.load(TABLES, FOLD_HIGH)", `${name}high`))};`,
      `const ${name}next = ${xor(swizzle("v128.load(TABLES, FOLD_NEXT_LOW)", `${name}low`), swizzle("v128.load(TABLES, FOLD_NEXT_HIGH)", `${name}high`))};`,
    ]),
    // Seven bits leave the last dword and fold once more, into the first two bytes.
    `const over = i32x4.shr_u(u7next, 24);
const overLow = ${and("over", "nibble")};
const overHigh = i32x4.shr_u(over, 4);
const overSame = ${xor(swizzle("v128.load(TABLES, FOLD_LOW)", "overLow"), swizzle("v128.load(TABLES, FOLD_HIGH)", "overHigh"))};
const overNext = ${xor(swizzle("v128.load(TABLES, FOLD_NEXT_LOW)", "overLow"), swizzle("v128.load(TABLES, FOLD_NEXT_HIGH)", "overHigh"))};`,
    `const r0 = ${xor(xor("l0", "u4same"), xor("i32x4.shl(u4next, 8)", xor("overSame", "i32x4.shl(overNext, 8)")))};`,
    `const r1 = ${xor(xor("l1", "u5same"), xor("i32x4.shl(u5next, 8)", "i32x4.shr_u(u4next, 24)"))};`,
    `const r2 = ${xor(xor(xor("l2", "c0"), "u6same"), xor("i32x4.shl(u6next, 8)", "i32x4.shr_u(u5next, 24)"))};`,
    `const r3 = ${xor(xor(xor("l3", "c1"), "u7same"), xor("i32x4.shl(u7next, 8)", "i32x4.shr_u(u6next, 24)"))};`,
    transpose("r", "y"),
    range(4).map((l) => store("lanes", `y${l}`, 16 * l)),
    "}\n",
  );
}

function build() {
  const lanesWith = (j) =>
    range(16)
      .map((n) => ((n >> (3 - j)) & 1 ? -1 : 0))
      .join(", ");
  return lines(
    `/**
 * Builds the tables of one power.
 *
 * @param table 1440 bytes, out; must not overlap power
 * @param power 16 bytes in GCM order, secret
 *
 * Time: constant.
 */
export function buildLaneTable(table: usize, power: usize): void {`,
    range(4).map((d) => `const h${d}: u32 = load<u32>(power, ${4 * d});`),
    `const h01: u32 = h0 ^ h1;
const h23: u32 = h2 ^ h3;`,
    FACTORS.map((factor, p) => {
      const name = {
        "02": "h0 ^ h2",
        13: "h1 ^ h3",
        "0123": "h01 ^ h23",
      }[factor.join("")];
      return `buildFactorTable(table + ${160 * p}, ${name ?? `h${factor.join("")}`});`;
    }),
    `}

/**
 * Builds the ten tables of one factor.
 *
 * @param table 160 bytes, out
 * @param factor four bytes in GCM order, secret
 *
 * Time: constant.
 */
function buildFactorTable(table: usize, factor: u32): void {
const value: u64 = <u64>bswap<u32>(factor) << 32;`,
    range(4).map((j) => `const lanes${j} = i8x16(${lanesWith(j)});`),
    range(8).map((j) => `const x${j} = i64x2.splat(value >> ${j});`),
    range(5).map((o) =>
      [0, 4].map((first) =>
        store(
          "table",
          xor(
            ...range(4).map((j) =>
              and(
                pick(
                  `x${first + j}`,
                  range(16).map(() => 7 - o),
                ),
                `lanes${j}`,
              ),
            ),
          ),
          32 * o + (first === 0 ? 0 : 16),
        ),
      ),
    ),
    "}\n",
  );
}

export function ghashKaratsuba() {
  return lines(
    fileHead(HEAD),
    importing(["swizzle"], "../swizzle"),
    importing(["FOLD_HIGH", "FOLD_LOW", "FOLD_NEXT_HIGH", "FOLD_NEXT_LOW", "NIBBLE", "TABLES"], "./tables"),
    prepare(),
    absorb(),
    build(),
  );
}
