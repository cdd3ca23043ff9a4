/**
 * OAEP by the exports of the RSA module: messages, seeds and everything that a private operation leaves are secret; the label
 * and the lengths of what is encoded are public. What is wrong with a block must not show, nor where.
 */

import type { HashName } from "../../../src/engines/engine.ts";
import { digestOf, oaepBlock } from "../../support/rsa-blocks.ts";
import type { Rig } from "../rig.ts";
import { type Input, type Scenario, secretInputs } from "../scenario.ts";
import { derive, member } from "./members.ts";

interface Parameters {
  readonly blockLength: number;
  readonly hash: HashName;
  readonly mgfHash: HashName;
}

const NUMBER: Readonly<Record<HashName, number>> = { "SHA-1": 1, "SHA-256": 2, "SHA-384": 3, "SHA-512": 4 };
const SEED_LENGTH: Readonly<Record<HashName, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};
const LABEL = Uint8Array.from([1, 2, 3]);
const MESSAGE_LENGTH = 32;

function place(rig: Rig, name: string, bytes: Uint8Array): void {
  rig.memory.set(bytes, rig.constant(name));
}

/** Takes bytes and has everything wiped, as the host does. */
function take(rig: Rig, name: string, length: number): Uint8Array {
  const bytes = rig.memory.slice(rig.constant(name), rig.constant(name) + length);
  rig.call("rsaWipeBlocks");
  rig.call("rsaWipePadding");
  return bytes;
}

function encodeScenario({ blockLength, hash, mgfHash }: Parameters): Scenario {
  return {
    name: `OAEP with ${hash} and ${mgfHash}, ${8 * blockLength} bits: encode`,
    inputs: secretInputs({ message: MESSAGE_LENGTH, seed: SEED_LENGTH[hash] }),
    run(rig, input) {
      place(rig, "RSA_DIGESTS", digestOf(hash, LABEL));
      place(rig, "RSA_MESSAGE", member(input, "message"));
      place(rig, "RSA_RANDOM", member(input, "seed"));
      const result = rig.call("rsaEncodeOaep", NUMBER[hash], NUMBER[mgfHash], blockLength, MESSAGE_LENGTH);
      return [result, take(rig, "RSA_INPUT", blockLength)];
    },
    expected: (input) => [
      1,
      oaepBlock({
        blockLength,
        hash,
        mgfHash,
        label: LABEL,
        message: member(input, "message"),
        seed: member(input, "seed"),
      }),
    ],
  };
}

/** A block that is wrong, by what is changed in it before it is masked. */
interface Fault {
  readonly name: string;
  readonly first?: number;
  readonly spoil?: (data: Uint8Array, digestLength: number) => void;
  /** Whether the timing test sets it against a right block. */
  readonly timed?: true;
}

const change = (
  at: (data: Uint8Array, digestLength: number) => number,
  byte: number,
): NonNullable<Fault["spoil"]> => {
  return (data, digestLength) => {
    data[at(data, digestLength)] = byte;
  };
};
const separator = (data: Uint8Array): number => data.length - MESSAGE_LENGTH - 1;

const FAULTS: readonly Fault[] = [
  { name: "a first byte that is not zero", first: 1, timed: true },
  { name: "a wrong first byte of the label's hash", spoil: change(() => 0, 0x77) },
  {
    name: "a wrong last byte of the label's hash",
    spoil: change((_, digestLength) => digestLength - 1, 0x77),
  },
  { name: "a wrong byte at the start of the zeros", spoil: change((_, digestLength) => digestLength, 2) },
  { name: "a wrong byte at the end of the zeros", spoil: change((data) => separator(data) - 1, 0xff) },
  { name: "a wrong separator", spoil: change(separator, 2) },
  { name: "no separator", spoil: (data, digestLength) => data.fill(0, digestLength), timed: true },
];

function decodeScenarios({ blockLength, hash, mgfHash }: Parameters): Scenario[] {
  const name = `OAEP with ${hash} and ${mgfHash}, ${8 * blockLength} bits: decode`;
  const secrets = secretInputs({ message: MESSAGE_LENGTH, seed: SEED_LENGTH[hash] });
  const blockOf = (input: Input, fault?: Fault): Uint8Array => {
    const { spoil } = fault ?? {};
    return oaepBlock({
      blockLength,
      hash,
      mgfHash,
      label: LABEL,
      message: member(input, "message"),
      seed: member(input, "seed"),
      ...(fault?.first === undefined ? {} : { first: fault.first }),
      ...(spoil === undefined ? {} : { spoil: (data) => spoil(data, SEED_LENGTH[hash]) }),
    });
  };
  const run = (rig: Rig, input: Input): unknown => {
    place(rig, "RSA_DIGESTS", digestOf(hash, LABEL));
    place(rig, "RSA_OUTPUT", member(input, "block"));
    const result = rig.call("rsaDecodeOaep", NUMBER[hash], NUMBER[mgfHash], blockLength);
    return [result, take(rig, "RSA_MESSAGE", MESSAGE_LENGTH)];
  };
  return [
    {
      name,
      inputs: derive(secrets, (input) => ({ block: blockOf(input) })),
      run,
      expected: (input) => [MESSAGE_LENGTH + 1, member(input, "message")],
    },
    ...FAULTS.map((fault) => ({
      name: `${name} ${fault.name}`,
      inputs: derive(secrets, (input) => ({ block: blockOf(input, fault) })),
      run,
      expected: () => [0, new Uint8Array(MESSAGE_LENGTH)],
      sameTraceAs: name,
      ...(fault.timed === undefined ? {} : { timed: fault.timed }),
    })),
  ];
}

const SMALL: Parameters = { blockLength: 256, hash: "SHA-256", mgfHash: "SHA-256" };
const LARGE: Parameters = { blockLength: 512, hash: "SHA-1", mgfHash: "SHA-512" };

export const RSA_PADDING_SCENARIOS: readonly Scenario[] = [
  encodeScenario(SMALL),
  encodeScenario(LARGE),
  ...decodeScenarios(SMALL),
  ...decodeScenarios(LARGE),
];
