/** Probes the fake module of fake_pkcs11.cc: what a good one says, and every way in which a bad one fails. */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HsmError } from "../../src/engines/hsm/hsm-error.ts";
import { probeModule } from "../../src/engines/hsm/module.ts";
import { KmsError } from "../../src/errors.ts";

const BUILD = resolve(import.meta.dirname, "../../build/Release");
const ADDON = join(BUILD, "keyplane.node");
const FAKE = join(BUILD, "fake_pkcs11.node");

const PROBE_CALLS = [
  "C_GetFunctionList",
  "C_Initialize",
  "C_GetInfo",
  ...["C_GetSlotList", "C_GetSlotList"],
  ...["C_GetTokenInfo", "C_GetTokenInfo"],
  ...["C_GetMechanismList", "C_GetMechanismList"],
  "C_Finalize",
  "unload",
];

let folder: string;

beforeEach(({ skip }) => {
  if (!existsSync(ADDON) || !existsSync(FAKE)) {
    if (process.env["CI"] === "true") throw new Error("the native addon must be built in CI");
    skip("the native addon is not built: run node .config/build-addon.mjs");
  }
  folder = mkdtempSync(join(tmpdir(), "keyplane-module-"));
  process.env["FAKE_PKCS11_LOG"] = join(folder, "log");
});

afterEach(() => {
  for (const name of ["LOG", "FAULT", "VERSION"]) delete process.env[`FAKE_PKCS11_${name}`];
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Lists the calls the fake module has taken. */
function calls(): string[] {
  const log = join(folder, "log");
  return existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
}

async function failureOf(library: string): Promise<HsmError> {
  const error = await probeModule(library).catch((reason: unknown) => reason);
  if (!(error instanceof HsmError)) throw new Error(`expected an HsmError, not ${String(error)}`);
  return error;
}

async function failureUnder(fault: string): Promise<HsmError> {
  process.env["FAKE_PKCS11_FAULT"] = fault;
  return failureOf(FAKE);
}

/** Runs a script with the addon in a process of its own and returns what it printed. */
async function runChild(script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const prelude = `const addon = require(${JSON.stringify(ADDON)}); const fake = ${JSON.stringify(FAKE)};`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", prelude + script], {
    env: { ...process.env, ...env },
  });
  return stdout.trim();
}

describe("a module that behaves", () => {
  test("tells its versions, its names and its tokens", async () => {
    expect(await probeModule(FAKE)).toEqual({
      cryptokiVersion: { major: 2, minor: 40 },
      manufacturer: "Fake Works",
      description: "A module of exactly 32 bytes....",
      libraryVersion: { major: 1, minor: 2 },
      slots: [
        {
          slotId: 0x1_0000_0007,
          tokenLabel: "Schlüssel eins",
          manufacturer: "Ends early",
          model: "",
          serial: "\ufffd serial",
          flags: 0x401,
          mechanisms: [0x1087, 0x1041, 0x80000001],
        },
      ],
    });
  });

  test("is initialised once, finalised and unloaded", async () => {
    await probeModule(FAKE);
    expect(calls()).toEqual(PROBE_CALLS);
  });

  test("answers through its newest standard interface", async () => {
    process.env["FAKE_PKCS11_VERSION"] = "3.0";
    expect((await probeModule(FAKE)).cryptokiVersion).toEqual({ major: 3, minor: 0 });
  });

  test("is asked by its old function list if its interface of 3.0 has no name", async () => {
    process.env["FAKE_PKCS11_VERSION"] = "3.0";
    process.env["FAKE_PKCS11_FAULT"] = "C_GetInterfaceList=null";
    expect((await probeModule(FAKE)).cryptokiVersion).toEqual({ major: 2, minor: 40 });
  });

  test("is not finalised if other code of the process had initialised it", async () => {
    process.env["FAKE_PKCS11_FAULT"] = "C_Initialize=191";
    expect((await probeModule(FAKE)).slots).toHaveLength(1);
    expect(calls()).toEqual(PROBE_CALLS.filter((call) => call !== "C_Finalize"));
  });

  test("serves probes at the same time under one initialisation", async () => {
    process.env["FAKE_PKCS11_FAULT"] = "C_GetInfo=slow";
    const [first, second, third] = await Promise.all([
      probeModule(FAKE),
      probeModule(FAKE),
      probeModule(FAKE),
    ]);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    const lifeCycle = calls().filter((call) => ["C_Initialize", "C_Finalize", "unload"].includes(call));
    expect(lifeCycle).toEqual(["C_Initialize", "C_Finalize", "unload"]);
    expect(calls().slice(-2)).toEqual(["C_Finalize", "unload"]);
  });

  test("does not hold up the event loop while it is slow", async () => {
    process.env["FAKE_PKCS11_FAULT"] = "C_GetInfo=slow";
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    await probeModule(FAKE);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });

  test.each(["C_GetSlotList", "C_GetMechanismList"])(
    "is asked again if its list of %s grew meanwhile",
    async (name) => {
      process.env["FAKE_PKCS11_FAULT"] = `${name}=grow`;
      expect((await probeModule(FAKE)).slots[0]?.mechanisms).toHaveLength(3);
      expect(calls().filter((call) => call === name)).toHaveLength(4);
    },
  );

  test("may hold a token that it does not know, which is left out", async () => {
    process.env["FAKE_PKCS11_FAULT"] = "C_GetTokenInfo=e1";
    expect((await probeModule(FAKE)).slots).toEqual([]);
  });
});

