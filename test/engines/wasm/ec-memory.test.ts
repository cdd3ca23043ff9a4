/** Where private keys are while a wasm engine holds them, and that none are left afterwards. */

import { createHash, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeAll, describe, expect, test } from "vitest";
import type { CurveName, Ecdh, Ecdsa, Engine } from "../../../src/engines/engine.ts";
import { WASM_HEX as ECC_BASE_WASM_HEX } from "../../../src/engines/wasm/bytes/ecc-base.ts";
import { WASM_HEX as ECC_RELAXED_WASM_HEX } from "../../../src/engines/wasm/bytes/ecc-relaxed.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { ecLoader } from "../../../src/engines/wasm/load-ec-kernel.ts";
import { codeOf, served } from "../../conformance/engine-support.ts";
import { allowRelaxedSimd } from "../../ctime/builds.ts";

const CURVES: readonly CurveName[] = ["P-256", "secp256k1"];
/** What the relaxed build computes on in pairs lies behind the items. */
const PAIRS_LENGTH = 0x600;
const digest = new Uint8Array(createHash("sha256").update("a message").digest());

allowRelaxedSimd();

const BUILDS = [
  { build: "base", text: ECC_BASE_WASM_HEX },
  { build: "relaxed", text: ECC_RELAXED_WASM_HEX },
];

describe.each(BUILDS)("the memory of a wasm engine with EC keys ($build)", ({ text }) => {
  const wasm = new WebAssembly.Module(Buffer.from(text, "hex"));
  let engine: Engine;
  let ecdsa: Ecdsa;
  let ecdh: Ecdh;
  let memory: Buffer;
  let itemRegion: readonly [number, number];
  let secretRegion: readonly [number, number];

  beforeAll(() => {
    engine = createWasmEngine({ wasm: { ecc: wasm } });
    ecdsa = served(engine, "ecdsa");
    ecdh = served(engine, "ecdh");
    const { memory: linear, items, itemLength, itemCount } = ecLoader.ofModule(wasm);
    memory = Buffer.from(linear.buffer);
    itemRegion = [items, items + itemLength * itemCount];
    secretRegion = [items - 0x1000, items];
  });

  /** Tells whether any eight bytes in a row of a secret, in either byte order, are anywhere in the memory. */
  function holds(secret: Uint8Array): boolean {
    const orders = [Buffer.from(secret), Buffer.from(secret).reverse()];
    return orders.some((bytes) => {
      for (let at = 0; at + 8 <= bytes.length; at++)
        if (memory.includes(bytes.subarray(at, at + 8))) return true;
      return false;
    });
  }

  test.each(CURVES)("holds no private key of %s and no shared secret after a call", async (curve) => {
    const scalar = new Uint8Array(randomBytes(32));
    scalar[0] = 0x7f;
    const key = ecdsa.importPrivateKey(curve, scalar);
    expect(holds(scalar)).toBe(false);
    ecdsa.signBatch(Array.from({ length: 40 }, () => ({ key, signable: digest })));
    expect(holds(scalar)).toBe(false);
    ecdsa.sign(key, digest, { hedged: true });
    const { publicKey: peer } = await ecdsa.generateKey(curve);
    const shared = ecdh.deriveBits(key, peer);
    expect(holds(scalar)).toBe(false);
    expect(holds(shared)).toBe(false);
    // The search finds what is there.
    memory.set(scalar.subarray(5, 20), itemRegion[0]);
    expect(holds(scalar)).toBe(true);
    memory.fill(0, itemRegion[0], itemRegion[0] + 15);
  });

  test("leaves its working state zeroed, and of an item its public result alone", () => {
    const key = ecdsa.importPrivateKey("P-256", new Uint8Array(randomBytes(32)).fill(1, 0, 1));
    memory.fill(0xa5, ...itemRegion);
    ecdsa.sign(key, digest);
    expect(memory.subarray(...secretRegion).every((byte) => byte === 0)).toBe(true);
    expect(memory.subarray(itemRegion[1], itemRegion[1] + PAIRS_LENGTH).every((byte) => byte === 0)).toBe(
      true,
    );
    // r, s, the verdict and the recovery number; and the number of a table, which signing does not read.
    const item = memory.subarray(itemRegion[0], itemRegion[0] + 720);
    const kept = [...item.keys()].filter((at) => item[at] !== 0);
    expect(kept.every((at) => (at >= 96 && at < 160) || (at >= 224 && at < 240))).toBe(true);
  });

  test("zeroes the scalar of a destroyed key, of a closed engine and of a dropped handle", async () => {
    // Scalars that the engine keeps are the arrays of 32 bytes that it makes itself.
    const kept: unknown[] = [];
    const set = Uint8Array.prototype.set;
    const scalars = Array.from({ length: 3 }, () => new Uint8Array(randomBytes(32)).fill(1, 0, 1));
    const other = createWasmEngine({ wasm: { ecc: wasm } });
    const otherEcdsa = served(other, "ecdsa");
    Uint8Array.prototype.set = function (this: Uint8Array, source: ArrayLike<number>, offset?: number) {
      if (this.length === 32 && (scalars as unknown[]).includes(source)) kept.push(this);
      return set.call(this, source, offset);
    };
    try {
      ecdsa.importPrivateKey("P-256", scalars[0] as Uint8Array).destroy();
      otherEcdsa.importPrivateKey("secp256k1", scalars[1] as Uint8Array);
      other.close();
      (() => ecdsa.importPrivateKey("P-256", scalars[2] as Uint8Array))();
    } finally {
      Uint8Array.prototype.set = set;
    }
    expect(kept.length).toBe(3);
    const zeroed = (bytes: unknown) => bytes instanceof Uint8Array && bytes.every((byte) => byte === 0);
    expect(zeroed(kept[0])).toBe(true);
    expect(zeroed(kept[1])).toBe(true);
    expect(codeOf(() => otherEcdsa.importPrivateKey("P-256", scalars[1] as Uint8Array))).toBe(
      "InvalidParameter",
    );
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (let attempt = 0; attempt < 50 && !zeroed(kept[2]); attempt++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(zeroed(kept[2])).toBe(true);
  });
});
