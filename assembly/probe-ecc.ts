/** Opens inner steps of the curve kernels to tests, by address. Compiled for tests alone; never shipped. */

import {
  enterField,
  fieldHalfTriple,
  fieldInvert,
  fieldInvertVartime,
  fieldMultiply,
  fieldReduce,
  fieldSquare,
  fieldSubtract,
  leaveField,
  P256,
  Secp256k1,
} from "./ecdsa/field";

import { addMixed, addMixedOrDouble, addMixedVartime, doublePoint } from "./ecdsa/point";
import { orderInvert, orderInvertVartime, orderMultiply, orderReduce } from "./ecdsa/scalar";

export { HALF_1, HALF_2, SIGN_1, SIGN_2, splitScalar } from "./ecdsa/split";
export { addLimbs } from "./int/limbs";

export function multiply(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) fieldMultiply<P256>(out, a, b);
  else fieldMultiply<Secp256k1>(out, a, b);
}
export function square(p256: bool, out: usize, a: usize): void {
  if (p256) fieldSquare<P256>(out, a);
  else fieldSquare<Secp256k1>(out, a);
}
export function subtract(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) fieldSubtract<P256>(out, a, b);
  else fieldSubtract<Secp256k1>(out, a, b);
}
export function halfTriple(p256: bool, out: usize, a: usize): void {
  if (p256) fieldHalfTriple<P256>(out, a);
  else fieldHalfTriple<Secp256k1>(out, a);
}
export function reduce(p256: bool, out: usize, a: usize): void {
  if (p256) fieldReduce<P256>(out, a);
  else fieldReduce<Secp256k1>(out, a);
}
export function enter(p256: bool, out: usize, a: usize): void {
  if (p256) enterField<P256>(out, a);
  else enterField<Secp256k1>(out, a);
}
export function leave(p256: bool, out: usize, a: usize): void {
  if (p256) leaveField<P256>(out, a);
  else leaveField<Secp256k1>(out, a);
}
export function invert(p256: bool, vartime: bool, out: usize, a: usize): void {
  if (vartime) {
    if (p256) fieldInvertVartime<P256>(out, a);
    else fieldInvertVartime<Secp256k1>(out, a);
  } else {
    if (p256) fieldInvert<P256>(out, a);
    else fieldInvert<Secp256k1>(out, a);
  }
}
export function orderMul(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) orderMultiply<P256>(out, a, b);
  else orderMultiply<Secp256k1>(out, a, b);
}
export function orderRed(p256: bool, out: usize, a: usize): void {
  if (p256) orderReduce<P256>(out, a);
  else orderReduce<Secp256k1>(out, a);
}
export function orderInv(p256: bool, vartime: bool, out: usize, a: usize): void {
  if (vartime) {
    if (p256) orderInvertVartime<P256>(out, a);
    else orderInvertVartime<Secp256k1>(out, a);
  } else {
    if (p256) orderInvert<P256>(out, a);
    else orderInvert<Secp256k1>(out, a);
  }
}
export function double(p256: bool, out: usize, a: usize): void {
  if (p256) doublePoint<P256>(out, a);
  else doublePoint<Secp256k1>(out, a);
}
export function add(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixed<P256>(out, a, b);
  else addMixed<Secp256k1>(out, a, b);
}
export function addOrDouble(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixedOrDouble<P256>(out, a, b);
  else addMixedOrDouble<Secp256k1>(out, a, b);
}
export function addVartime(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixedVartime<P256>(out, a, b);
  else addMixedVartime<Secp256k1>(out, a, b);
}
