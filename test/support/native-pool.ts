/** Drives the native pool in tests: keys, records and promises of their completion, with nothing between. */

import { randomBytes } from "node:crypto";
import {
  type Addon,
  type Arena,
  loadAddon,
  type NativePool,
  type PoolOptions,
  type ResolvedKey,
  type Template,
} from "../../src/engines/hsm/addon.ts";
import { EVENT, FLAG, HASH, IV_MODE, OP, RECORD_LENGTH, RING, SUBMIT } from "../../src/engines/hsm/record.ts";
import { ADDON, type TestModule } from "./hsm-modules.ts";

export const CKM = {
  RSA_PKCS_KEY_PAIR_GEN: 0x0,
  RSA_PKCS: 0x1,
  RSA_OAEP: 0x9,
  RSA_PSS: 0xd,
  EC_KEY_PAIR_GEN: 0x1040,
  ECDSA: 0x1041,
  AES_KEY_GEN: 0x1080,
  AES_ECB: 0x1081,
  AES_CBC: 0x1082,
  AES_CBC_PAD: 0x1085,
  AES_GCM: 0x1087,
} as const;
export const CKO = { PUBLIC_KEY: 2, PRIVATE_KEY: 3, SECRET_KEY: 4 } as const;
export const CKA = {
  CLASS: 0x0,
  TOKEN: 0x1,
  PRIVATE: 0x2,
  LABEL: 0x3,
  VALUE: 0x11,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  ENCRYPT: 0x104,
  DECRYPT: 0x105,
  SIGN: 0x108,
  VERIFY: 0x10a,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  VALUE_LEN: 0x161,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
  ALWAYS_AUTHENTICATE: 0x202,
} as const;
export const P256: Uint8Array = Uint8Array.of(6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7);

/** What one record asks for; absent ranges are empty. */
export interface Request {
  readonly op: number;
  readonly mechanism?: number;
  readonly key?: number;
  readonly flags?: number;
  readonly hash?: number;
  readonly mgfHash?: number;
  readonly saltLength?: number;
  readonly tagLength?: number;
  readonly ivMode?: number;
  readonly iv?: Uint8Array;
  readonly aux?: Uint8Array;
  readonly input?: Uint8Array;
  readonly capacity?: number;
  readonly deadline?: number;
}

/** What became of a record. `kind` tells whether it was read or given up. */
export interface Outcome {
  readonly kind: number;
  readonly status: number;
  readonly reason: number;
  readonly ckr: number;
  readonly fn: number;
  readonly result: number;
  readonly output: Uint8Array;
  readonly iv: Uint8Array;
}

const SLOT_BYTES = 20_480;
const EMPTY = new Uint8Array(0);

/** One pool, one arena with fixed room for each record. */
export class Driver {
  readonly addon: Addon;
  readonly pool: NativePool;
  readonly arena: Arena;
  readonly bytes: Uint8Array;
  readonly events: { code: number; a: number; b: number }[] = [];
  /** How often each record was settled, and released, for tests of "exactly once". */
  readonly settled: number[];
  readonly released: number[];
  /** Records that were released before anyone was told that they were given up. */
  readonly early: number[] = [];
  #view: DataView;
  #free: number[];
  #waiting = new Map<number, { request: Request; resolve: (outcome: Outcome) => void }>();
  #records: number;

  constructor(module: TestModule, options: Partial<PoolOptions> & { records?: number } = {}) {
    const { records = 256, ...rest } = options;
    this.addon = loadAddon(ADDON);
    module.use();
    this.pool = new this.addon.Pool({
      library: module.library,
      ...(module.initArgs === undefined ? {} : { initArgs: module.initArgs }),
      token: { label: module.tokenLabel },
      onDrain: (count) => this.#drain(count),
      onEvent: (code, a, b) => {
        this.events.push({ code, a, b });
        if (code === EVENT.PIN_NEEDED) this.pool.providePin(module.pin());
      },
      ...rest,
    });
    this.arena = this.pool.createArena(records, records * SLOT_BYTES);
    this.bytes = new Uint8Array(this.arena.buffer);
    this.#view = new DataView(this.arena.buffer);
    this.#records = records;
    this.#free = Array.from({ length: records }, (_, index) => records - 1 - index);
    this.settled = new Array<number>(records).fill(0);
    this.released = new Array<number>(records).fill(0);
  }

  get free(): number {
    return this.#free.length;
  }

  sawEvent(code: number): boolean {
    return this.events.some((event) => event.code === code);
  }

  stats(): Float64Array {
    const stats = new Float64Array(64);
    this.pool.stats(stats);
    return stats;
  }

