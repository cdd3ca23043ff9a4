/** How a wasm engine comes up, and what it answers where it cannot. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { WASM_HEX as BASE_WASM_HEX } from "../../../src/engines/wasm/bytes/base.ts";
import { WASM_HEX as ECC_BASE_WASM_HEX } from "../../../src/engines/wasm/bytes/ecc-base.ts";
import { createWasmEngine, provideInlinedKernels } from "../../../src/engines/wasm/inlined.ts";
import { mainLoader } from "../../../src/engines/wasm/load-kernel.ts";
import { KmsError } from "../../../src/errors.ts";
import { codeOf, served } from "../../conformance/engine-support.ts";

const wasm = Uint8Array.from(Buffer.from(BASE_WASM_HEX, "hex"));
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** Imports the engine anew, so that nothing compiled before is used again. */
async function freshEngine(): Promise<typeof createWasmEngine> {
  vi.resetModules();
  return (await import("../../../src/engines/wasm/inlined.ts")).createWasmEngine;
}

describe("a wasm engine", () => {
  test("says what it is and what it serves", () => {
    const engine = createWasmEngine();
    expect(engine.name).toBe("wasm");
    expect(["simd", "relaxed"]).toContain(engine.build);
    expect(engine.capabilities.aesGcm).toEqual(["AES-128", "AES-192", "AES-256"]);
    const { ecdsaHash, ecdsaFormat, ecdsaSignable, ...primitives } = engine.capabilities;
    expect([ecdsaHash?.length, ecdsaFormat?.length, ecdsaSignable?.length]).toEqual([4, 3, 2]);
    for (const primitive of Object.keys(primitives)) {
      if (!/^rsa./.test(primitive)) expect(engine).toHaveProperty(primitive);
    }
  });

  test("shares one instance with all others of the realm", () => {
    const spy = vi.spyOn(WebAssembly, "Instance");
    for (let i = 0; i < 300; i++) createWasmEngine().close();
    expect(spy.mock.calls.length).toBeLessThanOrEqual(1);
    spy.mockRestore();
  });

  test("takes a compiled module from the host", () => {
    const aesGcm = served(createWasmEngine({ wasm: new WebAssembly.Module(wasm) }), "aesGcm");
    const key = aesGcm.importKey(new Uint8Array(16));
    expect(aesGcm.seal(key, new Uint8Array(12), new Uint8Array(0))).toHaveLength(16);
  });

  test("takes each compiled module by its name and no module in the place of another", () => {
    const main = new WebAssembly.Module(wasm);
    const ecc = new WebAssembly.Module(Buffer.from(ECC_BASE_WASM_HEX, "hex"));
    for (const modules of [{ main, ecc }, { ecc }, { main }]) {
      const ecdsa = served(createWasmEngine({ wasm: modules }), "ecdsa");
      const key = ecdsa.importPrivateKey("P-256", new Uint8Array(32).fill(1));
      expect(
        ecdsa.verify(ecdsa.publicKey(key), new Uint8Array(32), ecdsa.sign(key, new Uint8Array(32))),
      ).toBe(true);
    }
    for (const modules of [{ main: ecc }, { ecc: main }, { other: ecc }, { main, ecc: wasm }] as never[]) {
      expect(codeOf(() => createWasmEngine({ wasm: modules }))).toBe("InvalidParameter");
    }
  });

  test("compiles the module of curves at their first use, and once", async () => {
    const create = await freshEngine();
    const Original = WebAssembly.Module;
    let compiled = 0;
    WebAssembly.Module = class extends Original {
      constructor(bytes: BufferSource) {
        super(bytes);
        if (bytes.byteLength > 10_000) compiled += 1;
      }
    } as typeof WebAssembly.Module;
    try {
      const engines = [create({ build: "base" }), create({ build: "base" })];
      expect(compiled).toBe(1);
      for (const engine of engines) {
        served(engine, "ecdsa").importPrivateKey("P-256", new Uint8Array(32).fill(1));
      }
      expect(compiled).toBe(2);
    } finally {
      WebAssembly.Module = Original;
    }
  });

  test("refuses what is no module of the kernels", () => {
    const foreign = new WebAssembly.Module(EMPTY_MODULE);
    for (const value of [foreign, wasm, "base.wasm", {}, null] as never[]) {
      expect(codeOf(() => createWasmEngine({ wasm: value }))).toBe("InvalidParameter");
    }
  });

  test("is Rejected.UnsupportedOperation where there is no WebAssembly", async () => {
    const create = await freshEngine();
    vi.stubGlobal("WebAssembly", undefined);
    expect(await codeOfFresh(create)).toBe("Rejected.UnsupportedOperation");
  });

  test("is Rejected.UnsupportedOperation where a policy forbids compiling, and says what to do", async () => {
    const create = await freshEngine();
    const refusing = Object.create(WebAssembly) as typeof WebAssembly;
    vi.stubGlobal(
      "WebAssembly",
      Object.defineProperty(refusing, "Module", {
        value: class {
          constructor() {
            throw new WebAssembly.CompileError("blocked by Content Security Policy");
          }
        },
      }),
    );
    expect(await codeOfFresh(create)).toBe("Rejected.UnsupportedOperation");
    expect(() => create()).toThrow(/wasm-unsafe-eval/);
  });

  test("decodes its bytes with Uint8Array.fromHex where the runtime has it", async () => {
    const create = await freshEngine();
    const decode = vi.fn((text: string) => Uint8Array.from(Buffer.from(text, "hex")));
    const native = Object.getOwnPropertyDescriptor(Uint8Array, "fromHex");
    Object.defineProperty(Uint8Array, "fromHex", { value: decode, configurable: true });
    try {
      create();
      expect(decode).toHaveBeenCalledOnce();
    } finally {
      if (native) Object.defineProperty(Uint8Array, "fromHex", native);
      else Reflect.deleteProperty(Uint8Array, "fromHex");
    }
  });

  test("serves where the runtime has no finalizers", () => {
    vi.stubGlobal("FinalizationRegistry", undefined);
    const aesGcm = served(createWasmEngine({ wasm: new WebAssembly.Module(wasm) }), "aesGcm");
    const key = aesGcm.importKey(new Uint8Array(16));
    expect(aesGcm.seal(key, new Uint8Array(12), new Uint8Array(0))).toHaveLength(16);
    key.destroy();
  });

  test("packed records may lie in the memory the result is written to", () => {
    const aesGcm = served(createWasmEngine(), "aesGcm");
    const key = aesGcm.importKey(Uint8Array.from({ length: 32 }, (_, i) => i));
    const shape = { count: 40, aadLength: 5, plaintextLength: 33 };
    const recordLength = 12 + 5 + 33;
    const records = Uint8Array.from({ length: 40 * recordLength }, (_, i) => (i * 31) & 0xff);
    const expected = aesGcm.sealPacked(key, records, shape);
    for (const at of [0, 1, 7, 300]) {
      const memory = new Uint8Array(3000);
      memory.set(records, at);
      aesGcm.sealPacked(key, memory.subarray(at, at + records.length), shape, memory);
      expect(Buffer.compare(memory.subarray(0, expected.length), expected)).toBe(0);
    }
  });

  test("the arena views end where their regions end", () => {
    provideInlinedKernels();
    const kernel = mainLoader.best("off");
    expect([kernel.key, kernel.iv, kernel.tag].map((view) => view.length)).toEqual([32, 12, 16]);
    expect(() => kernel.iv.set(new Uint8Array(13))).toThrow(RangeError);
    expect(() => kernel.data.set(new Uint8Array(kernel.dataCapacity + 17))).toThrow(RangeError);
    expect(() => kernel.aad.set(new Uint8Array(kernel.aad.length + 1))).toThrow(RangeError);
  });
});

/** Gives the code that a freshly imported engine fails with; its KmsError is a class of its own. */
async function codeOfFresh(create: typeof createWasmEngine): Promise<string> {
  const errors = await import("../../../src/errors.ts");
  expect(errors.KmsError).not.toBe(KmsError);
  try {
    create();
  } catch (error) {
    if (error instanceof errors.KmsError) return error.code;
    throw error;
  }
  return "none";
}
