/** The Kms of browsers, here in Node: what it loads when, what a wait for kernels meets, and which engine serves what. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { compileKernels } from "../../src/kernels.ts";
import { type Kms, type KmsOptions, memoryStore } from "../../src/web.ts";
import { newKey, patterned } from "../support/kms.ts";

const BYTES = "../../src/engines/wasm/bytes";
const WASM_ENGINE = "../../src/engines/wasm/index.ts";
const EC: KeyRequest = { keySpec: "EC_P256", keyUsage: "SIGN/VERIFY" };
const RSA: KeyRequest = { keySpec: "RSA_2048", keyUsage: "SIGN/VERIFY" };
const rootKey = { bytes: patterned(32) };
const DAY = 24 * 3600 * 1000;

type KeyRequest = Parameters<Kms["createKey"]>[0];

/** What a refusal says; its class is that of modules that were loaded anew. */
interface Refusal {
  readonly code: unknown;
  readonly message: unknown;
}

async function refusalOf(call: () => unknown): Promise<Refusal> {
  try {
    await call();
  } catch (error) {
    return error as Refusal;
  }
  return { code: "none", message: "" };
}

async function codeOf(call: () => unknown): Promise<unknown> {
  return (await refusalOf(call)).code;
}

const toClose: Kms[] = [];
afterEach(async () => {
  for (const name of [
    "ecc-base",
    "ecc-simd",
    "ecc-relaxed",
    "rsa-base",
    "rsa-simd",
    "rsa-relaxed",
    "base",
    "simd",
    "relaxed",
  ]) {
    vi.doUnmock(`${BYTES}/${name}.ts`);
  }
  vi.doUnmock(WASM_ENGINE);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  for (const kms of toClose.splice(0)) await kms.close();
});

async function openHere(options: KmsOptions = {}): Promise<Kms> {
  const { Kms: Fresh } = await import("../../src/web.ts");
  const kms = await Fresh.open(options);
  toClose.push(kms);
  return kms;
}

/** Opens a Kms of a page that has loaded nothing yet. */
function freshKms(options: KmsOptions = {}): Promise<Kms> {
  vi.resetModules();
  return openHere(options);
}

/** Names the modules of kernels that the page has loaded. */
async function loaded(): Promise<string[]> {
  const { mainLoader } = await import("../../src/engines/wasm/load-kernel.ts");
  const { ecLoader } = await import("../../src/engines/wasm/load-ec-kernel.ts");
  const { rsaLoader } = await import("../../src/engines/wasm/load-rsa-kernel.ts");
  const loaders = { main: mainLoader, ecc: ecLoader, rsa: rsaLoader };
  return Object.entries(loaders).flatMap(([name, loader]) => (loader.sources.size > 0 ? [name] : []));
}

/** A store with a key in it, and a Kms of a page that has not loaded the kernels for it. */
async function storedKey(
  request: KeyRequest,
  options: KmsOptions = {},
): Promise<{ kms: Kms; keyId: string }> {
  const store = memoryStore();
  const first = await freshKms({ store, rootKey });
  const keyId = await newKey(first, request);
  await first.close();
  return { kms: await freshKms({ store, rootKey, ...options }), keyId };
}

/** Has the main kernels come in a chunk, as in a browser without relaxed SIMD. */
const CHUNKED: KmsOptions = { relaxedSimd: "off" };

/** Lets something happen before each chunk of a module is there, or in its place. */
function beforeChunks(prefix: "" | "ecc-" | "rsa-", happens: () => Promise<void> | void): void {
  // The entry carries the best build of the main module.
  const builds = prefix === "" ? ["base", "simd"] : ["base", "simd", "relaxed"];
  for (const build of builds) {
    vi.doMock(`${BYTES}/${prefix}${build}.ts`, async (original) => {
      await happens();
      return original();
    });
  }
}

