/** RSA of the wasm engine where it differs from others: many keys, every refusal alike, key generation, limits. */

import {
  checkPrimeSync,
  constants,
  createHash,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from "node:crypto";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Rsa, RsaPrivateKey, RsaPublicKey } from "../../../src/engines/engine.ts";
import { encodeRsaPkcs8, readRsaPkcs8 } from "../../../src/engines/key-encoding.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { codeOf, flipBit, served, utf8 } from "../../conformance/engine-support.ts";
import { type OpensslPair, opensslPair } from "../../conformance/rsa-support.ts";
import { oaepBlock } from "../../support/rsa-blocks.ts";
import {
  encodedKeyOf,
  inverseOf,
  partsOf,
  power,
  type RsaNumbers,
  randomKeys,
  rsaNumbers,
  seededPrime,
  toBytes,
  toNumber,
} from "../../support/rsa-keys.ts";

const SLOW = { timeout: 240_000 };
const hash = "SHA-256";
const digest = new Uint8Array(createHash("sha256").update("a message").digest());
const BUILDS = ["base", "simd", "relaxed"] as const;
const KEYS: readonly (readonly [number, readonly RsaNumbers[]])[] = [
  [2048, randomKeys(2048, 50)],
  [3072, randomKeys(3072, 6)],
  [4096, randomKeys(4096, 3)],
];
/** The first keys of 2048 bits, some of which have a prime in common. */
const numbersOf = (index: number): RsaNumbers => KEYS[0]?.[1][index] as RsaNumbers;

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** Raises a block to e by OpenSSL, whatever it holds. */
function raise(pair: OpensslPair, block: Uint8Array): Uint8Array {
  return new Uint8Array(publicEncrypt({ key: pair.publicKey, padding: constants.RSA_NO_PADDING }, block));
}

