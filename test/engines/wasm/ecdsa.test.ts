/**
 * ECDSA and ECDH of the wasm engine against published answers, node:crypto and noble, and on the scalars and signatures
 * that shortcuts get wrong.
 */

import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { beforeAll, describe, expect, test } from "vitest";
import type { Ecdh, Ecdsa, EcPrivateKey, EcPublicKey, HashName } from "../../../src/engines/engine.ts";
import { fromHex } from "../../../src/engines/self-test-vectors.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { USES_BEFORE_TABLE } from "../../../src/engines/wasm/key-tables.ts";
import { ecLoader } from "../../../src/engines/wasm/load-ec-kernel.ts";
import { codeOf, flipBit, served, utf8 } from "../../conformance/engine-support.ts";

/** Signatures checked with node:crypto and with noble, each way, on each curve. */
const CROSS_CHECKS = 5000;
const NOBLE_CHECKS = 250;

const CURVES = [
  { curve: "P-256", noble: p256 },
  { curve: "secp256k1", noble: secp256k1 },
] as const;

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const toBytes = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, "0"));
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const sha = (hash: string, message: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(hash).update(message).digest());

/** RFC 6979, A.2.5: message, hash, r ‖ s. */
const RFC_6979: readonly (readonly [string, HashName, string])[] = [
  [
    "sample",
    "SHA-1",
    "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d326d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb",
  ],
  [
    "sample",
    "SHA-256",
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
  ],
  [
    "sample",
    "SHA-384",
    "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef77194861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954",
  ],
  [
    "sample",
    "SHA-512",
    "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f002362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe",
  ],
  [
    "test",
    "SHA-1",
    "0cbcc86fd6abd1d99e703e1ec50069ee5c0b4ba4b9ac60e409e8ec5910d81a8901b9d7b73dfaa60d5651ec4591a0136f87653e0fd780c3b1bc872ffdeae479b1",
  ],
  [
    "test",
    "SHA-256",
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
  ],
  [
    "test",
    "SHA-384",
    "83910e8b48bb0c74244ebdf7f07a1c5413d61472bd941ef3920e623fbccebeb68ddbec54cf8cd5874883841d712142a56a8d0f218f5003cb0296b6b509619f2c",
  ],
  [
    "test",
    "SHA-512",
    "461d93f31b6540894788fd206c07cfa0cc35f46fa3c91816fff1040ad1581a0439af9f15de0db8d97e72719c74820d304ce5226e32dedae67519e840d1194e55",
  ],
];

/** Deterministic signatures of secp256k1 with SHA-256 that wallets share: key, message, r ‖ s with s at most n / 2. */
const SECP256K1: readonly (readonly [bigint, string, string])[] = [
  [
    1n,
    "Satoshi Nakamoto",
    "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
  ],
  [
    1n,
    "All those moments will be lost in time, like tears in rain. Time to die...",
    "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
  ],
  [
    secp256k1.Point.CURVE().n - 1n,
    "Satoshi Nakamoto",
    "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d06b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
  ],
];

