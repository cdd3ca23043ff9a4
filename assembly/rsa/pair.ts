/**
 * Arithmetic modulo two odd numbers of one size at once: the primes of a key, two candidates for primes, or the moduli of two
 * public keys. A pair number is opaque and in Montgomery form. With vectors its halves are the lanes, in radix 2^51 where
 * multiply-adds are fused and in radix 2^24 where they are not; without they lie one behind the other in radix 2^28.
 */

import { equalMask64, maskOf } from "../ct";
import { natAdd, natSelect, natSubtract, natSubtractSmall, natZeroMask } from "../int/nat";
import { wipe } from "../memory";
import {
  fp24Add,
  fp24Get,
  fp24Limbs,
  fp24ModulusLength,
  fp24MultiplyMod,
  fp24Set,
  fp24SetModulus,
  fp24Shift,
  fp24SquareMod,
  fp24Stride,
} from "./fp24";
import { fp24Changes } from "./fp24-constants";
import {
  fp51Add,
  fp51Get,
  fp51IsFused,
  fp51Limbs,
  fp51ModulusLength,
  fp51MultiplyMod,
  fp51Prepare,
  fp51Set,
  fp51SetModulus,
  fp51Shift,
  fp51SquareMod,
  fp51Stride,
} from "./fp51";
import { fp51Changes } from "./fp51-constants";
import { fp24Select } from "./generated/fp24";
import { fp51Select } from "./generated/fp51";
import {
  int28Add,
  int28Get,
  int28ModulusLength,
  int28MultiplyMod,
  int28Select,
  int28Set,
  int28SetModulus,
  int28Shift,
  int28SquareMod,
  int28Stride,
} from "./int28";
import { joinLanes, lanesOf } from "./lanes";
import { IS_FP24, PAIR_LONG_LENGTH, PAIR_NUMBERS, PAIR_TABLE, PAIR_WORK, PAIR_WORK_LENGTH } from "./memory";

/** Bits of a window of exponents. */
const WINDOW: u32 = 5;

// Division of a context: the size in bits, then the moduli with what belongs to them, then the factors that bring numbers
// below 2^size, and 2^size times such, to Montgomery form.
const SIZE: usize = 0;
const MODULUS: usize = 16;

// Division of PAIR_NUMBERS.
const SCRATCH: usize = PAIR_NUMBERS;
const CHOSEN: usize = SCRATCH + PAIR_LONG_LENGTH;
const WORDS: usize = CHOSEN + PAIR_LONG_LENGTH;
const MORE_WORDS: usize = WORDS + 0x210;

/** Prepares what the arithmetic reads, and tells whether it is sound on this machine: 1 or 0. Time: constant. */
export function pairPrepare(): u32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    fp51Prepare();
    return fp51IsFused();
  }
  return 1;
}

/** Wipes everything that the arithmetic left behind. Time: constant. */
export function pairWipe(): void {
  wipe(PAIR_WORK, PAIR_WORK_LENGTH);
}

function sizeOf(context: usize): u32 {
  return load<u32>(context, SIZE);
}

/** Returns the exponent of the Montgomery factor 2^shift. */
function shiftOf(size: u32): u32 {
  if (ASC_FEATURE_RELAXED_SIMD) return fp51Shift(size);
  return IS_FP24 ? fp24Shift(size) : int28Shift(size);
}

/** Returns the bytes that a pair number of some size takes. */
export function pairStride(size: u32): usize {
  if (ASC_FEATURE_RELAXED_SIMD) return fp51Stride(size);
  return IS_FP24 ? fp24Stride(size) : int28Stride(size);
}

/** Returns the bytes of the moduli and what belongs to them. */
function modulusLength(size: u32): usize {
  if (ASC_FEATURE_RELAXED_SIMD) return fp51ModulusLength(size);
  return IS_FP24 ? fp24ModulusLength(size) : int28ModulusLength(size);
}

function enterLow(context: usize): usize {
  return context + MODULUS + modulusLength(sizeOf(context));
}

