/** SEC 1 points: their decoding and their validation. Points are public. */

import { addLimbs, carryLimbs, notBelow } from "../int/limbs";
import {
  constants,
  enterField,
  fieldIsZeroVartime,
  fieldMultiply,
  fieldPowerVartime,
  fieldSquare,
  fieldSubtract,
  leaveField,
} from "./field";
import { FIELD_B, FIELD_ONE, PRIME, ROOT_EXPONENT } from "./generated/constants";
import { bytesOfElement, elementOfBytes } from "./scalar";
import { S0, S1, S2, S3, T0 } from "./state";

/** Computes S2 ← x³ + ax + b for x in S0. Works in S3. */
function computeRight<C>(): void {
  fieldSquare<C>(S2, S0);
  if (sizeof<C>() === 4) {
    // x² - 3 times x, with 3 from 1 + 1 + 1.
    addLimbs(S3, constants<C>() + FIELD_ONE, constants<C>() + FIELD_ONE);
    addLimbs(S3, S3, constants<C>() + FIELD_ONE);
    fieldSubtract<C>(S2, S2, S3);
  }
  fieldMultiply<C>(S2, S2, S0);
  addLimbs(S2, S2, constants<C>() + FIELD_B);
}

/**
 * Decodes a point (SEC 1, 2.3.4) and checks that it is on the curve, which leaves out infinity; both curves have the cofactor 1.
 *
 * @param out x ‖ y, 64 bytes
 * @param encoded 33 bytes that begin with 2 or 3, or 65 that begin with 4
 * @param length 33 or 65
 * @returns 1, or 0 where it is no such point
 */
export function decodePoint<C>(out: usize, encoded: usize, length: u32): u32 {
  const prime: usize = constants<C>() + PRIME;
  const form: u32 = <u32>load<u8>(encoded);
  if (length === 65 ? form !== 4 : length !== 33 || form >> 1 !== 1) return 0;
  elementOfBytes(S0, encoded + 1);
  if (notBelow(S0, prime) !== 0) return 0;
  enterField<C>(S0, S0);
  computeRight<C>();
  if (length === 65) {
    elementOfBytes(S1, encoded + 33);
    if (notBelow(S1, prime) !== 0) return 0;
    enterField<C>(S1, S1);
  } else {
    // Both primes are 3 modulo 4, so a root is a power. The right side is brought to reduced form first.
    memory.fill(T0, 0, 72);
    fieldSubtract<C>(S2, S2, T0);
    fieldPowerVartime<C>(S1, S2, constants<C>() + ROOT_EXPONENT);
  }
  fieldSquare<C>(S3, S1);
  fieldSubtract<C>(S3, S3, S2);
  if (fieldIsZeroVartime<C>(S3) === 0) return 0;
  leaveField<C>(S1, S1);
  if (length === 33 && (load<u64>(S1) & 1) !== <u64>(form & 1)) {
    for (let i: usize = 0; i < 72; i += 8) store<u64>(S1 + i, load<u64>(prime + i) - load<u64>(S1 + i));
    carryLimbs(S1);
  }
  memory.copy(out, encoded + 1, 32);
  bytesOfElement(out + 32, S1);
  return 1;
}
