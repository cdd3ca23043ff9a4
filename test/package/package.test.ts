/** What users get: the packed files, the exports, no work at import. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

function node(code: string): string {
  return execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: ROOT,
    encoding: "utf8",
  }).trim();
}

describe("package", () => {
  test("every export of package.json is a file that was built", () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === "string" ? [entry] : Object.values(entry as Record<string, string>),
    );
    for (const target of targets) expect(existsSync(join(ROOT, target)), target).toBe(true);
  });

  test("the packed files are dist, docs, README and licence, without sources, tests or maps", () => {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: ROOT, encoding: "utf8" }),
    );
    const files: string[] = packed.files.map((file: { path: string }) => file.path);
    const foreign = files.filter(
      (file) => !/^(dist\/.*\.(js|d\.ts|wasm|json)|docs\/|README\.md|LICENSE|package\.json)/.test(file),
    );
    expect(foreign).toEqual([]);
    expect(files).toContain("dist/base.wasm");
  });

  test("the entries resolve by the names users import", () => {
    const names = node(`
      const index = await import("keyplane");
      const engine = await import("keyplane/engine");
      const stream = await import("keyplane/stream");
      const sqlite = await import("keyplane/stores/sqlite");
      console.log([index, engine, stream, sqlite].map((module) => Object.keys(module).sort().join(" ")).join("\\n"));
    `);
    expect(names.split("\n")).toEqual([
      "Kms KmsError createRootKeyFile fromVendorBlob memoryStore toVendorBlob",
      "KmsError loadEngine",
      "decryptStream encryptStream",
      "sqliteStore",
    ]);
  });

  test("importing the package compiles no WebAssembly and opens nothing", () => {
    const compiled = node(`
      let count = 0;
      for (const name of ["compile", "instantiate", "Module", "Instance"]) {
        const original = WebAssembly[name];
        WebAssembly[name] = function (...args) { count += 1; return new original(...args); };
      }
      const open = () => process.getActiveResourcesInfo().filter((name) => !/^(FSReq|CloseReq|Immediate)/.test(name)).sort().join();
      const before = open();
      await import("keyplane"); await import("keyplane/engine"); await import("keyplane/stores/sqlite");
      console.log(count, open() === before ? "nothing new" : open());
    `);
    expect(compiled).toBe("0 nothing new");
  });

  test("CommonJS callers of this Node can require it", () => {
    const code = `console.log(typeof require("keyplane").Kms.open)`;
    const args = ["--no-warnings", "--experimental-require-module", "-e", code];
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" }).trim()).toBe("function");
  });
});
