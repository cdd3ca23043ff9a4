/** What the constant-time tools run: an operation, the secrets it must not tell apart, and the answers it must give. */

import { createHash } from "node:crypto";
import type { Rig } from "./rig.ts";

/** Named byte strings: the secrets of a run, and what the host derived from them beforehand. */
export type Input = Readonly<Record<string, Uint8Array>>;

/**
 * One operation. All inputs agree on what is public: lengths, IVs, AAD, and the verdict.
 *
 * `run` starts from the same public state each time and returns to it: it destroys the keys it imports. The first two
 * inputs differ in every byte of every secret, so that a byte is known to depend on a secret by comparing two runs.
 */
export interface Scenario {
  readonly name: string;
  readonly inputs: readonly Input[];
  /** Runs the operation and returns what it answers, for `expected`. */
  run(rig: Rig, input: Input): unknown;
  /** Says what `run` must return, from a source other than the module. */
  expected(input: Input): unknown;
  /** Least number of inputs where 100 would take too long, as for RSA. */
  readonly fewerInputs?: number;
  /** Whether the timing test runs it as well. */
  readonly timed?: true;
  /** Names a scenario that must leave the same trace as this one, for outcomes that must look alike. */
  readonly sameTraceAs?: string;
}

/** Fills bytes from a seed: the same ones on every run. */
export function seededBytes(seed: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0, block = 0; at < length; at += 32, block++) {
    const digest = createHash("sha256").update(`${seed} ${block}`).digest();
    bytes.set(digest.subarray(0, Math.min(32, length - at)), at);
  }
  return bytes;
}

type Fill = (length: number, random: Uint8Array) => Uint8Array;

const constant =
  (byte: number): Fill =>
  (length) =>
    new Uint8Array(length).fill(byte);

/** Sets a single bit; negative places count from the end. */
const singleBit =
  (place: number): Fill =>
  (length) => {
    const bytes = new Uint8Array(length);
    const bit = place < 0 ? 8 * length + place : place;
    const at = bit >> 3;
    if (at >= 0 && at < length) bytes[at] = 1 << (bit & 7);
    return bytes;
  };

const byPlace =
  (byte: (place: number, length: number) => number): Fill =>
  (length) =>
    Uint8Array.from({ length }, (_, place) => byte(place, length));

/** Values that a shortcut in arithmetic or a table would treat apart. */
const EDGES: readonly Fill[] = [
  constant(0x00),
  constant(0xff),
  constant(0x01),
  constant(0x80),
  constant(0x55),
  constant(0xaa),
  constant(0x0f),
  constant(0xf0),
  constant(0x52),
  constant(0x63),
  singleBit(0),
  singleBit(7),
  singleBit(8),
  singleBit(31),
  singleBit(63),
  singleBit(64),
  singleBit(127),
  singleBit(-1),
  singleBit(-8),
  byPlace((place) => place),
  byPlace((place) => 255 - place),
  byPlace((place) => (place & 1) * 0xff),
  byPlace((place, length) => (place < length / 2 ? 0 : 0xff)),
  byPlace((place, length) => (place < length / 2 ? 0xff : 0)),
  byPlace((place) => (place & 15 ? 0 : 0xff)),
];

/**
 * Makes sets of secrets: a random set and its complement, then every edge value for all secrets at once, every edge
 * value for each secret alone, and random ones up to `count`.
 *
 * @param lengths bytes of each secret
 */
export function secretInputs(lengths: Readonly<Record<string, number>>, count: number = 120): Input[] {
  const names = Object.keys(lengths);
  const random = (n: number): Record<string, Uint8Array> =>
    Object.fromEntries(names.map((name) => [name, seededBytes(`${name} ${n}`, lengths[name] ?? 0)]));
  const filled = (n: number, fill: Fill, chosen: readonly string[]): Input => {
    const input = random(n);
    for (const name of chosen) {
      const own = input[name] ?? new Uint8Array(0);
      input[name] = fill(own.length, own);
    }
    return input;
  };
  const first = random(0);
  const complement = filled(0, (_, own) => own.map((byte) => byte ^ 0xff), names);
  const inputs: Input[] = [first, complement, ...EDGES.map((fill, n) => filled(n + 1, fill, names))];
  if (names.length > 1) {
    for (const name of names) inputs.push(...EDGES.map((fill, n) => filled(n + 100, fill, [name])));
  }
  for (let n = 1000; inputs.length < count; n++) inputs.push(random(n));
  return inputs;
}
