/** What is peculiar to the node engine: fault checks, key lifetime, what handles give away, and loading by name. */

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { loadEngine } from "../../../src/engine.ts";
import { isPrivateScalar, isSignatureScalarVartime } from "../../../src/engines/ec-scalar.ts";
import { createNodeEngine } from "../../../src/engines/node/index.ts";
import { readRsaPrivate, readRsaPublic } from "../../../src/engines/node/rsa-keys.ts";
import { signRsa } from "../../../src/engines/node/rsa-raw.ts";
import { fromHex, RSA_ANSWER } from "../../../src/engines/self-test-vectors.ts";
import { codeOf, codeOfAsync, served, utf8 } from "../../conformance/engine-support.ts";

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "spki" }));
}

describe("the node engine", () => {
  test("withholds an RSA signature that does not verify, of either padding, for message and digest", () => {
    const secret = readRsaPrivate(fromHex(RSA_ANSWER.pkcs8));
    const other = readRsaPublic(spkiOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey));
    const faulty = { ...secret, publicKey: other.publicKey };
    const message = { kind: "message", message: utf8("m"), hash: "SHA-256" } as const;
    const digest = { kind: "digest", digest: new Uint8Array(32) } as const;
    for (const padding of [
      { scheme: "pkcs1", hash: "SHA-256" } as const,
      { scheme: "pss", hash: "SHA-256", saltLength: 32 } as const,
    ]) {
      for (const signable of [message, digest]) {
        expect(codeOf(() => signRsa(secret, signable, padding))).toBe("none");
        expect(codeOf(() => signRsa(faulty, signable, padding))).toBe("InternalFailure");
      }
    }
  });

  test("handles and engine show no key material when logged", async () => {
    const engine = createNodeEngine();
    const secretBytes = new Uint8Array(32).fill(0xab);
    const handles = [
      served(engine, "aesGcm").importKey(secretBytes),
      served(engine, "ecdsa").importPrivateKey("P-256", secretBytes),
      served(engine, "rsa").importPrivateKey(fromHex(RSA_ANSWER.pkcs8)),
    ];
    for (const shown of [...handles, engine]) {
      const text = inspect(shown, { depth: 9, showHidden: true }) + JSON.stringify(shown);
      expect(text).not.toMatch(/abab|171, 171|KeyObject/);
    }
    expect(handles.map((handle) => JSON.stringify(handle))).toEqual([
      '{"byteLength":32}',
      '{"curve":"P-256"}',
      '{"modulusBits":2048}',
    ]);
  });

  test("copies imported keys: the caller may wipe its own", () => {
    const aesGcm = served(createNodeEngine(), "aesGcm");
    const bytes = new Uint8Array(32).fill(3);
    const key = aesGcm.importKey(bytes);
    const iv = new Uint8Array(12);
    const sealed = aesGcm.seal(key, iv, utf8("plaintext"));
    bytes.fill(0);
    expect(aesGcm.open(key, iv, sealed)).toEqual(utf8("plaintext"));
    const ecdsa = served(createNodeEngine(), "ecdsa");
    const scalar = new Uint8Array(32).fill(3);
    const ecKey = ecdsa.importPrivateKey("P-256", scalar);
    const pkcs8 = ecdsa.exportPkcs8(ecKey);
    scalar.fill(0);
    expect(ecdsa.exportPkcs8(ecKey)).toEqual(pkcs8);
  });

  test("takes bytes of another realm and Buffers as it takes its own", () => {
    const engine = createNodeEngine();
    const [ecdsa, aesGcm, rsa] = [served(engine, "ecdsa"), served(engine, "aesGcm"), served(engine, "rsa")];
    const foreign = (bytes: Uint8Array): Uint8Array =>
      runInNewContext("Uint8Array.from(bytes)", { bytes: [...bytes] }) as Uint8Array;
    for (const other of [foreign, (bytes: Uint8Array) => Buffer.from(bytes)]) {
      const key = ecdsa.importPrivateKey("P-256", other(new Uint8Array(32).fill(3)));
      const again = ecdsa.importPrivateKey("P-256", other(ecdsa.exportPkcs8(key)));
      const peer = ecdsa.importPublicKey("P-256", other(ecdsa.exportSpki(ecdsa.publicKey(again))));
      const signable = { message: other(utf8("m")), hash: "SHA-256" } as const;
      expect(ecdsa.verify(peer, signable, other(ecdsa.sign(again, signable)))).toBe(true);
      const aes = aesGcm.importKey(other(new Uint8Array(16)));
      const iv = other(new Uint8Array(12));
      const opened = aesGcm.open(aes, iv, other(aesGcm.seal(aes, iv, signable.message, iv)), iv);
      expect(opened).toEqual(utf8("m"));
      const rsaKey = rsa.importPrivateKey(other(fromHex(RSA_ANSWER.pkcs8)));
      const signature = other(rsa.signPkcs1(rsaKey, signable, { hash: "SHA-256" }));
      const rsaPublic = rsa.importPublicKey(other(rsa.exportSpki(rsa.publicKey(rsaKey))));
      expect(rsa.verifyPkcs1(rsaPublic, signable, signature, { hash: "SHA-256" })).toBe(true);
    }
  });

  test("a generation that outlives its engine gives no handle", async () => {
    const engine = createNodeEngine();
    const generations = [
      served(engine, "rsa").generateKey(2048),
      served(engine, "ecdsa").generateKey("P-256"),
    ];
    engine.close();
    const codes = await Promise.all(generations.map((generation) => codeOfAsync(() => generation)));
    expect(codes).toEqual(["InvalidParameter", "InvalidParameter"]);
  });

  test("says what it serves, and serves no primitive that it does not name", () => {
    const engine = createNodeEngine();
    expect(engine.name).toBe("node");
    expect(engine.build).toBe(process.versions.openssl);
    for (const primitive of [
      "aesGcm",
      "ecdsa",
      "ecdh",
      "rsa",
      "hmac",
      "hash",
      "hkdf",
      "aesKw",
      "aesKwp",
    ] as const) {
      expect(engine.capabilities[primitive]?.length).toBeGreaterThan(0);
      expect(engine[primitive]).toBeDefined();
    }
  });

  test("scalars are private keys from 1 to n - 1 and nowhere else", () => {
    const order = fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    const near = (last: number): Uint8Array => Uint8Array.from([...order.subarray(0, 31), last]);
    for (const [scalar, inside] of [
      [new Uint8Array(32), false],
      [Uint8Array.from([...new Uint8Array(31), 1]), true],
      [Uint8Array.from([1, ...new Uint8Array(31)]), true],
      [near(0x50), true],
      [near(0x51), false],
      [near(0x52), false],
      [new Uint8Array(32).fill(0xff), false],
      [Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, ...new Uint8Array(24)]), false],
      [Uint8Array.from([0xff, 0xff, 0xff, 0xfe, ...new Uint8Array(28).fill(0xff)]), true],
    ] as const) {
      expect(isPrivateScalar("P-256", scalar)).toBe(inside);
      expect(isSignatureScalarVartime("P-256", scalar)).toBe(inside);
    }
    expect(isPrivateScalar("P-256", new Uint8Array(31).fill(1))).toBe(false);
    expect(isPrivateScalar("P-256", new Uint8Array(33).fill(1))).toBe(false);
  });
});

