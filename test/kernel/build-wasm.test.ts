/** What is built from assembly/: the same bytes wherever it is built, and a module that asks nothing of its host. */

import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BUILD_NAMES, buildWasm, compileKernel } from "../../.config/build-wasm.mjs";
import { generate } from "../../assembly/generate/index.mjs";

const ASSEMBLY = resolve(dirname(fileURLToPath(import.meta.url)), "../../assembly");

/** Id of the section that names a start function. */
const START_SECTION = 8;

/** Most bytes of each build, raw and compressed: a page waits for them. */
const MOST_BYTES = new Map([
  [/^base$/, [36 * 1024, 11 * 1024]],
  [/^ecc-/, [60 * 1024, 20 * 1024]],
  [/^rsa-/, [90 * 1024, 30 * 1024]],
] as const);

describe("the build of the kernels", () => {
  const folders: string[] = [];
  const digests: Record<string, string>[] = [];
  const wasm = new Map<string, Uint8Array<ArrayBuffer>>();
  let bytesDir = "";

  beforeAll(async () => {
    const log = vi.spyOn(console, "log").mockReturnValue(undefined);
    for (const prefix of ["kernels-", "kernels-in-a-folder-of-another-length-"]) {
      const root = await mkdtemp(join(tmpdir(), prefix));
      folders.push(root);
      await cp(ASSEMBLY, join(root, "assembly"), { recursive: true });
      bytesDir = join(root, "bytes");
      const built = await buildWasm({ root, outDir: join(root, "dist"), bytesDir });
      expect(Object.keys(built)).toEqual(BUILD_NAMES);
      const sums: Record<string, string> = {};
      for (const [build, { file, byteLength, sha256 }] of Object.entries(built)) {
        const bytes = new Uint8Array(await readFile(file));
        expect(byteLength).toBe(bytes.byteLength);
        expect(sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
        wasm.set(build, bytes);
        sums[build] = sha256;
      }
      digests.push(sums);
    }
    expect(log.mock.calls.flat().join("\n")).toContain(digests[0]?.["relaxed"]);
    log.mockRestore();
  }, 240_000);

  afterAll(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  test.each(BUILD_NAMES)(
    "gives the same bytes of %s in two folders and as the engine carries",
    async (build) => {
      expect(digests[1]?.[build]).toBe(digests[0]?.[build]);
      const { WASM_HEX } = (await import(`../../src/engines/wasm/bytes/${build}.ts`)) as {
        WASM_HEX: string;
      };
      const carried = Buffer.from(WASM_HEX, "hex");
      expect(createHash("sha256").update(carried).digest("hex")).toBe(digests[0]?.[build]);
    },
  );

  test("writes the bytes as text for the bundlers", async () => {
    for (const [build, bytes] of wasm) {
      const source = await readFile(join(bytesDir, `${build}.ts`), "utf8");
      expect(source).toContain(`"${Buffer.from(bytes).toString("hex")}"`);
    }
  });

  test("makes modules without imports or start function, and with memory that cannot grow", () => {
    setFlagsFromString("--experimental-wasm-relaxed-simd");
    for (const bytes of wasm.values()) {
      const module = new WebAssembly.Module(bytes);
      expect(WebAssembly.Module.imports(module)).toEqual([]);
      const { memory } = new WebAssembly.Instance(module).exports as unknown as {
        memory: WebAssembly.Memory;
      };
      expect(() => memory.grow(1)).toThrow(RangeError);
      expect(sectionIds(bytes)).not.toContain(START_SECTION);
    }
  });

  test("finds the generated kernels as what the generators write", async () => {
    expect(await generate({ check: true })).toBeUndefined();
  });

  test.each(BUILD_NAMES)("keeps %s as small as it must be", (build) => {
    const bytes = wasm.get(build) ?? new Uint8Array(0);
    for (const [pattern, [raw, compressed]] of MOST_BYTES) {
      if (!pattern.test(build)) continue;
      expect(bytes.length).toBeLessThanOrEqual(raw);
      expect(gzipSync(bytes, { level: 9 }).length).toBeLessThanOrEqual(compressed);
    }
  });

  test("keeps inner steps and asserts out of the release", async () => {
    for (const build of BUILD_NAMES) {
      const module = new WebAssembly.Module(wasm.get(build) ?? new Uint8Array(0));
      const names = WebAssembly.Module.exports(module).map((each) => each.name);
      const known = /^((aesGcm|aesKwp?|hash|hmac|ecdsa|ecc|rsa)[A-Z]\w+|memory|[A-Z_]+)$/;
      expect(names.filter((name) => !known.test(name))).toEqual([]);
    }
    const debug = new WebAssembly.Module(
      await compileKernel({ target: "debug", entry: "assembly/probe.ts" }),
    );
    const probe = new WebAssembly.Instance(debug).exports as unknown as {
      expandKey(roundKeys: number, key: number, keyLength: number, planes: number): void;
    };
    expect(() => probe.expandKey(0x21000, 0x20000, 17, 0x22000)).toThrow(WebAssembly.RuntimeError);
  });
});

/** Lists the section ids of a module (WebAssembly core, 5.5.2). */
function sectionIds(wasm: Uint8Array): number[] {
  const ids: number[] = [];
  let position = 8;
  while (position < wasm.length) {
    ids.push(wasm[position] ?? 0);
    position += 1;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[position] ?? 0;
      position += 1;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    position += length;
  }
  return ids;
}
