/**
 * Derives the sixteen-entry tables of the vector-permute S-box (M. Hamburg, "Accelerating AES with Vector Permute
 * Instructions", 2009) and of the GHASH reduction, and proves each over all its inputs before it is written.
 */

import { affineLinear, invertByte, multiplyBytes, sBox, tower } from "./fields.mjs";

/** Stands for infinity, the inverse of 0: an index from which a swizzle gives 0. Stays above 127 under xor with a nibble. */
const INFINITY = 0x80;

const sixteen = (entry) => Array.from({ length: 16 }, (_, nibble) => entry(nibble));

/** Names and entries of the tables, in the order of their addresses. */
export function permuteTables() {
  const { zeta, conjugate, norm, elementOf, nibbleOf, towerOf } = tower();
  const standardOf = (byte) => towerOf.indexOf(byte);
  const inverseNorm = invertByte(norm);
  const nibbleQuotient = (numerator, nibble) =>
    nibble === 0 ? INFINITY : nibbleOf.get(multiplyBytes(numerator, invertByte(elementOf[nibble])));
  // What 1/io and 1/jo weigh in the inverse; see the derivation in docs/aes-gcm-kernels.md.
  const weightOfIo = multiplyBytes(norm, zeta) ^ multiplyBytes(norm ^ 1, conjugate);
  const weightOfJo = multiplyBytes(norm ^ 1, zeta) ^ multiplyBytes(norm, conjugate);
  const output = (weight, nibble) => affineLinear(multiplyBytes(weight, invertByte(elementOf[nibble])));
  const fold = (byte) => reductionOf(byte);
  const tables = {
    NIBBLE: sixteen(() => 0x0f),
    INVERSE: sixteen((nibble) => nibbleQuotient(1, nibble)),
    QUOTIENT: sixteen((nibble) => nibbleQuotient(inverseNorm, nibble)),
    SBOX_IO: sixteen((nibble) => towerOf[output(weightOfIo, nibble)]),
    SBOX_JO: sixteen((nibble) => towerOf[output(weightOfJo, nibble)]),
    DOUBLE_IO: sixteen((nibble) => towerOf[multiplyBytes(2, output(weightOfIo, nibble))]),
    DOUBLE_JO: sixteen((nibble) => towerOf[multiplyBytes(2, output(weightOfJo, nibble))]),
    LAST_IO: sixteen((nibble) => output(weightOfIo, nibble)),
    LAST_JO: sixteen((nibble) => output(weightOfJo, nibble)),
    TOWER_LOW: sixteen((nibble) => towerOf[nibble]),
    TOWER_HIGH: sixteen((nibble) => towerOf[nibble << 4]),
    STANDARD_LOW: sixteen((nibble) => standardOf(nibble)),
    STANDARD_HIGH: sixteen((nibble) => standardOf(nibble << 4)),
    FOLD_LOW: sixteen((nibble) => fold(nibble)[0]),
    FOLD_HIGH: sixteen((nibble) => fold(nibble << 4)[0]),
    FOLD_NEXT_LOW: sixteen((nibble) => fold(nibble)[1]),
    FOLD_NEXT_HIGH: sixteen((nibble) => fold(nibble << 4)[1]),
  };
  verify(tables, towerOf);
  return { tables, constant: towerOf[0x63] };
}

/** Multiplies a byte in GHASH bit order (x^0 is bit 7) by 1 + x + x^2 + x^7, which x^128 is: two bytes. */
function reductionOf(byte) {
  const wide = byte << 8;
  const product = wide ^ (wide >> 1) ^ (wide >> 2) ^ (wide >> 7);
  return [product >> 8, product & 0xff];
}

const swizzle = (table, index) => (index >= 128 ? 0 : index < 16 ? table[index] : Number.NaN);

/** Runs the S-box circuit of the kernels over one byte in tower form; the tables decide what comes out. */
export function permuteByte(tables, byte, io, jo) {
  const i = byte >> 4;
  const k = byte & 15;
  const j = i ^ k;
  const quotient = swizzle(tables.QUOTIENT, k);
  const ioIndex = swizzle(tables.INVERSE, swizzle(tables.INVERSE, i) ^ quotient) ^ j;
  const joIndex = swizzle(tables.INVERSE, swizzle(tables.INVERSE, j) ^ quotient) ^ i;
  return swizzle(tables[io], ioIndex) ^ swizzle(tables[jo], joIndex);
}

function verify(tables, towerOf) {
  for (let value = 0; value < 256; value++) {
    const byte = tables.TOWER_LOW[value & 15] ^ tables.TOWER_HIGH[value >> 4];
    const expected = sBox(value) ^ 0x63;
    const found = [
      byte,
      permuteByte(tables, byte, "SBOX_IO", "SBOX_JO"),
      permuteByte(tables, byte, "DOUBLE_IO", "DOUBLE_JO"),
      permuteByte(tables, byte, "LAST_IO", "LAST_JO"),
    ];
    const wanted = [towerOf[value], towerOf[expected], towerOf[multiplyBytes(2, expected)], expected];
    if (found.some((each, at) => each !== wanted[at])) throw new Error(`wrong tables for byte ${value}`);
  }
}
