/** Orders of the curves and what scalars must satisfy: in variable time for signatures, constant time for private keys. */

import type { CurveName } from "./engine.ts";

/** Bytes of a coordinate and of a scalar on both curves. */
export const SCALAR_LENGTH = 32;

interface CurveOrder {
  /** n, big-endian. */
  readonly order: Uint8Array;
  /** (n - 1) / 2, the largest "low" s. */
  readonly halfOrder: Uint8Array;
}

const ORDERS: Readonly<Record<CurveName, CurveOrder>> = {
  // SP 800-186, 3.2.1.3.
  "P-256": curveOrder([
    0xffffffff, 0, 0xffffffff, 0xffffffff, 0xbce6faad, 0xa7179e84, 0xf3b9cac2, 0xfc632551,
  ]),
  // SEC 2, 2.4.1.
  secp256k1: curveOrder([
    0xffffffff, 0xffffffff, 0xffffffff, 0xfffffffe, 0xbaaedce6, 0xaf48a03b, 0xbfd25e8c, 0xd0364141,
  ]),
};

function curveOrder(words: readonly number[]): CurveOrder {
  const order = new Uint8Array(SCALAR_LENGTH);
  const view = new DataView(order.buffer);
  words.forEach((word, i) => {
    view.setUint32(4 * i, word);
  });
  const halfOrder = new Uint8Array(SCALAR_LENGTH);
  let carry = 0;
  for (let i = 0; i < SCALAR_LENGTH; i++) {
    const byte = order[i] ?? 0;
    halfOrder[i] = carry | (byte >> 1);
    carry = (byte & 1) << 7;
  }
  return { order, halfOrder };
}

/**
 * Tells whether 32 bytes are a private key, 1 <= d < n.
 *
 * Time: depends on the length alone; only the verdict is public.
 */
export function isPrivateScalar(curve: CurveName, scalar: Uint8Array): boolean {
  const { order } = ORDERS[curve];
  if (scalar.length !== SCALAR_LENGTH) return false;
  let borrow = 0;
  let nonZero = 0;
  for (let i = SCALAR_LENGTH - 1; i >= 0; i--) {
    const byte = scalar[i] ?? 0;
    nonZero |= byte;
    borrow = ((byte - (order[i] ?? 0) - borrow) >> 8) & 1;
  }
  return (borrow & ((nonZero + 0xff) >> 8)) === 1;
}

function compareVartime(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < SCALAR_LENGTH; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Tells whether a 32-byte number of a signature is in 1..n-1. Public input. */
export function isSignatureScalarVartime(curve: CurveName, scalar: Uint8Array): boolean {
  return scalar.some((byte) => byte !== 0) && compareVartime(scalar, ORDERS[curve].order) < 0;
}

/** Tells whether s is at most n/2. Public input. */
export function isLowVartime(curve: CurveName, s: Uint8Array): boolean {
  return compareVartime(s, ORDERS[curve].halfOrder) <= 0;
}

/** Replaces s by n - s. */
export function negateScalar(curve: CurveName, s: Uint8Array): void {
  const { order } = ORDERS[curve];
  let borrow = 0;
  for (let i = SCALAR_LENGTH - 1; i >= 0; i--) {
    const difference = (order[i] ?? 0) - (s[i] ?? 0) - borrow;
    s[i] = difference & 0xff;
    borrow = (difference >> 8) & 1;
  }
}
