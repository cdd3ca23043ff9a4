/**
 * What stands between an RSA key and a mistake or an attack, one small test each, with few keys: blinding, the check of every
 * result, one outcome of OAEP, strict signatures, the rules for new keys, the checks of imported ones. The many cases are
 * in rsa.test.ts and below test/kernel; here are those that a planted defect must not pass.
 */

import { checkPrimeSync, constants, privateEncrypt, publicEncrypt } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import type { Rsa } from "../../../src/engines/engine.ts";
import { encodeRsaPkcs8 } from "../../../src/engines/key-encoding.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { rsaLoader } from "../../../src/engines/wasm/load-rsa-kernel.ts";
import { bindRsaKernel } from "../../../src/engines/wasm/rsa-kernel.ts";
import { RawRsa } from "../../../src/engines/wasm/rsa-raw.ts";
import { codeOf, flipBit, served, utf8 } from "../../conformance/engine-support.ts";
import { digestOf, oaepBlock, pssBlock } from "../../support/rsa-blocks.ts";
import {
  encodedKeyOf,
  partsOf,
  power,
  type RsaNumbers,
  rsaNumbers,
  seededKeys,
  seededPrime,
  toBytes,
  toNumber,
} from "../../support/rsa-keys.ts";
import { rsaMemory } from "../../support/rsa-memory.ts";

const [numbers] = seededKeys("guards", 2048, 1) as [RsaNumbers];
const pair = encodedKeyOf(numbers);
const hash = "SHA-256";
const digest = digestOf(hash, utf8("guards"));

/** A g for which 4 g + 1 and 5 g + 1 are primes of 1024 bits and 65537^-1 modulo 20 g is below 2^1024. */
const SHORT_D = BigInt(
  "0x" +
    "2e1b690164f112c425b574db625c18c866992f910dbef73584465dd3191e6efdd1c579aa785ec82cb0666a7e8406c1b1" +
    "5bbef18925bfa8fc68c9f294afe6477757790798ee0dece541d213f43e9be52e5970b490a7ba14518f2ae282b0bf16fc" +
    "c3ec23809f5b89bb0e0a0b927c4ec903199c8f1da81170441b6beeaf640fcfce",
);