describe("a module that fails", () => {
  test.each(["C_GetInfo", "C_GetSlotList", "C_GetTokenInfo", "C_GetMechanismList"])(
    "in %s is reported with its code, finalised and unloaded",
    async (name) => {
      const error = await failureUnder(`${name}=30`);
      expect(error).toMatchObject({ name: "HsmError", ckr: 0x30, ckrName: "CKR_DEVICE_ERROR" });
      expect(error.message).toBe(`${name} answered CKR_DEVICE_ERROR (0x00000030)`);
      expect(calls().slice(-3)).toEqual([name, "C_Finalize", "unload"]);
    },
  );

  test.each(["C_GetFunctionList", "C_Initialize"])(
    "in %s is reported with its code and unloaded without being finalised",
    async (name) => {
      expect(await failureUnder(`${name}=5`)).toMatchObject({ ckr: 5, ckrName: "CKR_GENERAL_ERROR" });
      expect(calls().slice(-2)).toEqual([name, "unload"]);
    },
  );

  test("in C_GetInterfaceList is reported with its code", async () => {
    process.env["FAKE_PKCS11_VERSION"] = "3.0";
    expect(await failureUnder("C_GetInterfaceList=6")).toMatchObject({ ckrName: "CKR_FUNCTION_FAILED" });
  });

  test("does not spoil a later probe", async () => {
    await failureUnder("C_Initialize=5");
    await failureUnder("C_GetInfo=5");
    delete process.env["FAKE_PKCS11_FAULT"];
    rmSync(join(folder, "log"));
    await probeModule(FAKE);
    expect(calls()).toEqual(PROBE_CALLS);
  });

  test.each([
    ["0x42", 0x42, "CKR_AEAD_DECRYPT_FAILED"],
    ["0x1B8", 0x1b8, "CKR_PIN_TOO_WEAK"],
    ["0x1", 1, "CKR_CANCEL"],
    ["0x203", 0x203, "CKR_KEY_EXHAUSTED"],
    ["0x80000001", 0x80000001, undefined],
    ["0x204", 0x204, undefined],
  ])("with code %s is named as the standard does, or not at all", async (code, ckr, ckrName) => {
    const error = await failureUnder(`C_GetInfo=${code}`);
    expect(error.ckr).toBe(ckr);
    expect(error.ckrName).toBe(ckrName);
    expect("ckrName" in error).toBe(ckrName !== undefined);
  });

  test.each([
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetTokenInfo",
    "C_GetMechanismList",
  ])("to provide %s is refused before it is initialised", async (name) => {
    const error = await failureUnder(`${name}=null`);
    expect(error.message).toBe(`The function list of the module lacks ${name}`);
    expect(error.ckr).toBeUndefined();
    expect(calls()).toEqual(["C_GetFunctionList", "unload"]);
  });

  test("to give a function list is refused", async () => {
    expect((await failureUnder("C_GetFunctionList=null")).message).toContain("gave no function list");
  });

  test.each(["C_GetSlotList", "C_GetMechanismList"])("to count in %s is refused", async (name) => {
    expect((await failureUnder(`${name}=huge`)).message).toContain(`${name} announced an implausibly long`);
    expect((await failureUnder(`${name}=lie`)).message).toContain(`${name} claims to have written more`);
    expect(await failureUnder(`${name}=grow-forever`)).toMatchObject({ ckrName: "CKR_BUFFER_TOO_SMALL" });
    expect(calls().slice(-2)).toEqual(["C_Finalize", "unload"]);
  });

  test("to finalise is reported, and stays in memory since its threads may still run", async () => {
    // In its own process, because the library is there for good.
    const script = `addon.probe(fake).catch((error) => {
      console.log(error.message);
      console.log(require("node:fs").readFileSync(process.env.FAKE_PKCS11_LOG, "utf8"));
    });`;
    const printed = (await runChild(script, { FAKE_PKCS11_FAULT: "C_Finalize=5" })).split("\n");
    expect(printed[0]).toBe("C_Finalize answered CKR_GENERAL_ERROR (0x00000005)");
    expect(printed.slice(1)).toEqual(PROBE_CALLS.slice(0, -1));
  });
});

