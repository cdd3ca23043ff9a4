/**
 * Writes point arithmetic that does two multiplications of one point operation at once, in the two lanes of a pair. A point
 * is a pair (X, Y) and a pair (Z, Z) behind it; an affine point is a pair (x, y). docs/ecc-kernels.md derives the bounds.
 */

import { fileHead, range } from "./emit.mjs";

const LIMBS = range(6);

const load = (name, i) => (i === 0 ? `v128.load(${name})` : `v128.load(${name}, ${16 * i})`);
const store = (name, i, value) =>
  i === 0 ? `v128.store(${name}, ${value});` : `v128.store(${name}, ${value}, ${16 * i});`;

// (a₀, b₀), (a₁, b₁), (a₀, b₁), (a₁, b₀).
const both = (name, lane, i) => `v128.load64_splat(${name}, ${16 * i + 8 * lane})`;
const lower = (a, b) => `i64x2.shuffle(${a}, ${b}, 0, 2)`;
const upper = (a, b) => `i64x2.shuffle(${a}, ${b}, 1, 3)`;
const straight = (a, b) => `i64x2.shuffle(${a}, ${b}, 0, 3)`;
const crossed = (a, b) => `i64x2.shuffle(${a}, ${b}, 1, 2)`;
const swap = (a) => crossed(a, a);
const add = (a, b) => `f64x2.add(${a}, ${b})`;
const sub = (a, b) => `f64x2.sub(${a}, ${b})`;

/** Writes the lines that `make` gives for every limb, each in a block of its own so that few values live at a time. */
const each = (make) =>
  LIMBS.map(
    (i) =>
      `  {\n${make(i)
        .map((line) => `    ${line}\n`)
        .join("")}  }`,
  ).join("\n");

const let_ = (name, value) => `const ${name}: v128 = ${value};`;

const COMPARE = `
/**
 * Begins the addition of an affine point: P2 ← (H, R), P3 ← (y Z³, Z H), which are H = x Z² - X and R = y Z³ - Y.
 *
 * @param a a point, secret
 * @param b an affine point, secret
 *
 * Works in P0, P1. Time: constant.
 */
export function comparePair<C>(a: usize, b: usize): void {
  squarePair<C>(P1, a + ZZ);
${each((i) => [store("P0", i, straight(load("b", i), load("a + ZZ", i)))])}
  multiplyPair<C>(P0, P0, P1);
${each((i) => [
  let_("t", load("P0", i)),
  let_("difference", sub("t", load("a", i))),
  store("P1", i, crossed("t", load("a + ZZ", i))),
  store("P2", i, crossed(load("b", i), "difference")),
])}
  multiplyPair<C>(P3, P2, P1);
${each((i) => [
  let_("difference", sub(both("P3", 0, i), load("a", i))),
  store("P2", i, upper(load("P2", i), "difference")),
])}
}`;

const FINISH = `
/**
 * Finishes the addition of two points that differ in x from P2 and P3. Works in P0, P1, P4.
 *
 * @param out a point; may be a
 * @param eight whether X, Y, x and y stand eight times as high as Z does (P-256 alone), public
 *
 * Time: depends on \`eight\` alone.
 */
export function finishPair<C>(out: usize, a: usize, eight: bool): void {
  const factor: v128 = v128.load(PAIR_CONSTANTS + (eight ? EIGHT : ONE));
  squarePair<C>(P1, P2);
${each((i) => [
  store("P0", i, lower(load("a", i), load("P2", i))),
  store("P4", i, both("P1", 0, i)),
  store("out + ZZ", i, both("P3", 1, i)),
])}
  multiplyPair<C>(P0, P0, P4);
${each((i) => [
  let_("v", load("P0", i)),
  let_("rest", add(swap("v"), add("v", "v"))),
  let_("square", swap(load("P1", i))),
  store(
    "P4",
    i,
    `sizeof<C>() === 4 ? ${sub("f64x2.mul(square, factor)", "rest")} : ${sub("square", "rest")}`,
  ),
])}
  if (sizeof<C>() === 4 && eight) carryPair<C>(P4);
${each((i) => [
  let_("v", load("P0", i)),
  store("P1", i, straight(sub("v", load("P4", i)), "v")),
  store("P2", i, upper(load("P2", i), load("a", i))),
])}
  multiplyPair<C>(P1, P1, P2);
${each((i) => [store("out", i, straight(load("P4", i), sub(both("P1", 0, i), load("P1", i))))])}
}`;

