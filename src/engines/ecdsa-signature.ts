/**
 * ECDSA signatures as strict DER (SEC 1, C.8) and as r ‖ s of 64 bytes (IEEE P1363). Both readers take exactly one
 * encoding of each (r, s) with r and s in 1..n-1, so nobody can alter a signature's bytes and have it still verify.
 */

import { DerError, DerReader, DerTag, der, derUnsigned, encodeDer } from "./der.ts";
import { isLowVartime, isSignatureScalarVartime, negateScalar, SCALAR_LENGTH } from "./ec-scalar.ts";
import type { CurveName } from "./engine.ts";

/** Bytes of r ‖ s. */
export const P1363_LENGTH: number = 2 * SCALAR_LENGTH;

/** Reads a DER signature into r ‖ s; undefined for anything else. */
export function readDerSignature(curve: CurveName, signature: Uint8Array): Uint8Array | undefined {
  try {
    const outer = new DerReader(signature);
    const sequence = outer.enter(DerTag.sequence);
    outer.end();
    const pair = new Uint8Array(P1363_LENGTH);
    for (const end of [SCALAR_LENGTH, P1363_LENGTH]) {
      const scalar = sequence.unsigned();
      if (scalar.length > SCALAR_LENGTH) return undefined;
      pair.set(scalar, end - scalar.length);
    }
    sequence.end();
    return readP1363Signature(curve, pair);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** Checks the length of r ‖ s and the ranges of both; undefined for anything else. */
export function readP1363Signature(curve: CurveName, signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== P1363_LENGTH) return undefined;
  const inRange =
    isSignatureScalarVartime(curve, signature.subarray(0, SCALAR_LENGTH)) &&
    isSignatureScalarVartime(curve, signature.subarray(SCALAR_LENGTH));
  return inRange ? signature : undefined;
}

/** Writes r ‖ s as DER. */
export function encodeDerSignature(pair: Uint8Array): Uint8Array {
  return encodeDer(
    der(
      DerTag.sequence,
      derUnsigned(pair.subarray(0, SCALAR_LENGTH)),
      derUnsigned(pair.subarray(SCALAR_LENGTH)),
    ),
  );
}

/** Tells whether s of r ‖ s is at most n/2. */
export function hasLowS(curve: CurveName, pair: Uint8Array): boolean {
  return isLowVartime(curve, pair.subarray(SCALAR_LENGTH));
}

/** Replaces s by n - s in place where s is above n/2; the signature stays valid. */
export function lowerS(curve: CurveName, pair: Uint8Array): void {
  if (!hasLowS(curve, pair)) negateScalar(curve, pair.subarray(SCALAR_LENGTH));
}
