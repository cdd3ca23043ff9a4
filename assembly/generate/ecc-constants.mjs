/** Writes the public constants of both curves as one block each, with the same offsets in both. */

import { limbsOf, P256, SECP256K1 } from "./ecc-field.mjs";
import { fileHead, range } from "./emit.mjs";

const R = 1n << 261n;

const modulo = (value, modulus) => ((value % modulus) + modulus) % modulus;

function inverse(value, modulus) {
  let [a, b, x, y] = [modulo(value, modulus), modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = a / b;
    [a, b] = [b, a % b];
    [x, y] = [y, x - quotient * y];
  }
  return modulo(x, modulus);
}

const wordsOf = (value, count) => range(count).map((i) => (value >> BigInt(64 * i)) & ((1n << 64n) - 1n));

/** Nine limbs of 30 bits in half-words, padded to 40 bytes. */
function limbs30(value) {
  const limbs = range(9).map((i) => (value >> BigInt(30 * i)) & 0x3fffffffn);
  return range(5).map((i) => limbs[2 * i] | ((limbs[2 * i + 1] ?? 0n) << 32n));
}

/** SP 800-186, 3.2.1.3, and SEC 2, 2.4.1. The scale is what field elements are multiplied by. */
const CURVES = {
  P256: {
    title: "P-256",
    p: P256,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    scale: R,
  },
  SECP256K1: {
    title: "secp256k1",
    p: SECP256K1,
    n: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    b: 7n,
    x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
    y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
    scale: 1n,
  },
};

/** Decomposition of secp256k1's scalars (Gallant, Lambert and Vanstone; the lattice of SEC 2's curve in libsecp256k1). */
const BETA = 0x7ae96a2b657c07106e64479eac3434e99cf0497512f58995c1396c28719501een;
const LAMBDA = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;
const B1 = -0xe4437ed6010e88286f547fa90abfe4c3n;
const B2 = 0x3086d221a7d46bcde86c90e49284eb15n;

function splitConstants(n) {
  const scaled = (b) => ((b << 384n) + n / 2n) / n;
  return {
    SPLIT_G1: limbsOf(scaled(B2)),
    SPLIT_G2: limbsOf(scaled(-B1)),
    SPLIT_B1: limbsOf(modulo(-B1 * R, n)),
    SPLIT_B2: limbsOf(modulo(-B2 * R, n)),
    SPLIT_LAMBDA: limbsOf(modulo(-LAMBDA * R, n)),
    BETA: limbsOf(BETA),
  };
}

function block({ p, n, b, x, y, scale }) {
  const field = (value) => limbsOf(modulo(value * scale, p));
  return {
    PRIME: limbsOf(p),
    ORDER: limbsOf(n),
    ORDER_R2: limbsOf(modulo(R * R, n)),
    FIELD_ONE: field(1n),
    FIELD_B: field(b),
    GENERATOR_X: field(x),
    GENERATOR_Y: field(y),
    ENTER_FIELD: limbsOf(modulo(scale * R, p)),
    INVERT_FIELD: limbsOf(modulo(scale * scale * R, p)),
    ORDER_AS_FIELD: field(n),
    PRIME_30: limbs30(p),
    ORDER_30: limbs30(n),
    ROOT_EXPONENT: wordsOf((p + 1n) / 4n, 4),
    PRIME_INVERSE_30: [inverse(p, 1n << 30n)],
    ORDER_INVERSE_30: [inverse(n, 1n << 30n)],
    ORDER_INVERSE_29: [modulo(-inverse(n, 1n << 29n), 1n << 29n)],
  };
}

/** Returns the text of the constants. */
export function constantsFile() {
  const blocks = {
    P256: block(CURVES.P256),
    SECP256K1: { ...block(CURVES.SECP256K1), ...splitConstants(CURVES.SECP256K1.n) },
  };
  const offsets = [];
  let offset = 0;
  for (const [name, words] of Object.entries(blocks.SECP256K1)) {
    offsets.push(`export const ${name}: usize = ${offset};`);
    offset += 8 * words.length;
  }
  const data = Object.entries(blocks).map(
    ([name, values]) => `/** The constants of ${CURVES[name].title}. */
export const ${name}_CONSTANTS: usize = memory.data<u64>(
  [
${Object.entries(values)
  .map(
    ([field, words]) => `    // ${field}\n    ${words.map((word) => `0x${word.toString(16)}`).join(", ")},`,
  )
  .join("\n")}
  ],
  8,
);
`,
  );
  return `${fileHead(
    "Public constants of the curves. Field elements of P-256 are in Montgomery form; a block begins with what both curves have.",
  )}
${data.join("\n")}
// Offsets into a block.
${offsets.join("\n")}
`;
}