describe("a Kms in a page loads", () => {
  test("one build of the main module when it is opened, and no other kernels to seal", async () => {
    const kms = await freshKms();
    const keyId = await newKey(kms);
    await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
    expect(await loaded()).toEqual(["main"]);
  });

  test("no file to seal a short message where relaxed SIMD serves, and one build elsewhere", async () => {
    const asked: string[] = [];
    const opened = async (options: KmsOptions): Promise<void> => {
      for (const build of ["base", "simd", "relaxed"]) {
        vi.doMock(`${BYTES}/${build}.ts`, (original) => {
          asked.push(build);
          return original();
        });
      }
      vi.resetModules();
      await import("../../src/web.ts");
      // What the entry itself has is there.
      asked.length = 0;
      const kms = await openHere(options);
      const keyId = await newKey(kms);
      await kms.advanceEncrypt({ keyId, plaintext: patterned(2048) });
    };
    const { probeSwizzle } = await import("../../src/engines/wasm/probe.ts");
    await opened({});
    expect(asked).toEqual(probeSwizzle("relaxed") ? [] : ["simd"]);
    await opened(CHUNKED);
    expect(asked).toEqual(["simd"]);
  });

  test("the kernels of curves and of RSA with the first keys that need them", async () => {
    const kms = await freshKms();
    await Promise.all([0, 1, 2].map(() => kms.createKey(EC)));
    expect(await loaded()).toEqual(["main", "ecc"]);
    await kms.createKey(RSA);
    await kms.createKey({ keySpec: "EC_P256K", keyUsage: "SIGN/VERIFY" });
    expect(await loaded()).toEqual(["main", "ecc", "rsa"]);
  });

  test.each([
    ["ecc", EC],
    ["rsa", { ...RSA, keySpec: "RSA_3072" }],
  ] as const)(
    "%s for a key that a store had, and has read a message when the call returns",
    async (module, request) => {
      const { kms, keyId } = await storedKey(request);
      expect(await loaded()).toEqual(["main"]);
      const message = patterned(100);
      const calls = [0, 1].map(() => kms.sign({ keyId, message }));
      message.fill(0);
      for (const { signature } of await Promise.all(calls)) {
        expect((await kms.verify({ keyId, message: patterned(100), signature })).value).toBe(true);
      }
      expect(await loaded()).toEqual(["main", module]);
    },
  );

  test("them for a foreign public key, which it has read when the call returns", async () => {
    const kms = await freshKms();
    const pair = await crypto.subtle.generateKey(
      { name: "RSA-OAEP", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
      true,
      ["encrypt", "decrypt"],
    );
    const publicKeyBlob = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
    const keyId = await newKey(kms);
    const { plaintext, ciphertextBlob } = await kms.advanceGenerateDataKey({ keyId });
    const exporting = kms.exportDataKey({
      ciphertextBlob,
      publicKeyBlob,
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    });
    publicKeyBlob.fill(0);
    const { exportedDataKey } = await exporting;
    const opened = await crypto.subtle.decrypt(
      "RSA-OAEP",
      pair.privateKey,
      exportedDataKey as Uint8Array<ArrayBuffer>,
    );
    expect(new Uint8Array(opened)).toEqual(plaintext);
    expect(await loaded()).toEqual(["main", "rsa"]);
  });

  test("what a partial option wasm leaves out, and nothing that it has", async () => {
    const { main, ecc, rsa } = compileKernels();
    if (main === undefined) throw new Error("there is no main module");
    const kms = await freshKms({ wasm: main });
    expect(await loaded()).toEqual([]);
    await kms.createKey(EC);
    expect(await loaded()).toEqual(["ecc"]);
    const other = await freshKms({ wasm: { ecc, rsa } });
    await other.createKey(EC);
    await other.createKey(RSA);
    expect(await loaded()).toEqual(["main"]);
  });

  test("the next build where one answers wrongly", async () => {
    const { WASM_HEX } = await import("../../src/engines/wasm/bytes/ecc-base.ts");
    // Vector builds that are none: the proof takes the build's own number for a lie.
    for (const build of ["simd", "relaxed"]) {
      vi.doMock(`${BYTES}/ecc-${build}.ts`, () => ({ WASM_HEX: WASM_HEX.slice(0, -2) }));
    }
    const kms = await freshKms();
    const keyId = await newKey(kms, EC);
    const { signature } = await kms.sign({ keyId, message: patterned(5) });
    expect((await kms.verify({ keyId, message: patterned(5), signature })).value).toBe(true);
    const { ecLoader } = await import("../../src/engines/wasm/load-ec-kernel.ts");
    expect(ecLoader.best("auto").build).toBe("base");
  });

  test("another build for a Kms that may not run the relaxed one", async () => {
    const { ecc } = compileKernels();
    const relaxed = await freshKms({ wasm: { ecc } });
    const off = await openHere({ relaxedSimd: "off" });
    for (const kms of [relaxed, off]) {
      for (const spec of ["RSA_2048", "RSA_3072"] as const) {
        const keyId = await newKey(kms, { ...RSA, keySpec: spec });
        const { signature } = await kms.sign({ keyId, message: patterned(9) });
        const items = Array.from({ length: 20 }, () => ({ keyId, message: patterned(9), signature }));
        for (const item of await kms.verifyBatch(items))
          expect(item).toMatchObject({ value: { value: true } });
      }
    }
  });
});

describe("while kernels are loaded", () => {
  test("a batch waits once, and then lets the event loop breathe", async () => {
    const { kms, keyId } = await storedKey(RSA);
    const { WasmRsa } = await import("../../src/engines/wasm/rsa.ts");
    const message = patterned(20);
    let turn = 0;
    const turns: number[] = [];
    const sign = WasmRsa.prototype.signPss;
    vi.spyOn(WasmRsa.prototype, "signPss").mockImplementation(function (
      this: typeof WasmRsa.prototype,
      ...args
    ) {
      turns.push(turn);
      return sign.apply(this, args);
    });
    const ticking = setInterval(() => {
      turn += 1;
    }, 0);
    const items = await kms.signBatch(Array.from({ length: 60 }, () => ({ keyId, message })));
    clearInterval(ticking);
    expect(turns).toHaveLength(60);
    // Of 8 ms each at most.
    expect(new Set(turns).size).toBeGreaterThan(5);
    for (const item of items) expect(item.ok).toBe(true);
  });

  test("a batch whose first request for them fails asks again, and then lets the event loop breathe", async () => {
    const { kms, keyId } = await storedKey(RSA);
    let attempts = 0;
    beforeChunks("rsa-", () => {
      attempts += 1;
      if (attempts === 1) throw new Error("the network is gone");
    });
    let turn = 0;
    const turns = new Set<number>();
    const { WasmRsa } = await import("../../src/engines/wasm/rsa.ts");
    const sign = WasmRsa.prototype.signPss;
    vi.spyOn(WasmRsa.prototype, "signPss").mockImplementation(function (
      this: typeof WasmRsa.prototype,
      ...args
    ) {
      turns.add(turn);
      return sign.apply(this, args);
    });
    const ticking = setInterval(() => {
      turn += 1;
    }, 0);
    const items = await kms.signBatch(Array.from({ length: 50 }, () => ({ keyId, message: patterned(3) })));
    clearInterval(ticking);
    expect(items.map((item) => item.ok)).toEqual([false, ...Array.from({ length: 49 }, () => true)]);
    expect(attempts).toBe(2);
    expect(turns.size).toBeGreaterThan(3);
  });

  test("a batch that needs none does not wait for those of others, and an abort ends the wait of one that does", async () => {
    const { kms, keyId } = await storedKey(EC);
    const aes = await newKey(kms);
    let release = (): void => undefined;
    beforeChunks("ecc-", () => new Promise<void>((resolve) => (release = resolve)));
    const signing = kms.sign({ keyId, message: patterned(3) });
    const plaintext = patterned(2000);
    const sealed = await kms.advanceEncryptBatch(
      Array.from({ length: 3000 }, () => ({ keyId: aes, plaintext })),
    );
    expect(sealed.every((item) => item.ok)).toBe(true);
    const abort = new AbortController();
    const batch = kms.signBatch([{ keyId, message: patterned(3) }], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 5);
    await expect(batch).rejects.toThrow("enough");
    release();
    expect((await signing).signature.length).toBeGreaterThan(60);
  });

  test("a batch goes on with what its requests were", async () => {
    const { kms, keyId } = await storedKey(EC);
    const message = patterned(20);
    const signing = kms.signBatch(Array.from({ length: 5 }, () => ({ keyId, message })));
    message.fill(0);
    for (const item of await signing) {
      if (!item.ok) throw item.error;
      const { signature } = item.value;
      expect((await kms.verify({ keyId, message: patterned(20), signature })).value).toBe(true);
    }
  });

  test("calls that must answer at once are told so, and served later", async () => {
    const { kms, keyId } = await storedKey({ keySpec: "EC_P256", keyUsage: "ENCRYPT/DECRYPT" });
    const plaintext = patterned(20);
    const refusal = await refusalOf(() => kms.encryptSync({ keyId, plaintext }));
    expect([refusal.code, refusal.message]).toEqual([
      "Rejected.UnsupportedOperation",
      expect.stringMatching(/being loaded.*use the async call/),
    ]);
    const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext });
    expect(kms.decryptSync({ keyId, ciphertextBlob }).plaintext).toEqual(plaintext);
  });

  const changes: Readonly<Record<string, (kms: Kms, keyId: string) => Promise<unknown>>> = {
    "Rejected.Disabled": (kms, keyId) => kms.disableKey({ keyId }),
    "Rejected.PendingDeletion": (kms, keyId) => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 }),
    "Forbidden.KeyNotFound": async (kms, keyId) => {
      await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
      await vi.advanceTimersByTimeAsync(8 * DAY);
    },
    "Rejected.Closed": (kms) => kms.close(),
  };
  test.each(Object.entries(changes))(
    "a key whose state changes is looked at again: %s",
    async (code, change) => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const { kms, keyId } = await storedKey(EC);
      beforeChunks("ecc-", () => held);
      const { WasmEcdsa } = await import("../../src/engines/wasm/ecdsa.ts");
      const sign = vi.spyOn(WasmEcdsa.prototype, "sign");
      const importPrivateKey = vi.spyOn(WasmEcdsa.prototype, "importPrivateKey");
      const request = { keyId, message: patterned(5) };
      const calls = [kms.sign(request), kms.getPublicKey({ keyId })].map((call) => codeOf(() => call));
      const batch = kms.signBatch([request, request]);
      await change(kms, keyId);
      release();
      expect(await Promise.all(calls)).toEqual([code, code]);
      for (const item of await batch) expect(item).toMatchObject({ ok: false, error: { code } });
      expect(sign).not.toHaveBeenCalled();
      // The private key of a version that was let go is not even opened.
      const isThere = code === "Rejected.Disabled" || code === "Rejected.PendingDeletion";
      expect(importPrivateKey).toHaveBeenCalledTimes(isThere ? 1 : 0);
    },
  );

  test("a Kms that is closed generates no key", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const kms = await freshKms();
    beforeChunks("ecc-", () => held);
    const creating = codeOf(() => kms.createKey(EC));
    await kms.close();
    release();
    expect(await creating).toBe("Rejected.Closed");
  });

  test("a failure is told, and not remembered", async () => {
    let isGone = true;
    beforeChunks("ecc-", () => {
      if (isGone) throw new Error("the network is gone");
    });
    const kms = await freshKms();
    const failed = await refusalOf(() => kms.createKey(EC));
    expect(failed.code).toBe("Rejected.UnsupportedOperation");
    // What does not need them goes on.
    const aes = await newKey(kms);
    await kms.advanceEncrypt({ keyId: aes, plaintext: patterned(3) });
    isGone = false;
    const keyId = await newKey(kms, EC);
    const { signature } = await kms.sign({ keyId, message: patterned(3) });
    expect((await kms.verify({ keyId, message: patterned(3), signature })).value).toBe(true);
  });

  test("a batch that cannot have them tells every item, and asks for them three times at most", async () => {
    const { kms, keyId } = await storedKey(EC);
    let attempts = 0;
    beforeChunks("ecc-", () => {
      attempts += 1;
      throw new Error("the network is gone");
    });
    // Each of its slices asks once; a clock that stands still makes all that follows one.
    vi.spyOn(performance, "now").mockReturnValue(0);
    const items = await kms.signBatch(Array.from({ length: 50 }, () => ({ keyId, message: patterned(3) })));
    expect(items).toHaveLength(50);
    for (const item of items) {
      expect(item).toMatchObject({ ok: false, error: { code: "Rejected.UnsupportedOperation" } });
    }
    expect(attempts).toBe(3);
  });
});