describe.each(BUILDS)("RSA of the wasm engine (%s)", (build) => {
  let rsa: Rsa;

  beforeAll(() => {
    rsa = served(createWasmEngine({ build, relaxedSimd: "force" }), "rsa");
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test.each(KEYS)("signs and decrypts as OpenSSL does with every key of %i bits", SLOW, (_bits, keys) => {
    for (const [i, numbers] of keys.entries()) {
      const pair = encodedKeyOf(numbers);
      const key = rsa.importPrivateKey(pair.pkcs8);
      const signature = rsa.signPkcs1(key, { message: digest, hash }, { hash });
      expect(Buffer.compare(signature, sign("sha256", digest, pair.privateKey)), `key ${i}`).toBe(0);
      if (i % 10 === 0) {
        const block = power(toNumber(signature), numbers.e, numbers.n);
        expect(power(block, numbers.d, numbers.n)).toBe(toNumber(signature));
      }
      const text = Uint8Array.from([i, 1, 2, 3]);
      const theirs = publicEncrypt({ key: pair.publicKey, oaepHash: "sha256" }, text);
      expect(rsa.decryptOaep(key, theirs, { hash })).toEqual(text);
      const ours = rsa.encryptOaep(rsa.publicKey(key), text, { hash });
      expect(new Uint8Array(privateDecrypt({ key: pair.privateKey, oaepHash: "sha256" }, ours))).toEqual(
        text,
      );
      key.destroy();
    }
  });

  describe("with one key", () => {
    let pair: OpensslPair;
    let privateKey: RsaPrivateKey;
    let publicKey: RsaPublicKey;
    let n: bigint;

    beforeAll(() => {
      pair = opensslPair(2048);
      privateKey = rsa.importPrivateKey(pair.pkcs8);
      publicKey = rsa.importPublicKey(pair.spki);
      n = toNumber(readRsaPkcs8(pair.pkcs8).n);
    });

    test("refuses every wrong OAEP ciphertext alike", () => {
      const label = utf8("label");
      const message = utf8("secret");
      const right = { blockLength: 256, hash, label, message } as const;
      const options = { hash, label } as const;
      const block = oaepBlock(right);
      expect(rsa.decryptOaep(privateKey, raise(pair, block), options)).toEqual(message);
      const lengthOfData = 256 - 33;
      const separator = lengthOfData - message.length - 1;
      const spoilt = (at: number, byte: number): Uint8Array =>
        oaepBlock({
          ...right,
          spoil: (data) => {
            data[at] = byte;
          },
        });
      const blocks = [
        // Manger's byte.
        ...[1, 2, 0x40].map((first) => oaepBlock({ ...right, first })),
        // The separator, what stands in front of it, and the hash of the label.
        ...[0, 2, 3, 0x81, 0xff].map((byte) => spoilt(separator, byte)),
        ...[32, 33, 100, separator - 1].flatMap((at) => [2, 0x80, 0xff].map((byte) => spoilt(at, byte))),
        ...Array.from({ length: 32 }, (_, at) => spoilt(at, 0)),
        oaepBlock({ ...right, spoil: (data) => data.fill(0, 32) }),
        oaepBlock({ ...right, label: new Uint8Array(0) }),
        oaepBlock({ ...right, label: utf8("Label") }),
        oaepBlock({ ...right, hash: "SHA-1" }),
        oaepBlock({ ...right, mgfHash: "SHA-1" }),
        ...Array.from({ length: 64 }, (_, i) => flipBit(block, 8 * (4 * i + 3) + (i % 8))),
      ];
      for (const wrong of blocks)
        expect(rsa.decryptOaep(privateKey, raise(pair, wrong), options)).toBeUndefined();
      const ciphertext = raise(pair, block);
      const number = toNumber(ciphertext);
      const others = [
        ciphertext.subarray(1),
        ciphertext.subarray(0, 255),
        Uint8Array.from([0, ...ciphertext]),
        new Uint8Array(0),
        new Uint8Array(256),
        toBytes(1n, 256),
        toBytes(n - 1n, 256),
        toBytes(n, 256),
        toBytes(n + 1n, 256),
        new Uint8Array(256).fill(0xff),
        ...(number + n < 1n << 2048n ? [toBytes(number + n, 256)] : []),
      ];
      for (const wrong of others) expect(rsa.decryptOaep(privateKey, wrong, options)).toBeUndefined();
      for (const other of [
        { hash },
        { hash, label: utf8("Label") },
        { ...options, mgfHash: "SHA-512" },
      ] as const) {
        expect(rsa.decryptOaep(privateKey, ciphertext, other)).toBeUndefined();
      }
      expect(
        rsa.decryptOaep(privateKey, raise(pair, oaepBlock({ ...right, mgfHash: "SHA-512" })), {
          ...options,
          mgfHash: "SHA-512",
        }),
      ).toEqual(message);
    });

    test("refuses s + n, numbers out of range and lengths that are wrong, alone and in pairs", SLOW, () => {
      let signature: Uint8Array;
      do signature = rsa.signPss(privateKey, digest, { hash });
      while (toNumber(signature) + n >= 1n << 2048n);
      const wrong = [
        toBytes(toNumber(signature) + n, 256),
        toBytes(n, 256),
        toBytes(n - 1n, 256),
        new Uint8Array(256),
        new Uint8Array(256).fill(0xff),
        signature.subarray(1),
        Uint8Array.from([...signature, 0]),
      ];
      const item = (bytes: Uint8Array) => ({ key: publicKey, signable: digest, signature: bytes });
      expect(rsa.verifyPss(publicKey, digest, signature, { hash })).toBe(true);
      for (const bad of wrong) {
        expect(rsa.verifyPss(publicKey, digest, bad, { hash })).toBe(false);
        expect(rsa.verifyPssBatch([item(bad), item(signature), item(bad)], { hash })).toEqual([
          false,
          true,
          false,
        ]);
        expect(rsa.verifyPssBatch([item(signature), item(bad), item(signature)], { hash })).toEqual([
          true,
          false,
          true,
        ]);
      }
    });

    test("verifies batches of several keys and sizes in the order they came in", SLOW, () => {
      const pairs = [pair, opensslPair(3072), opensslPair(2048, 3)];
      const keys = pairs.map(({ pkcs8 }) => rsa.importPrivateKey(pkcs8));
      const items = Array.from({ length: 25 }, (_, i) => {
        const key = keys[(i * i) % 3] as RsaPrivateKey;
        const signature = rsa.signPkcs1(key, digest, { hash });
        const wrong = i % 4 === 1;
        return {
          key: rsa.publicKey(key),
          signable: digest,
          signature: wrong ? flipBit(signature, 7 * i) : signature,
        };
      });
      expect(rsa.verifyPkcs1Batch(items, { hash })).toEqual(items.map((_, i) => i % 4 !== 1));
    });

    test("serves a message of any length and refuses a destroyed key that a getter destroys on the way", () => {
      const message = new Uint8Array(200_000).fill(7);
      const signature = rsa.signPss(privateKey, { message, hash }, { hash });
      expect(
        verify(
          "sha256",
          message,
          { key: pair.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
          signature,
        ),
      ).toBe(true);
      const doomed = rsa.importPrivateKey(pair.pkcs8);
      const signable = {
        hash,
        get message() {
          doomed.destroy();
          return digest;
        },
      } as const;
      expect(codeOf(() => rsa.signPss(doomed, signable, { hash }))).toBe("InvalidParameter");
    });
  });

  test("serves more keys than it has room for at a time", SLOW, () => {
    const pairs = [0, 1, 2].map((i) => encodedKeyOf(numbersOf(i)));
    const pairOf = (i: number): OpensslPair => pairs[i % 3] as OpensslPair;
    const keys = Array.from({ length: 40 }, (_, i) => rsa.importPrivateKey(pairOf(i).pkcs8));
    for (let round = 0; round < 2; round++) {
      for (const [i, key] of keys.entries()) {
        const signature = rsa.signPkcs1(key, { message: digest, hash }, { hash });
        expect(verify("sha256", digest, pairOf(i).publicKey, signature)).toBe(true);
      }
    }
    for (const key of keys) key.destroy();
  });

  test("refuses primes of different lengths, and numbers that are not prime", () => {
    const unequal = rsaNumbers(seededPrime("long", 1200), seededPrime("short", 848));
    expect(unequal.bits).toBe(2048);
    const fields = Object.entries(unequal)
      .filter(([name]) => name !== "bits")
      .map(([name, number]) => [name, toBytes(number, Math.ceil(number.toString(16).length / 2))]);
    const unequalPkcs8 = encodeRsaPkcs8(Object.fromEntries(fields));
    expect(codeOf(() => rsa.importPrivateKey(unequalPkcs8))).toBe("Rejected.UnsupportedOperation");
    // The numbers of a key fit together as well where one of its "primes" has two factors.
    const composite = seededPrime("factor 1", 512) * seededPrime("factor 2", 512);
    const unsound = rsaNumbers(seededPrime("whole", 1024), composite);
    expect(unsound.bits).toBe(2048);
    const pkcs8 = encodeRsaPkcs8({ ...partsOf(unsound), d: toBytes(unsound.d, 256) });
    expect(codeOf(() => rsa.importPrivateKey(pkcs8))).toBe("InvalidKeyMaterial");
  });

  /** Fails unless a generated key is what FIPS 186-5, A.1.3 asks for. */
  function expectGoodKey(pkcs8: Uint8Array, bits: number): void {
    const fields = readRsaPkcs8(pkcs8);
    const [n, p, q, d] = [fields.n, fields.p, fields.q, fields.d].map(toNumber) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const half = BigInt(bits / 2);
    expect([checkPrimeSync(p, { checks: 20 }), checkPrimeSync(q, { checks: 20 })]).toEqual([true, true]);
    // p and q are above √2 · 2^(half - 1).
    for (const prime of [p, q]) {
      expect(prime * prime >= 1n << (2n * half - 1n) && prime < 1n << half).toBe(true);
    }
    expect(n).toBe(p * q);
    expect(p > q && p - q > 1n << (half - 100n)).toBe(true);
    expect(toNumber(fields.e)).toBe(65537n);
    expect(d > 1n << half).toBe(true);
    const lcm = ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n);
    expect(d).toBe(inverseOf(65537n, lcm));
    expect([fields.dP, fields.dQ, fields.qInv].map(toNumber)).toEqual([
      d % (p - 1n),
      d % (q - 1n),
      inverseOf(q, p),
    ]);
  }

  test("generates keys as the standard asks for, in a thread and without one", SLOW, async () => {
    for (const thread of [true, false]) {
      if (!thread) vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
      const primes = new Set<string>();
      for (let i = 0; i < 5; i++) {
        const progress: number[] = [];
        const pair = await rsa.generateKey(2048, { onProgress: (fraction) => progress.push(fraction) });
        const pkcs8 = rsa.exportPkcs8(pair.privateKey);
        expectGoodKey(pkcs8, 2048);
        primes.add(toNumber(readRsaPkcs8(pkcs8).p).toString(36));
        expect(progress).toEqual([...progress].sort((a, b) => a - b));
        expect(progress.length).toBeGreaterThan(3);
        expect(progress.every((fraction) => fraction > 0 && fraction <= 1)).toBe(true);
        expect(progress.at(-1)).toBe(1);
      }
      expect(primes.size).toBe(5);
    }
    vi.restoreAllMocks();
    const { privateKey } = await rsa.generateKey(3072);
    expectGoodKey(rsa.exportPkcs8(privateKey), 3072);
  });

  test(
    "generates many keys that are asked for at once, and leaves the event loop to others",
    SLOW,
    async () => {
      const pairs = await Promise.all(Array.from({ length: 6 }, () => rsa.generateKey(2048)));
      expect(
        new Set(pairs.map(({ publicKey }) => Buffer.from(rsa.exportSpki(publicKey)).toString("hex"))).size,
      ).toBe(6);
      vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      await rsa.generateKey(2048);
      clearInterval(timer);
      vi.restoreAllMocks();
      expect(turns).toBeGreaterThan(2);
    },
  );

  test("stops a search when its signal is aborted, and wipes the memory it was in", SLOW, async () => {
    vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
    const instances: WebAssembly.Instance[] = [];
    const Original = WebAssembly.Instance;
    WebAssembly.Instance = class extends Original {
      constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
        super(module, imports);
        instances.push(this);
      }
    } as typeof WebAssembly.Instance;
    const abort = new AbortController();
    const reason = new Error("enough");
    try {
      await rsa.generateKey(2048);
      const generation = rsa.generateKey(4096, {
        signal: abort.signal,
        onProgress: (fraction) => fraction > 0.05 && abort.abort(reason),
      });
      await expect(generation).rejects.toBe(reason);
      await new Promise((resolve) => setTimeout(resolve, 200));
    } finally {
      WebAssembly.Instance = Original;
      vi.restoreAllMocks();
    }
    expect(instances.length).toBe(2);
    for (const { exports } of instances) {
      const memory = new Uint8Array((exports["memory"] as WebAssembly.Memory).buffer);
      const value = (name: string): number => (exports[name] as WebAssembly.Global).value as number;
      const start = value("RSA_CANDIDATES");
      const regions: [number, number][] = [
        [start, start + value("RSA_CANDIDATES_LENGTH")],
        // Everything from the numbers of a key to the scratch of key generation.
        [value("RSA_KEY_PARTS"), value("RSA_KEY_PARTS") + 0x6000],
      ];
      for (const region of regions) expect(memory.subarray(...region).every((byte) => byte === 0)).toBe(true);
    }
  });
});
