/** What is measured on a module: the pool by batches and by single calls, a C loop, and pkcs11js. */

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import type { ClassLimits, ResolvedKey } from "../../src/engines/hsm/addon.ts";
import { HASH, IV_MODE, OP, RECORD_LENGTH } from "../../src/engines/hsm/record.ts";
import { type LoopRequest, loadCLoop } from "../../test/support/c-loop.ts";
import type { TestModule } from "../../test/support/hsm-modules.ts";
import { CKA, CKM, CKO, Driver, text } from "../../test/support/native-pool.ts";

export type Operation = LoopRequest["operation"];

const KEYS = ["gcm", "ecdsa", "pss"] as const;
type KeyName = (typeof KEYS)[number];

const WINDOW_MS = 250;
const RECORDS = 2048;
const SLOT_BYTES = 2304;

/** One module with its keys, and an arena of records that are ready to be sent. */
export class Subject {
  readonly driver: Driver;
  readonly module: TestModule;
  readonly #copies: boolean;
  #slotId = 0;
  #keys = new Map<string, ResolvedKey>();
  #arena: { id: number; buffer: ArrayBuffer };
  #onRange: (first: number, count: number) => void = () => {};

  constructor(module: TestModule, options: { sessions?: number; copies?: boolean } = {}) {
    this.module = module;
    this.#copies = options.copies ?? true;
    const driver: Driver = new Driver(module, {
      records: 16,
      maxSessions: options.sessions ?? 16,
      onDrain: (count) => {
        for (let i = 0; i < count; i++) {
          const range = driver.pool.ring[3 * i + 2] ?? 0;
          this.#onRange(driver.pool.ring[3 * i + 1] ?? 0, range & 0xffffff);
        }
      },
    });
    this.driver = driver;
    this.#arena = driver.pool.createArena(RECORDS, RECORDS * SLOT_BYTES);
  }

  /** Opens the token and finds its keys. */
  async open({
    make = false,
    only = KEYS,
  }: {
    make?: boolean;
    only?: readonly KeyName[];
  } = {}): Promise<void> {
    this.#slotId = (await this.driver.pool.open()).slotId;
    if (make) {
      // A token that stays from run to run has those of the last one.
      for (const name of only) await this.driver.pool.destroyObjects([[CKA.ID, text(name)]]);
      // The makers of Driver also look the keys up.
      if (only.includes("gcm")) await this.driver.aesKey("gcm");
      if (only.includes("ecdsa")) await this.driver.ecKeys("ecdsa");
      if (only.includes("pss")) await this.driver.rsaKeys("pss");
    }
    for (const name of only) {
      const objectClass = name === "gcm" ? CKO.SECRET_KEY : CKO.PRIVATE_KEY;
      this.#keys.set(name, await this.driver.find(name, objectClass, this.#copies));
    }
  }

  /** Fixes or frees the number of threads. */
  limit(threads: number | undefined): void {
    const limit = threads === undefined ? { min: 1, max: 64 } : { min: threads, max: threads };
    const limits: ClassLimits = { sym: limit, ec: limit, rsa: limit };
    this.driver.pool.setLimits(limits);
  }

