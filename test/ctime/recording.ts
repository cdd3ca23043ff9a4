/**
 * Records what the host does to a module, so that it can be replayed elsewhere: the bytes it writes and the calls it
 * makes. A byte counts as secret where it differs between recordings that differ in the secrets alone.
 */

import { isDeepStrictEqual } from "node:util";
import type { WasmModule } from "../../.config/build-wasm.mjs";
import { openRig } from "./rig.ts";
import type { Scenario } from "./scenario.ts";

interface RecordedCall {
  /** Bytes that changed since the last call, by address. */
  readonly writes: ReadonlyMap<number, number>;
  /** Absent at the end of a scenario, where the memory is looked at. */
  readonly call?: { readonly name: string; readonly args: readonly (number | bigint)[]; result?: unknown };
  readonly memory?: { readonly length: number; readonly hash: number };
  readonly scenario?: string;
}

const PAGE = 4096;

/** Lists the bytes in which a memory differs from what it was, and brings `before` up to date. */
function takeChanges(before: Uint8Array, after: Uint8Array): Map<number, number> {
  const changes = new Map<number, number>();
  for (let page = 0; page < after.length; page += PAGE) {
    const now = after.subarray(page, page + PAGE);
    if (Buffer.compare(before.subarray(page, page + PAGE), now) === 0) continue;
    for (let i = 0; i < now.length; i++) {
      const byte = now[i] ?? 0;
      if (byte !== before[page + i]) changes.set(page + i, byte);
    }
    before.set(now, page);
  }
  return changes;
}

/** Hashes a memory the way driver.c does. */
function hashMemory(memory: Uint8Array): number {
  let hash = 0;
  for (const word of new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4)) {
    hash = (Math.imul(hash ^ word, 0x9e3779b1) + (hash >>> 15)) | 0;
  }
  return hash >>> 0;
}

/** Runs every scenario once, each on its input of the given number, and records it. */
function record(
  wasm: Uint8Array<ArrayBuffer>,
  scenarios: readonly Scenario[],
  inputNumber: number,
  options: { readonly engine: WasmModule | false },
): RecordedCall[] {
  const recorded: RecordedCall[] = [];
  // A module's own data segments are there before any call, in the replay too.
  let before: Uint8Array = new Uint8Array(0);
  const resize = (memory: Uint8Array): void => {
    if (before.length === memory.length) return;
    const resized = new Uint8Array(memory.length);
    resized.set(before);
    before = resized;
  };
  const rig = openRig(wasm, {
    ...options,
    onCall: (memory) => (name, args, call) => {
      if (before.length === 0) before = openRig(wasm, { engine: false }).memory.slice();
      const writes = takeChanges(before, memory());
      const entry = { name, args, result: call() };
      resize(memory());
      before.set(memory());
      recorded.push({ writes, call: entry });
      return entry.result;
    },
  });
  if (before.length === 0) before = openRig(wasm, { engine: false }).memory.slice();
  for (const scenario of scenarios) {
    const input = scenario.inputs[inputNumber];
    if (input === undefined) throw new Error(`"${scenario.name}" has no input ${inputNumber}`);
    recorded.push({ writes: takeChanges(before, rig.memory), scenario: scenario.name });
    const answer = scenario.run(rig, input);
    if (!isDeepStrictEqual(answer, scenario.expected(input))) {
      throw new Error(`"${scenario.name}" gives a wrong answer`);
    }
    const { memory } = rig;
    recorded.push({
      writes: takeChanges(before, memory),
      memory: { length: memory.length, hash: hashMemory(memory) },
    });
  }
  return recorded;
}

/** Builds the byte string that driver.c reads. */
class Script {
  readonly #parts: Buffer[] = [];

  step(letter: string, ...numbers: number[]): void {
    const part = Buffer.alloc(1 + 4 * numbers.length);
    part.write(letter, "latin1");
    numbers.forEach((number, n) => {
      part.writeUInt32LE(number >>> 0, 1 + 4 * n);
    });
    this.#parts.push(part);
  }

  bytes(bytes: Uint8Array): void {
    this.#parts.push(Buffer.from(bytes));
  }

  u64(value: bigint): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt.asUintN(64, value));
    this.#parts.push(part);
  }

  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value >>> 0);
    this.#parts.push(part);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Writes the changed bytes as runs: values from the first recording, and which bytes are secret. */
function writeRuns(script: Script, versions: readonly ReadonlyMap<number, number>[]): void {
  const [first] = versions;
  const addresses = [...new Set(versions.flatMap((writes) => [...writes.keys()]))].sort((a, b) => a - b);
  const isSecret = (address: number): boolean =>
    versions.some((writes) => writes.get(address) !== first?.get(address));
  for (let start = 0; start < addresses.length; ) {
    const from = addresses[start] ?? 0;
    const written = first?.has(from) === true;
    let end = start + 1;
    while (addresses[end] === from + end - start && first?.has(from + end - start) === written) end += 1;
    const run = addresses.slice(start, end);
    script.step(written ? "W" : "T", from, run.length);
    if (written) script.bytes(Uint8Array.from(run, (address) => first?.get(address) ?? 0));
    script.bytes(Uint8Array.from(run, (address) => (isSecret(address) ? 1 : 0)));
    start = end;
  }
}

const toU64 = (value: unknown): bigint => (typeof value === "bigint" ? value : BigInt(Number(value) >>> 0));

/**
 * Records scenarios and writes the script that replays them.
 *
 * @param exportNames the functions by the number the replay knows them by
 * @throws Error where the host's calls, their arguments or their results depend on the secrets
 */
export function recordScript(
  wasm: Uint8Array<ArrayBuffer>,
  scenarios: readonly Scenario[],
  exportNames: readonly string[],
  options: { readonly engine: WasmModule | false },
): Buffer {
  const recordings = [0, 1, 2].map((n) => record(wasm, scenarios, n, options));
  const [first] = recordings;
  const script = new Script();
  first?.forEach((entry, at) => {
    const versions = recordings.map((recording) => recording[at]);
    for (const version of versions) {
      if (
        version?.call?.name !== entry.call?.name ||
        !isDeepStrictEqual(version?.call?.args, entry.call?.args)
      ) {
        throw new Error(`the host's call ${at} (${entry.call?.name}) depends on a secret`);
      }
    }
    writeRuns(
      script,
      versions.map((version) => version?.writes ?? new Map<number, number>()),
    );
    if (entry.scenario !== undefined) {
      const name = Buffer.from(entry.scenario, "utf8");
      script.step("S", name.length);
      script.bytes(name);
    } else if (entry.memory !== undefined) {
      script.step("M", entry.memory.length, entry.memory.hash);
    } else if (entry.call !== undefined) {
      const { name, args, result } = entry.call;
      script.step("C", exportNames.indexOf(name), args.length);
      for (const arg of args) script.u64(toU64(arg));
      const hasResult = typeof result === "number" || typeof result === "bigint";
      script.u32(hasResult ? 1 : 0);
      script.u64(hasResult ? toU64(result) : 0n);
    }
  });
  if (recordings.some((recording) => recording.length !== first?.length)) {
    throw new Error("the number of the host's calls depends on a secret");
  }
  script.step("E");
  return script.finish();
}