  /** Generates an AES key and finds it. */
  async aesKey(name: string, options: { bits?: number; sessionCopy?: boolean } = {}): Promise<ResolvedKey> {
    const { ulong } = this.addon;
    await this.pool.generateKey(CKM.AES_KEY_GEN, [
      [CKA.CLASS, ulong(CKO.SECRET_KEY)],
      [CKA.KEY_TYPE, ulong(0x1f)],
      [CKA.VALUE_LEN, ulong((options.bits ?? 256) / 8)],
      [CKA.TOKEN, yes()],
      [CKA.PRIVATE, yes()],
      [CKA.ID, text(name)],
      [CKA.LABEL, text(name)],
      [CKA.ENCRYPT, yes()],
      [CKA.DECRYPT, yes()],
      [CKA.SENSITIVE, yes()],
      [CKA.EXTRACTABLE, no()],
    ]);
    return this.find(name, CKO.SECRET_KEY, options.sessionCopy);
  }

  /** Puts an AES key of known bytes into the token. */
  async importAes(name: string, value: Uint8Array): Promise<ResolvedKey> {
    const { ulong } = this.addon;
    await this.pool.createObject([
      [CKA.CLASS, ulong(CKO.SECRET_KEY)],
      [CKA.KEY_TYPE, ulong(0x1f)],
      [CKA.VALUE, value],
      [CKA.TOKEN, yes()],
      [CKA.PRIVATE, yes()],
      [CKA.ID, text(name)],
      [CKA.LABEL, text(name)],
      [CKA.ENCRYPT, yes()],
      [CKA.DECRYPT, yes()],
      [CKA.SENSITIVE, yes()],
      [CKA.EXTRACTABLE, no()],
    ]);
    return this.find(name, CKO.SECRET_KEY);
  }

