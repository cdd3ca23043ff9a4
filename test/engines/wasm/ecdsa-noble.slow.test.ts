/** Cross-checks many signatures with @noble, which is too slow for every run: ours verified there, theirs verified here. */

import { randomBytes } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { expect, test } from "vitest";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { served } from "../../conformance/engine-support.ts";

const CHECKS = 5000;
/** Signatures a key makes before the next one takes its place: some keys get a table, some do not. */
const PER_KEY = [1, 30, 7, 60] as const;

const CURVES = [
  { curve: "P-256", noble: p256 },
  { curve: "secp256k1", noble: secp256k1 },
] as const;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

test.each(CURVES)(
  `noble and the wasm engine verify ${CHECKS} signatures of each other on $curve`,
  ({ curve, noble }) => {
    const ecdsa = served(createWasmEngine(), "ecdsa");
    const options = { prehash: false, lowS: false };
    let left = 0;
    let keys = 0;
    let scalar = random(32);
    let privateKey = ecdsa.importPrivateKey(curve, scalar);
    let publicKey = ecdsa.publicKey(privateKey);
    let point = ecdsa.exportPoint(publicKey);
    for (let i = 0; i < CHECKS; i++) {
      if (left === 0) {
        left = PER_KEY[keys % PER_KEY.length] ?? 1;
        keys += 1;
        scalar = random(32).fill(0x7f, 0, 1);
        privateKey = ecdsa.importPrivateKey(curve, scalar);
        publicKey = ecdsa.publicKey(privateKey);
        point = ecdsa.exportPoint(publicKey);
        expect(noble.getPublicKey(scalar, false)).toEqual(point);
      }
      left -= 1;
      const digest = random(32);
      const hedged = i % 2 === 0;
      const ours = ecdsa.sign(privateKey, digest, { format: "p1363", lowS: i % 3 === 0, hedged });
      expect(noble.verify(ours, digest, point, options)).toBe(true);
      const theirs = noble.sign(digest, scalar, options);
      expect(ecdsa.verify(publicKey, digest, theirs, { format: "p1363" })).toBe(true);
      const changed = Uint8Array.from(theirs);
      changed[i % 64] = (changed[i % 64] ?? 0) ^ (1 << (i % 8));
      const verdict = ecdsa.verify(publicKey, digest, changed, { format: "p1363" });
      if (i % 10 === 0) expect(verdict).toBe(noble.verify(changed, digest, point, options));
      expect(verdict).toBe(false);
    }
  },
);
