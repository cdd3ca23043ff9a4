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

export const AES_KW_SCENARIOS: readonly Scenario[] = [
  ...scenarios(KW, 32, 32),
  ...scenarios(KW, 16, 16),
  ...scenarios(KWP, 32, 33),
  ...scenarios(KWP, 24, 7),
];
