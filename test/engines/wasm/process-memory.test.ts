/** Looks for a key in all memory of a process that used it: found while the key lives, nowhere once it is destroyed. */

import { type ChildProcess, spawn } from "node:child_process";
import { createCipheriv, randomBytes } from "node:crypto";
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

  test.each(["base", "simd", "relaxed"])(
    "holds no key, hash key or text of them after destroy (%s)",
    async (wasmBuild) => {
      const key = randomBytes(32);
      const keyFile = join(folder, `key-${wasmBuild}`);
      writeFileSync(keyFile, key, { mode: 0o600 });
      const ecb = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
      const hashKey = ecb.update(Buffer.alloc(16));
      // Halves, so that a copy cut in two is found as well; text, in case it ever became a string.
      const patterns = [
        key.subarray(0, 16),
        key.subarray(16),
        hashKey,
        Buffer.from(key.toString("hex").slice(0, 32)),
        Buffer.from(key.toString("base64").slice(0, 20)),
      ];
      const child = spawn(process.execPath, [script, keyFile, wasmBuild], {
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
    },
  );
});
