/** Keys bound for the facade: no argument is checked, but a dead key or engine is refused all the same. */

import { describe, expect, test } from "vitest";
import { loadEngine } from "../../src/engine.ts";
import { frameOf } from "../support/aad-frame.ts";

const iv = new Uint8Array(12).fill(1);
const plaintext = new Uint8Array(40).fill(2);
const aad = new Uint8Array(80).fill(3);

describe.each(["wasm", "node"] as const)("a key bound in the %s engine", (name) => {
  async function bound() {
    const engine = await loadEngine(name);
    const { aesGcm } = engine;
    if (aesGcm?.unsafeBind === undefined) throw new Error(`the ${name} engine binds no keys`);
    const key = aesGcm.importKey(new Uint8Array(32).fill(4));
    return { engine, aesGcm, key, trusted: aesGcm.unsafeBind(key) };
  }

  test("seals and opens like the checked calls", async () => {
    const { engine, aesGcm, key, trusted } = await bound();
    const out = new Uint8Array(100).fill(0xee);
    trusted.sealInto(iv, plaintext, aad, out, 7);
    const sealed = aesGcm.seal(key, iv, plaintext, aad);
    expect(out.subarray(7, 63)).toEqual(sealed);
    expect([out[6], out[63]]).toEqual([0xee, 0xee]);
    expect(trusted.open(iv, sealed, aad)).toEqual(plaintext);
    sealed[0] = (sealed[0] ?? 0) ^ 1;
    expect(trusted.open(iv, sealed, aad)).toBeUndefined();
    engine.close();
  });

  test.each([0, 12, 36])(
    "writes the last %i bytes of the aad in front of what it seals",
    async (prefixLength) => {
      const { engine, aesGcm, key, trusted } = await bound();
      for (const length of [1, 16, 40, 1000, 70_000]) {
        const message = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)));
        const data = new Uint8Array(length);
        data.set(message);
        const out = new Uint8Array(prefixLength + length + 16 + 9).fill(0xee);
        trusted.sealRun(frameOf(aad), prefixLength, data, out, 5);
        const prefix = aad.subarray(aad.length - prefixLength);
        const sealed = aesGcm.seal(key, aad.subarray(aad.length - 12), data, aad);
        expect(Buffer.compare(out.subarray(5, out.length - 4), Buffer.concat([prefix, sealed]))).toBe(0);
        expect([out[4], out[out.length - 4]]).toEqual([0xee, 0xee]);
      }
      engine.close();
    },
  );

  test("opens a run under the prefix that it carries and no other", async () => {
    const { engine, trusted } = await bound();
    for (const length of [0, 1, 40, 70_000]) {
      const data = new Uint8Array(length).fill(7);
      const run = new Uint8Array(36 + length + 16);
      trusted.sealRun(frameOf(aad), 36, data, run, 0);
      // What the aad ends with is replaced by the prefix of the run.
      const otherEnd = new Uint8Array(aad);
      otherEnd.fill(0, aad.length - 36);
      expect(trusted.openRun(frameOf(otherEnd), 36, run)).toEqual(data);
      for (const at of [0, 23, 24, 35, 36, run.length - 1]) {
        const changed = new Uint8Array(run);
        changed[at] = (changed[at] ?? 0) ^ 1;
        expect(trusted.openRun(frameOf(aad), 36, changed)).toBeUndefined();
      }
      expect(trusted.openRun(frameOf(aad), 36, run.subarray(0, 51))).toBeUndefined();
    }
    engine.close();
  });

  test.each(["destroy", "close"] as const)("is refused after %s", async (end) => {
    const { engine, key, trusted } = await bound();
    const sealed = new Uint8Array(56);
    if (end === "destroy") key.destroy();
    else engine.close();
    const refused = expect.objectContaining({ code: "InvalidParameter" });
    expect(() => trusted.sealInto(iv, plaintext, aad, sealed, 0)).toThrow(refused);
    expect(() => trusted.open(iv, sealed, aad)).toThrow(refused);
    expect(() => trusted.sealRun(frameOf(aad), 0, plaintext, sealed, 0)).toThrow(refused);
    expect(() => trusted.openRun(frameOf(aad), 12, sealed)).toThrow(refused);
    expect(sealed).toEqual(new Uint8Array(56));
  });
});
