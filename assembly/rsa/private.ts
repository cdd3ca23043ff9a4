import { equalMask64, zeroBit64 } from "../ct";
import {
  natAddMasked,
  natAddSmall,
  natEqualMask,
  natFromBytes,
  natLessMask,
  natMultiply,
  natSubtract,
  natToBytes,
  natZeroMask,
} from "../int/nat";
import { wipe } from "../memory";
import {
  PAIR_LENGTH,
  RSA_BLOCK_LENGTH,
  RSA_INPUT,
  RSA_KEY_PARTS,
  RSA_KEY_PARTS_LENGTH,
  RSA_OUTPUT,
  RSA_PRIVATE,
  RSA_PRIVATE_COUNT,
  RSA_PRIVATE_LENGTH,
  RSA_RANDOM,
  RSA_RANDOM_LENGTH,
  RSA_STATE,
} from "./memory";
import {
  pairEnter,
  pairEnterLong,
  pairGet,
  pairLeave,
  pairLoad,
  pairMultiply,
  pairPower,
  pairPowerPublic,
  pairSet,
  pairSoundMask,
  pairSquare,
  pairWipe,
} from "./pair";
import {
  bitLength,
  isKeySize,
  isModulus,
  isPublicExponent,
  PART_DP,
  PART_DQ,
  PART_E,
  PART_N,
  PART_P,
  PART_Q,
  PART_QINV,
} from "./parts";

/** How many results a blinding serves before fresh random bytes must renew it. */
const BLINDING_USES: u32 = 64;

/** Answers of `rsaPrivate`. */
const TOO_LARGE: u32 = 0;
const DONE: u32 = 1;
const NEEDS_BLINDING: u32 = 2;
const FAULTY: u32 = 3;

// Division of a slot: bits of the modulus or 0, uses that the blinding has left, bits of e, a seal on both sizes; then numbers as words; then pairs.
const BITS: usize = 0;
const USES: usize = 4;
const E_BITS: usize = 8;
const SEAL: usize = 12;
const E: usize = 0x20;
const N: usize = 0x40;
const P: usize = 0x240;
const Q: usize = 0x340;
const DP: usize = 0x440;
const DQ: usize = 0x540;
const QINV: usize = 0x660;
const BLIND: usize = QINV + PAIR_LENGTH;
const UNBLIND: usize = BLIND + PAIR_LENGTH;
const CONTEXT: usize = UNBLIND + PAIR_LENGTH;

// Division of RSA_STATE.
const WIDE: usize = RSA_STATE;
const A: usize = RSA_STATE + 0x220;
const B: usize = RSA_STATE + 0x330;
const A_AGAIN: usize = RSA_STATE + 0x440;
const B_AGAIN: usize = RSA_STATE + 0x550;
const PRODUCT: usize = RSA_STATE + 0x660;
const ENTERED: usize = RSA_STATE + 0x880;
const X: usize = ENTERED + PAIR_LENGTH;
const CHECK: usize = X + PAIR_LENGTH;

function slotAt(slot: u32): usize {
  return RSA_PRIVATE + <usize>slot * RSA_PRIVATE_LENGTH;
}

/**
 * Makes a verdict of all ones or zero public. This is the only place where a secret decides what runs next: whether numbers
 * fit together, whether a number is below the modulus, whether a random number is zero, whether a result passed its check.
 */
function isTrue(mask: u32): bool {
  return zeroBit64(<u64>~mask) === 1;
}

/** Returns what stands beside the sizes of a slot, so that none that changed by itself is taken. */
function sealOf(key: usize): u32 {
  return ~(load<u32>(key, BITS) | (load<u32>(key, E_BITS) << 16));
}

function isLoaded(slot: u32): bool {
  return slot < RSA_PRIVATE_COUNT && load<u32>(slotAt(slot), BITS) !== 0;
}

/** Tells whether the sizes of a loaded key are those it was loaded with. */
function isSound(slot: u32): bool {
  return load<u32>(slotAt(slot), SEAL) === sealOf(slotAt(slot));
}

/** Wipes the key in a slot and returns 1, or 0 where there is no such slot. Time: constant. */
export function rsaDropPrivate(slot: u32): u32 {
  if (slot >= RSA_PRIVATE_COUNT) return 0;
  wipe(slotAt(slot), RSA_PRIVATE_LENGTH);
  return 1;
}