function nextPrime(from: bigint): bigint {
  let candidate = from | 1n;
  while (!checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

describe.each(["base", "simd", "relaxed"] as const)("the %s build", (build) => {
  const { slots, slotLength, work: workBounds, dP, blind, unblind } = rsaMemory(build);
  const rsa: Rsa = served(createWasmEngine({ build, relaxedSimd: "force" }), "rsa");
  const kernel = rsaLoader.best("force", build);

  describe("a private operation", () => {
    // Slots of its own, which the engine's keys are not in.
    const own = bindRsaKernel(new WebAssembly.Instance(kernel.module).exports, kernel.module);
    const { memory, output, input } = own;
    const raw = new RawRsa(own);
    const key = raw.importPrivate(partsOf(numbers), raw);
    const slot = slots + key.slot * slotLength;
    const run = (): boolean => {
      input.set(toBytes(5n, 256));
      return raw.privateOperation(key);
    };

    const bytesAt = (address: number): string =>
      Buffer.from(memory.subarray(address, address + 64)).toString("hex");

    test.each([
      ["a changed exponent", dP],
      ["a blinding that does not undo itself", blind],
      ["the other half of it", unblind],
    ])("with %s gives no result, and serves again with the key loaded anew", (_name, part) => {
      expect(run()).toBe(true);
      memory[slot + part + 3] = (memory[slot + part + 3] ?? 0) ^ 1;
      expect(codeOf(run)).toBe("InternalFailure");
      expect(output.every((byte) => byte === 0)).toBe(true);
      expect(run()).toBe(true);
      expect(power(toNumber(output.subarray(0, 256)), numbers.e, numbers.n)).toBe(5n);
    });

    test("changes its blinding each time, and takes new random bytes after 64", () => {
      // Loading it anew leaves no blinding.
      memory[slot + dP] = (memory[slot + dP] ?? 0) ^ 1;
      expect(codeOf(run)).toBe("InternalFailure");
      run();
      const random = vi.spyOn(crypto, "getRandomValues");
      const seen = new Set<string>();
      for (let i = 0; i < 65; i++) {
        seen.add(bytesAt(slot + blind)).add(bytesAt(slot + unblind));
        run();
        expect(random).toHaveBeenCalledTimes(i < 63 ? 0 : 1);
      }
      expect(seen.size).toBe(130);
      random.mockRestore();
    });

    test("that leaves the memory of the module is an internal failure, and the key is loaded anew", () => {
      const trap = (): never => {
        throw new WebAssembly.RuntimeError("memory access out of bounds");
      };
      const trapping = new RawRsa({ ...own, rsaPrivate: trap, rsaPublic: trap, rsaPublicPair: trap });
      const mine = trapping.importPrivate(partsOf(numbers), trapping);
      const first = trapping.importPublic(partsOf(numbers), trapping);
      const second = trapping.importPublic(partsOf(numbers), trapping);
      const work = memory.subarray(...workBounds);
      for (const [call, keys] of [
        [() => trapping.privateOperation(mine), [mine]],
        [() => trapping.publicPair(first, second), [first, second]],
        [() => trapping.publicOperation(first), [first]],
      ] as const) {
        output.fill(7);
        work.fill(7);
        expect(codeOf(call)).toBe("InternalFailure");
        expect(keys.map((used) => used.slot)).toEqual(keys.map(() => -1));
        expect([work, output].map((bytes) => bytes.every((byte) => byte === 0))).toEqual([true, true]);
      }
    });
  });

  describe("padding", () => {
    const privateKey = rsa.importPrivateKey(pair.pkcs8);
    const publicKey = rsa.publicKey(privateKey);
    const raw = { key: pair.publicKey, padding: constants.RSA_NO_PADDING };
    const signed = (block: Uint8Array): Uint8Array =>
      new Uint8Array(privateEncrypt({ key: pair.privateKey, padding: constants.RSA_NO_PADDING }, block));

    test("OAEP opens what is right and nothing that is wrong in one place", () => {
      const right = { blockLength: 256, hash, message: utf8("secret") } as const;
      const open = (block: Uint8Array): Uint8Array | undefined =>
        rsa.decryptOaep(privateKey, new Uint8Array(publicEncrypt(raw, block)), { hash });
      expect(open(oaepBlock(right))).toEqual(right.message);
      const spoilt = (spoil: (data: Uint8Array) => void): Uint8Array => oaepBlock({ ...right, spoil });
      for (const [name, wrong] of [
        ["Manger's byte", oaepBlock({ ...right, first: 1 })],
        ["label", oaepBlock({ ...right, label: utf8("other") })],
        ["separator", spoilt((data) => data.fill(2, -7, -6))],
        ["zeros", spoilt((data) => data.fill(3, 40, 41))],
        ["no separator", spoilt((data) => data.fill(0, 32))],
      ] as const) {
        expect(open(wrong), name).toBeUndefined();
      }
    });

    test("PSS takes the length of salt that is asked for, and any only when that is asked for", () => {
      for (const saltLength of [0, 20, 32, 40]) {
        const signature = signed(pssBlock(256, hash, digest, new Uint8Array(saltLength).fill(9)));
        const takes = (options: { saltLength?: number | "auto" }): boolean =>
          rsa.verifyPss(publicKey, digest, signature, { hash, ...options });
        expect([takes({}), takes({ saltLength }), takes({ saltLength: "auto" })]).toEqual([
          saltLength === 32,
          true,
          true,
        ]);
        expect([takes({ saltLength: saltLength + 1 }), takes({ saltLength: 100 })]).toEqual([false, false]);
      }
    });

    test("PKCS#1 v1.5 takes one encoding of a digest", () => {
      const info = Buffer.from("3031300d060960864801650304020105000420", "hex");
      const padded = (...content: readonly Uint8Array[]): Uint8Array => {
        const end = Buffer.concat(content);
        return Buffer.concat([Buffer.of(0, 1), Buffer.alloc(253 - end.length, 0xff), Buffer.of(0), end]);
      };
      const verdict = (block: Uint8Array): boolean =>
        rsa.verifyPkcs1(publicKey, digest, signed(block), { hash });
      const withoutNull = Buffer.from("302f300b0609608648016503040201" + "0420", "hex");
      const shortFill = Buffer.concat([Buffer.of(0, 1), Buffer.alloc(8, 0xff), Buffer.of(0), info, digest]);
      const right = padded(info, digest);
      expect(verdict(right)).toBe(true);
      expect(verdict(padded(withoutNull, digest))).toBe(false);
      expect(verdict(Buffer.concat([shortFill, Buffer.alloc(256 - shortFill.length)]))).toBe(false);
      for (const at of [1, 2, 100, 204, 205, 210, 223]) expect(verdict(flipBit(right, 8 * at))).toBe(false);
    });
  });

  describe("new keys", () => {
    const length = 128;
    const random = kernel.memory.subarray(addressOf("RSA_CANDIDATES"));

    function addressOf(name: string): number {
      const { exports } = new WebAssembly.Instance(kernel.module);
      return (exports[name] as WebAssembly.Global).value as number;
    }

    /** Hands a number to the search as if it were random bytes; tells whether it waits for a test. */
    function offer(candidate: bigint): boolean {
      random.set(toBytes(candidate, length).reverse());
      const before = kernel.rsaGenerateWaiting();
      expect(kernel.rsaGenerateSieve(0, 1)).toBe(1);
      return kernel.rsaGenerateWaiting() > before;
    }

    /** Begins a search in which these primes are found. @returns whether each was kept */
    function found(...primes: readonly bigint[]): boolean[] {
      kernel.rsaGenerateBegin(2048);
      return primes.map((prime, i) => {
        expect(offer(prime)).toBe(true);
        crypto.getRandomValues(kernel.random);
        expect(kernel.rsaTestCandidates() & 1).toBe(1);
        return kernel.rsaGenerateKeep() === i + 1;
      });
    }

    const prime = seededPrime("guards p", 1024);

    test("have primes above the square root of two, and none that e divides less 1", () => {
      kernel.rsaGenerateBegin(2048);
      const bound = 0xb504f334n << 992n;
      const candidate = (from: bigint): bigint => {
        let value = from | 1n;
        while ([3n, 5n, 7n, 11n, 13n].some((small) => value % small === 0n)) value += 2n;
        return value;
      };
      // Numbers without small factors: one of a few above the bound is such.
      const passes = (from: bigint): boolean =>
        Array.from({ length: 40 }, (_, i) => offer(candidate(from + BigInt(1000 * i)))).some(Boolean);
      expect(passes(bound - (1n << 990n))).toBe(false);
      kernel.rsaGenerateBegin(2048);
      // Odd numbers that are one more than a multiple of e.
      const first = prime - (prime % (2n * 65537n)) + 1n;
      expect(Array.from({ length: 60 }, (_, i) => first + 2n * 65537n * BigInt(i)).some(offer)).toBe(false);
      expect(offer(prime)).toBe(true);
      kernel.rsaWipeKeygen();
    });

    test("have primes that are far apart", () => {
      expect(found(prime, seededPrime("guards q", 1024))).toEqual([true, true]);
      expect(kernel.rsaGenerateKey()).toBe(1);
      expect(found(prime, nextPrime(prime + (1n << 900n)))).toEqual([true, false]);
      expect(kernel.rsaGenerateKey()).toBe(0);
      expect(found(prime, nextPrime(prime + (1n << 930n)))).toEqual([true, true]);
      kernel.rsaWipeKeygen();
    });

    test("have a private exponent of more than half the bits", () => {
      // p - 1 = 5 g and q - 1 = 4 g, so that d is below 20 g, and here below 2^1024: one pair in some millions is like that.
      const p = 5n * SHORT_D + 1n;
      const q = 4n * SHORT_D + 1n;
      expect(found(p, q)).toEqual([true, true]);
      expect(kernel.rsaGenerateKey()).toBe(0);
      kernel.rsaWipeKeygen();
    });
  });

  test("imported keys of numbers that do not fit together are refused", () => {
    const fields = { ...partsOf(numbers), d: toBytes(numbers.d, 256) };
    const { p, q, dP, d, qInv } = numbers;
    const imports = (changed: Partial<typeof fields>): string =>
      codeOf(() => rsa.importPrivateKey(encodeRsaPkcs8({ ...fields, ...changed })).destroy());
    expect(imports({})).toBe("none");
    expect(imports({ n: toBytes(p * q + 2n, 256) })).toBe("InvalidKeyMaterial");
    expect(imports({ d: toBytes(d + 2n, 256) })).toBe("InvalidKeyMaterial");
    expect(imports({ dP: toBytes(dP + 2n, 128) })).toBe("InvalidKeyMaterial");
    expect(imports({ qInv: toBytes(qInv - 1n, 128) })).toBe("InvalidKeyMaterial");
    // Everything fits, but one of the two is not prime; a base that happens to pass is as good as never drawn eight times.
    const factors = seededPrime("guards factor 1", 512) * seededPrime("guards factor 2", 512);
    const composite = rsaNumbers(seededPrime("guards p", 1024), factors);
    const pkcs8 = encodeRsaPkcs8({ ...partsOf(composite), d: toBytes(composite.d, 256) });
    const sign = vi.spyOn(kernel, "rsaPrivate");
    expect(codeOf(() => rsa.importPrivateKey(pkcs8))).toBe("InvalidKeyMaterial");
    // It fails by the test of primes, not by its first signature.
    expect(sign).not.toHaveBeenCalled();
    sign.mockRestore();
  });
});
