/** Keys bound for the facade: no argument is checked, but a dead key or engine is refused all the same. */

import { describe, expect, test } from "vitest";
import { loadEngine } from "../../src/engine.ts";

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

  test.each(["destroy", "close"] as const)("is refused after %s", async (end) => {
    const { engine, key, trusted } = await bound();
    const sealed = new Uint8Array(56);
    if (end === "destroy") key.destroy();
    else engine.close();
    const refused = expect.objectContaining({ code: "InvalidParameter" });
    expect(() => trusted.sealInto(iv, plaintext, aad, sealed, 0)).toThrow(refused);
    expect(() => trusted.open(iv, sealed, aad)).toThrow(refused);
    expect(sealed).toEqual(new Uint8Array(56));
  });
});
