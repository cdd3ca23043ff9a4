/** What is built from assembly/: the same bytes wherever it is built, and a module that asks nothing of its host. */

import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildWasm, compileKernel } from "../../.config/build-wasm.mjs";
import { BASE_WASM_BASE64 } from "../../src/engines/wasm/kernel-bytes.ts";

const ASSEMBLY = resolve(dirname(fileURLToPath(import.meta.url)), "../../assembly");

describe("the build of the kernels", () => {
  const folders: string[] = [];
  const digests: string[] = [];
  let wasm: Uint8Array<ArrayBuffer>;
  let bytesFile = "";

  beforeAll(async () => {
    const log = vi.spyOn(console, "log").mockReturnValue(undefined);
    for (const prefix of ["kernels-", "kernels-in-a-folder-of-another-length-"]) {
      const root = await mkdtemp(join(tmpdir(), prefix));
      folders.push(root);
      await cp(ASSEMBLY, join(root, "assembly"), { recursive: true });
      bytesFile = join(root, "kernel-bytes.ts");
      const built = await buildWasm({ root, outDir: join(root, "dist"), bytesFile });
      wasm = new Uint8Array(await readFile(built.file));
      expect(built.byteLength).toBe(wasm.byteLength);
      expect(built.sha256).toBe(createHash("sha256").update(wasm).digest("hex"));
      digests.push(built.sha256);
    }
    expect(log.mock.calls.flat().join("\n")).toContain(digests[0]);
    log.mockRestore();
  }, 120_000);

  afterAll(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  test("gives the same bytes in two folders and as the engine carries", () => {
    expect(digests[1]).toBe(digests[0]);
    expect(createHash("sha256").update(Buffer.from(BASE_WASM_BASE64, "base64")).digest("hex")).toBe(
      digests[0],
    );
  });

  test("writes the bytes as text for the bundlers", async () => {
    const source = await readFile(bytesFile, "utf8");
    expect(source).toContain(`"${Buffer.from(wasm).toString("base64")}"`);
  });

  test("makes a module without imports, start function or data, and with memory that cannot grow", () => {
    const module = new WebAssembly.Module(wasm);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    const { memory } = new WebAssembly.Instance(module).exports as unknown as { memory: WebAssembly.Memory };
    expect(() => memory.grow(1)).toThrow(RangeError);
    expect(sectionIds(wasm)).not.toContain(8);
    expect(sectionIds(wasm)).not.toContain(11);
  });

  test("keeps inner steps and asserts out of the release", async () => {
    const names = WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map((each) => each.name);
    expect(names.filter((name) => !/^(aesGcm[A-Z]\w+|memory|[A-Z_]+)$/.test(name))).toEqual([]);
    const debug = new WebAssembly.Module(
      await compileKernel({ target: "debug", entry: "assembly/probe.ts" }),
    );
    const probe = new WebAssembly.Instance(debug).exports as unknown as {
      expandKey(roundKeys: number, key: number, keyLength: number, planes: number): void;
    };
    expect(() => probe.expandKey(0x21000, 0x20000, 17, 0x22000)).toThrow(WebAssembly.RuntimeError);
  });
});

/** Lists the section ids of a module: 8 is the start function, 11 static data (WebAssembly core, 5.5.2). */
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
