/** What the AES-GCM kernel leaves in memory, and that it never writes outside its regions, in every build. */

import { createCipheriv, randomBytes, randomInt } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";

import { KernelDriver, TARGETS } from "./aes-gcm-kernel.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

function sealByNode(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv).setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Regions of docs/memory-map.md that the kernel writes, as [start, end). */
const STATE: readonly [number, number] = [0x0400, 0x0500];
const KEY_WORDS: readonly [number, number] = [0x0500, 0x05f0];
const KEY: readonly [number, number] = [0x0600, 0x0620];
const DATA_START = 0x8000;
const CONTEXTS_START = 0x20000;
const KEYSTREAM: readonly [number, number] = [0x18100, 0x1a300];
const CANARY = 0xa5;

const LENGTHS = [
  0, 1, 15, 16, 17, 31, 32, 47, 48, 49, 63, 64, 65, 111, 112, 113, 4095, 65_520, 65_535, 65_536,
];

const roundUp = (length: number): number => (length + 15) & ~15;

describe.each(TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let driver: KernelDriver;

  beforeEach(async () => {
    driver = await KernelDriver.load(target);
  }, 60_000);

  /** Lists where memory is not the canary, outside the regions that an operation may write. */
  function overruns(allowed: readonly (readonly [number, number])[]): number[] {
    const copy = Buffer.from(driver.arena);
    for (const [start, end] of allowed) copy.fill(CANARY, start, end);
    if (copy.equals(Buffer.alloc(copy.length, CANARY))) return [];
    return [...copy.keys()].filter((address) => copy[address] !== CANARY);
  }

  test("starts with an empty arena", () => {
    expect(driver.arena.every((byte) => byte === 0)).toBe(true);
    expect(driver.memory.length).toBe(target === "simd" || target === "relaxed" ? 0x1c0000 : 0x80000);
  });

  test.each([0, 255])("loading a key writes its own context %i and scratch alone", (slot) => {
    for (const keyLength of [16, 24, 32]) {
      driver.arena.fill(CANARY);
      driver.loadKey(slot, random(keyLength));
      const context = CONTEXTS_START + slot * driver.contextLength;
      expect(overruns([STATE, KEY_WORDS, KEY, KEYSTREAM, [context, context + driver.contextLength]])).toEqual(
        [],
      );
      expect(driver.memory.slice(...STATE).every((byte) => byte === 0)).toBe(true);
      expect(driver.memory.slice(...KEY_WORDS).every((byte) => byte === 0)).toBe(true);
      expect(driver.memory.slice(...KEY).every((byte) => byte === 0)).toBe(true);
    }
  });

  test.each(LENGTHS)("sealing and opening %i bytes writes its own range alone", (length) => {
    const aadLength = Math.min(length, 0x4000);
    driver.loadKey(3, random(32));
    const context = driver.memory.slice(
      CONTEXTS_START + 3 * driver.contextLength,
      CONTEXTS_START + 4 * driver.contextLength,
    );
    driver.arena.fill(CANARY);
    driver.memory.set(context, CONTEXTS_START + 3 * driver.contextLength);
    const allowed = [
      STATE,
      KEYSTREAM,
      [DATA_START - roundUp(aadLength), DATA_START],
      // The vector builds zero what follows the message in its last block.
      [DATA_START, DATA_START + roundUp(length) + 16],
      [CONTEXTS_START + 3 * driver.contextLength, CONTEXTS_START + 4 * driver.contextLength],
    ] as const;
    expect(driver.kernel.aesGcmSeal(3, 32, aadLength, length)).toBe(1);
    expect(overruns(allowed)).toEqual([]);
    expect(driver.kernel.aesGcmOpen(3, 32, aadLength, length + 16)).toBe(1);
    expect(driver.memory.slice(DATA_START, DATA_START + length).every((byte) => byte === CANARY)).toBe(true);
    expect(overruns(allowed)).toEqual([]);
    expect(
      driver.memory.slice(
        CONTEXTS_START + 3 * driver.contextLength,
        CONTEXTS_START + 4 * driver.contextLength,
      ),
    ).toEqual(context);
    expect(driver.kernel.aesGcmOpen(3, 32, aadLength, length + 16)).toBe(0);
    expect(driver.memory.slice(DATA_START, DATA_START + length + 16).every((byte) => byte === 0)).toBe(true);
    expect(overruns(allowed)).toEqual([]);
  });

  test("arguments out of range are refused and change nothing but the key region", () => {
    const { kernel } = driver;
    const refused: readonly (() => number)[] = [
      () => kernel.aesGcmLoadKey(256, 32),
      () => kernel.aesGcmLoadKey(-1, 32),
      () => kernel.aesGcmLoadKey(0, 0),
      () => kernel.aesGcmLoadKey(0, 20),
      () => kernel.aesGcmLoadKey(0, 33),
      () => kernel.aesGcmDropKey(256),
      () => kernel.aesGcmDropKey(-1),
      () => kernel.aesGcmStart(256, 32),
      () => kernel.aesGcmStart(0, 40),
      () => kernel.aesGcmSeal(256, 32, 0, 0),
      () => kernel.aesGcmSeal(0, 31, 0, 0),
      () => kernel.aesGcmSeal(0, 32, 0x4001, 0),
      () => kernel.aesGcmSeal(0, 32, -1, 0),
      () => kernel.aesGcmSeal(0, 32, 0, 0x10001),
      () => kernel.aesGcmSeal(0, 32, 0, -16),
      () => kernel.aesGcmOpen(256, 32, 0, 16),
      () => kernel.aesGcmOpen(0, 0, 0, 16),
      () => kernel.aesGcmOpen(0, 32, 0x4001, 16),
      () => kernel.aesGcmOpen(0, 32, 0, 15),
      () => kernel.aesGcmOpen(0, 32, 0, 0x10011),
      () => kernel.aesGcmOpen(0, 32, 0, -1),
      () => kernel.aesGcmAad(0x4001),
      () => kernel.aesGcmAad(-1),
      () => kernel.aesGcmEncrypt(0x10001),
      () => kernel.aesGcmEncrypt(-1),
      () => kernel.aesGcmAuthenticate(0x10001),
      () => kernel.aesGcmDecrypt(0x10001),
      () => kernel.aesGcmDecrypt(-1),
      () => kernel.aesGcmWipeData(0x10011),
      () => kernel.aesGcmWipeData(-1),
      () => kernel.aesGcmLoadBulk(16, 0, 32),
      () => kernel.aesGcmLoadBulk(0, 256, 32),
      () => kernel.aesGcmLoadBulk(0, 0, 33),
      () => kernel.aesGcmDropBulk(16),
      () => kernel.aesGcmDropBulk(-1),
      () => kernel.aesGcmSeal(0, 32, 0, 0, 17),
      () => kernel.aesGcmOpen(0, 32, 0, 16, -1),
      () => kernel.aesGcmStart(0, 32, 17),
      () => kernel.aesGcmSealBatch(129),
      () => kernel.aesGcmSealBatch(-1),
      () => kernel.aesGcmSealBatch(1),
      () => kernel.aesGcmOpenBatch(1),
      () => kernel.aesGcmGather(129),
      () => kernel.aesGcmGather(1),
      () => kernel.aesGcmSealPacked(256, 32, 1, 0, 0),
      () => kernel.aesGcmSealPacked(0, 31, 1, 0, 0),
      () => kernel.aesGcmSealPacked(0, 32, 1, 0, 0, 17),
      () => kernel.aesGcmSealPacked(0, 32, 2049, 0, 0),
      () => kernel.aesGcmSealPacked(0, 32, -1, 0, 0),
      () => kernel.aesGcmSealPacked(0, 32, 1, 0x4000, 0),
      () => kernel.aesGcmSealPacked(0, 32, 1, 0, 0x4000),
      () => kernel.aesGcmOpenPacked(0, 32, 1, -16, 0),
      () => kernel.aesGcmOpenPacked(0, 32, 1, 0, -16),
    ];
    for (const call of refused) {
      driver.arena.fill(CANARY);
      expect(call(), call.toString()).toBe(0);
      expect(overruns([KEY]), call.toString()).toEqual([]);
    }
  });

  test("descriptions of messages outside the data region, or of no key, are refused and nothing is done", () => {
    const { kernel } = driver;
    driver.loadKey(0, random(32));
    const view = new DataView(kernel.memory.buffer, kernel.BATCH.value, 64);
    /** Describes a message of 16 bytes under 16 bytes of AAD, and a second one with a change. */
    const describeBatch = (change: Record<string, number>): void => {
      for (const [at, field] of [{}, change].entries()) {
        const {
          offset = 16,
          aad = 16,
          before = 0,
          data = 16,
          slot = 0,
          keyLength = 32,
          bulk = 0,
        } = field as Record<string, number>;
        view.setUint16(32 * at + 14, before, true);
        view.setUint32(32 * at + 16, offset, true);
        view.setUint32(32 * at + 20, aad, true);
        view.setUint32(32 * at + 24, data, true);
        view.setUint16(32 * at + 28, slot, true);
        view.setUint8(32 * at + 30, keyLength);
        view.setUint8(32 * at + 31, bulk);
      }
    };
    describeBatch({ offset: 96 });
    expect(kernel.aesGcmSealBatch(2)).toBe(1);
    for (const change of [
      { offset: 8 },
      { offset: 0 },
      { offset: 0xfffffff0 },
      { aad: 17 },
      { aad: 0xffffffff },
      { before: 17 },
      { data: 0x10000 },
      { data: 0xffffffff },
      { offset: 0xfff0, data: 17 },
      { slot: 256 },
      { keyLength: 0 },
      { keyLength: 33 },
      { bulk: 17 },
    ]) {
      describeBatch(change as Record<string, number>);
      const before = driver.arena.slice();
      expect(kernel.aesGcmSealBatch(2), JSON.stringify(change)).toBe(0);
      expect(kernel.aesGcmOpenBatch(2), JSON.stringify(change)).toBe(0);
      expect(kernel.aesGcmGather(2), JSON.stringify(change)).toBe(0);
      expect(Buffer.compare(driver.arena, before)).toBe(0);
    }
    // In order as messages, but one lies where the one before is gathered to.
    for (const change of [{ offset: 16 }, { offset: 48, aad: 32, before: 17 }]) {
      describeBatch(change as Record<string, number>);
      expect(kernel.aesGcmGather(2), JSON.stringify(change)).toBe(0);
    }
  });

  test("messages of a batch share AAD only with one before them that has as much", () => {
    const { kernel } = driver;
    const keys = [random(32), random(32)];
    for (const [slot, key] of keys.entries()) {
      driver.loadKey(slot, key);
      if (kernel.AES_GCM_BULK_COUNT.value > 0) kernel.aesGcmLoadBulk(slot, slot, 32);
    }
    const bulk = kernel.AES_GCM_BULK_COUNT.value > 0;
    const view = new DataView(kernel.memory.buffer, kernel.BATCH.value, 32 * 128);
    const data = driver.memory.subarray(DATA_START);
    for (let round = 0; round < 60; round++) {
      // First three times eight messages of one shape, of which one in the midst does not share.
      const isPlain = round === 0;
      const count = isPlain ? 24 : randomInt(1, 40);
      let at = 0;
      let shared = random(96);
      const messages = Array.from({ length: count }, (_, i) => {
        const aadLength = isPlain
          ? 80
          : ([80, 80, 80, 80, 80, 80, 80, 80, 80, 16, 96, 0][randomInt(12)] ?? 0);
        const slot = i < 25 ? 0 : 1;
        const plaintext = random(!isPlain && randomInt(4) === 0 ? randomInt(60) : 32);
        // A flag that tells nothing true comes at the first message, at the first of a key and at others' lengths.
        const stays = i === 0 || (isPlain ? i !== 12 : randomInt(12) !== 0);
        if (!stays) shared = random(96);
        const aad = new Uint8Array([...shared.subarray(0, Math.max(aadLength - 16, 0)), ...random(16)]);
        return { aad: aad.subarray(0, aadLength), slot, plaintext, iv: random(12), stays };
      });
      for (const [i, { aad, slot, plaintext, iv, stays }] of messages.entries()) {
        data.set(aad, at);
        const offset = at + aad.length;
        data.set(plaintext, offset);
        driver.memory.set(iv, kernel.BATCH.value + 32 * i);
        view.setUint32(32 * i + 12, stays ? 1 : 0, true);
        view.setUint32(32 * i + 16, offset, true);
        view.setUint32(32 * i + 20, aad.length, true);
        view.setUint32(32 * i + 24, plaintext.length, true);
        view.setUint32(32 * i + 28, slot | (32 << 16) | (bulk ? (slot + 1) << 24 : 0), true);
        at = offset + ((plaintext.length + 15) & ~15) + 16;
      }
      expect(kernel.aesGcmSealBatch(count)).toBe(1);
      expect(kernel.aesGcmGather(count)).toBe(1);
      const expected = messages.map(({ aad, slot, plaintext, iv }) =>
        sealByNode(keys[slot] as Uint8Array, iv, plaintext, aad),
      );
      const whole = Buffer.concat(expected);
      expect(Buffer.compare(data.subarray(0, whole.length), whole)).toBe(0);
    }
    expect(driver.memory.slice(...STATE).every((byte) => byte === 0)).toBe(true);
  });

  test.each([1, 5, 130])("%i packed records write their regions alone and leave no plaintext", (count) => {
    const { kernel } = driver;
    driver.loadKey(3, random(32));
    const context = driver.arena.slice(
      CONTEXTS_START + 3 * driver.contextLength,
      CONTEXTS_START + 4 * driver.contextLength,
    );
    for (const [aadLength, dataLength] of [
      [0, 0],
      [13, 33],
      [64, 32],
    ] as const) {
      driver.arena.fill(CANARY);
      driver.arena.set(context, CONTEXTS_START + 3 * driver.contextLength);
      const recordsLength = count * (12 + aadLength + dataLength);
      expect(kernel.aesGcmSealPacked(3, 32, count, aadLength, dataLength)).toBe(1);
      const allowed = [
        STATE,
        KEYSTREAM,
        [0x620, 0x62c],
        [0x1a400, 0x1b400],
        [0x2000, 0x2c60],
        [0x1c000, 0x20000],
        [DATA_START, DATA_START + Math.max(count * (dataLength + 16), 4 * count + recordsLength)],
        [CONTEXTS_START + 3 * driver.contextLength, CONTEXTS_START + 4 * driver.contextLength],
      ] as const;
      expect(overruns(allowed)).toEqual([]);
      const left = driver.arena.subarray(
        DATA_START + count * (dataLength + 16),
        DATA_START + 4 * count + recordsLength,
      );
      expect(left.every((byte) => byte === 0)).toBe(true);
      const window = driver.arena.subarray(0x1c000, 0x1c000 + 16);
      expect(window.every((byte) => byte === 0)).toBe(true);
    }
  });

  test("a dropped key, a sealed and an opened message leave no byte behind", () => {
    const key = random(32);
    driver.loadKey(9, key);
    expect(driver.arena.some((byte) => byte !== 0)).toBe(true);
    const iv = new Uint8Array(12);
    const sealed = driver.seal(9, 32, iv, random(100), random(50));
    expect(driver.open(9, 32, iv, sealed, random(50))).toBeUndefined();
    for (let i = 0; i < 3; i++) driver.kernel.aesGcmSeal(9, 32, 50, 100, 0, 1);
    driver.clearData(116);
    driver.kernel.aesGcmDropKey(9);
    // The AAD, which is public, is the host's to wipe.
    driver.arena.fill(0, DATA_START - 64, DATA_START);
    expect(driver.arena.every((byte) => byte === 0)).toBe(true);
  });

  test("AAD that stays is hashed anew with another key, length or first block, and after anything else", () => {
    const { kernel } = driver;
    const seal = (slot: number, key: Uint8Array, aadLength: number, aadStays: 0 | 1): void => {
      const aad = driver.memory.slice(DATA_START - aadLength, DATA_START);
      const iv = random(12);
      const plaintext = random(40);
      driver.put("IV", iv);
      driver.put("DATA", plaintext);
      expect(kernel.aesGcmSeal(slot, key.length, aadLength, 40, 0, aadStays)).toBe(1);
      expect(Buffer.compare(driver.take("DATA", 56), sealByNode(key, iv, plaintext, aad))).toBe(0);
    };
    const [first, second, third] = [random(32), random(32), random(16)];
    driver.loadKey(0, first);
    driver.loadKey(1, second);
    driver.put("AAD", random(80));
    seal(0, first, 80, 0);
    for (let i = 0; i < 3; i++) {
      driver.put(
        "AAD",
        new Uint8Array([...driver.memory.slice(DATA_START - 80, DATA_START - 16), ...random(16)]),
      );
      seal(0, first, 80, 1);
    }
    seal(1, second, 80, 1);
    seal(0, first, 80, 1);
    seal(0, first, 48, 1);
    seal(0, first, 16, 1);
    seal(0, first, 80, 1);
    driver.put("AAD", random(80));
    seal(0, first, 80, 0);
    seal(0, first, 80, 1);
    driver.loadKey(0, third);
    seal(0, third, 80, 1);
    seal(0, third, 80, 1);
    kernel.aesGcmDropKey(1);
    seal(0, third, 80, 1);
    kernel.aesGcmOpen(0, 16, 80, 56);
    seal(0, third, 80, 1);
    kernel.aesGcmEnd();
    seal(0, third, 80, 1);
  });

  test("ending a message in chunks leaves no byte but the key context and the IV", () => {
    const { kernel } = driver;
    driver.loadKey(0, random(32));
    kernel.aesGcmStart(0, 32);
    driver.put("AAD", random(100));
    kernel.aesGcmAad(96);
    driver.put("DATA", random(0x10010));
    kernel.aesGcmEncrypt(0x10000);
    kernel.aesGcmEnd();
    kernel.aesGcmDropKey(0);
    expect(driver.arena.every((byte) => byte === 0)).toBe(true);
  });
});
