/** What ECIES over every engine's ports must do. Called once per engine. */

import { createPrivateKey, createPublicKey } from "node:crypto";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { decryptEcies, type EciesEngine, encryptEcies, servesEcies } from "../../src/engines/ecies.ts";
import type { Ecdsa, EcPrivateKey, EcPublicKey } from "../../src/engines/engine.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { oracleDecrypt, oracleEncrypt } from "../support/ecies-oracle.mjs";
import { hex } from "../support/kms.ts";
import { CURVES } from "./ecdsa.ts";
import { bytes, codeOf, expectOwned, flipBit, type MakeEngine } from "./engine-support.ts";

const vector = docVectors("ecies.md");

/** Lets the next requests for 32 random bytes be answered with these, and all others as ever. */
function answerRandom(...answers: readonly Uint8Array[]): { readonly given: Uint8Array[] } {
  const original = crypto.getRandomValues.bind(crypto);
  const given: Uint8Array[] = [];
  vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    const answer = answers[given.length];
    if (!(array instanceof Uint8Array) || array.length !== 32 || answer === undefined) return original(array);
    array.set(answer);
    given.push(array);
    return array;
  });
  return { given };
}

export function describeEcies(name: string, make: MakeEngine): void {
  describe.each(CURVES)(`${name} as ECIES on $curve`, ({ curve, noble }) => {
    const vectorName = curve === "P-256" ? "p256" : "secp256k1";
    const known = (label: string): Uint8Array => hex(vector(`${vectorName}-${label}`));
    const plaintext = hex(vector("plaintext"));
    let engine: EciesEngine;
    let ecdsa: Ecdsa;
    let privateKey: EcPrivateKey;
    let publicKey: EcPublicKey;
    beforeAll(async () => {
      const made = await make();
      if (!servesEcies(made)) throw new Error("the engine does not serve ECIES");
      engine = made;
      ecdsa = engine.ecdsa;
      privateKey = ecdsa.importPrivateKey(curve, known("private-key"));
      publicKey = ecdsa.importPublicKey(curve, known("public-key"));
    });
    afterEach(() => vi.restoreAllMocks());

    test("decrypts the ciphertext of the specification", () => {
      const opened = decryptEcies(engine, privateKey, known("ciphertext"));
      expect(opened).toEqual(plaintext);
      expectOwned(opened ?? new Uint8Array(1));
    });

    test("makes the ciphertext of the specification with its ephemeral key, and wipes the key", () => {
      const random = answerRandom(known("ephemeral-key"));
      expect(encryptEcies(engine, publicKey, plaintext)).toEqual(known("ciphertext"));
      expect(random.given).toEqual([new Uint8Array(32)]);
    });

    test("takes another random number for zero and for the order of the curve", () => {
      const order = hex(noble.Point.CURVE().n.toString(16));
      const random = answerRandom(new Uint8Array(32), order, known("ephemeral-key"));
      expect(encryptEcies(engine, publicKey, plaintext)).toEqual(known("ciphertext"));
      expect(random.given).toHaveLength(3);
    });

    test("exchanges plaintexts of any length with a second implementation, both ways", () => {
      const spki = ecdsa.exportSpki(publicKey);
      const pkcs8 = ecdsa.exportPkcs8(privateKey);
      const outsidePublic = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      const outsidePrivate = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
      fc.assert(
        fc.property(bytes(200), (text) => {
          fc.pre(text.length > 0);
          const ours = encryptEcies(engine, publicKey, text);
          expect(ours).toHaveLength(text.length + 85);
          expect(ours[0]).toBe(4);
          expectOwned(ours);
          expect(oracleDecrypt(outsidePrivate, ours)).toEqual(Uint8Array.from(text));
          const theirs = oracleEncrypt(outsidePublic, text);
          expect(decryptEcies(engine, privateKey, theirs)).toEqual(Uint8Array.from(text));
        }),
        { numRuns: 40, examples: [[new Uint8Array(1)], [new Uint8Array(20)], [new Uint8Array(21)]] },
      );
    });

    test("refuses a ciphertext of nothing, although its tag is right [ECIES-9]", () => {
      const spki = Buffer.from(ecdsa.exportSpki(publicKey));
      const outsidePublic = createPublicKey({ key: spki, format: "der", type: "spki" });
      const empty = oracleEncrypt(outsidePublic, new Uint8Array(0));
      expect(empty).toHaveLength(85);
      expect(decryptEcies(engine, privateKey, empty)).toBeUndefined();
    });

    test("opens nothing after the flip of any bit, and no length but the right one", () => {
      const ciphertext = known("ciphertext");
      for (let bit = 0; bit < ciphertext.length * 8; bit++) {
        expect(decryptEcies(engine, privateKey, flipBit(ciphertext, bit)), `bit ${bit}`).toBeUndefined();
      }
      for (let length = 0; length < ciphertext.length; length++) {
        expect(decryptEcies(engine, privateKey, ciphertext.subarray(0, length))).toBeUndefined();
      }
      expect(decryptEcies(engine, privateKey, Uint8Array.from([...ciphertext, 0]))).toBeUndefined();
    });

    test("refuses points that are compressed, hybrid, infinite, off the curve or beyond the field", () => {
      const { p } = noble.Point.CURVE();
      const sender = noble.Point.fromBytes(known("ciphertext").subarray(0, 65));
      const rest = known("ciphertext").subarray(65);
      const coordinate = (value: bigint): Uint8Array => hex(value.toString(16).padStart(64, "0"));
      const { x, y } = sender.toAffine();
      const points = [
        [...sender.toBytes(true), ...new Uint8Array(32)],
        [6 + Number(y & 1n), ...coordinate(x), ...coordinate(y)],
        new Uint8Array(65),
        [4, ...new Uint8Array(64)],
        [4, ...coordinate(x), ...coordinate(y ^ 1n)],
        [4, ...coordinate(y), ...coordinate(x)],
        [4, ...coordinate(p), ...coordinate(y)],
      ];
      for (const point of points) {
        const ciphertext = Uint8Array.from([...point, ...rest]);
        expect(decryptEcies(engine, privateKey, ciphertext), point.slice(0, 4).join()).toBeUndefined();
      }
      // The point of the other sign has the same x: it is one that a reader cannot tell, and the tag does not cover it.
      const mirrored = Uint8Array.from([4, ...coordinate(x), ...coordinate(p - y), ...rest]);
      expect(decryptEcies(engine, privateKey, mirrored)).toEqual(plaintext);
    });

    test("is open to who knows the plaintext, as the specification says", () => {
      const ciphertext = known("ciphertext");
      const encrypted = ciphertext.subarray(65, -20);
      const encryptionKey = encrypted.map((byte, i) => byte ^ (plaintext[i] ?? 0));
      const length = plaintext.length - 20;
      const forged = encryptionKey.slice(0, length).map((byte) => byte ^ 0x58);
      const tag = engine.hmac.sign("SHA-1", encryptionKey.slice(length), forged);
      const whole = Uint8Array.from([...ciphertext.subarray(0, 65), ...forged, ...tag]);
      expect(decryptEcies(engine, privateKey, whole)).toEqual(new Uint8Array(length).fill(0x58));
    });

    test("wipes the shared secret, the derived keys and the ephemeral key, also when the engine fails", () => {
      const secrets: Uint8Array[] = [];
      const handles: EcPrivateKey[] = [];
      const observed = (fails: boolean): EciesEngine => ({
        ecdsa: new Proxy(ecdsa, {
          get: (target, method: keyof Ecdsa) => {
            const call = target[method].bind(target) as (...args: unknown[]) => unknown;
            return (...args: unknown[]) => {
              const result = call(...args);
              if (method === "importPrivateKey") handles.push(result as EcPrivateKey);
              return result;
            };
          },
        }),
        ecdh: {
          deriveBits: (...keys) => {
            const shared = engine.ecdh.deriveBits(...keys);
            secrets.push(shared);
            return shared;
          },
        },
        hash: (hash, input) => {
          const block = engine.hash(hash, input);
          secrets.push(input, block);
          return block;
        },
        hmac: {
          sign: (hash, key, message) => {
            secrets.push(key, new Uint8Array(key.buffer));
            if (fails) throw new Error("planned");
            const tag = engine.hmac.sign(hash, key, message);
            return tag;
          },
        },
      });
      const ciphertext = encryptEcies(observed(false), publicKey, plaintext);
      expect(decryptEcies(observed(false), privateKey, ciphertext)).toEqual(plaintext);
      expect(decryptEcies(observed(false), privateKey, flipBit(ciphertext, 600))).toBeUndefined();
      expect(() => encryptEcies(observed(true), publicKey, plaintext)).toThrow("planned");
      expect(() => decryptEcies(observed(true), privateKey, ciphertext)).toThrow("planned");
      expect(secrets.length).toBeGreaterThan(40);
      for (const secret of secrets) expect(secret.every((byte) => byte === 0)).toBe(true);
      expect(handles).toHaveLength(2);
      for (const handle of handles) expect(codeOf(() => ecdsa.publicKey(handle))).toBe("InvalidParameter");
    });
  });
}
