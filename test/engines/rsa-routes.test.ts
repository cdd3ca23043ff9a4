/** Which engine "auto" gives an RSA key to, by size, operation, and what vector instructions each engine has. */

import { createPublicKey, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type AnyEngine, type EngineChoice, Engines } from "../../src/engines/choose-engine.ts";
import type { EngineName } from "../../src/engines/engine.ts";
import type { KeyVault } from "../../src/engines/key-vault.ts";
import { usesVectorsForRsa } from "../../src/engines/node/rsa-vectors.ts";
import { Router } from "../../src/engines/router.ts";
import type { RsaOperation } from "../../src/engines/routes.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import type { KeyVersion } from "../../src/keys/key.ts";
import { newKey, openKms } from "../support/kms.ts";

/** An engine that tells who was asked to hold a key. */
function engineOf(name: EngineName, vectors: readonly number[], log: string[]): AnyEngine {
  const rsa = {
    importPrivateKey: () => {
      log.push(`${name} imports`);
      return { modulusBits: 0, destroy: () => log.push(`${name} destroys`) };
    },
    publicKey: () => ({ engine: name }),
  };
  const capabilities = { rsa: ["2048", "3072", "4096"] };
  const usesVectors = (bits: number): boolean => vectors.includes(bits);
  return { name, capabilities, rsa, usesVectorsForRsa: usesVectors } as unknown as AnyEngine;
}

const ALL = [2048, 3072, 4096];

/** Routers over engines with these vector instructions; absent where the platform has no such engine. */
function routerOver(
  engines: Partial<Record<EngineName, readonly number[]>>,
  choice: EngineChoice = "auto",
): { router: Router; log: string[] } {
  const log: string[] = [];
  const made = new Map(
    Object.entries(engines).map(([name, vectors]) => [name, engineOf(name as EngineName, vectors, log)]),
  );
  const vault = { open: () => new Uint8Array(4) } as unknown as KeyVault;
  return { router: new Router(new Engines((name) => made.get(name), choice), vault), log };
}

function version(bits: number): KeyVersion {
  const identity = { spec: `RSA_${bits}`, keyId: "key-0", usage: "SIGN/VERIFY" };
  return {
    key: { isHardware: false, identity },
    keyVersionId: "0",
    sealedMaterial: new Uint8Array(1),
  } as unknown as KeyVersion;
}

function engineFor(router: Router, bits: number, operation: RsaOperation): unknown {
  const binding = router.rsa.find(version(bits), operation);
  if (binding instanceof Promise) throw new Error("an engine here answers at once");
  return (binding.publicKey as unknown as { engine: string }).engine;
}

const engines = (router: Router, operation: RsaOperation): unknown[] =>
  ALL.map((bits) => engineFor(router, bits, operation));

describe("auto", () => {
  test("gives private operations above 2048 bits to the relaxed build where OpenSSL has no vectors", () => {
    for (const node of [[], [2048]]) {
      const { router } = routerOver({ wasm: ALL, node });
      expect(engines(router, "private")).toEqual(["node", "wasm", "wasm"]);
      expect(engines(router, "public")).toEqual(["node", "node", "node"]);
    }
  });

  test("leaves everything to OpenSSL where it has vectors, or the kernels have none", () => {
    for (const [wasm, node] of [
      [ALL, ALL],
      [[], ALL],
      [[], []],
    ] as const) {
      const { router } = routerOver({ wasm, node });
      for (const operation of ["private", "public"] as const) {
        expect(engines(router, operation)).toEqual(["node", "node", "node"]);
      }
    }
  });

  test.each([
    [{ wasm: [] }, "wasm"],
    [{ wasm: ALL, webcrypto: [] }, "wasm"],
    [{ webcrypto: ALL }, "webcrypto"],
  ] as const)("takes what a platform without node:crypto has: %j", (given, expected) => {
    const { router } = routerOver(given);
    expect(engines(router, "private")).toEqual([expected, expected, expected]);
    expect(engines(router, "public")).toEqual([expected, expected, expected]);
  });

  test("imports a key once an engine, and forgets it in both", () => {
    const { router, log } = routerOver({ wasm: ALL, node: [] });
    const key = version(3072);
    for (let i = 0; i < 3; i++) {
      router.rsa.find(key, "private");
      router.rsa.find(key, "public");
    }
    expect(log).toEqual(["wasm imports", "node imports"]);
    router.forget(key);
    expect(log.slice(2).sort()).toEqual(["node destroys", "wasm destroys"]);
  });
});

test.each(["wasm", "node"] as const)("a forced %s engine serves alone", (choice) => {
  const { router } = routerOver({ wasm: ALL, node: [] }, choice);
  for (const operation of ["private", "public"] as const) {
    expect(engines(router, operation)).toEqual([choice, choice, choice]);
  }
});

describe("vector instructions", () => {
  test("are the relaxed build's and no other's", () => {
    expect(createWasmEngine({ relaxedSimd: "force" }).usesVectorsForRsa?.(3072)).toBe(true);
    expect(createWasmEngine({ relaxedSimd: "off" }).usesVectorsForRsa?.(3072)).toBe(false);
  });

  test("of OpenSSL 3.0 are for 2048 bits at most", () => {
    const isOld = /^3\.0\./.test(process.versions.openssl);
    for (const bits of [3072, 4096]) {
      if (isOld) expect(usesVectorsForRsa(bits)).toBe(false);
      else expect(usesVectorsForRsa(bits)).toBe(usesVectorsForRsa(2048));
    }
  });
});

test("a key in two engines signs, verifies and tells its public half alike", async () => {
  const kms = await openKms({ engine: "auto", relaxedSimd: "force" });
  const message = Uint8Array.of(1, 2, 3);
  const keyId = await newKey(kms, { keySpec: "RSA_3072" });
  const signed = await kms.sign({ keyId, message, algorithm: "RSA_PKCS1_SHA_256" });
  const { publicKeyDer } = await kms.getPublicKey({ keyId });
  const key = createPublicKey({ key: Buffer.from(publicKeyDer), format: "der", type: "spki" });
  expect(verify("sha256", message, key, signed.signature)).toBe(true);
  const { signature, algorithm } = signed;
  const { value } = await kms.verify({ keyId, message, signature, algorithm });
  expect(value).toBe(true);
  await kms.close();
});
