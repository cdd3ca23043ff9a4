/** AES-GCM through the engine: keys and plaintexts are secret; lengths, IVs, AAD and the verdict are public. */

import { createCipheriv } from "node:crypto";
import type { AesKey } from "../../../src/engines/engine.ts";
import { frameOf } from "../../support/aad-frame.ts";
import type { Rig } from "../rig.ts";
import { type Input, type Scenario, secretInputs, seededBytes } from "../scenario.ts";
import { derive, member, withWrongByte } from "./members.ts";

const TAG_LENGTH = 16;
const ivOf = (n: number): Uint8Array => seededBytes(`iv ${n}`, 12);
const aadOf = (length: number): Uint8Array => seededBytes("aad", length);

function sealByNode(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv, {
    authTagLength: TAG_LENGTH,
  });
  cipher.setAAD(aad);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

function gcmOf({ engine }: Rig): NonNullable<Rig["engine"]["aesGcm"]> {
  if (engine.aesGcm === undefined) throw new Error("the engine serves no AES-GCM");
  return engine.aesGcm;
}

/** Imports the key of an input, uses it and destroys it. */
function withKey<T>(rig: Rig, input: Input, use: (key: AesKey) => T, name: string = "key"): T {
  const key = gcmOf(rig).importKey(member(input, name));
  try {
    return use(key);
  } finally {
    key.destroy();
  }
}

function importScenario(keyLength: number): Scenario {
  const nothing = new Uint8Array(0);
  return {
    name: `AES-${8 * keyLength}: import a key`,
    inputs: secretInputs({ key: keyLength }),
    // The empty message makes an engine build whatever it builds on first use.
    run: (rig, input) => withKey(rig, input, (key) => gcmOf(rig).seal(key, ivOf(0), nothing)),
    expected: (input) => sealByNode(member(input, "key"), ivOf(0), nothing, nothing),
  };
}

interface Shape {
  readonly keyLength: number;
  readonly aadLength: number;
  readonly length: number;
  readonly count?: number;
}

const shapeName = ({ keyLength, aadLength, length }: Shape): string =>
  `AES-${8 * keyLength}, ${length} bytes, ${aadLength} of AAD`;

function sealScenario(shape: Shape): Scenario {
  const aad = aadOf(shape.aadLength);
  return {
    name: `${shapeName(shape)}: seal`,
    inputs: secretInputs({ key: shape.keyLength, plaintext: shape.length }, shape.count),
    run: (rig, input) =>
      withKey(rig, input, (key) => gcmOf(rig).seal(key, ivOf(0), member(input, "plaintext"), aad)),
    expected: (input) => sealByNode(member(input, "key"), ivOf(0), member(input, "plaintext"), aad),
  };
}

function openScenario(shape: Shape): Scenario {
  const aad = aadOf(shape.aadLength);
  return {
    name: `${shapeName(shape)}: open`,
    inputs: derive(secretInputs({ key: shape.keyLength, plaintext: shape.length }, shape.count), (input) => ({
      sealed: sealByNode(member(input, "key"), ivOf(0), member(input, "plaintext"), aad),
    })),
    run: (rig, input) =>
      withKey(rig, input, (key) => gcmOf(rig).open(key, ivOf(0), member(input, "sealed"), aad)),
    expected: (input) => member(input, "plaintext"),
  };
}

/** A frame that stays in place while messages are sealed under it, and a run opened with it. */
function frameScenario(): Scenario {
  const aad = seededBytes("frame", 80);
  const ivs = [0, 1, 2, 3].map(ivOf);
  const aadUnder = (iv: Uint8Array): Uint8Array => {
    const own = new Uint8Array(aad);
    own.set(iv, own.length - iv.length);
    return own;
  };
  return {
    name: "AES-256, 32 bytes, a frame that stays: seal and open",
    inputs: secretInputs({ key: 32, plaintext: 32 }),
    run: (rig, input) =>
      withKey(rig, input, (key) => {
        const bound = gcmOf(rig).unsafeBind?.(key);
        const frame = frameOf(aad);
        const runs = ivs.map((iv) => {
          const run = new Uint8Array(36 + 32 + TAG_LENGTH);
          frame.bytes.set(iv, frame.bytes.length - iv.length);
          bound?.sealRun(frame, 36, member(input, "plaintext"), run, 0);
          return run;
        });
        return [...runs, bound?.openRun(frame, 36, runs[0] ?? aad)];
      }),
    expected: (input) => [
      ...ivs.map((iv) => {
        const own = aadUnder(iv);
        return concat([
          own.subarray(-36),
          sealByNode(member(input, "key"), iv, member(input, "plaintext"), own),
        ]);
      }),
      member(input, "plaintext"),
    ],
  };
}

