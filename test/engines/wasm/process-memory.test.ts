/** Looks for a key in all memory of a process that used it: found while the key lives, nowhere once it is destroyed. */

import { type ChildProcess, spawn } from "node:child_process";
import { createCipheriv, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const CHUNK = 16 * 1024 * 1024;

/** Counts the places where any pattern occurs in the writable memory of a process. */
function countInMemory(pid: number, patterns: readonly Buffer[]): number {
  const overlap = Math.max(...patterns.map((pattern) => pattern.length)) - 1;
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const buffer = Buffer.alloc(CHUNK + overlap);
  let hits = 0;
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const [, from = "", to = ""] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      const end = Number.parseInt(to, 16);
      for (let at = Number.parseInt(from, 16); at < end; at += CHUNK) {
        const length = Math.min(CHUNK + overlap, end - at);
        hits += countIn(buffer.subarray(0, readAt(memory, buffer, length, at)), patterns);
      }
    }
  } finally {
    closeSync(memory);
  }
  return hits;
}

/** Reads what is there; pages that were reserved and never touched cannot be read. */
function readAt(memory: number, buffer: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, buffer, 0, length, at);
  } catch {
    return 0;
  }
}

function countIn(bytes: Buffer, patterns: readonly Buffer[]): number {
  let hits = 0;
  for (const pattern of patterns) {
    for (let i = bytes.indexOf(pattern); i !== -1; i = bytes.indexOf(pattern, i + 1)) hits += 1;
  }
  return hits;
}

async function nextWord(child: ChildProcess): Promise<string> {
  const [data] = (await once(child.stdout ?? child, "data")) as [Buffer];
  return data.toString().trim();
}

const isLinux = process.platform === "linux";

describe.skipIf(!isLinux)("the memory of a process that used a key", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyplane-memory-"));
  const script = join(folder, "child.mjs");
  beforeAll(async () => {
    const entry = new URL("./process-memory-child.ts", import.meta.url).pathname;
    await build({ entryPoints: [entry], outfile: script, bundle: true, platform: "node", format: "esm" });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the child with a key and looks for the patterns while it lives and after. */
  async function expectGone(
    name: string,
    key: Buffer,
    patterns: readonly Buffer[],
    ...options: readonly string[]
  ): Promise<void> {
    const keyFile = join(folder, name);
    writeFileSync(keyFile, key, { mode: 0o600 });
    const child = spawn(process.execPath, [script, keyFile, ...options], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      const pid = child.pid ?? 0;
      expect(await nextWord(child)).toBe("live");
      expect(countInMemory(pid, patterns)).toBeGreaterThan(0);
      child.stdin.write("go\n");
      expect(await nextWord(child)).toBe("destroyed");
      expect(countInMemory(pid, patterns)).toBe(0);
    } finally {
      child.kill();
    }
  }

  // Halves, so that a copy cut in two is found as well; text, in case it ever became a string.
  const textsOf = (key: Buffer): Buffer[] => [
    Buffer.from(key.toString("hex").slice(0, 32)),
    Buffer.from(key.toString("base64").slice(0, 20)),
  ];

  test.each(["base", "simd", "relaxed"])(
    "holds no key, hash key or text of them after destroy (%s)",
    async (wasmBuild) => {
      const key = randomBytes(32);
      const ecb = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
      const hashKey = ecb.update(Buffer.alloc(16));
      const patterns = [key.subarray(0, 16), key.subarray(16), hashKey, ...textsOf(key)];
      await expectGone(`key-${wasmBuild}`, key, patterns, wasmBuild, "aes");
    },
  );

  test.each([
    ["P-256", "base"],
    ["P-256", "relaxed"],
    ["secp256k1", "base"],
    ["secp256k1", "relaxed"],
  ])(
    "holds no private key of %s, in bytes, words, limbs or text, after destroy (%s)",
    async (curve, wasmBuild) => {
      const key = randomBytes(32).fill(0x3c, 0, 1);
      const number = BigInt(`0x${key.toString("hex")}`);
      const littleEndian = Buffer.from(key).reverse();
      // Two neighbouring limbs of 29 bits in words of 64, as the kernels have numbers.
      const limbs = Buffer.alloc(72);
      for (let i = 0; i < 9; i++) limbs.writeBigUInt64LE((number >> BigInt(29 * i)) & 0x1fffffffn, 8 * i);
      const patterns = [
        ...[key, littleEndian].flatMap((bytes) => [bytes.subarray(0, 12), bytes.subarray(20)]),
        limbs.subarray(0, 16),
        limbs.subarray(32, 48),
        ...textsOf(key),
      ];
      await expectGone(`${curve}-${wasmBuild}`, key, patterns, wasmBuild, curve);
    },
  );

  test.each(["base", "simd", "relaxed"])(
    "holds no number of an RSA key, in bytes, words, limbs or digits, after destroy (%s)",
    async (wasmBuild) => {
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const jwk = privateKey.export({ format: "jwk" });
      const secrets = [jwk.p, jwk.q, jwk.d, jwk.dp, jwk.dq, jwk.qi].map((text) =>
        Buffer.from(text ?? "", "base64url"),
      );
      const ends = (bytes: Buffer): Buffer[] => [bytes.subarray(0, 16), bytes.subarray(-16)];
      const patterns = secrets.flatMap((bytes) => [
        ...ends(bytes),
        ...ends(Buffer.from(bytes).reverse()),
        ...textsOf(bytes),
      ]);
      const [p = 0n, q = 0n] = secrets.map((bytes) => BigInt(`0x${bytes.toString("hex")}`));
      // Neighbouring limbs of 24 bits (the checks of an import) and of 28 bits (the base build) in words of 32.
      for (const number of [p, q]) {
        for (const bits of [24n, 28n]) {
          const limbs = Buffer.alloc(16);
          for (let i = 0n; i < 4n; i++) {
            limbs.writeUInt32LE(Number((number >> (bits * (8n + i))) & ((1n << bits) - 1n)), 4 * Number(i));
          }
          patterns.push(limbs);
        }
      }
      // Neighbouring digits of p and q in the lanes of the vector builds, balanced: below half of 2^51 or 2^24.
      for (const bits of [51, 24]) {
        const digits = Buffer.alloc(32);
        for (const [lane, number] of [p, q].entries()) {
          for (let i = 0; i < 2; i++) {
            const shifted =
              (number >> BigInt(bits * (4 + i))) + ((number >> BigInt(bits * (4 + i) - 1)) & 1n);
            digits.writeDoubleLE(Number(BigInt.asIntN(bits, shifted)), 16 * i + 8 * lane);
          }
        }
        patterns.push(digits);
      }
      const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
      await expectGone(`rsa-${wasmBuild}`, pkcs8, patterns, wasmBuild, "rsa");
    },
  );
});
