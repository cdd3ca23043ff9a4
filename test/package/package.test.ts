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

  test("the packed files are dist, docs, README, licence and the sources of the addon, without other sources, tests or maps", () => {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: ROOT, encoding: "utf8" }),
    );
    const files: string[] = packed.files.map((file: { path: string }) => file.path);
    const foreign = files.filter(
      (file) =>
        !/^(dist\/.*\.(js|d\.ts|wasm|json)|dist\/include\/|docs\/|native\/\w+\.(cc|h)$|README\.md|LICENSE|package\.json)/.test(
          file,
        ),
    );
    expect(foreign).toEqual([]);
    expect(files).toContain("dist/base.wasm");
    // What `keyplane hsm build` takes; a binding.gyp would have npm compile at installation.
    for (const file of ["native/pool.cc", "dist/include/napi.h", "dist/include/pkcs11/pkcs11t.h"])
      expect(files).toContain(file);
    expect(files).not.toContain("binding.gyp");
  });

  test("the entries resolve by the names users import", () => {
    const names = node(`
      const index = await import("keyplane");
      const engine = await import("keyplane/engine");
      const stream = await import("keyplane/stream");
      const sqlite = await import("keyplane/stores/sqlite");
      const core = await import("keyplane/core");
      const aesGcm = await import("keyplane/aes-gcm");
      const kernels = await import("keyplane/kernels");
      const hsm = await import("keyplane/hsm");
      console.log([index, engine, stream, sqlite, core, aesGcm, kernels, hsm].map((module) => Object.keys(module).sort().join(" ")).join("\\n"));
    `);
    expect(names.split("\n")).toEqual([
      "Kms KmsError createRootKeyFile fromVendorBlob memoryStore toVendorBlob",
      "KmsError loadEngine",
      "decryptStream encryptStream",
      "sqliteStore",
      "Kms KmsError fromVendorBlob loadEngine memoryStore toVendorBlob",
      "KmsError loadAesGcm",
      "compileKernels",
      "Hsm HsmError KmsError initToken probeModule",
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
      for (const entry of ["", "/engine", "/stores/sqlite", "/core", "/aes-gcm", "/kernels", "/stream", "/hsm"]) {
        await import("keyplane" + entry);
      }
      console.log(count, open() === before ? "nothing new" : open());
    `);
    expect(compiled).toBe("0 nothing new");
  });

  test("keyplane/core serves with modules the host compiled, keyplane/kernels compiles them, keyplane/aes-gcm needs but one", () => {
    const lines = node(`
      import { readFileSync } from "node:fs";
      const { Kms, loadEngine } = await import("keyplane/core");
      const { compileKernels } = await import("keyplane/kernels");
      const { loadAesGcm } = await import("keyplane/aes-gcm");
      const plaintext = new Uint8Array(5);
      const seal = async (wasm) => {
        const kms = await Kms.open({ wasm, engine: "wasm" });
        const { keyId } = await kms.createKey();
        const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
        const { keyId: signer } = await kms.createKey({ keySpec: "EC_P256" });
        await kms.sign({ keyId: signer, message: plaintext });
        const opened = await kms.advanceDecrypt({ ciphertextBlob });
        await kms.close();
        return opened.plaintext.length;
      };
      const module = (name) => new WebAssembly.Module(readFileSync("dist/" + name + ".wasm"));
      console.log(await loadEngine("wasm").catch((error) => error.code));
      console.log(await seal({ main: module("simd"), ecc: module("ecc-base") }), await seal(compileKernels()));
      for (const wasm of [undefined, module("base")]) {
        const { build, aesGcm, close } = await loadAesGcm({ ...(wasm && { wasm }), relaxedSimd: "off" });
        const key = aesGcm.importKey(new Uint8Array(16));
        const sealed = aesGcm.seal(key, new Uint8Array(12), plaintext);
        close();
        console.log(build, sealed.length);
      }
    `);
    expect(lines.split("\n")).toEqual(["Rejected.UnsupportedOperation", "5 5", "simd 21", "base 21"]);
  });

  test("CommonJS callers of this Node can require it", () => {
    const code = `console.log(typeof require("keyplane").Kms.open)`;
    const args = ["--no-warnings", "--experimental-require-module", "-e", code];
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" }).trim()).toBe("function");
  });
});
