/** What becomes of a signature that a fault made wrong: nothing, where signatures are verified before they leave. */

import { createHash } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { CurveName } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/index.ts";
import { KmsError } from "../../../src/errors.ts";
import { codeOf, codeOfAsync, served } from "../../conformance/engine-support.ts";
import {
  type Fault,
  FaultyEcdsa,
  itemFault,
  signatureInMemory,
  tableFault,
  zeroFault,
} from "../../support/faulty-ecdsa.ts";

const CURVES: readonly CurveName[] = ["P-256", "secp256k1"];
const FAULTS = 240;

const sha256 = (text: string): Uint8Array => new Uint8Array(createHash("sha256").update(text).digest());

/** A fault of each kind in turn, at a place that its number decides. */
function faultOf(number: number, curve: CurveName): Fault {
  const places = sha256(`fault ${number}`);
  const bit = places[0] ?? 0;
  switch (number % 4) {
    case 0:
      return itemFault("key", bit);
    case 1:
      return itemFault("digest", bit);
    case 2:
      return tableFault(curve, places[1] ?? 0, bit);
    default:
      return itemFault("signature", bit + 256 * ((places[1] ?? 0) & 1));
  }
}

/** Signs under a fault and tells what came of it. */
function signUnder(verifySignatures: boolean, number: number): "right" | "wrong" | "withheld" {
  const curve = CURVES[(number >> 2) & 1] ?? "P-256";
  const scalar = sha256(`key ${number}`);
  const digest = sha256(`message ${number}`);
  const faulty = new FaultyEcdsa(verifySignatures);
  const key = faulty.ecdsa.importPrivateKey(curve, scalar);
  const format = "p1363";
  faulty.ecdsa.sign(key, digest);
  faulty.fault = faultOf(number, curve);
  try {
    const signature = number % 3 === 0 ? undefined : faulty.ecdsa.sign(key, digest, { format });
    const [first] = faulty.ecdsa.signBatch([{ key, signable: digest }], { format });
    const noble = curve === "P-256" ? p256 : secp256k1;
    const options = { prehash: false, lowS: false };
    const isRight = noble.verify(
      signature ?? first ?? new Uint8Array(64),
      digest,
      noble.getPublicKey(scalar, false),
      options,
    );
    return isRight ? "right" : "wrong";
  } catch (error) {
    if (error instanceof KmsError && error.code === "InternalFailure") return "withheld";
    throw error;
  } finally {
    faulty.fault = {};
  }
}

