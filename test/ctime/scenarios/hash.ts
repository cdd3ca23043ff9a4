/** Hashes, HMAC and HKDF: keys and messages are secret, lengths are public. */

import { createHash, createHmac, hkdfSync } from "node:crypto";
import type { Engine, HashName } from "../../../src/engines/engine.ts";
import { type Scenario, secretInputs, seededBytes } from "../scenario.ts";
import { member } from "./members.ts";

const HASHES: readonly HashName[] = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

const nodeName = (hash: HashName): string => hash.replace("-", "").toLowerCase();

function need<Name extends "hash" | "hmac" | "hkdf">(engine: Engine, name: Name): NonNullable<Engine[Name]> {
  const served = engine[name];
  if (served === undefined) throw new Error(`the engine serves no ${name}`);
  return served;
}

function hashScenario(hash: HashName): Scenario {
  return {
    name: `${hash} of 150 bytes`,
    inputs: secretInputs({ message: 150 }),
    run: ({ engine }, input) => need(engine, "hash")(hash, member(input, "message")),
    expected: (input) => new Uint8Array(createHash(nodeName(hash)).update(member(input, "message")).digest()),
  };
}

/** @param keyLength below, at or above the block length: a longer key is hashed first */
function hmacScenario(hash: HashName, keyLength: number): Scenario {
  return {
    name: `HMAC-${hash}, a key of ${keyLength} bytes, 100 bytes`,
    inputs: secretInputs({ key: keyLength, message: 100 }),
    run: ({ engine }, input) =>
      need(engine, "hmac").sign(hash, member(input, "key"), member(input, "message")),
    expected: (input) =>
      new Uint8Array(
        createHmac(nodeName(hash), member(input, "key")).update(member(input, "message")).digest(),
      ),
  };
}

const SALT = seededBytes("salt", 32);
const INFO = seededBytes("info", 20);

const hkdfScenario: Scenario = {
  name: "HKDF-SHA-256, 80 bytes out",
  inputs: secretInputs({ keyMaterial: 32 }),
  run: ({ engine }, input) => need(engine, "hkdf")("SHA-256", member(input, "keyMaterial"), SALT, INFO, 80),
  expected: (input) => new Uint8Array(hkdfSync("sha256", member(input, "keyMaterial"), SALT, INFO, 80)),
};

export const HASH_SCENARIOS: readonly Scenario[] = [
  ...HASHES.map(hashScenario),
  ...HASHES.map((hash) => hmacScenario(hash, 32)),
  hmacScenario("SHA-256", 64),
  hmacScenario("SHA-256", 200),
  hmacScenario("SHA-512", 200),
  hkdfScenario,
];
