/**
 * Private operations of RSA by the exports of the module: everything of a key but e is secret, and the random numbers that
 * blind; the number that goes in is public.
 */

import { partsOf, power, seededKeys, seededNumber, toBytes, toNumber } from "../../support/rsa-keys.ts";
import type { Rig } from "../rig.ts";
import { type Input, type Scenario, seededBytes } from "../scenario.ts";
import { member } from "./members.ts";

const PARTS = { n: 0, p: 0x200, q: 0x300, dP: 0x400, dQ: 0x500, qInv: 0x600, e: 0x700 } as const;
const SLOT = 3;

function keyInputs(bits: number, count: number): Input[] {
  return seededKeys(`ctime ${bits}`, bits, count).map((key, i) => ({
    ...partsOf(key),
    random: seededBytes(`blinding ${i}`, 0x400),
  }));
}

function load(rig: Rig, input: Input, bits: number): unknown {
  const start = rig.constant("RSA_KEY_PARTS");
  for (const [name, place] of Object.entries(PARTS)) rig.memory.set(member(input, name), start + place);
  return rig.call("rsaLoadPrivate", SLOT, bits);
}

function blind(rig: Rig, input: Input): unknown {
  rig.memory.set(member(input, "random"), rig.constant("RSA_RANDOM"));
  return rig.call("rsaBlind", SLOT);
}

function operation(rig: Rig, message: Uint8Array): { answer: unknown; output: Uint8Array } {
  rig.memory.set(message, rig.constant("RSA_INPUT"));
  const answer = rig.call("rsaPrivate", SLOT);
  const start = rig.constant("RSA_OUTPUT");
  const output = rig.memory.slice(start, start + message.length);
  rig.call("rsaWipeBlocks");
  return { answer, output };
}

function privateScenario(bits: number, count: number): Scenario {
  const message = toBytes(seededNumber("message", bits - 8), bits / 8);
  return {
    name: `RSA-${bits}: load a key, blind, raise to the private exponent`,
    inputs: keyInputs(bits, count),
    fewerInputs: count,
    run(rig, input) {
      const answers = [load(rig, input, bits), blind(rig, input)];
      const { answer, output } = operation(rig, message);
      rig.call("rsaDropPrivate", SLOT);
      return [...answers, answer, output];
    },
    expected(input) {
      const modulus = toNumber(member(input, "n"));
      const [p, q] = [toNumber(member(input, "p")), toNumber(member(input, "q"))];
      const [dP, dQ] = [toNumber(member(input, "dP")), toNumber(member(input, "dQ"))];
      const m = toNumber(message);
      const m2 = power(m, dQ, q);
      const h = ((power(m, dP, p) - m2 + modulus) * toNumber(member(input, "qInv"))) % p;
      const result = toBytes(m2 + h * q, bits / 8);
      return [1, 1, 1, result];
    },
  };
}

/** Loads a key, whose multiplications are those of operations: the code of all sizes is one, loops and limbs differ. */
function loadScenario(bits: number, count: number): Scenario {
  return {
    name: `RSA-${bits}: load a key`,
    inputs: keyInputs(bits, count),
    fewerInputs: count,
    run(rig, input) {
      const answers = [load(rig, input, bits), rig.call("rsaPrivate", SLOT)];
      rig.call("rsaDropPrivate", SLOT);
      rig.call("rsaWipeBlocks");
      return answers;
    },
    expected: () => [1, 2],
  };
}

/** Keys whose dP is wrong in one bit: the check refuses, and leaves nothing. */
function faultScenario(bits: number, count: number): Scenario {
  const message = toBytes(seededNumber("message", bits - 8), bits / 8);
  return {
    name: `RSA-${bits}: a result that fails its check`,
    inputs: keyInputs(bits, count).map((input) => {
      const dP = Uint8Array.from(member(input, "dP"));
      dP[dP.length - 1] = (dP[dP.length - 1] ?? 0) ^ 2;
      return { ...input, dP };
    }),
    fewerInputs: count,
    run(rig, input) {
      const answers = [load(rig, input, bits), blind(rig, input)];
      const { answer, output } = operation(rig, message);
      const again = rig.call("rsaPrivate", SLOT);
      rig.call("rsaDropPrivate", SLOT);
      return [...answers, answer, output, again];
    },
    expected: () => [1, 1, 3, new Uint8Array(bits / 8), 2],
  };
}

export const RSA_SCENARIOS: readonly Scenario[] = [
  privateScenario(2048, 10),
  loadScenario(3072, 4),
  loadScenario(4096, 4),
  faultScenario(2048, 3),
];
