/** The option that verifies every ECDSA signature before it leaves, through a Kms and in both engines. */

import type * as nodeCrypto from "node:crypto";
import { createPublicKey, verify } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { loadEngine } from "../../src/engine.ts";
import { ecLoader } from "../../src/engines/wasm/load-ec-kernel.ts";
import type { Kms } from "../../src/index.ts";
import { codeOf, codeOfAsync, served } from "../conformance/engine-support.ts";
import { expectRefusal, newKey, openKms, patterned } from "../support/kms.ts";

/** While this is set, node:crypto signs wrongly. */
const fault = vi.hoisted(() => ({ armed: false }));
vi.mock("node:crypto", async (original) => {
  const real = await original<typeof nodeCrypto>();
  const sign = (...args: Parameters<typeof real.sign>): Buffer => {
    const signature = real.sign(...args) as unknown as Buffer;
    if (fault.armed) signature[9] = (signature[9] ?? 0) ^ 1;
    return signature;
  };
  return { ...real, sign };
});

const SPECS = ["EC_P256", "EC_P256K"] as const;
const message = patterned(100);

/** Flips the lowest bit of every byte in the memory of the wasm engines that is nobody's secret: the curves' tables. */
function disturbTables(): () => void {
  const { memory, items } = ecLoader.best("auto");
  const start = items + 0xf000;
  const flip = (): void => {
    for (let at = start; at < start + 2 * 0x25000; at += 64) memory[at] = (memory[at] ?? 0) ^ 1;
  };
  flip();
  return flip;
}

/** Verifies with node:crypto alone. */
async function isRight(kms: Kms, keyId: string, signature: Uint8Array): Promise<boolean> {
  const { publicKey } = await kms.getPublicKey({ keyId });
  return verify("sha256", message, createPublicKey(publicKey), signature);
}

let undo = (): void => undefined;
afterEach(() => {
  undo();
  undo = () => undefined;
  fault.armed = false;
});

// In this order: the engines of a process are shared, and those that verify stop for good.
describe("Kms.open({ verifySignatures })", () => {
  test.each(["auto", "wasm", "node"] as const)("engine %s signs as it does without", async (engine) => {
    const kms = await openKms({ engine, verifySignatures: true });
    for (const keySpec of SPECS) {
      const keyId = await newKey(kms, { keySpec });
      const { signature } = await kms.sign({ keyId, message });
      expect(await isRight(kms, keyId, signature)).toBe(true);
      const batch = await kms.signBatch([{ keyId, message }]);
      expect(batch.map(({ ok }) => ok)).toEqual([true]);
    }
  });

  test("is false or true", async () => {
    for (const odd of [1, "true", null]) {
      await expectRefusal(() => openKms({ verifySignatures: odd as unknown as boolean }), "InvalidParameter");
    }
  });

  test("on the wasm engine withholds what disturbed tables make wrong, and serves nothing more", async () => {
    const plain = await openKms({ engine: "wasm" });
    const checked = await openKms({ engine: "wasm", verifySignatures: true });
    const keyIds = await Promise.all([plain, checked].map((kms) => newKey(kms, { keySpec: "EC_P256" })));
    const [plainId = "", checkedId = ""] = keyIds;
    await plain.sign({ keyId: plainId, message });
    await checked.sign({ keyId: checkedId, message });
    undo = disturbTables();
    const { signature } = await plain.sign({ keyId: plainId, message });
    const refusal = await expectRefusal(() => checked.sign({ keyId: checkedId, message }), "InternalFailure");
    undo();
    undo = () => undefined;
    expect(await isRight(plain, plainId, signature)).toBe(false);
    expect(refusal.message).toBe(
      "The verification of a signature just made failed; this engine does not serve.",
    );
    await expectRefusal(() => checked.sign({ keyId: checkedId, message }), "InternalFailure");
    await plain.sign({ keyId: plainId, message });
  });

  test("on the node engine withholds what OpenSSL makes wrong, and serves nothing more", async () => {
    const plain = await openKms({ engine: "node" });
    const checked = await openKms({ engine: "node", verifySignatures: true });
    const [plainId = "", checkedId = ""] = await Promise.all(
      [plain, checked].map((kms) => newKey(kms, { keySpec: "EC_P256K" })),
    );
    await plain.sign({ keyId: plainId, message });
    await checked.sign({ keyId: checkedId, message });
    fault.armed = true;
    const { signature } = await plain.sign({ keyId: plainId, message });
    await expectRefusal(() => checked.sign({ keyId: checkedId, message }), "InternalFailure");
    fault.armed = false;
    expect(await isRight(plain, plainId, signature)).toBe(false);
    await expectRefusal(() => checked.sign({ keyId: checkedId, message }), "InternalFailure");
  });
});

describe("loadEngine", () => {
  test.each(["wasm", "node"] as const)("%s takes the option, true or false", async (name) => {
    for (const verifySignatures of [true, false]) {
      const engine = await loadEngine(name, { verifySignatures });
      const ecdsa = served(engine, "ecdsa");
      const { privateKey, publicKey } = await ecdsa.generateKey("P-256");
      const signable = { message, hash: "SHA-256" } as const;
      expect(ecdsa.verify(publicKey, signable, ecdsa.sign(privateKey, signable))).toBe(true);
    }
    const odd = { verifySignatures: 1 } as unknown as { verifySignatures: boolean };
    expect(await codeOfAsync(() => loadEngine(name, odd))).toBe("InvalidParameter");
  });

  test("node: a pair that fails its pairwise test, fresh or imported, stops the engine", async () => {
    for (const make of ["generate", "import"] as const) {
      const engine = await loadEngine("node");
      const ecdsa = served(engine, "ecdsa");
      const { privateKey } = await ecdsa.generateKey("P-256");
      const pkcs8 = ecdsa.exportPkcs8(privateKey);
      fault.armed = true;
      const code =
        make === "generate"
          ? await codeOfAsync(() => ecdsa.generateKey("P-256"))
          : codeOf(() => ecdsa.importPrivateKey("P-256", pkcs8));
      fault.armed = false;
      expect(code).toBe("InternalFailure");
      expect(codeOf(() => served(engine, "hash")("SHA-256", message))).toBe("InternalFailure");
    }
  });
});

test("a Kms signs one message with other nonces each time, on both engines", async () => {
  for (const engine of ["wasm", "node"] as const) {
    const kms = await openKms({ engine });
    const keyId = await newKey(kms, { keySpec: "EC_P256" });
    const signatures = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const { signature } = await kms.sign({ keyId, message, signatureFormat: "P1363" });
      signatures.add(Buffer.from(signature.subarray(0, 32)).toString("hex"));
    }
    expect(signatures.size).toBe(4);
  }
});
