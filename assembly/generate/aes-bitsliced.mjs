/** Writes aes-gcm/generated/aes-bitsliced.ts: AES over 32 blocks held as 32 bit planes. */

import { readFileSync } from "node:fs";
import { fileHead, importing, load, pick, range, shuffle, store, xor } from "./emit.mjs";

const HEAD = `
AES over 32 blocks held as 32 planes in memory: bit n of dword c of plane 8r + b is bit b of the byte in row r and column c
of block n. The S-box is a Boolean circuit over the 8 planes of a row, ShiftRows moves dwords, MixColumns adds planes; no
byte is moved between the two transpositions. Round keys come from \`expandKeyBitsliced\`.
`;

const lines = (...parts) => parts.flat(9).join("\n");

/** Reads the S-box circuit from its only source, the scalar kernel, as [name, expression] without the constant 0x63. */
function circuit() {
  const source = readFileSync(new URL("../aes-gcm/sbox-bitsliced.ts", import.meta.url), "utf8");
  const gates = [];
  const gate = (text) => {
    const [, a, operator, b] = /^(\w+) ([&^]) ~?(\w+)$/.exec(text) ?? [];
    if (a === undefined) return text;
    return operator === "&" ? `v128.and(${a}, ${b})` : `v128.xor(${a}, ${b})`;
  };
  for (const line of source.split("\n")) {
    const input = /^ {2}const (x\d) = load<u64>\(planes(?:, (\d+))?\);$/.exec(line);
    const inner = /^ {2}const (\w+) = (\w+ [&^] ~?\w+);$/.exec(line);
    const output = /^ {2}store<u64>\(planes, (.+?)(?:, (\d+))?\);$/.exec(line);
    if (input) gates.push(`const ${input[1]} = ${load("row", 2 * Number(input[2] ?? 0))};`);
    else if (inner) gates.push(`const ${inner[1]} = ${gate(inner[2])};`);
    else if (output) gates.push(store("row", gate(output[1]), 2 * Number(output[2] ?? 0)));
  }
  if (gates.length !== 8 + 116) throw new Error(`read ${gates.length} lines of the circuit`);
  return gates;
}

const rotate = (value, columns) =>
  columns === 0
    ? value
    : shuffle(
        value,
        value,
        range(16).map((i) => (i + 4 * columns) & 15),
      );
const plane = (r, b) => load("planes", 128 * r + 16 * b);
const key = (r, b) =>
  8 * r + b === 0 ? "v128.load16x4_s(roundKey)" : `v128.load16x4_s(roundKey, ${8 * (8 * r + b)})`;

function mixColumns() {
  const out = [];
  const s = (r, b) => `s${r}b${b}`;
  const u = (r, b) => `u${r}b${b}`;
  const loadBit = (b) => [
    range(4).map((r) => `const ${s(r, b)} = ${rotate(plane(r, b), r)};`),
    range(4).map((r) => `const ${u(r, b)} = ${xor(s(r, b), s((r + 1) & 3, b))};`),
  ];
  out.push(loadBit(7));
  for (const b of range(8)) {
    if (b !== 7) out.push(loadBit(b));
    out.push(`const all${b} = ${xor(u(0, b), u(2, b))};`);
    for (const r of range(4)) {
      const terms = [`all${b}`, s(r, b), u(r, (b + 7) & 7), key(r, b)];
      if (b === 1 || b === 3 || b === 4) terms.push(u(r, 7));
      out.push(store("planes", xor(...terms), 128 * r + 16 * b));
    }
  }
  return out;
}

/** Exchanges bits at a distance between two vectors: the upper ones of a with the lower ones of b. */
const exchange = (p, a, b, distance, mask) => [
  `const ${p} = v128.and(v128.xor(i32x4.shr_u(${a}, ${distance}), ${b}), ${mask});`,
  `${b} = ${xor(b, p)};`,
  `${a} = ${xor(a, `i32x4.shl(${p}, ${distance})`)};`,
];

function transpose() {
  const stage = (far, near, farMask, nearMask) => [
    // Vectors i, i + near, i + far, i + far + near.
    range(4).map((n) => `let v${n} = ${load("at", 16 * ((n & 1) * near + (n >> 1) * far))};`),
    exchange("p0", "v0", "v2", far, farMask),
    exchange("p1", "v1", "v3", far, farMask),
    exchange("p2", "v0", "v1", near, nearMask),
    exchange("p3", "v2", "v3", near, nearMask),
    range(4).map((n) => store("at", `v${n}`, 16 * ((n & 1) * near + (n >> 1) * far))),
  ];
  return lines(
    `/**
 * Transposes bits with vectors in every dword: bit i of vector j changes places with bit j of vector i. Its own inverse.
 *
 * @param vectors 512 bytes, secret; in and out
 *
 * Time: constant. Source: Hacker's Delight, 7-3, on four lanes at once.
 */
export function transposePlanes(vectors: usize): void {
const mask16 = i32x4.splat(0x0000ffff);
const mask8 = i32x4.splat(0x00ff00ff);
const mask4 = i32x4.splat(0x0f0f0f0f);
const mask2 = i32x4.splat(0x33333333);
const mask1 = i32x4.splat(0x55555555);
for (let at: usize = vectors; at < vectors + 128; at += 16) {`,
    stage(16, 8, "mask16", "mask8"),
    `}
for (let group: usize = vectors; group < vectors + 512; group += 128) {
for (let at: usize = group; at < group + 32; at += 16) {`,
    stage(4, 2, "mask4", "mask2"),
    `}
}
for (let at: usize = vectors; at < vectors + 512; at += 32) {
let a = v128.load(at);
let b = v128.load(at, 16);`,
    exchange("p", "a", "b", 1, "mask1"),
    `v128.store(at, a);
v128.store(at, b, 16);
}
}
`,
  );
}

