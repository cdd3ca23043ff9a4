/** Every build of the wasm engine against node:crypto over random cases and all edges, and what a planted overshoot does. */

import { createCipheriv, createSecretKey, randomBytes, randomInt } from "node:crypto";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { compileKernel } from "../../.config/build-wasm.mjs";
import type { AesGcm, AesKey } from "../../src/engines/engine.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { served } from "../conformance/engine-support.ts";

const BUILDS = ["base", "simd", "relaxed"] as const;
const ROOT = resolve(fileURLToPath(new URL("../..", import.meta.url)));

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const equal = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

/** Seals with OpenSSL under a key made once. */
function opensslSealer(raw: Uint8Array): (iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array) => Buffer {
  const keyObject = createSecretKey(raw);
  const name = `aes-${raw.length * 8}-gcm` as "aes-256-gcm";
  return (iv, plaintext, aad) => {
    const cipher = createCipheriv(name, keyObject, iv).setAAD(aad);
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  };
}

/** A slice of a larger array that begins at any address. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const lead = randomInt(17);
  const memory = new Uint8Array(lead + bytes.length);
  memory.set(bytes, lead);
  return memory.subarray(lead);
}

/** Lengths of AAD, of one block and of several, and of plaintext. */
const SHAPES = [13, 80].flatMap((aad) => [1, 16, 20, 32, 33].map((plaintext) => [aad, plaintext] as const));

/** Finds a message that packed or batched calls seal otherwise than single calls. */
function batchDiffers(aesGcm: AesGcm, key: AesKey): boolean {
  const count = 40;
  for (const [aadLength, plaintextLength] of SHAPES) {
    const shape = { count, aadLength, plaintextLength };
    const aadEnd = 12 + aadLength;
    const recordLength = aadEnd + plaintextLength;
    const records = random(count * recordLength);
    const parts = Array.from({ length: count }, (_, i) => {
      const record = records.subarray(i * recordLength, (i + 1) * recordLength);
      return {
        iv: record.subarray(0, 12),
        aad: record.subarray(12, aadEnd),
        plaintext: record.subarray(aadEnd),
      };
    });
    const singly = parts.map(({ iv, aad, plaintext }) => aesGcm.seal(key, iv, plaintext, aad));
    if (!equal(aesGcm.sealPacked(key, records, shape), Buffer.concat(singly))) return true;
    const batch = aesGcm.sealBatch(key, parts);
    if (singly.some((sealed, i) => !equal(batch[i], sealed))) return true;
  }
  return false;
}

describe.each(BUILDS)("the %s build", { timeout: 120_000 }, (build) => {
  const engine = createWasmEngine({ build, relaxedSimd: "force" });
  const aesGcm = served(engine, "aesGcm");

  test("is the build asked for", () => {
    expect(engine.build).toBe(build);
  });

  test("equals OpenSSL in 20,000 random cases over all key lengths", () => {
    for (let round = 0; round < 250; round++) {
      const raw = random([16, 24, 32][round % 3] ?? 32);
      const key = aesGcm.importKey(raw);
      const openssl = opensslSealer(raw);
      for (let i = 0; i < 80; i++) {
        const plaintext = random(i === 0 ? randomInt(5000) : randomInt(200));
        const [iv, aad] = [random(12), random(randomInt(131))];
        const sealed = aesGcm.seal(key, iv, plaintext, aad);
        if (!equal(sealed, openssl(iv, plaintext, aad))) expect.fail(`${plaintext.length} ${aad.length}`);
        if (!equal(aesGcm.open(key, iv, sealed, aad), plaintext)) expect.fail(`open ${plaintext.length}`);
      }
      key.destroy();
    }
  });

  test("equals OpenSSL for all lengths from 0 to 600 and AAD from 0 to 130, at any address", () => {
    const raw = random(32);
    const key = aesGcm.importKey(raw);
    const openssl = opensslSealer(raw);
    const lengths = [
      ...Array.from({ length: 601 }, (_, i) => i),
      ...[2015, 2016, 2017, 2032, 2048, 4079, 4080, 4081, 65_519, 65_520, 65_535, 65_536, 65_537, 131_080],
    ];
    for (const length of lengths) {
      const [iv, plaintext, aad] = [random(12), random(length), random(length % 131)].map(unaligned) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const expected = openssl(iv, plaintext, aad);
      expect(equal(aesGcm.seal(key, iv, plaintext, aad), expected), `seal ${length}`).toBe(true);
      expect(equal(aesGcm.open(key, iv, unaligned(expected), aad), plaintext), `open ${length}`).toBe(true);
      const forged = Uint8Array.from(expected);
      const at = randomInt(forged.length);
      forged[at] = (forged[at] ?? 0) ^ (1 << randomInt(8));
      expect(aesGcm.open(key, iv, forged, aad), `forged ${length}`).toBeUndefined();
    }
  });

  test("batches of messages under many keys, in any order and of any length, equal single calls", () => {
    const keys = Array.from({ length: 30 }, (_, i) => aesGcm.importKey(random([16, 24, 32][i % 3] ?? 32)));
    for (let round = 0; round < 40; round++) {
      const many = round % 2 === 0;
      const items = Array.from({ length: randomInt(1, 400) }, (_, i) => ({
        key: keys[many ? randomInt(keys.length) : Math.floor(i / 9) % keys.length] as AesKey,
        iv: random(12),
        plaintext: random(i % 50 === 49 ? randomInt(80_000) : randomInt(100)),
        aad: random(many ? randomInt(100) : 16),
      }));
      const singly = items.map(({ key, iv, plaintext, aad }) => aesGcm.seal(key, iv, plaintext, aad));
      const sealed = aesGcm.sealBatch(undefined, items);
      expect(singly.every((each, i) => equal(sealed[i], each))).toBe(true);
      const opened = aesGcm.openBatch(
        undefined,
        items.map(({ key, iv, aad }, i) => ({ key, iv, aad, sealed: singly[i] as Uint8Array })),
      );
      expect(items.every(({ plaintext }, i) => equal(opened[i], plaintext))).toBe(true);
    }
  });

  test("packed and batched calls equal single calls", () => {
    expect(batchDiffers(aesGcm, aesGcm.importKey(random(32)))).toBe(false);
  });
});

test("a group kernel that overshoots its record in place is found", { timeout: 120_000 }, async () => {
  const root = await mkdtemp(join(tmpdir(), "kernels-overshoot-"));
  try {
    await cp(join(ROOT, "assembly"), join(root, "assembly"), { recursive: true });
    const path = join(root, "assembly/aes-gcm/gcm-simd.ts");
    const source = await readFile(path, "utf8");
    const planted = source.replace(
      "const end: usize = address + <usize>length;",
      "const end: usize = address + ((<usize>length + 63) & ~63);",
    );
    expect(planted).not.toBe(source);
    await writeFile(path, planted);
    const wasm = new WebAssembly.Module(await compileKernel({ root, target: "simd" }));
    const aesGcm = served(createWasmEngine({ wasm }), "aesGcm");
    expect(() => {
      if (batchDiffers(aesGcm, aesGcm.importKey(random(32)))) throw new Error("it differs");
    }).toThrow();
  } finally {
    await rm(root, { recursive: true });
  }
});
