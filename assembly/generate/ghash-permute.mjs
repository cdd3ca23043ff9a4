/** Writes aes-gcm/generated/ghash-permute.ts: GHASH by nibble tables held in vectors. */

import {
  and,
  fileHead,
  importing,
  load,
  pick,
  range,
  shuffle,
  store,
  swizzle,
  unpack,
  xor,
} from "./emit.mjs";

const HEAD = `
GHASH (SP 800-38D, 6.4) by nibble tables. For a fixed power P of the hash key and a byte b, b · P is reduced to 16 bytes;
byte o of it is the sum of two entries of sixteen, chosen by the nibbles of b: two vectors a byte o, 512 bytes a power.
One swizzle looks up all 16 bytes of a block, so lane i of accumulator o collects what lands in byte i + o of the product.
Up to 8 blocks share the accumulators, each with its own power, before one shift and reduction.
`;

const lines = (...parts) => parts.flat(9).join("\n");

/** Sums what the accumulators hold at their places: shifts by 8, 4, 2 and 1 bytes, halving their number each time. */
function gather() {
  const out = [];
  const up = (value, count) =>
    shuffle(
      "zero",
      value,
      range(16).map((i) => 16 - count + i),
    );
  const down = (value, count) =>
    shuffle(
      value,
      "zero",
      range(16).map((i) => 16 - count + i),
    );
  const carry = (low, high, count) =>
    shuffle(
      low,
      high,
      range(16).map((i) => 16 - count + i),
    );
  for (const o of range(8)) {
    out.push(`const l8${o} = ${xor(`a${o}`, up(`a${o + 8}`, 8))};`);
    out.push(`const h8${o} = ${down(`a${o + 8}`, 8)};`);
  }
  for (const [from, to] of [
    [8, 4],
    [4, 2],
    [2, 1],
  ]) {
    for (const o of range(to)) {
      out.push(`const l${to}${o} = ${xor(`l${from}${o}`, up(`l${from}${o + to}`, to))};`);
      out.push(
        `const h${to}${o} = ${xor(`h${from}${o}`, carry(`l${from}${o + to}`, `h${from}${o + to}`, to))};`,
      );
    }
  }
  return out;
}

/** Folds the bytes from 16 on back: x^128 is 1 + x + x^2 + x^7, and 15 bytes times that fit in 16. */
export function fold(result, low, high) {
  return [
    `const foldLow = ${and(high, "nibble")};`,
    `const foldHigh = ${and(`i16x8.shr_u(${high}, 4)`, "nibble")};`,
    `const foldNext = ${xor(swizzle("v128.load(TABLES, FOLD_NEXT_LOW)", "foldLow"), swizzle("v128.load(TABLES, FOLD_NEXT_HIGH)", "foldHigh"))};`,
    `const foldSame = ${xor(swizzle("v128.load(TABLES, FOLD_LOW)", "foldLow"), swizzle("v128.load(TABLES, FOLD_HIGH)", "foldHigh"))};`,
    `const ${result} = ${xor(
      xor(low, "foldSame"),
      shuffle(
        "zero",
        "foldNext",
        range(16).map((i) => 15 + i),
      ),
    )};`,
  ];
}

/** Adds one block into accumulators first..first+count-1. */
function accumulate(p, x, first, count) {
  return [
    `const ${p}low = ${and(x, "nibble")};`,
    `const ${p}high = ${and(`i16x8.shr_u(${x}, 4)`, "nibble")};`,
    range(count).map((n) => {
      const o = first + n;
      const sum = xor(
        swizzle(load("table", 32 * o), `${p}high`),
        swizzle(load("table", 32 * o + 16), `${p}low`),
      );
      return [
        `a${o} = ${xor(`a${o}`, sum)};`,
        // Keeps old V8 from hoisting all loads to the top of the loop and spilling them.
        `if (!ASC_FEATURE_RELAXED_SIMD) ${store("AES_GCM_FENCE", `a${o}`)}`,
      ];
    }),
  ];
}

const pass = (first, count) => [
  range(count).map((n) => `let a${first + n} = zero;`),
  `{
let table: usize = firstTable + 512;
for (let block: usize = blocks + 16; block < end; block += 16) {`,
  `const x = v128.load(block);`,
  accumulate("m", "x", first, count),
  `table += 512;
}
table = firstTable;`,
  accumulate("d", "dependent", first, count),
  "}",
];