describe.each(["base", "relaxed"] as const)("the %s build", (build) => {
  const engine = createWasmEngine({ build, relaxedSimd: "force" });
  const ecdsa: Ecdsa = served(engine, "ecdsa");
  const ecdh: Ecdh = served(engine, "ecdh");

  describe("published answers", () => {
    test.each(RFC_6979)("%s with %s is signed as RFC 6979, A.2.5 says", (message, hash, signature) => {
      const scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
      const key = ecdsa.importPrivateKey("P-256", fromHex(scalar));
      const options = { format: "p1363" } as const;
      expect(toHex(ecdsa.sign(key, { message: utf8(message), hash }, options))).toBe(signature);
      const digest = sha(hash.replace("-", "").toLowerCase(), utf8(message));
      expect(toHex(ecdsa.sign(key, digest, options))).toBe(signature);
      expect(ecdsa.verify(ecdsa.publicKey(key), digest, fromHex(signature), options)).toBe(true);
    });

    test.each(SECP256K1)("key %i signs %s as wallets do", (scalar, message, signature) => {
      const key = ecdsa.importPrivateKey("secp256k1", toBytes(scalar));
      const options = { format: "p1363", lowS: true } as const;
      expect(toHex(ecdsa.sign(key, { message: utf8(message), hash: "SHA-256" }, options))).toBe(signature);
    });
  });

  describe.each(CURVES)("ECDSA on $curve", ({ curve, noble }) => {
    const { n, p } = noble.Point.CURVE();
    let privateKey: EcPrivateKey;
    let publicKey: EcPublicKey;
    beforeAll(async () => {
      ({ privateKey, publicKey } = await ecdsa.generateKey(curve));
    });

    /** Scalars where windows, partial sums or halves come out equal, empty or at an end of the range. */
    function specialScalars(): bigint[] {
      const special = [1n, 2n, 3n, n - 1n, n - 2n, n - 3n, n >> 1n, (n >> 1n) + 1n];
      for (let bits = 1n; bits < 256n; bits += 5n)
        special.push(1n << bits, (1n << bits) - 1n, n - (1n << bits));
      for (let bits = 7n; bits < 256n; bits += 7n) special.push((1n << bits) + 1n, n - (1n << bits) - 1n);
      // The last addition of a sum in windows of five or seven bits meets its own point here.
      for (const window of [32n, 128n]) special.push(2n * (n % window), n - 2n * (n % window), n % window);
      for (const digit of [13n, 14n, 15n])
        special.push(mod(2n * digit * (1n << 252n) - n), mod(digit << 253n));
      if (curve === "secp256k1") {
        // Halves that are small, zero, even, negative or equal.
        const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;
        const halves = [0n, 1n, -1n, 2n, -2n, 31n, 32n, -33n, 1n << 124n, (1n << 125n) - 1n];
        for (const first of halves) for (const second of halves) special.push(mod(first + second * lambda));
      }
      return special.filter((scalar) => scalar > 0n && scalar < n);
    }
    const mod = (value: bigint): bigint => ((value % n) + n) % n;

    test("public keys and shared secrets of special scalars are right", () => {
      const peerScalar = toBytes(mod(0x1234567890abcdef1234567890abcdefn ** 3n));
      const peerPoint = noble.getPublicKey(peerScalar, false);
      const peer = ecdsa.importPublicKey(curve, peerPoint);
      for (const value of specialScalars()) {
        const scalar = toBytes(value);
        const key = ecdsa.importPrivateKey(curve, scalar);
        expect(toHex(ecdsa.exportPoint(ecdsa.publicKey(key)))).toBe(toHex(noble.getPublicKey(scalar, false)));
        expect(toHex(ecdh.deriveBits(key, peer))).toBe(
          toHex(noble.getSharedSecret(scalar, peerPoint, true).subarray(1)),
        );
      }
    });

    test(`node:crypto verifies ${CROSS_CHECKS} signatures of ours, and we theirs`, {
      timeout: 120_000,
    }, () => {
      const key = createPrivateKey({
        key: Buffer.from(ecdsa.exportPkcs8(privateKey)),
        format: "der",
        type: "pkcs8",
      });
      const known = createPublicKey({
        key: Buffer.from(ecdsa.exportSpki(publicKey)),
        format: "der",
        type: "spki",
      });
      const dsaEncoding = "ieee-p1363";
      let wrong = 0;
      const unseen = ecdsa.exportPoint(publicKey);
      for (let i = 0; i < CROSS_CHECKS / 4; i++) {
        const messages = [0, 1, 2, 3].map((j) => random(i % 90) && random(j + (i % 90)));
        const items = messages.map((message) => ({
          key: privateKey,
          signable: { message, hash: "SHA-256" } as const,
        }));
        const ours = ecdsa.signBatch(items, { format: "p1363" });
        const theirs = messages.map(
          (message) => new Uint8Array(sign("sha256", message, { key, dsaEncoding })),
        );
        messages.forEach((message, j) => {
          if (!verify("sha256", message, { key: known, dsaEncoding }, ours[j] ?? random(64))) wrong++;
        });
        // A fresh handle has no table yet, the other one soon has.
        const verifier = i % 2 === 0 ? publicKey : ecdsa.importPublicKey(curve, unseen);
        const verdicts = ecdsa.verifyBatch(
          theirs.map((signature, j) => ({
            key: verifier,
            signable: { message: messages[j] ?? random(1), hash: "SHA-256" } as const,
            signature,
          })),
          { format: "p1363" },
        );
        wrong += verdicts.filter((verdict) => !verdict).length;
      }
      expect(wrong).toBe(0);
    });

    test(`noble makes the same ${NOBLE_CHECKS} signatures`, { timeout: 60_000 }, () => {
      for (let i = 0; i < NOBLE_CHECKS; i++) {
        const scalar = toBytes(mod(toNumber(random(40))));
        const digest = random(32);
        const lowS = i % 2 === 0;
        const key = ecdsa.importPrivateKey(curve, scalar);
        const ours = ecdsa.sign(key, digest, { format: "recoverable", lowS });
        const theirs = noble.sign(digest, scalar, { prehash: false, lowS, format: "recovered" });
        // noble puts the recovery number first.
        expect(toHex(ours)).toBe(toHex(Uint8Array.from([...theirs.subarray(1), theirs[0] ?? 0])));
        expect(
          ecdsa.verify(ecdsa.publicKey(key), digest, ours.subarray(0, 64), { format: "p1363", lowS }),
        ).toBe(true);
      }
    });

    test("a signature whose point of the nonce has x above n is valid, as r and as r + n", () => {
      // Finds x in n..p-1 that is on the curve, and a key that makes (r, s) valid: Q = (s R - e G) / r.
      let x = n + 1n;
      let R: InstanceType<typeof noble.Point> | undefined;
      for (; R === undefined; x++) {
        try {
          R = noble.Point.fromHex(`02${x.toString(16).padStart(64, "0")}`);
        } catch {
          R = undefined;
        }
      }
      const r = mod(R.toAffine().x);
      expect(R.toAffine().x).toBeGreaterThanOrEqual(n);
      expect(R.toAffine().x).toBeLessThan(p);
      const s = 12345n;
      const digest = random(32);
      const rInverse = noble.Point.Fn.inv(r);
      const Q = R.multiply(mod(s * rInverse)).subtract(
        noble.Point.BASE.multiply(mod(toNumber(digest) * rInverse)),
      );
      const key = ecdsa.importPublicKey(curve, Q.toBytes(true));
      const pair = Uint8Array.from([...toBytes(r), ...toBytes(s)]);
      for (let use = 0; use < USES_BEFORE_TABLE + 5; use++) {
        expect(ecdsa.verify(key, digest, pair, { format: "p1363" })).toBe(true);
      }
      const wrong = Uint8Array.from([...toBytes(r + 1n), ...toBytes(s)]);
      expect(ecdsa.verify(key, digest, wrong, { format: "p1363" })).toBe(false);
    });

    test("sums that meet equal, opposite and infinite points are verified right", () => {
      // With Q = k G the sum u1 G + u2 Q is (u1 + u2 k) G; small k make its parts meet.
      for (const k of [1n, 2n, 3n, n - 1n, n - 2n, n >> 1n]) {
        const key = ecdsa.importPublicKey(curve, noble.getPublicKey(toBytes(k), false));
        for (const nonce of [1n, 2n, 3n, k, mod(2n * k), mod(-k)]) {
          const r = mod(noble.Point.BASE.multiply(nonce).toAffine().x);
          for (const e of [0n, 1n, mod(r * k), mod(-r * k + nonce), mod(-r * k), (1n << 256n) - 1n]) {
            const s = mod(noble.Point.Fn.inv(nonce) * (e + r * k));
            const pair = Uint8Array.from([...toBytes(r), ...toBytes(s === 0n ? 1n : s)]);
            // s = 0 stands for u1 G + u2 Q at infinity, which nothing verifies.
            const expected = s !== 0n;
            for (let use = 0; use < 2; use++) {
              expect(ecdsa.verify(key, toBytes(e), pair, { format: "p1363" })).toBe(expected);
            }
          }
        }
        // Infinity itself: u1 + u2 k = 0 for e = -r k with any s.
        const r = mod(noble.Point.BASE.multiply(5n).toAffine().x);
        const infinite = Uint8Array.from([...toBytes(r), ...toBytes(77n)]);
        expect(ecdsa.verify(key, toBytes(mod(-r * k)), infinite, { format: "p1363" })).toBe(false);
      }
    });

    test("a key that verifies often is answered alike with its table, also once others took its place", async () => {
      const { keyCount } = ecLoader.best("auto");
      const pairs = await Promise.all(Array.from({ length: keyCount + 2 }, () => ecdsa.generateKey(curve)));
      const digest = random(32);
      const signatures = pairs.map((pair) => ecdsa.sign(pair.privateKey, digest));
      const check = (i: number): void => {
        const [pair, signature = random(70)] = [pairs[i], signatures[i]];
        if (pair === undefined) throw new Error("no such pair");
        expect(ecdsa.verify(pair.publicKey, digest, signature)).toBe(true);
        expect(ecdsa.verify(pair.publicKey, flipBit(digest, i), signature)).toBe(false);
      };
      for (let use = 0; use < USES_BEFORE_TABLE / 2 + 2; use++) for (const i of pairs.keys()) check(i);
      // Used twice as often as the others, the last two take places.
      for (let use = 0; use < 2 * USES_BEFORE_TABLE; use++)
        for (const i of [keyCount, keyCount + 1]) check(i);
      for (const i of pairs.keys()) check(i);
      for (const pair of pairs) pair.publicKey.destroy();
    });

    test("a digest longer than the order counts by its first 256 bits, a shorter one as it is", () => {
      const long = random(64);
      const signature = ecdsa.sign(privateKey, long, { hash: "SHA-256" });
      expect(ecdsa.verify(publicKey, long.subarray(0, 32), signature)).toBe(true);
      const short = random(20);
      const padded = Uint8Array.from([...new Uint8Array(12), ...short]);
      expect(ecdsa.verify(publicKey, padded, ecdsa.sign(privateKey, short))).toBe(true);
      expect(ecdsa.verify(publicKey, short, ecdsa.sign(privateKey, padded))).toBe(true);
    });

    test("digests of other lengths are InvalidParameter; those of no hash are signed only with the option hash", () => {
      const signature = ecdsa.sign(privateKey, random(32));
      for (const length of [0, 19, 65]) {
        expect(codeOf(() => ecdsa.sign(privateKey, random(length)))).toBe("InvalidParameter");
        expect(codeOf(() => ecdsa.verify(publicKey, random(length), signature))).toBe("InvalidParameter");
      }
      const odd = random(40);
      expect(codeOf(() => ecdsa.sign(privateKey, odd))).toBe("InvalidParameter");
      expect(ecdsa.verify(publicKey, odd, ecdsa.sign(privateKey, odd, { hash: "SHA-512" }))).toBe(true);
    });

    test("signatures are deterministic, and hedged ones are not", () => {
      const digest = random(32);
      expect(ecdsa.sign(privateKey, digest)).toEqual(ecdsa.sign(privateKey, digest));
      const hedged = [1, 2, 3].map(() => ecdsa.sign(privateKey, digest, { hedged: true }));
      for (const signature of hedged) expect(ecdsa.verify(publicKey, digest, signature)).toBe(true);
      expect(new Set([...hedged, ecdsa.sign(privateKey, digest)].map(toHex)).size).toBe(4);
      expect(codeOf(() => ecdsa.sign(privateKey, digest, { hedged: 1 as unknown as boolean }))).toBe(
        "InvalidParameter",
      );
    });

    test("batches of any size, of mixed curves and hashes, are those of single calls", async () => {
      const other = await ecdsa.generateKey(curve === "P-256" ? "secp256k1" : "P-256");
      const hashes: readonly HashName[] = ["SHA-256", "SHA-256", "SHA-256", "SHA-512"];
      for (const count of [1, 2, 31, 32, 33, 70]) {
        const items = Array.from({ length: count }, (_, i) => ({
          key: i % 11 === 10 ? other.privateKey : privateKey,
          signable: { message: random(i), hash: hashes[(i >> 2) % 4] ?? "SHA-256" } as const,
        }));
        const signatures = ecdsa.signBatch(items);
        expect(signatures).toEqual(items.map(({ key, signable }) => ecdsa.sign(key, signable)));
        const checks = items.map(({ signable }, i) => ({
          key: i % 11 === 10 ? other.publicKey : publicKey,
          signable,
          signature: i % 7 === 6 ? random(70) : (signatures[i] ?? random(70)),
        }));
        expect(ecdsa.verifyBatch(checks)).toEqual(checks.map((_, i) => i % 7 !== 6));
      }
    });
  });
});