const DOUBLE = `
/**
 * Doubles: out ← 2a. Time: constant. Source: Hankerson, Menezes and Vanstone, algorithm 3.21, without the halving.
 *
 * @param out a point; may be a
 * @param a a point, secret
 *
 * Works in P0 to P4.
 */
export function doublePair<C>(out: usize, a: usize): void {
  const three: v128 = v128.load(PAIR_CONSTANTS, THREE);
  const eight: v128 = v128.load(PAIR_CONSTANTS, EIGHT);
  if (sizeof<C>() === 4) {
    // (Z², Y²), then ((X - Z²)(X + Z²), X Y²).
${each((i) => [store("P0", i, straight(load("a + ZZ", i), load("a", i)))])}
    squarePair<C>(P0, P0);
${each((i) => [
  let_("t", load("P0", i)),
  let_("point", load("a", i)),
  store("P1", i, straight(sub("point", "t"), both("a", 0, i))),
  store("P2", i, straight(add("point", "t"), "t")),
])}
    multiplyPair<C>(P1, P1, P2);
  } else {
    // (X², Y²), then (Y Z, X Y²).
    squarePair<C>(P0, a);
${each((i) => [
  let_("point", load("a", i)),
  store("P1", i, swap("point")),
  store("P2", i, straight(load("a + ZZ", i), load("P0", i))),
])}
    multiplyPair<C>(P1, P1, P2);
  }
  // P1 holds X Y² in its upper lane. With the slope M: P2 ← (M, Y²), P3 ← (M², Y⁴).
${each((i) => [
  let_("slope", `f64x2.mul(three, ${load(`(sizeof<C>() === 4 ? P1 : P0)`, i)})`),
  store("P2", i, straight("slope", load("P0", i))),
])}
  squarePair<C>(P3, P2);
${each((i) => [
  let_("product", swap(load("P1", i))),
  let_("x", sub(load("P3", i), "f64x2.mul(product, eight)")),
  let_("point", load("a", i)),
  store("P0", i, "x"),
  // (M, Y) times (4 X Y² - X₃, Z); secp256k1 has Y Z already.
  store("P2", i, straight(load("P2", i), "point")),
  store(
    "P4",
    i,
    straight(sub(`f64x2.mul(product, v128.load(PAIR_CONSTANTS, FOUR))`, "x"), load("a + ZZ", i)),
  ),
])}
  multiplyPair<C>(P4, P2, P4);
${each((i) => [
  let_("y", sub(both("P4", 0, i), `f64x2.mul(${load("P3", i)}, eight)`)),
  let_("z", `sizeof<C>() === 4 ? ${both("P4", 1, i)} : ${both("P1", 0, i)}`),
  store("out", i, straight(load("P0", i), "y")),
  store("out + ZZ", i, add("z", "z")),
])}
}`;

const UNPACK = `
/** Reads limbs from four words of each lane: out ← a pair with limbs below 2^43. Time: constant. */
export function unpackPair(out: usize, a: usize, b: usize): void {
  const mask: v128 = i64x2.splat(0x7ffffffffff);
  const exponent: v128 = i64x2.splat(0x4330000000000000);
${[0, 1, 2, 3]
  .map((i) => `  const w${i}: v128 = v128.load64_lane(b, v128.load64_zero(a, ${8 * i}), 1, ${8 * i});`)
  .join("\n")}
${LIMBS.map((i) => {
  const start = 43 * i;
  const word = start >> 6;
  const shift = start & 63;
  let value = shift === 0 ? `w${word}` : `i64x2.shr_u(w${word}, ${shift})`;
  if (shift + 43 > 64 && word < 3) value = `v128.or(${value}, i64x2.shl(w${word + 1}, ${64 - shift}))`;
  return `  ${store("out", i, `f64x2.sub(v128.or(v128.and(${value}, mask), exponent), exponent)`)}`;
}).join("\n")}
}`;

/** Returns the text of the file. */
export function pairPointFile() {
  return `${fileHead("Point arithmetic on the two lanes of pairs, and the reading of pairs.")}
import { carryPair, multiplyPair, squarePair } from "../pair";
import { EIGHT, FOUR, ONE, PAIR_CONSTANTS, THREE } from "../pair-constants";
import { P0, P1, P2, P3, P4, ZZ } from "../pair-state";
${COMPARE}
${FINISH}
${DOUBLE}
${UNPACK}
`;
}