describe("loadEngine", () => {
  test("gives the node and the wasm engine by name, each with state of its own", async () => {
    const [first, second] = [await loadEngine("node"), await loadEngine("node")];
    expect(first.name).toBe("node");
    const key = served(first, "aesGcm").importKey(new Uint8Array(16));
    const iv = new Uint8Array(12);
    expect(codeOf(() => served(second, "aesGcm").seal(key, iv, iv))).toBe("InvalidParameter");
    for (const relaxedSimd of ["auto", "off", "force"] as const) {
      expect((await loadEngine("wasm", { relaxedSimd })).name).toBe("wasm");
    }
  });

  test("refuses engines and options that there are not", async () => {
    const load = loadEngine as (name: unknown, options?: unknown) => Promise<unknown>;
    expect((await loadEngine("webcrypto")).name).toBe("webcrypto");
    for (const name of ["", "Node", "openssl", undefined, null, 1]) {
      expect(await codeOfAsync(() => load(name))).toBe("InvalidParameter");
    }
    for (const options of [
      null,
      "off",
      { relaxedSimd: "on" },
      { relaxedSIMD: "off" },
      { relaxedSimd: null },
    ]) {
      expect(await codeOfAsync(() => load("wasm", options))).toBe("InvalidParameter");
    }
  });
});