  /** Writes every record of the arena for an operation. */
  prepare(operation: Operation, textLength: number): void {
    const view = new DataView(this.#arena.buffer);
    const key = this.#keys.get(operation === "message" ? "gcm" : operation);
    if (key === undefined) throw new Error("no key");
    const seals = operation === "gcm" || operation === "message";
    const input = seals ? textLength : 32;
    for (let i = 0; i < RECORDS; i++) {
      const at = i * RECORD_LENGTH;
      const data = RECORDS * RECORD_LENGTH + i * SLOT_BYTES;
      view.setUint8(at, seals ? OP.ENCRYPT : OP.SIGN);
      view.setUint8(at + 2, operation === "pss" ? HASH.SHA256 : 0);
      view.setUint8(at + 3, operation === "pss" ? HASH.SHA256 : 0);
      const mechanism = seals ? CKM.AES_GCM : operation === "pss" ? CKM.RSA_PSS : CKM.ECDSA;
      view.setUint32(at + 4, mechanism, true);
      view.setUint32(at + 8, key.ref, true);
      view.setUint8(at + 12, 16);
      view.setUint8(at + 13, operation === "message" ? IV_MODE.MESSAGE_HOST_IV : IV_MODE.HOST);
      view.setUint16(at + 14, operation === "pss" ? 32 : 0, true);
      view.setUint32(at + 16, data, true);
      view.setUint32(at + 20, seals ? 12 : 0, true);
      view.setUint32(at + 32, data + 16, true);
      view.setUint32(at + 36, input, true);
      view.setUint32(at + 40, data + 16 + input, true);
      view.setUint32(at + 44, seals ? input + 16 : operation === "pss" ? 256 : 64, true);
    }
  }

  /** Keeps batches in flight for one window; returns operations a second. */
  batches(batch: number, inFlight: number = Math.max(2, Math.min(4, RECORDS / batch))): Promise<number> {
    const { pool } = this.driver;
    const left = new Map<number, number>();
    return new Promise((resolve) => {
      let done = 0;
      let running = 0;
      const started = performance.now();
      const submit = (index: number) => {
        left.set(index, batch);
        running++;
        const refused = pool.submit(this.#arena.id, index * batch, batch);
        if (refused !== 0) throw new Error(`submit answered ${refused}`);
      };
      this.#onRange = (first, count) => {
        done += count;
        for (let at = first; at < first + count; ) {
          const index = Math.floor(at / batch);
          const step = Math.min(first + count, (index + 1) * batch) - at;
          at += step;
          const rest = (left.get(index) ?? 0) - step;
          left.set(index, rest);
          if (rest > 0) continue;
          running--;
          if (performance.now() - started < WINDOW_MS) submit(index);
          else if (running === 0) resolve((done * 1000) / (performance.now() - started));
        }
      };
      for (let i = 0; i < inFlight; i++) submit(i);
    });
  }

  /** As many callers as asked for, each awaiting a promise a call; calls of one tick go together. */
  async singles(callers: number): Promise<number> {
    const { pool } = this.driver;
    const waiting = new Array<(() => void) | undefined>(RECORDS);
    const free: number[] = [];
    for (let i = RECORDS - 1; i >= 0; i--) free.push(i);
    let batch: number[] = [];
    const flush = () => {
      const records = batch.sort((a, b) => a - b);
      batch = [];
      for (let i = 0; i < records.length; ) {
        let end = i + 1;
        while (end < records.length && records[end] === (records[end - 1] ?? 0) + 1) end++;
        const refused = pool.submit(this.#arena.id, records[i] ?? 0, end - i);
        if (refused !== 0) throw new Error(`submit answered ${refused}`);
        i = end;
      }
    };
    this.#onRange = (first, count) => {
      for (let record = first; record < first + count; record++) {
        const resolve = waiting[record];
        free.push(record);
        resolve?.();
      }
    };
    const call = (): Promise<void> => {
      const record = free.pop();
      if (record === undefined) throw new Error("no free record");
      if (batch.push(record) === 1) queueMicrotask(flush);
      return new Promise((resolve) => {
        waiting[record] = resolve;
      });
    };
    const started = performance.now();
    let done = 0;
    const caller = async () => {
      while (performance.now() - started < WINDOW_MS) {
        await call();
        done++;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return (done * 1000) / (performance.now() - started);
  }

  /** A C loop over the same function table. */
  cLoop(operation: Operation, textLength: number, threads: number, copies = this.#copies): Promise<number> {
    return loadCLoop().loop({
      library: this.module.library,
      slotId: this.#slotId,
      keyId: text(operation === "message" ? "gcm" : operation),
      operation,
      textLength,
      threads,
      milliseconds: WINDOW_MS,
      copies,
    });
  }

  pkcs11js(operation: "gcm", textLength: number): Incumbent {
    return new Incumbent(this.module.library, this.#slotId, text(operation), textLength, this.#copies);
  }
}

interface Pkcs11js {
  load(library: string): void;
  C_OpenSession(slot: Buffer, flags: number): Buffer;
  C_GetSlotList(tokenPresent: boolean): Buffer[];
  C_FindObjectsInit(session: Buffer, template: { type: number; value: unknown }[]): void;
  C_FindObjects(session: Buffer, max: number): Buffer[];
  C_FindObjectsFinal(session: Buffer): void;
  C_CopyObject(session: Buffer, object: Buffer, template: { type: number; value: unknown }[]): Buffer;
  C_CloseSession(session: Buffer): void;
  C_EncryptInit(session: Buffer, mechanism: unknown, key: Buffer): void;
  C_Encrypt(session: Buffer, input: Buffer, output: Buffer): Buffer;
  C_EncryptAsync(session: Buffer, input: Buffer, output: Buffer): Promise<Buffer>;
}

/** AES-GCM through pkcs11js on the same module, which the pool has initialised and logged in. */
class Incumbent {
  #pkcs11: Pkcs11js;
  #slot: Buffer;
  #keyId: Uint8Array;
  #text: Buffer;
  #iv: Buffer = Buffer.alloc(12, 1);
  #copies: boolean;

  constructor(library: string, slotId: number, keyId: Uint8Array, textLength: number, copies: boolean) {
    const { PKCS11 } = loadIncumbent();
    this.#pkcs11 = new PKCS11();
    this.#pkcs11.load(library);
    const slot = this.#pkcs11.C_GetSlotList(true).find((each) => each.readUInt32LE(0) === slotId);
    if (slot === undefined) throw new Error("pkcs11js does not see the slot");
    this.#slot = slot;
    this.#keyId = keyId;
    this.#text = Buffer.alloc(textLength);
    this.#copies = copies;
  }

  #session(): { session: Buffer; key: Buffer } {
    const session = this.#pkcs11.C_OpenSession(this.#slot, 4);
    this.#pkcs11.C_FindObjectsInit(session, [
      { type: 0x1, value: true },
      { type: 0x102, value: Buffer.from(this.#keyId) },
    ]);
    const [found] = this.#pkcs11.C_FindObjects(session, 1);
    this.#pkcs11.C_FindObjectsFinal(session);
    if (found === undefined) throw new Error("pkcs11js does not find the key");
    if (!this.#copies) return { session, key: found };
    return { session, key: this.#pkcs11.C_CopyObject(session, found, [{ type: 0x1, value: false }]) };
  }

  #init(session: Buffer, key: Buffer): void {
    // type 7: CK_PARAMS_AES_GCM_v240
    const parameter = { type: 7, iv: this.#iv, ivBits: 96, tagBits: 128 };
    this.#pkcs11.C_EncryptInit(session, { mechanism: CKM.AES_GCM, parameter }, key);
  }

  /** Synchronous calls in bursts, with a turn of the event loop between. */
  async bursts(burst: number): Promise<number> {
    const { session, key } = this.#session();
    const out = Buffer.alloc(this.#text.length + 16);
    const started = performance.now();
    let done = 0;
    while (performance.now() - started < WINDOW_MS) {
      for (let i = 0; i < burst; i++) {
        this.#init(session, key);
        this.#pkcs11.C_Encrypt(session, this.#text, out);
      }
      done += burst;
      await new Promise(setImmediate);
    }
    const elapsed = performance.now() - started;
    this.#pkcs11.C_CloseSession(session);
    return (done * 1000) / elapsed;
  }

  async async(sessions: number): Promise<number> {
    const started = performance.now();
    let done = 0;
    const caller = async () => {
      const { session, key } = this.#session();
      const out = Buffer.alloc(this.#text.length + 16);
      while (performance.now() - started < WINDOW_MS) {
        this.#init(session, key);
        await this.#pkcs11.C_EncryptAsync(session, this.#text, out);
        done++;
      }
      this.#pkcs11.C_CloseSession(session);
    };
    await Promise.all(Array.from({ length: sessions }, caller));
    return (done * 1000) / (performance.now() - started);
  }
}

/** Loads pkcs11js, and builds it the first time: dependencies are installed without their scripts. */
function loadIncumbent(): { PKCS11: new () => Pkcs11js } {
  const require = createRequire(`${process.cwd()}/package.json`);
  try {
    return require("pkcs11js") as { PKCS11: new () => Pkcs11js };
  } catch {
    const built = spawnSync("npm", ["rebuild", "pkcs11js"], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(`pkcs11js can't be built: ${built.stderr}`);
    return require("pkcs11js") as { PKCS11: new () => Pkcs11js };
  }
}
