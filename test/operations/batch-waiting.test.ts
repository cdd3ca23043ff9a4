/** Batches of which some items wait for the store: what the others made does not depend on how long that takes. */

import { expect, test, vi } from "vitest";
import { BatchStage } from "../../src/engines/batch-stage.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { memoryStore } from "../../src/index.ts";
import { runBatch } from "../../src/operations/batch.ts";
import type { OperationContext } from "../../src/operations/context.ts";
import { frameOf } from "../support/aad-frame.ts";
import { openKms, patterned } from "../support/kms.ts";

/** A usage limit under which uses are reserved two at a time. */
const PAIRS = 8192;

/** A store whose commits wait while `hold` is on. */
function heldStore() {
  const inner = memoryStore();
  const state = { hold: false, waiting: [] as (() => void)[] };
  const store = {
    persistent: false,
    open: () => inner.open(),
    commit: async (changes: Parameters<typeof inner.commit>[0]) => {
      if (state.hold) await new Promise<void>((resolve) => state.waiting.push(resolve));
      return inner.commit(changes);
    },
    purge: () => inner.purge(),
    close: () => inner.close(),
  };
  const release = (): void => {
    state.hold = false;
    for (const go of state.waiting.splice(0)) go();
  };
  return { store, state, release };
}

test("a Kms that is closed while an item waits keeps what the other items had sealed", async () => {
  const { store, state, release } = heldStore();
  const kms = await openKms({ store, engine: "wasm", usageLimit: PAIRS });
  const { keyId } = await kms.createKey();
  await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
  state.hold = true;
  const pending = kms.advanceEncryptBatch([1, 2].map(() => ({ keyId, plaintext: patterned(32) })));
  const closing = kms.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  release();
  const items = await pending;
  await closing;
  expect(items.map((item) => (item.ok ? "sealed" : item.error.code))).toEqual(["sealed", "Rejected.Closed"]);
  const [first] = items;
  expect(first?.ok === true && first.value.ciphertextBlob.subarray(36).some((byte) => byte !== 0)).toBe(true);
});

test("what an item seals once the batch waits is not collected, since nobody would seal it any more", async () => {
  const engine = createWasmEngine({ build: "simd" });
  const key = engine.aesGcm?.importKey(new Uint8Array(32).fill(1));
  const bound = key === undefined ? undefined : engine.aesGcm?.unsafeBind?.(key);
  if (bound === undefined) throw new Error("the wasm engine binds no keys");
  const context = { router: { pinned: () => ({ aesGcm: () => bound, stage: new BatchStage() }) } };
  const collected: (boolean | undefined)[] = [];
  const seal = ({ stage }: OperationContext): void => {
    collected.push(stage?.add(bound, frameOf(new Uint8Array(48)), 36, patterned(32), new Uint8Array(84), 0));
  };
  await runBatch(
    context as unknown as OperationContext,
    (own, { late }: { late: boolean }) => (late ? Promise.resolve().then(() => seal(own)) : seal(own)),
    [{ late: true }, { late: false }],
    undefined,
  );
  expect(collected).toEqual([true, false]);
  engine.close();
});

test("plaintexts that a batch collected are erased once they are sealed, and when they cannot be", async () => {
  const targets = new Set<Uint8Array>();
  const original = Uint8Array.prototype.set;
  const spy = vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (this: Uint8Array, ...args) {
    targets.add(this);
    return original.apply(this, args);
  });
  // Loaded anew, because it keeps the method that it finds.
  vi.resetModules();
  const anew = await import("../../src/engines/wasm/inlined.ts");
  const engine = anew.createWasmEngine({ build: "simd" });
  const { aesGcm } = engine;
  if (aesGcm?.unsafeBind === undefined) throw new Error("the wasm engine binds no keys");
  const key = aesGcm.importKey(new Uint8Array(32).fill(1));
  const bound = aesGcm.unsafeBind(key);
  const stage = bound.borrowStage?.();
  const plaintext = crypto.getRandomValues(new Uint8Array(64));
  const holders = (): number =>
    [...targets].filter((bytes) => Buffer.from(bytes.buffer).includes(Buffer.from(plaintext.subarray(0, 16))))
      .length;
  try {
    const [frame, out] = [frameOf(new Uint8Array(48)), new Uint8Array(200)];
    stage?.add(bound, frame, 36, plaintext, out, 0);
    expect(holders()).toBeGreaterThan(0);
    stage?.flush();
    expect(holders()).toBe(0);
    stage?.add(bound, frame, 36, plaintext, out, 0);
    key.destroy();
    expect(() => stage?.flush()).toThrow();
    expect(holders()).toBe(0);
  } finally {
    spy.mockRestore();
    stage?.release();
    engine.close();
  }
});