/** Reads one half of a key: a number of half the bytes of the modulus. */
function readHalf(out: usize, part: usize, bits: u32): void {
  natFromBytes(out, bits >> 6, RSA_KEY_PARTS + part, bits >> 4);
}

/** Tells whether the numbers in a slot belong together, as far as that costs little, as all ones or zero. Time: depends on bits alone. */
function fitTogether(key: usize, bits: u32): u32 {
  const words = bits >> 6;
  natMultiply(PRODUCT, key + P, words, key + Q, words);
  readHalf(A, PART_QINV, bits);
  return (
    natEqualMask(PRODUCT, key + N, 2 * words) &
    ~natEqualMask(key + P, key + Q, words) &
    natLessMask(key + DP, key + P, words) &
    natLessMask(key + DQ, key + Q, words) &
    natLessMask(A, key + P, words) &
    isModulus(key + P, words) &
    isModulus(key + Q, words)
  );
}

/**
 * Loads the key in RSA_KEY_PARTS, which it wipes, into a slot. It has no blinding yet.
 *
 * @param slot public
 * @param bits of the modulus: 2048, 3072 or 4096, public
 * @returns 1, or 0 where the slot, the size or the numbers cannot be served: both primes must have half the bits
 *
 * Time: depends on bits and e.
 */
export function rsaLoadPrivate(slot: u32, bits: u32): u32 {
  const loaded = slot < RSA_PRIVATE_COUNT && isKeySize(bits) ? loadParts(slotAt(slot), bits) : 0;
  wipe(RSA_KEY_PARTS, RSA_KEY_PARTS_LENGTH);
  pairWipe();
  return loaded;
}

function loadParts(key: usize, bits: u32): u32 {
  wipe(key, RSA_PRIVATE_LENGTH);
  const words = bits >> 6;
  natFromBytes(key + E, 8, RSA_KEY_PARTS + PART_E, 32);
  if (!isPublicExponent(key + E)) {
    wipe(key, RSA_PRIVATE_LENGTH);
    return 0;
  }
  natFromBytes(key + N, 2 * words, RSA_KEY_PARTS + PART_N, bits >> 3);
  readHalf(key + P, PART_P, bits);
  readHalf(key + Q, PART_Q, bits);
  readHalf(key + DP, PART_DP, bits);
  readHalf(key + DQ, PART_DQ, bits);
  if (isTrue(fitTogether(key, bits))) {
    store<u32>(key, bits, BITS);
    store<u32>(key, bitLength(key + E, 8), E_BITS);
    store<u32>(key, sealOf(key), SEAL);
    pairLoad(key + CONTEXT, bits >> 1, key + P, key + Q);
    // A still holds qInv; the other half is never read.
    pairEnter(key + QINV, key + CONTEXT, A, A);
    return 1;
  }
  wipe(key, RSA_PRIVATE_LENGTH);
  return 0;
}

/**
 * Renews the blinding of a key from RSA_RANDOM, which it wipes: for each prime half the bytes of the modulus and 16 more.
 *
 * @param slot public
 * @returns 1, or 0 where the slot is empty or the numbers are zero modulo a prime: draw again
 *
 * Time: depends on the size of the key.
 */
export function rsaBlind(slot: u32): u32 {
  const renewed = isLoaded(slot) && isSound(slot) ? blind(slotAt(slot)) : 0;
  wipe(RSA_RANDOM, RSA_RANDOM_LENGTH);
  pairWipe();
  return renewed;
}

function blind(key: usize): u32 {
  const words = load<u32>(key, BITS) >> 6;
  const length = 4 * words + 16;
  const context = key + CONTEXT;
  store<u32>(key, 0, USES);
  // Each number has 128 bits more than its modulus, so that residues are uniform.
  natFromBytes(WIDE, 2 * words, RSA_RANDOM, length);
  pairEnterLong(X, context, WIDE);
  natFromBytes(WIDE, 2 * words, RSA_RANDOM + 0x200, length);
  pairEnterLong(CHECK, context, WIDE);
  // The first serves p, the second q.
  pairLeave(A, B, X, context);
  pairLeave(A_AGAIN, B, CHECK, context);
  if (isTrue(natZeroMask(A, words) | natZeroMask(B, words))) return 0;
  pairEnter(key + UNBLIND, context, A, B);
  // r^(p - 1 - e) is r^-e.
  exponentOfInverse(A, key + P, key + E, words);
  exponentOfInverse(B, key + Q, key + E, words);
  pairPower(key + BLIND, key + UNBLIND, context, A, B);
  store<u32>(key, BLINDING_USES, USES);
  return 1;
}

