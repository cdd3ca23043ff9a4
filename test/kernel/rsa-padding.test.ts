/** The RSA padding kernels against blocks made with node:crypto, right ones and every kind of wrong one, in both builds. */

import { constants, generateKeyPairSync, publicDecrypt, randomBytes, randomInt, sign } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { compileKernel } from "../../.config/build-wasm.mjs";
import type { HashName } from "../../src/engines/engine.ts";
import { flipBit, HASHES, OPENSSL_HASH } from "../conformance/engine-support.ts";
import { digestOf, oaepBlock, pssBlock } from "../support/rsa-blocks.ts";
import { TARGETS } from "./hash-kw-kernel.ts";

interface PaddingKernel {
  readonly memory: WebAssembly.Memory;
  readonly RSA_DIGESTS: WebAssembly.Global<"i32">;
  readonly RSA_MESSAGE: WebAssembly.Global<"i32">;
  rsaWipePadding(): void;
  rsaEncodePkcs1(hash: number, blockLength: number): number;
  rsaVerifyPkcs1(hash: number, blockLength: number, index: number): number;
  rsaEncodePss(hash: number, blockLength: number, saltLength: number): number;
  rsaVerifyPss(hash: number, blockLength: number, saltLength: number, index: number): number;
  rsaEncodeOaep(hash: number, mgfHash: number, blockLength: number, messageLength: number): number;
  rsaDecodeOaep(hash: number, mgfHash: number, blockLength: number): number;
}

// Regions of docs/memory-map.md.
const RANDOM = 0x20800;
const INPUT = 0x20c00;
const OUTPUT = 0x21000;
const PADDING: readonly [number, number] = [0x21400, 0x22000];
const MESSAGE_LENGTH = 0x400;

const BLOCK_LENGTHS = [256, 384, 512] as const;
const ANY_SALT = 0xffffffff;
const NUMBER: Readonly<Record<HashName, number>> = { "SHA-1": 1, "SHA-256": 2, "SHA-384": 3, "SHA-512": 4 };
const DIGEST_LENGTH: Readonly<Record<HashName, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};
const ALL = HASHES.flatMap((hash) => BLOCK_LENGTHS.map((blockLength) => ({ hash, blockLength })));

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

