/** Frames that stay in the arena from call to call: no history of other calls makes a run other than a single seal. */

import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TrustedAesKey } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { mainLoader } from "../../../src/engines/wasm/load-kernel.ts";
import { FrameScratch } from "../../../src/envelope/frame-scratch.ts";
import { served } from "../../conformance/engine-support.ts";

const HEADERS = [new Uint8Array(24).fill(1), new Uint8Array(24).fill(2)];
const AADS = [0, 20, 43, 43, 44, 200].map((length, i) => new Uint8Array(length).fill(i + 1));
const PREFIXES = { detached: 12, advance: 36 } as const;

/** Seals under the key that is filled with a byte. */
function sealByNode(fill: number, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-gcm", new Uint8Array(32).fill(fill), iv).setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** A call of a history. Most have the same frame, so that it stays in place. */
const call = fc.record({
  kind: fc.constantFrom(
    "run",
    "run",
    "run",
    "open run",
    "forged run",
    "seal",
    "open",
    "packed",
    "chunks",
    "drop",
  ),
  mode: fc.constantFrom<"detached" | "advance">("detached", "advance", "advance", "advance"),
  key: fc.nat(1),
  header: fc.constantFrom(0, 0, 0, 1),
  aad: fc.constantFrom(2, 2, 2, 2, 3, 0, 1, 4, 5),
  length: fc.constantFrom(1, 16, 32, 33, 64, 65, 300),
  scratch: fc.constantFrom(0, 0, 0, 1),
});

describe.each(["base", "simd"] as const)("frames in the arena of the %s build", (build) => {
  test("are what is authenticated, whatever was called before", () => {
    const engine = createWasmEngine({ build });
    const { aesGcm } = engine;
    if (aesGcm?.unsafeBind === undefined) throw new Error("the wasm engine binds no keys");
    const keys = [1, 2].map((fill) => aesGcm.importKey(new Uint8Array(32).fill(fill)));
    const bound = keys.map((key) => aesGcm.unsafeBind?.(key) as TrustedAesKey);
    let counter = 0;
    const nextIv = (): Uint8Array => {
      counter += 1;
      const iv = new Uint8Array(12);
      new DataView(iv.buffer).setUint32(4, counter);
      return iv;
    };
    fc.assert(
      fc.property(fc.array(call, { minLength: 2, maxLength: 25 }), (history) => {
        const scratches = [new FrameScratch(), new FrameScratch()];
        for (const { kind, mode, key: k, header, aad: a, length, scratch } of history) {
          const [key, own] = [keys[k], bound[k]];
          const [frames, aad] = [scratches[scratch], AADS[a]];
          if (key === undefined || own === undefined || frames === undefined || aad === undefined) return;
          const iv = nextIv();
          const plaintext = new Uint8Array(length).fill(counter);
          if (kind === "seal") aesGcm.seal(key, iv, plaintext, aad);
          else if (kind === "open") aesGcm.open(key, iv, plaintext, aad);
          else if (kind === "packed") {
            aesGcm.openPacked(key, new Uint8Array(3 * 60), { count: 3, aadLength: 0, plaintextLength: 32 });
          } else if (kind === "chunks") aesGcm.seal(key, iv, new Uint8Array(70_000), aad);
          else if (kind === "drop") aesGcm.importKey(new Uint8Array(16)).destroy();
          else {
            const frame = frames.frame(mode, HEADERS[header] ?? iv, aad, true);
            frame.bytes.set(iv, frame.bytes.length - 12);
            // By OpenSSL, since any call of this engine would displace the frame.
            const expected = sealByNode(k + 1, iv, plaintext, frame.bytes);
            const prefix = PREFIXES[mode];
            const run = new Uint8Array(prefix + length + 16);
            if (kind === "run") {
              own.sealRun(frame, prefix, plaintext, run, 0);
              expect(Buffer.compare(run.subarray(prefix), expected)).toBe(0);
              const end = frame.bytes.subarray(frame.bytes.length - prefix);
              expect(Buffer.compare(run.subarray(0, prefix), end)).toBe(0);
              // Once more with the frame in place, under an iv that is other than the one there.
              const second = nextIv();
              frame.bytes.set(second, frame.bytes.length - 12);
              own.sealRun(frame, prefix, plaintext, run, 0);
              const again = sealByNode(k + 1, second, plaintext, frame.bytes);
              expect(Buffer.compare(run.subarray(prefix), again)).toBe(0);
            } else {
              run.set(frame.bytes.subarray(frame.bytes.length - prefix));
              run.set(expected, prefix);
              const changed = kind === "forged run" ? (counter * 7) % (prefix + length) : -1;
              if (changed >= 0) run[changed] = (run[changed] ?? 0) ^ 1;
              const opened = own.openRun(frame, prefix, run);
              expect(opened).toEqual(changed >= 0 ? undefined : plaintext);
            }
          }
        }
      }),
      { numRuns: 400 },
    );
    engine.close();
  });

  test("are wiped from it with the next key that goes", () => {
    const engine = createWasmEngine({ build });
    const aesGcm = served(engine, "aesGcm");
    const key = aesGcm.importKey(new Uint8Array(32));
    const marker = Buffer.from("a context that is nobody's business");
    const frame = new FrameScratch().frame("advance", new Uint8Array(24), marker, true);
    aesGcm.unsafeBind?.(key).sealRun(frame, 36, new Uint8Array(32), new Uint8Array(84), 0);
    const memory = Buffer.from(mainLoader.best("auto", build).memory.buffer);
    expect(memory.includes(marker)).toBe(true);
    key.destroy();
    expect(memory.includes(marker)).toBe(false);
    engine.close();
  });

  test("are not relied on after a call that ended before the kernel had answered", () => {
    const engine = createWasmEngine({ build });
    const aesGcm = served(engine, "aesGcm");
    const kernel = mainLoader.best("auto", build) as { aesGcmSeal: (...args: number[]) => number };
    const bound = aesGcm.unsafeBind?.(aesGcm.importKey(new Uint8Array(32).fill(1))) as TrustedAesKey;
    const frames = new FrameScratch();
    const seal = (aad: Uint8Array): void => {
      const frame = frames.frame("advance", HEADERS[0] ?? aad, aad, true);
      const run = new Uint8Array(84);
      bound.sealRun(frame, 36, new Uint8Array(32), run, 0);
      const expected = sealByNode(1, new Uint8Array(frame.ivBytes), new Uint8Array(32), frame.bytes);
      expect(Buffer.compare(run.subarray(36), expected)).toBe(0);
    };
    const [alice, bobby] = [new Uint8Array(43).fill(1), new Uint8Array(43).fill(2)];
    seal(alice);
    seal(alice);
    const { aesGcmSeal } = kernel;
    kernel.aesGcmSeal = () => {
      throw new RangeError("the stack is exhausted");
    };
    expect(() => seal(bobby)).toThrow(RangeError);
    kernel.aesGcmSeal = aesGcmSeal;
    seal(bobby);
    seal(bobby);
    seal(bobby);
    engine.close();
  });
});
