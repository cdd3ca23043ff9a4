/** How many times quicker than others does the wasm engine sign, verify and exchange keys on P-256 and secp256k1? */

import { createPrivateKey, createPublicKey, diffieHellman, randomBytes, sign, verify } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { instantiateSecp256k1 } from "@bitauth/libauth";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import hacl from "hacl-wasm";
import native from "secp256k1";
import type { CurveName, Ecdh, Ecdsa, EcPublicKey } from "../src/engines/engine.ts";
import { createWasmEngine } from "../src/engines/wasm/inlined.ts";
import { type Contender, ratio, sample } from "./interleave.ts";

/** A ratio or a time with what is demanded of it. */
interface Row {
  readonly gate: string;
  readonly value: number;
  readonly unit: "x" | "ms";
  readonly demand: number;
}

const REPORT = "build/bench-ecdsa.json";
const BATCH = 32;
const OURS = "wasm";
/** node:crypto became quicker at exchanges on P-256 with OpenSSL 3.5. */
const NODE_EXCHANGES_FAST = Number(process.versions.node.split(".")[0]) >= 24;

const rows: Row[] = [];
const digest: Uint8Array = new Uint8Array(randomBytes(32));
const message: Uint8Array = new Uint8Array(randomBytes(32));
const signable = { message, hash: "SHA-256" } as const;
const dsaEncoding = "ieee-p1363";

/** Runs contenders, ours first, and notes how much longer each of the others takes. */
async function compare(
  what: string,
  contenders: readonly Contender[],
  demands: Readonly<Record<string, number>>,
  factor = 1,
): Promise<void> {
  const samples = await sample(contenders);
  for (const [name, demand] of Object.entries(demands)) {
    if (samples.has(name))
      rows.push({
        gate: `${what} vs ${name}`,
        value: ratio(samples, name, OURS) * factor,
        unit: "x",
        demand,
      });
  }
}

interface Bench {
  readonly curve: CurveName;
  readonly ecdsa: Ecdsa;
  readonly ecdh: Ecdh;
}

function asKeyObjects(ecdsa: Ecdsa, pkcs8: Uint8Array, key: EcPublicKey) {
  return {
    key: createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }),
    known: createPublicKey({ key: Buffer.from(ecdsa.exportSpki(key)), format: "der", type: "spki" }),
  };
}

