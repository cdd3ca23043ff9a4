/**
 * Writes the field arithmetic of both curves: unrolled over nine limbs of 29 bits, with the reduction that the shape of
 * each prime allows. docs/ecc-kernels.md derives the bounds.
 */

import { fileHead, range } from "./emit.mjs";

const LIMBS = 9;
const BITS = 29n;
const MASK = (1n << BITS) - 1n;

export const P256 = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n;
export const SECP256K1 = (1n << 256n) - (1n << 32n) - 977n;

export const limbsOf = (value) => range(LIMBS).map((i) => (value >> (BITS * BigInt(i))) & MASK);

/** 8p in limbs so large that no limb of a subtrahend exceeds its counterpart. */
function spread(p) {
  const limbs = limbsOf(8n * p);
  limbs[8] = (8n * p) >> (BITS * 8n);
  return limbs.map((limb, i) => limb + (i < 8 ? 1n << 31n : 0n) - (i > 0 ? 4n : 0n));
}

const loadAll = (name) =>
  range(LIMBS)
    .map((i) => `  const ${name}${i}: u64 = load<u64>(${name}${i === 0 ? "" : `, ${8 * i}`});`)
    .join("\n");

const storeAt = (i, value) => `  store<u64>(out, ${value}${i === 0 ? "" : `, ${8 * i}`});`;

const pairs = (k) => range(LIMBS).filter((i) => k - i >= 0 && k - i < LIMBS);

/** The terms of column k of a product, and of a square with its cross products doubled. */
const productColumn = (k) => pairs(k).map((i) => `a${i} * b${k - i}`);
const squareColumn = (k) =>
  pairs(k)
    .filter((i) => i <= k - i)
    .map((i) => (i === k - i ? `a${i} * a${i}` : `a${i} * d${k - i}`));

const doubles = range(LIMBS)
  .slice(1)
  .map((i) => `  const d${i}: u64 = a${i} << 1;`)
  .join("\n");

/** p = 2^256 - 2^224 + 2^192 + 2^96 - 1 in Montgomery form: the quotient digit is the limb, its multiples are shifts. */
function p256Columns(column) {
  const lines = [];
  for (let k = 0; k < 17; k++) {
    const terms = column(k);
    const add = (i, shift) => {
      if (i >= 0 && i < LIMBS) terms.push(`(m${i} << ${shift})`);
    };
    add(k - 3, 9);
    add(k - 6, 18);
    add(k - 8, 24);
    let constant = 0n;
    if (k - 7 >= 0 && k - 7 < LIMBS) constant += 1n << 50n;
    if (k - 8 >= 0) constant -= 1n << 21n;
    if (constant !== 0n) terms.push(constant > 0n ? `${constant}` : `(0 - <u64>${-constant})`);
    if (k > 0) terms.push("carry");
    const minus = k - 7 >= 0 && k - 7 < LIMBS ? ` - (m${k - 7} << 21)` : "";
    lines.push(`  ${k === 0 ? "let column: u64" : "column"} = ${terms.join(" + ")}${minus};`);
    if (k < LIMBS) lines.push(`  const m${k}: u64 = column & LIMB_MASK;`);
    else lines.push(storeAt(k - LIMBS, "column & LIMB_MASK"));
    lines.push(`  ${k === 0 ? "let carry: u64" : "carry"} = column >> 29;`);
  }
  lines.push(storeAt(8, "carry"));
  return lines.join("\n");
}

/** p = 2^256 - 2^32 - 977: the upper digits fold in with 2^261 = 2^37 + 31264, what is above 2^256 with 2^32 + 977. */
function secp256k1Columns(column) {
  const lines = [];
  for (let k = LIMBS; k < 17; k++) {
    const terms = column(k);
    if (k > LIMBS) terms.push("carry");
    lines.push(`  ${k === LIMBS ? "let column: u64" : "column"} = ${terms.join(" + ")};`);
    lines.push(`  const h${k - LIMBS}: u64 = column & LIMB_MASK;`);
    lines.push(`  ${k === LIMBS ? "let carry: u64" : "carry"} = column >> 29;`);
  }
  lines.push("  const h8: u64 = carry;");
  for (let k = 0; k < LIMBS; k++) {
    const terms = [...column(k), `h${k} * 31264`];
    if (k > 0) terms.push(`(h${k - 1} << 8)`, "carry");
    lines.push(`  column = ${terms.join(" + ")};`);
    if (k < 3 || k === 8) lines.push(`  const r${k}: u64 = column & LIMB_MASK;`);
    else lines.push(storeAt(k, "column & LIMB_MASK"));
    lines.push("  carry = column >> 29;");
  }
  lines.push(storeAt(8, "r8 & 0xffffff"));
  lines.push("  const top: u64 = ((carry + (h8 << 8)) << 5) + (r8 >> 24);");
  lines.push("  column = r0 + top * 977;");
  lines.push(storeAt(0, "column & LIMB_MASK"));
  lines.push("  column = r1 + (top << 3) + (column >> 29);");
  lines.push(storeAt(1, "column & LIMB_MASK"));
  lines.push(storeAt(2, "r2 + (column >> 29)"));
  return lines.join("\n");
}

