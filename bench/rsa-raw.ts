/** The raw operations of RSA, without padding, against node:crypto, the best WebAssembly peer, BigInt and node-forge. */

import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { initBundled, Memory, RsaPrivateKey } from "@hazae41/rsa.wasm";
import forge from "node-forge";
import { provideInlinedKernels } from "../src/engines/wasm/inlined.ts";
import { rsaLoader } from "../src/engines/wasm/load-rsa-kernel.ts";
import { RawRsa, type RsaPrivateParts } from "../src/engines/wasm/rsa-raw.ts";
import { type Contender, processorClock, ratio, sample } from "./interleave.ts";

/** A ratio with what is demanded of it. */
export interface RsaRow {
  readonly gate: string;
  readonly value: number;
  readonly demand: number;
}

const SIZES = [2048, 3072, 4096] as const;
/** Enough for a lower quartile; the slow peers take a second a round. */
const ROUNDS = 16;
const NODE_20 = Number(process.versions.node.split(".")[0]) < 24;
/** Set by who runs the bench with OPENSSL_ia32cap, or knows the processor to lack AVX512-IFMA. */
const WITHOUT_IFMA = /0x200000/.test(process.env["OPENSSL_ia32cap"] ?? "");

/** What the fast build must reach against node:crypto, by size. */
function privateDemand(bits: (typeof SIZES)[number]): number {
  if (WITHOUT_IFMA) return { 2048: 0.85, 3072: 0.85, 4096: 0.9 }[bits];
  return NODE_20 ? { 2048: 0.42, 3072: 0.85, 4096: 0.9 }[bits] : 0.4;
}

const VERIFY_FACTOR = { 2048: 1, 3072: 0.9, 4096: 0.8 } as const;

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);

/** Raises with a window of five bits, as BigInt does best. */
function bigPower(base: bigint, exponent: bigint, modulus: bigint): bigint {
  const table = [1n];
  for (let i = 1; i < 32; i++) table.push(((table[i - 1] ?? 1n) * base) % modulus);
  const bits = exponent.toString(32);
  let result = 1n;
  for (const digit of bits) {
    for (let i = 0; i < 5; i++) result = (result * result) % modulus;
    const window = Number.parseInt(digit, 32);
    if (window > 0) result = (result * (table[window] ?? 1n)) % modulus;
  }
  return result;
}

function partsOf(key: KeyObject): RsaPrivateParts {
  const jwk = key.export({ format: "jwk" });
  const bytes = (text: string | undefined): Uint8Array => Buffer.from(text ?? "", "base64url");
  return {
    n: bytes(jwk.n),
    e: bytes(jwk.e),
    p: bytes(jwk.p),
    q: bytes(jwk.q),
    dP: bytes(jwk.dp),
    dQ: bytes(jwk.dq),
    qInv: bytes(jwk.qi),
  };
}

function privatePeers(key: KeyObject, input: Uint8Array): Contender[] {
  const parts = partsOf(key);
  const [p, q, dP, dQ, qInv, c] = [parts.p, parts.q, parts.dP, parts.dQ, parts.qInv, input].map(toNumber);
  if (p === undefined || q === undefined || dP === undefined || dQ === undefined) throw new Error("no key");
  if (qInv === undefined || c === undefined) throw new Error("no key");
  const pem = key.export({ format: "pem", type: "pkcs1" }).toString();
  const forged = forge.pki.privateKeyFromPem(pem);
  // It has no raw operation; padding a digest is nothing beside the power.
  const rust = RsaPrivateKey.from_pkcs1_der(new Memory(key.export({ format: "der", type: "pkcs1" })));
  const binary = Buffer.from(input).toString("latin1");
  return [
    {
      name: "node:crypto",
      run: () => privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, input),
    },
    {
      name: "BigInt",
      run: () => {
        const m2 = bigPower(c % q, dQ, q);
        const h = (((bigPower(c % p, dP, p) - m2) % p) + p) * qInv;
        return m2 + (h % p) * q;
      },
    },
    { name: "rsa.wasm", run: () => rust.sign_pkcs1v15_unprefixed(new Memory(input.subarray(0, 32))).bytes },
    { name: "node-forge", run: () => forged.decrypt(binary, "RAW") },
  ];
}

/** Measures private and public operations of every build. */
export async function rawRows(): Promise<{ rows: RsaRow[]; builds: string[] }> {
  provideInlinedKernels();
  await initBundled();
  const kernels = [...rsaLoader.supported("force")].map((build) => rsaLoader.best("force", build));
  const rows: RsaRow[] = [];
  for (const bits of SIZES) {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
    const input = new Uint8Array(randomBytes(bits / 8)).fill(0, 0, 1);
    const parts = partsOf(privateKey);
    const operations = kernels.map((kernel) => {
      const raw = new RawRsa(kernel);
      const mine = raw.importPrivate(parts, rows);
      const open = raw.importPublic(parts, rows);
      const take = (): Uint8Array => kernel.output.slice(0, bits / 8);
      return {
        name: kernel.build,
        sign: () => {
          kernel.input.set(input);
          raw.privateOperation(mine);
          return take();
        },
        verify: () => {
          kernel.input.set(input);
          raw.publicOperation(open);
          return take();
        },
        verifyPair: () => {
          kernel.input.set(input);
          kernel.input.set(input, 512);
          raw.publicPair(open, open);
          return [take(), kernel.output.slice(512, 512 + bits / 8)];
        },
      };
    });
    const signed = await sample(
      [...operations.map(({ name, sign }) => ({ name, run: sign })), ...privatePeers(privateKey, input)],
      ROUNDS,
      processorClock,
    );
    for (const { name } of operations) {
      const quick = name === "relaxed";
      const demands = {
        "node:crypto": quick ? privateDemand(bits) : bits === 2048 ? 0.2 : 0,
        "rsa.wasm": quick ? 12 : 5,
        BigInt: quick ? 5 : 2,
        "node-forge": quick ? 30 : 0,
      };
      for (const [peer, demand] of Object.entries(demands)) {
        rows.push({
          gate: `RSA-${bits} private, ${name}, vs ${peer}`,
          value: ratio(signed, peer, name),
          demand,
        });
      }
    }
    const [first] = operations;
    if (first === undefined) continue;
    const padding = constants.RSA_NO_PADDING;
    const verified = await sample(
      [
        { name: "single", run: first.verify },
        { name: "pair", run: first.verifyPair },
        { name: "node:crypto", run: () => publicEncrypt({ key: publicKey, padding }, input) },
      ],
      ROUNDS,
      processorClock,
    );
    const factor = first.name === "relaxed" ? VERIFY_FACTOR[bits] : 0;
    rows.push(
      {
        gate: `RSA-${bits} public, ${first.name}, vs node:crypto`,
        value: ratio(verified, "node:crypto", "single"),
        demand: 0.75 * factor,
      },
      {
        gate: `RSA-${bits} public in pairs, ${first.name}, vs node:crypto`,
        value: 2 * ratio(verified, "node:crypto", "pair"),
        demand: 1.4 * factor,
      },
    );
  }
  return { rows, builds: kernels.map(({ build }) => build) };
}
