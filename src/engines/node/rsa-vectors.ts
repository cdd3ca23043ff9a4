/**
 * Tells whether OpenSSL raises numbers to private powers with AVX512-IFMA. Nothing in Node says so, but it shows: with those
 * instructions a private operation takes some 13 times as long as a public one, which never uses them, and without 27 times.
 */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { fromHex, RSA_ANSWER } from "../self-test-vectors.ts";
import { asBuffer } from "./arguments.ts";

/** Between the two, whatever a call costs besides. */
const BORDER = 19;
/** OpenSSL 3.0 has such code for 2048 bits alone. */
const SHORTEST_ONLY = /^3\.0\./;

let measured: boolean | undefined;

/** Returns the shortest time of some runs, in milliseconds. */
function shortest(runs: number, run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const started = performance.now();
    run();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

/** Compares both operations with the key of the self-tests, of 2048 bits, which is public. */
function measure(): boolean {
  const key: KeyObject = createPrivateKey({
    key: asBuffer(fromHex(RSA_ANSWER.pkcs8)),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = createPublicKey(key);
  const message = fromHex(RSA_ANSWER.message);
  const signature = sign("sha256", message, key);
  const signing = shortest(6, () => sign("sha256", message, key));
  const verifying = shortest(40, () => verify("sha256", message, publicKey, signature));
  return signing < BORDER * verifying;
}

/** Measures once, in a few milliseconds. */
export function usesVectorsForRsa(modulusBits: number): boolean {
  if (modulusBits > 2048 && SHORTEST_ONLY.test(process.versions.openssl ?? "")) return false;
  measured ??= measure();
  return measured;
}
