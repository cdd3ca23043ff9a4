/** The hash and HMAC kernels at addresses against node:crypto, and what they leave in memory, in both builds. */

import { createHash, createHmac, randomBytes, randomInt } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { HASH_FACTS, HASH_SCHEDULE, type HashKwProbe, loadProbe, TARGETS } from "./hash-kw-kernel.ts";

const CONTEXT = 0x20000;
const CONTEXT_LENGTH = 192;
const HMAC = 0x21000;
const HMAC_LENGTH = 320;
const DIGEST = 0x22000;
const DATA = 0x30000;
const CANARY = 0xa5;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer);

describe.each(TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let probe: HashKwProbe;
  let memory: Uint8Array;

  beforeAll(async () => {
    probe = await loadProbe(target);
    memory = new Uint8Array(probe.memory.buffer);
  }, 60_000);

  /** Feeds bytes in random pieces, each at a random alignment. */
  function feed(
    bytes: Uint8Array,
    start: bigint,
    step: (absorbed: bigint, data: number, length: number) => bigint,
  ): bigint {
    let absorbed = start;
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + randomInt(1, 300));
      const address = DATA + randomInt(8);
      memory.set(piece, address);
      absorbed = step(absorbed, address, piece.length);
      at += piece.length;
    }
    return absorbed;
  }

  test.each(HASH_FACTS)("$name of 0 to 300 bytes in random pieces equals node:crypto", (facts) => {
    const { id, openssl, digestLength } = facts;
    for (let length = 0; length <= 300; length++) {
      const message = random(length);
      memory.fill(CANARY, CONTEXT, CONTEXT + CONTEXT_LENGTH);
      probe.hashInit(CONTEXT, id);
      const absorbed = feed(message, 0n, (...step) => probe.hashUpdate(CONTEXT, id, ...step));
      expect(absorbed).toBe(BigInt(length));
      probe.hashFinal(DIGEST, CONTEXT, id, absorbed);
      expect(memory.slice(DIGEST, DIGEST + digestLength)).toEqual(
        plain(createHash(openssl).update(message).digest()),
      );
      expect(memory.slice(CONTEXT, CONTEXT + CONTEXT_LENGTH)).toEqual(new Uint8Array(CONTEXT_LENGTH));
      expect(memory.slice(...HASH_SCHEDULE).every((byte) => byte === 0)).toBe(true);
    }
  });

  test.each(HASH_FACTS)("$name writes its context, its digest and the schedule alone", (facts) => {
    const { id, digestLength } = facts;
    for (const length of [0, 55, 56, 64, 111, 112, 128, 1000]) {
      memory.fill(CANARY, 0, 0x60000);
      probe.hashInit(CONTEXT, id);
      probe.hashFinal(DIGEST, CONTEXT, id, probe.hashUpdate(CONTEXT, id, 0n, DATA, length));
      const outside = memory.slice(0, 0x60000);
      outside.fill(CANARY, ...HASH_SCHEDULE);
      outside.fill(CANARY, CONTEXT, CONTEXT + CONTEXT_LENGTH);
      outside.fill(CANARY, DIGEST, DIGEST + digestLength);
      expect(outside.findIndex((byte) => byte !== CANARY)).toBe(-1);
    }
  });

  test.each(HASH_FACTS)("HMAC-$name serves many messages under one loaded key", (facts) => {
    const { id, openssl, digestLength, blockLength } = facts;
    for (const keyLength of [
      0,
      1,
      20,
      blockLength - 1,
      blockLength,
      blockLength + 1,
      2 * blockLength,
      1000,
    ]) {
      const key = random(keyLength);
      memory.set(key, DATA);
      memory.fill(CANARY, HMAC, HMAC + HMAC_LENGTH);
      probe.hmacInit(HMAC, id, DATA, keyLength);
      const loaded = memory.slice(HMAC, HMAC + HMAC_LENGTH);
      expect(loaded.subarray(128)).toEqual(new Uint8Array(CONTEXT_LENGTH));
      for (const length of [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 500]) {
        const message = random(length);
        const absorbed = feed(message, probe.hmacStart(HMAC, id), (...step) =>
          probe.hmacUpdate(HMAC, id, ...step),
        );
        probe.hmacFinal(DIGEST, HMAC, id, absorbed);
        expect(memory.slice(DIGEST, DIGEST + digestLength)).toEqual(
          plain(createHmac(openssl, key).update(message).digest()),
        );
        expect(memory.slice(HMAC, HMAC + HMAC_LENGTH)).toEqual(loaded);
        expect(memory.slice(...HASH_SCHEDULE).every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  test("the compression functions absorb one block into a bare state", () => {
    const view = new DataView(probe.memory.buffer);
    for (const { openssl, id, digestLength, blockLength } of HASH_FACTS) {
      // A message that padding fills up to exactly one block.
      const message = random(blockLength / 2);
      memory.fill(0, DATA, DATA + blockLength);
      memory.set(message, DATA);
      memory[DATA + message.length] = 0x80;
      view.setBigUint64(DATA + blockLength - 8, BigInt(8 * message.length));
      probe.hashInit(CONTEXT, id);
      if (id === 1) probe.sha1Compress(CONTEXT, DATA);
      else if (id === 2) probe.sha256Compress(CONTEXT, DATA);
      else probe.sha512Compress(CONTEXT, DATA);
      const word = blockLength / 16;
      const digest = new Uint8Array(digestLength);
      digest.forEach((_, i) => {
        digest[i] = memory[CONTEXT + i - (i % word) + (word - 1 - (i % word))] ?? 0;
      });
      expect(digest).toEqual(plain(createHash(openssl).update(message).digest()));
    }
  });

  test("the length of a message beyond 512 MiB and beyond 4 GiB is counted", () => {
    // Only the length is that large: both sides pad one block as if so much had been absorbed before it.
    for (const before of [2n ** 29n, 2n ** 32n, 2n ** 40n]) {
      const block = new Uint8Array(64);
      block[0] = 0x80;
      new DataView(block.buffer).setBigUint64(56, before * 8n);
      memory.set(block, DATA);
      probe.hashInit(CONTEXT, 2);
      probe.sha256Compress(CONTEXT, DATA);
      const state = memory.slice(CONTEXT, CONTEXT + 32);
      const expected = state.map((_, i) => state[i - (i % 4) + 3 - (i % 4)] ?? 0);
      probe.hashInit(CONTEXT, 2);
      probe.hashFinal(DIGEST, CONTEXT, 2, before);
      expect(memory.slice(DIGEST, DIGEST + 32)).toEqual(expected);
    }
  });
});