function count(verifySignatures: boolean): Record<string, number> {
  const outcomes: Record<string, number> = { right: 0, wrong: 0, withheld: 0 };
  for (let number = 0; number < FAULTS; number++) {
    const outcome = signUnder(verifySignatures, number);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

describe("240 faults of key, digest, table and result", { timeout: 120_000 }, () => {
  test("let wrong signatures out of an engine that does not look", () => {
    const outcomes = count(false);
    expect(outcomes["withheld"]).toBe(0);
    expect(outcomes["wrong"]).toBeGreaterThan(200);
  });

  test("let none out of one that verifies them", () => {
    const outcomes = count(true);
    expect(outcomes["wrong"]).toBe(0);
    expect(outcomes["withheld"]).toBeGreaterThan(200);
  });
});

describe.each(CURVES)("an engine on %s that verifies its signatures", (curve) => {
  const digest = sha256("a message");
  const scalar = sha256("a key");

  test("serves nothing after a wrong one, which it erased", () => {
    const faulty = new FaultyEcdsa(true);
    const key = faulty.ecdsa.importPrivateKey(curve, scalar);
    const publicKey = faulty.ecdsa.publicKey(key);
    const good = faulty.ecdsa.sign(key, digest);
    const pairs: Uint8Array[] = [];
    const slice = Uint8Array.prototype.slice;
    faulty.fault = itemFault("key", 77);
    Uint8Array.prototype.slice = function (this: Uint8Array, start?: number, end?: number) {
      const part = slice.call(this, start, end) as Uint8Array<ArrayBuffer>;
      if (part.length === 64) pairs.push(part);
      return part;
    };
    try {
      expect(codeOf(() => faulty.ecdsa.sign(key, digest))).toBe("InternalFailure");
    } finally {
      Uint8Array.prototype.slice = slice;
    }
    expect(pairs.length).toBeGreaterThan(0);
    for (const pair of pairs) expect(pair).toEqual(new Uint8Array(64));
    faulty.fault = {};
    for (const call of [
      () => faulty.ecdsa.sign(key, digest),
      () => faulty.ecdsa.signBatch([{ key, signable: digest }]),
      () => faulty.ecdsa.verify(publicKey, digest, good),
      () => faulty.ecdsa.importPrivateKey(curve, scalar),
      () => faulty.ecdsa.exportPkcs8(key),
    ]) {
      expect(codeOf(call)).toBe("InternalFailure");
    }
  });

  test("signs what another signs, alone and in batches, often enough to have a table", () => {
    const checked = new FaultyEcdsa(true).ecdsa;
    const plain = new FaultyEcdsa(false).ecdsa;
    const [ours, theirs] = [checked, plain].map((ecdsa) => ecdsa.importPrivateKey(curve, scalar));
    if (ours === undefined || theirs === undefined) throw new Error("internal: no keys");
    for (let i = 0; i < 25; i++) {
      const signable = sha256(`message ${i}`);
      expect(checked.sign(ours, signable)).toEqual(plain.sign(theirs, signable));
    }
    const items = Array.from({ length: 40 }, (_, i) => sha256(`item ${i}`));
    expect(checked.signBatch(items.map((signable) => ({ key: ours, signable })))).toEqual(
      plain.signBatch(items.map((signable) => ({ key: theirs, signable }))),
    );
  });

  test("a batch with one wrong signature gives none", () => {
    const faulty = new FaultyEcdsa(true);
    const key = faulty.ecdsa.importPrivateKey(curve, scalar);
    faulty.fault = itemFault("digest", 3);
    const items = Array.from({ length: 5 }, (_, i) => ({ key, signable: sha256(`item ${i}`) }));
    expect(codeOf(() => faulty.ecdsa.signBatch(items))).toBe("InternalFailure");
  });
});

describe.each(CURVES)("a key on %s", (curve) => {
  test("that fails its pairwise test, fresh or imported as a pair, stops the engine", async () => {
    for (const verifySignatures of [false, true]) {
      const donor = new FaultyEcdsa(verifySignatures).ecdsa;
      const pkcs8 = donor.exportPkcs8(donor.importPrivateKey(curve, sha256("a key")));
      for (const make of ["generate", "import"] as const) {
        const faulty = new FaultyEcdsa(verifySignatures);
        const publicKey = faulty.ecdsa.publicKey(faulty.ecdsa.importPrivateKey(curve, sha256("another")));
        faulty.fault = itemFault("signature", 100);
        const code =
          make === "generate"
            ? await codeOfAsync(() => faulty.ecdsa.generateKey(curve))
            : codeOf(() => faulty.ecdsa.importPrivateKey(curve, pkcs8));
        expect(code).toBe("InternalFailure");
        faulty.fault = {};
        expect(codeOf(() => faulty.ecdsa.exportSpki(publicKey))).toBe("InternalFailure");
        expect(await codeOfAsync(() => faulty.ecdsa.generateKey(curve))).toBe("InternalFailure");
      }
    }
  });
});

describe.each(CURVES)("a signature on %s whose r or s is zero", (curve) => {
  afterEach(() => vi.restoreAllMocks());
  const scalar = sha256("a key");
  const digest = sha256("a message");

  test("is made again with another nonce, and the bad one is erased first", () => {
    const faulty = new FaultyEcdsa(false);
    const key = faulty.ecdsa.importPrivateKey(curve, scalar);
    const publicKey = faulty.ecdsa.publicKey(key);
    const plain = faulty.ecdsa.sign(key, digest);
    const seen: Uint8Array[] = [];
    let calls = 0;
    faulty.fault = {
      before: () => seen.push(signatureInMemory()),
      after: () => {
        calls += 1;
        if (calls === 1) zeroFault().after?.();
      },
    };
    const again = faulty.ecdsa.sign(key, digest);
    expect(calls).toBe(2);
    expect(seen[1]).toEqual(new Uint8Array(64));
    expect(again).not.toEqual(plain);
    expect(faulty.ecdsa.verify(publicKey, digest, again)).toBe(true);
  });

  test("is made again in its place of a batch", () => {
    const faulty = new FaultyEcdsa(false);
    const key = faulty.ecdsa.importPrivateKey(curve, scalar);
    const items = Array.from({ length: 40 }, (_, i) => ({ key, signable: sha256(`item ${i}`) }));
    const expected = faulty.ecdsa.signBatch(items);
    let calls = 0;
    faulty.fault = {
      after: () => {
        calls += 1;
        if (calls === 2) zeroFault().after?.();
      },
    };
    const signatures = faulty.ecdsa.signBatch(items);
    faulty.fault = {};
    expect(calls).toBe(3);
    // The second call of the kernel begins with the 33rd item.
    expect(signatures.map((signature, i) => Buffer.compare(signature, expected[i] ?? digest) === 0)).toEqual(
      items.map((_, i) => i !== 32),
    );
    const publicKey = faulty.ecdsa.publicKey(key);
    expect(faulty.ecdsa.verify(publicKey, sha256("item 32"), signatures[32] ?? digest)).toBe(true);
  });

  test("three times in a row is a broken kernel", () => {
    const faulty = new FaultyEcdsa(false);
    const key = faulty.ecdsa.importPrivateKey(curve, scalar);
    faulty.fault = zeroFault();
    expect(() => faulty.ecdsa.sign(key, digest)).toThrow("internal: the kernel makes no signature");
  });

  test("random bytes that wait for calls to come are erased when the engine closes", () => {
    const original = crypto.getRandomValues.bind(crypto);
    const pools: Uint8Array[] = [];
    vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
      if (array instanceof Uint8Array) pools.push(array);
      return original(array);
    });
    const engine = createWasmEngine();
    served(engine, "ecdsa").importPrivateKey(curve, scalar);
    // The last: loading the kernels may have filled and erased another.
    const pool = pools.filter(({ length }) => length === 4096).at(-1);
    expect(pool?.some((byte) => byte !== 0)).toBe(true);
    engine.close();
    expect(pool?.every((byte) => byte === 0)).toBe(true);
  });

  test("random bytes are fetched anew after they were erased", () => {
    const { operations } = new FaultyEcdsa(false);
    operations.publicPoint(curve, scalar);
    operations.close();
    const spy = vi.spyOn(crypto, "getRandomValues");
    operations.publicPoint(curve, scalar);
    expect(spy).toHaveBeenCalledTimes(1);
  });
});