describe("the engines of a page", () => {
  test.each([
    ["web", {}],
    ["core", { wasm: compileKernels() }],
  ] as const)(
    "are one of wasm a realm and variant, however many Kms are opened: %s",
    async (entry, options) => {
      vi.resetModules();
      let made = 0;
      vi.doMock(WASM_ENGINE, async (original) => {
        const engines = await original<typeof import("../../src/engines/wasm/index.ts")>();
        const createWasmEngine: typeof engines.createWasmEngine = (...args) => {
          made += 1;
          return engines.createWasmEngine(...args);
        };
        return { ...engines, createWasmEngine };
      });
      const { Kms: Fresh }: { Kms: typeof Kms } = await import(`../../src/${entry}.ts`);
      const cycle = async (more: KmsOptions = {}): Promise<void> => {
        const kms = await Fresh.open({ ...options, ...more });
        const keyId = await newKey(kms);
        await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
        await kms.createKey(EC);
        await kms.close();
      };
      await Promise.all([0, 1, 2].map(() => cycle()));
      for (let i = 0; i < 3; i++) await cycle();
      expect(made).toBe(1);
      await Promise.all([0, 1].map(() => cycle({ verifySignatures: true })));
      await cycle({ verifySignatures: true });
      await cycle();
      expect(made).toBe(2);
    },
  );

  test("are wasm again once the kernels can be had, whoever asks for them meanwhile", async () => {
    let isGone = true;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    beforeChunks("", async () => {
      if (isGone) throw new Error("the network is gone");
      await held;
    });
    vi.spyOn(console, "warn").mockReturnValue(undefined);
    const first = await freshKms(CHUNKED);
    expect(first.engine).toBe("webcrypto");
    const keyId = await newKey(first);
    isGone = false;
    const opening = openHere({ ...CHUNKED, engine: "wasm" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await first.advanceEncrypt({ keyId, plaintext: patterned(10) });
    release();
    expect((await opening).engine).toBe("wasm");
  });

  test.each(["web", "index"] as const)(
    "are wasm again where memory for its kernels was short once: %s",
    async (entry) => {
      vi.resetModules();
      const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
      const { Kms: Fresh }: { Kms: typeof Kms } = await import(`../../src/${entry}.ts`);
      let attempts = 0;
      class Instance {
        constructor() {
          attempts += 1;
          throw new RangeError("Out of memory: Cannot allocate Wasm memory for new instance");
        }
      }
      vi.stubGlobal("WebAssembly", Object.create(WebAssembly, { Instance: { value: Instance } }));
      expect(await codeOf(() => Fresh.open({ engine: "wasm" }))).toBe("Rejected.UnsupportedOperation");
      const first = await Fresh.open();
      toClose.push(first);
      expect([first.engine, warn.mock.calls.length]).toEqual(
        entry === "web" ? ["webcrypto", 1] : ["node", 0],
      );
      // Each attempt costs collections, and where memory is bounded there are no better ones.
      const keyId = await newKey(first);
      const before = attempts;
      for (let i = 0; i < 20; i++) await first.advanceEncrypt({ keyId, plaintext: patterned(32) });
      expect(attempts).toBe(before);
      vi.unstubAllGlobals();
      for (const options of [{}, { engine: "wasm" }] as const) {
        const kms = await Fresh.open(options);
        toClose.push(kms);
        expect(kms.engine).toBe("wasm");
      }
    },
  );

  test("seal up to the border with wasm and above it with WebCrypto, once that is ready", async () => {
    const kms = await freshKms();
    const keyId = await newKey(kms);
    const encrypt = vi.spyOn(crypto.subtle, "encrypt");
    const sealsWithWebCrypto = async (byteLength: number): Promise<boolean> => {
      encrypt.mockClear();
      const plaintext = patterned(byteLength);
      const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
      const calls = encrypt.mock.calls.length;
      expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
      return calls > 0;
    };
    expect(await sealsWithWebCrypto(2048)).toBe(false);
    // What is above it has WebCrypto made ready, and does not wait for it.
    await kms.advanceEncrypt({ keyId, plaintext: patterned(2049) });
    await vi.waitFor(async () => expect(await sealsWithWebCrypto(2049)).toBe(true), 10_000);
    expect(await sealsWithWebCrypto(2048)).toBe(false);
    expect(await sealsWithWebCrypto(100_000)).toBe(true);
  });

  test("seal the first stream with WebCrypto", async () => {
    const kms = await freshKms();
    const { decryptStream, encryptStream } = await import("../../src/stream.ts");
    const keyId = await newKey(kms);
    const plaintext = patterned(200_000);
    const through = async (
      bytes: Uint8Array,
      stream: TransformStream<Uint8Array, Uint8Array>,
    ): Promise<Uint8Array> => {
      const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
      return new Uint8Array(await new Response(source.pipeThrough(stream as TransformStream)).arrayBuffer());
    };
    const encrypt = vi.spyOn(crypto.subtle, "encrypt");
    const sealed = await through(plaintext, encryptStream(kms, { keyId }));
    const longest = Math.max(...encrypt.mock.calls.map(([, , data]) => data.byteLength));
    expect(longest).toBe(65_536);
    expect(await through(sealed, decryptStream(kms, { keyId }))).toEqual(plaintext);
  });

  /** Has every known answer of AES-GCM found wrong from here on, until the test is over. */
  function breakAesGcm(): void {
    vi.stubGlobal("KEYPLANE_BREAK_SELF_TEST", "aes-gcm");
  }

  test("say so once when WebCrypto fails its self-test, and go on with wasm", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const kms = await freshKms();
    const keyId = await newKey(kms);
    await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
    breakAesGcm();
    await kms.advanceEncrypt({ keyId, plaintext: patterned(3000) });
    await vi.waitFor(() => expect(warn).toHaveBeenCalledOnce());
    expect(warn.mock.calls[0]?.[0]).toMatch(/WebCrypto is left alone.*self-test aes-gcm failed/);
    vi.unstubAllGlobals();
    const encrypt = vi.spyOn(crypto.subtle, "encrypt");
    for (let i = 0; i < 3; i++) {
      const plaintext = patterned(100_000);
      const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
      expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([encrypt.mock.calls.length, warn.mock.calls.length]).toEqual([0, 1]);
  });

  test("are none where WebCrypto alone could serve and fails its self-test", async () => {
    vi.spyOn(console, "warn").mockReturnValue(undefined);
    beforeChunks("", () => {
      throw new Error("the network is gone");
    });
    breakAesGcm();
    for (const options of [{}, { engine: "webcrypto" }] as const) {
      expect(await codeOf(() => freshKms({ ...CHUNKED, ...options }))).toBe("InternalFailure");
    }
  });

  /** Refuses to compile, as policies and hosts do; what was compiled before goes on. @returns how often it was asked */
  function forbidCompiling(): () => number {
    let asked = 0;
    const { Module } = WebAssembly;
    class Refusing {
      constructor() {
        asked += 1;
        throw new WebAssembly.CompileError("a policy forbids it");
      }
      static imports(module: WebAssembly.Module): unknown {
        return Module.imports(module);
      }
      static [Symbol.hasInstance](value: unknown): boolean {
        return value instanceof Module;
      }
    }
    vi.stubGlobal("WebAssembly", Object.create(WebAssembly, { Module: { value: Refusing } }));
    return () => asked;
  }

  test("leave EC and RSA keys to WebCrypto, with a warning, where the main module is given and nothing compiles", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const { main } = compileKernels();
    const asked = forbidCompiling();
    const kms = await freshKms({ wasm: { main } });
    expect([kms.engine, warn.mock.calls.length]).toEqual(["wasm", 1]);
    expect(warn.mock.calls[0]?.[0]).toMatch(/WebCrypto serves EC or RSA keys/);
    const before = asked();
    for (const request of [EC, RSA, { ...RSA, keySpec: "RSA_3072" }] as const) {
      const keyId = await newKey(kms, request);
      const { signature } = await kms.sign({ keyId, message: patterned(9) });
      expect((await kms.verify({ keyId, message: patterned(9), signature })).value).toBe(true);
    }
    const secp256k1 = { keySpec: "EC_P256K", keyUsage: "SIGN/VERIFY" } as const;
    expect(await codeOf(() => kms.createKey(secp256k1))).toBe("Rejected.UnsupportedOperation");
    expect([asked(), warn.mock.calls.length]).toEqual([before, 1]);
    // An engine asked for by name gets nobody to stand in.
    const alone = await openHere({ wasm: { main }, engine: "wasm" });
    for (const request of [EC, RSA]) {
      expect(await codeOf(() => alone.createKey(request))).toBe("Rejected.UnsupportedOperation");
    }
  });

  test("leave WebCrypto alone before a long message comes", async () => {
    const [importKey, encrypt] = [vi.spyOn(crypto.subtle, "importKey"), vi.spyOn(crypto.subtle, "encrypt")];
    const kms = await freshKms();
    const keyId = await newKey(kms);
    await kms.advanceEncrypt({ keyId, plaintext: patterned(32) });
    expect(encrypt).not.toHaveBeenCalled();
    // Deriving the record key is the only call.
    expect(importKey.mock.calls.map(([, , algorithm]) => algorithm)).toEqual(["HKDF"]);
  });

  test("are WebCrypto alone where the main kernels cannot be loaded, and wasm again when they can", async () => {
    let isGone = true;
    beforeChunks("", () => {
      if (isGone) throw new Error("the network is gone");
    });
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const first = await freshKms(CHUNKED);
    expect([first.engine, warn.mock.calls.length]).toEqual(["webcrypto", 1]);
    expect(await codeOf(() => openHere({ ...CHUNKED, engine: "wasm" }))).toBe(
      "Rejected.UnsupportedOperation",
    );
    isGone = false;
    expect((await openHere(CHUNKED)).engine).toBe("wasm");
    expect((await openHere({ ...CHUNKED, engine: "wasm" })).engine).toBe("wasm");
    const keyId = await newKey(first);
    const { ciphertextBlob } = await first.advanceEncrypt({ keyId, plaintext: patterned(32) });
    expect((await first.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(patterned(32));
  });
});

describe("a Kms over a main module alone", () => {
  /** Opens one where nothing else can be loaded. */
  async function mainAlone(options: KmsOptions = {}): Promise<Kms> {
    const { main } = compileKernels();
    vi.resetModules();
    const { Kms: Core } = await import("../../src/core.ts");
    const kms: Kms = await Core.open({ wasm: { main }, ...options });
    toClose.push(kms);
    return kms;
  }

  test("has no curves and no RSA, and goes on without them", async () => {
    const kms = await mainAlone({ engine: "wasm" });
    for (const request of [EC, RSA]) {
      expect(await codeOf(() => kms.createKey(request))).toBe("Rejected.UnsupportedOperation");
    }
    const keyId = await newKey(kms);
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: patterned(3) });
    expect((await kms.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(patterned(3));
  });

  test("leaves them to WebCrypto where that may serve, with a warning", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const kms = await mainAlone();
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toMatch(/WebCrypto serves EC or RSA keys/);
    for (const keySpec of ["EC_P256", "RSA_3072"] as const) {
      const keyId = await newKey(kms, { keySpec, keyUsage: "SIGN/VERIFY" });
      const { signature } = await kms.sign({ keyId, message: patterned(9) });
      expect((await kms.verify({ keyId, message: patterned(9), signature })).value).toBe(true);
    }
    const secp256k1 = kms.createKey({ keySpec: "EC_P256K", keyUsage: "SIGN/VERIFY" });
    expect(await codeOf(() => secp256k1)).toBe("Rejected.UnsupportedOperation");
  });

  test("wipes what WebCrypto decrypts for a call that had to answer at once", async () => {
    const kms = await mainAlone();
    const keyId = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
    const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext: patterned(20) });
    expect((await kms.decrypt({ keyId, ciphertextBlob })).plaintext).toEqual(patterned(20));
    const decrypt = vi.spyOn(crypto.subtle, "decrypt");
    expect(await codeOf(() => kms.decryptSync({ keyId, ciphertextBlob }))).toBe(
      "Rejected.UnsupportedOperation",
    );
    const opened = new Uint8Array(await (decrypt.mock.results[0]?.value as Promise<ArrayBuffer>));
    expect(opened).toHaveLength(20);
    await vi.waitFor(() => expect(opened).toEqual(new Uint8Array(20)));
  });
});