  async rsaKeys(name: string, bits = 2048): Promise<{ privateKey: ResolvedKey; publicKey: ResolvedKey }> {
    return this.#pair(
      name,
      CKM.RSA_PKCS_KEY_PAIR_GEN,
      [
        [CKA.MODULUS_BITS, this.addon.ulong(bits)],
        [CKA.PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)],
        [CKA.ENCRYPT, yes()],
      ],
      [[CKA.DECRYPT, yes()]],
    );
  }

  async ecKeys(name: string): Promise<{ privateKey: ResolvedKey; publicKey: ResolvedKey }> {
    return this.#pair(name, CKM.EC_KEY_PAIR_GEN, [[CKA.EC_PARAMS, P256]], []);
  }

  async #pair(name: string, mechanism: number, publicExtra: Template, privateExtra: Template) {
    const both: Template = [
      [CKA.TOKEN, yes()],
      [CKA.ID, text(name)],
      [CKA.LABEL, text(name)],
    ];
    await this.pool.generateKeyPair(
      mechanism,
      [...both, [CKA.VERIFY, yes()], ...publicExtra],
      [...both, [CKA.PRIVATE, yes()], [CKA.SENSITIVE, yes()], [CKA.SIGN, yes()], ...privateExtra],
    );
    return {
      privateKey: await this.find(name, CKO.PRIVATE_KEY),
      publicKey: await this.find(name, CKO.PUBLIC_KEY, false, [
        CKA.MODULUS,
        CKA.PUBLIC_EXPONENT,
        CKA.EC_POINT,
      ]),
    };
  }

  find(
    name: string,
    objectClass: number,
    sessionCopy = false,
    attributes: readonly number[] = [],
  ): Promise<ResolvedKey> {
    return this.pool.resolveKey({ id: text(name), class: objectClass, sessionCopy }, attributes);
  }

  /** Submits requests as one batch; each promise settles on its own. */
  submit(requests: readonly Request[]): Promise<Outcome>[] {
    const first = this.#takeRun(requests.length);
    const promises = requests.map((request, i) => {
      this.#write(first + i, request);
      return new Promise<Outcome>((resolve) => this.#waiting.set(first + i, { request, resolve }));
    });
    const refused = this.pool.submit(this.arena.id, first, requests.length);
    if (refused !== SUBMIT.ACCEPTED) {
      for (let i = 0; i < requests.length; i++) {
        this.#waiting.delete(first + i);
        this.#free.push(first + i);
      }
      throw new Error(`submit answered ${refused}`);
    }
    return promises;
  }

  run(requests: readonly Request[]): Promise<Outcome[]> {
    return Promise.all(this.submit(requests));
  }

  async runOne(request: Request): Promise<Outcome> {
    const [outcome] = await this.run([request]);
    if (outcome === undefined) throw new Error("no outcome");
    return outcome;
  }

  /** The slot that the next single request gets. */
  get nextSlot(): number {
    return Math.min(...this.#free);
  }

  encrypt(key: ResolvedKey, input: Uint8Array, more: Partial<Request> = {}): Request {
    return {
      op: OP.ENCRYPT,
      mechanism: CKM.AES_GCM,
      key: key.ref,
      flags: FLAG.RETRY,
      iv: randomBytes(12),
      input,
      capacity: input.length + 16,
      ...more,
    };
  }

  decrypt(key: ResolvedKey, iv: Uint8Array, input: Uint8Array, more: Partial<Request> = {}): Request {
    return {
      op: OP.DECRYPT,
      mechanism: CKM.AES_GCM,
      key: key.ref,
      flags: FLAG.RETRY,
      iv,
      input,
      capacity: input.length,
      ...more,
    };
  }

  signPss(key: ResolvedKey, digest: Uint8Array, capacity = 256): Request {
    return {
      op: OP.SIGN,
      mechanism: CKM.RSA_PSS,
      key: key.ref,
      flags: FLAG.RETRY,
      hash: HASH.SHA256,
      mgfHash: HASH.SHA256,
      saltLength: 32,
      input: digest,
      capacity,
    };
  }

  signEcdsa(key: ResolvedKey, digest: Uint8Array): Request {
    return {
      op: OP.SIGN,
      mechanism: CKM.ECDSA,
      key: key.ref,
      flags: FLAG.RETRY,
      input: digest,
      capacity: 64,
    };
  }

  async close(drainMs = 1000): Promise<void> {
    await this.pool.close(drainMs);
  }

  #takeRun(count: number): number {
    this.#free.sort((a, b) => a - b);
    for (let start = 0; start + count <= this.#free.length; start++) {
      const first = this.#free[start] ?? 0;
      if (this.#free[start + count - 1] === first + count - 1) {
        this.#free.splice(start, count);
        return first;
      }
    }
    throw new Error("no run of free records");
  }

  #write(record: number, request: Request): void {
    const at = record * RECORD_LENGTH;
    let offset = this.#records * RECORD_LENGTH + record * SLOT_BYTES;
    const place = (field: number, range: Uint8Array | number): void => {
      const length = typeof range === "number" ? range : range.length;
      if (typeof range !== "number") this.bytes.set(range, offset);
      this.#view.setUint32(at + field, offset, true);
      this.#view.setUint32(at + field + 4, length, true);
      offset += length;
    };
    this.bytes.fill(0, at, at + RECORD_LENGTH);
    this.bytes[at] = request.op;
    this.bytes[at + 1] = request.flags ?? 0;
    this.bytes[at + 2] = request.hash ?? 0;
    this.bytes[at + 3] = request.mgfHash ?? 0;
    this.#view.setUint32(at + 4, request.mechanism ?? 0, true);
    this.#view.setUint32(at + 8, request.key ?? 0, true);
    this.bytes[at + 12] = request.tagLength ?? 16;
    this.bytes[at + 13] = request.ivMode ?? IV_MODE.HOST;
    this.#view.setUint16(at + 14, request.saltLength ?? 0, true);
    place(16, request.iv ?? EMPTY);
    place(24, request.aux ?? EMPTY);
    place(32, request.input ?? EMPTY);
    place(40, request.capacity ?? 0);
    this.#view.setUint32(at + 48, request.deadline ?? 0, true);
  }

  #read(record: number, kind: number, request: Request): Outcome {
    const at = record * RECORD_LENGTH;
    const u32 = (field: number): number => this.#view.getUint32(at + field, true);
    const timedOut = kind === RING.TIMED_OUT;
    const length = timedOut ? 0 : u32(56);
    const ivLength = timedOut ? 0 : (request.iv?.length ?? 0);
    return {
      kind,
      status: timedOut ? 0 : (this.bytes[at + 60] ?? 0),
      reason: timedOut ? 0 : (this.bytes[at + 61] ?? 0),
      ckr: timedOut ? 0 : u32(52),
      fn: timedOut ? 0 : (this.bytes[at + 62] ?? 0),
      result: timedOut ? 0 : (this.bytes[at + 63] ?? 0),
      output: this.bytes.slice(u32(40), u32(40) + length),
      iv: this.bytes.slice(u32(16), u32(16) + ivLength),
    };
  }

  #drain(count: number): void {
    for (let i = 0; i < count; i++) {
      const first = this.pool.ring[3 * i + 1] ?? 0;
      const tail = this.pool.ring[3 * i + 2] ?? 0;
      const kind = tail >>> 24;
      for (let record = first; record < first + (tail & 0xffffff); record++) {
        if (kind === RING.RELEASED) {
          if (this.#waiting.has(record)) this.early.push(record);
          this.released[record] = (this.released[record] ?? 0) + 1;
          this.#free.push(record);
          continue;
        }
        this.settled[record] = (this.settled[record] ?? 0) + 1;
        const waiting = this.#waiting.get(record);
        if (waiting === undefined) throw new Error(`record ${record} was settled twice`);
        this.#waiting.delete(record);
        const outcome = this.#read(record, kind, waiting.request);
        if (kind === RING.COMPLETED) this.#free.push(record);
        waiting.resolve(outcome);
      }
    }
  }
}

export function yes(): Uint8Array {
  return Uint8Array.of(1);
}

export function no(): Uint8Array {
  return Uint8Array.of(0);
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