function enterHigh(context: usize): usize {
  return enterLow(context) + pairStride(sizeOf(context));
}

/** Multiplies: out ← x · y; out may be an operand. Time: depends on the size. */
export function pairMultiply(out: usize, x: usize, y: usize, context: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    fp51MultiplyMod(out, x, y, context + MODULUS, fp51Limbs(sizeOf(context)));
  } else if (IS_FP24) {
    fp24MultiplyMod(out, x, y, context + MODULUS, sizeOf(context));
  } else {
    int28MultiplyMod(out, x, y, context + MODULUS, sizeOf(context));
  }
}

/** Squares: out ← x²; out may be x. Time: depends on the size. */
export function pairSquare(out: usize, x: usize, context: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    fp51SquareMod(out, x, context + MODULUS, fp51Limbs(sizeOf(context)));
  } else if (IS_FP24) {
    fp24SquareMod(out, x, context + MODULUS, sizeOf(context));
  } else {
    int28SquareMod(out, x, context + MODULUS, sizeOf(context));
  }
}

/** Adds: out ← x + y, which may be an operand of products but of no other sum. Time: depends on the size. */
export function pairAdd(out: usize, x: usize, y: usize, context: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) fp51Add(out, x, y, fp51Limbs(sizeOf(context)));
  else if (IS_FP24) fp24Add(out, x, y, sizeOf(context));
  else int28Add(out, x, y, sizeOf(context));
}

/** Takes words to one half, 0 or 1, of a number as it is, without Montgomery's factor. Time: depends on the size. */
export function pairSet(out: usize, half: usize, words: usize, size: u32): void {
  if (ASC_FEATURE_RELAXED_SIMD) fp51Set(out, half, words, size);
  else if (IS_FP24) fp24Set(out, half, words, size);
  else int28Set(out, half, words, size);
}

/**
 * Writes one half of a number without Montgomery's factor as words, fully reduced.
 *
 * @returns 0, or something else below 2^63 where a fault left what is no number
 *
 * Time: depends on the size.
 */
export function pairGet(words: usize, half: usize, x: usize, context: usize): u64 {
  if (IS_FP24) return fp24Get(words, half, x, context + MODULUS, sizeOf(context));
  if (ASC_FEATURE_RELAXED_SIMD) fp51Get(words, half, x, context + MODULUS, sizeOf(context));
  else int28Get(words, half, x, context + MODULUS, sizeOf(context));
  return 0;
}

/**
 * Tells by one whether the arithmetic modulo a context is still arithmetic, as all ones or zero: after a fault of the moduli or
 * of constants everything may be 0, or no number, and equal to everything else.
 *
 * @param a words of the size, out
 * @param b the same
 * @param one a pair number, out
 *
 * Time: depends on the size.
 */
export function pairSoundMask(a: usize, b: usize, one: usize, context: usize): u32 {
  const words = sizeOf(context) >> 5;
  pairOne(one, context);
  let changes = pairLeave(a, b, one, context);
  if (ASC_FEATURE_RELAXED_SIMD) changes |= fp51Changes();
  else if (IS_FP24) changes |= fp24Changes();
  natSubtractSmall(a, a, 1, words);
  natSubtractSmall(b, b, 1, words);
  const none = <u32>equalMask64((changes | (changes >> 32)) & 0xffffffff, 0);
  return none & natZeroMask(a, words) & natZeroMask(b, words);
}

/** Writes 2^exponent modulo an odd number whose top bit is set, for an exponent a little above the size. */
function powerOfTwo(out: usize, modulus: usize, exponent: u32, size: u32): void {
  const words = size >> 5;
  memory.fill(out, 0, size >> 3);
  natSubtract(out, out, modulus, words);
  for (let bit = size; bit < exponent; ++bit) {
    const carry = natAdd(out, out, out, words);
    const borrow = natSubtract(MORE_WORDS, out, modulus, words);
    natSelect(out, <u32>maskOf(carry | (borrow ^ 1)), MORE_WORDS, out, words);
  }
}

