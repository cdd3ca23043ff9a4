/** Messages that a batch collects: sealed as if one by one, whatever their keys and sizes, and wiped when it is over. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TrustedAesKey } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { frameOf } from "../../support/aad-frame.ts";

const BUILDS = ["base", "simd"] as const;

function bind(build: (typeof BUILDS)[number], count: number) {
  const engine = createWasmEngine({ build });
  const { aesGcm } = engine;
  if (aesGcm?.unsafeBind === undefined) throw new Error("the wasm engine binds no keys");
  const keys = Array.from({ length: count }, (_, i) =>
    aesGcm.importKey(new Uint8Array([16, 24, 32][i % 3] ?? 32).fill(i + 1)),
  );
  const bound = keys.map((key) => aesGcm.unsafeBind?.(key) as TrustedAesKey);
  const stage = bound[0]?.borrowStage?.();
  if (stage === undefined) throw new Error("the wasm engine has no stage");
  return { engine, keys, bound, stage };
}

const message = fc.record({
  key: fc.nat(4),
  aadBlocks: fc.integer({ min: 1, max: 6 }),
  prefixLength: fc.constantFrom(0, 12, 36, 16),
  length: fc.oneof(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 0, max: 2100 })),
  gap: fc.constantFrom(0, 0, 0, 3),
  seed: fc.nat(255),
});

describe.each(BUILDS)("a stage of the %s build", (build) => {
  test("seals like one call a message", () => {
    const { engine, bound, stage } = bind(build, 5);
    fc.assert(
      fc.property(fc.array(message, { maxLength: 140 }), (messages) => {
        let length = 0;
        for (const each of messages) length += each.gap + each.prefixLength + each.length + 16;
        const [staged, single] = [new Uint8Array(length), new Uint8Array(length)];
        let offset = 0;
        for (const { key, aadBlocks, prefixLength, length: size, gap, seed } of messages) {
          offset += gap;
          const aad = Uint8Array.from({ length: 48 + 16 * aadBlocks }, (_, i) => (i * 7 + seed) & 0xff);
          const plaintext = Uint8Array.from({ length: size }, (_, i) => (i * 11 + seed) & 0xff);
          const frame = frameOf(aad);
          const own = bound[key] as TrustedAesKey;
          own.sealRun(frame, prefixLength, plaintext, single, offset);
          if (!stage.add(own, frame, prefixLength, plaintext, staged, offset)) {
            own.sealRun(frame, prefixLength, plaintext, staged, offset);
          }
          // What was added is the stage's own.
          frame.bytes.fill(0);
          plaintext.fill(0);
          offset += prefixLength + size + 16;
        }
        stage.flush();
        expect(Buffer.compare(staged, single)).toBe(0);
      }),
      { numRuns: 60 },
    );
    stage.release();
    engine.close();
  });

  test("seals messages that share a frame like one call a message", () => {
    const { engine, bound, stage } = bind(build, 2);
    const step = fc.record({
      key: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
      frame: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 2),
      revise: fc.constantFrom(false, false, false, false, false, false, false, false, true),
      length: fc.constantFrom(32, 32, 32, 32, 32, 32, 0, 17, 300),
      seed: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 140 }), (steps) => {
        const frames = [16, 80, 80].map((length, i) => ({ ...frameOf(new Uint8Array(length).fill(i)) }));
        const length = steps.reduce((sum, each) => sum + 12 + each.length + 16, 0);
        const [staged, single] = [new Uint8Array(length), new Uint8Array(length)];
        let offset = 0;
        for (const [n, { key, frame: which, revise, length: size, seed }] of steps.entries()) {
          const frame = frames[which] as (typeof frames)[number];
          if (revise) {
            frame.bytes.fill(seed);
            frame.revision += 1;
          }
          frame.ivBytes.fill(n);
          const plaintext = new Uint8Array(size).fill(seed);
          const own = bound[key] as TrustedAesKey;
          own.sealRun(frameOf(frame.bytes), 12, plaintext, single, offset);
          if (!stage.add(own, frame, 12, plaintext, staged, offset)) throw new Error("the stage refused");
          offset += 12 + size + 16;
        }
        stage.flush();
        expect(Buffer.compare(staged, single)).toBe(0);
      }),
      { numRuns: 80 },
    );
    stage.release();
    engine.close();
  });

  test("takes nothing of a message that failed for what is before the next one", () => {
    const { engine, bound, stage } = bind(build, 2);
    const [key, other] = bound as [TrustedAesKey, TrustedAesKey];
    const frame = { ...frameOf(new Uint8Array(80).fill(0xaa)) };
    const detached = new Uint8Array(32);
    structuredClone(detached, { transfer: [detached.buffer] });
    const [staged, single] = [new Uint8Array(4 * 48), new Uint8Array(4 * 48)];
    const add = (own: TrustedAesKey, n: number): void => {
      const plaintext = new Uint8Array(32).fill(n);
      own.sealRun(frameOf(frame.bytes), 0, plaintext, single, 48 * n);
      expect(stage.add(own, frame, 0, plaintext, staged, 48 * n)).toBe(true);
    };
    add(key, 0);
    frame.bytes.fill(0xbb);
    frame.revision += 1;
    expect(() => stage.add(other, frame, 0, detached, staged, 0)).toThrow(TypeError);
    expect(() => stage.add(key, frame, 0, detached, staged, 0)).toThrow(TypeError);
    for (const n of [1, 2, 3]) add(key, n);
    stage.flush();
    expect(Buffer.compare(staged, single)).toBe(0);
    stage.release();
    engine.close();
  });

  test("gives back what it has sealed into different buffers", () => {
    const { engine, bound, stage } = bind(build, 1);
    const key = bound[0] as TrustedAesKey;
    const aad = new Uint8Array(48).fill(1);
    const outs = Array.from({ length: 5 }, () => new Uint8Array(60));
    for (const [i, out] of outs.entries())
      stage.add(key, frameOf(aad), 12, new Uint8Array(32).fill(i), out, 0);
    stage.flush();
    for (const [i, out] of outs.entries()) {
      expect(key.openRun(frameOf(aad), 12, out)).toEqual(new Uint8Array(32).fill(i));
    }
    engine.close();
  });

  test("refuses a key that was destroyed before the message was sealed", () => {
    const { engine, keys, bound, stage } = bind(build, 2);
    const out = new Uint8Array(200);
    const aad = new Uint8Array(48);
    stage.add(bound[1] as TrustedAesKey, frameOf(aad), 0, new Uint8Array(32), out, 0);
    keys[1]?.destroy();
    expect(() => stage.flush()).toThrow(expect.objectContaining({ code: "InvalidParameter" }));
    expect(out).toEqual(new Uint8Array(200));
    expect(() => stage.add(bound[1] as TrustedAesKey, frameOf(aad), 0, aad, out, 0)).toThrow(
      expect.objectContaining({ code: "InvalidParameter" }),
    );
    // The stage itself goes on.
    stage.add(bound[0] as TrustedAesKey, frameOf(aad), 12, new Uint8Array(32), out, 0);
    stage.flush();
    expect(bound[0]?.openRun(frameOf(aad), 12, out.subarray(0, 60))).toEqual(new Uint8Array(32));
    engine.close();
  });

  test("leaves keys of another engine to it", () => {
    const { engine, stage } = bind(build, 1);
    const other = bind(build, 1);
    const [aad, out] = [new Uint8Array(48), new Uint8Array(60)];
    expect(stage.add(other.bound[0] as TrustedAesKey, frameOf(aad), 12, new Uint8Array(32), out, 0)).toBe(
      false,
    );
    engine.close();
    other.engine.close();
  });

  test("is lent to one batch at a time", () => {
    const { engine, bound, stage } = bind(build, 1);
    const second = bound[0]?.borrowStage?.();
    expect(second).not.toBe(stage);
    stage.release();
    expect(bound[0]?.borrowStage?.()).toBe(stage);
    engine.close();
  });
});