describe("a library that is not a module", () => {
  test.each([
    ["does not exist", () => join(folder, "absent.so"), "absent.so: "],
    ["is a text", () => import.meta.filename, "module.test.ts: "],
    ["is empty", () => emptyFile(), "empty.so: "],
    ["is a folder", () => folder, "is not a file"],
    ["is a device", () => "/dev/zero", "is not a file"],
    ["has no C_GetFunctionList", () => ADDON, "has no C_GetFunctionList"],
  ])("is refused if it %s", async (_what, library, message) => {
    const error = await failureOf(library());
    expect(error.message).toContain(message);
    expect(error.ckr).toBeUndefined();
  });

  function emptyFile(): string {
    const file = join(folder, "empty.so");
    writeFileSync(file, "");
    return file;
  }
});

describe("a path that cannot be one", () => {
  test.each([
    ["undefined", undefined],
    ["a number", 7],
    ["an object", { toString: () => FAKE }],
    ["empty", ""],
    ["a bare name", "libsofthsm2.so"],
    ["relative", "./build/Release/fake_pkcs11.node"],
    ["cut by NUL", `${FAKE}\0.so`],
  ])("is refused when it is %s", async (_what, library) => {
    const error = await probeModule(library as string).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KmsError);
    expect(error).toMatchObject({ code: "InvalidParameter" });
    expect(calls()).toEqual([]);
  });
});

describe("an environment that ends", () => {
  const slow = { FAKE_PKCS11_FAULT: "C_GetInfo=slow" };

  test("by process.exit during a probe ends cleanly", async () => {
    const script = `addon.probe(fake); setTimeout(() => { console.log("left"); process.exit(0); }, 50);`;
    expect(await runChild(script, slow)).toBe("left");
  });

  test("by worker.terminate during a probe leaves the process in order", async () => {
    const script = `
      const { Worker } = require("node:worker_threads");
      const code = 'require(' + JSON.stringify(${JSON.stringify(ADDON)}) + ').probe(' + JSON.stringify(fake) + ')';
      const worker = new Worker(code, { eval: true });
      worker.on("online", () => setTimeout(async () => {
        await worker.terminate();
        console.log((await addon.probe(fake)).slots.length);
      }, 100));`;
    expect(await runChild(script, slow)).toBe("1");
  });

  test("with a native call of a wrong type gets a TypeError", async () => {
    const script = `for (const args of [[], [1], ["a", "b"]]) {
      try { addon.probe(...args); } catch (error) { console.log(error.name); } }`;
    expect(await runChild(script, {})).toBe("TypeError\nTypeError\nTypeError");
  });
});
