/** Where key bytes are while a wasm engine holds them, and that none are left afterwards. */

import { createCipheriv, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, describe, expect, test } from "vitest";
import { compileKernel } from "../../../.config/build-wasm.mjs";
import type { AesGcm, Engine } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import type { Kernel } from "../../../src/engines/wasm/kernel.ts";
import { KeyContexts } from "../../../src/engines/wasm/key-contexts.ts";
import { mainLoader } from "../../../src/engines/wasm/load-kernel.ts";
import { probeSwizzle } from "../../../src/engines/wasm/probe.ts";
import { served } from "../../conformance/engine-support.ts";

const CONTEXTS_START = 0x20000;
const CONTEXT_COUNT = 256;
const BULK_START = 0x160000;
const IV_ADDRESS = 0x620;

const iv: Uint8Array = new Uint8Array(randomBytes(12));
const random = (length: number): Buffer => Buffer.from(new Uint8Array(randomBytes(length)));

/** Descriptions of batched messages, which are public. */
const BATCH: readonly [number, number] = [0x1a400, 0x1b400];

if (!probeSwizzle("relaxed")) setFlagsFromString("--experimental-wasm-relaxed-simd");

const builds = [
  { build: "base", contextLength: 0x400, arenaLength: 0x60000, wasm: await compileKernel() },
  {
    build: "simd",
    contextLength: 0x1400,
    arenaLength: 0x1b0000,
    wasm: await compileKernel({ target: "simd" }),
  },
  {
    build: "relaxed",
    contextLength: 0x1400,
    arenaLength: 0x1b0000,
    wasm: await compileKernel({ target: "relaxed" }),
  },
];

