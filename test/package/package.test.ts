/** What users get: the packed files, the exports, no work at import. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** Sorted. */
const KERNELS: readonly string[] = [
  "base",
  "ecc-base",
  "ecc-relaxed",
  "ecc-simd",
  "relaxed",
  "rsa-base",
  "rsa-relaxed",
  "rsa-simd",
  "simd",
];

/** Of node-addon-api and of PKCS#11. */
const HEADERS: readonly string[] = [
  "LICENSE.node-addon-api.md",
  "napi.h",
  "napi-inl.h",
  "napi-inl.deprecated.h",
  "pkcs11/pkcs11.h",
  "pkcs11/pkcs11f.h",
  "pkcs11/pkcs11t.h",
];

/** Lists the files below a folder of the project, as paths from its root. */
function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((file) => `${folder}/${file.replaceAll("\\", "/")}`)
    .filter((file) => statSync(join(ROOT, file)).isFile());
}

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

  test("the packed files are these: what each source became, the kernels, docs, the addon's sources and headers, README and licence", () => {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
        cwd: ROOT,
        encoding: "utf8",
      }),
    );
    const compiled = filesIn("src")
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
      .map((file) => file.replace(/^src\/(.*)\.ts$/, "dist/$1"));
    const expected = [
      ...compiled.flatMap((file) => [`${file}.js`, `${file}.d.ts`]),
      ...filesIn("docs"),
      // What `keyplane hsm build` takes; a binding.gyp would have npm compile at installation.
      ...filesIn("native"),
      ...HEADERS.map((name) => `dist/include/${name}`),
      ...KERNELS.map((name) => `dist/${name}.wasm`),
      "dist/wasm.json",
      "LICENSE",
      "README.md",
      "package.json",
    ];
    expect(packed.files.map((file: { path: string }) => file.path).sort()).toEqual(expected.sort());
    expect(Object.keys(JSON.parse(readFileSync(join(ROOT, "dist/wasm.json"), "utf8"))).sort()).toEqual(
      KERNELS,
    );
  });

  test("the package lists each kernel with the digest of its bytes, and exports it", () => {
    const facts = JSON.parse(readFileSync(join(ROOT, "dist/wasm.json"), "utf8"));
    for (const name of KERNELS) {
      const bytes = readFileSync(join(ROOT, `dist/${name}.wasm`));
      expect(facts[name]).toEqual({
        bytes: bytes.length,
        sha256: createHash("sha256").update(bytes).digest("hex"),
      });
      expect(manifest.exports[`./${name}.wasm`]).toBe(`./dist/${name}.wasm`);
    }
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
      const worker = await import("keyplane/worker");
      console.log([index, engine, stream, sqlite, core, aesGcm, kernels, hsm, worker].map((module) => Object.keys(module).sort().join(" ")).join("\\n"));
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
      "KmsError connectKms serveKms",
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
      for (const entry of ["", "/engine", "/stores/sqlite", "/core", "/aes-gcm", "/kernels", "/stream", "/worker", "/hsm"]) {
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