/** Messages that a stage collects under frames that stay: enough in a row for the hash of eight at once, then a few. */
function stageScenario(): Scenario {
  const counts = { key: 11, otherKey: 3 } as const;
  const order = Object.entries(counts).flatMap(([name, count]) => new Array<string>(count).fill(name));
  const aadUnder = (n: number): Uint8Array => concat([seededBytes(`frame ${order[n]}`, 80 - 12), ivOf(n)]);
  return {
    name: "AES-256, 32 bytes, frames that stay, in a stage: seal",
    inputs: secretInputs({ key: 32, otherKey: 32, plaintext: 32 }),
    run: (rig, input) =>
      withKey(rig, input, (key) =>
        withKey(
          rig,
          input,
          (otherKey) => {
            const [bound, other] = [key, otherKey].map((each) => gcmOf(rig).unsafeBind?.(each));
            const stage = bound?.borrowStage?.();
            const frames = { key: frameOf(aadUnder(0)), otherKey: frameOf(aadUnder(counts.key)) };
            const runs = order.map((name, n) => {
              const run = new Uint8Array(36 + 32 + TAG_LENGTH);
              const frame = frames[name as keyof typeof frames];
              frame.ivBytes.set(ivOf(n));
              const owner = name === "key" ? bound : other;
              if (owner !== undefined) stage?.add(owner, frame, 36, member(input, "plaintext"), run, 0);
              return run;
            });
            stage?.flush();
            stage?.release();
            return runs;
          },
          "otherKey",
        ),
      ),
    expected: (input) =>
      order.map((name, n) => {
        const aad = aadUnder(n);
        return concat([
          aad.subarray(-36),
          sealByNode(member(input, name), ivOf(n), member(input, "plaintext"), aad),
        ]);
      }),
  };
}

const WRONG_BYTES: readonly (readonly [string, number])[] = [
  ["first", TAG_LENGTH],
  ["middle", 8],
  ["last", 1],
];

/** Opens under tags that are wrong in one byte: the place of that byte must not show. */
function forgedScenarios(shape: Shape): Scenario[] {
  const open = openScenario(shape);
  const nameOf = (place: string): string => `${shapeName(shape)}: refuse a tag whose ${place} byte is wrong`;
  return WRONG_BYTES.map(([place, fromEnd], n) => ({
    ...open,
    name: nameOf(place),
    inputs: derive(open.inputs, (input) => ({ sealed: withWrongByte(member(input, "sealed"), -fromEnd) })),
    expected: () => undefined,
    ...(n > 0 ? { sameTraceAs: nameOf("first") } : {}),
  }));
}

const BATCH_LENGTHS: readonly number[] = [32, 0, 16, 33, 64, 200];
const batchNames = BATCH_LENGTHS.map((_, n) => `plaintext${n}`);
const BATCH_SECRETS: Readonly<Record<string, number>> = {
  key: 32,
  otherKey: 16,
  lonelyKey: 24,
  ...Object.fromEntries(BATCH_LENGTHS.map((length, n) => [`plaintext${n}`, length])),
};

/** Two items have another key than the rest, and one has a key that no other item has. */
const keyNameOf = (n: number): string => (n === 3 ? "lonelyKey" : n % 3 === 2 ? "otherKey" : "key");

/** Imports the keys of the batch and gives the key of every item. */
function withBatchKeys<T>(rig: Rig, input: Input, use: (keyOf: (n: number) => AesKey) => T): T {
  return withKey(rig, input, (key) =>
    withKey(
      rig,
      input,
      (otherKey) =>
        withKey(
          rig,
          input,
          (lonelyKey) => {
            const keys: Readonly<Record<string, AesKey>> = { key, otherKey, lonelyKey };
            return use((n) => keys[keyNameOf(n)] ?? key);
          },
          "lonelyKey",
        ),
      "otherKey",
    ),
  );
}

function sealedBatch(input: Input): Uint8Array[] {
  const aad = aadOf(20);
  return batchNames.map((name, n) =>
    sealByNode(member(input, keyNameOf(n)), ivOf(n), member(input, name), aad),
  );
}

function sealBatchScenario(): Scenario {
  const aad = aadOf(20);
  return {
    name: "batch of mixed lengths and keys: seal",
    inputs: secretInputs(BATCH_SECRETS),
    run: (rig, input) =>
      withBatchKeys(rig, input, (keyOf) => {
        const items = batchNames.map((name, n) => ({
          iv: ivOf(n),
          plaintext: member(input, name),
          aad,
          key: keyOf(n),
        }));
        return gcmOf(rig).sealBatch(undefined, items);
      }),
    expected: sealedBatch,
  };
}

