/** Writes aes-gcm/generated/aes-permute.ts: row-sliced vector-permute AES over groups of 4 and 16 blocks. */

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
AES over groups of four blocks held as four rows, one vector each: byte 4c + b of row r is the byte in row r and column c
of block b. The S-box is a chain of nibble lookups in registers, bytes being in tower form; ShiftRows moves dwords;
MixColumns adds rows. Round keys come from \`expandKeyPermute\`. Derivation: docs/aes-gcm-kernels.md.
`;

const high = (value) => and(`i16x8.shr_u(${value}, 4)`, "nibble");
const low = (value) => and(value, "nibble");
const lines = (...parts) => parts.flat(9).join("\n");

/** Changes 16 bytes to tower form. */
const toTower = (name, value) => [
  `const ${name}Low = ${swizzle("towerLow", low(value))};`,
  `const ${name} = ${xor(swizzle("towerHigh", high(value)), `${name}Low`)};`,
];

const loadTables = (names) => names.map(([name, table]) => `const ${name} = v128.load(TABLES, ${table});`);

/** Turns the rows of a group into blocks and stores them from \`out\` on, at offset \`at\`. */
function storeBlocks(p, rows, at) {
  // Each row by block first, then rows merged: 4 + 4 + 4 instructions.
  const order = range(16).map((i) => 4 * (i & 3) + (i >> 2));
  return [
    rows.map((row, r) => `const ${p}o${r} = ${pick(row, order)};`),
    `const ${p}l01 = ${unpack("low", `${p}o0`, `${p}o1`, 1)};`,
    `const ${p}l23 = ${unpack("low", `${p}o2`, `${p}o3`, 1)};`,
    store("out", unpack("low", `${p}l01`, `${p}l23`, 2), at),
    store("out", unpack("high", `${p}l01`, `${p}l23`, 2), at + 16),
    `const ${p}h01 = ${unpack("high", `${p}o0`, `${p}o1`, 1)};`,
    `const ${p}h23 = ${unpack("high", `${p}o2`, `${p}o3`, 1)};`,
    store("out", unpack("low", `${p}h01`, `${p}h23`, 2), at + 32),
    store("out", unpack("high", `${p}h01`, `${p}h23`, 2), at + 48),
  ];
}

/** Applies ShiftRows and the S-box to one row: the two indices into the output tables. */
function substitute(p, row, r) {
  const turned =
    r === 0
      ? row
      : shuffle(
          row,
          row,
          range(16).map((i) => (i + 4 * r) & 15),
        );
  return [
    `const ${p}x = ${turned};`,
    `const ${p}i = ${high(`${p}x`)};`,
    `const ${p}k = ${low(`${p}x`)};`,
    `const ${p}j = ${xor(`${p}i`, `${p}k`)};`,
    `const ${p}q = ${swizzle("quotient", `${p}k`)};`,
    `const ${p}io = ${xor(swizzle("inverse", xor(swizzle("inverse", `${p}i`), `${p}q`)), `${p}j`)};`,
    `const ${p}jo = ${xor(swizzle("inverse", xor(swizzle("inverse", `${p}j`), `${p}q`)), `${p}i`)};`,
  ];
}

function oneRound(groups) {
  return groups.map((g) => {
    const p = (r) => `g${g}r${r}`;
    return [
      range(4).map((r) => [
        substitute(p(r), `s${g}${r}`, r),
        `const ${p(r)}s = ${xor(swizzle("sboxIo", `${p(r)}io`), swizzle("sboxJo", `${p(r)}jo`))};`,
        `const ${p(r)}d = ${xor(swizzle("doubleIo", `${p(r)}io`), swizzle("doubleJo", `${p(r)}jo`))};`,
      ]),
      `const g${g}sum = ${xor(xor(`${p(0)}s`, `${p(1)}s`), xor(`${p(2)}s`, `${p(3)}s`))};`,
      range(4).map(
        (r) =>
          `s${g}${r} = ${xor(xor(`g${g}sum`, `${p(r)}s`), xor(`${p(r)}d`, `${p((r + 1) & 3)}d`), load("roundKey", 16 * r))};`,
      ),
    ];
  });
}

