/**
 * Arithmetic in the fields of AES and GHASH, bit by bit as the standards write it. Slow and plain: the tables of the
 * kernels are derived from it, and docs/aes-gcm-kernels.md refers to it.
 */

/** Multiplies in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2). */
export function multiplyBytes(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
    if ((b >> i) & 1) product ^= a;
  }
  return product;
}

/** Raises to a power in GF(2^8). */
export function powerOfByte(a, exponent) {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = multiplyBytes(result, a);
  return result;
}

/** Inverts in GF(2^8); 0 stays 0. */
export const invertByte = (a) => powerOfByte(a, 254);

/** The linear part of the S-box, without the constant 0x63 (FIPS 197, 5.1.1). */
export function affineLinear(value) {
  let result = 0;
  for (let shift = 0; shift < 5; shift++) result ^= ((value << shift) | (value >> (8 - shift))) & 0xff;
  return result;
}

/** Computes the S-box from its definition. */
export const sBox = (value) => affineLinear(invertByte(value)) ^ 0x63;

/**
 * The tower GF(2^8) over GF(2^4): zeta has trace 1 over the subfield, `norm` is zeta · zeta^16, and `basis` spans the
 * subfield over GF(2). A byte with nibbles (i, k), i the higher one, stands for i + k · zeta^16.
 */
export function tower() {
  const everyByte = Array.from({ length: 256 }, (_, value) => value);
  const zeta = everyByte.find((value) => (value ^ powerOfByte(value, 16)) === 1);
  const conjugate = powerOfByte(zeta, 16);
  const norm = multiplyBytes(zeta, conjugate);
  const generator = everyByte.find(
    (value) =>
      value > 1 && powerOfByte(value, 15) === 1 && powerOfByte(value, 5) !== 1 && powerOfByte(value, 3) !== 1,
  );
  const basis = [0, 1, 2, 3].map((exponent) => powerOfByte(generator, exponent));
  const elementOf = Array.from({ length: 16 }, (_, nibble) =>
    basis.reduce((sum, element, bit) => ((nibble >> bit) & 1 ? sum ^ element : sum), 0),
  );
  const nibbleOf = new Map(elementOf.map((element, nibble) => [element, nibble]));
  if (nibbleOf.size !== 16) throw new Error("the basis does not span the subfield");
  const standardOf = Array.from(
    { length: 256 },
    (_, byte) => elementOf[byte >> 4] ^ multiplyBytes(elementOf[byte & 15], conjugate),
  );
  const towerOf = new Uint8Array(256);
  standardOf.forEach((standard, byte) => {
    towerOf[standard] = byte;
  });
  return { zeta, conjugate, norm, elementOf, nibbleOf, towerOf };
}
