/** AES key wrap, plain and padded: both keys are secret; lengths and whether a key unwrapped are public. */

import { createCipheriv } from "node:crypto";
import type { Engine, KeyWrap } from "../../../src/engines/engine.ts";
import { type Input, type Scenario, secretInputs } from "../scenario.ts";
import { derive, member, withWrongByte } from "./members.ts";

interface Mode {
  readonly name: string;
  readonly of: (engine: Engine) => KeyWrap | undefined;
  readonly wrapByNode: (kek: Uint8Array, key: Uint8Array) => Uint8Array;
}

function wrapByNode(algorithm: string, iv: string, kek: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = createCipheriv(algorithm, kek, Buffer.from(iv, "hex"));
  return new Uint8Array(Buffer.concat([cipher.update(key), cipher.final()]));
}

const KW: Mode = {
  name: "AES-KW",
  of: ({ aesKw }) => aesKw,
  wrapByNode: (kek, key) => wrapByNode(`id-aes${8 * kek.length}-wrap`, "a6a6a6a6a6a6a6a6", kek, key),
};

const KWP: Mode = {
  name: "AES-KWP",
  of: ({ aesKwp }) => aesKwp,
  wrapByNode: (kek, key) => wrapByNode(`id-aes${8 * kek.length}-wrap-pad`, "a65959a6", kek, key),
};

function served(mode: Mode, engine: Engine): KeyWrap {
  const keyWrap = mode.of(engine);
  if (keyWrap === undefined) throw new Error(`the engine serves no ${mode.name}`);
  return keyWrap;
}

/** Byte of the wrapped form that is wrong: it changes the check in front, the key, or what pads it. */
const WRONG_PLACES: readonly (readonly [string, number])[] = [
  ["first", 0],
  ["last", -1],
];

function scenarios(mode: Mode, kekLength: number, keyLength: number): Scenario[] {
  const name = `${mode.name}, ${8 * kekLength}-bit key over ${keyLength} bytes`;
  const inputs = derive(secretInputs({ kek: kekLength, key: keyLength }), (input) => ({
    wrapped: mode.wrapByNode(member(input, "kek"), member(input, "key")),
  }));
  const unwrap = {
    run: ({ engine }: { engine: Engine }, input: Input) =>
      served(mode, engine).unwrap(member(input, "kek"), member(input, "wrapped")),
  };
  const forgedName = (place: string): string => `${name}: refuse a wrong ${place} byte`;
  return [
    {
      name: `${name}: wrap`,
      inputs,
      run: ({ engine }, input) => served(mode, engine).wrap(member(input, "kek"), member(input, "key")),
      expected: (input) => member(input, "wrapped"),
    },
    { ...unwrap, name: `${name}: unwrap`, inputs, expected: (input) => member(input, "key") },
    ...WRONG_PLACES.map(([place, at], n) => ({
      ...unwrap,
      name: forgedName(place),
      inputs: derive(inputs, (input) => ({ wrapped: withWrongByte(member(input, "wrapped"), at) })),
      expected: () => undefined,
      ...(n > 0 ? { sameTraceAs: forgedName("first") } : {}),
    })),
  ];
}

/** What a padded key can get wrong inside a wrapping that is right: which check fails must not show. */
const PADDING_FAULTS: readonly (readonly [fault: string, check: string, paddedByte: number])[] = [
  ["check in front", "a65959a700000021", 0],
  ["length beyond the padding", "a65959a600000029", 0],
  ["length short of the padding", "a65959a600000020", 0],
  ["byte of the padding", "a65959a600000021", 1],
];

/** Wraps 33 bytes and their padding under a check value of its own. */
function paddingScenarios(): Scenario[] {
  const [valid] = scenarios(KWP, 32, 33);
  return PADDING_FAULTS.map(([fault, check, byte]) => ({
    name: `AES-KWP, 256-bit key over 33 bytes: refuse a wrong ${fault}`,
    inputs: derive(valid?.inputs ?? [], (input) => {
      const padded = new Uint8Array(40);
      padded.set(member(input, "key"));
      padded[39] = byte;
      return { wrapped: wrapByNode("id-aes256-wrap", check, member(input, "kek"), padded) };
    }),
    run: ({ engine }, input) => served(KWP, engine).unwrap(member(input, "kek"), member(input, "wrapped")),
    expected: () => undefined,
    sameTraceAs: "AES-KWP, 256-bit key over 33 bytes: refuse a wrong first byte",
  }));
}

export const AES_KW_SCENARIOS: readonly Scenario[] = [
  ...scenarios(KW, 32, 32),
  ...scenarios(KW, 16, 16),
  ...scenarios(KWP, 32, 33),
  ...scenarios(KWP, 24, 7),
  ...paddingScenarios(),
];
