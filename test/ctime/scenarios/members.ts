/** Small helpers of the scenarios. */

import type { Input } from "../scenario.ts";

/** Returns a member of an input. */
export function member(input: Input, name: string): Uint8Array {
  const bytes = input[name];
  if (bytes === undefined) throw new Error(`internal: the input has no ${name}`);
  return bytes;
}

/** Adds what the host makes of the secrets to every input. */
export const derive = (inputs: readonly Input[], more: (input: Input) => Input): Input[] =>
  inputs.map((input) => ({ ...input, ...more(input) }));

/** Returns a copy with one bit of a byte changed; negative places count from the end. */
export function withWrongByte(bytes: Uint8Array, place: number): Uint8Array {
  const wrong = bytes.slice();
  const at = place < 0 ? bytes.length + place : place;
  wrong[at] = (wrong[at] ?? 0) ^ 0x80;
  return wrong;
}