/** Sets out ← prime - 1 - e. Time: depends on words alone. */
function exponentOfInverse(out: usize, prime: usize, e: usize, words: u32): void {
  memory.fill(out, 0, 4 * <usize>words);
  memory.copy(out, e, 32);
  natAddSmall(out, out, 1, words);
  natSubtract(out, prime, out, words);
}

/**
 * Raises the number in RSA_INPUT to the private exponent, into RSA_OUTPUT.
 *
 * @param slot public
 * @returns 1; 0 where the slot is empty or the number is not below the modulus; 2 where the blinding must be renewed first; 3
 *   where the result is not the root of the number, because the key is wrong or something went wrong: nothing of it is kept
 *
 * Time: depends on the size of the key and e. Source: RFC 8017, 5.1.2, blinded as by Kocher, checked as by Boneh, DeMillo and
 * Lipton.
 */
export function rsaPrivate(slot: u32): u32 {
  wipe(RSA_OUTPUT, RSA_BLOCK_LENGTH);
  if (!isLoaded(slot)) return TOO_LARGE;
  if (!isSound(slot)) return FAULTY;
  const key = slotAt(slot);
  const words = load<u32>(key, BITS) >> 5;
  natFromBytes(WIDE, words, RSA_INPUT, 4 * words);
  let answer: u32 = TOO_LARGE;
  if (isTrue(natLessMask(WIDE, key + N, words))) {
    answer = NEEDS_BLINDING;
    const uses = load<u32>(key, USES);
    if (uses > 0) {
      store<u32>(key, uses - 1, USES);
      const right = compute(key, words);
      answer = FAULTY;
      if (isTrue(right)) {
        answer = DONE;
      } else {
        wipe(RSA_OUTPUT, RSA_BLOCK_LENGTH);
        store<u32>(key, 0, USES);
        wipe(key + BLIND, CONTEXT - BLIND);
      }
    }
  }
  pairWipe();
  return answer;
}

/** Writes the root of WIDE to RSA_OUTPUT and tells whether it is that, as all ones or zero. */
function compute(key: usize, words: u32): u32 {
  const half = words >> 1;
  const context = key + CONTEXT;
  pairEnterLong(ENTERED, context, WIDE);
  pairMultiply(X, ENTERED, key + BLIND, context);
  pairPower(X, X, context, key + DP, key + DQ);
  pairMultiply(X, X, key + UNBLIND, context);
  pairSquare(key + BLIND, key + BLIND, context);
  pairSquare(key + UNBLIND, key + UNBLIND, context);
  pairLeave(A, B, X, context);
  recombine(key, half);
  natToBytes(RSA_OUTPUT, 4 * words, WIDE, words);
  // The words are raised to e again. What leaves must be the same before and after, so that neither changes meanwhile.
  pairEnterLong(X, context, WIDE);
  pairPowerPublic(CHECK, X, context, key + E, load<u32>(key, E_BITS), X);
  // What is no number in the end was none on the way.
  const strange = pairLeave(A, B, CHECK, context) | pairLeave(A_AGAIN, B_AGAIN, ENTERED, context);
  const equal = natEqualMask(A, A_AGAIN, half) & natEqualMask(B, B_AGAIN, half);
  const sound = <u32>equalMask64(strange, 0) & pairSoundMask(A, B, X, context);
  natFromBytes(PRODUCT, words, RSA_OUTPUT, 4 * words);
  return equal & sound & natEqualMask(PRODUCT, WIDE, words);
}

/** Sets WIDE to the number below p q that is A modulo p and B modulo q. Time: depends on words alone. */
function recombine(key: usize, words: u32): void {
  const context = key + CONTEXT;
  // A - B is above -2 p, because both primes have their top bit set.
  let below = natSubtract(A, A, B, words);
  below -= natAddMasked(A, A, key + P, 0 - below, words);
  natAddMasked(A, A, key + P, 0 - below, words);
  pairSet(X, 0, A, words << 5);
  pairSet(X, 1, A, words << 5);
  pairMultiply(X, X, key + QINV, context);
  pairGet(A, 0, X, context);
  natMultiply(WIDE, A, words, key + Q, words);
  memory.fill(PRODUCT, 0, 8 * <usize>words);
  memory.copy(PRODUCT, B, 4 * <usize>words);
  natAddMasked(WIDE, WIDE, PRODUCT, 0xffffffff, 2 * words);
}