async function benchCurve({ curve, ecdsa, ecdh }: Bench): Promise<void> {
  const isK1 = curve === "secp256k1";
  const noble = isK1 ? secp256k1 : p256;
  const scalar: Uint8Array = new Uint8Array(randomBytes(32)).fill(1, 0, 1);
  const privateKey = ecdsa.importPrivateKey(curve, scalar);
  const publicKey = ecdsa.publicKey(privateKey);
  const pkcs8 = ecdsa.exportPkcs8(privateKey);
  const { key, known } = asKeyObjects(ecdsa, pkcs8, publicKey);
  const spki = Buffer.from(ecdsa.exportSpki(publicKey));
  const point = ecdsa.exportPoint(publicKey);
  const format = { format: "p1363", lowS: true } as const;
  const pair = ecdsa.sign(privateKey, signable, format);
  const digestPair = ecdsa.sign(privateKey, digest, format);
  const signers: Contender[] = [
    { name: OURS, run: () => ecdsa.sign(privateKey, digest, format) },
    { name: "node:crypto", run: () => sign("sha256", message, { key, dsaEncoding }) },
    { name: "noble", run: () => noble.sign(digest, scalar, { prehash: false }) },
  ];
  const imports: Contender[] = [
    {
      name: OURS,
      run: () => ecdsa.verify(ecdsa.importPublicKey(curve, spki), signable, pair, { format: "p1363" }),
    },
    {
      name: "node:crypto",
      run: () => {
        const imported = createPublicKey({ key: spki, format: "der", type: "spki" });
        return verify("sha256", message, { key: imported, dsaEncoding }, pair);
      },
    },
  ];
  // The others take a point and a digest.
  const unseen: Contender[] = [
    {
      name: OURS,
      run: () => ecdsa.verify(ecdsa.importPublicKey(curve, point), digest, digestPair, { format: "p1363" }),
    },
    {
      name: "noble",
      run: () => noble.verify(digestPair, digest, point, { prehash: false }),
    },
  ];
  if (isK1) {
    const libauth = await instantiateSecp256k1();
    signers.push(
      { name: "native", run: () => native.ecdsaSign(digest, scalar) },
      { name: "libauth", run: () => libauth.signMessageHashCompact(scalar, digest) },
    );
    unseen.push(
      { name: "native", run: () => native.ecdsaVerify(digestPair, digest, point) },
      { name: "libauth", run: () => libauth.verifySignatureCompact(digestPair, point, digest) },
    );
  } else {
    const { P256 } = await hacl.getInitializedHaclModule();
    const nonce = randomBytes(32).fill(1, 0, 1);
    signers.push({
      name: "hacl-wasm",
      run: () => P256.ecdsa_sign_without_hash(digest, scalar, nonce),
    });
    unseen.push({
      name: "hacl-wasm",
      run: () =>
        P256.ecdsa_verif_without_hash(digest, point.slice(1), digestPair.slice(0, 32), digestPair.slice(32)),
    });
  }
  await compare(
    `${curve} sign`,
    signers,
    isK1
      ? { "node:crypto": 12, native: 1.4, libauth: 3.5, noble: 22 }
      : { "node:crypto": 0.9, noble: 30, "hacl-wasm": 120 },
  );
  await compare(`${curve} import and verify`, imports, { "node:crypto": isK1 ? 5 : 0.58 });
  await compare(
    `${curve} verify, unseen`,
    unseen,
    isK1 ? { native: 0.75, libauth: 2, noble: 20 } : { noble: 18, "hacl-wasm": 120 },
  );
  const cached: Contender = {
    name: OURS,
    run: () => ecdsa.verify(publicKey, signable, pair, { format: "p1363" }),
  };
  await compare(
    `${curve} verify, cached`,
    [
      cached,
      { name: "node:crypto", run: () => verify("sha256", message, { key: known, dsaEncoding }, pair) },
      ...unseen.filter(({ name }) => name === "native"),
    ],
    isK1 ? { "node:crypto": 10, native: 1.5 } : { "node:crypto": 1.9 },
  );
  const items = Array.from({ length: BATCH }, () => ({ key: privateKey, signable: digest }));
  await compare(
    `${curve} sign, batch of ${BATCH}`,
    [
      { name: OURS, run: () => ecdsa.signBatch(items, format) },
      ...signers.filter(({ name }) => name === "node:crypto" || name === "native"),
    ],
    isK1 ? { "node:crypto": 12, native: 1.4 } : { "node:crypto": 1.1 },
    BATCH,
  );
  // Every key of a batch is imported with it; the tables of keys that come again are measured above.
  await compare(
    `${curve} import and verify, batch of ${BATCH}`,
    [
      {
        name: OURS,
        run: () =>
          ecdsa.verifyBatch(
            items.map(() => ({
              key: ecdsa.importPublicKey(curve, spki),
              signable,
              signature: pair,
            })),
            { format: "p1363" },
          ),
      },
      ...imports.filter(({ name }) => name === "node:crypto"),
      ...unseen.filter(({ name }) => name === "native"),
    ],
    isK1 ? { "node:crypto": 5, native: 0.75 } : { "node:crypto": 0.58 },
    BATCH,
  );
  const { publicKey: peer } = await ecdsa.generateKey(curve);
  const peerKey = asKeyObjects(ecdsa, pkcs8, peer).known;
  await compare(
    `${curve} ECDH`,
    [
      { name: OURS, run: () => ecdh.deriveBits(privateKey, peer) },
      { name: "node:crypto", run: () => diffieHellman({ privateKey: key, publicKey: peerKey }) },
    ],
    { "node:crypto": isK1 ? 8 : NODE_EXCHANGES_FAST ? 0.45 : 0.9 },
  );
}

export async function run(): Promise<boolean> {
  const started = performance.now();
  const { ecdsa, ecdh, build } = createWasmEngine();
  if (ecdsa === undefined || ecdh === undefined) throw new Error("the wasm engine serves no EC keys");
  const loaded = performance.now();
  const key = ecdsa.importPrivateKey("P-256", new Uint8Array(randomBytes(32)).fill(1, 0, 1));
  ecdsa.sign(key, digest);
  const first = performance.now() - loaded;
  console.log(`the ${build} build; loading took ${(loaded - started).toFixed(1)} ms`);
  rows.push({
    gate: "first import, self-test and signature after loading",
    value: first,
    unit: "ms",
    demand: 10,
  });
  for (const curve of ["P-256", "secp256k1"] as const) await benchCurve({ curve, ecdsa, ecdh });
  let met = true;
  for (const { gate, value, unit, demand } of rows) {
    const ok = unit === "ms" ? value <= demand : value >= demand;
    met = met && ok;
    console.log(
      `${gate.padEnd(52)}${value.toFixed(2).padStart(9)} ${unit}   demand ${demand} ${unit}${ok ? "" : "   MISSED"}`,
    );
  }
  mkdirSync("build", { recursive: true });
  writeFileSync(REPORT, `${JSON.stringify({ node: process.versions.node, build, rows }, undefined, 2)}\n`);
  return met;
}