describe.each(builds)("the key memory of a wasm engine ($build)", { timeout: 60_000 }, (each) => {
  const { wasm, contextLength: CONTEXT_LENGTH, arenaLength } = each;
  let engine: Engine;
  let aesGcm: AesGcm;
  let kernel: Kernel;
  let memory: Buffer;

  // A module of its own gives each test an instance of its own.
  beforeEach(() => {
    const module = new WebAssembly.Module(wasm);
    engine = createWasmEngine({ wasm: module });
    aesGcm = served(engine, "aesGcm");
    kernel = mainLoader.ofModule(module);
    memory = Buffer.from(kernel.memory.buffer, 0, arenaLength);
  });

  /** Counts the contexts that hold anything. */
  function usedContexts(): number {
    let used = 0;
    for (let slot = 0; slot < CONTEXT_COUNT; slot++) {
      const start = CONTEXTS_START + slot * CONTEXT_LENGTH;
      if (memory.subarray(start, start + CONTEXT_LENGTH).some((byte) => byte !== 0)) used++;
    }
    return used;
  }

  /** Lists the addresses of bytes that are not zero, but for public IVs and descriptions of messages. */
  function residue(): number[] {
    return [...memory.keys()].filter(
      (address) =>
        memory[address] !== 0 &&
        (address < IV_ADDRESS || address >= IV_ADDRESS + 12) &&
        (address < BATCH[0] || address >= BATCH[1]),
    );
  }

  test.each([100, 200_000])("after destroy() nothing is left of a key and messages of %i bytes", (length) => {
    const raw = random(32);
    const plaintext = random(length);
    // Positive control: the search finds a key that is there.
    kernel.key.set(raw);
    expect(memory.includes(raw)).toBe(true);
    kernel.key.fill(0);

    const key = aesGcm.importKey(raw);
    const sealed = aesGcm.seal(key, iv, plaintext, random(40));
    aesGcm.open(key, iv, sealed);
    aesGcm.open(key, iv, aesGcm.seal(key, iv, plaintext));
    expect(memory.includes(raw)).toBe(false);
    expect(memory.includes(plaintext.subarray(0, 16))).toBe(false);
    expect(usedContexts()).toBe(1);
    const roundKeys = Buffer.from(memory.subarray(CONTEXTS_START, CONTEXTS_START + 64));
    expect(memory.includes(roundKeys)).toBe(true);

    key.destroy();
    expect(memory.includes(roundKeys)).toBe(false);
    expect(residue()).toEqual([]);
  });

  if (each.build !== "base") {
    test("neither powers of H nor tables for long messages outlive their key", () => {
      const raw = random(32);
      const key = aesGcm.importKey(raw);
      const items = Array.from({ length: 20 }, () => ({ iv, plaintext: random(32), aad: random(64) }));
      aesGcm.sealBatch(key, items);
      aesGcm.seal(key, iv, random(3000));
      const opened = aesGcm.openBatch(key, [{ iv, sealed: aesGcm.seal(key, iv, random(32)) }]);
      expect(opened[0]).toHaveLength(32);
      // H encrypts the zero block; row 8 of each table of a power spells the power (docs/aes-gcm-kernels.md).
      const cipher = createCipheriv("aes-256-ecb", raw, null).setAutoPadding(false);
      const h = cipher.update(Buffer.alloc(16));
      const tableOfH = CONTEXTS_START + 1024 + 7 * 512;
      const spelt = Buffer.from(
        Array.from({ length: 16 }, (_, byte) => memory[tableOfH + 32 * byte + 8] ?? 0),
      );
      expect(spelt.equals(h)).toBe(true);
      const secrets = [
        memory.subarray(tableOfH, tableOfH + 32),
        memory.subarray(CONTEXTS_START + 1024, CONTEXTS_START + 1024 + 32),
        memory.subarray(BULK_START, BULK_START + 160),
        memory.subarray(BULK_START + 5 * 1440, BULK_START + 5 * 1440 + 160),
      ].map((secret) => Buffer.from(secret));
      for (const secret of secrets) expect(memory.includes(secret)).toBe(true);
      key.destroy();
      for (const secret of secrets) expect(memory.includes(secret)).toBe(false);
      expect(residue()).toEqual([]);
    });
  }

  test("10,000 live keys take no more memory than the arena, whose shares are within their limits", () => {
    const bytes = kernel.memory.byteLength;
    const keys = Array.from({ length: 10_000 }, () => aesGcm.importKey(random(32)));
    for (const key of keys) aesGcm.seal(key, iv, iv);
    expect(kernel.memory.byteLength).toBe(bytes);
    expect(usedContexts()).toBe(CONTEXT_COUNT);
    expect(CONTEXT_LENGTH).toBeLessThanOrEqual(6 * 1024);
    const start = CONTEXTS_START + CONTEXT_COUNT * CONTEXT_LENGTH;
    expect(memory.subarray(start, each.build === "base" ? undefined : BULK_START).some(Boolean)).toBe(false);
    engine.close();
    expect(residue()).toEqual([]);
  });

  test("tables for long messages are lent to the keys used last", () => {
    const keys = Array.from({ length: kernel.bulkCount + 3 }, () => aesGcm.importKey(random(32)));
    const items = Array.from({ length: 12 }, () => ({ iv, plaintext: random(32), aad: random(64) }));
    for (let round = 0; round < 2; round++) {
      for (const key of keys) {
        const singly = items.map(({ plaintext, aad }) => aesGcm.seal(key, iv, plaintext, aad));
        expect(aesGcm.sealBatch(key, items)).toEqual(singly);
      }
    }
    engine.close();
    expect(residue()).toEqual([]);
  });

  test("close() wipes the contexts of all its keys", () => {
    const key = aesGcm.importKey(random(16));
    aesGcm.seal(key, iv, iv);
    aesGcm.seal(aesGcm.importKey(random(24)), iv, iv);
    expect(usedContexts()).toBe(2);
    engine.close();
    expect(residue()).toEqual([]);
  });

  test("engines of one module share the instance, and each wipes its own keys alone", () => {
    const module = new WebAssembly.Module(wasm);
    const engines = [createWasmEngine({ wasm: module }), createWasmEngine({ wasm: module })] as const;
    memory = Buffer.from(mainLoader.ofModule(module).memory.buffer, 0, arenaLength);
    const [first, second] = [served(engines[0], "aesGcm"), served(engines[1], "aesGcm")];
    const raw = random(32);
    const keys = [first.importKey(raw), second.importKey(raw)] as const;
    const sealed = first.seal(keys[0], iv, iv);
    expect(second.seal(keys[1], iv, iv)).toEqual(sealed);
    expect(usedContexts()).toBe(2);
    engines[0].close();
    expect(usedContexts()).toBe(1);
    expect(second.open(keys[1], iv, sealed)).toEqual(iv);
  });

  test("the least recently used context is given away and rebuilt on use", () => {
    const raws = Array.from({ length: CONTEXT_COUNT + 1 }, () => random(32));
    const keys = raws.map((raw) => aesGcm.importKey(raw));
    const [first, second] = keys;
    if (first === undefined || second === undefined) throw new Error("no keys");
    const context = (slot: number): Buffer =>
      Buffer.from(
        memory.subarray(CONTEXTS_START + slot * CONTEXT_LENGTH, CONTEXTS_START + (slot + 1) * CONTEXT_LENGTH),
      );

    for (const key of keys.slice(0, CONTEXT_COUNT)) aesGcm.seal(key, iv, iv);
    expect(usedContexts()).toBe(CONTEXT_COUNT);
    const [contextOfFirst, contextOfSecond] = [context(0), context(1)];
    const sealed = aesGcm.seal(second, iv, iv);
    aesGcm.seal(first, iv, iv);
    for (const key of keys.slice(2, CONTEXT_COUNT)) aesGcm.seal(key, iv, iv);
    // Now the second key is the least recently used one.
    aesGcm.seal(keys[CONTEXT_COUNT] ?? first, iv, iv);
    expect(memory.includes(contextOfSecond)).toBe(false);
    expect(memory.includes(contextOfFirst)).toBe(true);
    expect(aesGcm.open(second, iv, sealed)).toEqual(iv);
    expect(memory.includes(contextOfSecond)).toBe(true);
    expect(memory.includes(contextOfFirst)).toBe(false);
    for (const key of keys) key.destroy();
    expect(residue()).toEqual([]);
  });

  test("a key whose handle was collected is wiped", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    (() => {
      aesGcm.seal(aesGcm.importKey(random(32)), iv, iv);
    })();
    expect(usedContexts()).toBe(1);
    for (let i = 0; i < 50 && usedContexts() > 0; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(usedContexts()).toBe(0);
    expect(residue()).toEqual([]);
  });

  test("destroying a key zeroes the bytes it was rebuilt from", () => {
    const contexts = new KeyContexts(kernel);
    const raw = random(24);
    const holder = contexts.hold(raw, {});
    expect(raw.equals(holder.bytes)).toBe(true);
    expect(holder.bytes.buffer).not.toBe(raw.buffer);
    contexts.destroy(holder);
    expect(holder.bytes).toEqual(new Uint8Array(24));
  });

  test("no array of a caller is shown the kernels' memory, whatever its class", () => {
    const key = aesGcm.importKey(random(32));
    const seen: number[] = [];
    class Spy extends Uint8Array {
      override set(source: ArrayLike<number>, offset?: number): void {
        if (source instanceof Uint8Array) seen.push(source.buffer.byteLength);
        super.set(source, offset);
      }
    }
    for (const length of [32, 100, 70_000]) {
      const plaintext = random(length);
      const out = new Spy(length + 16);
      aesGcm.sealInto(key, iv, plaintext, undefined, out, 0);
      const opened = new Spy(length);
      expect(aesGcm.openInto(key, iv, out, undefined, opened, 0)).toBe(length);
      expect(Buffer.compare(opened, plaintext)).toBe(0);
    }
    const shape = { count: 3, aadLength: 0, plaintextLength: 32 };
    const packed = new Spy(3 * 48);
    const records = random(3 * 44);
    aesGcm.sealPacked(key, records, shape, packed);
    const sealed = new Uint8Array(3 * 60);
    for (let i = 0; i < 3; i++) {
      sealed.set(records.subarray(44 * i, 44 * i + 12), 60 * i);
      sealed.set(packed.subarray(48 * i, 48 * (i + 1)), 60 * i + 12);
    }
    aesGcm.openPacked(key, sealed, shape, new Spy(3 * 32));
    expect(seen).toEqual([]);
  });

  test("a call that throws leaves no message in the arena", () => {
    class LyingArray extends Uint8Array {
      override get length(): number {
        return 1000;
      }
    }
    const key = aesGcm.importKey(random(32));
    const sealed = aesGcm.seal(key, iv, random(200));
    expect(() => aesGcm.openInto(key, iv, sealed, undefined, new LyingArray(10), 0)).toThrow(RangeError);
    expect(() => aesGcm.sealInto(key, iv, sealed, undefined, new LyingArray(10), 0)).toThrow(RangeError);
    expect(() => aesGcm.sealInto(key, iv, random(70_000), undefined, new Uint8Array(70_000), 0)).toThrow();
    const batch = [
      { iv, plaintext: random(50) },
      { iv: random(3), plaintext: iv },
    ];
    expect(() => aesGcm.sealBatch(key, batch)).toThrow();
    key.destroy();
    expect(residue()).toEqual([]);
  });
});
