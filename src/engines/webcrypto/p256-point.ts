/** Public points of P-256: on-curve check and decompression in BigInt. Nothing here is secret, so its time may depend on the bytes. */

import { ensure } from "../../errors.ts";
import { COMPRESSED_POINT_LENGTH, POINT_LENGTH } from "../key-encoding.ts";

/** SP 800-186, 3.2.1.3. */
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function toNumber(bytes: Uint8Array): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

function writeNumber(number: bigint, out: Uint8Array): void {
  let rest = number;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/** Evaluates x^3 - 3x + b mod p. */
function curveValue(x: bigint): bigint {
  return (((x * x) % P) * x + 3n * (P - x) + B) % P;
}

/**
 * Reads a SEC 1 point of 33 or 65 bytes that lies on the curve, and returns it uncompressed.
 *
 * @throws KmsError `InvalidKeyMaterial`
 */
export function readPoint(point: Uint8Array): Uint8Array {
  const form = point[0];
  const isCompressed = point.length === COMPRESSED_POINT_LENGTH && (form === 0x02 || form === 0x03);
  ensure(
    isCompressed || (point.length === POINT_LENGTH && form === 0x04),
    "InvalidKeyMaterial",
    "An EC public key is an SPKI or a point of 33 or 65 bytes.",
  );
  const x = toNumber(point.subarray(1, COMPRESSED_POINT_LENGTH));
  const value = curveValue(x);
  let y = isCompressed ? power(value, (P + 1n) / 4n) : toNumber(point.subarray(COMPRESSED_POINT_LENGTH));
  const isOnCurve = x < P && y < P && (y * y) % P === value;
  ensure(isOnCurve, "InvalidKeyMaterial", "The point is not on the curve.");
  // p is odd and b has no root with y = 0, so the two roots differ in their last bit.
  if (isCompressed && (y & 1n) !== BigInt((form ?? 0) & 1)) y = P - y;
  const uncompressed = new Uint8Array(POINT_LENGTH);
  uncompressed.set(point.subarray(0, COMPRESSED_POINT_LENGTH));
  uncompressed[0] = 0x04;
  writeNumber(y, uncompressed.subarray(COMPRESSED_POINT_LENGTH));
  return uncompressed;
}

/** Writes an uncompressed point in 33 bytes. */
export function compressPoint(point: Uint8Array): Uint8Array {
  const compressed = point.slice(0, COMPRESSED_POINT_LENGTH);
  compressed[0] = 0x02 | ((point[POINT_LENGTH - 1] ?? 0) & 1);
  return compressed;
}
