/** Which build of the kernels an engine takes, and that a runtime whose vector instructions misbehave gets a lesser one. */

import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { fromHex, RSA_ANSWER } from "../../../src/engines/self-test-vectors.ts";
import type { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { probeSwizzle } from "../../../src/engines/wasm/probe.ts";
import { served } from "../../conformance/engine-support.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** Imports the engine anew, so that nothing compiled or probed before is used again. */
async function freshEngine(): Promise<typeof createWasmEngine> {
  vi.resetModules();
  return (await import("../../../src/engines/wasm/inlined.ts")).createWasmEngine;
}

/** A WebAssembly whose compiler passes modules through a filter first. */
function stubModule(filter: (bytes: Uint8Array) => Uint8Array): void {
  const RealModule = WebAssembly.Module;
  class FilteredModule {
    constructor(bytes: Uint8Array) {
      // biome-ignore lint/correctness/noConstructorReturn: stands for the real constructor.
      return new RealModule(Uint8Array.from(filter(bytes)));
    }
    static imports(module: WebAssembly.Module): unknown {
      return RealModule.imports(module);
    }
    static [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof RealModule;
    }
  }
  const stub = Object.create(WebAssembly, { Module: { value: FilteredModule } }) as typeof WebAssembly;
  vi.stubGlobal("WebAssembly", stub);
}

/** What Chromium and Firefox throw where a page has as many instances as it may. */
const WANTS: readonly unknown[] = [
  new RangeError("WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance"),
  "out of memory",
];

/** A WebAssembly that has no memory for instances that a filter says so of. */
function stubInstance(isRefused: (module: WebAssembly.Module) => boolean, want: unknown): void {
  class Instance extends WebAssembly.Instance {
    constructor(module: WebAssembly.Module) {
      if (isRefused(module)) throw want;
      super(module);
    }
  }
  vi.stubGlobal("WebAssembly", Object.create(WebAssembly, { Instance: { value: Instance } }));
}

/** Bytes of i8x16.relaxed_swizzle and i8x16.swizzle in the code of the probes, between a load and a store. */
const RELAXED_SWIZZLE = [0xfd, 0x80, 0x02, 0xfd, 0x0b];
const SWIZZLE = [0xfd, 0x0e, 0xfd, 0x0b];

function indexOf(bytes: Uint8Array, pattern: readonly number[]): number {
  return Buffer.from(bytes).indexOf(Buffer.from(pattern));
}

const isProbe = (bytes: Uint8Array): boolean => bytes.length < 100;

function sealsRightly(
  create: typeof createWasmEngine,
  options: Parameters<typeof createWasmEngine>[0],
): boolean {
  const aesGcm = served(create(options), "aesGcm");
  const key = aesGcm.importKey(new Uint8Array(randomBytes(32)));
  const iv = new Uint8Array(12);
  const plaintext = new Uint8Array(randomBytes(100));
  const opened = aesGcm.open(key, iv, aesGcm.seal(key, iv, plaintext));
  return opened !== undefined && Buffer.compare(opened, plaintext) === 0;
}

describe("the build of a wasm engine", () => {
  test("is the one asked for, where the runtime has it", async () => {
    const create = await freshEngine();
    for (const build of ["base", "simd"] as const) {
      expect(create({ build }).build).toBe(build);
      expect(sealsRightly(create, { build })).toBe(true);
    }
    expect(create({ build: "relaxed", relaxedSimd: "force" }).build).toBe("relaxed");
    expect(() => create({ build: "fast" as never })).toThrow("build must be base, simd or relaxed.");
  });

  test("is never the relaxed one where that is off", async () => {
    const create = await freshEngine();
    expect(create({ relaxedSimd: "off" }).build).toBe("simd");
    create({ relaxedSimd: "force" });
    expect(create({ relaxedSimd: "off" }).build).toBe("simd");
  });

  test("is the relaxed one where that is forced", async () => {
    const create = await freshEngine();
    const engine = create({ relaxedSimd: "force" });
    expect(engine.build).toBe("relaxed");
    expect(sealsRightly(create, { relaxedSimd: "force" })).toBe(true);
    expect(probeSwizzle("relaxed")).toBe(true);
    // The flag is process-wide: from now on the runtime has it.
    expect(create({ relaxedSimd: "auto" }).build).toBe("relaxed");
  });

  test("is the plain one where relaxed instructions do not compile", async () => {
    stubModule((bytes) => {
      if (isProbe(bytes) && indexOf(bytes, RELAXED_SWIZZLE) >= 0)
        throw new WebAssembly.CompileError("unknown");
      return bytes;
    });
    const create = await freshEngine();
    expect(create({ relaxedSimd: "force" }).build).toBe("simd");
    expect(sealsRightly(create, { relaxedSimd: "force" })).toBe(true);
  });

  test("is the plain one where a relaxed swizzle gives something else for an index it may be given", async () => {
    // The probe answers as a machine would whose lookup of an index from 128 on is not 0: it loads the table instead.
    stubModule((bytes) => {
      if (!isProbe(bytes) || indexOf(bytes, RELAXED_SWIZZLE) < 0) return bytes;
      const changed = Uint8Array.from(bytes);
      // v128.and takes the place of the lookup: 0xfd 0x4e, padded to three bytes.
      changed.set([0xfd, 0xce, 0x00], indexOf(bytes, RELAXED_SWIZZLE));
      return changed;
    });
    const create = await freshEngine();
    expect(create({ relaxedSimd: "force" }).build).toBe("simd");
  });

  test("is the base one where no vectors compile, and where a vector build answers wrongly", async () => {
    stubModule((bytes) => {
      if (isProbe(bytes)) throw new WebAssembly.CompileError("unknown");
      return bytes;
    });
    const withoutVectors = await freshEngine();
    expect(withoutVectors({ relaxedSimd: "auto" }).build).toBe("base");
    expect(sealsRightly(withoutVectors, {})).toBe(true);

    vi.unstubAllGlobals();
    // The first table entry of the S-box changed: the module compiles and computes another cipher.
    const inverse = [0x80, 1];
    stubModule((bytes) => {
      if (isProbe(bytes)) return bytes;
      const tables = Buffer.from(bytes).indexOf(Buffer.alloc(16, 0x0f));
      if (tables < 0) return bytes;
      const changed = Uint8Array.from(bytes);
      expect([changed[tables + 16], changed[tables + 17]]).toEqual(inverse);
      changed[tables + 17] = 2;
      return changed;
    });
    const withWrongAnswers = await freshEngine();
    expect(withWrongAnswers({ relaxedSimd: "auto" }).build).toBe("base");
  });

  test("a build asked for that the runtime lacks is Rejected.UnsupportedOperation", async () => {
    stubModule((bytes) => {
      if (isProbe(bytes)) throw new WebAssembly.CompileError("unknown");
      return bytes;
    });
    const create = await freshEngine();
    const errors = await import("../../../src/errors.ts");
    for (const build of ["simd", "relaxed"] as const) {
      expect(() => create({ build })).toThrow(errors.KmsError);
    }
  });

  test("kernels of curves and RSA that do not compile are told as such, stop nothing else, and are tried again", async () => {
    const create = await freshEngine();
    const engine = create();
    stubModule(() => {
      throw new WebAssembly.CompileError("a policy forbids it");
    });
    const scalar = new Uint8Array(32).fill(1);
    const [ecdsa, rsa] = [served(engine, "ecdsa"), served(engine, "rsa")];
    const pkcs8 = fromHex(RSA_ANSWER.pkcs8);
    for (const call of [() => ecdsa.importPrivateKey("P-256", scalar), () => rsa.importPrivateKey(pkcs8)]) {
      expect(call).toThrow(expect.objectContaining({ code: "Rejected.UnsupportedOperation" }));
    }
    expect(served(engine, "aesGcm").importKey(scalar).byteLength).toBe(32);
    vi.unstubAllGlobals();
    expect(ecdsa.importPrivateKey("P-256", scalar).curve).toBe("P-256");
    expect(rsa.importPrivateKey(pkcs8).modulusBits).toBe(2048);
  });

  const isOfProbe = (module: WebAssembly.Module): boolean =>
    WebAssembly.Module.exports(module).some(({ name }) => name === "f");
  test.each([
    ["a probe", isOfProbe],
    ["the kernels", (module: WebAssembly.Module) => !isOfProbe(module)],
  ])("is no lesser one because memory was short once, for %s", async (_, isRefused) => {
    const create = await freshEngine();
    const best = create().build;
    expect(best).not.toBe("base");
    for (const want of WANTS) {
      const again = await freshEngine();
      stubInstance(isRefused, want);
      for (let i = 0; i < 2; i++) {
        expect(() => again()).toThrow(expect.objectContaining({ code: "Rejected.UnsupportedOperation" }));
      }
      vi.unstubAllGlobals();
      expect(again().build).toBe(best);
    }
  });

  test("the plain probe passes here", () => {
    expect(probeSwizzle("simd")).toBe(true);
    stubModule((bytes) => {
      const changed = Uint8Array.from(bytes);
      changed.set([0xfd, 0x4e], indexOf(bytes, SWIZZLE));
      return changed;
    });
    expect(probeSwizzle("simd")).toBe(false);
  });
});
