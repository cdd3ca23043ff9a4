/** The AES-GCM kernel against node:crypto and @noble/ciphers, and its behaviour inside the arena, in every build. */

import { createCipheriv, randomBytes, randomInt } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { beforeAll, describe, expect, test } from "vitest";
import { KernelDriver, TARGETS } from "./aes-gcm-kernel.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

function sealWithNode(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv);
  cipher.setAAD(aad);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/** Compares long results, for which the matcher of the runner is slow. */
function equal(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** Cuts a length into chunks that are multiples of 16 bytes but for the last. */
function chunkLengths(length: number, capacity: number): number[] {
  const chunks: number[] = [];
  let left = length;
  while (left > 0) {
    const chunk = Math.min(left, 16 * randomInt(1, capacity / 16 + 1));
    chunks.push(chunk);
    left -= chunk;
  }
  return chunks;
}

describe.each(TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let driver: KernelDriver;

  beforeAll(async () => {
    driver = await KernelDriver.load(target);
  }, 60_000);

  /** Seals and opens once, against node:crypto and, where asked, @noble/ciphers. */
  function compare(keyLength: number, plaintextLength: number, aadLength: number, withNoble: boolean): void {
    const slot = randomInt(driver.kernel.AES_GCM_CONTEXT_COUNT.value);
    const [key, iv, plaintext, aad] = [
      random(keyLength),
      random(12),
      random(plaintextLength),
      random(aadLength),
    ];
    const expected = sealWithNode(key, iv, plaintext, aad);
    if (withNoble) expect(gcm(key, iv, aad).encrypt(plaintext)).toEqual(expected);
    expect(driver.loadKey(slot, key)).toBe(1);
    expect(equal(driver.seal(slot, keyLength, iv, plaintext, aad), expected)).toBe(true);
    expect(equal(driver.open(slot, keyLength, iv, expected, aad), plaintext)).toBe(true);
    const forged = expected.slice();
    const bit = randomInt(forged.length * 8);
    forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(driver.open(slot, keyLength, iv, forged, aad)).toBeUndefined();
    expect(driver.kernel.aesGcmDropKey(slot)).toBe(1);
  }

  test.each([16, 24, 32])("seals and opens data of 0 to 130 bytes under keys of %i bytes", (keyLength) => {
    for (let length = 0; length <= 130; length++)
      compare(keyLength, length, (length * 7) % 100, length % 8 === 0);
  });

  test("seals and opens under AAD of 0 to 99 bytes", () => {
    for (let length = 0; length <= 99; length++) compare(32, (length * 5) % 70, length, length % 8 === 0);
  });

  test("seals and opens at the borders of the data and AAD regions", () => {
    const data = driver.kernel.DATA_CAPACITY.value;
    const aad = driver.kernel.AAD_CAPACITY.value;
    for (const [dataLength, aadLength] of [
      [data, aad],
      [data - 1, aad - 1],
      [data - 15, 0],
      [data - 16, aad - 16],
      [data - 17, aad - 17],
      [4096, 4096],
    ] as const) {
      compare(32, dataLength, aadLength, false);
    }
  });

  test("gives the same bytes in chunks as whole, and decrypts after verification", () => {
    const { kernel } = driver;
    for (const length of [0, 1, 16, 63, 64, 65, 1000, 65_536, 65_537, 200_001]) {
      const [key, iv, plaintext, aad] = [random(32), random(12), random(length), random(length % 40_000)];
      const expected = sealWithNode(key, iv, plaintext, aad);
      driver.loadKey(7, key);

      const begin = (): void => {
        driver.put("IV", iv);
        expect(kernel.aesGcmStart(7, 32)).toBe(1);
        let start = 0;
        for (const chunk of chunkLengths(aad.length, kernel.AAD_CAPACITY.value)) {
          driver.put("AAD", aad.subarray(start, start + chunk));
          expect(kernel.aesGcmAad(chunk)).toBe(1);
          start += chunk;
        }
      };
      const pass = (input: Uint8Array, step: (chunk: number) => number): Uint8Array => {
        const output = new Uint8Array(input.length);
        let start = 0;
        for (const chunk of chunkLengths(input.length, kernel.DATA_CAPACITY.value)) {
          driver.put("DATA", input.subarray(start, start + chunk));
          expect(step(chunk)).toBe(1);
          output.set(driver.take("DATA", chunk), start);
          start += chunk;
        }
        return output;
      };

      begin();
      const ciphertext = pass(plaintext, (chunk) => kernel.aesGcmEncrypt(chunk));
      expect(kernel.aesGcmWriteTag()).toBe(1);
      expect(equal(Buffer.concat([ciphertext, driver.take("TAG", 16)]), expected)).toBe(true);

      begin();
      pass(ciphertext, (chunk) => kernel.aesGcmAuthenticate(chunk));
      driver.put("TAG", expected.subarray(length));
      expect(kernel.aesGcmVerify()).toBe(1);
      expect(
        equal(
          pass(ciphertext, (chunk) => kernel.aesGcmDecrypt(chunk)),
          plaintext,
        ),
      ).toBe(true);
      kernel.aesGcmEnd();
    }
  });

  test("decrypts nothing before the tag was verified, nor after it was found wrong", () => {
    const { kernel } = driver;
    const [key, iv, plaintext, aad] = [random(16), random(12), random(32), new Uint8Array(0)];
    const sealed = sealWithNode(key, iv, plaintext, aad);
    driver.loadKey(0, key);
    driver.put("IV", iv);

    const decryptNow = (): Uint8Array => {
      driver.put("DATA", sealed.subarray(0, 32));
      expect(kernel.aesGcmDecrypt(32)).toBe(0);
      return driver.take("DATA", 32);
    };
    expect(decryptNow()).toEqual(new Uint8Array(32));
    kernel.aesGcmStart(0, 16);
    expect(decryptNow()).toEqual(new Uint8Array(32));
    driver.put("DATA", sealed.subarray(0, 32));
    expect(kernel.aesGcmAuthenticate(32)).toBe(1);
    expect(decryptNow()).toEqual(new Uint8Array(32));
    driver.put("TAG", new Uint8Array(16));
    expect(kernel.aesGcmVerify()).toBe(0);
    expect(decryptNow()).toEqual(new Uint8Array(32));
    driver.put("TAG", sealed.subarray(32));
    expect(kernel.aesGcmVerify()).toBe(0);

    // A message that was verified and then abandoned opens nothing of the next one.
    kernel.aesGcmStart(0, 16);
    driver.put("DATA", sealed.subarray(0, 32));
    kernel.aesGcmAuthenticate(32);
    expect(kernel.aesGcmVerify()).toBe(1);
    kernel.aesGcmStart(0, 16);
    expect(decryptNow()).toEqual(new Uint8Array(32));
    kernel.aesGcmEnd();
  });

  test("decrypts no more than was verified", () => {
    const { kernel } = driver;
    const [key, iv] = [random(32), random(12)];
    const sealed = sealWithNode(key, iv, random(32), new Uint8Array(0));
    driver.loadKey(0, key);
    driver.put("IV", iv);
    kernel.aesGcmStart(0, 32);
    driver.put("DATA", sealed.subarray(0, 32));
    kernel.aesGcmAuthenticate(32);
    driver.put("TAG", sealed.subarray(32));
    expect(kernel.aesGcmVerify()).toBe(1);
    expect(kernel.aesGcmDecrypt(48)).toBe(0);
    driver.put("DATA", sealed.subarray(0, 32));
    expect(kernel.aesGcmDecrypt(32)).toBe(1);
    driver.put("DATA", random(16));
    expect(kernel.aesGcmDecrypt(16)).toBe(0);
    kernel.aesGcmEnd();
  });

  test("refuses chunks after a chunk that was not a multiple of 16 bytes, and calls out of order", () => {
    const { kernel } = driver;
    driver.loadKey(0, random(32));
    kernel.aesGcmEnd();
    expect([kernel.aesGcmAad(1), kernel.aesGcmEncrypt(1), kernel.aesGcmAuthenticate(1)]).toEqual([0, 0, 0]);
    expect([kernel.aesGcmWriteTag(), kernel.aesGcmVerify()]).toEqual([0, 0]);
    kernel.aesGcmStart(0, 32);
    expect([kernel.aesGcmAad(5), kernel.aesGcmAad(16)]).toEqual([1, 0]);
    expect([kernel.aesGcmEncrypt(5), kernel.aesGcmEncrypt(16)]).toEqual([1, 0]);
    expect([kernel.aesGcmAuthenticate(16), kernel.aesGcmVerify()]).toEqual([0, 0]);
    kernel.aesGcmEnd();
  });

  test("a batch in the middle of a message in chunks ends that message", () => {
    const { kernel } = driver;
    const key = random(32);
    driver.loadKey(0, key);
    const view = new DataView(kernel.memory.buffer, kernel.BATCH.value, 64);
    for (const at of [0, 32]) {
      view.setUint32(at + 16, at, true);
      view.setUint32(at + 20, 0, true);
      view.setUint32(at + 24, 16, true);
      view.setUint16(at + 28, 0, true);
      view.setUint8(at + 30, 32);
      view.setUint8(at + 31, 0);
    }
    const sealed = sealWithNode(key, new Uint8Array(12), random(32), new Uint8Array(0));
    for (const work of [
      () => kernel.aesGcmSealBatch(2),
      () => kernel.aesGcmOpenBatch(2),
      () => kernel.aesGcmSealPacked(0, 32, 2, 0, 16),
    ]) {
      // Verified, so that the next step would be to decrypt.
      driver.put("IV", new Uint8Array(12));
      expect(kernel.aesGcmStart(0, 32)).toBe(1);
      driver.put("DATA", sealed.subarray(0, 32));
      expect(kernel.aesGcmAuthenticate(32)).toBe(1);
      driver.put("TAG", sealed.subarray(32));
      expect(kernel.aesGcmVerify()).toBe(1);
      expect(work()).toBe(1);
      expect([kernel.aesGcmDecrypt(32), kernel.aesGcmAad(16), kernel.aesGcmEncrypt(16)]).toEqual([0, 0, 0]);
    }
  });
});
