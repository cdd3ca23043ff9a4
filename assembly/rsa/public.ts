/** Public operations, one at a time or two of one size at once. Everything here is public. */

import { natEqualMask, natFromBytes, natLessMask, natToBytes } from "../int/nat";
import { wipe } from "../memory";
import {
  PAIR_LONG_LENGTH,
  RSA_BLOCK_LENGTH,
  RSA_BLOCKS_LENGTH,
  RSA_INPUT,
  RSA_KEY_PARTS,
  RSA_KEY_PARTS_LENGTH,
  RSA_OUTPUT,
  RSA_PUBLIC,
  RSA_PUBLIC_COUNT,
  RSA_PUBLIC_LENGTH,
  RSA_PUBLIC_PAIR,
  RSA_STATE,
} from "./memory";
import { pairEnter, pairGet, pairJoin, pairLoad, pairPowerPublic, pairSet, pairWipe } from "./pair";
import { bitLength, isKeySize, isModulus, isPublicExponent, PART_E, PART_N } from "./parts";

// Division of a slot: bits of the modulus or 0, bits of e, e as words; then the modulus as words, and the context, both halves of which are the key's.
const BITS: usize = 0;
const E_BITS: usize = 4;
const E: usize = 0x10;
const N: usize = 0x40;
const CONTEXT: usize = 0x240;

// Division of RSA_STATE.
const A: usize = RSA_STATE;
const B: usize = RSA_STATE + 0x220;
const PLAIN: usize = RSA_STATE + 0x440;
const BASE: usize = PLAIN + PAIR_LONG_LENGTH;
const POWER: usize = BASE + PAIR_LONG_LENGTH;

function slotAt(slot: u32): usize {
  return RSA_PUBLIC + <usize>slot * RSA_PUBLIC_LENGTH;
}

function bitsOf(slot: u32): u32 {
  return slot < RSA_PUBLIC_COUNT ? load<u32>(slotAt(slot), BITS) : 0;
}

/** Empties a slot and returns 1, or 0 where there is no such slot. */
export function rsaDropPublic(slot: u32): u32 {
  if (slot >= RSA_PUBLIC_COUNT) return 0;
  wipe(slotAt(slot), RSA_PUBLIC_LENGTH);
  return 1;
}

/**
 * Loads the modulus and the exponent in RSA_KEY_PARTS into a slot.
 *
 * @param slot public
 * @param bits of the modulus: 2048, 3072 or 4096
 * @returns 1, or 0 where the slot, the size or the numbers cannot be served
 */
export function rsaLoadPublic(slot: u32, bits: u32): u32 {
  if (slot >= RSA_PUBLIC_COUNT || !isKeySize(bits)) return 0;
  const key = slotAt(slot);
  const words = bits >> 5;
  wipe(key, RSA_PUBLIC_LENGTH);
  natFromBytes(key + E, 8, RSA_KEY_PARTS + PART_E, 32);
  natFromBytes(key + N, words, RSA_KEY_PARTS + PART_N, bits >> 3);
  wipe(RSA_KEY_PARTS, RSA_KEY_PARTS_LENGTH);
  if (!isPublicExponent(key + E) || isModulus(key + N, words) === 0) return 0;
  store<u32>(key, bits, BITS);
  store<u32>(key, bitLength(key + E, 8), E_BITS);
  pairLoad(key + CONTEXT, bits, key + N, key + N);
  pairWipe();
  return 1;
}

/** Reads the number of a request and tells whether it is below the modulus of its key: 1 or 0. */
function readInput(out: usize, key: usize, index: usize): u32 {
  const words = load<u32>(key, BITS) >> 5;
  natFromBytes(out, words, RSA_INPUT + index * RSA_BLOCK_LENGTH, 4 * words);
  return natLessMask(out, key + N, words) & 1;
}

/** Raises A and B to a power modulo the moduli of a context. */
function raise(context: usize, key: usize): void {
  const bits = load<u32>(key, BITS);
  pairSet(PLAIN, 0, A, bits);
  pairSet(PLAIN, 1, B, bits);
  pairEnter(BASE, context, A, B);
  // The last factor is the number as it is, which takes the power out of Montgomery form.
  pairPowerPublic(POWER, BASE, context, key + E, load<u32>(key, E_BITS), PLAIN);
}

/** Writes the power of a request. */
function writeOutput(context: usize, half: usize, index: usize, bits: u32): void {
  pairGet(A, half, POWER, context);
  natToBytes(RSA_OUTPUT + index * RSA_BLOCK_LENGTH, bits >> 3, A, bits >> 5);
}

/**
 * Raises the number in RSA_INPUT to the public exponent, into RSA_OUTPUT.
 *
 * @param slot public
 * @returns 1, or 0 where the slot is empty or the number is not below the modulus
 *
 * Source: RFC 8017, 5.1.1 and 5.2.2.
 */
export function rsaPublic(slot: u32): u32 {
  wipe(RSA_OUTPUT, RSA_BLOCK_LENGTH);
  const done = bitsOf(slot) === 0 ? 0 : single(slotAt(slot), 0);
  pairWipe();
  return done;
}

/** Serves one request of a pair, or the only one. */
function single(key: usize, index: usize): u32 {
  if (readInput(A, key, index) === 0) return 0;
  memory.copy(B, A, load<u32>(key, BITS) >> 3);
  raise(key + CONTEXT, key);
  writeOutput(key + CONTEXT, 0, index, load<u32>(key, BITS));
  return 1;
}

/**
 * Serves two requests with keys of one size, which may be one key: the numbers of RSA_INPUT go to RSA_OUTPUT.
 *
 * @param slotA key of the first, public
 * @param slotB key of the second, public
 * @returns the sum of 1 where the first was served and 2 where the second was
 */
export function rsaPublicPair(slotA: u32, slotB: u32): u32 {
  wipe(RSA_OUTPUT, RSA_BLOCKS_LENGTH);
  const bits = bitsOf(slotA);
  if (bits === 0 || bits !== bitsOf(slotB)) return 0;
  const first = slotAt(slotA);
  const second = slotAt(slotB);
  const served = readInput(A, first, 0) | (readInput(B, second, 1) << 1);
  if (served === 3 && natEqualMask(first + E, second + E, 8) !== 0) {
    if (slotA !== slotB) pairJoin(RSA_PUBLIC_PAIR, first + CONTEXT, second + CONTEXT);
    const context = slotA === slotB ? first + CONTEXT : RSA_PUBLIC_PAIR;
    raise(context, first);
    writeOutput(context, 0, 0, bits);
    writeOutput(context, 1, 1, bits);
  } else {
    if ((served & 1) !== 0) single(first, 0);
    if ((served & 2) !== 0) single(second, 1);
  }
  pairWipe();
  return served;
}
