/**
 * Writes the field arithmetic that works on two elements at once: six limbs of 43 bits in doubles, one element in each
 * lane, products split by fused multiplication and addition. docs/ecc-kernels.md derives the bounds.
 */

import { fileHead, range } from "./emit.mjs";

const LIMBS = 6;

const at = (name, i) => (i === 0 ? `v128.load(${name})` : `v128.load(${name}, ${16 * i})`);
const storeAt = (i, value) => `  v128.store(out, ${value}${i === 0 ? "" : `, ${16 * i}`});`;
const madd = (a, b, c) => `f64x2.relaxed_madd(${a}, ${b}, ${c})`;

const constant = (name) => `v128.load(PAIR_CONSTANTS, ${name})`;

const pairs = (k) => range(LIMBS).filter((i) => k - i >= 0 && k - i < LIMBS);
const productTerms = (k) => pairs(k).map((i) => [`a${i}`, `b${k - i}`]);
const squareTerms = (k) =>
  pairs(k)
    .filter((i) => i <= k - i)
    .map((i) => (i === k - i ? [`a${i}`, `a${i}`] : [`a${i}`, `d${k - i}`]));

/**
 * Adds products to a column: `h` takes their upper parts and `l` what is left.
 *
 * @param h name or value to start with, and l; undefined l starts with the first product
 */
function addTerms(lines, k, terms, start) {
  let [h, l] = start;
  for (const [n, [x, y]] of terms.entries()) {
    const g = `h${k}_${start[2] ?? ""}${n}`;
    const rest = madd(x, y, `f64x2.sub(${h}, ${g})`);
    lines.push(`  const ${g}: v128 = ${madd(x, y, h)};`);
    const next = `l${k}_${start[2] ?? ""}${n}`;
    lines.push(`  const ${next}: v128 = ${l === undefined ? rest : `f64x2.add(${l}, ${rest})`};`);
    h = g;
    l = next;
  }
  return [h, l];
}

const foldSecp256k1 = (i, value) => (i === 0 ? madd("q", constant("FOLD_256"), value) : value);

/** 2^256 is 2^224 - 2^192 - 2^96 + 1. */
const foldP256 = (i, value) => {
  if (i === 0) return `f64x2.add(${value}, q)`;
  const factor = { 2: "DOWN_10", 4: "DOWN_20", 5: "UP_9" }[i];
  return factor === undefined ? value : madd("q", constant(factor), value);
};

/** Brings the digits r0 to r5 to at most 2^42 and a little in magnitude, folds what is above 2^256, and stores them. */
function finish(lines, fold) {
  for (const i of range(LIMBS)) {
    const magic = i === 5 ? "top" : "base";
    lines.push(`  const t${i}: v128 = f64x2.sub(f64x2.add(r${i}, ${magic}), ${magic});`);
  }
  lines.push("  const q: v128 = f64x2.mul(t5, v128.load(PAIR_CONSTANTS, DOWN_41));");
  for (const i of range(LIMBS)) {
    const kept = `f64x2.sub(r${i}, t${i})`;
    const carried = i === 0 ? kept : madd(`t${i - 1}`, "down", kept);
    lines.push(storeAt(i, fold(i, carried)));
  }
}

/** p = 2^256 - 2^32 - 977: 2^258 is 2^34 + 3908, and 2^256 a quarter of that. */
function secp256k1(terms) {
  const lines = [`  const fold: v128 = ${constant("FOLD")};`];
  const column = {};
  for (let k = 5; k <= 10; k++) column[k] = addTerms(lines, k, terms(k), ["base", "low"]);
  for (let k = 6; k <= 11; k++) {
    const l = k === 11 ? "low" : column[k][1];
    lines.push(`  ${k === 6 ? "let" : "const"} c${k}: v128 = ${madd(column[k - 1][0], "down", l)};`);
  }
  // The fifth column's upper part is in c6; what c11 adds to it starts anew, and is folded with c6.
  column[5] = addTerms(lines, 5, [["c11", "fold"]], ["base", column[5][1], "f"]);
  lines.push(`  c6 = f64x2.add(c6, ${madd(column[5][0], "down", "low")});`);
  for (let k = 0; k <= 4; k++) {
    const all = [...terms(k), [`c${k + 6}`, "fold"]];
    column[k] = addTerms(lines, k, all, ["base", k === 0 ? undefined : "low"]);
  }
  for (let k = 0; k <= 5; k++) {
    const sum = k === 0 ? column[0][1] : madd(column[k - 1][0], "down", column[k][1]);
    lines.push(`  const r${k}: v128 = ${sum};`);
  }
  finish(lines, foldSecp256k1);
  return lines.join("\n");
}

