/**
 * Key generation of RSA by the exports of the module: candidates, primes, the bases of their tests and the numbers of a key
 * are secret; whether a candidate was thrown away is public, and so is that two primes were found.
 */

import {
  inverseOf,
  partsOf,
  type RsaNumbers,
  seededKeys,
  toBytes,
  toNumber,
} from "../../support/rsa-keys.ts";
import type { Rig } from "../rig.ts";
import { type Input, type Scenario, seededBytes } from "../scenario.ts";
import { member } from "./members.ts";

const PARTS = { n: 0, p: 0x200, q: 0x300, dP: 0x400, dQ: 0x500, qInv: 0x600 } as const;
const FEW = 8;

const keysOf = (bits: number): RsaNumbers[] => seededKeys(`ctime ${bits}`, bits, FEW);

function primeInputs(bits: number): Input[] {
  return keysOf(bits).map((key, i) => {
    const { p, q } = partsOf(key);
    return { p, q, random: seededBytes(`bases ${i}`, 0x400) };
  });
}

function loadPrimes(rig: Rig, input: Input, bits: number): unknown {
  const start = rig.constant("RSA_KEY_PARTS");
  rig.memory.set(member(input, "p"), start + PARTS.p);
  rig.memory.set(member(input, "q"), start + PARTS.q);
  return rig.call("rsaLoadPrimes", bits);
}

function testScenarios(bits: number): Scenario[] {
  const name = `RSA-${bits}: one round of Miller and Rabin on two primes`;
  const run = (rig: Rig, input: Input): unknown => {
    const loaded = loadPrimes(rig, input, bits);
    rig.memory.set(member(input, "random"), rig.constant("RSA_RANDOM"));
    const verdicts = rig.call("rsaTestCandidates");
    rig.call("rsaWipeKeygen");
    return [loaded, verdicts];
  };
  return [
    { name, inputs: primeInputs(bits), fewerInputs: FEW, run, expected: () => [1, 3] },
    {
      name: `RSA-${bits}: one round of Miller and Rabin on a prime and a number that is none`,
      inputs: primeInputs(bits).map((input) => {
        const q = Uint8Array.from(member(input, "q"));
        // A prime less 2 to 510 is hardly ever one.
        q[q.length - 1] = 1;
        return { ...input, q };
      }),
      fewerInputs: FEW,
      run,
      // No twin of the one above: the verdict, which is public, parts the two at its end.
      expected: () => [1, 1],
    },
  ];
}

function sieveScenario(bits: number): Scenario {
  return {
    name: `RSA-${bits}: divide a candidate that is kept by small primes`,
    inputs: keysOf(bits).map(({ p }) => ({ candidate: toBytes(p, bits / 16).reverse() })),
    fewerInputs: FEW,
    run(rig, input) {
      const begun = rig.call("rsaGenerateBegin", bits);
      rig.memory.set(member(input, "candidate"), rig.constant("RSA_CANDIDATES"));
      const next = rig.call("rsaGenerateSieve", 0, 1);
      const waiting = rig.call("rsaGenerateWaiting");
      rig.call("rsaWipeKeygen");
      return [begun, next, waiting];
    },
    expected: () => [1, 1, 1],
  };
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

function keyScenario(bits: number): Scenario {
  return {
    name: `RSA-${bits}: compute d, dP, dQ and qInv of two primes`,
    inputs: primeInputs(bits),
    fewerInputs: FEW,
    run(rig, input) {
      const answers = [loadPrimes(rig, input, bits), rig.call("rsaGenerateKeep")];
      rig.call("rsaGenerateConfirm", 1);
      answers.push(rig.call("rsaGenerateKeep"), rig.call("rsaGenerateKey"));
      const start = rig.constant("RSA_KEY_PARTS");
      const output = rig.constant("RSA_OUTPUT");
      const numbers = Object.entries(PARTS).map(([name, place]) =>
        rig.memory.slice(start + place, start + place + (name === "n" ? bits / 8 : bits / 16)),
      );
      numbers.push(rig.memory.slice(output, output + bits / 8));
      rig.call("rsaWipeKeygen");
      return [...answers, ...numbers];
    },
    expected(input) {
      const primes = [member(input, "p"), member(input, "q")].map(toNumber) as [bigint, bigint];
      const [p, q] = primes[0] > primes[1] ? primes : [primes[1], primes[0]];
      const d = inverseOf(65537n, ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n));
      const half = [p, q, d % (p - 1n), d % (q - 1n), inverseOf(q, p)];
      return [
        ...[1, 1, 2, 1],
        toBytes(p * q, bits / 8),
        ...half.map((number) => toBytes(number, bits / 16)),
        toBytes(d, bits / 8),
      ];
    },
  };
}

export const RSA_KEYGEN_SCENARIOS: readonly Scenario[] = [
  ...testScenarios(2048),
  sieveScenario(2048),
  keyScenario(2048),
];