function cipher() {
  return lines(
    `/**
 * Replaces every byte by its S-box value, but for the constant 0x63, which the round keys hold.
 *
 * @param planes 512 bytes, secret; in and out
 *
 * Time: constant. Source: the circuit of aes-gcm/sbox-bitsliced.ts.
 */
export function subPlanes(planes: usize): void {
for (let row: usize = planes; row < planes + 512; row += 128) {`,
    circuit(),
    `}
}

/**
 * Rotates row r by r columns, mixes the bytes of every column and adds the round key.
 *
 * @param planes 512 bytes, secret; in and out
 * @param roundKey 256 bytes, secret; must not overlap planes
 *
 * Time: constant. Source: FIPS 197, 5.1.2 to 5.1.4.
 */
function mixPlanes(planes: usize, roundKey: usize): void {`,
    mixColumns(),
    `}

/**
 * Rotates row r by r columns and adds the last round key.
 *
 * @param planes 512 bytes, secret; in and out
 * @param roundKey 256 bytes, secret; must not overlap planes
 *
 * Time: constant. Source: FIPS 197, 5.1.2 and 5.1.4.
 */
function finishPlanes(planes: usize, roundKey: usize): void {`,
    range(4).map((r) =>
      range(8).map((b) => store("planes", xor(rotate(plane(r, b), r), key(r, b)), 128 * r + 16 * b)),
    ),
    `}

/**
 * Encrypts 32 blocks in place.
 *
 * @param blocks 512 bytes, secret; in and out
 * @param roundKeys 256 · (rounds + 1) bytes from \`expandKeyBitsliced\`, secret; must not overlap blocks
 * @param rounds 10, 12 or 14, public
 *
 * Time: depends on rounds alone. Source: FIPS 197, 5.1.
 */
export function encryptBlocks32(blocks: usize, roundKeys: usize, rounds: u32): void {
transposePlanes(blocks);
for (let i: usize = 0; i < 32; ++i) {
const plane: usize = blocks + 16 * i;
v128.store(plane, v128.xor(v128.load(plane), v128.load16x4_s(roundKeys + 8 * i)));
}
const last: usize = roundKeys + 256 * <usize>rounds;
for (let roundKey: usize = roundKeys + 256; roundKey < last; roundKey += 256) {
subPlanes(blocks);
mixPlanes(blocks, roundKey);
}
subPlanes(blocks);
finishPlanes(blocks, last);
transposePlanes(blocks);
}
`,
  );
}

function keys() {
  return lines(
    `/**
 * Turns the round keys of the row-sliced kernels into planes of four 16-bit masks each.
 *
 * @param planes 256 · (rounds + 1) bytes, out; must not overlap roundKeys
 * @param roundKeys 64 · (rounds + 1) bytes from \`expandKeyPermute\`, secret
 * @param rounds 10, 12 or 14, public
 *
 * Time: depends on rounds alone.
 */
export function expandKeyBitsliced(planes: usize, roundKeys: usize, rounds: u32): void {
const nibble = v128.load(TABLES, NIBBLE);
const low = v128.load(TABLES, STANDARD_LOW);
const high = v128.load(TABLES, STANDARD_HIGH);
let out: usize = planes;
const last: usize = roundKeys + 64 * <usize>rounds;
for (let row: usize = roundKeys; row < last + 64; row += 16) {
let bytes = v128.load(row);
// The last round key is not in tower form.
if (row < last) {
bytes = v128.xor(
swizzle(low, v128.and(bytes, nibble)),
swizzle(high, v128.and(i16x8.shr_u(bytes, 4), nibble)),
);
}
for (let bit: i32 = 0; bit < 8; ++bit) {
const one = i8x16.splat(<i8>(<i32>1 << bit));
const mask = i8x16.eq(v128.and(bytes, one), one);`,
    `store<u64>(out, i64x2.extract_lane(${pick("mask", [0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1])}, 0));`,
    `out += 8;
}
}
}
`,
  );
}

export function aesBitsliced() {
  return lines(
    fileHead(HEAD),
    importing(["swizzle"], "../swizzle"),
    importing(["NIBBLE", "STANDARD_HIGH", "STANDARD_LOW", "TABLES"], "./tables"),
    transpose(),
    cipher(),
    keys(),
  );
}
