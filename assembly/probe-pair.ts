/** Opens the arithmetic on pairs to tests, by address, or by the places it works in. Compiled for tests alone; never shipped. */

import { P256, Secp256k1 } from "./ecdsa/field";
import { unpackPair } from "./ecdsa/generated/pair-point";
import { carryPair, leavePair, multiplyPair, squarePair } from "./ecdsa/pair";
import { addPicked, doublePair, enterSum, leaveSum, PICKED_PAIR, SUM_PAIR } from "./ecdsa/pair-point";
import { addPickedVartime, isInfinite, setInfinite } from "./ecdsa/pair-verify";
import { SUM } from "./ecdsa/state";

export { PICKED_PAIR, SUM, SUM_PAIR };

export function multiply(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) multiplyPair<P256>(out, a, b);
  else multiplyPair<Secp256k1>(out, a, b);
}
export function square(p256: bool, out: usize, a: usize): void {
  if (p256) squarePair<P256>(out, a);
  else squarePair<Secp256k1>(out, a);
}
export function carry(p256: bool, a: usize): void {
  if (p256) carryPair<P256>(a);
  else carryPair<Secp256k1>(a);
}
export function unpack(out: usize, a: usize, b: usize): void {
  unpackPair(out, a, b);
}
export function leave(p256: bool, out: usize, pair: usize, lane: usize, factor: f64): void {
  if (p256) leavePair<P256>(out, pair, lane, factor);
  else leavePair<Secp256k1>(out, pair, lane, factor);
}
/** Does one thing to SUM in pairs: 0 doubles it, 1 adds PICKED_PAIR, 2 adds it whatever it is. Returns whether it is infinity. */
export function onSum(p256: bool, eight: bool, step: u32, infinite: bool): bool {
  return p256 ? onSumOf<P256>(eight, step, infinite) : onSumOf<Secp256k1>(eight, step, infinite);
}
function onSumOf<C>(eight: bool, step: u32, infinite: bool): bool {
  setInfinite(infinite);
  enterSum<C>(eight);
  if (step === 0) doublePair<C>(SUM_PAIR, SUM_PAIR);
  else if (step === 1) addPicked<C>(eight);
  else addPickedVartime<C>(eight);
  leaveSum<C>(eight);
  return isInfinite();
}
