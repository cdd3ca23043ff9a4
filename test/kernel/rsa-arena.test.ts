/** What the RSA kernels write: their own regions alone, wiped when a function returns, whatever the arguments are. */

import { describe, expect, test } from "vitest";
import { partsOf, power, seededKeys, toBytes, toNumber } from "../support/rsa-keys.ts";
import { rsaMemory } from "../support/rsa-memory.ts";
import { makeKernel } from "./rsa-module.ts";

const PLACES = { n: 0, p: 0x200, q: 0x300, dP: 0x400, dQ: 0x500, qInv: 0x600, e: 0x700 } as const;
/** Regions of docs/memory-map.md, as [start, end). */
const KEY_PARTS = [0x20000, 0x20800] as const;
const RANDOM = [0x20800, 0x20c00] as const;
const INPUT = 0x20c00;
const OUTPUT = 0x21000;
const BITS = 2048;
const MARK = 0xa5;

const [key] = seededKeys("arena", BITS, 1);
if (key === undefined) throw new Error("there is no key");
const parts = partsOf(key);

describe.each(["release", "simd", "relaxed"] as const)("the %s build", async (target) => {
  const kernel = await makeKernel(target);
  const { memory } = kernel;
  const map = rsaMemory(kernel.build);
  const WORK = map.work;
  const privateSlot = (slot: number) =>
    [map.slots + map.slotLength * slot, map.slots + map.slotLength * (slot + 1)] as const;
  const isZero = ([start, end]: readonly [number, number]): boolean =>
    memory.subarray(start, end).every((byte) => byte === 0);
  const put = (changes: Partial<Record<keyof typeof PLACES, Uint8Array>> = {}): void => {
    kernel.keyParts.fill(0);
    for (const [name, place] of Object.entries(PLACES)) {
      const part = name as keyof typeof PLACES;
      kernel.keyParts.set(changes[part] ?? parts[part], place);
    }
  };
  const blind = (slot: number): number => {
    crypto.getRandomValues(kernel.random as Uint8Array<ArrayBuffer>);
    return kernel.rsaBlind(slot);
  };

  test("every call leaves scratch, key parts and random bytes zeroed", () => {
    put();
    expect(kernel.rsaLoadPrivate(1, BITS)).toBe(1);
    expect([isZero(KEY_PARTS), isZero(WORK)]).toEqual([true, true]);
    expect(blind(1)).toBe(1);
    expect([isZero(RANDOM), isZero(WORK)]).toEqual([true, true]);
    memory.set(toBytes(7n, 256), INPUT);
    expect(kernel.rsaPrivate(1)).toBe(1);
    expect(toNumber(memory.subarray(OUTPUT, OUTPUT + 256))).toBe(power(7n, key.d, key.n));
    expect(isZero(WORK)).toBe(true);
    kernel.rsaWipeBlocks();
    expect(isZero([INPUT, INPUT + 0x400])).toBe(true);
    expect(isZero([OUTPUT, OUTPUT + 0x400])).toBe(true);
    expect(kernel.rsaDropPrivate(1)).toBe(1);
    expect(isZero(privateSlot(1))).toBe(true);
  });

  test("a private operation writes its slot, the output and the scratch, and nothing else", () => {
    put();
    expect(kernel.rsaLoadPrivate(2, BITS)).toBe(1);
    expect(blind(2)).toBe(1);
    memory.set(toBytes(9n, 256), INPUT);
    const [slot, afterSlot] = privateSlot(2);
    const mine = [
      [0x20000, 0x21400],
      [0x26000, WORK[1]],
      [slot, afterSlot],
      // Public constants of the arithmetic.
      map.constants,
    ];
    const inside = (at: number): boolean => mine.some(([start = 0, end = 0]) => at >= start && at < end);
    for (let at = 0; at < memory.length; at++) if (!inside(at)) memory[at] = MARK;
    expect(kernel.rsaPrivate(2)).toBe(1);
    const touched = [];
    for (let at = 0; at < memory.length; at++) if (!inside(at) && memory[at] !== MARK) touched.push(at);
    expect(touched).toEqual([]);
    for (let at = 0; at < memory.length; at++) if (!inside(at)) memory[at] = 0;
    kernel.rsaDropPrivate(2);
  });

  test("numbers that are no key are refused, and the slot stays empty", () => {
    const flip = (
      part: keyof typeof PLACES,
      at: number,
      bit = 1,
    ): Partial<Record<keyof typeof PLACES, Uint8Array>> => {
      const bytes = Uint8Array.from(parts[part]);
      bytes[at < 0 ? bytes.length + at : at] = (bytes[at < 0 ? bytes.length + at : at] ?? 0) ^ bit;
      return { [part]: bytes };
    };
    const ones = new Uint8Array(128).fill(0xff);
    const bad = [
      flip("n", 200),
      flip("p", 70, 4),
      flip("q", 70, 4),
      flip("p", 0, 0x80),
      flip("q", -1),
      flip("e", -1),
      { e: new Uint8Array(32).fill(1, 31) },
      { e: new Uint8Array(32) },
      { dP: ones },
      { dQ: ones },
      { qInv: ones },
      { q: parts.p, n: toBytes(key.p * key.p, 256) },
    ];
    for (const changes of bad) {
      put(changes);
      expect(kernel.rsaLoadPrivate(3, BITS)).toBe(0);
      expect([isZero(KEY_PARTS), isZero(WORK), isZero(privateSlot(3))]).toEqual([true, true, true]);
      expect(kernel.rsaPrivate(3)).toBe(0);
    }
  });

  test("slots and sizes out of range are refused", () => {
    for (const [slot, bits] of [
      [32, BITS],
      [-1, BITS],
      [0, 1024],
      [0, 2047],
      [0, 8192],
      [0, 0],
    ] as const) {
      put();
      expect(kernel.rsaLoadPrivate(slot, bits)).toBe(0);
      put();
      expect(kernel.rsaLoadPublic(slot, bits)).toBe(0);
    }
    for (const slot of [32, -1, 5]) {
      expect([kernel.rsaPrivate(slot), kernel.rsaBlind(slot), kernel.rsaPublic(slot)]).toEqual([0, 0, 0]);
      expect(kernel.rsaPublicPair(slot, slot)).toBe(0);
    }
    expect([kernel.rsaDropPrivate(32), kernel.rsaDropPublic(-1)]).toEqual([0, 0]);
  });

  test("a fault in any number of a loaded key lets no result out, and a blinding is not used again", () => {
    for (const [i, offset] of map.places.entries()) {
      put();
      expect(kernel.rsaLoadPrivate(4, BITS)).toBe(1);
      expect(blind(4)).toBe(1);
      memory.set(toBytes(11n, 256), INPUT);
      const at = privateSlot(4)[0] + offset;
      memory[at] = (memory[at] ?? 0) ^ (1 << (i & 7));
      const answer = kernel.rsaPrivate(4);
      const result = toNumber(memory.subarray(OUTPUT, OUTPUT + 256));
      if (answer === 1) expect(result).toBe(power(11n, key.d, key.n));
      else expect([answer, result, kernel.rsaPrivate(4)]).toEqual([3, 0n, 2]);
      kernel.rsaDropPrivate(4);
    }
    // Faults of the exponents are always found.
    put();
    kernel.rsaLoadPrivate(4, BITS);
    blind(4);
    memory[privateSlot(4)[0] + map.dP + 0x10] = (memory[privateSlot(4)[0] + map.dP + 0x10] ?? 0) ^ 1;
    expect(kernel.rsaPrivate(4)).toBe(3);
    expect(isZero(WORK)).toBe(true);
    kernel.rsaDropPrivate(4);
  });
});