function lastRound(groups) {
  return groups.map((g) => {
    const p = (r) => `f${g}r${r}`;
    return [
      range(4).map((r) => [
        substitute(p(r), `s${g}${r}`, r),
        `const ${p(r)}s = ${xor(swizzle("lastIo", `${p(r)}io`), swizzle("lastJo", `${p(r)}jo`), load("lastKey", 16 * r))};`,
      ]),
      storeBlocks(
        `t${g}`,
        range(4).map((r) => `${p(r)}s`),
        64 * g,
      ),
    ];
  });
}

/** Loads four blocks at \`blocks\`, in tower form, as rows with the first round key added. */
function loadBlocks(g) {
  const p = `b${g}`;
  const order = range(16).map((i) => 4 * (i & 3) + (i >> 2));
  return [
    range(4).map((b) => [
      `const ${p}v${b} = ${load("blocks", 64 * g + 16 * b)};`,
      toTower(`${p}t${b}`, `${p}v${b}`),
      `const ${p}u${b} = ${pick(`${p}t${b}`, order)};`,
    ]),
    ["low", "high"].map((half) => [
      `const ${p}${half}01 = ${unpack(half, `${p}u0`, `${p}u1`, 1)};`,
      `const ${p}${half}23 = ${unpack(half, `${p}u2`, `${p}u3`, 1)};`,
    ]),
    range(4).map(
      (r) =>
        `let s${g}${r} = ${xor(unpack(r & 1 ? "high" : "low", `${p}${r < 2 ? "low" : "high"}01`, `${p}${r < 2 ? "low" : "high"}23`, 2), load("roundKeys", 16 * r))};`,
    ),
  ];
}

/** Makes the rows of counter blocks from an IV and the counter of the first. */
function counterRows(groups) {
  return [
    "const ivBlock = i32x4.replace_lane(v128.load(iv), 3, 0);",
    toTower("ivTower", "ivBlock"),
    range(4).map(
      (r) =>
        `const base${r} = ${xor(
          pick(
            "ivTower",
            range(16).map((i) => (i < 12 ? 4 * (i >> 2) + r : -1)),
          ),
          load("roundKeys", 16 * r),
        )};`,
    ),
    groups.map((g) => [
      `const c${g} = i32x4.add(i32x4.splat(counter), i32x4(${range(4)
        .map((b) => 4 * g + b)
        .join(", ")}));`,
      toTower(`ct${g}`, `c${g}`),
      range(4).map(
        (r) =>
          `let s${g}${r} = ${xor(
            pick(
              `ct${g}`,
              range(16).map((i) => (i < 12 ? -1 : 4 * (i - 12) + 3 - r)),
            ),
            `base${r}`,
          )};`,
      ),
    ]),
  ];
}

const ROUND_TABLES = [
  ["nibble", "NIBBLE"],
  ["inverse", "INVERSE"],
  ["quotient", "QUOTIENT"],
];

function cipher(name, doc, parameters, groups, input) {
  return lines(
    `/**\n${doc
      .trim()
      .split("\n")
      .map((line) => ` * ${line}`.trimEnd())
      .join("\n")}\n */`,
    `export function ${name}(${parameters}): void {`,
    loadTables([...ROUND_TABLES, ["towerLow", "TOWER_LOW"], ["towerHigh", "TOWER_HIGH"]]),
    input(groups),
    loadTables([
      ["sboxIo", "SBOX_IO"],
      ["sboxJo", "SBOX_JO"],
      ["doubleIo", "DOUBLE_IO"],
      ["doubleJo", "DOUBLE_JO"],
    ]),
    "const lastKey: usize = roundKeys + 64 * <usize>rounds;",
    "for (let roundKey: usize = roundKeys + 64; roundKey < lastKey; roundKey += 64) {",
    oneRound(groups),
    "}",
    loadTables([
      ["lastIo", "LAST_IO"],
      ["lastJo", "LAST_JO"],
    ]),
    lastRound(groups),
    "}\n",
  );
}