/** p = 2^256 - 2^224 + 2^192 + 2^96 - 1, Montgomery's reduction: a whole column is its own quotient. */
function p256(terms) {
  const lines = ["UP_10", "UP_20", "UP_41"].map(
    (name) => `  const ${name.toLowerCase().replace("_", "")}: v128 = ${constant(name)};`,
  );
  let above;
  for (let k = 0; k <= 11; k++) {
    const all = k < 11 ? terms(k) : [];
    const add = (digit, factor) => {
      if (digit >= 0 && digit < LIMBS && k < 11) all.push([`m${digit}`, factor]);
    };
    add(k - 5, "up41");
    add(k - 4, "up20");
    add(k - 2, "up10");
    const [h, l] = addTerms(lines, k, all, ["base", k === 0 ? undefined : "low"]);
    const name = k < LIMBS ? `m${k}` : `r${k - LIMBS}`;
    lines.push(`  const ${name}: v128 = ${k === 0 ? l : madd(above, "down", l)};`);
    above = h;
  }
  finish(lines, foldP256);
  return lines.join("\n");
}

const FIELDS = {
  p256: { body: p256, fold: foldP256, title: "P-256", what: "a · b · 2^-258" },
  secp256k1: { body: secp256k1, fold: foldSecp256k1, title: "secp256k1", what: "a · b" },
};

function carryBody(fold) {
  const lines = range(LIMBS).map((i) => `  const r${i}: v128 = ${at("out", i)};`);
  finish(lines, fold);
  return lines.join("\n");
}

const loads = (name) =>
  range(LIMBS)
    .map((i) => `  const ${name}${i}: v128 = ${at(name, i)};`)
    .join("\n");

const doubles = range(LIMBS)
  .slice(1)
  .map((i) => `  const d${i}: v128 = f64x2.add(a${i}, a${i});`)
  .join("\n");

const head = `  const base: v128 = ${constant("BASE")};
  const low: v128 = ${constant("LOW")};
  const top: v128 = ${constant("TOP")};
  const down: v128 = ${constant("DOWN_43")};`;

/** Returns the text of one field. */
export function pairFile(name) {
  const { body, fold, title, what } = FIELDS[name];
  const names = [
    "BASE",
    "DOWN_41",
    "DOWN_43",
    "LOW",
    "PAIR_CONSTANTS",
    "TOP",
    ...(name === "p256" ? ["DOWN_10", "DOWN_20", "UP_10", "UP_20", "UP_41", "UP_9"] : ["FOLD", "FOLD_256"]),
  ].sort();
  return `${fileHead(`Arithmetic modulo the prime of ${title} on two elements at once: six limbs of 43 bits, in doubles.`)}
import { assertPairProduct } from "../../ecdsa/pair-bounds";
import {
${names.map((each) => `  ${each},\n`).join("")}} from "../../ecdsa/pair-constants";

/**
 * Multiplies in both lanes: out ← ${what}, reduced.
 *
 * @param out one pair; may overlap a and b
 * @param a one pair, secret
 * @param b one pair, secret; no product of a limb of each is above 2^91
 *
 * Time: constant. Source: docs/ecc-kernels.md.
 */
export function multiplyPair(out: usize, a: usize, b: usize): void {
  if (!ASC_NO_ASSERT) assertPairProduct(a, b);
${loads("a")}
${loads("b")}
${head}
${body(productTerms)}
}

/** Squares in both lanes: out ← ${what.replace("b", "a")}, reduced. The arguments are those of \`multiplyPair\`. Time: constant. */
export function squarePair(out: usize, a: usize): void {
  if (!ASC_NO_ASSERT) assertPairProduct(a, a);
${loads("a")}
${doubles}
${head}
${body(squareTerms)}
}

/** Reduces limbs below 2^51 in magnitude: out ← out. Time: constant. */
export function carryPair(out: usize): void {
  const base: v128 = ${constant("BASE")};
  const top: v128 = ${constant("TOP")};
  const down: v128 = ${constant("DOWN_43")};
${carryBody(fold)}
}
`;
}