test("a key destroyed while a later item of its batch is read does not sign", () => {
  const engine = createWasmEngine();
  const ecdsa = engine.ecdsa;
  if (ecdsa === undefined) throw new Error("the engine has no ECDSA");
  const [first, second] = [1, 2].map((byte) =>
    ecdsa.importPrivateKey("P-256", new Uint8Array(32).fill(byte)),
  );
  if (first === undefined || second === undefined) throw new Error("internal: no keys");
  const digest = new Uint8Array(32).fill(7);
  const destroying = {
    key: second,
    get signable(): Uint8Array {
      first.destroy();
      return digest;
    },
  };
  const refused = expect.objectContaining({ code: "InvalidParameter" });
  expect(() => ecdsa.signBatch([{ key: first, signable: digest }, destroying])).toThrow(refused);
  engine.close();
});

test("a digest changed while a later item of its batch is read is signed as it was", () => {
  const engine = createWasmEngine();
  const ecdsa = engine.ecdsa;
  if (ecdsa === undefined) throw new Error("the engine has no ECDSA");
  const key = ecdsa.importPrivateKey("secp256k1", new Uint8Array(32).fill(3));
  const digest = new Uint8Array(32).fill(7);
  const expected = ecdsa.sign(key, digest);
  const changing = {
    key,
    get signable(): Uint8Array {
      digest.fill(8);
      return digest;
    },
  };
  expect(ecdsa.signBatch([{ key, signable: digest }, changing])[0]).toEqual(expected);
  engine.close();
});