function counters(blocks) {
  const doc = `
Encrypts ${blocks} consecutive counter blocks: keystream.

@param out ${16 * blocks} bytes, secret, out; must not overlap the others
@param roundKeys 64 · (rounds + 1) bytes from \`expandKeyPermute\`, secret
@param rounds 10, 12 or 14, public
@param iv 12 bytes, public; 16 are read
@param counter counter of the first block, public

Time: depends on rounds alone. Source: FIPS 197, 5.1; SP 800-38D, 6.5.
`;
  return cipher(
    `encryptCounters${blocks}`,
    doc,
    "out: usize, roundKeys: usize, rounds: u32, iv: usize, counter: u32",
    range(blocks / 4),
    counterRows,
  );
}

function blocksAnywhere(blocks) {
  const doc = `
Encrypts ${blocks} blocks.

@param out ${16 * blocks} bytes, secret, out; may be the blocks themselves
@param roundKeys 64 · (rounds + 1) bytes from \`expandKeyPermute\`, secret
@param rounds 10, 12 or 14, public
@param blocks ${16 * blocks} bytes, may be secret

Time: depends on rounds alone. Source: FIPS 197, 5.1.
`;
  return cipher(
    `encryptBlocks${blocks}`,
    doc,
    "out: usize, roundKeys: usize, rounds: u32, blocks: usize",
    range(blocks / 4),
    (groups) => groups.map(loadBlocks),
  );
}

function keyHelpers(constant) {
  const splat = i8(constant);
  const rows = (value) =>
    range(4).map((r) =>
      store(
        "roundKey",
        pick(
          value,
          range(16).map((i) => 4 * (i >> 2) + r),
        ),
        16 * r,
      ),
    );
  return lines(
    `/**
 * Applies the S-box to the four bytes of a word.
 *
 * @param word secret
 *
 * Time: constant. Source: FIPS 197, 5.2, SubWord.
 */
export function substituteWord(word: u32): u32 {`,
    loadTables([
      ...ROUND_TABLES,
      ["towerLow", "TOWER_LOW"],
      ["towerHigh", "TOWER_HIGH"],
      ["lastIo", "LAST_IO"],
      ["lastJo", "LAST_JO"],
    ]),
    "const bytes = i32x4.splat(word);",
    toTower("t", "bytes"),
    substitute("w", "t", 0),
    `return i32x4.extract_lane(${xor(swizzle("lastIo", "wio"), swizzle("lastJo", "wjo"))}, 0) ^ 0x63636363;`,
    "}\n",
    `/**
 * Stores a round key as rows, each byte four times. All but the last are in tower form; all but the first take up the
 * constant of the S-box, which passes MixColumns unchanged.
 *
 * @param roundKey 64 bytes, out; must not overlap key
 * @param key 16 bytes, secret
 * @param round 0..=rounds, public
 * @param rounds 10, 12 or 14, public
 *
 * Time: depends on round and rounds alone.
 */
export function storeRoundKey(roundKey: usize, key: usize, round: u32, rounds: u32): void {`,
    loadTables([
      ["nibble", "NIBBLE"],
      ["towerLow", "TOWER_LOW"],
      ["towerHigh", "TOWER_HIGH"],
    ]),
    "let value = v128.load(key);",
    "if (round === rounds) {",
    `value = ${xor("value", `i8x16.splat(${i8(0x63)})`)};`,
    "} else {",
    toTower("t", "value"),
    "value = t;",
    `if (round !== 0) value = ${xor("value", `i8x16.splat(${splat})`)};`,
    "}",
    rows("value"),
    "}\n",
  );
}

const i8 = (byte) => (byte > 127 ? byte - 256 : byte);

export function aesPermute({ constant }) {
  const tables = [
    "TABLES",
    "NIBBLE",
    "INVERSE",
    "QUOTIENT",
    "SBOX_IO",
    "SBOX_JO",
    "DOUBLE_IO",
    "DOUBLE_JO",
    "LAST_IO",
    "LAST_JO",
    "TOWER_LOW",
    "TOWER_HIGH",
  ];
  return lines(
    fileHead(HEAD),
    importing(["swizzle"], "../swizzle"),
    importing(tables, "./tables"),
    counters(4),
    [4, 16].map(blocksAnywhere),
    keyHelpers(constant),
  );
}
