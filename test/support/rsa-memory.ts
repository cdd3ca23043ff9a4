/** Where the builds of the RSA module keep keys and what they work on: docs/memory-map.md. */

import type { WasmBuild } from "../../src/engines/wasm/module.ts";

export interface RsaMemory {
  /** The slots of private keys, and the bytes of each. */
  readonly slots: number;
  readonly slotLength: number;
  /** Everything that an operation leaves behind, as [start, end). */
  readonly work: readonly [number, number];
  /** The result of a private operation of 2048 bits before it leaves. */
  readonly result: readonly [number, number];
  /** Public constants of the arithmetic and static data, as [start, end). */
  readonly constants: readonly [number, number];
  /** Of a slot: dP, the blinding and what undoes it, and places in its numbers, its pairs and its moduli. */
  readonly dP: number;
  readonly blind: number;
  readonly unblind: number;
  readonly places: readonly number[];
  /** Of a slot: the moduli with what belongs to them; and the digits of a number of 1024 bits where pairs are vectors. */
  readonly context: number;
  readonly digits: number;
}

/** Of a slot: p, q, dP, dQ. */
const WORDS = [0x250, 0x350, 0x450, 0x550];

const NARROW: RsaMemory = {
  slots: 0x30000,
  slotLength: 0x2000,
  work: [0x27000, 0x30000],
  result: [0x28d00, 0x28e00],
  constants: [0xa2000, 0xb2000],
  dP: 0x440,
  blind: 0x900,
  unblind: 0xba0,
  places: [...WORDS, 0x680, 0x920, 0xbc0, 0xe60, 0xf00, 0x1000, 0x1200],
  context: 0xe40,
  digits: 21,
};

/** Pairs of the plain vectors are longer. */
const WIDE: RsaMemory = {
  slots: 0x40000,
  slotLength: 0x3000,
  work: [0x27000, 0x38100],
  result: [0x2a480, 0x2a580],
  constants: [0xf0000, 0x100000],
  dP: 0x440,
  blind: 0xc10,
  unblind: 0x11c0,
  places: [...WORDS, 0x680, 0xc30, 0x11e0, 0x1790, 0x1a00, 0x1b40, 0x1d00],
  context: 0x1770,
  digits: 43,
};

export function rsaMemory(build: WasmBuild): RsaMemory {
  return build === "simd" ? WIDE : NARROW;
}
