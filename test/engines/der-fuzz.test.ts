/**
 * Throws mutated encodings at every key and signature reader. A reader may refuse, in its one way, or accept; what it
 * accepts must be the only encoding of what it read. The seed is fixed, so a failure repeats.
 */

import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encodeDerSignature, readDerSignature } from "../../src/engines/ecdsa-signature.ts";
import type { CurveName } from "../../src/engines/engine.ts";
import * as keys from "../../src/engines/key-encoding.ts";
import { KmsError } from "../../src/errors.ts";

const MUTANTS_PER_FORMAT = 11_000;
const SAMPLES = 10;

/** xorshift32 (Marsaglia): enough to choose mutations with. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = (below: number) => number;

/** Lists the offsets of length bytes by walking the tags of a valid encoding one level deep at most eight times. */
function lengthOffsets(der: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let at = 0; at + 1 < der.length && offsets.length < 24; ) {
    const tag = der[at] ?? 0;
    const first = der[at + 1] ?? 0;
    offsets.push(at + 1);
    const header = 2 + (first >= 0x80 ? first & 0x7f : 0);
    const constructed = (tag & 0x20) !== 0 || tag === 0x04 || tag === 0x03;
    const skipsUnusedBits = tag === 0x03 ? 1 : 0;
    at += constructed ? header + skipsUnusedBits : header + first;
  }
  return offsets;
}

const MUTATIONS: readonly ((der: Uint8Array, random: Random) => Uint8Array)[] = [
  (der, random) => edit(der, random(der.length), (byte) => byte ^ (1 << random(8))),
  (der, random) => edit(der, random(der.length), () => random(256)),
  (der, random) => edit(der, random(Math.min(der.length, 32)), () => random(256)),
  (der, random) => splice(der, random(der.length + 1), 0, [random(256)]),
  (der, random) => splice(der, random(der.length), 1 + random(3), []),
  (der, random) => der.slice(0, random(der.length)),
  (der, random) =>
    splice(
      der,
      der.length,
      0,
      Array.from({ length: 1 + random(4) }, () => random(256)),
    ),
  (der, random) => {
    const offsets = lengthOffsets(der);
    return edit(
      der,
      offsets[random(offsets.length)] ?? 0,
      (byte) => byte + ([1, -1, 0x80, 2][random(4)] ?? 0),
    );
  },
  (der, random) => {
    const offsets = lengthOffsets(der);
    const at = offsets[random(offsets.length)] ?? 0;
    return splice(der, at, 1, [0x81 + random(2), der[at] ?? 0]);
  },
  (der, random) => {
    const offsets = lengthOffsets(der);
    const at = offsets[random(offsets.length)] ?? 0;
    return edit(splice(der, at + 1, 0, [0]), at, (byte) => byte + random(2));
  },
];

function edit(der: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const mutant = Uint8Array.from(der);
  mutant[at] = change(mutant[at] ?? 0);
  return mutant;
}

function splice(der: Uint8Array, at: number, remove: number, insert: readonly number[]): Uint8Array {
  const mutant = new Uint8Array(der.length - Math.min(remove, der.length - at) + insert.length);
  mutant.set(der.subarray(0, at));
  mutant.set(insert, at);
  mutant.set(der.subarray(Math.min(at + remove, der.length)), at + insert.length);
  return mutant;
}

interface Format {
  readonly name: string;
  sample(): Uint8Array;
  /** Reads and writes again; undefined or `InvalidKeyMaterial` where it refuses. */
  rewrite(der: Uint8Array): Uint8Array | undefined;
}

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

function ecFormats(curve: CurveName, namedCurve: string): Format[] {
  const make = () => generateKeyPairSync("ec", { namedCurve });
  return [
    {
      name: `${curve} SPKI`,
      sample: () => make().publicKey.export({ format: "der", type: "spki" }),
      rewrite: (der) => keys.encodeEcSpki(curve, keys.readEcSpki(curve, der)),
    },
    {
      name: `${curve} PKCS#8`,
      sample: () => make().privateKey.export({ format: "der", type: "pkcs8" }),
      rewrite: (der) => keys.encodeEcPkcs8(curve, keys.readEcPkcs8(curve, der)),
    },
    {
      name: `${curve} SEC 1`,
      sample: () => make().privateKey.export({ format: "der", type: "sec1" }),
      rewrite: (der) => keys.encodeSec1(curve, keys.readSec1(curve, der)),
    },
    {
      name: `${curve} signature`,
      sample: () => sign("sha256", new Uint8Array(4), make().privateKey),
      rewrite: (der) => {
        const pair = readDerSignature(curve, der);
        return pair && encodeDerSignature(pair);
      },
    },
  ];
}

const FORMATS: readonly Format[] = [
  ...ecFormats("P-256", "prime256v1"),
  ...ecFormats("secp256k1", "secp256k1"),
  {
    name: "RSA SPKI",
    sample: () => rsa.publicKey.export({ format: "der", type: "spki" }),
    rewrite: (der) => keys.encodeRsaSpki(keys.readRsaSpki(der)),
  },
  {
    name: "RSA PKCS#8",
    sample: () => rsa.privateKey.export({ format: "der", type: "pkcs8" }),
    rewrite: (der) => keys.encodeRsaPkcs8(keys.readRsaPkcs8(der)),
  },
  {
    name: "RSA PKCS#1",
    sample: () => rsa.privateKey.export({ format: "der", type: "pkcs1" }),
    rewrite: (der) => keys.encodeRsaPrivateKey(keys.readRsaPrivateKey(der)),
  },
];

/** Rewrites, with the one refusal of keys turned into undefined. */
function attempt(format: Format, der: Uint8Array): Uint8Array | undefined {
  try {
    return format.rewrite(der);
  } catch (error) {
    if (error instanceof KmsError && error.code === "InvalidKeyMaterial") return undefined;
    throw error;
  }
}

describe(`of ${FORMATS.length * MUTANTS_PER_FORMAT} mutated encodings`, () => {
  test.each(FORMATS)("each $name is refused or is the one encoding of what it says", (format) => {
    const random = randomFrom(0x9e3779b9);
    const samples = Array.from({ length: SAMPLES }, () => new Uint8Array(format.sample()));
    for (const sample of samples) expect(attempt(format, sample)).toEqual(sample);
    let accepted = 0;
    for (let i = 0; i < MUTANTS_PER_FORMAT; i++) {
      let mutant: Uint8Array = samples[i % SAMPLES] ?? new Uint8Array(0);
      for (let rounds = 1 + random(2); rounds > 0; rounds--) {
        const mutate = MUTATIONS[random(MUTATIONS.length)];
        if (mutate && mutant.length > 0) mutant = mutate(mutant, random);
      }
      const rewritten = attempt(format, mutant);
      if (rewritten === undefined) continue;
      accepted++;
      if (Buffer.compare(rewritten, mutant) !== 0) expect(rewritten).toEqual(mutant);
    }
    // Changes of key bytes alone are accepted by a reader of encodings: none would mean that nothing was tried.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(MUTANTS_PER_FORMAT / 2);
  });
});