/** What a multiple of 2^256 adds to the limbs: for top, `limb: expression`. */
const FOLDS = {
  p256: { 0: "+ top", 3: "- (top << 9)", 6: "- (top << 18)", 7: "+ (top << 21)" },
  secp256k1: { 0: "+ top * 977", 1: "+ (top << 3)" },
};

function subtractBody(name, p) {
  const constants = spread(p);
  const lines = [];
  lines.push(`  const t8: u64 = load<u64>(a, 64) + ${constants[8]} - load<u64>(b, 64);`);
  lines.push("  const top: u64 = t8 >> 24;");
  for (let i = 0; i < 8; i++) {
    const at = i === 0 ? "" : `, ${8 * i}`;
    const fold = FOLDS[name][i] === undefined ? "" : ` ${FOLDS[name][i]}`;
    lines.push(
      `  const t${i}: u64 = load<u64>(a${at}) + ${constants[i]} - load<u64>(b${at})${fold};`,
      i === 0 ? storeAt(0, "t0 & LIMB_MASK") : storeAt(i, `(t${i} & LIMB_MASK) + (t${i - 1} >> 29)`),
    );
  }
  lines.push(storeAt(8, "(t8 & 0xffffff) + (t7 >> 29)"));
  return lines.join("\n");
}

function halfTripleBody(p) {
  const limbs = limbsOf(p);
  const lines = [
    "  const low: u64 = load<u64>(a) * 3;",
    "  const odd: u64 = maskOf(low & 1);",
    `  const t0: u64 = low + (odd & ${limbs[0]});`,
  ];
  for (let i = 1; i < LIMBS; i++) {
    const p = limbs[i] === 0n ? "" : ` + (odd & ${limbs[i]})`;
    lines.push(`  const t${i}: u64 = load<u64>(a, ${8 * i}) * 3${p};`);
    lines.push(storeAt(i - 1, `(t${i - 1} >> 1) + ((t${i} & 1) << 28)`));
  }
  lines.push(storeAt(8, "t8 >> 1"));
  return lines.join("\n");
}

const PRIMES = {
  p256: { p: P256, columns: p256Columns, title: "P-256", what: "a · b · 2^-261" },
  secp256k1: { p: SECP256K1, columns: secp256k1Columns, title: "secp256k1", what: "a · b" },
};

/** Returns the text of one field. */
export function fieldFile(name) {
  const { p, columns, title, what } = PRIMES[name];
  return `${fileHead(`Arithmetic modulo the prime of ${title}, on nine limbs of 29 bits; values are not fully reduced.`)}
import { maskOf } from "../../ct";
import { assertProduct, assertSubtrahend, assertSum, LIMB_MASK } from "../../int/limbs";

/**
 * Multiplies: out ← ${what}, as a reduced element.
 *
 * @param out one element; may overlap a and b
 * @param a one element, secret
 * @param b one element, secret; no product of a limb of each is above 1.6 · 2^60
 *
 * Time: constant. Source: docs/ecc-kernels.md.
 */
export function multiply(out: usize, a: usize, b: usize): void {
  if (!ASC_NO_ASSERT) assertProduct(a, b);
${loadAll("a")}
${loadAll("b")}
${columns(productColumn)}
}

/** Squares: out ← ${what.replace("b", "a")}. The arguments are those of \`multiply\`. Time: constant. */
export function square(out: usize, a: usize): void {
  if (!ASC_NO_ASSERT) assertProduct(a, a);
${loadAll("a")}
${doubles}
${columns(squareColumn)}
}

/**
 * Subtracts: out ← a - b, as a reduced element.
 *
 * @param out one element; may be a or b
 * @param a one element, a sum of at most two reduced ones, secret
 * @param b one element, a sum of at most three reduced ones, secret
 *
 * Time: constant. Source: docs/ecc-kernels.md.
 */
export function subtract(out: usize, a: usize, b: usize): void {
  if (!ASC_NO_ASSERT) assertSum(a);
  if (!ASC_NO_ASSERT) assertSubtrahend(b);
${subtractBody(name, p)}
}

/**
 * Takes one and a half times an element: out ← 3a / 2, with limbs below 1.27 · 2^30.
 *
 * @param out one element; may be a
 * @param a one reduced element, secret
 *
 * Time: constant. Source: docs/ecc-kernels.md.
 */
export function halfTriple(out: usize, a: usize): void {
  if (!ASC_NO_ASSERT) assertSum(a);
${halfTripleBody(p)}
}
`;
}