/** Accumulators in one pass over the blocks: as many as fit in registers beside the indices. */
const PASS_WIDTH = 8;

function absorb() {
  return lines(
    `/**
 * Absorbs 1 to 8 blocks: accumulator ← (accumulator + block 0) · H^count + block 1 · H^(count − 1) + … .
 *
 * @param accumulator 16 bytes in GCM order, secret; in and out; must not overlap the others
 * @param tables 4096 bytes: the tables of H^8, H^7, … H^1, secret
 * @param blocks 16 · count bytes, may be secret; only read
 * @param count 1..=8, public
 *
 * Leaves secrets in AES_GCM_FENCE, which the callers wipe with the state.
 *
 * Time: depends on count alone. Source: SP 800-38D, 6.4.
 */
export function absorbUpToEight(accumulator: usize, tables: usize, blocks: usize, count: u32): void {
const zero = i64x2(0, 0);
const nibble = v128.load(TABLES, NIBBLE);
const end: usize = blocks + 16 * <usize>count;
const firstTable: usize = tables + 512 * <usize>(8 - count);
const dependent = ${xor("v128.load(blocks)", "v128.load(accumulator)")};`,
    range(16 / PASS_WIDTH).map((n) => pass(n * PASS_WIDTH, PASS_WIDTH)),
    gather(),
    fold("result", "l10", "h10"),
    "v128.store(accumulator, result);",
    "}\n",
  );
}

/** Transposes a 16 by 16 matrix of bytes held in vectors: four perfect shuffles. */
function transpose(p) {
  const out = [];
  let names = range(16).map((n) => `${p}${n}`);
  for (const step of range(4)) {
    const next = range(16).map((n) => `${p}t${step}x${n}`);
    for (const n of range(8)) {
      out.push(`const ${next[2 * n]} = ${unpack("low", names[n], names[n + 8], 1)};`);
      out.push(`const ${next[2 * n + 1]} = ${unpack("high", names[n], names[n + 8], 1)};`);
    }
    names = next;
  }
  return { out, names };
}

function buildTable() {
  const reverse = range(16).map((i) => 15 - i);
  const half = (side, first) => {
    const combos = range(16).map((n) => {
      const bits = range(4).filter((j) => (n >> (3 - j)) & 1);
      if (bits.length === 0) return `const ${side}0 = zero;`;
      // All but the highest set bit were summed before.
      const rest = n & (n - 1);
      const lowest = 3 - Math.log2(n & -n);
      const term = `x${first + lowest}`;
      return `const ${side}${n} = ${rest === 0 ? term : xor(`${side}${rest}`, term)};`;
    });
    const { out, names } = transpose(side);
    return [combos, out, names.map((name, o) => store("table", name, 32 * o + (side === "high" ? 0 : 16)))];
  };
  return lines(
    `/**
 * Builds the tables of one power.
 *
 * @param table 512 bytes, out; must not overlap power
 * @param power 16 bytes in GCM order, secret
 *
 * Time: constant.
 */
export function buildPowerTable(table: usize, power: usize): void {
const zero = i64x2(0, 0);
let high: u64 = bswap<u64>(load<u64>(power));
let low: u64 = bswap<u64>(load<u64>(power, 8));`,
    range(8).map((bit) => [
      `const w${bit} = i64x2.replace_lane(i64x2.splat(low), 1, high);`,
      `const x${bit} = ${pick(`w${bit}`, reverse)};`,
      bit === 7
        ? []
        : [
            `const carry${bit}: u64 = 0 - (low & 1);`,
            "low = (low >> 1) | (high << 63);",
            `high = (high >> 1) ^ (0xe100000000000000 & carry${bit});`,
          ],
    ]),
    half("high", 0),
    half("low", 4),
    "}\n",
  );
}

export function ghashPermute() {
  return lines(
    fileHead(HEAD),
    importing(["AES_GCM_FENCE"], "../../memory"),
    importing(["swizzle"], "../swizzle"),
    importing(["FOLD_HIGH", "FOLD_LOW", "FOLD_NEXT_HIGH", "FOLD_NEXT_LOW", "NIBBLE", "TABLES"], "./tables"),
    absorb(),
    buildTable(),
  );
}