/** @param forged number of an item whose tag is wrong; none if absent */
function openBatchScenario(forged?: number): Scenario {
  const aad = aadOf(20);
  return {
    name: `batch of mixed lengths and keys: open${forged === undefined ? "" : ", one tag wrong"}`,
    inputs: derive(secretInputs(BATCH_SECRETS), (input) =>
      Object.fromEntries(
        sealedBatch(input).map((sealed, n) => {
          return [`sealed${n}`, n === forged ? withWrongByte(sealed, -1) : sealed];
        }),
      ),
    ),
    run: (rig, input) =>
      withBatchKeys(rig, input, (keyOf) => {
        const items = batchNames.map((_, n) => ({
          iv: ivOf(n),
          sealed: member(input, `sealed${n}`),
          aad,
          key: keyOf(n),
        }));
        return gcmOf(rig).openBatch(undefined, items);
      }),
    expected: (input) => batchNames.map((name, n) => (n === forged ? undefined : member(input, name))),
  };
}

const PACKED = { count: 9, aadLength: 24, plaintextLength: 32 } as const;

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function sealPackedRecords(input: Input): Uint8Array[] {
  const plaintexts = member(input, "plaintexts");
  return Array.from({ length: PACKED.count }, (_, n) => {
    const plaintext = plaintexts.subarray(n * PACKED.plaintextLength, (n + 1) * PACKED.plaintextLength);
    return sealByNode(member(input, "key"), ivOf(n), plaintext, aadOf(PACKED.aadLength));
  });
}

/** Lays records of iv ‖ aad ‖ body end to end. */
const records = (bodies: readonly Uint8Array[]): Uint8Array =>
  concat(bodies.flatMap((body, n) => [ivOf(n), aadOf(PACKED.aadLength), body]));

const packedInputs = (): Input[] =>
  secretInputs({ key: 32, plaintexts: PACKED.count * PACKED.plaintextLength });

function sealPackedScenario(): Scenario {
  return {
    name: "packed batch of nine wraps: seal",
    inputs: derive(packedInputs(), (input) => ({
      records: records(
        Array.from({ length: PACKED.count }, (_, n) =>
          member(input, "plaintexts").subarray(n * PACKED.plaintextLength, (n + 1) * PACKED.plaintextLength),
        ),
      ),
    })),
    run: (rig, input) =>
      withKey(rig, input, (key) => gcmOf(rig).sealPacked(key, member(input, "records"), PACKED)),
    expected: (input) => concat(sealPackedRecords(input)),
  };
}

/** @param forged number of a record whose tag is wrong; none if absent */
function openPackedScenario(forged?: number): Scenario {
  return {
    name: `packed batch of nine wraps: open${forged === undefined ? "" : ", one tag wrong"}`,
    inputs: derive(packedInputs(), (input) => ({
      records: records(
        sealPackedRecords(input).map((sealed, n) => (n === forged ? withWrongByte(sealed, -1) : sealed)),
      ),
    })),
    run: (rig, input) =>
      withKey(rig, input, (key) => gcmOf(rig).openPacked(key, member(input, "records"), PACKED)),
    expected: (input) => {
      const plaintexts = member(input, "plaintexts").slice();
      const ok = new Uint8Array(PACKED.count).fill(1);
      if (forged !== undefined) {
        ok[forged] = 0;
        plaintexts.fill(0, forged * PACKED.plaintextLength, (forged + 1) * PACKED.plaintextLength);
      }
      return { plaintexts, ok };
    },
  };
}

/** Adds the scenario to the timing test. */
const timed = (scenario: Scenario): Scenario => ({ ...scenario, timed: true });

const SHAPES: readonly Shape[] = [
  { keyLength: 32, aadLength: 64, length: 32 },
  { keyLength: 24, aadLength: 13, length: 31 },
  { keyLength: 16, aadLength: 0, length: 100 },
  { keyLength: 32, aadLength: 64, length: 256 },
  { keyLength: 32, aadLength: 20, length: 1000 },
  { keyLength: 16, aadLength: 300, length: 4100 },
  // AAD beyond one chunk makes the engine feed the message piece by piece.
  { keyLength: 32, aadLength: 17_000, length: 40 },
];

export const AES_GCM_SCENARIOS: readonly Scenario[] = [
  ...[16, 24].map(importScenario),
  timed(importScenario(32)),
  ...SHAPES.map(sealScenario).map((scenario, n) => (n === 0 || n === 4 ? timed(scenario) : scenario)),
  ...SHAPES.map(openScenario).map((scenario, n) => (n === 0 ? timed(scenario) : scenario)),
  ...[...SHAPES.slice(0, 3), ...SHAPES.slice(-1)]
    .flatMap(forgedScenarios)
    .map((scenario, n) => (n === WRONG_BYTES.length - 1 ? timed(scenario) : scenario)),
  frameScenario(),
  stageScenario(),
  sealBatchScenario(),
  openBatchScenario(),
  openBatchScenario(3),
  sealPackedScenario(),
  openPackedScenario(),
  openPackedScenario(4),
];