/** Sets out ← base^exponent, which is base times as many bits as it takes; out must not be base. */
function raise(out: usize, base: usize, exponent: u32, context: usize): void {
  memory.copy(out, base, pairStride(sizeOf(context)));
  for (let bit: i32 = 30 - <i32>clz<u32>(exponent); bit >= 0; --bit) {
    pairSquare(out, out, context);
    if (((exponent >> bit) & 1) !== 0) pairMultiply(out, out, base, context);
  }
}

/**
 * Loads one modulus of a context for both halves, or two.
 *
 * @param context out
 * @param size 1024, 1536, 2048, 3072 or 4096 bits, public
 * @param a words, odd, with the top bit set, secret
 * @param b words, odd, with the top bit set, secret; may be a
 *
 * Time: depends on the size. Leaves secrets that `pairWipe` wipes.
 */
export function pairLoad(context: usize, size: u32, a: usize, b: usize): void {
  store<u32>(context, size, SIZE);
  if (ASC_FEATURE_RELAXED_SIMD) {
    fp51SetModulus(context + MODULUS, 0, a, size);
    fp51SetModulus(context + MODULUS, 1, b, size);
  } else if (IS_FP24) {
    fp24SetModulus(context + MODULUS, 0, a, size);
    fp24SetModulus(context + MODULUS, 1, b, size);
  } else {
    int28SetModulus(context + MODULUS, 0, a, size);
    int28SetModulus(context + MODULUS, 1, b, size);
  }
  // Two in Montgomery form, whose powers make the factors.
  const shift = shiftOf(size);
  powerOfTwo(WORDS, a, shift + 1, size);
  pairSet(CHOSEN, 0, WORDS, size);
  powerOfTwo(WORDS, b, shift + 1, size);
  pairSet(CHOSEN, 1, WORDS, size);
  raise(enterLow(context), CHOSEN, shift, context);
  if (size <= 2048) raise(enterHigh(context), CHOSEN, shift + size, context);
}

/** Joins the first half of one context and the second of another of the same size. Time: depends on the size. */
export function pairJoin(out: usize, a: usize, b: usize): void {
  const size = sizeOf(a);
  store<u32>(out, size, SIZE);
  if (ASC_FEATURE_SIMD) {
    joinLanes(out + MODULUS, a + MODULUS, b + MODULUS, modulusLength(size) + pairStride(size));
  } else {
    const half = int28ModulusLength(size) >> 1;
    memory.copy(out + MODULUS, a + MODULUS, half);
    memory.copy(out + MODULUS + half, b + MODULUS + half, half);
    const entry = int28Stride(size) >> 1;
    memory.copy(enterLow(out), enterLow(a), entry);
    memory.copy(enterLow(out) + entry, enterLow(b) + entry, entry);
  }
}

/** Takes residues, words below 2^size, to Montgomery form. Time: depends on the size. */
export function pairEnter(out: usize, context: usize, a: usize, b: usize): void {
  const size = sizeOf(context);
  pairSet(SCRATCH, 0, a, size);
  pairSet(SCRATCH, 1, b, size);
  pairMultiply(out, SCRATCH, enterLow(context), context);
}

/** Takes one number of twice as many words to Montgomery form in both halves; it may be an operand of products. */
export function pairEnterLong(out: usize, context: usize, a: usize): void {
  const size = sizeOf(context);
  pairEnter(out, context, a, a);
  pairSet(SCRATCH, 0, a + (size >> 3), size);
  pairSet(SCRATCH, 1, a + (size >> 3), size);
  pairMultiply(SCRATCH, SCRATCH, enterHigh(context), context);
  pairAdd(out, out, SCRATCH, context);
}

