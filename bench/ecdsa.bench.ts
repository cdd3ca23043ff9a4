/** How many times quicker than others does the wasm engine sign and verify on P-256 and secp256k1? */

import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { instantiateSecp256k1 } from "@bitauth/libauth";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import hacl from "hacl-wasm";
import native from "secp256k1";
import type { CurveName, Ecdsa, EcPublicKey } from "../src/engines/engine.ts";
import { createWasmEngine } from "../src/engines/wasm/inlined.ts";
import { compare, type Gate } from "./gates.ts";
import type { Contender } from "./interleave.ts";

const BATCH = 32;
const OURS = "wasm";
const gates: Gate[] = [];
const digest: Uint8Array = new Uint8Array(randomBytes(32));
const message: Uint8Array = new Uint8Array(randomBytes(32));
const signable = { message, hash: "SHA-256" } as const;
const dsaEncoding = "ieee-p1363";

/** Compares, and notes what came of it. */
async function note(...args: Parameters<typeof compare>): Promise<void> {
  gates.push(...(await compare(...args)));
}

interface Bench {
  readonly curve: CurveName;
  readonly ecdsa: Ecdsa;
}

function asKeyObjects(ecdsa: Ecdsa, pkcs8: Uint8Array, key: EcPublicKey) {
  return {
    key: createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }),
    known: createPublicKey({ key: Buffer.from(ecdsa.exportSpki(key)), format: "der", type: "spki" }),
  };
}

async function benchCurve({ curve, ecdsa }: Bench): Promise<void> {
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
  await note(
    `${curve} sign`,
    signers,
    isK1
      ? { "node:crypto": 12, native: 1.4, libauth: 3.5, noble: 22 }
      : { "node:crypto": 0.9, noble: 30, "hacl-wasm": 120 },
  );
  await note(`${curve} import and verify`, imports, { "node:crypto": isK1 ? 5 : 0.58 });
  await note(
    `${curve} verify, unseen`,
    unseen,
    isK1 ? { native: 0.75, libauth: 2, noble: 20 } : { noble: 18, "hacl-wasm": 120 },
  );
  const cached: Contender = {
    name: OURS,
    run: () => ecdsa.verify(publicKey, signable, pair, { format: "p1363" }),
  };
  await note(
    `${curve} verify, cached`,
    [
      cached,
      { name: "node:crypto", run: () => verify("sha256", message, { key: known, dsaEncoding }, pair) },
      ...unseen.filter(({ name }) => name === "native"),
    ],
    isK1 ? { "node:crypto": 10, native: 1.5 } : { "node:crypto": 1.9 },
  );
  const items = Array.from({ length: BATCH }, () => ({ key: privateKey, signable: digest }));
  await note(
    `${curve} sign, batch of ${BATCH}`,
    [
      { name: OURS, run: () => ecdsa.signBatch(items, format) },
      ...signers.filter(({ name }) => name === "node:crypto" || name === "native"),
    ],
    isK1 ? { "node:crypto": 12, native: 1.4 } : { "node:crypto": 1.1 },
    BATCH,
  );
  // Every key of a batch is imported with it; the tables of keys that come again are measured above.
  await note(
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
}

/** What a new process does: loads the engine, and then measures its first signature in milliseconds. */
const FIRST_SIGNATURE = `
  import { loadEngine } from ${JSON.stringify(pathToFileURL(resolve("dist/engine.js")).href)};
  const { ecdsa } = await loadEngine("wasm");
  crypto.getRandomValues(new Uint8Array(1));
  const started = performance.now();
  const key = ecdsa.importPrivateKey("P-256", new Uint8Array(32).fill(1));
  ecdsa.sign(key, new Uint8Array(32));
  console.log(performance.now() - started);
`;
const NEW_PROCESSES = 9;

/** Returns the shortest time of several processes, which others on the machine lengthen least. */
function firstSignature(): number {
  const times = Array.from({ length: NEW_PROCESSES }, () =>
    Number(
      execFileSync(process.execPath, ["--input-type=module", "-e", FIRST_SIGNATURE], { encoding: "utf8" }),
    ),
  );
  return Math.min(...times);
}

export async function run(): Promise<Gate[]> {
  const { ecdsa, build } = createWasmEngine();
  if (ecdsa === undefined) throw new Error("the wasm engine serves no ECDSA");
  console.log(`the ${build} build`);
  gates.push({
    gate: "first import, self-test and signature after loading",
    value: firstSignature(),
    unit: "ms",
    demand: 10,
  });
  for (const curve of ["P-256", "secp256k1"] as const) await benchCurve({ curve, ecdsa });
  return gates;
}