describe.each(TARGETS)("the %s build", { timeout: 120_000 }, (target) => {
  let kernel: PaddingKernel;
  let memory: Uint8Array;
  let digests: number;
  let message: number;

  beforeAll(async () => {
    const wasm = await compileKernel({ entry: "assembly/rsa/padding.ts", target });
    kernel = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as unknown as PaddingKernel;
    memory = new Uint8Array(kernel.memory.buffer);
    digests = kernel.RSA_DIGESTS.value as unknown as number;
    message = kernel.RSA_MESSAGE.value as unknown as number;
  }, 120_000);

  /** Decodes a block for OAEP; undefined where it is refused, and then no byte of a message may be there. */
  function decode(
    block: Uint8Array,
    hash: HashName,
    { mgfHash = hash, label = new Uint8Array(0) }: { mgfHash?: HashName; label?: Uint8Array } = {},
  ): Uint8Array | undefined {
    memory.fill(0xa5, ...PADDING);
    memory.set(digestOf(hash, label), digests);
    memory.set(block, OUTPUT);
    const result = kernel.rsaDecodeOaep(NUMBER[hash], NUMBER[mgfHash], block.length);
    const length = Math.max(result - 1, 0);
    expect(memory.subarray(message + length, message + MESSAGE_LENGTH).every((byte) => byte === 0)).toBe(
      true,
    );
    return result === 0 ? undefined : memory.slice(message, message + length);
  }

  test.each(ALL)("OAEP with $hash decodes messages of every length from $blockLength bytes", (facts) => {
    const { hash, blockLength } = facts;
    const most = blockLength - 2 * DIGEST_LENGTH[hash] - 2;
    for (let length = 0; length <= most; length += length < 20 || length > most - 10 ? 1 : 11) {
      const mgfHash = HASHES[length % 4] ?? hash;
      const text = random(length);
      const label = random(length % 5);
      const block = oaepBlock({ blockLength, hash, mgfHash, label, message: text });
      expect(decode(block, hash, { mgfHash, label })).toEqual(text);
    }
  });

  test.each(ALL)("OAEP with $hash encodes what the standard says into $blockLength bytes", (facts) => {
    const { hash, blockLength } = facts;
    const most = blockLength - 2 * DIGEST_LENGTH[hash] - 2;
    for (const length of [0, 1, 7, 8, randomInt(most), most - 1, most]) {
      const mgfHash = HASHES[length % 4] ?? hash;
      const text = random(length);
      const label = random(length % 5);
      const seed = random(DIGEST_LENGTH[hash]);
      memory.fill(0xa5, INPUT, INPUT + 512);
      memory.set(digestOf(hash, label), digests);
      memory.set(text, message);
      memory.set(seed, RANDOM);
      expect(kernel.rsaEncodeOaep(NUMBER[hash], NUMBER[mgfHash], blockLength, length)).toBe(1);
      expect(memory.slice(INPUT, INPUT + blockLength)).toEqual(
        oaepBlock({ blockLength, hash, mgfHash, label, message: text, seed }),
      );
    }
    expect(kernel.rsaEncodeOaep(NUMBER[hash], NUMBER[hash], blockLength, most + 1)).toBe(0);
  });

  test("every changed byte of an OAEP block, and every wrong part of it, is the same refusal", () => {
    const hash = "SHA-256";
    for (const blockLength of BLOCK_LENGTHS) {
      const right = { blockLength, hash, message: random(20) } as const;
      const block = oaepBlock(right);
      for (let at = 0; at < blockLength; at++) {
        expect(decode(flipBit(block, 8 * at + (at % 8)), hash), `byte ${at}`).toBeUndefined();
      }
      for (const first of [1, 2, 0x80, 0xff])
        expect(decode(oaepBlock({ ...right, first }), hash)).toBeUndefined();
      const end = blockLength - 33;
      const separator = end - 21;
      const wrong: ((data: Uint8Array) => void)[] = [
        // lHash, each byte of it.
        ...Array.from({ length: 32 }, (_, i) => (data: Uint8Array): void => {
          data[i] = (data[i] ?? 0) ^ (1 << (i % 8));
        }),
        // A byte among the zeros that is neither 0 nor 1.
        ...[32, 33, separator - 1].map((i) => (data: Uint8Array): void => {
          data[i] = 2 + (i % 254);
        }),
        // Another separator, or none.
        ...[2, 3, 0x80, 0x81, 0xff].map((byte) => (data: Uint8Array): void => {
          data[separator] = byte;
        }),
        (data) => data.fill(0, 32),
      ];
      for (const spoil of wrong) expect(decode(oaepBlock({ ...right, spoil }), hash)).toBeUndefined();
      const label = new Uint8Array(1);
      expect(decode(oaepBlock({ ...right, label }), hash)).toBeUndefined();
      expect(decode(block, hash, { label })).toBeUndefined();
      expect(decode(block, hash, { mgfHash: "SHA-1" })).toBeUndefined();
      expect(decode(oaepBlock({ ...right, hash: "SHA-1" }), hash)).toBeUndefined();
      // An earlier 1 is the separator: what follows is the message, zeros included.
      const earlier = oaepBlock({
        ...right,
        spoil: (data) => {
          data[separator - 3] = 1;
        },
      });
      expect(decode(earlier, hash)).toEqual(Uint8Array.from([0, 0, 1, ...right.message]));
    }
  });

  test("an OAEP message may begin and end with zeros and ones", () => {
    for (const text of [[0], [1], [0, 0, 0], [1, 1], [0, 1, 0], [255, 0]].map((bytes) =>
      Uint8Array.from(bytes),
    )) {
      expect(decode(oaepBlock({ blockLength: 256, hash: "SHA-1", message: text }), "SHA-1")).toEqual(text);
    }
  });

  test.each(ALL)("PSS with $hash takes and makes salts of every length in $blockLength bytes", (facts) => {
    const { hash, blockLength } = facts;
    const id = NUMBER[hash];
    const most = blockLength - DIGEST_LENGTH[hash] - 2;
    for (let saltLength = 0; saltLength <= most; saltLength += saltLength < 70 ? 1 : 37) {
      const digest = random(DIGEST_LENGTH[hash]);
      const salt = random(saltLength);
      const block = pssBlock(blockLength, hash, digest, salt);
      memory.set(salt, RANDOM);
      memory.set(digest, digests);
      expect(kernel.rsaEncodePss(id, blockLength, saltLength)).toBe(1);
      expect(memory.slice(INPUT, INPUT + blockLength)).toEqual(block);
      const verify = (asked: number, index: number): number => {
        memory.set(block, OUTPUT + 0x200 * index);
        memory.set(digest, digests + 0x40 * index);
        return kernel.rsaVerifyPss(id, blockLength, asked, index);
      };
      expect([verify(saltLength, 0), verify(saltLength, 1), verify(ANY_SALT, 0)]).toEqual([1, 1, 1]);
      expect(verify(saltLength === 0 ? 1 : saltLength - 1, 0)).toBe(0);
      if (saltLength < most) expect(verify(saltLength + 1, 0)).toBe(0);
    }
    expect(kernel.rsaEncodePss(id, blockLength, most + 1)).toBe(0);
    expect(kernel.rsaVerifyPss(id, blockLength, most + 1, 0)).toBe(0);
  });

  test("every changed bit of a PSS block, and every wrong part of it, is refused", () => {
    const hash = "SHA-256";
    const digest = random(32);
    const salt = random(32);
    const verify = (block: Uint8Array, saltLength: number, of = digest): number => {
      memory.set(block, OUTPUT);
      memory.set(of, digests);
      return kernel.rsaVerifyPss(2, 256, saltLength, 0);
    };
    const block = pssBlock(256, hash, digest, salt);
    expect(verify(block, 32)).toBe(1);
    for (let bit = 0; bit < 2048; bit++) {
      expect([verify(flipBit(block, bit), 32), verify(flipBit(block, bit), ANY_SALT)], `bit ${bit}`).toEqual([
        0, 0,
      ]);
    }
    for (let bit = 0; bit < 256; bit += 7) expect(verify(block, 32, flipBit(digest, bit))).toBe(0);
    const separator = 256 - 33 - 33;
    for (const [at, byte] of [
      [0, 0x40],
      [separator - 1, 1],
      [separator - 1, 0x80],
      [separator, 0],
      [separator, 2],
      [separator, 0x81],
    ] as const) {
      const spoiled = pssBlock(256, hash, digest, salt, (data) => {
        data[at] = byte;
      });
      expect(verify(spoiled, 32), `${byte} at ${at}`).toBe(0);
    }
    const noSeparator = pssBlock(256, hash, digest, new Uint8Array(32), (data) => data.fill(0));
    expect([verify(noSeparator, 32), verify(noSeparator, ANY_SALT)]).toEqual([0, 0]);
  });

  test.each(BLOCK_LENGTHS)("PKCS#1 v1.5 blocks of %i bytes are OpenSSL's", (blockLength) => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 8 * blockLength });
    for (const hash of HASHES) {
      const text = random(40);
      const signature = sign(OPENSSL_HASH[hash], text, privateKey);
      const block = new Uint8Array(
        publicDecrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, signature),
      );
      memory.set(digestOf(hash, text), digests);
      memory.set(digestOf(hash, text), digests + 0x40);
      expect(kernel.rsaEncodePkcs1(NUMBER[hash], blockLength)).toBe(1);
      expect(memory.slice(INPUT, INPUT + blockLength)).toEqual(block);
      memory.set(block, OUTPUT + 0x200);
      expect(kernel.rsaVerifyPkcs1(NUMBER[hash], blockLength, 1)).toBe(1);
      memory.set(block, OUTPUT);
      for (let at = 0; at < blockLength; at++) {
        memory.set(flipBit(block, 8 * at + (at % 8)), OUTPUT);
        expect(kernel.rsaVerifyPkcs1(NUMBER[hash], blockLength, 0), `byte ${at}`).toBe(0);
      }
    }
  });

  test("a DigestInfo without its NULL, or with bytes behind it, is refused", () => {
    const digest = digestOf("SHA-256", random(3));
    memory.set(digest, digests);
    expect(kernel.rsaEncodePkcs1(2, 256)).toBe(1);
    const block = memory.slice(INPUT, INPUT + 256);
    const info = block.subarray(205);
    const padded = (content: readonly number[]): Uint8Array =>
      Uint8Array.from([0, 1, ...new Uint8Array(256 - 3 - content.length).fill(0xff), 0, ...content]);
    const withoutNull = [0x30, 0x2f, 0x30, 0x0b, ...info.slice(4, 15), 0x04, 0x20, ...digest];
    const verify = (wrong: Uint8Array): number => {
      memory.set(wrong, OUTPUT);
      return kernel.rsaVerifyPkcs1(2, 256, 0);
    };
    expect(verify(padded([...info]))).toBe(1);
    expect(verify(padded(withoutNull))).toBe(0);
    expect(verify(padded([...info, 0]))).toBe(0);
    // Eight bytes of padding and rubbish behind the digest (Bleichenbacher 2006).
    const rubbish = [0, 1, ...new Uint8Array(8).fill(0xff), 0, ...info];
    expect(verify(Uint8Array.from([...rubbish, ...new Uint8Array(256 - rubbish.length)]))).toBe(0);
  });

  test("numbers out of range are refused, and one call wipes all that padding keeps", () => {
    for (const length of [0, 128, 255, 257, 1024]) {
      expect(kernel.rsaEncodePkcs1(2, length)).toBe(0);
      expect(kernel.rsaVerifyPkcs1(2, length, 0)).toBe(0);
      expect(kernel.rsaEncodePss(2, length, 0)).toBe(0);
      expect(kernel.rsaVerifyPss(2, length, 0, 0)).toBe(0);
      expect(kernel.rsaEncodeOaep(2, 2, length, 0)).toBe(0);
      expect(kernel.rsaDecodeOaep(2, 2, length)).toBe(0);
    }
    for (const hash of [0, 5, -1]) {
      expect(kernel.rsaEncodePkcs1(hash, 256)).toBe(0);
      expect(kernel.rsaVerifyPkcs1(hash, 256, 0)).toBe(0);
      expect(kernel.rsaEncodePss(hash, 256, 0)).toBe(0);
      expect(kernel.rsaVerifyPss(hash, 256, 0, 0)).toBe(0);
      expect(kernel.rsaEncodeOaep(hash, 2, 256, 0)).toBe(0);
      expect(kernel.rsaEncodeOaep(2, hash, 256, 0)).toBe(0);
      expect(kernel.rsaDecodeOaep(hash, 2, 256)).toBe(0);
      expect(kernel.rsaDecodeOaep(2, hash, 256)).toBe(0);
    }
    expect(kernel.rsaVerifyPkcs1(2, 256, 2)).toBe(0);
    expect(kernel.rsaVerifyPss(2, 256, 0, 2)).toBe(0);
    memory.fill(0xa5, ...PADDING);
    kernel.rsaWipePadding();
    expect(memory.slice(PADDING[0], PADDING[0] + 0x800).every((byte) => byte === 0)).toBe(true);
  });
});