/** Writes both residues as words, fully reduced, and returns what `pairGet` does. Time: depends on the size. */
export function pairLeave(a: usize, b: usize, x: usize, context: usize): u64 {
  const size = sizeOf(context);
  memory.fill(WORDS, 0, size >> 3);
  store<u32>(WORDS, 1);
  pairSet(SCRATCH, 0, WORDS, size);
  pairSet(SCRATCH, 1, WORDS, size);
  pairMultiply(SCRATCH, x, SCRATCH, context);
  return pairGet(a, 0, SCRATCH, context) | pairGet(b, 1, SCRATCH, context);
}

/** Writes one in Montgomery form. Time: depends on the size. */
export function pairOne(out: usize, context: usize): void {
  const size = sizeOf(context);
  memory.fill(WORDS, 0, size >> 3);
  store<u32>(WORDS, 1);
  pairEnter(out, context, WORDS, WORDS);
}

/** Returns bits of a secret exponent from a public position on. Time: constant. */
function windowAt(exponent: usize, position: u32, size: u32): u64 {
  const bits = load<u64>(exponent + (position >> 3)) >> <u64>(position & 7);
  return bits & (((<u64>1) << (<u64>min<u32>(WINDOW, size - position))) - 1);
}

function select(exponentA: usize, exponentB: usize, position: u32, size: u32): void {
  const a = windowAt(exponentA, position, size);
  const b = windowAt(exponentB, position, size);
  if (ASC_FEATURE_RELAXED_SIMD) fp51Select(CHOSEN, PAIR_TABLE, lanesOf(a, b), fp51Limbs(size));
  else if (IS_FP24) fp24Select(CHOSEN, PAIR_TABLE, lanesOf(a, b), fp24Limbs(size));
  else int28Select(CHOSEN, PAIR_TABLE, a, b, size);
}

/**
 * Raises each half to a power of its own: out ← x^exponents.
 *
 * @param out a pair number; may be x
 * @param x a pair number, secret
 * @param context of the moduli
 * @param exponentA words of the size, and eight bytes that may be read, secret
 * @param exponentB the same
 *
 * Time: depends on the size. Leaves secrets that `pairWipe` wipes.
 */
export function pairPower(out: usize, x: usize, context: usize, exponentA: usize, exponentB: usize): void {
  const size = sizeOf(context);
  const stride = pairStride(size);
  pairOne(PAIR_TABLE, context);
  memory.copy(PAIR_TABLE + stride, x, stride);
  for (let i: usize = 2; i < 32; i += 2) {
    pairSquare(PAIR_TABLE + i * stride, PAIR_TABLE + (i >> 1) * stride, context);
    pairMultiply(PAIR_TABLE + (i + 1) * stride, PAIR_TABLE + i * stride, PAIR_TABLE + stride, context);
  }
  let position: u32 = ((size - 1) / WINDOW) * WINDOW;
  select(exponentA, exponentB, position, size);
  memory.copy(out, CHOSEN, stride);
  while (position > 0) {
    position -= WINDOW;
    for (let i: u32 = 0; i < WINDOW; ++i) pairSquare(out, out, context);
    select(exponentA, exponentB, position, size);
    pairMultiply(out, out, CHOSEN, context);
  }
}

/**
 * Raises both halves to a public power.
 *
 * @param out a pair number; must not be base
 * @param base a pair number, secret
 * @param context of the moduli
 * @param exponent words, public
 * @param bits of the exponent, the topmost of which is set, public
 * @param last what the last multiplication takes instead of base, for an odd exponent above 1: base without Montgomery's
 *   factor gives the power without it
 *
 * Time: depends on the size and the exponent.
 */
export function pairPowerPublic(
  out: usize,
  base: usize,
  context: usize,
  exponent: usize,
  bits: u32,
  last: usize,
): void {
  memory.copy(out, base, pairStride(sizeOf(context)));
  for (let bit: i32 = <i32>bits - 2; bit >= 0; --bit) {
    pairSquare(out, out, context);
    if (((load<u32>(exponent + ((<usize>bit >> 5) << 2)) >> (bit & 31)) & 1) !== 0) {
      pairMultiply(out, out, bit === 0 ? last : base, context);
    }
  }
}
