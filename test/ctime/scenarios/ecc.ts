/**
 * ECDSA signatures, public keys and ECDH by the exports of the kernels: private keys and the random bytes that blind are
 * secret; digests, public points and results are public.
 */

import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import type { Rig } from "../rig.ts";
import { type Input, type Scenario, seededBytes } from "../scenario.ts";
import { member } from "./members.ts";

const CURVES = [
  { name: "P-256", number: 0, curve: p256 },
  { name: "secp256k1", number: 1, curve: secp256k1 },
] as const;
type Curve = (typeof CURVES)[number];

/** Offsets in an item (assembly/ecdsa/items.ts). */
const KEY = 0;
const DIGEST = 64;
const SIGNATURE = 96;
const EXTRA = 160;
const RANDOM = 192;

const SHA1 = 1;
const SHA256 = 2;
const SHA512 = 4;
const DIGEST_BYTES = seededBytes("digest", 32);

const toBytes = (value: bigint): Uint8Array =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex"));
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);

/**
 * Makes private keys: a random one and its complement, edges of the range, single bits, runs of ones, and random ones;
 * each with random bytes of its own.
 */
function keyInputs({ curve }: Curve): Input[] {
  const n = curve.Point.Fn.ORDER;
  const first = toNumber(seededBytes("private key", 32)) % (n >> 1n);
  const mask = (1n << 256n) - 1n;
  const edges = [1n, 2n, 3n, 15n, 16n, n - 1n, n - 2n, n - 3n, n >> 1n, (n >> 1n) + 1n, n >> 128n];
  for (let bit = 0n; bit < 256n; bit += 15n) edges.push(1n << bit, (1n << (bit + 1n)) - 1n, n - (1n << bit));
  const keys = [first, first ^ mask, ...edges].filter((key) => key > 0n && key < n);
  for (let i = 0; keys.length < 110; i++) keys.push(toNumber(seededBytes(`key ${i}`, 32)) % n);
  const random = seededBytes("blinding", 32);
  return keys.map((key, i) => ({
    key: toBytes(key),
    random: i === 0 ? random : i === 1 ? random.map((byte) => byte ^ 0xff) : seededBytes(`blinding ${i}`, 32),
  }));
}

function items(rig: Rig): number {
  return rig.constant("ECC_ITEMS");
}

/** Takes bytes of the first item and wipes them, as the host does. */
function take(rig: Rig, offset: number, length: number): Uint8Array {
  const start = items(rig) + offset;
  const bytes = rig.memory.slice(start, start + length);
  rig.memory.fill(0, start, start + length);
  return bytes;
}

function signScenario(curve: Curve, lowS: boolean): Scenario {
  return {
    name: `${curve.name}: sign${lowS ? ", s at most n / 2" : ""}`,
    ...(lowS ? { timed: true as const } : {}),
    inputs: keyInputs(curve),
    run(rig, input) {
      const item = items(rig);
      rig.memory.set(member(input, "key"), item + KEY);
      rig.memory.set(DIGEST_BYTES, item + DIGEST);
      rig.memory.set(member(input, "random"), item + RANDOM);
      rig.call("ecdsaSign", curve.number, SHA256, 1, Number(lowS), 0);
      return take(rig, SIGNATURE, 64);
    },
    expected: (input) =>
      new Uint8Array(curve.curve.sign(DIGEST_BYTES, member(input, "key"), { prehash: false, lowS })),
  };
}

/** Signs with a nonce of another hash, from additional input as well; whether noble takes the signature is the answer. */
function otherHashScenario(curve: Curve, hash: number, name: string): Scenario {
  return {
    name: `${curve.name}: sign, with a hedged nonce of ${name}`,
    inputs: keyInputs(curve),
    run(rig, input) {
      const item = items(rig);
      rig.memory.set(member(input, "key"), item + KEY);
      rig.memory.set(DIGEST_BYTES, item + DIGEST);
      rig.memory.set(member(input, "random"), item + EXTRA);
      rig.memory.set(member(input, "random"), item + RANDOM);
      rig.call("ecdsaSign", curve.number, hash, 1, 0, 1);
      const signature = take(rig, SIGNATURE, 64);
      const publicKey = curve.curve.getPublicKey(member(input, "key"));
      return curve.curve.verify(signature, DIGEST_BYTES, publicKey, { prehash: false, lowS: false });
    },
    expected: () => true,
  };
}

function publicKeyScenario(curve: Curve): Scenario {
  return {
    name: `${curve.name}: compute a public key`,
    timed: true,
    inputs: keyInputs(curve),
    run(rig, input) {
      const item = items(rig);
      rig.memory.set(member(input, "key"), item + KEY);
      rig.memory.set(member(input, "random"), item + RANDOM);
      rig.call("eccPublicKey", curve.number);
      return take(rig, SIGNATURE, 64);
    },
    expected: (input) => new Uint8Array(curve.curve.getPublicKey(member(input, "key"), false)).slice(1),
  };
}

function deriveScenario(curve: Curve): Scenario {
  const peer = new Uint8Array(curve.curve.getPublicKey(toBytes(0x1234567n), false));
  return {
    name: `${curve.name}: derive a shared secret`,
    timed: true,
    inputs: keyInputs(curve),
    run(rig, input) {
      const item = items(rig);
      rig.memory.set(peer.subarray(1), item + KEY);
      rig.memory.set(member(input, "key"), item + EXTRA);
      rig.memory.set(member(input, "random"), item + RANDOM);
      rig.call("eccDerive", curve.number);
      return take(rig, SIGNATURE, 32);
    },
    expected: (input) => new Uint8Array(curve.curve.getSharedSecret(member(input, "key"), peer)).slice(1, 33),
  };
}

export const ECC_SCENARIOS: readonly Scenario[] = CURVES.flatMap((curve) => [
  signScenario(curve, false),
  signScenario(curve, true),
  otherHashScenario(curve, SHA1, "SHA-1"),
  otherHashScenario(curve, SHA512, "SHA-512"),
  publicKeyScenario(curve),
  deriveScenario(curve),
]);
