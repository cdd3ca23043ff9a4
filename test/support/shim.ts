/**
 * Puts the shim module (test/native/shim_pkcs11.cc) in front of a module and changes, while the process runs, how it
 * behaves: latency, faults at the n-th call, lost sessions, bounds. Each shim is a copy of the library with a page of
 * control beside it.
 */

import { closeSync, cpSync, existsSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TestModule } from "./hsm-modules.ts";

const SHIM = resolve("build/Release/shim_pkcs11.node");

const PAGE_BYTES = 3072;
const HEADER = 512;
const COUNTERS = 1024;
const RULES = 2048;
const RULE_BYTES = 64;
const MAX_RULES = 16;

/** In the order of FUNCTIONS in shim_pkcs11.cc. */
const FUNCTIONS = [
  "C_Initialize",
  "C_Finalize",
  "C_GetInfo",
  "C_GetSlotList",
  "C_GetSlotInfo",
  "C_GetTokenInfo",
  "C_GetMechanismList",
  "C_GetMechanismInfo",
  "C_InitToken",
  "C_InitPIN",
  "C_OpenSession",
  "C_CloseSession",
  "C_CloseAllSessions",
  "C_GetSessionInfo",
  "C_Login",
  "C_Logout",
  "C_CreateObject",
  "C_CopyObject",
  "C_DestroyObject",
  "C_GetAttributeValue",
  "C_SetAttributeValue",
  "C_FindObjectsInit",
  "C_FindObjects",
  "C_FindObjectsFinal",
  "C_EncryptInit",
  "C_Encrypt",
  "C_DecryptInit",
  "C_Decrypt",
  "C_SignInit",
  "C_Sign",
  "C_VerifyInit",
  "C_Verify",
  "C_GenerateKey",
  "C_GenerateKeyPair",
  "C_WrapKey",
  "C_UnwrapKey",
  "C_GenerateRandom",
] as const;
export type ShimFunction = (typeof FUNCTIONS)[number];

const ACTIONS = {
  /** Answers a code without passing the call on: the request was lost. */
  failBefore: 1,
  /** Passes the call on, then answers a code: the reply was lost. */
  failAfter: 2,
  /** Waits so many microseconds first. */
  sleep: 3,
  /** Closes all sessions of the process first. */
  kill: 4,
  logout: 5,
  /** Finalises and initialises the module first. */
  reinitialize: 6,
  /** Waits until `release` is called. */
  hang: 7,
  /** Passes the call on, then changes the length it gave. */
  length: 8,
  /** Closes the session of the call first. */
  closeThis: 9,
  /** Crashes the process. */
  crash: 10,
  /** Loses so many bytes of memory first. */
  leak: 11,
  /** Answers a code after half a second without passing the call on. */
  failLate: 12,
} as const;

export interface ShimRule {
  readonly action: keyof typeof ACTIONS;
  /** A code, microseconds or a length. */
  readonly argument?: number | bigint;
  /** The call it begins with, counted from 1, from now on. */
  readonly first?: number;
  /** For how many calls; 0 (the default) is for ever. */
  readonly times?: number;
  /** Which share of the calls. */
  readonly perMille?: number;
}

const FIELDS = {
  initUs: 0,
  finalUs: 1,
  jitterUs: 2,
  sessionCap: 3,
  concurrencyCap: 4,
  /** 0 normal, 1 the token writes the IV, 2 always the same one, 3 takes parameters without ulIvBits alone. */
  ivMode: 5,
} as const;

export interface Shim extends TestModule {
  set(settings: Partial<Record<keyof typeof FIELDS, number>>): void;
  /** Adds a rule and returns how often it has been hit so far. */
  rule(name: ShimFunction, rule: ShimRule): () => number;
  /** Ends all rules and lets go what hangs. */
  calm(): void;
  release(): void;
  calls(name: ShimFunction): number;
  sessions(): number;
  mostInside(): number;
}

/** Says whether the shim was built. */
export function hasShim(): boolean {
  return existsSync(SHIM);
}

/** Puts a shim in front of a module; its `dispose` is the module's. */
export function shimOver(module: TestModule, name = "shim"): Shim {
  const library = join(module.folder, `${name}.so`);
  cpSync(SHIM, library);
  const page = Buffer.alloc(PAGE_BYTES);
  page.write(module.library, 0);
  page.writeUInt32LE(1, HEADER + 24);
  writeFileSync(`${library}.ctl`, page);
  const file = openSync(`${library}.ctl`, "r+");
  let rules = 0;

  const write = (bytes: Buffer, at: number) => writeSync(file, bytes, 0, bytes.length, at);
  const write32 = (value: number, at: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    write(bytes, at);
  };
  const read32 = (at: number): number => {
    const bytes = Buffer.alloc(4);
    readSync(file, bytes, 0, 4, at);
    return bytes.readUInt32LE();
  };

  return {
    ...module,
    library,
    set(settings) {
      for (const [field, value] of Object.entries(settings)) {
        write32(value, HEADER + 4 * FIELDS[field as keyof typeof FIELDS]);
      }
    },
    rule(functionName, { action, argument = 0, first = 1, times = 0, perMille = 0 }) {
      if (rules >= MAX_RULES) throw new Error("the shim has no room for another rule");
      const at = RULES + RULE_BYTES * rules++;
      const bytes = Buffer.alloc(RULE_BYTES);
      bytes.writeUInt32LE(FUNCTIONS.indexOf(functionName), 4);
      bytes.writeUInt32LE(first, 8);
      bytes.writeUInt32LE(times, 12);
      bytes.writeBigUInt64LE(BigInt(argument), 16);
      bytes.writeUInt32LE(ACTIONS[action], 24);
      bytes.writeUInt32LE(perMille, 28);
      if (action === "hang") write32(1, HEADER + 24);
      write(bytes, at);
      write32(1, at);
      return () => read32(at + 36);
    },
    calm() {
      for (let i = 0; i < MAX_RULES; i++) write32(0, RULES + RULE_BYTES * i);
      rules = 0;
      this.release();
    },
    release() {
      write32(0, HEADER + 24);
    },
    calls: (functionName) => read32(COUNTERS + 4 * FUNCTIONS.indexOf(functionName)),
    sessions: () => read32(HEADER + 28),
    mostInside: () => read32(HEADER + 36),
    dispose() {
      closeSync(file);
      module.dispose();
    },
  };
}
